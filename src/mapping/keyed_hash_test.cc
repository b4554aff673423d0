#include "mapping/keyed_hash.h"

#include <gtest/gtest.h>

namespace wallaby {
namespace {

std::string Hash(const std::string& key, const std::string& value) {
  std::string hex;
  KeyedHash(key).AppendHex(value, &hex);
  return hex;
}

// RFC 4231, test cases 1, 2, 6 and 7.
TEST(KeyedHashTest, KnownAnswers) {
  EXPECT_EQ(Hash(std::string(20, '\x0b'), "Hi There"),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(Hash("Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(Hash(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  EXPECT_EQ(Hash(std::string(131, '\xaa'),
                 "This is a test using a larger than block-size key and a larger than block-size data. The key needs "
                 "to be hashed before being used by the HMAC algorithm."),
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

TEST(KeyedHashTest, OneKeyForManyValues) {
  const KeyedHash hash("a secret of some length");
  std::string first, again, other;
  hash.AppendHex("a", &first);
  hash.AppendHex("b", &other);
  hash.AppendHex("a", &again);
  EXPECT_EQ(first, again);
  EXPECT_NE(first, other);
  EXPECT_EQ(first.size(), KeyedHash::kHexSize);
}

}  // namespace
}  // namespace wallaby

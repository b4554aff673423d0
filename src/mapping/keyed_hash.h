// KeyedHash: HMAC-SHA256 with one key, for many short values. Source: RFC 2104, FIPS 180-4.
#ifndef WALLABY_MAPPING_KEYED_HASH_H_
#define WALLABY_MAPPING_KEYED_HASH_H_

#include <memory>
#include <string>
#include <string_view>

namespace wallaby {

class KeyedHash {
 public:
  explicit KeyedHash(std::string_view key);
  ~KeyedHash();
  KeyedHash(const KeyedHash&) = delete;
  KeyedHash& operator=(const KeyedHash&) = delete;

  static constexpr size_t kHexSize = 64;
  // Appends the 64 lower-case hex digits. No allocation beyond `out`'s growth.
  void AppendHex(std::string_view value, std::string* out) const;

 private:
  struct States;
  std::unique_ptr<States> states_;  // after the padded keys, from which every value goes on
};

}  // namespace wallaby

#endif  // WALLABY_MAPPING_KEYED_HASH_H_

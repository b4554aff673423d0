#include "base/key_text.h"

#include <gtest/gtest.h>

namespace wallaby {
namespace {

TEST(KeyText, HexadecimalAndBase64GiveTheSameBytes) {
  const std::string hex = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1EFF";
  const auto bytes = ParseKeyText(hex + "\n");
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(bytes->size(), 32u);
  EXPECT_EQ(static_cast<unsigned char>(bytes->back()), 0xff);
  EXPECT_EQ(*ParseKeyText("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHv8="), *bytes);
  EXPECT_EQ(*ParseKeyText("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHv8"), *bytes);
}

TEST(KeyText, AnErrorDoesNotShowTheKey) {
  for (const char* text : {"", "secret-word", "0102"}) {
    const auto bytes = ParseKeyText(text);
    ASSERT_TRUE(absl::IsInvalidArgument(bytes.status()));
    EXPECT_EQ(bytes.status().message().find("word"), std::string_view::npos);
  }
}

}  // namespace
}  // namespace wallaby

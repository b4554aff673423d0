#include "store/secret_box.h"

#include <gtest/gtest.h>

#include <set>

namespace wallaby {
namespace {

constexpr char kHex[] = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";

TEST(SecretBox, SealsAndOpens) {
  const SecretBox box = *SecretBox::FromKeyText(kHex);
  for (const std::string& text : {std::string(), std::string("x"), std::string(100000, 'y'), std::string("a\0b", 3)}) {
    const std::string sealed = *box.Seal(text, "flow");
    EXPECT_TRUE(SecretBox::IsSealed(sealed));
    EXPECT_EQ(*box.Open(sealed, "flow"), text);
    EXPECT_FALSE(box.Open(sealed, "other").ok());
  }
  EXPECT_FALSE(SecretBox::IsSealed("{\"name\":1}"));
}

TEST(SecretBox, NoncesDiffer) {
  const SecretBox box = *SecretBox::FromKeyText(kHex);
  std::set<std::string> sealed;
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(sealed.insert(*box.Seal("same", "c")).second);
}

TEST(SecretBox, AnyChangeIsNoticed) {
  const SecretBox box = *SecretBox::FromKeyText(kHex);
  const std::string sealed = *box.Seal("secret text", "c");
  for (size_t i = 0; i < sealed.size(); ++i) {
    std::string changed = sealed;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    if (changed[i] == sealed[i]) continue;
    const auto opened = box.Open(changed, "c");
    // The last digit of base64 may hold bits that stand for nothing.
    if (opened.ok()) {
      EXPECT_EQ(*opened, "secret text");
      EXPECT_GE(i, sealed.size() - 2);
    }
    EXPECT_FALSE(box.Open(sealed.substr(0, i), "c").ok());
  }
  EXPECT_FALSE(SecretBox::FromKeyText(std::string(64, 'f'))->Open(sealed, "c").ok());
}

TEST(SecretBox, Keys) {
  const std::string standard = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
  const std::string sealed = *SecretBox::FromKeyText(kHex)->Seal("t", "c");
  EXPECT_EQ(*SecretBox::FromKeyText(standard)->Open(sealed, "c"), "t");
  EXPECT_EQ(*SecretBox::FromKeyText(" " + standard + "\n")->Open(sealed, "c"), "t");
  EXPECT_EQ(*SecretBox::FromKeyText(standard.substr(0, 43))->Open(sealed, "c"), "t");
  EXPECT_TRUE(SecretBox::FromKeyText("__8CAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8").ok());
  for (const std::string& bad :
       {std::string("hunter2"), std::string(63, '0'), std::string(64, 'g'), std::string(32, 'a')}) {
    const auto box = SecretBox::FromKeyText(bad);
    EXPECT_EQ(box.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(std::string(box.status().message()).find(bad), std::string::npos);
  }
}

}  // namespace
}  // namespace wallaby

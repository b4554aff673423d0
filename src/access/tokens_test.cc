#include "access/tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace wallaby {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Error(std::string_view text) {
  const auto tokens = Tokens::Parse(text, "TOKENS");
  EXPECT_FALSE(tokens.ok()) << text;
  return std::string(tokens.status().message());
}

TEST(Tokens, LinesAndSemicolons) {
  const auto tokens = Tokens::Parse(
      "# who may do what\n\n viewer  grafana\tabcdefghijklmnop \r\n"
      "operator ci ponmlkjihgfedcba; admin ops 0123456789abcdef0123\n",
      "TOKENS");
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  EXPECT_EQ(tokens->Find("abcdefghijklmnop")->name, "grafana");
  EXPECT_EQ(tokens->Find("abcdefghijklmnop")->role, Role::kViewer);
  EXPECT_EQ(tokens->Find("ponmlkjihgfedcba")->role, Role::kOperator);
  EXPECT_EQ(tokens->Find("0123456789abcdef0123")->role, Role::kAdmin);
  for (const char* other : {"", "abcdefghijklmno", "abcdefghijklmnopq", "ABCDEFGHIJKLMNOP"}) {
    EXPECT_EQ(tokens->Find(other), nullptr) << other;
  }
}

TEST(Tokens, Hashed) {
  // SHA-256 of "abc" (FIPS 180-2, B.1). The length of what was hashed is not known.
  const auto tokens =
      Tokens::Parse("admin ops sha256:BA7816BF8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "TOKENS");
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  EXPECT_EQ(tokens->Find("abc")->name, "ops");
  EXPECT_EQ(tokens->Find("sha256:BA7816BF8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), nullptr);
}

TEST(Tokens, MistakesNameTheLineAndNeverTheToken) {
  const std::string secret = "hunter2hunter2hunter2";
  EXPECT_THAT(Error("viewer a " + secret + "\nroot b " + secret), HasSubstr("TOKENS, line 2: the role must be viewer"));
  EXPECT_THAT(Error("admin " + secret), AllOf(HasSubstr("three words"), Not(HasSubstr(secret))));
  EXPECT_THAT(Error("admin a b " + secret), AllOf(HasSubstr("three words"), Not(HasSubstr(secret))));
  EXPECT_THAT(Error("admin a hunter2"), AllOf(HasSubstr("at least 16"), Not(HasSubstr("hunter2"))));
  EXPECT_THAT(Error("admin a sha256:abc"), HasSubstr("64 hexadecimal digits"));
  EXPECT_THAT(Error("admin a " + secret + ";viewer a 0123456789abcdef"), HasSubstr("used twice"));
  EXPECT_THAT(Error("\n# nothing\n"), HasSubstr("no token"));
}

TEST(Tokens, FileThatOthersMayReadIsRefused) {
  const std::string path = testing::TempDir() + "/tokens-" + std::to_string(getpid());
  std::ofstream(path) << "admin ops 0123456789abcdef\n";
  chmod(path.c_str(), 0644);
  const auto open = Tokens::Load(path);
  EXPECT_TRUE(absl::IsFailedPrecondition(open.status()));
  EXPECT_THAT(std::string(open.status().message()), AllOf(HasSubstr("chmod o= "), HasSubstr("defaultMode")));
  chmod(path.c_str(), 0640);
  EXPECT_TRUE(Tokens::Load(path).ok());
  unlink(path.c_str());
  EXPECT_TRUE(absl::IsNotFound(Tokens::Load(path).status()));
  EXPECT_FALSE(Tokens::Load(testing::TempDir()).ok());
}

}  // namespace
}  // namespace wallaby

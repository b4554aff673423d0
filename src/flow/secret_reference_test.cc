#include "flow/secret_reference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>

namespace wallaby {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kPassword[] = R"(a'b\c d@e/f?%&)";

Endpoint Source(const std::string& dsn) {
  return {"shop", "postgres", {{"dsn", dsn}, {"slot", "s"}}};
}
absl::StatusOr<std::string> Dsn(const std::string& dsn) {
  const auto options = ResolvedOptions(Source(dsn), EndpointKind::kSource);
  if (!options.ok()) return options.status();
  return options->at("dsn");
}
std::string CheckError(const Endpoint& endpoint, EndpointKind kind = EndpointKind::kSource) {
  return std::string(CheckReferences(endpoint, kind).message());
}

class SecretReferenceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    setenv("SHOP_DSN", "postgres://app:secret@db/shop", 1);
    setenv("SHOP_PASSWORD", kPassword, 1);
    file_ = ::testing::TempDir() + "/secret-" + std::to_string(getpid());
  }
  void TearDown() override { unlink(file_.c_str()); }
  std::string File(const std::string& text) {
    std::ofstream(file_) << text;
    return "file:" + file_;
  }
  std::string file_;
};

TEST_F(SecretReferenceTest, Form) {
  for (const char* good : {"env:X", "env:shop_DSN_2", "env:_", "file:/run/secrets/dsn"}) {
    EXPECT_TRUE(IsReference(good)) << good;
  }
  for (const char* bad : {"", "env:", "env:2X", "env:A-B", "env:A B", "file:", "file:/", "file:relative", "file:/x/",
                          "file:/x\ny", "ENV:X", "postgres://u:env:X@h/d"}) {
    EXPECT_FALSE(IsReference(bad)) << bad;
  }
}

TEST_F(SecretReferenceTest, WholeValues) {
  EXPECT_EQ(*Dsn("env:SHOP_DSN"), "postgres://app:secret@db/shop");
  EXPECT_EQ(*Dsn(File("host=db password=x\n")), "host=db password=x");
  EXPECT_EQ(*Dsn("host=db password=plain"), "host=db password=plain");
  const Endpoint lake{"lake", "parquet", {{"bucket", "b"}, {"secret_key", "env:SHOP_PASSWORD"}, {"prefix", "env"}}};
  const Options options = ResolvedOptions(lake, EndpointKind::kDestination).value();
  EXPECT_EQ(options.at("secret_key"), kPassword);
  EXPECT_EQ(options.at("prefix"), "env");
}

TEST_F(SecretReferenceTest, UrlsOfWebhooks) {
  setenv("SHOP_HOOK", "https://hook.example/services/T0/pw", 1);
  Endpoint hook{"hook", "http", {{"url", "env:SHOP_HOOK"}, {"method", "PUT"}}};
  EXPECT_EQ(CheckError(hook, EndpointKind::kDestination), "");
  EXPECT_EQ(ResolvedOptions(hook, EndpointKind::kDestination)->at("url"), "https://hook.example/services/T0/pw");
  Flow flow;
  flow.destinations = {hook};
  EXPECT_EQ(Redacted(flow), flow);
  hook.options["url"] = "env:WALLABY_TOKEN";
  EXPECT_THAT(CheckError(hook, EndpointKind::kDestination), HasSubstr("of WALlaby itself"));
  // Other addresses are none.
  EXPECT_THAT(CheckError({"d", "grpc", {{"endpoint", "env:X"}}}, EndpointKind::kDestination),
              HasSubstr("option endpoint of destination 'd'"));
}

TEST_F(SecretReferenceTest, PartsOfConnectionStringsAreQuoted) {
  EXPECT_EQ(*Dsn("host=db password=env:SHOP_PASSWORD dbname=shop"),
            R"(host=db password='a\'b\\c d@e/f?%&' dbname=shop)");
  EXPECT_EQ(*Dsn("host=db password='env:SHOP_PASSWORD' dbname=shop"),
            R"(host=db password='a\'b\\c d@e/f?%&' dbname=shop)");
  EXPECT_EQ(*Dsn("postgres://app:env:SHOP_PASSWORD@db:5432/shop"),
            "postgres://app:a%27b%5Cc%20d%40e%2Ff%3F%25%26@db:5432/shop");
  const std::string file = File("pw\r\n");
  EXPECT_EQ(*Dsn("postgres://app:" + file + "@db/shop"), "postgres://app:pw@db/shop");
  EXPECT_EQ(*Dsn("postgres://db/shop?user=app&password=env:SHOP_PASSWORD"),
            "postgres://db/shop?user=app&password=a%27b%5Cc%20d%40e%2Ff%3F%25%26");
}

TEST_F(SecretReferenceTest, WhatIsMissingIsNamed) {
  const absl::Status variable = Dsn("env:NOBODY_SET_THIS").status();
  EXPECT_TRUE(absl::IsFailedPrecondition(variable));
  EXPECT_THAT(std::string(variable.message()),
              AllOf(HasSubstr("option dsn of source 'shop'"), HasSubstr("NOBODY_SET_THIS"), HasSubstr("set it for")));
  EXPECT_THAT(std::string(Dsn("file:/nowhere/dsn").status().message()),
              AllOf(HasSubstr("/nowhere/dsn"), HasSubstr("No such file")));
  EXPECT_THAT(std::string(Dsn(File("\n")).status().message()), HasSubstr("is empty"));
  EXPECT_THAT(std::string(Dsn(File(std::string(70000, 'x'))).status().message()), HasSubstr("64 KiB"));
}

TEST_F(SecretReferenceTest, Refused) {
  EXPECT_EQ(CheckError(Source("env:SHOP_DSN")), "");
  EXPECT_THAT(CheckError(Source("env:SHOP-DSN")),
              AllOf(HasSubstr("option dsn of source 'shop'"), HasSubstr("env:NAME")));
  EXPECT_THAT(CheckError(Source("file:relative")), HasSubstr("absolute path"));
  // A secret that begins so by chance is not shown.
  EXPECT_THAT(CheckError(Source("env:hunter-2")), Not(HasSubstr("hunter")));
  // The programs' own secrets would go to whatever server a flow names.
  for (const char* dsn : {"env:WALLABY_SECRET_KEY", "host=evil password=env:WALLABY_SECRET_KEY"}) {
    EXPECT_THAT(CheckError(Source(dsn)), HasSubstr("of WALlaby itself"));
    setenv("WALLABY_SECRET_KEY", "k", 1);
    EXPECT_FALSE(Dsn(dsn).ok());
  }
  Endpoint named = Source("env:SHOP_DSN");
  named.options["slot"] = "env:SLOT";
  EXPECT_THAT(CheckError(named),
              AllOf(HasSubstr("option slot"), HasSubstr("only connection strings, secrets and URLs")));
}

TEST_F(SecretReferenceTest, ShownAsTheyAre) {
  Flow flow;
  flow.source = Source("host=db password=env:SHOP_PASSWORD sslpassword=plain");
  flow.destinations = {{"copy", "postgres", {{"dsn", "env:COPY_DSN"}}},
                       {"lake", "parquet", {{"secret_key", "file:/run/key"}, {"access_key", "plain"}}}};
  const Flow shown = Redacted(flow);
  EXPECT_EQ(shown.source.options.at("dsn"), "host=db password=env:SHOP_PASSWORD sslpassword=******");
  EXPECT_EQ(shown.destinations[0].options.at("dsn"), "env:COPY_DSN");
  EXPECT_EQ(shown.destinations[1].options.at("secret_key"), "file:/run/key");
  EXPECT_EQ(shown.destinations[1].options.at("access_key"), "******");
  // And come back with the masked ones in an update.
  Flow update = shown;
  RestoreSecrets(flow, &update);
  EXPECT_EQ(update, flow);
  // What was resolved is never taken for a reference.
  EXPECT_EQ(RedactDsn("host=db password=env:X"), "host=db password=******");
}

}  // namespace
}  // namespace wallaby

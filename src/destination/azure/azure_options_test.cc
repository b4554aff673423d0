#include "destination/azure/azure_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace wallaby {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kKey[] = "c2VjcmV0LWtleQ==";

class AzureOptionsTest : public testing::Test {
 protected:
  ~AzureOptionsTest() override {
    for (const char* name :
         {"AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN"}) {
      unsetenv(name);
    }
  }
  static DestinationConfig Config(std::map<std::string, std::string> options) {
    options.emplace("container", "lake");
    return {.flow_id = "f", .name = "lake", .options = std::move(options)};
  }
  static std::string Refusal(std::map<std::string, std::string> options) {
    const DestinationConfig config = Config(std::move(options));
    auto parsed = ParseAzureOptions(config);
    if (!parsed.ok()) return std::string(parsed.status().message());
    return std::string(AddAzureEnvironment(&*parsed, config).message());
  }
  static AzureOptions Parse(std::map<std::string, std::string> options) {
    const DestinationConfig config = Config(std::move(options));
    auto parsed = ParseAzureOptions(config);
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    if (!parsed.ok()) return {};
    const absl::Status status = AddAzureEnvironment(&*parsed, config);
    EXPECT_TRUE(status.ok()) << status;
    return *std::move(parsed);
  }
};

TEST_F(AzureOptionsTest, AKeyOrAToken) {
  EXPECT_EQ(Parse({{"account", "shop"}, {"account_key", kKey}}).key, kKey);
  EXPECT_EQ(Parse({{"account", "shop"}, {"sas_token", "?sv=1&sig=x"}}).sas, "sv=1&sig=x");
  EXPECT_EQ(Parse({{"endpoint", "https://shop.example"}, {"sas_token", "sv=1"}}).account, "");
}

TEST_F(AzureOptionsTest, ConnectionStrings) {
  const AzureOptions key = Parse({{"connection_string",
                                   "DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=c2VjcmV0LWtleQ==;"
                                   "EndpointSuffix=core.chinacloudapi.cn"}});
  EXPECT_EQ(key.account, "shop");
  EXPECT_EQ(key.key, kKey);
  EXPECT_EQ(key.endpoint, "https://shop.blob.core.chinacloudapi.cn");
  const AzureOptions token =
      Parse({{"connection_string", "BlobEndpoint=http://127.0.0.1:10000/shop;SharedAccessSignature=sv=1&sig=a%3D"}});
  EXPECT_EQ(token.endpoint, "http://127.0.0.1:10000/shop");
  EXPECT_EQ(token.sas, "sv=1&sig=a%3D");
  EXPECT_EQ(token.key, "");
}

TEST_F(AzureOptionsTest, WhatIsMissingIsLookedForWhereAzuresToolsDo) {
  EXPECT_THAT(Refusal({}), HasSubstr("option account of destination 'lake': is missing"));
  EXPECT_THAT(Refusal({{"account", "shop"}}), HasSubstr("account_key, sas_token or connection_string"));
  setenv("AZURE_STORAGE_ACCOUNT", "shop", 1);
  setenv("AZURE_STORAGE_KEY", kKey, 1);
  EXPECT_EQ(Parse({}).key, kKey);
  EXPECT_EQ(Parse({{"account", "other"}}).account, "other");
  setenv("AZURE_STORAGE_SAS_TOKEN", "sv=1", 1);
  EXPECT_EQ(Parse({}).sas, "sv=1");
  EXPECT_EQ(Parse({{"account_key", "b3RoZXI="}}).sas, "");
  setenv("AZURE_STORAGE_CONNECTION_STRING", "AccountName=third;AccountKey=dGhpcmQ=", 1);
  EXPECT_EQ(Parse({}).endpoint, "https://third.blob.core.windows.net");
  EXPECT_EQ(Parse({{"account", "third"}}).key, "dGhpcmQ=");
  EXPECT_THAT(Refusal({{"account", "shop"}}), HasSubstr("is of account 'third'"));
  setenv("AZURE_STORAGE_CONNECTION_STRING", "nonsense", 1);
  EXPECT_THAT(Refusal({}), HasSubstr("AZURE_STORAGE_CONNECTION_STRING in the environment: it has neither"));
}

TEST_F(AzureOptionsTest, RefusalsShowNoSecret) {
  EXPECT_THAT(Refusal({{"container", "a/b"}}), HasSubstr("option container of destination 'lake': got 'a/b'"));
  EXPECT_THAT(Refusal({{"account", "UPPER"}}), HasSubstr("3 to 24 lower-case letters and digits"));
  EXPECT_THAT(Refusal({{"endpoint", "shop.example"}}), HasSubstr("a URL like https://"));
  EXPECT_THAT(Refusal({{"account_key", "!geheim!"}}), AllOf(HasSubstr("no base64"), Not(HasSubstr("geheim"))));
  EXPECT_THAT(Refusal({{"account_key", kKey}, {"sas_token", "sv=1"}}), HasSubstr("give one of them"));
  EXPECT_THAT(
      Refusal({{"connection_string", "AccountName=a;AccountKey=!geheim!"}}),
      AllOf(HasSubstr("option connection_string"), HasSubstr("AccountKey is no base64"), Not(HasSubstr("geheim"))));
  EXPECT_THAT(Refusal({{"connection_string", "AccountName=shop"}, {"account", "shop"}}),
              HasSubstr("connection_string says it"));
}

TEST_F(AzureOptionsTest, ReferencesPassUntilTheyAreFollowed) {
  for (const char* name : {"account_key", "sas_token", "connection_string"}) {
    EXPECT_TRUE(ParseAzureOptions(Config({{name, "env:SHOP_SECRET"}})).ok()) << name;
  }
}

}  // namespace
}  // namespace wallaby

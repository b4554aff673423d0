// Tokens, against a server in this process that answers as Google's token and metadata servers do, and that checks what
// was signed.
#include "destination/gcs/gcs_token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/freer.h"
#include "httplib.h"
#include "nlohmann/json.hpp"

namespace wallaby {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::json;
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;

std::string PemOf(EVP_PKEY* key) {
  const std::unique_ptr<BIO, Freer<BIO_free_all>> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<size_t>(size)};
}

bool IsSignedBy(EVP_PKEY* key, const std::string& text, const std::string& signature) {
  const std::unique_ptr<EVP_MD_CTX, Freer<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key);
  return EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
                          reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1;
}

class GcsTokenTest : public testing::Test {
 protected:
  GcsTokenTest() {
    unsetenv("GOOGLE_APPLICATION_CREDENTIALS");
    server_.Post("/token", [this](const httplib::Request& request, httplib::Response& response) {
      asked_.push_back(request.get_param_value("assertion"));
      EXPECT_EQ(request.get_param_value("grant_type"), "urn:ietf:params:oauth:grant-type:jwt-bearer");
      response.status = status_;
      response.set_content(answer_, "application/json");
    });
    server_.Get("/computeMetadata/v1/instance/service-accounts/default/token",
                [this](const httplib::Request& request, httplib::Response& response) {
                  asked_.push_back(request.get_header_value("Metadata-Flavor"));
                  response.set_content(answer_, "application/json");
                });
    server_.set_keep_alive_timeout(1);
    host_ = absl::StrCat("127.0.0.1:", server_.bind_to_any_port("127.0.0.1"));
    setenv("GCE_METADATA_HOST", host_.c_str(), 1);
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) absl::SleepFor(absl::Milliseconds(1));
  }
  ~GcsTokenTest() override {
    server_.stop();
    thread_.join();
    unsetenv("GCE_METADATA_HOST");
    unsetenv("GOOGLE_APPLICATION_CREDENTIALS");
  }

  std::string KeyFile() const {
    return Json{{"type", "service_account"},
                {"client_email", "writer@shop.iam"},
                {"private_key", PemOf(key_.get())},
                {"private_key_id", "k1"},
                {"token_uri", absl::StrCat("http://", host_, "/token")}}
        .dump();
  }

  const Key key_{EVP_RSA_gen(2048)};
  httplib::Server server_;
  std::thread thread_;
  std::string host_;
  int status_ = 200;
  std::string answer_ = R"({"access_token": "t1", "expires_in": 3600, "token_type": "Bearer"})";
  std::vector<std::string> asked_;
};

TEST_F(GcsTokenTest, AServiceAccountSignsForAToken) {
  GcsTokenSource source(KeyFile());
  EXPECT_EQ(*source.Get(), "t1");
  EXPECT_EQ(*source.Get(), "t1");
  ASSERT_EQ(asked_.size(), 1u);
  const std::vector<std::string> parts = absl::StrSplit(asked_[0], '.');
  ASSERT_EQ(parts.size(), 3u);
  std::string header, claims, signature;
  ASSERT_TRUE(absl::WebSafeBase64Unescape(parts[0], &header));
  ASSERT_TRUE(absl::WebSafeBase64Unescape(parts[1], &claims));
  ASSERT_TRUE(absl::WebSafeBase64Unescape(parts[2], &signature));
  EXPECT_EQ(Json::parse(header), (Json{{"alg", "RS256"}, {"typ", "JWT"}, {"kid", "k1"}}));
  const Json said = Json::parse(claims);
  EXPECT_EQ(said["iss"], "writer@shop.iam");
  EXPECT_EQ(said["aud"], absl::StrCat("http://", host_, "/token"));
  EXPECT_EQ(said["scope"], "https://www.googleapis.com/auth/devstorage.read_write");
  EXPECT_EQ(said["exp"].get<int64_t>() - said["iat"].get<int64_t>(), 3600);
  EXPECT_TRUE(IsSignedBy(key_.get(), absl::StrCat(parts[0], ".", parts[1]), signature));
}

TEST_F(GcsTokenTest, ATokenIsRenewedBeforeItEndsAndWhenItIsCalledBack) {
  GcsTokenSource source(KeyFile());
  answer_ = R"({"access_token": "short", "expires_in": 299})";
  EXPECT_EQ(*source.Get(), "short");
  answer_ = R"({"access_token": "long", "expires_in": 3600})";
  EXPECT_EQ(*source.Get(), "long");
  source.Renew();
  answer_ = R"({"access_token": "third", "expires_in": 3600})";
  EXPECT_EQ(*source.Get(), "third");
}

TEST_F(GcsTokenTest, TheEnvironmentNamesAKeyFileAndAMachineHasAToken) {
  EXPECT_EQ(*GcsTokenSource("").Get(), "t1");
  EXPECT_EQ(asked_.back(), "Google");
  const std::string path = testing::TempDir() + "/gcs-key.json";
  std::ofstream(path) << KeyFile();
  setenv("GOOGLE_APPLICATION_CREDENTIALS", path.c_str(), 1);
  EXPECT_EQ(*GcsTokenSource("").Get(), "t1");
  EXPECT_NE(asked_.back(), "Google");
  setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere", 1);
  EXPECT_THAT(GcsTokenSource("").Get().status().ToString(), HasSubstr("/nowhere cannot be read"));
}

TEST_F(GcsTokenTest, RefusalsSayWhatToDoAndShowNoKey) {
  status_ = 400;
  answer_ = R"({"error": "invalid_grant", "error_description": "Invalid JWT Signature."})";
  const absl::Status refused = GcsTokenSource(KeyFile()).Get().status();
  EXPECT_TRUE(absl::IsUnauthenticated(refused)) << refused;
  EXPECT_THAT(refused.ToString(),
              AllOf(HasSubstr("writer@shop.iam"), HasSubstr("invalid_grant: Invalid JWT Signature."),
                    Not(HasSubstr("PRIVATE KEY"))));
  status_ = 503;
  EXPECT_TRUE(absl::IsUnavailable(GcsTokenSource(KeyFile()).Get().status()));
  status_ = 200;
  answer_ = "{}";
  EXPECT_TRUE(absl::IsUnavailable(GcsTokenSource(KeyFile()).Get().status()));
  setenv("GCE_METADATA_HOST", "127.0.0.1:1", 1);
  const absl::Status nowhere = GcsTokenSource("").Get().status();
  EXPECT_TRUE(absl::IsUnauthenticated(nowhere)) << nowhere;
  EXPECT_THAT(nowhere.ToString(), HasSubstr("give option credentials"));
}

TEST(ServiceAccountTest, WhatIsNone) {
  const auto refusal = [](const char* json) { return ParseServiceAccount(json).status().ToString(); };
  EXPECT_THAT(refusal("geheim"), AllOf(HasSubstr("no JSON object"), Not(HasSubstr("geheim"))));
  EXPECT_THAT(refusal(R"({"type": "authorized_user"})"), HasSubstr("not service_account"));
  EXPECT_THAT(refusal(R"({"type": "service_account", "client_email": "a@b"})"), HasSubstr("no private_key"));
  const std::string pem = R"("private_key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")";
  const std::string whole = absl::StrCat(R"({"type": "service_account", "client_email": "a@b", )", pem);
  EXPECT_THAT(refusal(absl::StrCat(whole, "}").c_str()), HasSubstr("token_uri"));
  const auto account = ParseServiceAccount(absl::StrCat(whole, R"(, "token_uri": "https://t"})"));
  ASSERT_TRUE(account.ok()) << account.status();
  EXPECT_THAT(SignedAssertion(*account, absl::Now()).status().ToString(), HasSubstr("no private key of RSA"));
}

TEST(GcsOptionsTest, OptionsAreCheckedInWords) {
  const auto refusal = [](std::map<std::string, std::string> options) {
    options.emplace("bucket", "lake");
    return std::string(
        ParseGcsOptions({.flow_id = "f", .name = "lake", .options = std::move(options)}).status().message());
  };
  EXPECT_EQ(refusal({}), "");
  EXPECT_EQ(refusal({{"credentials", "file:/run/key.json"}}), "");
  EXPECT_THAT(refusal({{"bucket", "a/b"}}), HasSubstr("option bucket of destination 'lake': got 'a/b'"));
  EXPECT_THAT(refusal({{"endpoint", "host"}}), HasSubstr("a URL like"));
  EXPECT_THAT(refusal({{"credentials", "geheim"}}), AllOf(HasSubstr("option credentials"), Not(HasSubstr("geheim"))));
}

}  // namespace
}  // namespace wallaby

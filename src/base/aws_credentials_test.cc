// Where keys are found, against a server in this process that answers as STS, a container's agent and an instance's
// metadata do.
#include "base/aws_credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "httplib.h"

namespace wallaby {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kVariables[] = {"AWS_ACCESS_KEY_ID",
                                      "AWS_SECRET_ACCESS_KEY",
                                      "AWS_SESSION_TOKEN",
                                      "AWS_WEB_IDENTITY_TOKEN_FILE",
                                      "AWS_ROLE_ARN",
                                      "AWS_ENDPOINT_URL_STS",
                                      "AWS_SHARED_CREDENTIALS_FILE",
                                      "AWS_PROFILE",
                                      "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                                      "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                      "AWS_CONTAINER_AUTHORIZATION_TOKEN",
                                      "AWS_EC2_METADATA_DISABLED",
                                      "AWS_EC2_METADATA_SERVICE_ENDPOINT"};

class AwsCredentialsTest : public testing::Test {
 protected:
  AwsCredentialsTest() {
    for (const char* name : kVariables) unsetenv(name);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere", 1);
    server_.set_keep_alive_timeout(1);
    url_ = absl::StrCat("http://127.0.0.1:", server_.bind_to_any_port("127.0.0.1"));
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) absl::SleepFor(absl::Milliseconds(1));
  }
  ~AwsCredentialsTest() override {
    server_.stop();
    thread_.join();
    for (const char* name : kVariables) unsetenv(name);
  }

  static std::string File(const std::string& name, const std::string& content) {
    const std::string path = testing::TempDir() + "/" + name;
    std::ofstream(path) << content;
    return path;
  }
  std::string Json(absl::Duration life) {
    return absl::StrCat("{\"AccessKeyId\":\"k", ++asked_,
                        "\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":\"",
                        absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::Now() + life, absl::UTCTimeZone()), "\"}");
  }

  httplib::Server server_;
  std::thread thread_;
  std::string url_;
  int asked_ = 0;
};

TEST_F(AwsCredentialsTest, GivenKeysStay) {
  AwsCredentialSource source({"a", "b", "c"});
  EXPECT_EQ(*source.Get(), (AwsCredentials{"a", "b", "c"}));
  EXPECT_FALSE(source.Renew());
}

TEST_F(AwsCredentialsTest, WithoutAnyItSaysWhereItLooked) {
  const absl::Status status = AwsCredentialSource().Get().status();
  EXPECT_TRUE(absl::IsUnauthenticated(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("AWS_ACCESS_KEY_ID"));
}

TEST_F(AwsCredentialsTest, TheEnvironment) {
  setenv("AWS_ACCESS_KEY_ID", "e", 1);
  setenv("AWS_SECRET_ACCESS_KEY", "f", 1);
  EXPECT_EQ(*AwsCredentialSource().Get(), (AwsCredentials{"e", "f", ""}));
}

TEST_F(AwsCredentialsTest, HalfOfWhatBelongsTogetherIsSaid) {
  const auto said = [] {
    const absl::Status status = AwsCredentialSource().Get().status();
    EXPECT_TRUE(absl::IsUnauthenticated(status)) << status;
    return std::string(status.message());
  };
  setenv("AWS_SHARED_CREDENTIALS_FILE", File("half", "[default]\naws_access_key_id = d\n").c_str(), 1);
  EXPECT_THAT(said(), HasSubstr("aws_access_key_id and no aws_secret_access_key"));
  setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/token", 1);
  EXPECT_THAT(said(), HasSubstr("AWS_ROLE_ARN is not"));
  setenv("AWS_SECRET_ACCESS_KEY", "geheim", 1);
  EXPECT_THAT(said(), AllOf(HasSubstr("AWS_ACCESS_KEY_ID is not"), Not(HasSubstr("geheim"))));
}

TEST_F(AwsCredentialsTest, AProfile) {
  setenv("AWS_SHARED_CREDENTIALS_FILE",
         File("profiles",
              "[default]\naws_access_key_id = d\naws_secret_access_key = e\n# other\n[two]\naws_access_key_id=g\n"
              "aws_secret_access_key=h\naws_session_token=i\n")
             .c_str(),
         1);
  EXPECT_EQ(*AwsCredentialSource().Get(), (AwsCredentials{"d", "e", ""}));
  setenv("AWS_PROFILE", "two", 1);
  EXPECT_EQ(*AwsCredentialSource().Get(), (AwsCredentials{"g", "h", "i"}));
  setenv("AWS_PROFILE", "three", 1);
  EXPECT_THAT(std::string(AwsCredentialSource().Get().status().message()), HasSubstr("three"));
}

TEST_F(AwsCredentialsTest, AWebIdentity) {
  std::string body;
  server_.Post("/", [&](const httplib::Request& request, httplib::Response& response) {
    body = request.get_param_value("RoleArn") + "|" + request.get_param_value("WebIdentityToken");
    response.set_content(
        "<R><Credentials><AccessKeyId>w</AccessKeyId><SecretAccessKey>x</SecretAccessKey><SessionToken>y</SessionToken>"
        "<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></R>",
        "text/xml");
  });
  setenv("AWS_WEB_IDENTITY_TOKEN_FILE", File("token", "to=k&en\n").c_str(), 1);
  setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/r", 1);
  setenv("AWS_ENDPOINT_URL_STS", url_.c_str(), 1);
  const auto keys = AwsCredentialSource().Get();
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(*keys, (AwsCredentials{"w", "x", "y"}));
  EXPECT_EQ(body, "arn:aws:iam::1:role/r|to=k&en");
}

TEST_F(AwsCredentialsTest, AContainerWhoseKeysEndSoonIsAskedAgain) {
  server_.Get("/keys", [&](const httplib::Request& request, httplib::Response& response) {
    if (request.get_header_value("Authorization") != "pass") response.status = 401;
    response.set_content(Json(asked_ == 0 ? absl::Minutes(4) : absl::Hours(1)), "application/json");
  });
  setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", (url_ + "/keys").c_str(), 1);
  setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pass", 1);
  AwsCredentialSource source;
  EXPECT_EQ(source.Get()->access_key, "k1");
  EXPECT_EQ(source.Get()->access_key, "k2");
  EXPECT_EQ(source.Get()->access_key, "k2");
  EXPECT_TRUE(source.Renew());
  EXPECT_EQ(source.Get()->access_key, "k3");
  setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "wrong", 1);
  EXPECT_TRUE(absl::IsUnauthenticated(AwsCredentialSource().Get().status()));
}

TEST_F(AwsCredentialsTest, AnInstance) {
  server_.Put("/latest/api/token", [](const httplib::Request&, httplib::Response& response) {
    response.set_content("session", "text/plain");
  });
  const auto checked = [this](const char* content) {
    return [content, this](const httplib::Request& request, httplib::Response& response) {
      if (request.get_header_value("x-aws-ec2-metadata-token") != "session") response.status = 401;
      response.set_content(*content == '\0' ? Json(absl::Hours(1)) : content, "text/plain");
    };
  };
  server_.Get("/latest/meta-data/iam/security-credentials/", checked("role\n"));
  server_.Get("/latest/meta-data/iam/security-credentials/role", checked(""));
  unsetenv("AWS_EC2_METADATA_DISABLED");
  setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", (url_ + "/").c_str(), 1);
  const auto keys = AwsCredentialSource().Get();
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(keys->session_token, "t");
}

}  // namespace
}  // namespace wallaby

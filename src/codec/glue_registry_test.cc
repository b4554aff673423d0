// Glue's documented requests and answers against a server in this process, which checks the signature as Glue does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/aws_signature.h"
#include "codec/avro_compatibility.h"
#include "codec/schema_registry.h"
#include "httplib.h"

namespace wallaby {
namespace {

using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::json;

class GlueTest : public testing::Test {
 protected:
  GlueTest() {
    server_.Post("/",
                 [this](const httplib::Request& request, httplib::Response& response) { Answer(request, response); });
    server_.set_keep_alive_timeout(1);
    url_ = absl::StrCat("http://127.0.0.1:", server_.bind_to_any_port("127.0.0.1"));
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) absl::SleepFor(absl::Milliseconds(1));
    setenv("AWS_REGION", "eu-west-1", 1);
  }
  ~GlueTest() override {
    server_.stop();
    thread_.join();
    unsetenv("AWS_REGION");
  }

  std::shared_ptr<SchemaRegistry> Make(const std::string& secret = "secret") {
    auto registry = MakeSchemaRegistry({.kind = "glue", .url = url_ + "/mine", .username = "key", .password = secret});
    EXPECT_TRUE(registry.ok()) << registry.status();
    return *registry;
  }

  void Answer(const httplib::Request& request, httplib::Response& response) {
    const auto error = [&](int status, const std::string& kind, const std::string& words) {
      response.status = status;
      response.set_content(Json{{"__type", "com.amazonaws.glue#" + kind}, {"Message", words}}.dump(),
                           "application/json");
    };
    if (!Signed(request)) return error(403, "InvalidSignatureException", "the signature does not match");
    const std::string target = request.get_header_value("x-amz-target");
    calls_.push_back(target.substr(target.find('.') + 1));
    const Json body = Json::parse(request.body);
    const auto reply = [&](Json answer) { response.set_content(answer.dump(), "application/json"); };
    if (calls_.back() == "GetSchemaVersion") return reply(Version(body["SchemaVersionId"], "AVAILABLE"));
    if (calls_.back() == "CheckSchemaVersionValidity")
      return reply({{"Valid", body["SchemaDefinition"] != "bad"}, {"Error", "told so"}});
    const Json id = calls_.back() == "CreateSchema"
                        ? Json{{"SchemaName", body["SchemaName"]}, {"RegistryName", body["RegistryId"]["RegistryName"]}}
                        : body["SchemaId"];
    if (id["RegistryName"] != "mine") return error(400, "EntityNotFoundException", "no such registry");
    auto& versions = schemas_[id["SchemaName"]];
    const std::string definition = body["SchemaDefinition"];
    for (size_t i = 0; i < versions.size(); ++i) {
      if (versions[i].first == definition) return reply(Version(Uuid(id["SchemaName"], i), versions[i].second));
    }
    if (calls_.back() == "GetSchemaByDefinition" || (calls_.back() == "RegisterSchemaVersion" && versions.empty())) {
      return error(400, "EntityNotFoundException", "no such schema");
    }
    const bool fits = versions.empty() || AvroCanRead(definition, versions.back().first).ok();
    versions.emplace_back(definition, fits ? "AVAILABLE" : "FAILURE");
    Json answer = Version(Uuid(id["SchemaName"], versions.size() - 1), fits ? "PENDING" : "FAILURE");
    answer["VersionNumber"] = versions.size();
    if (calls_.back() == "CreateSchema") answer["SchemaVersionStatus"] = "AVAILABLE", answer.erase("Status");
    reply(answer);
  }

  // The signature made again from what arrived.
  static bool Signed(const httplib::Request& request) {
    AwsRequest again{.host = request.get_header_value("Host"), .body = request.body};
    for (const char* name : {"content-type", "x-amz-target"}) again.headers[name] = request.get_header_value(name);
    absl::Time time;
    std::string error;
    if (!absl::ParseTime("%E4Y%m%dT%H%M%SZ", request.get_header_value("x-amz-date"), &time, &error)) return false;
    const auto headers = SignAwsRequest(again, {"key", "secret", ""}, "eu-west-1", "glue", time);
    return headers.back() == "Authorization: " + request.get_header_value("Authorization");
  }
  static std::string Uuid(const std::string& name, size_t version) {
    return absl::StrCat("a0eebc99-9c0b-4ef8-bb6d-6bb9bd38", absl::Hex(name.size() * 16 + version, absl::kZeroPad4));
  }
  static Json Version(const std::string& uuid, const std::string& status) {
    return {{"SchemaVersionId", uuid}, {"Status", status}, {"VersionNumber", 1}};
  }

  httplib::Server server_;
  std::thread thread_;
  std::string url_;
  std::vector<std::string> calls_;
  std::map<std::string, std::vector<std::pair<std::string, std::string>>> schemas_;
};

TEST_F(GlueTest, ANewSchemaThenAVersionThatFitsThenOneThatDoesNot) {
  const auto registry = Make();
  const auto first = registry->Register("t-value", SchemaType::kAvro, "\"int\"");
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(calls_, (std::vector<std::string>{"GetSchemaByDefinition", "RegisterSchemaVersion", "CreateSchema"}));
  EXPECT_EQ(first->id, Uuid("t-value", 0));
  EXPECT_EQ(first->frame.size(), 18u);
  EXPECT_EQ(first->frame.substr(0, 6), std::string("\3\0\xa0\xee\xbc\x99", 6));
  calls_.clear();
  const auto second = registry->Register("t-value", SchemaType::kAvro, "\"long\"");
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(calls_, (std::vector<std::string>{"GetSchemaByDefinition", "RegisterSchemaVersion", "GetSchemaVersion"}));
  EXPECT_EQ(second->id, Uuid("t-value", 1));
  for (int time = 0; time < 2; ++time) {  // it stays refused
    const absl::Status refused = registry->Register("t-value", SchemaType::kAvro, "\"boolean\"").status();
    EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
    EXPECT_THAT(std::string(refused.message()), HasSubstr("t-value"));
  }
  EXPECT_EQ(Make()->Lookup("t-value", SchemaType::kAvro, "\"int\"")->id, first->id);
}

TEST_F(GlueTest, Validity) {
  EXPECT_TRUE(Make()->Check("s", SchemaType::kAvro, "\"int\"").ok());
  const absl::Status status = Make()->Check("s", SchemaType::kAvro, "bad");
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("told so"));
}

TEST_F(GlueTest, AWrongSecret) {
  const absl::Status status = Make("wrong")->Register("s", SchemaType::kAvro, "\"int\"").status();
  EXPECT_TRUE(absl::IsUnauthenticated(status)) << status;
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("wrong")));
}

TEST(GlueOptionsTest, WhatIsMissing) {
  const absl::Status keys =
      MakeSchemaRegistry({.kind = "glue", .url = "https://glue.eu-west-1.amazonaws.com"}).status();
  EXPECT_THAT(std::string(keys.message()), HasSubstr("schema_registry_username"));
  const absl::Status place = MakeSchemaRegistry({.kind = "glue", .username = "a", .password = "b"}).status();
  EXPECT_THAT(std::string(place.message()), HasSubstr("schema_registry_url"));
  EXPECT_TRUE(absl::IsInvalidArgument(keys) && absl::IsInvalidArgument(place));
}

}  // namespace
}  // namespace wallaby

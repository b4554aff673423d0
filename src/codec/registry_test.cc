// The registries that need no server, and what answers of an HTTP registry mean. test/codec runs them against real
// ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "codec/codec.h"
#include "codec/schema_registry.h"
#include "codec/test_batches.h"
#include "httplib.h"

namespace wallaby {
namespace {

using testing::HasSubstr;
using testing::Not;

std::shared_ptr<SchemaRegistry> Make(const RegistryOptions& options) {
  auto registry = MakeSchemaRegistry(options);
  EXPECT_TRUE(registry.ok()) << registry.status();
  return *registry;
}

// ---- local ----

class LocalRegistryTest : public testing::Test {
 protected:
  LocalRegistryTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "wallaby-registry-test.XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~LocalRegistryTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
};

TEST_F(LocalRegistryTest, IdsAndVersions) {
  const auto registry = Make({.kind = "local", .url = folder_});
  const auto a1 = registry->Register("a-value", SchemaType::kAvro, "\"int\"");
  const auto b1 = registry->Register("b/../b", SchemaType::kAvro, "\"string\"");
  const auto a2 = registry->Register("a-value", SchemaType::kAvro, "\"long\"");
  ASSERT_TRUE(a1.ok() && b1.ok() && a2.ok()) << a1.status() << b1.status() << a2.status();
  EXPECT_EQ(a1->version, 1);
  EXPECT_EQ(b1->version, 1);
  EXPECT_EQ(a2->version, 2);
  EXPECT_EQ(a1->id, "1");
  EXPECT_EQ(b1->id, "2");
  EXPECT_EQ(a2->id, "3");
  EXPECT_EQ(a2->frame, std::string_view("\0\0\0\0\3", 5));
  // Another object, as after a restart.
  const auto again = Make({.kind = "local", .url = absl::StrCat("file://", folder_.string(), "/")});
  EXPECT_EQ(again->Register("a-value", SchemaType::kAvro, "\"int\"")->id, a1->id);
  EXPECT_EQ(again->Lookup("a-value", SchemaType::kAvro, "\"long\"")->id, a2->id);
  EXPECT_TRUE(absl::IsNotFound(again->Lookup("a-value", SchemaType::kProtobuf, "\"long\"").status()));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "b%2F..%2Fb" / "1-2.avsc"));
}

TEST_F(LocalRegistryTest, RefusesWhatIsIncompatible) {
  const auto registry = Make({.kind = "local", .url = folder_});
  ASSERT_TRUE(registry->Register("s", SchemaType::kAvro, "\"int\"").ok());
  for (const absl::Status& status : {registry->Check("s", SchemaType::kAvro, "\"string\""),
                                     registry->Register("s", SchemaType::kAvro, "\"string\"").status()}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("subject s: at /: the new type string does not read the old int"));
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(registry->Register("s", SchemaType::kProtobuf, "message").status()));
  EXPECT_TRUE(registry->Check("new", SchemaType::kAvro, "\"string\"").ok());
}

TEST_F(LocalRegistryTest, ManyAtOnce) {
  std::vector<std::thread> threads;
  std::vector<std::string> ids(8);
  for (size_t i = 0; i < ids.size(); ++i) {
    threads.emplace_back([&, i] {
      const auto added =
          Make({.kind = "local", .url = folder_})->Register(absl::StrCat("subject", i), SchemaType::kAvro, "\"int\"");
      ids[i] = added.ok() ? added->id : "";
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::sort(ids.begin(), ids.end());
  for (size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(ids[i], absl::StrCat(i + 1));
}

TEST_F(LocalRegistryTest, WhatIsNoEntryIsPassedOver) {
  std::filesystem::create_directory(folder_ / "s");
  for (const char* name : {"x", "1", "1-", "1-2", "-1-2.avsc", "0-1.avsc", "1-2.avsc.new", "99999999999-1.avsc"}) {
    std::ofstream(folder_ / "s" / name) << "\"int\"";
  }
  const auto added = Make({.kind = "local", .url = folder_})->Register("s", SchemaType::kAvro, "\"int\"");
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->id, "1");
  EXPECT_EQ(added->version, 1);
}

// ---- over HTTP ----

class HttpRegistryTest : public testing::Test {
 protected:
  HttpRegistryTest() {
    server_.Post(".*", [this](const httplib::Request& request, httplib::Response& response) {
      ++requests_;
      authorization_ = request.get_header_value("Authorization");
      path_ = request.path;
      response.status = status_;
      response.set_content(body_, "application/json");
    });
    url_ = absl::StrCat("http://127.0.0.1:", server_.bind_to_any_port("127.0.0.1"));
    server_.set_keep_alive_timeout(1);
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) absl::SleepFor(absl::Milliseconds(1));
  }
  ~HttpRegistryTest() override {
    server_.stop();
    thread_.join();
  }

  RegistryOptions Csr() const { return {.kind = "csr", .url = url_}; }

  httplib::Server server_;
  std::thread thread_;
  std::string url_;
  int status_ = 200;
  std::string body_;
  int requests_ = 0;
  std::string authorization_, path_;
};

TEST_F(HttpRegistryTest, WhatAnswersMean) {
  const std::pair<int, absl::StatusCode> kCases[] = {
      {400, absl::StatusCode::kInvalidArgument},  {401, absl::StatusCode::kUnauthenticated},
      {403, absl::StatusCode::kPermissionDenied}, {409, absl::StatusCode::kFailedPrecondition},
      {422, absl::StatusCode::kInvalidArgument},  {429, absl::StatusCode::kUnavailable},
      {500, absl::StatusCode::kUnavailable},      {503, absl::StatusCode::kUnavailable},
      {302, absl::StatusCode::kInternal}};
  body_ = R"({"error_code":40901,"message":"told\nso"})";
  for (const auto& [status, code] : kCases) {
    status_ = status;
    const auto result = Make(Csr())->Register("s", SchemaType::kAvro, "\"int\"");
    EXPECT_EQ(result.status().code(), code) << status << ": " << result.status();
    EXPECT_THAT(std::string(result.status().message()), HasSubstr("told so"));
  }
}

TEST_F(HttpRegistryTest, AnswersThatAreNone) {
  for (const char* body :
       {"", "{", "[]", "{}", "7", R"({"id":"x","version":1})", R"({"id":-1,"version":1})",
        R"({"id":99999999999,"version":1})", R"({"id":1.5,"version":1})", R"({"id":[],"version":1})"}) {
    body_ = body;
    EXPECT_TRUE(absl::IsInternal(Make(Csr())->Register("s", SchemaType::kAvro, "\"int\"").status())) << body;
    EXPECT_FALSE(Make({.kind = "apicurio", .url = url_})->Register("s", SchemaType::kAvro, "\"int\"").ok()) << body;
    EXPECT_TRUE(absl::IsInternal(Make(Csr())->Check("s", SchemaType::kAvro, "\"int\""))) << body;
  }
}

TEST_F(HttpRegistryTest, ASchemaCostsOneRequest) {
  body_ = R"({"id":7,"version":3})";
  const auto registry = Make(Csr());
  for (int i = 0; i < 3; ++i) {
    const auto schema = registry->Register("a/b c", SchemaType::kAvro, "\"int\"");
    ASSERT_TRUE(schema.ok()) << schema.status();
    EXPECT_EQ(schema->id, "7");
    EXPECT_EQ(schema->version, 3);
  }
  EXPECT_EQ(requests_, 1);
  EXPECT_EQ(path_, "/subjects/a/b c");
}

TEST_F(HttpRegistryTest, CredentialsAreSentAndNeverShown) {
  body_ = R"({"id":7,"version":3})";
  RegistryOptions options = Csr();
  options.username = "user";
  options.password = "secret";
  ASSERT_TRUE(Make(options)->Register("s", SchemaType::kAvro, "\"int\"").ok());
  EXPECT_EQ(authorization_, "Basic dXNlcjpzZWNyZXQ=");
  options.token = "tok";
  ASSERT_TRUE(Make(options)->Register("s", SchemaType::kAvro, "\"int\"").ok());
  EXPECT_EQ(authorization_, "Bearer tok");
  status_ = 401;
  const absl::Status refused = Make(options)->Register("s", SchemaType::kAvro, "\"int\"").status();
  EXPECT_THAT(std::string(refused.message()), Not(HasSubstr("secret")));
}

TEST_F(HttpRegistryTest, NobodyThere) {
  const auto result = Make({.kind = "csr", .url = "http://127.0.0.1:1"})->Register("s", SchemaType::kAvro, "\"int\"");
  EXPECT_TRUE(absl::IsUnavailable(result.status())) << result.status();
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("http://127.0.0.1:1"));
}

// A registry that refuses a table's schema fails the description of the table, before any row.
TEST_F(HttpRegistryTest, ACodecHandsTheRefusalOn) {
  status_ = 409;
  body_ = R"({"error_code":409,"message":"incompatible with version 3"})";
  CodecOptions options;
  options.format = WireFormat::kAvro;
  options.registry = Make(Csr());
  auto codec = MakeCodec(options);
  ASSERT_TRUE(codec.ok());
  const absl::Status status = (*codec)->Describe(OrdersRelation()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("shop.orders-key"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("incompatible with version 3"));
}

TEST(RegistryOptionsTest, Refusals) {
  const RegistryOptions kBad[] = {{.kind = "csr"},
                                  {.kind = "csr", .url = "localhost:8081"},
                                  {.kind = "csr", .url = "http://user:secret@host"},
                                  {.kind = "csr", .url = "http:///path"},
                                  {.kind = "csr", .url = "http://host?x"},
                                  {.kind = "csr", .url = "http://host", .token = "a\nb"},
                                  {.kind = "postgres"},
                                  {.kind = "local"},
                                  {.kind = "confluent"}};
  for (const RegistryOptions& options : kBad) {
    const absl::Status status = MakeSchemaRegistry(options).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << options.kind << " " << options.url;
    EXPECT_THAT(std::string(status.message()), HasSubstr("schema_registry"));
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("secret")));
  }
  EXPECT_EQ(Make({}), nullptr);
}

TEST(SubjectNamesTest, Modes) {
  EXPECT_EQ(SubjectNames{}.Of("t", "a.R", false), "t-value");
  EXPECT_EQ(SubjectNames{}.Of("t", "a.K", true), "t-key");
  EXPECT_EQ((SubjectNames{.mode = SubjectMode::kRecord}.Of("t", "a.R", false)), "a.R");
  EXPECT_EQ((SubjectNames{.mode = SubjectMode::kTopicRecord}.Of("t", "a.R", false)), "t-a.R");
  EXPECT_EQ((SubjectNames{.fixed = "mine"}.Of("t", "a.R", false)), "mine");
  EXPECT_EQ((SubjectNames{.fixed = "mine"}.Of("t", "a.R", true)), "mine-key");
}

}  // namespace
}  // namespace wallaby

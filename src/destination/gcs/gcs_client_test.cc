// Answers of Google that the emulator does not give, from a server in this process. What a real server says,
// destination/files/bucket_test.cc asks.
#include "destination/gcs/gcs_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "destination/objects/test_service.h"

namespace wallaby {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class GcsClientTest : public TestService {
 protected:
  GcsClient Client() const { return GcsClient({.bucket = "lake", .credentials = "", .endpoint = url_, .ca = ""}); }
  static void Error(httplib::Response& response, int status, const std::string& reason, const std::string& words) {
    response.status = status;
    response.set_content(absl::StrCat(R"({"error": {"code": )", status, R"(, "message": ")", words,
                                      R"(", "errors": [{"reason": ")", reason, R"("}]}})"),
                         "application/json");
  }
};

TEST_F(GcsClientTest, TooManyRequestsAreTriedAgain) {
  int left = 2;
  answer_ = [&](const httplib::Request& request, httplib::Response& response) {
    EXPECT_FALSE(request.has_header("Authorization"));
    if (left-- > 0) return Error(response, left > 0 ? 429 : 403, "userRateLimitExceeded", "slower");
    response.set_header("x-goog-generation", "17");
    response.set_content("content", "text/plain");
  };
  const auto object = Client().Get("a b/ü+%20");
  ASSERT_TRUE(object.ok()) << object.status();
  EXPECT_EQ(object->content, "content");
  EXPECT_EQ(object->etag, "17");
  const std::string target = "GET /storage/v1/b/lake/o/a%20b%2F%C3%BC%2B%2520?alt=media";
  EXPECT_THAT(requests_, ElementsAre(target, target, target));
}

TEST_F(GcsClientTest, ConditionsAndTheirRefusals) {
  std::string seen;
  answer_ = [&](const httplib::Request& request, httplib::Response& response) {
    seen = request.get_param_value("ifGenerationMatch");
    if (seen == "16") return Error(response, 412, "conditionNotMet", "not so");
    response.set_content(R"({"name": "k", "generation": "17"})", "application/json");
  };
  GcsClient client = Client();
  EXPECT_EQ(**client.PutIf("k", "first", "text/plain", ""), "17");
  EXPECT_EQ(seen, "0");
  EXPECT_FALSE(client.PutIf("k", "second", "text/plain", "16")->has_value());
}

TEST_F(GcsClientTest, ContentIsAnything) {
  std::string body, type;
  answer_ = [&](const httplib::Request& request, httplib::Response& response) {
    body = request.body;
    type = request.get_header_value("Content-Type");
    response.set_content("{}", "application/json");
  };
  const std::string content = std::string("\0\r\n--wallaby\r\n--wallaby-0--", 27);
  ASSERT_TRUE(Client().Put("k", content, "text/plain").ok());
  EXPECT_EQ(type, "multipart/related; boundary=wallaby-1");
  EXPECT_THAT(body, HasSubstr(absl::StrCat("\r\n\r\n", content, "\r\n--wallaby-1--")));
}

TEST_F(GcsClientTest, ErrorsSayWhatToDo) {
  const auto said = [&](int status, const std::string& reason, const std::string& words) {
    answer_ = [=](const httplib::Request&, httplib::Response& response) { Error(response, status, reason, words); };
    const absl::Status answer = Client().Put("k", "c", "text/plain");
    EXPECT_FALSE(absl::IsUnavailable(answer)) << answer;
    return answer.ToString();
  };
  EXPECT_THAT(said(404, "notFound", "The specified bucket does not exist."),
              AllOf(HasSubstr("FAILED_PRECONDITION"), HasSubstr("writing k in bucket lake at http"),
                    HasSubstr("make the bucket")));
  EXPECT_THAT(said(403, "forbidden", "no access"),
              AllOf(HasSubstr("PERMISSION_DENIED"), HasSubstr("permissions of docs/destinations/gcs.md")));
  EXPECT_THAT(said(401, "authError", "Invalid Credentials"),
              AllOf(HasSubstr("UNAUTHENTICATED"), HasSubstr("check option credentials")));
  answer_ = [](const httplib::Request&, httplib::Response& response) {
    response.status = 404;
    response.set_content("The specified bucket does not exist.", "text/plain");
  };
  EXPECT_TRUE(absl::IsFailedPrecondition(Client().Get("k").status()));
  answer_ = [](const httplib::Request&, httplib::Response& response) {
    response.status = 404;
    response.set_content("No such object: lake/k", "text/plain");
  };
  EXPECT_TRUE(absl::IsNotFound(Client().Get("k").status()));
  EXPECT_TRUE(Client().Delete("k").ok());
}

TEST_F(GcsClientTest, ListsGoOnWhereTheyWereCut) {
  answer_ = [&](const httplib::Request& request, httplib::Response& response) {
    const bool second = request.get_param_value("pageToken") == "t=1";
    response.set_content(
        second ? R"({"items": [{"name": "p/2"}]})" : R"({"items": [{"name": "p/1"}], "nextPageToken": "t=1"})",
        "application/json");
  };
  const auto keys = Client().List("p/");
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_THAT(*keys, ElementsAre("p/1", "p/2"));
}

// As Google does: it takes a part, and of that less than it was sent; a connection breaks; then the rest.
TEST_F(GcsClientTest, WhatWasNotTakenIsSentAgain) {
  std::string stored;
  std::vector<std::string> ranges;
  answer_ = [&](const httplib::Request& request, httplib::Response& response) {
    if (request.method == "POST") return response.set_header("Location", url_ + "/session?upload_id=geheim");
    ranges.push_back(request.get_header_value("Content-Range"));
    if (ranges.size() == 3) return Error(response, 503, "backendError", "later");
    const size_t takes = ranges.size() == 1 ? 3 : request.body.size();
    stored += request.body.substr(0, takes);
    const bool ends = ranges.back().ends_with("/8");
    response.status = ends ? 200 : 308;
    if (ends) return response.set_content("{}", "application/json");
    response.set_header("Range", absl::StrCat("bytes=0-", stored.size() - 1));
  };
  GcsClient client = Client();
  auto upload = client.BeginUpload("k", "text/plain");
  ASSERT_TRUE(upload.ok()) << upload.status();
  ASSERT_TRUE(client.PutPart(&*upload, "01234").ok());
  const absl::Status status = client.CompleteUpload(*std::move(upload), "567");
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(stored, "01234567");
  EXPECT_THAT(ranges, ElementsAre("bytes 0-4/*", "bytes 3-4/*", "bytes 5-7/8", "bytes 5-7/8"));
}

TEST_F(GcsClientTest, AnUploadWhoseCompletionWasNotHeardOfIsLookedUp) {
  answer_ = [&](const httplib::Request& request, httplib::Response& response) {
    if (request.method == "PUT") return Error(response, 410, "gone", "no such session");
    response.set_content(R"({"items": [{"name": "k"}]})", "application/json");
  };
  EXPECT_TRUE(Client().CompleteUpload({.key = "k", .id = url_ + "/s", .parts = {}, .bytes = 5}, "").ok());
  EXPECT_TRUE(
      absl::IsUnavailable(Client().CompleteUpload({.key = "other", .id = url_ + "/s", .parts = {}, .bytes = 5}, "")));
}

TEST_F(GcsClientTest, ATokenThatWasCalledBackIsReplaced) {
  setenv("GCE_METADATA_HOST", url_.substr(url_.find("://") + 3).c_str(), 1);
  int tokens = 0;
  std::vector<std::string> sent;
  answer_ = [&](const httplib::Request& request, httplib::Response& response) {
    if (request.has_header("Metadata-Flavor")) {
      const std::string token = absl::StrCat("t", ++tokens);
      return response.set_content(absl::StrCat(R"({"access_token": ")", token, R"(", "expires_in": 3600})"),
                                  "application/json");
    }
    sent.push_back(request.get_header_value("Authorization"));
    if (sent.back() == "Bearer t1") return Error(response, 401, "authError", "Invalid Credentials");
    response.set_content("x", "text/plain");
  };
  // Not a plain http:// URL, so that a token is wanted; WithScheme() leaves what is one in other letters.
  GcsClient client({.bucket = "lake", .credentials = "", .endpoint = "HTTP" + url_.substr(4), .ca = ""});
  const auto object = client.Get("k");
  unsetenv("GCE_METADATA_HOST");
  ASSERT_TRUE(object.ok()) << object.status();
  EXPECT_THAT(sent, ElementsAre("Bearer t1", "Bearer t2"));
}

TEST(GcsClientPlaceTest, Endpoints) {
  EXPECT_EQ(GcsClient({.bucket = "b", .credentials = "", .endpoint = "", .ca = ""}).endpoint(),
            "https://storage.googleapis.com");
  EXPECT_EQ(GcsUrl("b", "lake"), "gs://b/lake");
}

}  // namespace
}  // namespace wallaby

// Answers of S3 that a test's server does not give by itself, from a server in this process. What a real server says,
// destination/files/bucket_test.cc asks.
#include "destination/s3/s3_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "destination/objects/test_service.h"

namespace wallaby {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class S3ClientTest : public TestService {
 protected:
  S3ClientTest() : TestService(&httplib::Request::path) {}

  S3Client Client() const {
    return S3Client({.bucket = "b", .region = "eu-west-1", .endpoint = url_, .credentials = {"key", "secret", ""}});
  }
  static void Error(httplib::Response& response, int status, const std::string& code, const std::string& rest = "") {
    response.status = status;
    response.set_content(absl::StrCat("<Error><Code>", code, "</Code><Message>so it is</Message>", rest, "</Error>"),
                         "application/xml");
  }
};

TEST_F(S3ClientTest, SlowDownIsTriedAgain) {
  int left = 2;
  answer_ = [&](const httplib::Request&, httplib::Response& response) {
    if (left-- > 0) return Error(response, 503, "SlowDown");
    response.set_header("ETag", "\"abc\"");
    response.set_content("content", "text/plain");
  };
  const auto object = Client().Get("a b/ü+%20");
  ASSERT_TRUE(object.ok()) << object.status();
  EXPECT_EQ(object->content, "content");
  EXPECT_EQ(object->etag, "\"abc\"");
  EXPECT_THAT(requests_, ElementsAre("GET /b/a b/ü+%20", "GET /b/a b/ü+%20", "GET /b/a b/ü+%20"));
}

TEST_F(S3ClientTest, ConditionsAreSaidAndHeard) {
  std::string seen;
  answer_ = [&](const httplib::Request& request, httplib::Response& response) {
    seen = absl::StrCat(request.get_header_value("If-None-Match"), "|", request.get_header_value("If-Match"));
    if (request.body == "taken") return Error(response, 412, "PreconditionFailed");
    response.set_header("ETag", "\"new\"");
  };
  S3Client client = Client();
  auto put = client.PutIf("k", "first", "text/plain", "");
  ASSERT_TRUE(put.ok() && put->has_value());
  EXPECT_EQ(**put, "\"new\"");
  EXPECT_EQ(seen, "*|");
  put = client.PutIf("k", "taken", "text/plain", "\"old\"");
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_FALSE(put->has_value());
  EXPECT_EQ(seen, "|\"old\"");
}

TEST_F(S3ClientTest, TwoConditionalWritesAtOnceAreTriedAgain) {
  int left = 1;
  answer_ = [&](const httplib::Request&, httplib::Response& response) {
    if (left-- > 0) return Error(response, 409, "ConditionalRequestConflict");
    response.set_header("ETag", "\"e\"");
  };
  EXPECT_TRUE(Client().PutIf("k", "c", "text/plain", "")->has_value());
}

TEST_F(S3ClientTest, AClockThatIsOffIsCorrected) {
  const absl::Time theirs = absl::Now() + absl::Hours(3);
  std::vector<std::string> dates;
  answer_ = [&](const httplib::Request& request, httplib::Response& response) {
    dates.push_back(request.get_header_value("x-amz-date").substr(0, 11));
    response.set_header("Date", absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", theirs, absl::UTCTimeZone()));
    if (dates.size() == 1) return Error(response, 403, "RequestTimeTooSkewed");
    response.set_content("x", "text/plain");
  };
  S3Client client = Client();
  ASSERT_TRUE(client.Get("k").ok());
  ASSERT_TRUE(client.Get("k").ok());
  const std::string wanted = absl::FormatTime("%Y%m%dT%H", theirs, absl::UTCTimeZone());
  EXPECT_EQ(dates[1], wanted);
  EXPECT_EQ(dates.size(), 3u);
}

TEST_F(S3ClientTest, ErrorsSayWhatToDo) {
  const auto said = [&](int status, const std::string& code, const std::string& rest = "") {
    answer_ = [=](const httplib::Request&, httplib::Response& response) { Error(response, status, code, rest); };
    const absl::Status answer = Client().Put("k", "c", "text/plain");
    EXPECT_FALSE(absl::IsUnavailable(answer)) << answer;
    return answer.ToString();
  };
  EXPECT_THAT(said(403, "AccessDenied"),
              AllOf(HasSubstr("PERMISSION_DENIED"), HasSubstr("writing k in bucket b at http"),
                    HasSubstr("permissions of docs/destinations/s3.md")));
  EXPECT_THAT(said(403, "InvalidAccessKeyId"), AllOf(HasSubstr("UNAUTHENTICATED"), HasSubstr("check access_key")));
  EXPECT_THAT(said(400, "ExpiredToken"), AllOf(HasSubstr("UNAUTHENTICATED"), HasSubstr("new session_token")));
  EXPECT_THAT(said(403, "RequestTimeTooSkewed"), AllOf(HasSubstr("this machine's clock"), HasSubstr("set the clock")));
  EXPECT_THAT(said(404, "NoSuchBucket"), HasSubstr("make the bucket, or correct option bucket"));
  EXPECT_THAT(said(301, "PermanentRedirect", "<Endpoint>b.s3.us-west-2.amazonaws.com</Endpoint>"),
              AllOf(HasSubstr("another region than eu-west-1"), HasSubstr("b.s3.us-west-2.amazonaws.com")));
  EXPECT_THAT(said(400, "AuthorizationHeaderMalformed", "<Region>us-west-2</Region>"),
              HasSubstr("set option region to us-west-2"));
}

TEST_F(S3ClientTest, ListsGoOnWhereTheyWereCut) {
  answer_ = [&](const httplib::Request& request, httplib::Response& response) {
    const bool second = request.get_param_value("continuation-token") == "t=1";
    response.set_content(second ? "<L><IsTruncated>false</IsTruncated><Contents><Key>p/2</Key></Contents></L>"
                                : "<L><IsTruncated>true</IsTruncated><Contents><Key>p/1</Key></Contents>"
                                  "<NextContinuationToken>t=1</NextContinuationToken></L>",
                         "application/xml");
  };
  const auto keys = Client().List("p/");
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_THAT(*keys, ElementsAre("p/1", "p/2"));
}

TEST_F(S3ClientTest, AnUploadWhoseCompletionWasNotHeardOfIsLookedUp) {
  answer_ = [&](const httplib::Request& request, httplib::Response& response) {
    if (request.method == "POST") return Error(response, 404, "NoSuchUpload");
    response.set_content("<L><Contents><Key>k</Key></Contents></L>", "application/xml");
  };
  EXPECT_TRUE(Client().CompleteUpload({.key = "k", .id = "id", .parts = {"e"}}, "").ok());
  EXPECT_TRUE(absl::IsUnavailable(Client().CompleteUpload({.key = "other", .id = "id", .parts = {"e"}}, "")));
}

TEST_F(S3ClientTest, AnErrorBehindAStatusOfSuccessIsOne) {
  int left = 1;
  answer_ = [&](const httplib::Request&, httplib::Response& response) {
    if (left-- > 0) return Error(response, 200, "InternalError");
    response.set_content("<C><ETag>e</ETag></C>", "application/xml");
  };
  EXPECT_TRUE(Client().CompleteUpload({.key = "k", .id = "id", .parts = {"e"}}, "").ok());
  EXPECT_EQ(requests_.size(), 2u);
}

TEST(S3ClientPlaceTest, Endpoints) {
  const auto endpoint = [](S3Options options) {
    options.bucket = "b";
    return S3Client(options).endpoint();
  };
  EXPECT_EQ(endpoint({.region = "eu-west-1"}), "https://s3.eu-west-1.amazonaws.com");
  EXPECT_EQ(endpoint({.region = "us-gov-west-1", .use_fips = true, .use_dualstack = true}),
            "https://s3-fips.dualstack.us-gov-west-1.amazonaws.com");
  EXPECT_EQ(endpoint({.region = "cn-north-1"}), "https://s3.cn-north-1.amazonaws.com.cn");
  EXPECT_EQ(endpoint({.endpoint = "storage.googleapis.com/"}), "https://storage.googleapis.com");
}

}  // namespace
}  // namespace wallaby

// Answers of Azure that the emulator does not give, from a server in this process. What a real server says,
// destination/files/bucket_test.cc asks.
#include "destination/azure/azure_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "destination/azure/shared_key.h"
#include "destination/objects/test_service.h"

namespace wallaby {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class AzureClientTest : public TestService {
 protected:
  AzureClient Client() const {
    return AzureClient(
        {.container = "lake", .account = "shop", .key = "c2VjcmV0LWtleQ==", .sas = "", .endpoint = url_, .ca = ""});
  }
  static void Error(httplib::Response& response, int status, const std::string& code, const std::string& rest = "") {
    response.status = status;
    response.set_header("x-ms-error-code", code);
    response.set_content(absl::StrCat("<?xml version=\"1.0\"?><Error><Code>", code, "</Code><Message>So it is.\n",
                                      "RequestId:1</Message>", rest, "</Error>"),
                         "application/xml");
  }
};

TEST_F(AzureClientTest, ServerBusyIsTriedAgain) {
  int left = 2;
  answer_ = [&](const httplib::Request&, httplib::Response& response) {
    if (left-- > 0) return Error(response, 503, "ServerBusy");
    response.set_header("ETag", "\"0x8D\"");
    response.set_content("content", "text/plain");
  };
  const auto object = Client().Get("a b/ü+%20");
  ASSERT_TRUE(object.ok()) << object.status();
  EXPECT_EQ(object->content, "content");
  EXPECT_EQ(object->etag, "\"0x8D\"");
  const std::string target = "GET /lake/a%20b/%C3%BC%2B%2520";
  EXPECT_THAT(requests_, ElementsAre(target, target, target));
}

TEST_F(AzureClientTest, ConditionsAndTheirRefusals) {
  std::string seen;
  answer_ = [&](const httplib::Request& request, httplib::Response& response) {
    seen = absl::StrCat(request.get_header_value("If-None-Match"), "|", request.get_header_value("If-Match"));
    if (request.body == "taken") return Error(response, 409, "BlobAlreadyExists");
    if (request.body == "changed") return Error(response, 412, "ConditionNotMet");
    if (request.body == "leased") return Error(response, 409, "SnapshotsPresent");
    response.set_header("ETag", "\"new\"");
  };
  AzureClient client = Client();
  EXPECT_EQ(**client.PutIf("k", "first", "text/plain", ""), "\"new\"");
  EXPECT_EQ(seen, "*|");
  EXPECT_FALSE(client.PutIf("k", "taken", "text/plain", "")->has_value());
  EXPECT_FALSE(client.PutIf("k", "changed", "text/plain", "\"old\"")->has_value());
  EXPECT_EQ(seen, "|\"old\"");
  EXPECT_TRUE(absl::IsFailedPrecondition(client.PutIf("k", "leased", "text/plain", "").status()));
}

TEST_F(AzureClientTest, ATokenStandsInEveryUrlAndInNoError) {
  answer_ = [](const httplib::Request&, httplib::Response& response) { Error(response, 403, "AuthorizationFailure"); };
  AzureClient client({.container = "lake",
                      .account = "",
                      .key = "",
                      .sas = "sv=1&sig=geheim%3D",
                      .endpoint = url_ + "/shop",
                      .ca = ""});
  const absl::Status refused = client.List("p/").status();
  EXPECT_TRUE(absl::IsPermissionDenied(refused)) << refused;
  EXPECT_THAT(refused.ToString(),
              AllOf(HasSubstr("permissions of docs/destinations/azure.md"), Not(HasSubstr("geheim"))));
  EXPECT_TRUE(absl::IsPermissionDenied(client.Get("k").status()));
  EXPECT_THAT(requests_, ElementsAre("GET /shop/lake?comp=list&prefix=p%2F&restype=container&sv=1&sig=geheim%3D",
                                     "GET /shop/lake/k?sv=1&sig=geheim%3D"));
}

TEST_F(AzureClientTest, ErrorsSayWhatToDo) {
  const auto said = [&](int status, const std::string& code, const std::string& rest = "") {
    answer_ = [=](const httplib::Request&, httplib::Response& response) { Error(response, status, code, rest); };
    const absl::Status answer = Client().Put("k", "c", "text/plain");
    EXPECT_FALSE(absl::IsUnavailable(answer)) << answer;
    return answer.ToString();
  };
  EXPECT_THAT(said(404, "ContainerNotFound"),
              AllOf(HasSubstr("FAILED_PRECONDITION"), HasSubstr("writing k in container lake at http"),
                    HasSubstr("So it is.;"), HasSubstr("make the container")));
  EXPECT_THAT(said(403, "AuthenticationFailed",
                   "<AuthenticationErrorDetail>Signature not valid in the specified time frame\nmore"
                   "</AuthenticationErrorDetail>"),
              AllOf(HasSubstr("UNAUTHENTICATED"), HasSubstr("(Signature not valid in the specified time frame)"),
                    HasSubstr("new sas_token"), HasSubstr("this machine's clock")));
  EXPECT_THAT(said(403, "AuthorizationPermissionMismatch"), HasSubstr("PERMISSION_DENIED"));
  EXPECT_THAT(said(412, "LeaseIdMissing"), HasSubstr("LeaseIdMissing"));
}

TEST_F(AzureClientTest, ListsGoOnWhereTheyWereCut) {
  answer_ = [&](const httplib::Request& request, httplib::Response& response) {
    const bool second = request.get_param_value("marker") == "t=1";
    response.set_content(second ? "<E><Blobs><Blob><Name>p/2</Name></Blob></Blobs><NextMarker /></E>"
                                : "<E><Blobs><Blob><Name>p/1</Name></Blob></Blobs><NextMarker>t=1</NextMarker></E>",
                         "application/xml");
  };
  const auto keys = Client().List("p/");
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_THAT(*keys, ElementsAre("p/1", "p/2"));
}

TEST(AzureClientPlaceTest, Endpoints) {
  const auto endpoint = [](const std::string& given) {
    return AzureClient({.container = "c", .account = "shop", .key = "", .sas = "s", .endpoint = given, .ca = ""})
        .endpoint();
  };
  EXPECT_EQ(endpoint(""), "https://shop.blob.core.windows.net");
  EXPECT_EQ(endpoint("http://127.0.0.1:10000/shop/"), "http://127.0.0.1:10000/shop");
}

}  // namespace
}  // namespace wallaby

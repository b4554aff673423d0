#include "destination/http/http_sender.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "destination/http/test_receiver.h"
#include "destination/http/webhook_signature.h"

namespace wallaby {
namespace {

using testing::HasSubstr;
using Kind = Answer::Kind;

PushRequest Request() {
  return {.key = "0123-45",
          .schema = "shop",
          .table = "order items/ä",
          .operation = "update",
          .first = {Lsn{0x16B3748}, 4},
          .last = {Lsn{0x16B3748}, 4},
          .transaction_id = 700,
          .payload_mode = "record_json",
          .format = WireFormat::kJson,
          .content_type = "application/json",
          .payload = "{\"a\":1}"};
}

Answer SendTo(const std::string& url, HttpOptions options = {}) {
  options.url = url;
  return HttpSender(options, "flow 1", "hook").Send(Request());
}

TEST(HttpSender, SaysWhatTheRequestIs) {
  TestReceiver receiver;
  HttpOptions options;
  options.method = "PUT";
  options.push.headers = {{"Authorization", "Bearer x"}};
  options.signing_keys = {"first", "second"};
  const Answer answer = SendTo(receiver.url("/in/{schema}/{table}?t={table}"), options);
  EXPECT_EQ(answer.kind, Kind::kTaken) << answer.text;
  const auto requests = receiver.requests();
  ASSERT_EQ(requests.size(), 1u);
  const httplib::Request& seen = requests[0];
  EXPECT_EQ(seen.method, "PUT");
  EXPECT_EQ(seen.target, "/in/shop/order%20items%2F%C3%A4?t=order%20items%2F%C3%A4");
  EXPECT_EQ(seen.body, "{\"a\":1}");
  // This server decodes %XX in headers.
  const std::map<std::string, std::string> expected = {{"Content-Type", "application/json"},
                                                       {"Idempotency-Key", "0123-45"},
                                                       {"X-Wallaby-Transaction-Id", "700"},
                                                       {"X-Wallaby-Flow", "flow 1"},
                                                       {"X-Wallaby-Destination", "hook"},
                                                       {"X-Wallaby-Payload-Mode", "record_json"},
                                                       {"X-Wallaby-Schema", "shop"},
                                                       {"X-Wallaby-Table", "order items/ä"},
                                                       {"X-Wallaby-Operation", "update"},
                                                       {"X-Wallaby-Lsn", "0/16B3748"},
                                                       {"X-Wallaby-Seq", "4"},
                                                       {"X-Wallaby-Records", "1"},
                                                       {"Authorization", "Bearer x"},
                                                       {"webhook-id", "0123-45"}};
  for (const auto& [name, value] : expected) EXPECT_EQ(seen.get_header_value(name.c_str()), value) << name;
  const int64_t at = std::stoll(seen.get_header_value("webhook-timestamp"));
  EXPECT_EQ(seen.get_header_value("webhook-signature"),
            WebhookSignature(options.signing_keys, "0123-45", at, seen.body));
}

TEST(HttpSender, WithoutSecretsNothingIsSigned) {
  TestReceiver receiver;
  EXPECT_EQ(SendTo(receiver.url()).kind, Kind::kTaken);
  EXPECT_FALSE(receiver.requests()[0].has_header("webhook-signature"));
}

TEST(HttpSender, StatusesMeanWhatTheDocumentationSays) {
  int status = 0;
  TestReceiver receiver([&](const httplib::Request&, httplib::Response& response, int) {
    response.status = status;
    response.set_content("no such\ncustomer", "text/plain");
    response.set_header("Location", "https://elsewhere.example/x?secret=1");
  });
  const auto kind = [&](int with) {
    status = with;
    return SendTo(receiver.url()).kind;
  };
  for (const int with : {200, 201, 202, 204}) EXPECT_EQ(kind(with), Kind::kTaken) << with;
  for (const int with : {408, 409, 425, 429, 500, 502, 503, 504}) EXPECT_EQ(kind(with), Kind::kRetry) << with;
  for (const int with : {400, 413, 415, 422}) EXPECT_EQ(kind(with), Kind::kRejected) << with;
  for (const int with : {301, 302, 307, 308, 401, 403, 404, 405, 410}) EXPECT_EQ(kind(with), Kind::kRefused) << with;

  status = 422;
  EXPECT_EQ(SendTo(receiver.url("/secret/path")).text, receiver.url("") + " answered 422: no such customer");
  status = 410;
  EXPECT_THAT(SendTo(receiver.url()).text, HasSubstr("wants no more requests"));
  status = 307;
  const std::string redirect = SendTo(receiver.url()).text;
  EXPECT_THAT(redirect,
              HasSubstr("redirects are not followed: set url to where it points, https://elsewhere.example/x"));
  EXPECT_THAT(redirect, testing::Not(HasSubstr("secret")));
}

TEST(HttpSender, ALongAnswerIsCut) {
  TestReceiver receiver([](const httplib::Request&, httplib::Response& response, int) {
    response.status = 400;
    response.set_content(std::string(8 << 20, 'x'), "text/plain");
  });
  const Answer answer = SendTo(receiver.url());
  EXPECT_EQ(answer.kind, Kind::kRejected) << answer.text;
  EXPECT_LT(answer.text.size(), 400u);
}

TEST(HttpSender, TellsHowLongToWait) {
  TestReceiver receiver([](const httplib::Request&, httplib::Response& response, int) {
    response.status = 429;
    response.set_header("Retry-After", "7");
  });
  EXPECT_EQ(SendTo(receiver.url()).after, absl::Seconds(7));
}

TEST(RetryAfter, IsSecondsOrADate) {
  const absl::Time now = absl::FromUnixSeconds(784111777);  // Sun, 06 Nov 1994 08:49:37 GMT
  EXPECT_EQ(ParseRetryAfter("120", now), absl::Seconds(120));
  EXPECT_EQ(ParseRetryAfter("Sun, 06 Nov 1994 08:51:37 GMT", now), absl::Seconds(120));
  EXPECT_EQ(ParseRetryAfter("Sun, 06 Nov 1994 08:00:00 GMT", now), absl::ZeroDuration());
  EXPECT_EQ(ParseRetryAfter("-1", now), absl::ZeroDuration());
  EXPECT_EQ(ParseRetryAfter("", now), absl::ZeroDuration());
  EXPECT_EQ(ParseRetryAfter("soon", now), absl::ZeroDuration());
}

// Takes connections and closes each when the first bytes have come.
class CuttingServer {
 public:
  CuttingServer() : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(socket_, 8), 0);
    getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] {
      for (int peer = 0; (peer = accept(socket_, nullptr, nullptr)) >= 0; close(peer)) {
        char bytes[64];
        [[maybe_unused]] const ssize_t got = read(peer, bytes, sizeof(bytes));
      }
    });
  }
  ~CuttingServer() {
    shutdown(socket_, SHUT_RDWR);
    thread_.join();
    close(socket_);
  }
  std::string url() const { return absl::StrCat("http://127.0.0.1:", port_, "/"); }

 private:
  const int socket_;
  int port_ = 0;
  std::thread thread_;
};

TEST(HttpSender, ACutConnectionAndNoConnectionPass) {
  std::string url;
  {
    CuttingServer server;
    url = server.url();
    const Answer cut = SendTo(url);
    EXPECT_EQ(cut.kind, Kind::kRetry) << cut.text;
  }
  const Answer refused = SendTo(url);
  EXPECT_EQ(refused.kind, Kind::kRetry) << refused.text;
  EXPECT_THAT(refused.text, HasSubstr("http://127.0.0.1:"));
}

TEST(HttpSender, NoAnswerInTimePasses) {
  TestReceiver receiver([](const httplib::Request&, httplib::Response&, int) {
    std::this_thread::sleep_for(std::chrono::seconds(1));  // what a slow receiver does
  });
  HttpOptions options;
  options.push.timeout = absl::Milliseconds(50);
  const Answer answer = SendTo(receiver.url(), options);
  EXPECT_EQ(answer.kind, Kind::kRetry) << answer.text;
}

TEST(HttpSender, AFileThatCannotBeReadShowsAtTheFirstRequest) {
  HttpOptions options;
  options.push.tls_ca_file = "/nowhere/ca.pem";
  const Answer answer = SendTo("https://127.0.0.1:1/", options);
  EXPECT_EQ(answer.kind, Kind::kRefused);
  EXPECT_THAT(answer.text, HasSubstr("tls_ca_file: /nowhere/ca.pem cannot be read"));
}

}  // namespace
}  // namespace wallaby

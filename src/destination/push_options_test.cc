#include "destination/push_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "destination/options.h"

namespace wallaby {
namespace {

using testing::HasSubstr;
using Map = std::map<std::string, std::string>;

DestinationConfig Config(Map options) {
  DestinationConfig config;
  config.flow_id = "f";
  config.name = "hook";
  config.options = std::move(options);
  return config;
}

Map Http(Map options) {
  options.insert({"url", "https://hooks.example/{schema}/{table}"});
  return options;
}

absl::Status ParseHttp(Map options) {
  return ParseTableOptions("http", Config(Http(std::move(options)))).status();
}

std::string Secret(size_t bytes, char fill) {
  return absl::StrCat("whsec_", std::string(absl::Base64Escape(std::string(bytes, fill))));
}

TEST(PushOptions, Defaults) {
  const auto options = ParseHttpOptions(Config(Http({})));
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->method, "POST");
  EXPECT_EQ(options->idempotency_header, "Idempotency-Key");
  EXPECT_EQ(options->transaction_header, "X-Wallaby-Transaction-Id");
  EXPECT_EQ(options->push.payload_mode, PayloadMode::kWire);
  EXPECT_EQ(options->push.timeout, absl::Seconds(10));
  EXPECT_EQ(options->push.max_retries, 5);
  EXPECT_EQ(options->push.parallelism, 1);
  EXPECT_FALSE(options->push.keep_rejected);
}

TEST(PushOptions, HeadersOfTheDestinationItself) {
  for (const Map& options :
       {Map{{"transaction_header", "wallaby"}, {"idempotency_header", "Wallaby"}},
        Map{{"idempotency_header", "x-wallaby-transaction-id"}}, Map{{"transaction_header", "X-Wallaby-Lsn"}},
        Map{{"transaction_header", "webhook-id"}}, Map{{"idempotency_header", "Content-Type"}},
        Map{{"headers", "Key:1"}, {"idempotency_header", "key"}}}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseHttp(options))) << options.begin()->first;
  }
  EXPECT_THAT(
      std::string(ParseHttp({{"transaction_header", "x-wallaby-lsn"}}).message()),
      HasSubstr("option transaction_header of destination 'hook': got 'x-wallaby-lsn': x-wallaby-lsn is set by"));
  EXPECT_TRUE(ParseHttp({{"idempotency_header", "X-Key"}, {"transaction_header", "X-Transaction"}}).ok());
}

TEST(PushOptions, AllOfHttp) {
  const auto options = ParseHttpOptions(Config(Http({{"payload_mode", "record_json"},
                                                     {"method", "PUT"},
                                                     {"timeout", "2s"},
                                                     {"max_retries", "0"},
                                                     {"backoff_base", "10ms"},
                                                     {"backoff_max", "1s"},
                                                     {"backoff_factor", "1.5"},
                                                     {"headers", "Authorization:Bearer a:b, X-Team: data"},
                                                     {"parallelism", "8"},
                                                     {"dedupe_window", "0"},
                                                     {"on_reject", "dead_letter"},
                                                     {"on_retry_exhaustion", "dead_letter"},
                                                     {"signing_secret", Secret(24, 'a') + " " + Secret(32, 'b')},
                                                     {"tls_cert_file", "/c"},
                                                     {"tls_key_file", "/k"}})));
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->push.backoff_factor, 1.5);
  EXPECT_EQ(options->push.max_retries, 0);
  EXPECT_THAT(options->push.headers,
              testing::ElementsAre(std::pair("Authorization", "Bearer a:b"), std::pair("X-Team", "data")));
  EXPECT_THAT(options->signing_keys, testing::ElementsAre(std::string(24, 'a'), std::string(32, 'b')));
  EXPECT_EQ(options->push.dedupe_window, absl::ZeroDuration());
  EXPECT_TRUE(options->push.keep_rejected && options->push.keep_exhausted);
}

TEST(PushOptions, RefusalsNameTheOption) {
  const std::vector<std::pair<std::string, std::string>> refused = {
      {"url", "ftp://x"},
      {"url", "https://"},
      {"url", "https://{table}.example/"},
      {"url", "https://h/{tabel}"},
      {"url", "https://h/a b"},
      {"url", "https://user:geheim@h/"},
      {"method", "GET"},
      {"payload_mode", "rows"},
      {"timeout", "0"},
      {"timeout", "2h"},
      {"max_retries", "-1"},
      {"max_retries", "many"},
      {"backoff_factor", "0.5"},
      {"backoff_factor", "nan"},
      {"headers", "no colon"},
      {"headers", "a b:c"},
      {"headers", "A:"},
      {"headers", "A:x\r\nB:y"},
      {"headers", "Content-Type:text/plain"},
      {"headers", "Webhook-Id:1"},
      {"batch_records", "0"},
      {"batch_bytes", "1"},
      {"parallelism", "0"},
      {"parallelism", "65"},
      {"on_reject", "drop"},
      {"on_retry_exhaustion", "fail"},
      {"idempotency_header", "Idempotency Key"},
      {"signing_secret", "geheim"},
      {"signing_secret", Secret(8, 'a')},
      {"tls_cert_file", "/c"},
  };
  for (const auto& [name, value] : refused) {
    const absl::Status status = ParseHttp({{name, value}});
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << name << "=" << value << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("of destination 'hook'")) << name;
    EXPECT_THAT(std::string(status.message()), HasSubstr("allowed: ")) << name;
    if (name != "signing_secret") continue;
    EXPECT_THAT(std::string(status.message()), testing::Not(HasSubstr(value)));
  }
  EXPECT_THAT(ParseHttp({{"payload_mode", "record_json"}, {"format", "avro"}}).message(), HasSubstr("JSON"));
  EXPECT_THAT(ParseHttp({{"payload_mode", "wal"}, {"batch_records", "5"}}).message(),
              HasSubstr("only payload_mode wire"));
  EXPECT_TRUE(absl::IsInvalidArgument(ParseTableOptions("http", Config({})).status()));
}

TEST(PushOptions, ReferencesToSecretsPass) {
  EXPECT_TRUE(ParseHttp({{"signing_secret", "env:HOOK_SECRET"}, {"headers", "file:/run/headers"}}).ok());
}

TEST(PushOptions, Grpc) {
  const auto options =
      ParseGrpcOptions(Config({{"endpoint", "h:1"}, {"insecure", "true"}, {"max_message_bytes", "64KiB"}}));
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->flow_id, "f");
  EXPECT_EQ(options->destination, "hook");
  EXPECT_EQ(options->push.batch_bytes, 64 << 10);
  const auto named = ParseGrpcOptions(Config({{"endpoint", "h:1"}, {"flow_id", "a"}, {"destination", "b"}}));
  EXPECT_EQ(named->flow_id, "a");
  EXPECT_EQ(named->destination, "b");
  for (const auto& [name, value] :
       Map{{"endpoint", "https://h:1"}, {"insecure", "perhaps"}, {"max_message_bytes", "1"}}) {
    Map with = {{"endpoint", "h:1"}};
    with[name] = value;
    const absl::Status status = ParseTableOptions("grpc", Config(with)).status();
    EXPECT_THAT(std::string(status.message()), HasSubstr("option " + name)) << status;
  }
  EXPECT_FALSE(
      ParseTableOptions("grpc", Config({{"endpoint", "h:1"}, {"insecure", "true"}, {"tls_ca_file", "/c"}})).ok());
}

}  // namespace
}  // namespace wallaby

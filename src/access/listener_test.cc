#include "access/listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace wallaby {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

absl::Status Check(const AccessSettings& access, ListenerKind kind = ListenerKind::kControl) {
  return CheckListener(access, "WALLABY_GRPC_LISTEN", ListenAddress(":8080"), kind);
}

TEST(Listener, AllInterfacesAndLoopback) {
  EXPECT_EQ(ListenAddress(":8080"), "[::]:8080");
  EXPECT_EQ(ListenAddress("127.0.0.1:1"), "127.0.0.1:1");
  for (const char* address : {"127.0.0.1:1", "127.1.2.3:1", "localhost:1", "[::1]:8080"}) {
    EXPECT_TRUE(IsLoopback(address)) << address;
  }
  for (const char* address : {"[::]:8080", "0.0.0.0:8080", "10.0.0.1:1", "127.example.com:1", "localhost.example.com:1",
                              "[2001:db8::1]:1", "example.com:1"}) {
    EXPECT_FALSE(IsLoopback(address)) << address;
  }
}

TEST(Listener, LoopbackNeedsNothing) {
  EXPECT_TRUE(CheckListener({}, "S", "127.0.0.1:8080", ListenerKind::kControl).ok());
}

TEST(Listener, OthersNeedTlsAndAWayToTellCallersApart) {
  AccessSettings nothing;
  EXPECT_THAT(std::string(Check(nothing).message()),
              AllOf(HasSubstr("WALLABY_GRPC_LISTEN: "), HasSubstr("WALLABY_TLS_CERT_FILE"),
                    HasSubstr("WALLABY_TOKENS_FILE"), HasSubstr("WALLABY_ALLOW_INSECURE_LISTEN=true")));
  EXPECT_TRUE(absl::IsFailedPrecondition(Check(nothing)));

  AccessSettings tokens;
  tokens.tokens = "x";
  EXPECT_THAT(std::string(Check(tokens).message()),
              AllOf(HasSubstr("WALLABY_TLS_CERT_FILE"), Not(HasSubstr("WALLABY_TOKENS"))));

  AccessSettings tls;
  tls.tls_cert_file = tls.tls_key_file = "f";
  EXPECT_THAT(std::string(Check(tls).message()),
              AllOf(HasSubstr("WALLABY_TOKENS_FILE"), Not(HasSubstr("WALLABY_TLS_CERT_FILE"))));

  AccessSettings both = tls;
  both.tokens_file = "x";
  EXPECT_TRUE(Check(both).ok());
  AccessSettings mutual = tls;
  mutual.tls_client_ca_file = "x";
  EXPECT_TRUE(Check(mutual).ok());
}

TEST(Listener, OptOuts) {
  AccessSettings allowed;
  allowed.allow_insecure_listen = true;
  EXPECT_TRUE(Check(allowed).ok());
  AccessSettings metrics;
  metrics.metrics_open = true;
  EXPECT_TRUE(Check(metrics, ListenerKind::kMetrics).ok());
  EXPECT_FALSE(Check(metrics, ListenerKind::kControl).ok());
  EXPECT_THAT(std::string(Check({}, ListenerKind::kMetrics).message()), HasSubstr("WALLABY_METRICS_OPEN"));
  metrics.tls_cert_file = "f";
  EXPECT_FALSE(SpeaksTls(metrics, ListenerKind::kMetrics));
  EXPECT_TRUE(SpeaksTls(metrics, ListenerKind::kControl));
}

}  // namespace
}  // namespace wallaby

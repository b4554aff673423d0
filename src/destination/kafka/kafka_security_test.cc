// Who may come in, at a real Kafka: passwords, TLS, certificates of clients.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/status.h"
#include "codec/test_batches.h"
#include "destination/kafka/kafka_destination.h"
#include "destination/kafka/kafka_test_kit.h"
#include "test/support/test_kafka.h"

namespace wallaby {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

const TestKafka& Kafka() {
  return TestKafka::Shared();
}

std::string FileText(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

Options Sasl(const std::string& mechanism, const std::string& password = "secret") {
  return {{"brokers", Kafka().sasl_brokers()},
          {"security_protocol", "sasl_plaintext"},
          {"sasl_mechanism", mechanism},
          {"sasl_username", "app"},
          {"sasl_password", password}};
}

Options Tls(const std::string& brokers) {
  return {{"brokers", brokers}, {"security_protocol", "ssl"}, {"ssl_ca", Kafka().ca_file()}};
}

Options WithCertificate() {
  Options options = Tls(Kafka().mtls_brokers());
  options["ssl_certificate"] = Kafka().client_certificate_file();
  options["ssl_key"] = Kafka().client_key_file();
  options["ssl_key_password"] = "opensesame";
  return options;
}

// A transaction with one message, opened, sent and read.
void ExpectDelivers(const Options& options) {
  const std::string flow = UniqueName("secure");
  TestBatch batch;
  batch.Begin(100).Insert({"1", "1.00", "a"});
  const auto destination = MakeKafka(KafkaConfig(flow, options));
  const auto progress = destination->Open();
  ASSERT_TRUE(progress.ok()) << progress.status();
  const absl::Status written = destination->Write(batch.batch());
  ASSERT_TRUE(written.ok()) << written;
  const absl::Status committed = destination->Commit(PointAt(100));
  ASSERT_TRUE(committed.ok()) << committed;
  EXPECT_THAT(ReadTopic(Kafka().brokers(), flow), SizeIs(1));
}

class KafkaSasl : public testing::TestWithParam<const char*> {};

TEST_P(KafkaSasl, ThePasswordLetsIn) {
  ExpectDelivers(Sasl(GetParam()));
}

TEST_P(KafkaSasl, AWrongPasswordIsSaidAndNotShown) {
  const auto destination = MakeKafka(KafkaConfig(UniqueName("wrong"), Sasl(GetParam(), "hunter2")));
  const absl::Status status = destination->Open().status();
  EXPECT_TRUE(absl::IsUnauthenticated(status)) << status;
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("hunter2")));
}
INSTANTIATE_TEST_SUITE_P(Mechanisms, KafkaSasl, testing::Values("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST(KafkaTls, TheBrokersCertificateIsChecked) {
  ExpectDelivers(Tls(Kafka().tls_brokers()));
  Options others = Tls(Kafka().tls_brokers());
  others["ssl_ca"] = Kafka().client_certificate_file();  // of another authority
  const absl::Status status = MakeKafka(KafkaConfig(UniqueName("untrusted"), others))->Open().status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("certificate"));
}

TEST(KafkaTls, TheClientsCertificateLetsIn) {
  ExpectDelivers(WithCertificate());
  // As the text of the files, which is how secrets of Kubernetes come in.
  Options texts = WithCertificate();
  for (const char* name : {"ssl_ca", "ssl_certificate", "ssl_key"}) texts[name] = FileText(texts[name]);
  ExpectDelivers(texts);
}

TEST(KafkaTls, WithoutACertificateNobodyComesIn) {
  const absl::Status status =
      MakeKafka(KafkaConfig(UniqueName("nobody"), Tls(Kafka().mtls_brokers())))->Open().status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("certificate"));
}

TEST(KafkaTls, AKeyWhosePasswordIsWrongIsSaidAndNotShown) {
  Options wrong = WithCertificate();
  wrong["ssl_key_password"] = "hunter2";
  const auto made = KafkaDestination::Make(KafkaConfig("f", wrong));
  EXPECT_TRUE(absl::IsInvalidArgument(made.status())) << made.status();
  EXPECT_THAT(std::string(made.status().message()), Not(HasSubstr("hunter2")));
}

}  // namespace
}  // namespace wallaby

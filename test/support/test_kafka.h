// TestKafka: a throwaway Kafka broker for integration tests.
#ifndef WALLABY_TEST_SUPPORT_TEST_KAFKA_H_
#define WALLABY_TEST_SUPPORT_TEST_KAFKA_H_

#include <string>
#include <vector>

namespace wallaby {

// The broker ends when the process does, however it ends. One that does not start ends the test program.
class TestKafka {
 public:
  // The one broker that the tests of this process share, and under ctest those of all processes of one run. It looks
  // for transactions that are open for too long each half second. Not to be killed.
  static TestKafka& Shared();

  // A broker of one's own, with settings "name=value".
  explicit TestKafka(const std::vector<std::string>& settings = {});
  ~TestKafka();
  TestKafka(const TestKafka&) = delete;
  TestKafka& operator=(const TestKafka&) = delete;

  const std::string& brokers() const { return brokers_; }
  // SASL without TLS: PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512, user app, password secret.
  std::string sasl_brokers() const { return FileText("sasl"); }
  std::string tls_brokers() const { return FileText("tls"); }
  std::string ca_file() const { return File("ca.pem"); }
  // TLS for who has a certificate: this one, whose key has the password opensesame.
  std::string mtls_brokers() const { return FileText("mtls"); }
  std::string client_certificate_file() const { return File("client.pem"); }
  std::string client_key_file() const { return File("client-key.pem"); }

  // kill -9; its data stay.
  void Kill();
  void Restart();

 private:
  explicit TestKafka(const std::string& line, bool own);
  std::string File(const std::string& name) const { return dir_ + "/" + name; }
  std::string FileText(const std::string& name) const;

  std::string brokers_;
  std::string dir_;
  bool own_;
};

}  // namespace wallaby

#endif  // WALLABY_TEST_SUPPORT_TEST_KAFKA_H_

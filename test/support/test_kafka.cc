#include "test/support/test_kafka.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "test/support/server_of_the_run.h"

namespace wallaby {
namespace {

std::string Script() {
  const char* source = std::getenv("WALLABY_SOURCE_DIR");
  return absl::StrCat("'", source != nullptr ? source : WALLABY_DEFAULT_SOURCE_DIR, "/test/servers/kafka' ");
}

// "HOST:PORT<TAB>DIR" of a new broker that lives as long as `owner` does.
std::string Start(const std::vector<std::string>& settings, pid_t owner) {
  std::string command = absl::StrCat(Script(), "start --owner ", owner);
  for (const std::string& setting : settings) absl::StrAppend(&command, " -c '", setting, "'");
  return OutputOf(command);
}

const std::vector<std::string>& SharedSettings() {
  static const auto* settings =
      new std::vector<std::string>{"transaction.abort.timed.out.transaction.cleanup.interval.ms=500"};
  return *settings;
}

}  // namespace

TestKafka& TestKafka::Shared() {
  static std::unique_ptr<TestKafka> server;
  if (server == nullptr) {
    const std::string line = ServerOfTheRun("kafka", [](pid_t owner) { return Start(SharedSettings(), owner); });
    server.reset(line.empty() ? new TestKafka(SharedSettings()) : new TestKafka(line, /*own=*/false));
  }
  return *server;
}

TestKafka::TestKafka(const std::string& line, bool own)
    : brokers_(line.substr(0, line.find('\t'))), dir_(line.substr(line.find('\t') + 1)), own_(own) {}

TestKafka::TestKafka(const std::vector<std::string>& settings) : TestKafka(Start(settings, getpid()), /*own=*/true) {}

TestKafka::~TestKafka() {
  if (own_) OutputOf(absl::StrCat(Script(), "stop '", dir_, "'"));
}

std::string TestKafka::FileText(const std::string& name) const {
  std::string line;
  std::getline(std::ifstream(absl::StrCat(dir_, "/", name)), line);
  return line;
}

void TestKafka::Kill() {
  if (own_) OutputOf(absl::StrCat(Script(), "kill '", dir_, "'"));
}

void TestKafka::Restart() {
  if (own_) OutputOf(absl::StrCat(Script(), "restart '", dir_, "'"));
}

}  // namespace wallaby

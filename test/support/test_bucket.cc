#include "test/support/test_bucket.h"

#include <unistd.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "test/support/server_of_the_run.h"

namespace wallaby {
namespace {

// `command`: of test/servers, "cloud' start azure".
std::string UrlOf(const std::string& name, const std::string& command) {
  const auto start = [&](pid_t owner) {
    const char* source = std::getenv("WALLABY_SOURCE_DIR");
    return OutputOf(absl::StrCat("'", source != nullptr ? source : WALLABY_DEFAULT_SOURCE_DIR, "/test/servers/",
                                 command, " --owner ", owner));
  };
  std::string line = ServerOfTheRun(name, start);
  if (line.empty()) line = start(getpid());
  return line.substr(0, line.find('\t'));
}

}  // namespace

std::string TestBucketUrl() {
  static const std::string url = UrlOf("seaweed", "seaweed' start");
  return url;
}

std::string TestAzureUrl() {
  static const std::string url = UrlOf("azure", "cloud' start azure") + "/" + kTestAzureAccount;
  return url;
}

std::string TestGcsUrl() {
  static const std::string url = UrlOf("gcs", "cloud' start gcs");
  return url;
}

}  // namespace wallaby

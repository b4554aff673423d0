#include "test/support/test_bucket.h"

#include <unistd.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "test/support/server_of_the_run.h"

namespace wallaby {
namespace {

std::string Start(pid_t owner) {
  const char* source = std::getenv("WALLABY_SOURCE_DIR");
  return OutputOf(absl::StrCat("'", source != nullptr ? source : WALLABY_DEFAULT_SOURCE_DIR,
                               "/test/servers/seaweed' start --owner ", owner));
}

}  // namespace

std::string TestBucketUrl() {
  static const std::string url = [] {
    std::string line = ServerOfTheRun("seaweed", Start);
    if (line.empty()) line = Start(getpid());
    return line.substr(0, line.find('\t'));
  }();
  return url;
}

}  // namespace wallaby

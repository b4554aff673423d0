#include "base/process_name.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace wallaby {

std::string HostName() {
  char host[256] = "?";
  gethostname(host, sizeof(host) - 1);
  return host;
}

std::string ProcessName(pid_t pid) {
  return absl::StrCat(HostName(), ":", pid);
}

}  // namespace wallaby

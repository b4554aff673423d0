#include "test/support/server_of_the_run.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace wallaby {
namespace {

[[noreturn]] void Die(std::string_view why) {
  std::cerr << "test server: " << why << std::endl;
  std::_Exit(1);
}

}  // namespace

std::string OutputOf(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) Die("cannot run " + command);
  std::string out;
  std::array<char, 4096> buffer;
  while (size_t got = fread(buffer.data(), 1, buffer.size(), pipe)) out.append(buffer.data(), got);
  if (pclose(pipe) != 0) Die("failed: " + command);
  absl::StripTrailingAsciiWhitespace(&out);
  return out;
}

std::string ServerOfTheRun(const std::string& name, const std::function<std::string(pid_t owner)>& start) {
  const pid_t run = getppid();
  std::string parent;
  std::getline(std::ifstream(absl::StrCat("/proc/", run, "/comm")), parent);
  if (parent != "ctest") return "";
  const char* folder = std::getenv("TMPDIR");
  const std::string path = absl::StrCat(folder != nullptr && *folder != '\0' ? folder : "/tmp", "/wallaby-test-", name,
                                        "-", getuid(), "-", run);
  // Closed in children, or the server would hold the lock.
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || flock(file, LOCK_EX) != 0) Die("cannot lock " + path);
  char buffer[512];
  const ssize_t got = read(file, buffer, sizeof(buffer));
  std::string line(buffer, got > 0 ? static_cast<size_t>(got) : 0);
  const size_t tab = line.find('\t');
  // An older run with the same process id may have left the file.
  if (tab == std::string::npos || access(line.substr(tab + 1).c_str(), F_OK) != 0) {
    line = start(run);
    if (ftruncate(file, 0) != 0 || pwrite(file, line.data(), line.size(), 0) != static_cast<ssize_t>(line.size())) {
      Die("cannot write " + path);
    }
  }
  close(file);
  return line;
}

}  // namespace wallaby

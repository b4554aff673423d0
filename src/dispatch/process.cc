#include "dispatch/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/status.h"

extern char** environ;

namespace wallaby {
namespace {

// libc has these calls only since 2.36.
int PidfdOpen(pid_t pid) {
  return static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
}
int PidfdSendSignal(int fd, int number) {
  return static_cast<int>(syscall(SYS_pidfd_send_signal, fd, number, nullptr, 0));
}

std::string ReadAll(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

const std::string& BootId() {
  static const std::string id = [] {
    std::string text(absl::StripAsciiWhitespace(ReadAll("/proc/sys/kernel/random/boot_id")));
    return text.empty() ? std::string("unknown") : text;
  }();
  return id;
}

// Field 22 of /proc/<pid>/stat; "" when there is no such process. The name in field 2 may hold anything, so the fields
// are counted from the last parenthesis.
std::string StartTicks(pid_t pid) {
  const std::string stat = ReadAll(absl::StrCat("/proc/", pid, "/stat"));
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos || name_end + 2 > stat.size()) return "";
  const std::vector<std::string> fields = absl::StrSplit(stat.substr(name_end + 2), ' ');
  constexpr size_t kStartTime = 22 - 3;
  return fields.size() > kStartTime ? fields[kStartTime] : "";
}

absl::Status Errno(int error, std::string_view doing) {
  return absl::ErrnoToStatus(error, doing);
}

// Owns the two structures of posix_spawn.
class SpawnPlan {
 public:
  SpawnPlan() {
    WALLABY_CHECK(posix_spawn_file_actions_init(&actions_) == 0 && posix_spawnattr_init(&attributes_) == 0,
                  "out of memory");
    posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions_, STDERR_FILENO, STDOUT_FILENO);
#if defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 34)
    // Ours are all close-on-exec; those of a library may not be.
    posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
#endif
#endif
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  int Run(pid_t* pid, const std::string& program, char* const* argv) {
    return posix_spawn(pid, program.c_str(), &actions_, &attributes_, argv, environ);
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Process>> Process::Spawn(const std::string& program,
                                                        const std::vector<std::string>& args) {
  std::vector<std::string> texts = {program};
  texts.insert(texts.end(), args.begin(), args.end());
  std::vector<char*> argv;
  for (std::string& text : texts) argv.push_back(text.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  SpawnPlan plan;
  if (const int error = plan.Run(&pid, program, argv.data()); error != 0) {
    return Errno(error, absl::StrCat("cannot start ", program));
  }
  // Our child keeps its pid until it is reaped, so the pidfd cannot be another's.
  const int fd = PidfdOpen(pid);
  if (fd < 0) {
    const int error = errno;
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return Errno(error, absl::StrCat("cannot watch ", program, " (pidfd_open needs Linux 5.3)"));
  }
  return std::unique_ptr<Process>(
      new Process(pid, fd, /*child=*/true, absl::StrCat(BootId(), ":", pid, ":", StartTicks(pid))));
}

absl::StatusOr<std::unique_ptr<Process>> Process::Find(const std::string& handle) {
  const std::vector<std::string> parts = absl::StrSplit(handle, ':');
  const pid_t pid = PidOfHandle(handle);
  if (pid == 0) return absl::InvalidArgumentError(absl::StrCat("'", handle, "' is no handle of a process"));
  if (parts[0] != BootId()) return nullptr;
  const int fd = PidfdOpen(pid);
  if (fd < 0) {
    if (errno == ESRCH || errno == EINVAL) return nullptr;
    return Errno(errno, absl::StrCat("cannot watch process ", pid));
  }
  // Read after the pidfd was opened: what has this start time now is what the pidfd is for.
  if (StartTicks(pid) != parts[2]) {
    close(fd);
    return nullptr;
  }
  return std::unique_ptr<Process>(new Process(pid, fd, /*child=*/false, handle));
}

Process::~Process() {
  close(fd_);
  if (child_) waitpid(pid_, nullptr, WNOHANG);
}

bool Process::ended() const {
  pollfd fd{fd_, POLLIN, 0};
  return poll(&fd, 1, 0) > 0;
}

absl::Status Process::Signal(int number) const {
  if (PidfdSendSignal(fd_, number) == 0 || errno == ESRCH) return absl::OkStatus();
  return Errno(errno, absl::StrCat("cannot signal process ", pid_));
}

Process::Exit Process::Reap() {
  Exit exit;
  int status = 0;
  pid_t got = -1;
  if (child_) {
    do {
      got = waitpid(pid_, &status, 0);
    } while (got < 0 && errno == EINTR);
    child_ = false;
  }
  if (got != pid_) {
    exit.text = "ended; another process had started it, so its exit status is not known";
  } else if (WIFEXITED(status)) {
    exit.code = WEXITSTATUS(status);
    exit.text = absl::StrCat("exit status ", exit.code);
  } else if (WIFSIGNALED(status)) {
    const int number = WTERMSIG(status);
    exit.crashed = true;
    exit.text = absl::StrCat("killed by signal ", number, " (", strsignal(number), ")");
  }
  return exit;
}

pid_t PidOfHandle(const std::string& handle) {
  const std::vector<std::string> parts = absl::StrSplit(handle, ':');
  int pid = 0;
  return parts.size() == 3 && absl::SimpleAtoi(parts[1], &pid) && pid > 0 ? pid : 0;
}

}  // namespace wallaby

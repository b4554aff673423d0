// Process: a process of this machine that is watched through a pidfd, whoever started it.
// Source: Linux manual pages pidfd_open(2), pidfd_send_signal(2), proc(5), posix_spawn(3).
#ifndef WALLABY_DISPATCH_PROCESS_H_
#define WALLABY_DISPATCH_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace wallaby {

class Process {
 public:
  struct Exit {
    int code = -1;     // -1: not known, or ended by a signal
    std::string text;  // "exit status 3", "killed by signal 9 (Killed)", "ended while it was not watched"
    bool crashed = false;
  };

  // Starts `program` with `args` (without the program's own name) in a session of its own, with this process's
  // environment and stderr, no stdin, and none of the other open files.
  static absl::StatusOr<std::unique_ptr<Process>> Spawn(const std::string& program,
                                                        const std::vector<std::string>& args);
  // The process that handle() named before; null when it is gone, also when its pid has been given to another.
  static absl::StatusOr<std::unique_ptr<Process>> Find(const std::string& handle);
  // The process goes on; a child that has ended is reaped.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // "<boot id>:<pid>:<start time in clock ticks>", which names a process for ever.
  const std::string& handle() const { return handle_; }
  pid_t pid() const { return pid_; }
  // Readable when the process has ended.
  int fd() const { return fd_; }
  bool ended() const;
  absl::Status Signal(int number) const;
  // After the end.
  Exit Reap();

 private:
  Process(pid_t pid, int fd, bool child, std::string handle)
      : pid_(pid), fd_(fd), child_(child), handle_(std::move(handle)) {}

  const pid_t pid_;
  const int fd_;
  bool child_;  // ours, and not reaped yet
  const std::string handle_;
};

// The pid in a handle; 0 when it is none.
pid_t PidOfHandle(const std::string& handle);

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_PROCESS_H_

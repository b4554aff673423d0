// Notice: a file descriptor that becomes readable when something in a spool's folder is written or made.
// Source: inotify(7).
#ifndef WALLABY_SPOOL_NOTICE_H_
#define WALLABY_SPOOL_NOTICE_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace wallaby::spool {

class Notice {
 public:
  // RESOURCE_EXHAUSTED when the system allows no more of them.
  static absl::StatusOr<Notice> Watch(const std::string& folder);
  Notice(Notice&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Notice& operator=(Notice&&) = delete;
  ~Notice();

  int fd() const { return fd_; }
  void Clear() const;

 private:
  explicit Notice(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace wallaby::spool

#endif  // WALLABY_SPOOL_NOTICE_H_

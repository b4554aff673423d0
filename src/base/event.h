// Event: a file descriptor that becomes readable when set, so that a thread can wait for a socket and for another
// thread in one poll(2).
#ifndef WALLABY_BASE_EVENT_H_
#define WALLABY_BASE_EVENT_H_

#include "absl/time/time.h"

namespace wallaby {

class Event {
 public:
  Event();
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  // Makes fd() readable. Safe from any thread and from a signal handler.
  void Set();
  // Waits until set or `timeout` has passed; true when set. Does not clear.
  bool Wait(absl::Duration timeout) const;
  // Makes fd() unreadable again.
  void Clear();
  int fd() const { return fd_; }

 private:
  int fd_;
};

}  // namespace wallaby

#endif  // WALLABY_BASE_EVENT_H_

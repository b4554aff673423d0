#include "base/event.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

#include "base/check.h"

namespace wallaby {

Event::Event() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  WALLABY_CHECK(fd_ >= 0, "eventfd: the process has no file descriptors left");
}

Event::~Event() {
  close(fd_);
}

void Event::Set() {
  const uint64_t one = 1;
  // Fails only when the counter is full, and then the descriptor is readable already.
  [[maybe_unused]] ssize_t written = write(fd_, &one, sizeof(one));
}

bool Event::Wait(absl::Duration timeout) const {
  pollfd fd{fd_, POLLIN, 0};
  const timespec spec = absl::ToTimespec(std::max(timeout, absl::ZeroDuration()));
  return ppoll(&fd, 1, timeout == absl::InfiniteDuration() ? nullptr : &spec, nullptr) > 0;
}

void Event::Clear() {
  uint64_t count;
  [[maybe_unused]] ssize_t got = read(fd_, &count, sizeof(count));
}

}  // namespace wallaby

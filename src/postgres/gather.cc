#include "postgres/gather.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace wallaby {
namespace {

// So much without a pause means that the stream is under load: some thirty small changes.
constexpr size_t kBusyBytes = 4 << 10;
constexpr absl::Duration kGather = absl::Microseconds(500);
// A wait of this length is a pause.
constexpr std::chrono::milliseconds kPause{1};

absl::Status Poll(pollfd* fds, int count, absl::Duration timeout) {
  const timespec spec = absl::ToTimespec(std::max(timeout, absl::ZeroDuration()));
  if (ppoll(fds, count, &spec, nullptr) < 0 && errno != EINTR) {
    return absl::InternalError(absl::StrCat("poll on the source's connection: ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Gather::Wait(int socket, absl::Duration timeout, Event& wake) {
  pollfd fds[2] = {{wake.fd(), POLLIN, 0}, {socket, POLLIN, 0}};
  if (got_ >= kBusyBytes) {
    // What comes now decides whether the next wait is one of these too.
    got_ = 0;
    return Poll(fds, 1, std::min(timeout, kGather));
  }
  const auto began = std::chrono::steady_clock::now();
  absl::Status status = Poll(fds, 2, timeout);
  if (std::chrono::steady_clock::now() - began >= kPause) got_ = 0;
  return status;
}

}  // namespace wallaby

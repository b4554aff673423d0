#include "postgres/gather.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace wallaby {
namespace {

// So much without a pause means that the stream is under load: some thirty small changes.
constexpr size_t kBusyBytes = 4 << 10;
// Then so much shall gather, but not for longer than this.
constexpr int kGatherBytes = 128 << 10;
constexpr absl::Duration kGather = absl::Milliseconds(4);
// A wait of this length is a pause.
constexpr std::chrono::milliseconds kPause{1};

// How much makes a wait end. Where this cannot be set (a Unix socket), the first packet does.
void SetLowWater(int socket, int bytes) {
  (void)setsockopt(socket, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes));
}

}  // namespace

bool Gather::busy() const {
  return got_ >= kBusyBytes;
}

absl::Status EnlargeInputBuffer(PgConnection& connection) {
  return connection.Query(absl::StrCat("SELECT pg_catalog.repeat(' ', ", 2 * kGatherBytes, ")")).status();
}

absl::Status Gather::Wait(int socket, absl::Duration timeout, Event& wake) {
  const bool busy = this->busy();
  if (busy) {
    // What comes now decides whether the next wait is one of these too.
    got_ = 0;
    timeout = std::min(timeout, kGather);
    SetLowWater(socket, kGatherBytes);
  }
  pollfd fds[2] = {{wake.fd(), POLLIN, 0}, {socket, POLLIN, 0}};
  const timespec spec = absl::ToTimespec(std::max(timeout, absl::ZeroDuration()));
  const auto began = std::chrono::steady_clock::now();
  absl::Status status;
  if (ppoll(fds, 2, &spec, nullptr) < 0 && errno != EINTR) {
    status = absl::InternalError(absl::StrCat("poll on the source's connection: ", std::strerror(errno)));
  }
  const auto waited = std::chrono::steady_clock::now() - began;
  silent_ = busy || (fds[1].revents & POLLIN) != 0 ? absl::ZeroDuration() : silent_ + absl::FromChrono(waited);
  if (busy) {
    SetLowWater(socket, 1);  // others wait on this socket too, for less
  } else if (waited >= kPause) {
    got_ = 0;
  }
  return status;
}

}  // namespace wallaby

// Gather: waits on a socket, and under load lets data gather first: waking for each small packet is what costs.
#ifndef WALLABY_POSTGRES_GATHER_H_
#define WALLABY_POSTGRES_GATHER_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/event.h"
#include "postgres/connection.h"

namespace wallaby {

class Gather {
 public:
  // So much was read from the socket.
  void Got(size_t bytes) {
    got_ += bytes;
    silent_ = absl::ZeroDuration();  // an answer may come before the next wait looks at the socket
  }
  // The stream is under load.
  bool busy() const;

  // Until the socket has something, `wake` is set, or `timeout` passed. Under load "something" is some hundred KiB
  // (SO_RCVLOWAT), or what has come within four milliseconds; sooner when the socket's buffer is full, so that the
  // server is not stalled.
  absl::Status Wait(int socket, absl::Duration timeout, Event& wake);
  // How long the socket has had nothing, counting only time spent in Wait().
  absl::Duration silent() const { return silent_; }

 private:
  size_t got_ = 0;  // without a pause in between
  absl::Duration silent_;
};

// libpq reads as much at once as its buffer holds, and that grows with the largest message it has seen: 16 KiB at
// first.
absl::Status EnlargeInputBuffer(PgConnection& connection);

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_GATHER_H_

// AckLedger: how far the source may forget. The acknowledgement rule is written here and nowhere else:
// a position may be checkpointed, and then acknowledged, when everything before it is durable at every destination.
#ifndef WALLABY_PIPELINE_ACK_LEDGER_H_
#define WALLABY_PIPELINE_ACK_LEDGER_H_

#include <condition_variable>
#include <mutex>
#include <vector>

#include "absl/time/time.h"
#include "base/lsn.h"

namespace wallaby {

// Safe from any thread. Positions are ends of commit records.
class AckLedger {
 public:
  // `start`: what is acknowledged already. Destinations are numbered from 0.
  AckLedger(int destinations, Lsn start);

  // Reader: a transaction that ends at `end` is on its way to every destination.
  void Handed(Lsn end);
  // Writer: everything that ends at or before `end` is durable at `destination`.
  void Durable(int destination, Lsn end);
  // Reader: the server has sent everything up to `wal_end` and all of it was handed on. Moves the position when nothing
  // is outstanding, so that WAL of other databases and unpublished tables is not kept because of us.
  void Idle(Lsn wal_end);

  // The position that may be checkpointed. Never goes back.
  Lsn position() const;
  // By destination: the end of the last transaction that is durable there; 0/0 for none since the start.
  std::vector<Lsn> durable() const;
  // Nothing handed on is still on its way.
  bool settled() const;
  // Waits until position() is above `known`, Close() was called, or `timeout` passed.
  void AwaitAbove(Lsn known, absl::Duration timeout) const;
  void Close();

 private:
  bool SettledLocked() const;

  mutable std::mutex mutex_;  // guards all below
  mutable std::condition_variable moved_;
  std::vector<Lsn> durable_;
  Lsn handed_;
  Lsn position_;
  bool closed_ = false;
};

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_ACK_LEDGER_H_

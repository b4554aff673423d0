// AckLedger: how far the source may forget. The acknowledgement rule is written here and nowhere else:
// a position may be checkpointed, and then acknowledged, when everything before it is durable at every destination.
#ifndef WALLABY_PIPELINE_ACK_LEDGER_H_
#define WALLABY_PIPELINE_ACK_LEDGER_H_

#include <condition_variable>
#include <deque>
#include <mutex>
#include <vector>

#include "absl/time/time.h"
#include "base/lsn.h"
#include "pipeline/history_mark.h"

namespace wallaby {

// Safe from any thread. Positions are ends of commit records.
class AckLedger {
 public:
  // A position, and the mark of the source's history up to it.
  struct Standing {
    Lsn position;
    HistoryMark mark;
  };

  // `start`: what is acknowledged already. Destinations are numbered from 0.
  AckLedger(int destinations, Lsn start, const HistoryMark& mark = {});

  // Reader: transactions, of which the last one ends at `end`, are on their way to every destination.
  void Handed(Lsn end, const HistoryMark& mark = {});
  // Writer: everything that ends at or before `end` is durable at `destination`.
  void Durable(int destination, Lsn end);
  // Reader: the server has sent everything up to `wal_end` and all of it was handed on. Moves the position when nothing
  // is outstanding, so that WAL of other databases and unpublished tables is not kept because of us.
  void Idle(Lsn wal_end, const HistoryMark& mark = {});

  // The position that may be checkpointed. Never goes back.
  Lsn position() const { return standing().position; }
  Standing standing() const;
  // By destination: the end of the last transaction that is durable there; 0/0 for none since the start.
  std::vector<Lsn> durable() const;
  // Nothing handed on is still on its way.
  bool settled() const;
  bool settled(int destination) const;
  // Waits until position() is above `known`, Close() was called, or `timeout` passed.
  void AwaitAbove(Lsn known, absl::Duration timeout) const;
  void Close();

 private:
  bool SettledLocked() const;
  void MoveLocked(Lsn least);

  mutable std::mutex mutex_;  // guards all below
  mutable std::condition_variable moved_;
  std::vector<Lsn> durable_;
  Lsn handed_;
  std::deque<Standing> on_their_way_;  // what was handed on, behind the least that is durable
  Standing standing_;
  bool closed_ = false;
};

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_ACK_LEDGER_H_

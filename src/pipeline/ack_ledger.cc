#include "pipeline/ack_ledger.h"

#include <algorithm>

#include "base/check.h"
#include "base/deliberate_bug.h"

namespace wallaby {

AckLedger::AckLedger(int destinations, Lsn start, const HistoryMark& mark)
    : durable_(destinations, Lsn{}), handed_(Lsn{}), standing_{start, mark} {
  WALLABY_CHECK(destinations > 0, "a flow has at least one destination");
}

void AckLedger::Handed(Lsn end, const HistoryMark& mark) {
  std::lock_guard lock(mutex_);
  WALLABY_CHECK(end >= handed_, "transactions are handed on in commit order");
  handed_ = end;
  on_their_way_.push_back({end, mark});
}

void AckLedger::Durable(int destination, Lsn end) {
  std::lock_guard lock(mutex_);
  WALLABY_CHECK(end <= handed_, "a destination cannot hold what was not handed to it");
  durable_[destination] = std::max(durable_[destination], end);
  MoveLocked(*std::min_element(durable_.begin(), durable_.end()));
  moved_.notify_all();
}

// Of what was handed on, all that ends at or before `least` is durable everywhere.
void AckLedger::MoveLocked(Lsn least) {
  while (!on_their_way_.empty() && on_their_way_.front().position <= least) {
    // What comes again after a start, from before it, moves nothing.
    if (on_their_way_.front().position > standing_.position) standing_ = on_their_way_.front();
    on_their_way_.pop_front();
  }
  standing_.position = std::max(standing_.position, least);
}

void AckLedger::Idle(Lsn wal_end, const HistoryMark& mark) {
  std::lock_guard lock(mutex_);
  const bool settled = SettledLocked() || HasBug(DeliberateBug::kIdleTooEarly);
  if (settled && wal_end > standing_.position) standing_ = {wal_end, mark};
  moved_.notify_all();
}

AckLedger::Standing AckLedger::standing() const {
  std::lock_guard lock(mutex_);
  return standing_;
}

std::vector<Lsn> AckLedger::durable() const {
  std::lock_guard lock(mutex_);
  return durable_;
}

bool AckLedger::settled() const {
  std::lock_guard lock(mutex_);
  return SettledLocked();
}

bool AckLedger::settled(int destination) const {
  std::lock_guard lock(mutex_);
  return durable_[destination] >= handed_;
}

void AckLedger::AwaitAbove(Lsn known, absl::Duration timeout) const {
  std::unique_lock lock(mutex_);
  moved_.wait_for(lock, absl::ToChronoNanoseconds(timeout), [&] { return closed_ || standing_.position > known; });
}

void AckLedger::Close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  moved_.notify_all();
}

bool AckLedger::SettledLocked() const {
  return std::all_of(durable_.begin(), durable_.end(), [this](Lsn lsn) { return lsn >= handed_; });
}

}  // namespace wallaby

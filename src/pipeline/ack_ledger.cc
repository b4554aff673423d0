#include "pipeline/ack_ledger.h"

#include <algorithm>

#include "base/check.h"
#include "base/deliberate_bug.h"

namespace wallaby {

AckLedger::AckLedger(int destinations, Lsn start) : durable_(destinations, Lsn{}), handed_(Lsn{}), position_(start) {
  WALLABY_CHECK(destinations > 0, "a flow has at least one destination");
}

void AckLedger::Handed(Lsn end) {
  std::lock_guard lock(mutex_);
  WALLABY_CHECK(end >= handed_, "transactions are handed on in commit order");
  handed_ = end;
}

void AckLedger::Durable(int destination, Lsn end) {
  std::lock_guard lock(mutex_);
  WALLABY_CHECK(end <= handed_, "a destination cannot hold what was not handed to it");
  durable_[destination] = std::max(durable_[destination], end);
  position_ = std::max(position_, *std::min_element(durable_.begin(), durable_.end()));
  moved_.notify_all();
}

void AckLedger::Idle(Lsn wal_end) {
  std::lock_guard lock(mutex_);
  if (SettledLocked() || HasBug(DeliberateBug::kIdleTooEarly)) position_ = std::max(position_, wal_end);
  moved_.notify_all();
}

Lsn AckLedger::position() const {
  std::lock_guard lock(mutex_);
  return position_;
}

std::vector<Lsn> AckLedger::durable() const {
  std::lock_guard lock(mutex_);
  return durable_;
}

bool AckLedger::settled() const {
  std::lock_guard lock(mutex_);
  return SettledLocked();
}

void AckLedger::AwaitAbove(Lsn known, absl::Duration timeout) const {
  std::unique_lock lock(mutex_);
  moved_.wait_for(lock, absl::ToChronoNanoseconds(timeout), [&] { return closed_ || position_ > known; });
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

#include "pipeline/checkpointer.h"

#include <utility>

#include "base/deliberate_bug.h"
#include "base/failpoint.h"
#include "base/status.h"
#include "telemetry/log.h"
#include "telemetry/trace_events.h"

namespace wallaby {
namespace {

constexpr absl::Duration kInterval = absl::Seconds(1);

}  // namespace

std::string DestinationKey(const std::string& name) {
  return "destination." + name;
}

Checkpointer::Checkpointer(AckLedger* ledger, CheckpointStore* store, Clock* clock, Event* reader,
                           const Checkpoint& start, std::vector<std::string> destinations)
    : ledger_(ledger),
      store_(store),
      clock_(clock),
      reader_(reader),
      destinations_(std::move(destinations)),
      metadata_(start.metadata),
      acknowledged_(start.lsn.value) {}

absl::Status Checkpointer::Run(const std::atomic<bool>& stop) {
  absl::Duration next = absl::ZeroDuration();
  while (!stop) {
    const absl::Duration wait = next - clock_->Monotonic();
    // Between two stores wait for the interval to pass, after it for a position to store; Close() ends both.
    if (wait > absl::ZeroDuration()) {
      ledger_->AwaitAbove(Lsn{UINT64_MAX}, wait);
      continue;
    }
    ledger_->AwaitAbove(Lsn{acknowledged_.load()}, kInterval);
    const Lsn position = ledger_->position();
    if (position.value <= acknowledged_.load()) continue;
    next = clock_->Monotonic() + kInterval;
    const absl::Status status = Store();
    if (status.ok()) continue;
    if (!IsTransient(status)) return Annotate(status, "storing the checkpoint");
    Log(LogLevel::kWarn, "the checkpoint could not be stored; trying again, the slot holds meanwhile",
        {{"error", std::string(status.message())}, {"lsn", position.ToString()}});
  }
  return absl::OkStatus();
}

absl::Status Checkpointer::StoreLast() {
  const Lsn position = ledger_->position();
  if (position.value <= acknowledged_.load()) return absl::OkStatus();
  return Annotate(Store(), "storing the last checkpoint");
}

absl::Status Checkpointer::Store() {
  const auto [position, mark] = ledger_->standing();
  Checkpoint checkpoint;
  checkpoint.lsn = position;
  checkpoint.at = clock_->Now();
  const std::vector<Lsn> durable = ledger_->durable();
  for (size_t i = 0; i < destinations_.size(); ++i) {
    if (durable[i].valid()) metadata_[DestinationKey(destinations_[i])] = durable[i].ToString();
  }
  metadata_.erase(kHistoryMarkKey);
  if (mark.known) metadata_[kHistoryMarkKey] = mark.ToString();
  checkpoint.metadata = metadata_;
  if (HasBug(DeliberateBug::kAcknowledgeFirst)) {
    acknowledged_ = position.value;
    reader_->Set();
  }
  RETURN_IF_ERROR(ReachFailpoint(Failpoint::kCheckpointPutBefore));
  RETURN_IF_ERROR(store_->Put(checkpoint));
  RETURN_IF_ERROR(ReachFailpoint(Failpoint::kCheckpointPutAfter));
  TraceEvent(spec::kCheckpoint, "Running", position);
  acknowledged_ = position.value;
  reader_->Set();
  return absl::OkStatus();
}

}  // namespace wallaby

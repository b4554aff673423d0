// Worker: runs one flow in this process: lease, attempts with backoff, reports, orderly end.
#ifndef WALLABY_PIPELINE_WORKER_H_
#define WALLABY_PIPELINE_WORKER_H_

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/event.h"
#include "flow/flow.h"
#include "pipeline/attempt.h"
#include "pipeline/lane.h"
#include "pipeline/postgres_source.h"
#include "pipeline/spool_meter.h"
#include "pipeline/spooler.h"
#include "postgres/source_options.h"
#include "store/control_store.h"

namespace wallaby {

// A worker that died leaves its flow to the next one after this long.
inline constexpr absl::Duration kLeaseTtl = absl::Seconds(15);

class Worker {
 public:
  // `store` holds flows and leases, `checkpoints` the checkpoints (often the same). Both outlive the worker.
  // `ddl`: what the settings say of DDL, where the flow does not. `make_source`: another one is for the simulator.
  Worker(ControlStore* store, ControlStore* checkpoints, Clock* clock, int64_t memory_limit, DdlPolicy ddl,
         WorkerOptions options, MakeSource make_source = MakePostgresSource);
  ~Worker();

  // Until Stop(), a request in the store (pause, stop), the probe's or backfill's end: OK. Or a lasting error, which
  // has been put into the flow's state then.
  absl::Status Run();
  // Async-signal-safe: asks for a clean end.
  void Stop();

 private:
  absl::Status FollowReferences();
  void MakeSpooler(Spooler::Failed failed);
  // Mode kSpool: until the flow is neither paused nor failed.
  absl::Status KeepSpooling();
  void FailSpooling(const absl::Status& failure);
  // Sets the gauges of the spool; `cursor`: where the flow is.
  void MeasureSpool(Lsn cursor);
  void TraceBegin();
  absl::Status RunAttempts();
  absl::Status RunAttempt();
  // A transaction is held because of its DDL. True when the events are settled and the stream may go on.
  absl::StatusOr<bool> SettleHeld();
  // A line in the log for each event that is new, then the pause.
  absl::Status PauseForDdl(const std::vector<ControlStore::RecordedDdl>& events);
  void TellOfGate(const std::vector<ControlStore::RecordedDdl>& events, std::string_view what) const;
  // ---- tables that wait for a schema change while the flow goes on ----
  absl::Status ApplyRequested();
  absl::Status HoldTables(const HeldTransaction& held);
  void LookAtHolds();
  // ---- destinations that go at their own pace ----
  // Whether every lane has come to the copy that is due.
  bool LanesAreLevel();
  // Ends the attempt when that is so; the next one copies.
  void LookAtCopies();
  // Of a probe, whose own stream has drained: until the lanes have, too. False: a copy is to be made first.
  absl::StatusOr<bool> LanesDrained();
  // Whether a failed attempt is followed by another.
  bool TryAgain(const absl::Status& status, int tries) const;
  void SettleFailure(const absl::Status& status);
  void SettleEnd();
  std::string Summary();

  // The pulse: a thread that renews the lease, watches the flow's state and writes reports.
  void Pulse();
  void PulseOnce();
  void WriteReport(ControlStore& store);
  // What the spool keeps is kept for the one that is furthest behind.
  Lsn FurthestBehind(Lsn own) const;
  void ShowDestinations(const std::vector<DestinationReport>& destinations);
  std::vector<DestinationReport> ReportDestinations(const AttemptReport& current, const std::optional<SlotInfo>& slot);
  // The gauges of what waits for the destinations, and of how long attempts fail. Under mutex_.
  void ShowLoads(const AttemptReport& current);
  void Finish(const absl::Status& why);  // ends the current attempt and lets no other begin

  ControlStore* const store_;
  ControlStore* const checkpoints_;
  Clock* const clock_;
  const int64_t memory_limit_;
  const DdlPolicy ddl_settings_;
  const WorkerOptions options_;
  const MakeSource make_source_;

  StoredFlow stored_;
  SourceOptions source_options_;
  std::unique_ptr<Source> source_;
  Lease lease_;
  std::unique_ptr<ControlStore> fenced_;  // store_ by the right of the lease: for all that is written
  AttemptContext context_;
  std::unique_ptr<CheckpointStore> checkpoint_store_;
  std::unique_ptr<SourceSession> monitor_;  // of the pulse
  Lanes lanes_;
  std::unique_ptr<Spooler> spooler_;  // with a spool, as the next
  std::unique_ptr<SpoolMeter> spool_meter_;

  Event stop_event_;  // set by Stop(); never cleared
  Event cut_short_;   // set a while after it
  Event pulse_end_;
  std::thread pulse_;
  mutable std::mutex mutex_;  // guards all below
  std::shared_ptr<Attempt> attempt_;
  std::string waiting_;  // why no attempt runs now
  absl::Status end_;     // an error of the pulse that ends the worker
  AttemptReport last_report_;
  bool copy_waited_ = false;    // the last attempt left a copy until the lanes have come to it
  int64_t changes_before_ = 0;  // delivered by earlier attempts
  // Since when attempts fail, and how far the flow had come then; nothing since it got on.
  std::optional<absl::Time> failing_since_;
  Lsn best_acknowledged_;
  std::atomic<bool> ending_{false};
  std::atomic<bool> look_again_{false};  // the attempt was ended for the sake of tables that wait, or a copy
  std::atomic<bool> copy_now_{false};    // every lane has come to the copy that is due
};

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_WORKER_H_

#include "pipeline/lane.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/backoff.h"
#include "base/status.h"
#include "flow/fan_out.h"
#include "pipeline/ddl_apply.h"
#include "pipeline/instruments.h"
#include "spool/spool_cursor.h"
#include "telemetry/log.h"
#include "telemetry/trace_events.h"

namespace wallaby {
namespace {

// How often a lane looks whether a schema change is settled, and somebody whether lanes have drained.
constexpr absl::Duration kLookAgain = absl::Milliseconds(500);
// give_up_policy on_retry_exhaustion: so many failed attempts in a row that delivered nothing.
constexpr int kMaxTries = 10;

WorkerOptions OptionsOfLane(WorkerOptions options) {
  options.start_lsn = {};  // an order for the flow's own stream
  return options;
}

}  // namespace

absl::StatusOr<std::optional<Checkpoint>> LaneCheckpointStore::Get() {
  ASSIGN_OR_RETURN(const auto lanes, store_->Lanes(flow_id_));
  const auto lane = lanes.find(destination_);
  if (lane == lanes.end()) return std::nullopt;
  return lane->second;
}

Lane::Lane(const AttemptContext& flow, const Endpoint& endpoint)
    : endpoint_(endpoint),
      flow_checkpoints_(flow.checkpoints),
      options_(OptionsOfLane(*flow.options)),
      checkpoints_(flow.store, flow.flow->id, endpoint.name),
      context_(flow) {
  context_.lane = endpoint.name;
  context_.lanes = nullptr;
  context_.options = &options_;
  context_.checkpoints = &checkpoints_;
  context_.held.reset();
  context_.stop_before = {};
  last_.name = endpoint.name;
  thread_ = std::thread([this] { Run(); });
}

Lane::~Lane() {
  Stop();
  thread_.join();
}

void Lane::Stop() {
  end_.Set();
  std::lock_guard lock(mutex_);
  if (attempt_ != nullptr) attempt_->Stop();
}

void Lane::LetEnd() {
  std::lock_guard lock(mutex_);
  may_end_ = true;
}

void Lane::SetState(LaneReport::State state) {
  std::lock_guard lock(mutex_);
  last_.state = state;
}

LaneReport Lane::report() const {
  std::lock_guard lock(mutex_);
  LaneReport report = last_;
  if (attempt_ == nullptr) return report;
  const AttemptReport now = attempt_->report();
  report.changes += now.changes;
  if (now.acknowledged.valid()) report.position = std::max(report.position, now.acknowledged);
  if (now.reached_micros > 0) report.reached_micros = now.reached_micros;
  report.settled = now.streaming && now.settled;
  if (!now.loads.empty()) {
    report.load = now.loads.front();
    report.position = std::max(report.position, report.load->position);
  }
  // It fails until something gets on.
  const bool gets_on = now.changes > 0 || report.position > last_.position;
  if (report.failing_since && !gets_on) return report;
  report.failing_since.reset();
  report.error.clear();
  report.state = now.streaming ? LaneReport::State::kStreaming : LaneReport::State::kStarting;
  return report;
}

void Lane::Run() {
  const TraceFlowScope traced(LaneCursorId(context_.flow->id, endpoint_.name), context_.generation);
  TraceEvent(spec::kStart, "Running", {});
  Log(LogLevel::kInfo, "a destination goes on at its own pace", {{"destination", endpoint_.name}});
  if (const auto at = checkpoints_.Get(); at.ok() && at->has_value()) {
    std::lock_guard lock(mutex_);
    last_.position = (*at)->lsn;
  }
  Backoff backoff(absl::Milliseconds(500), absl::Seconds(30));
  while (!end_.Wait(absl::ZeroDuration())) {
    const int64_t before = report().changes;
    absl::Status status = RunAttempt();
    if (status.ok() && context_.held) {
      status = SettleHeld();
      context_.held.reset();
      if (status.ok() && report().state != LaneReport::State::kDrained) {
        backoff.Reset();
        continue;
      }
    }
    if (status.ok()) {
      SetState(LaneReport::State::kDrained);
      break;
    }
    CountError(status);
    // An aborted attempt only begins anew another way.
    if (!absl::IsAborted(status)) NoteFailure(status, LaneReport::State::kFailing);
    if (report().changes > before) backoff.Reset();
    if (!TryAgain(status, backoff.tries() + 1)) {
      Fail(status);
      break;
    }
    const absl::Duration wait = backoff.Next();
    Log(LogLevel::kWarn, "a destination failed; trying again, the others go on",
        {{"destination", endpoint_.name},
         {"error", std::string(status.message())},
         {"in", absl::FormatDuration(wait)}});
    if (end_.Wait(wait)) break;
  }
  TraceEvent(spec::kStop, "Stopped", {});
}

absl::Status Lane::RunAttempt() {
  auto attempt = std::make_shared<Attempt>(&context_);
  {
    std::lock_guard lock(mutex_);
    attempt_ = attempt;
    if (!last_.failing_since) last_.state = LaneReport::State::kStarting;
  }
  if (end_.Wait(absl::ZeroDuration())) attempt->Stop();
  const absl::Status status = attempt->Run();
  LaneReport now = report();
  now.load.reset();
  std::lock_guard lock(mutex_);
  attempt_.reset();
  last_ = std::move(now);
  return status;
}

void Lane::NoteFailure(const absl::Status& status, LaneReport::State state) {
  std::lock_guard lock(mutex_);
  last_.state = state;
  last_.error = std::string(status.message());
  if (!last_.failing_since) last_.failing_since = context_.clock->Now();
}

// Until what holds the stream is settled, and the destination has followed.
absl::Status Lane::SettleHeld() {
  const DdlApplyOptions options = {
      .generation = context_.generation,
      .memory_limit = context_.memory_limit / 4 / static_cast<int64_t>(context_.flow->destinations.size())};
  const HeldTransaction& held = *context_.held;
  while (!end_.Wait(absl::ZeroDuration())) {
    // Read before: what the flow has passed it has recorded.
    ASSIGN_OR_RETURN(const std::optional<Checkpoint> flow, flow_checkpoints_->Get());
    const bool passed = flow && flow->lsn > held.commit;
    if (passed && settled_at_ == held.commit) {
      return absl::FailedPreconditionError(
          absl::StrCat("destination ", endpoint_.name, " has come to a schema change at ", held.commit.ToString(),
                       " that the primary has passed without one; to copy every table again and go on from there, run: "
                       "wallaby-admin flow stop -flow-id ",
                       context_.flow->id, "; wallaby-worker -flow-id ", context_.flow->id, " -mode backfill"));
    }
    // The flow has recorded all that there is to decide. What else was found here rests on the shapes before it.
    ASSIGN_OR_RETURN(const bool settled, SettleDdlAtLane(*context_.store, *context_.flow, endpoint_, held.commit,
                                                         passed ? std::vector<DdlEvent>() : held.events, options));
    if (settled) {
      if (passed) settled_at_ = held.commit;
      return absl::OkStatus();
    }
    {
      std::lock_guard lock(mutex_);
      last_.state = may_end_ ? LaneReport::State::kDrained : LaneReport::State::kWaiting;
      if (may_end_) return absl::OkStatus();
    }
    end_.Wait(kLookAgain);
  }
  return absl::OkStatus();
}

bool Lane::TryAgain(const absl::Status& status, int tries) const {
  if (IsFenced(status)) return false;
  // A probe tells what it met instead of waiting it out.
  if (options_.max_empty_reads > 0) return absl::IsAborted(status);
  if (context_.flow->config.give_up_policy != GiveUpPolicy::kOnRetryExhaustion) return true;
  return IsTransient(status) && tries < kMaxTries;
}

void Lane::Fail(const absl::Status& status) {
  Log(LogLevel::kError, "destination failed; the others go on, and the flow's next start tries it again",
      {{"destination", endpoint_.name}, {"reason", std::string(status.message())}});
  NoteFailure(status, LaneReport::State::kFailed);
}

// ---- all of a flow ----

void Lanes::Start(const AttemptContext& flow) {
  std::lock_guard lock(mutex_);
  if (!lanes_.empty()) return;
  for (const Endpoint& endpoint : flow.flow->destinations) {
    if (IsSecondary(*flow.flow, endpoint.name)) lanes_.push_back(std::make_unique<Lane>(flow, endpoint));
  }
}

void Lanes::Stop() {
  std::vector<std::unique_ptr<Lane>> ended;
  {
    std::lock_guard lock(mutex_);
    for (auto& lane : lanes_) lane->Stop();
    ended.swap(lanes_);
  }
}

absl::Status Lanes::AwaitDrained(Event& stop) {
  {
    std::lock_guard lock(mutex_);
    for (auto& lane : lanes_) lane->LetEnd();
  }
  do {
    bool all = true;
    for (const LaneReport& lane : reports()) {
      if (lane.state == LaneReport::State::kFailed) {
        return absl::UnavailableError(lane.error);
      }
      all &= lane.state == LaneReport::State::kDrained;
    }
    if (all) return absl::OkStatus();
  } while (!stop.Wait(absl::Milliseconds(50)));
  return absl::OkStatus();
}

std::vector<LaneReport> Lanes::reports() const {
  std::lock_guard lock(mutex_);
  std::vector<LaneReport> reports;
  for (const auto& lane : lanes_) reports.push_back(lane->report());
  return reports;
}

bool Lanes::AllWell() const {
  const std::vector<LaneReport> all = reports();
  return !all.empty() && std::all_of(all.begin(), all.end(), [](const LaneReport& lane) {
    return !lane.failing_since &&
           (lane.state == LaneReport::State::kStreaming || lane.state == LaneReport::State::kDrained);
  });
}

}  // namespace wallaby

#include "dispatch/dbos/scheduler.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "dispatch/dbos/serialization.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

// How soon a change that a client made is seen.
constexpr absl::Duration kReadInterval = absl::Seconds(1);

}  // namespace

DbosScheduler::DbosScheduler(DbosStore* dbos, std::string schedule, std::function<void()> fired)
    : dbos_(dbos),
      text_(std::move(schedule)),
      name_(absl::StrCat(dbos->identity().application, "-flow-dispatch")),
      fired_(std::move(fired)) {}

DbosScheduler::~DbosScheduler() {
  end_.Set();
  if (thread_.joinable()) thread_.join();
}

absl::Status DbosScheduler::Start() {
  // Without it, clients would show a schedule that nobody fires.
  if (text_.empty()) return dbos_->DropSchedule(name_);
  ASSIGN_OR_RETURN(const CronSchedule schedule, CronSchedule::Parse(text_));
  RETURN_IF_ERROR(dbos_->PutSchedule(name_, schedule.expression(), schedule.time_zone()));
  thread_ = std::thread([this] { Loop(); });
  return absl::OkStatus();
}

void DbosScheduler::Loop() {
  std::string told;
  while (true) {
    const absl::Status status = Turn();
    const std::string error(status.message());
    if (!error.empty() && error != told) {
      Log(LogLevel::kWarn, "the schedule cannot be followed", {{"schedule", name_}, {"error", error}});
    }
    told = error;
    const absl::Duration wait = std::clamp(next_ - absl::Now(), absl::ZeroDuration(), kReadInterval);
    if (end_.Wait(std::max(wait, absl::Milliseconds(1)))) return;
  }
}

absl::Status DbosScheduler::Turn() {
  absl::StatusOr<std::optional<DbosStore::Schedule>> row = dbos_->GetSchedule(name_);
  const absl::Time now = absl::Now();
  if (!row.ok()) {
    if (schedule_) next_ = schedule_->Next(now);  // ticks that nobody could fire are not made up for
    return row.status();
  }
  const bool same = row_ && *row && row_->expression == (*row)->expression && row_->time_zone == (*row)->time_zone;
  row_ = *std::move(row);
  if (!same) {
    schedule_.reset();
    next_ = absl::InfiniteFuture();
    if (!row_) return absl::NotFoundError("its row in dbos.workflow_schedules is gone; the next start makes it again");
    ASSIGN_OR_RETURN(schedule_, CronSchedule::Parse(row_->expression, row_->time_zone));
    next_ = schedule_->Next(now);
  }
  if (!schedule_ || now < next_) return absl::OkStatus();
  const absl::Time at = next_;
  next_ = schedule_->Next(now);
  return row_->active && !deactivated_ ? Fire(at) : absl::OkStatus();
}

absl::Status DbosScheduler::Fire(absl::Time at) {
  const std::string time = absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", at, absl::UTCTimeZone());
  DbosStore::NewRun run;
  run.id = absl::StrCat("sched-", name_, "-", time);
  run.name = kDispatchWorkflow;
  run.input = PortableTickInput(time);
  run.schedule = name_;
  ASSIGN_OR_RETURN(const DbosStore::Enqueued enqueued, dbos_->Enqueue(run));
  if (enqueued != DbosStore::Enqueued::kNew) return absl::OkStatus();
  fired_();
  return dbos_->MarkFired(name_, at);
}

}  // namespace wallaby

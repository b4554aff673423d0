#include "base/failpoint.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <random>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "base/units.h"

namespace wallaby {
namespace {

constexpr std::array<std::string_view, 29> kNames = {
    "destination.open",
    "destination.write",
    "destination.commit.before",
    "destination.commit.after",
    "checkpoint.put.before",
    "checkpoint.put.after",
    "source.feedback",
    "slot.create.before",
    "slot.create.after",
    "snapshot.part.read",
    "snapshot.part.done",
    "snapshot.done",
    "catchup.open",
    "catchup.handover",
    "ddl.record",
    "ddl.pause",
    "ddl.apply",
    "ddl.receipt",
    "ddl.settle",
    "lease.acquire",
    "lease.renew",
    "store.commit.before",
    "store.commit.after",
    "worker.spawn.before",
    "worker.spawn.after",
    "spool.write",
    "spool.sync",
    "spool.segment",
    "spool.remove",
};
static_assert(kNames.size() == static_cast<size_t>(Failpoint::kSpoolRemove) + 1, "each failpoint has its name");

// The codes that a real step can give, worth trying again or not.
constexpr std::pair<std::string_view, absl::StatusCode> kCodes[] = {
    {"unavailable", absl::StatusCode::kUnavailable},
    {"aborted", absl::StatusCode::kAborted},
    {"deadline_exceeded", absl::StatusCode::kDeadlineExceeded},
    {"resource_exhausted", absl::StatusCode::kResourceExhausted},
    {"failed_precondition", absl::StatusCode::kFailedPrecondition},
    {"invalid_argument", absl::StatusCode::kInvalidArgument},
    {"permission_denied", absl::StatusCode::kPermissionDenied},
    {"not_found", absl::StatusCode::kNotFound},
    {"data_loss", absl::StatusCode::kDataLoss},
    {"internal", absl::StatusCode::kInternal},
};

enum class Action { kCrash, kError, kDelay, kPause };
enum class When { kAlways, kNth, kEvery, kChance };

struct Plan {
  std::string text;  // the action as it was written
  Action action = Action::kCrash;
  absl::StatusCode code = absl::StatusCode::kUnavailable;
  absl::Duration delay;
  When when = When::kAlways;
  int64_t n = 0;
  std::minstd_rand chance;
  int64_t reached = 0;
};

using Plans = std::array<std::optional<Plan>, kNames.size()>;

std::mutex mutex;
Plans plans;  // under mutex
void (*listener)(std::string_view) = nullptr;

absl::Status Bad(std::string_view item, std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("WALLABY_FAILPOINTS: '", item, "': ", why));
}

bool Consume(std::string_view* text, std::string_view prefix) {
  if (!text->starts_with(prefix)) return false;
  text->remove_prefix(prefix.size());
  return true;
}

absl::Status ParseAction(std::string_view item, std::string_view text, Plan* plan) {
  plan->text = std::string(text);
  if (text == "crash") return absl::OkStatus();
  if (text == "pause") {
    plan->action = Action::kPause;
    return absl::OkStatus();
  }
  if (Consume(&text, "delay:")) {
    plan->action = Action::kDelay;
    const auto delay = ParseDuration(text);
    if (!delay.ok()) return Bad(item, delay.status().message());
    plan->delay = *delay;
    return absl::OkStatus();
  }
  if (Consume(&text, "error:")) {
    plan->action = Action::kError;
    const auto* code =
        std::find_if(std::begin(kCodes), std::end(kCodes), [&](const auto& c) { return c.first == text; });
    if (code != std::end(kCodes)) {
      plan->code = code->second;
      return absl::OkStatus();
    }
  }
  return Bad(item, absl::StrCat("no such action; allowed: crash, pause, delay:DURATION, error:CODE with one of ",
                                absl::StrJoin(kCodes, ", ", [](std::string* out, const auto& code) {
                                  absl::StrAppend(out, std::string(code.first));
                                })));
}

absl::Status ParseWhen(std::string_view item, std::string_view text, Plan* plan) {
  std::string_view rest = text;
  uint32_t seed = std::random_device{}();
  plan->when = When::kNth;
  if (Consume(&rest, "every")) {
    plan->when = When::kEvery;
  } else if (Consume(&rest, "1in")) {
    plan->when = When::kChance;
    const size_t colon = rest.find(':');
    if (colon != std::string_view::npos) {
      if (!absl::SimpleAtoi(rest.substr(colon + 1), &seed)) return Bad(item, "the seed is not a whole number");
      rest = rest.substr(0, colon);
    }
  }
  plan->chance.seed(seed);
  if (!absl::SimpleAtoi(rest, &plan->n) || plan->n < 1) {
    return Bad(item, "behind @ stands how often: @3 (the third time only), @every3, @1in20 or @1in20:SEED");
  }
  return absl::OkStatus();
}

absl::Status ParseItem(std::string_view item, Plans* out) {
  const size_t equals = item.find('=');
  const std::string_view name = item.substr(0, equals);
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) {
    return Bad(item, absl::StrCat("no failpoint '", name, "'; there are: ",
                                  absl::StrJoin(kNames, ", ", [](std::string* text, std::string_view known) {
                                    absl::StrAppend(text, std::string(known));
                                  })));
  }
  if (equals == std::string_view::npos) return Bad(item, "lacks its action, as in name=crash@3");
  std::string_view action = item.substr(equals + 1);
  Plan plan;
  const size_t at = action.find('@');
  if (at != std::string_view::npos) {
    RETURN_IF_ERROR(ParseWhen(item, action.substr(at + 1), &plan));
    action = action.substr(0, at);
  }
  RETURN_IF_ERROR(ParseAction(item, action, &plan));
  std::optional<Plan>& place = (*out)[static_cast<size_t>(found - kNames.begin())];
  if (place.has_value()) return Bad(item, "the failpoint stands in the setting twice");
  place = std::move(plan);
  return absl::OkStatus();
}

bool IsDue(Plan& plan) {
  ++plan.reached;
  switch (plan.when) {
    case When::kAlways:
      return true;
    case When::kNth:
      return plan.reached == plan.n;
    case When::kEvery:
      return plan.reached % plan.n == 0;
    case When::kChance:
      return plan.chance() % static_cast<uint64_t>(plan.n) == 0;
  }
  return false;
}

}  // namespace

std::span<const std::string_view> FailpointNames() {
  return kNames;
}

absl::Status ArmFailpoints(std::string_view setting, void (*fired)(std::string_view what)) {
  Plans parsed;
  if (!setting.empty()) {
    for (const absl::string_view item : absl::StrSplit(setting, ',')) {
      RETURN_IF_ERROR(ParseItem(absl::StripAsciiWhitespace(item), &parsed));
    }
  }
  std::lock_guard lock(mutex);
  plans = std::move(parsed);
  listener = fired;
  failpoint_internal::armed = !setting.empty();
  return absl::OkStatus();
}

namespace failpoint_internal {

std::atomic<bool> armed{false};

absl::Status Act(Failpoint point) {
  const auto index = static_cast<size_t>(point);
  Action action;
  absl::Duration delay;
  absl::StatusCode code;
  std::string what;
  {
    std::lock_guard lock(mutex);
    std::optional<Plan>& plan = plans[index];
    if (!plan.has_value() || !IsDue(*plan)) return absl::OkStatus();
    action = plan->action;
    delay = plan->delay;
    code = plan->code;
    what = absl::StrCat(kNames[index], ": ", plan->text, ", reached ", plan->reached, " times");
  }
  if (listener != nullptr) listener(what);
  switch (action) {
    case Action::kCrash:
      kill(getpid(), SIGKILL);
      pause();
      break;
    case Action::kPause:
      kill(getpid(), SIGSTOP);
      break;
    case Action::kDelay:
      absl::SleepFor(delay);
      break;
    case Action::kError:
      return absl::Status(code, absl::StrCat("failpoint ", what));
  }
  return absl::OkStatus();
}

}  // namespace failpoint_internal
}  // namespace wallaby

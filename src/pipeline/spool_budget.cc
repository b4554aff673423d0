#include "pipeline/spool_budget.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/units.h"
#include "spool/spool_cursor.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

// A flow that delivers makes room with each checkpoint.
constexpr absl::Duration kPatience = absl::Seconds(10);

}  // namespace

absl::StatusOr<bool> SpoolBudget::MakeRoom(SpoolWriter& writer, absl::Duration now) {
  why_full_.clear();
  while (true) {
    ASSIGN_OR_RETURN(const std::vector<Holder> holders, Holders());
    // The one that is furthest behind holds most.
    RETURN_IF_ERROR(writer.RemoveBelow(holders.empty() ? writer.end() : holders.front().cursor));
    const auto over = std::find_if(holders.begin(), holders.end(), [](const Holder& holder) {
      return holder.limit > 0 && holder.bytes >= holder.limit;
    });
    ASSIGN_OR_RETURN(const bool room, writer.HasRoom());
    if (holders.empty() || (over == holders.end() && room)) {
      full_since_.reset();
      return true;
    }
    if (!full_since_) full_since_ = now;
    const Holder& full = over != holders.end() ? *over : holders.front();
    why_full_ = absl::StrCat("flow ", full.flow_id, " holds ", SizeText(full.bytes), " of the spool, and ",
                             over != holders.end() ? absl::StrCat("its spool_limit is ", SizeText(full.limit))
                                                   : absl::StrCat("all spools together may have ",
                                                                  SizeText(options_.limit), " (WALLABY_SPOOL_LIMIT)"));
    // When others fill the folder, nothing is won by failing one that holds next to nothing.
    if (full.policy == SpoolPolicy::kHold || full.bytes < SpoolSegmentBytes(options_)) return false;
    if (now - *full_since_ < kPatience) return false;
    RETURN_IF_ERROR(GiveUp(full, why_full_));
  }
}

absl::StatusOr<std::vector<SpoolBudget::Holder>> SpoolBudget::Holders() const {
  ASSIGN_OR_RETURN(const auto cursors, SpoolCursors(options_, name_));
  std::vector<Holder> holders;
  for (const auto& [flow_id, cursor] : cursors) {
    const auto flow = store_->GetFlow(flow_id);
    if (absl::IsNotFound(flow.status())) {
      RETURN_IF_ERROR(ForgetSpoolCursor(options_, name_, flow_id));
      continue;
    }
    RETURN_IF_ERROR(flow.status());
    Holder holder{.flow_id = flow_id, .cursor = cursor, .policy = policy_};
    // A definition that cannot be read any more holds what it holds.
    const auto source = ParseSourceOptions(flow->flow.source.name, flow->flow.source.options);
    if (source.ok()) {
      holder.limit = source->spool_limit;
      holder.policy = source->spool_policy.value_or(policy_);
    }
    ASSIGN_OR_RETURN(holder.bytes, SpoolBytesBehind(options_, name_, cursor));
    holders.push_back(std::move(holder));
  }
  std::sort(holders.begin(), holders.end(), [](const Holder& a, const Holder& b) { return a.cursor < b.cursor; });
  return holders;
}

// First the state, so that a crash in between leaves a flow that fails once more.
absl::Status SpoolBudget::GiveUp(const Holder& holder, const std::string& why) {
  const std::string reason =
      absl::StrCat("the spool is full: ", why,
                   "; as spool_policy is fail, what this flow had not delivered was dropped. To copy "
                   "every table again and go on from there, run: wallaby-worker -flow-id ",
                   holder.flow_id, " -mode backfill");
  Log(LogLevel::kError, "flow failed", {{"flow", holder.flow_id}, {"reason", reason}});
  const absl::Status failed =
      store_->Transition(holder.flow_id, {FlowState::kRunning, FlowState::kPaused}, FlowState::kFailed, reason);
  // One that is stopped or failed keeps its state, and is told by its error.
  if (!failed.ok() && !absl::IsFailedPrecondition(failed)) return failed;
  RETURN_IF_ERROR(store_->SetLastError(holder.flow_id, reason));
  return ForgetSpoolCursor(options_, name_, holder.flow_id);
}

}  // namespace wallaby

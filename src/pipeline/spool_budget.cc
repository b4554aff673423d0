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

// Who holds, for people.
std::string NameOf(const std::string& cursor_id) {
  const std::string destination = DestinationOfCursor(cursor_id);
  const std::string flow = absl::StrCat("flow ", FlowOfCursor(cursor_id));
  return destination.empty() ? flow : absl::StrCat("destination ", destination, " of ", flow);
}

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
    why_full_ = absl::StrCat(NameOf(full.id), " holds ", SizeText(full.bytes), " of the spool, and ",
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
  for (const auto& [id, cursor] : cursors) {
    ASSIGN_OR_RETURN(std::optional<Holder> holder, HolderOf(id));
    if (!holder) {
      RETURN_IF_ERROR(ForgetSpoolCursor(options_, name_, id));
      continue;
    }
    holder->cursor = cursor;
    ASSIGN_OR_RETURN(holder->bytes, SpoolBytesBehind(options_, name_, cursor));
    holders.push_back(*std::move(holder));
  }
  std::sort(holders.begin(), holders.end(), [](const Holder& a, const Holder& b) { return a.cursor < b.cursor; });
  return holders;
}

absl::StatusOr<std::optional<SpoolBudget::Holder>> SpoolBudget::HolderOf(const std::string& cursor_id) const {
  const auto flow = store_->GetFlow(FlowOfCursor(cursor_id));
  if (absl::IsNotFound(flow.status())) return std::nullopt;
  RETURN_IF_ERROR(flow.status());
  // One that was taken out of its flow holds nothing.
  const std::string destination = DestinationOfCursor(cursor_id);
  const auto& all = flow->flow.destinations;
  if (!destination.empty() && std::none_of(all.begin(), all.end(), [&destination](const Endpoint& endpoint) {
        return endpoint.name == destination;
      })) {
    return std::nullopt;
  }
  Holder holder{.id = cursor_id, .policy = policy_};
  // A definition that cannot be read any more holds what it holds.
  const auto source = ParseSourceOptions(flow->flow.source.name, flow->flow.source.options);
  if (source.ok()) {
    holder.limit = source->spool_limit;
    holder.policy = source->spool_policy.value_or(policy_);
  }
  return holder;
}

// First the state, so that a crash in between leaves a flow that fails once more.
absl::Status SpoolBudget::GiveUp(const Holder& holder, const std::string& why) {
  const std::string flow_id = FlowOfCursor(holder.id);
  const std::string reason =
      absl::StrCat("the spool is full: ", why,
                   "; as spool_policy is fail, what was not delivered there was dropped. To copy "
                   "every table again and go on from there, run: wallaby-worker -flow-id ",
                   flow_id, " -mode backfill");
  // A destination's own stream finds what it was to read gone, and fails by itself.
  const bool alone = !DestinationOfCursor(holder.id).empty();
  Log(LogLevel::kError, alone ? "destination given up" : "flow failed",
      {{"flow", flow_id}, {"destination", DestinationOfCursor(holder.id)}, {"reason", reason}});
  // One that is stopped or failed keeps its state, and is told by its error.
  const absl::Status failed =
      alone ? absl::OkStatus()
            : store_->Transition(flow_id, {FlowState::kRunning, FlowState::kPaused}, FlowState::kFailed, reason);
  if (!failed.ok() && !absl::IsFailedPrecondition(failed)) return failed;
  RETURN_IF_ERROR(store_->SetLastError(flow_id, reason));
  return ForgetSpoolCursor(options_, name_, holder.id);
}

}  // namespace wallaby

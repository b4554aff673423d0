#include "pipeline/snapshot_resume.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

// The stored plan, when the copy can go on by it.
absl::StatusOr<std::optional<SnapshotPlan>> UsablePlan(SourceSession& source, const PublishedTable& table,
                                                       const TableSync& sync) {
  if (sync.state != TableSyncState::kCopying || sync.plan.empty()) return std::nullopt;
  absl::StatusOr<SnapshotPlan> plan = PlanFromText(sync.plan);
  if (!plan.ok()) {
    Log(LogLevel::kWarn, "the snapshot starts over",
        {{"table", sync.table}, {"why", std::string(plan.status().message())}});
    return std::nullopt;
  }
  ASSIGN_OR_RETURN(const uint32_t file, source.TableFile(table.relation));
  if (!PlanFits(*plan, table, file)) {
    Log(LogLevel::kInfo, "the snapshot starts over",
        {{"table", sync.table}, {"why", "the table was changed, rewritten or truncated since"}});
    return std::nullopt;
  }
  return *std::move(plan);
}

std::vector<bool> CompleteParts(const std::vector<TablePart>& parts, const SnapshotPlan& plan, Lsn streamed,
                                const std::vector<OpenDestination>& destinations) {
  std::vector<bool> complete;
  for (size_t i = 0; i < parts.size(); ++i) {
    complete.push_back(plan.parts[i].lsn >= streamed &&
                       std::all_of(destinations.begin(), destinations.end(), [&](const OpenDestination& open) {
                         return open.progress.snapshot_parts.contains(parts[i].name);
                       }));
  }
  return complete;
}

absl::Status ClearPart(const PublishedTable& table, const TablePart& part, std::vector<OpenDestination>& destinations) {
  for (OpenDestination& open : destinations) {
    RETURN_IF_ERROR(Annotate(open.destination->ResetPart(table.relation, part.name, {part.column, part.from, part.to}),
                             absl::StrCat("destination ", open.name)));
    open.progress.snapshot_parts.erase(part.name);
  }
  return absl::OkStatus();
}

absl::Status ClearTable(const PublishedTable& table, std::vector<OpenDestination>& destinations) {
  const std::string prefix = PartPrefix(table.relation);
  for (OpenDestination& open : destinations) {
    RETURN_IF_ERROR(
        Annotate(open.destination->ResetSnapshot(table.relation, prefix), absl::StrCat("destination ", open.name)));
    std::erase_if(open.progress.snapshot_parts, [&](const std::string& part) { return part.starts_with(prefix); });
  }
  return absl::OkStatus();
}

}  // namespace

std::string PartPrefix(const Relation& relation) {
  return relation.QualifiedName() + "/";
}

bool TableToCopy::complete() const {
  return plan.has_value() && std::all_of(kept.begin(), kept.end(), [](bool k) { return k; });
}

absl::StatusOr<TableToCopy> PrepareCopy(SourceSession& source, const PublishedTable& table, const TableSync& sync,
                                        Lsn streamed, std::vector<OpenDestination>& destinations) {
  TableToCopy copy{.table = table};
  ASSIGN_OR_RETURN(copy.plan, UsablePlan(source, table, sync));
  if (copy.plan.has_value()) {
    const std::vector<TablePart> parts = PlannedParts(table.relation, *copy.plan);
    copy.kept = CompleteParts(parts, *copy.plan, streamed, destinations);
    const auto kept = std::count(copy.kept.begin(), copy.kept.end(), true);
    const bool able = std::all_of(destinations.begin(), destinations.end(), [](const OpenDestination& open) {
      return open.destination->capabilities().resets_parts;
    });
    if (copy.complete() || (kept > 0 && able)) {
      for (size_t i = 0; i < parts.size(); ++i) {
        if (!copy.kept[i]) RETURN_IF_ERROR(ClearPart(table, parts[i], destinations));
      }
      Log(LogLevel::kInfo, "snapshot goes on",
          {{"table", sync.table}, {"kept", absl::StrCat(kept)}, {"left", absl::StrCat(parts.size() - kept)}});
      return copy;
    }
  }
  RETURN_IF_ERROR(ClearTable(table, destinations));
  return TableToCopy{.table = table};
}

}  // namespace wallaby

#include "pipeline/ddl_apply.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/failpoint.h"
#include "base/status.h"
#include "destination/destination.h"
#include "flow/secret_reference.h"
#include "pipeline/instruments.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

// The command's beginning; never half a character, which neither the store nor a message on the wire would take.
std::string Describe(const DdlEvent& event) {
  size_t end = std::min<size_t>(event.ddl.size(), 120);
  while (end < event.ddl.size() && end > 0 && (static_cast<unsigned char>(event.ddl[end]) & 0xC0) == 0x80) --end;
  return absl::StrCat("DDL event ", event.id, " (", event.table, ": ", event.ddl.substr(0, end), ")");
}

std::string Command(std::string_view verb, int64_t id) {
  return absl::StrCat("wallaby-admin ddl ", verb, " -id ", id);
}

// Plans build on each other, so they are run in the order of the source.
absl::Status CheckEarlierOnes(ControlStore& store, const DdlEvent& event) {
  ASSIGN_OR_RETURN(const std::vector<DdlEvent> all, store.ListDdl(event.flow_id, {}));
  for (const DdlEvent& other : all) {
    if (std::pair(other.lsn, other.ordinal) >= std::pair(event.lsn, event.ordinal) || IsSettled(other)) continue;
    return absl::FailedPreconditionError(absl::StrCat("DDL event ", event.id, " comes after event ", other.id,
                                                      ", which is ", DdlStatusName(other.status),
                                                      "; apply that one first"));
  }
  return absl::OkStatus();
}

// The event's change. Columns that an earlier event of the table added and that were rejected since take no part in it.
absl::StatusOr<SchemaChange> ChangeOf(ControlStore& store, const DdlEvent& event) {
  ASSIGN_OR_RETURN(SchemaChange change, ChangeFromPlan(event.plan));
  if (!change.before || !change.after) return change;
  ASSIGN_OR_RETURN(const std::vector<StoredShape> shapes, store.TableShapes(event.flow_id));
  const auto stored = std::find_if(shapes.begin(), shapes.end(), [&](const StoredShape& one) {
    return one.shape.relation.oid == change.before->relation.oid;
  });
  if (stored == shapes.end()) return change;
  bool some = false;
  for (TableShape* shape : {&*change.before, &*change.after}) {
    for (const ColumnDetail& detail : stored->shape.details) {
      const int column = detail.hidden && detail.attnum != 0 ? shape->FindAttnum(detail.attnum) : -1;
      if (column < 0 || shape->details[column].hidden) continue;
      shape->details[column].hidden = true;
      some = true;
    }
  }
  if (some) change.steps = CompareShapes(&*change.before, &*change.after).steps;
  return change;
}

ControlStore::DdlSettlement Settlement(const SchemaChange& change) {
  ControlStore::DdlSettlement end;
  end.shape = change.after;
  end.copy = change.copy;
  if (change.before) end.old_table = change.before->relation.QualifiedName();
  if (change.after) {
    end.new_table = change.Table();
  } else {
    end.dropped = change.before->relation.oid;
  }
  return end;
}

absl::Status ApplyAt(const Flow& flow, const Endpoint& endpoint, const SchemaChange& change,
                     const DdlApplyOptions& options) {
  DestinationConfig config;
  config.flow_id = flow.id;
  config.name = endpoint.name;
  ASSIGN_OR_RETURN(config.options, ResolvedOptions(endpoint, EndpointKind::kDestination));
  config.generation = options.generation;
  config.memory_limit = options.memory_limit;
  ASSIGN_OR_RETURN(const std::unique_ptr<Destination> destination, MakeDestination(endpoint.type, config));
  RETURN_IF_ERROR(destination->Open().status());
  RETURN_IF_ERROR(ReachFailpoint(Failpoint::kDdlApply));
  return destination->ApplyDdl(change);
}

absl::Status ApplyEverywhere(ControlStore& store, const Flow& flow, const DdlEvent& event, const SchemaChange& change,
                             const DdlApplyOptions& options) {
  for (const Endpoint& endpoint : flow.destinations) {
    const bool done = std::any_of(event.receipts.begin(), event.receipts.end(),
                                  [&](const DdlReceipt& receipt) { return receipt.destination == endpoint.name; });
    if (done) continue;
    const absl::Status applied = ApplyAt(flow, endpoint, change, options);
    if (!applied.ok()) return Annotate(applied, absl::StrCat("destination ", endpoint.name));
    RETURN_IF_ERROR(ReachFailpoint(Failpoint::kDdlReceipt));
    RETURN_IF_ERROR(store.PutDdlReceipt(event.id, endpoint.name));
    CountDdlApplied(flow.id, endpoint.type);
    Log(LogLevel::kInfo, "DDL applied",
        {{"flow_id", flow.id}, {"destination", endpoint.name}, {"event", absl::StrCat(event.id)}});
  }
  return absl::OkStatus();
}

}  // namespace

bool OnlyAddsColumns(const DdlEvent& event) {
  const absl::StatusOr<SchemaChange> change = ChangeFromPlan(event.plan);
  return change.ok() && change->before && change->after && !change->steps.empty() &&
         std::all_of(change->steps.begin(), change->steps.end(),
                     [](const SchemaStep& step) { return step.kind == SchemaStepKind::kAddColumn; });
}

bool IsSettled(const DdlEvent& event) {
  return event.status == DdlStatus::kApplied || (event.status == DdlStatus::kRejected && OnlyAddsColumns(event));
}

absl::StatusOr<DdlEvent> ApplyDdlEvent(ControlStore& store, const Flow& flow, int64_t id,
                                       const DdlApplyOptions& options) {
  ASSIGN_OR_RETURN(DdlEvent event, store.GetDdl(id));
  if (event.status == DdlStatus::kPending) {
    return absl::FailedPreconditionError(
        absl::StrCat("DDL event ", id, " is pending; approve it first: ", Command("approve", id)));
  }
  RETURN_IF_ERROR(CheckEarlierOnes(store, event));
  ASSIGN_OR_RETURN(const SchemaChange change, ChangeOf(store, event));
  ASSIGN_OR_RETURN(event, store.MoveDdl(id, {DdlStatus::kApproved, DdlStatus::kFailed, DdlStatus::kApplying},
                                        DdlStatus::kApplying, ""));
  const absl::Status applied = ApplyEverywhere(store, flow, event, change, options);
  if (!applied.ok()) {
    const std::string error(applied.message());
    store.MoveDdl(id, {DdlStatus::kApplying}, DdlStatus::kFailed, error).IgnoreError();
    return Annotate(applied, absl::StrCat(Describe(event),
                                          " was not applied; when the cause is gone, run: ", Command("apply", id)));
  }
  RETURN_IF_ERROR(ReachFailpoint(Failpoint::kDdlSettle));
  return store.SettleDdl(id, {DdlStatus::kApplying}, Settlement(change));
}

absl::StatusOr<DdlEvent> MarkDdlEventApplied(ControlStore& store, int64_t id) {
  ASSIGN_OR_RETURN(const DdlEvent event, store.GetDdl(id));
  RETURN_IF_ERROR(CheckEarlierOnes(store, event));
  ASSIGN_OR_RETURN(const SchemaChange change, ChangeOf(store, event));
  return store.SettleDdl(id, {DdlStatus::kApproved, DdlStatus::kFailed}, Settlement(change));
}

absl::StatusOr<DdlEvent> RejectDdlEvent(ControlStore& store, int64_t id) {
  ASSIGN_OR_RETURN(const DdlEvent event, store.GetDdl(id));
  if (!OnlyAddsColumns(event)) return store.MoveDdl(id, {DdlStatus::kPending}, DdlStatus::kRejected, "");
  RETURN_IF_ERROR(CheckEarlierOnes(store, event));
  ASSIGN_OR_RETURN(SchemaChange change, ChangeOf(store, event));
  for (const SchemaStep& step : change.steps) {
    change.after->details[change.after->FindName(step.column)].hidden = true;
  }
  return store.SettleDdl(id, {DdlStatus::kPending}, {.status = DdlStatus::kRejected, .shape = std::move(change.after)});
}

absl::StatusOr<DdlEvent> ApproveDdlEvent(ControlStore& store, int64_t id) {
  ASSIGN_OR_RETURN(const DdlEvent event, store.GetDdl(id));
  if (event.status == DdlStatus::kRejected && OnlyAddsColumns(event)) {
    return absl::FailedPreconditionError(
        absl::StrCat("DDL event ", id,
                     " was rejected, and its columns are left out since; to carry them after all, drop "
                     "and add them at the source"));
  }
  return store.MoveDdl(id, {DdlStatus::kPending, DdlStatus::kRejected}, DdlStatus::kApproved, "");
}

absl::Status CheckDdlSettled(ControlStore& store, const std::string& flow_id) {
  ASSIGN_OR_RETURN(const std::vector<DdlEvent> events,
                   store.ListDdl(flow_id, {DdlStatus::kPending, DdlStatus::kApproved, DdlStatus::kApplying,
                                           DdlStatus::kFailed, DdlStatus::kRejected}));
  for (const DdlEvent& event : events) {
    if (IsSettled(event)) continue;
    std::string what_to_do;
    switch (event.status) {
      case DdlStatus::kPending:
        what_to_do = absl::StrCat("approve and apply it (", Command("approve", event.id), ", ",
                                  Command("apply", event.id), ") or reject it");
        break;
      case DdlStatus::kRejected:
        what_to_do = absl::StrCat(
            "only added columns can be left out, what follows any other change cannot be delivered without it: "
            "approve and apply it after all (",
            Command("approve", event.id), ", ", Command("apply", event.id),
            "), or take the table out of the publication and delete the flow");
        break;
      default:
        what_to_do = absl::StrCat("apply it: ", Command("apply", event.id));
    }
    return absl::FailedPreconditionError(
        absl::StrCat(Describe(event), " is ", DdlStatusName(event.status), "; ", what_to_do));
  }
  return absl::OkStatus();
}

}  // namespace wallaby

#include "pipeline/ddl_apply.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/failpoint.h"
#include "base/status.h"
#include "destination/destination.h"
#include "flow/destination_config.h"
#include "flow/fan_out.h"
#include "pipeline/instruments.h"
#include "pipeline/table_holds.h"
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

bool Touches(const SchemaChange& change, uint32_t oid) {
  return (change.before && change.before->relation.oid == oid) || (change.after && change.after->relation.oid == oid);
}

// Whether they are about one table, or two of which one takes the other's name.
bool AreRelated(const DdlEvent& a, const DdlEvent& b) {
  const auto one = ChangeFromPlan(a.plan), other = ChangeFromPlan(b.plan);
  if (!one.ok() || !other.ok()) return true;
  for (const auto* mine : {&one->before, &one->after}) {
    for (const auto* its : {&other->before, &other->after}) {
      if (!mine->has_value() || !its->has_value()) continue;
      const Relation &x = (*mine)->relation, &y = (*its)->relation;
      if (x.oid == y.oid || x.QualifiedName() == y.QualifiedName()) return true;
    }
  }
  return false;
}

bool IsHeldFrom(const std::vector<TableHold>& holds, Lsn lsn) {
  return std::any_of(holds.begin(), holds.end(), [lsn](const TableHold& hold) { return hold.from == lsn; });
}

// Plans build on each other, so they are run in the order of the source. What only its tables wait for does not keep
// those of other tables.
absl::Status CheckEarlierOnes(ControlStore& store, const DdlEvent& event) {
  ASSIGN_OR_RETURN(const std::vector<TableHold> holds, store.TableHolds(event.flow_id));
  ASSIGN_OR_RETURN(const std::vector<DdlEvent> all, store.ListDdl(event.flow_id, {}));
  const bool held = IsHeldFrom(holds, event.lsn);
  for (const DdlEvent& other : all) {
    if (std::pair(other.lsn, other.ordinal) >= std::pair(event.lsn, event.ordinal) || IsSettled(other)) continue;
    if ((held || IsHeldFrom(holds, other.lsn)) && !AreRelated(event, other)) continue;
    return absl::FailedPreconditionError(absl::StrCat("DDL event ", event.id, " comes after event ", other.id,
                                                      ", which is ", DdlStatusName(other.status),
                                                      "; apply that one first"));
  }
  for (const TableHold& hold : holds) {
    if (hold.from >= event.lsn) continue;
    ASSIGN_OR_RETURN(const SchemaChange change, ChangeFromPlan(event.plan));
    if (!Touches(change, hold.oid)) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "DDL event ", event.id, " comes after changes of ", hold.table, " that are still to be delivered, from ",
        hold.from.ToString(), " on; the running flow does that by itself, so try again in a moment"));
  }
  return absl::OkStatus();
}

// The event's change. Columns that an earlier event of the table added and that were rejected since take no part in it.
absl::StatusOr<SchemaChange> ChangeOf(const std::vector<StoredShape>& shapes, const DdlEvent& event) {
  ASSIGN_OR_RETURN(SchemaChange change, ChangeFromPlan(event.plan));
  if (!change.before || !change.after) return change;
  const auto stored = std::find_if(shapes.begin(), shapes.end(), [&](const StoredShape& one) {
    return one.shape.relation.oid == change.before->relation.oid;
  });
  if (stored == shapes.end()) return change;
  bool some = KeepHidden(stored->shape, &*change.before);
  some |= KeepHidden(stored->shape, &*change.after);
  // Where the column was learnt from rows, its number may not be known; those of a message are.
  some |= KeepHidden(*change.before, &*change.after);
  if (some) change.steps = CompareShapes(&*change.before, &*change.after).steps;
  return change;
}

absl::StatusOr<SchemaChange> ChangeOf(ControlStore& store, const DdlEvent& event) {
  ASSIGN_OR_RETURN(const std::vector<StoredShape> shapes, store.TableShapes(event.flow_id));
  return ChangeOf(shapes, event);
}

void HideAddedColumns(SchemaChange* change) {
  for (const SchemaStep& step : change->steps) {
    change->after->details[change->after->FindName(step.column)].hidden = true;
  }
}

bool HasReceipt(const DdlEvent& event, const std::string& destination) {
  return std::any_of(event.receipts.begin(), event.receipts.end(),
                     [&](const DdlReceipt& receipt) { return receipt.destination == destination; });
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

absl::Status ApplyAt(const Flow& flow, const std::string& identity, const Endpoint& endpoint,
                     const SchemaChange& change, const DdlApplyOptions& options) {
  ASSIGN_OR_RETURN(DestinationConfig config, ResolvedConfig(flow, endpoint));
  config.flow_id = identity;
  config.generation = options.generation;
  config.memory_limit = options.memory_limit;
  ASSIGN_OR_RETURN(const std::unique_ptr<Destination> destination, MakeDestination(endpoint.type, config));
  RETURN_IF_ERROR(destination->Open().status());
  RETURN_IF_ERROR(ReachFailpoint(Failpoint::kDdlApply));
  return destination->ApplyDdl(change);
}

absl::Status ApplyEverywhere(ControlStore& store, const Flow& flow, const DdlEvent& event, const SchemaChange& change,
                             const DdlApplyOptions& options) {
  // A destination knows by its progress whether it has followed. That of a flow which goes on moves; that of the tables
  // that wait does not.
  ASSIGN_OR_RETURN(const bool tables_only, HoldsTablesOnly(store, event));
  const std::string identity = tables_only ? GroupIdentity(flow.id, event.lsn) : flow.id;
  for (const Endpoint& endpoint : flow.destinations) {
    if (HasReceipt(event, endpoint.name) || IsSecondary(flow, endpoint.name)) continue;
    const absl::Status applied = ApplyAt(flow, identity, endpoint, change, options);
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

absl::StatusOr<bool> HoldsTablesOnly(ControlStore& store, const DdlEvent& event) {
  ASSIGN_OR_RETURN(const std::vector<TableHold> holds, store.TableHolds(event.flow_id));
  return IsHeldFrom(holds, event.lsn);
}

absl::StatusOr<DdlEvent> RequestDdlApply(ControlStore& store, int64_t id) {
  ASSIGN_OR_RETURN(const DdlEvent event, store.GetDdl(id));
  if (event.status == DdlStatus::kPending) {
    return absl::FailedPreconditionError(
        absl::StrCat("DDL event ", id, " is pending; approve it first: ", Command("approve", id)));
  }
  RETURN_IF_ERROR(CheckEarlierOnes(store, event));
  return store.MoveDdl(id, {DdlStatus::kApproved, DdlStatus::kFailed, DdlStatus::kApplying}, DdlStatus::kApplying, "");
}

absl::StatusOr<DdlEvent> ApplyDdlEvent(ControlStore& store, const Flow& flow, int64_t id,
                                       const DdlApplyOptions& options) {
  ASSIGN_OR_RETURN(const DdlEvent event, RequestDdlApply(store, id));
  ASSIGN_OR_RETURN(const SchemaChange change, ChangeOf(store, event));
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
  ASSIGN_OR_RETURN(const StoredFlow stored, store.GetFlow(event.flow_id));
  // By hand everywhere: those that get there later have nothing to run.
  for (const Endpoint& endpoint : stored.flow.destinations) {
    if (IsSecondary(stored.flow, endpoint.name)) RETURN_IF_ERROR(store.PutDdlReceipt(id, endpoint.name));
  }
  return store.SettleDdl(id, {DdlStatus::kApproved, DdlStatus::kFailed}, Settlement(change));
}

absl::StatusOr<bool> SettleDdlAtLane(ControlStore& store, const Flow& flow, const Endpoint& endpoint, Lsn commit,
                                     const std::vector<DdlEvent>& found, const DdlApplyOptions& options) {
  ASSIGN_OR_RETURN(std::vector<DdlEvent> events, store.ListDdl(flow.id, {}));
  std::erase_if(events, [commit](const DdlEvent& event) { return event.lsn != commit; });
  std::sort(events.begin(), events.end(), [](const DdlEvent& a, const DdlEvent& b) { return a.ordinal < b.ordinal; });
  const bool recorded = std::all_of(found.begin(), found.end(), [&events](const DdlEvent& one) {
    return std::any_of(events.begin(), events.end(),
                       [&one](const DdlEvent& event) { return event.ordinal == one.ordinal; });
  });
  if (!recorded || !std::all_of(events.begin(), events.end(), IsSettled)) return false;
  ASSIGN_OR_RETURN(std::vector<StoredShape> shapes, store.TableShapes(flow.id, endpoint.name));
  std::vector<ControlStore::LaneDdl> done;
  for (const DdlEvent& event : events) {
    ASSIGN_OR_RETURN(SchemaChange change, ChangeOf(shapes, event));
    if (event.status == DdlStatus::kRejected) {
      HideAddedColumns(&change);
    } else if (!HasReceipt(event, endpoint.name)) {
      RETURN_IF_ERROR(Annotate(ApplyAt(flow, flow.id, endpoint, change, options),
                               absl::StrCat(Describe(event), " at destination ", endpoint.name)));
      CountDdlApplied(flow.id, endpoint.type);
      Log(LogLevel::kInfo, "DDL applied",
          {{"flow_id", flow.id}, {"destination", endpoint.name}, {"event", absl::StrCat(event.id)}});
    }
    const ControlStore::DdlSettlement end = Settlement(change);
    done.push_back({.event_id = event.id, .lsn = event.lsn, .shape = end.shape, .dropped = end.dropped});
    if (!end.shape) continue;
    // As the next event of the transaction finds it.
    std::erase_if(shapes,
                  [&end](const StoredShape& stored) { return stored.shape.relation.oid == end.shape->relation.oid; });
    shapes.push_back({*end.shape, event.lsn});
  }
  RETURN_IF_ERROR(ReachFailpoint(Failpoint::kDdlReceipt));
  RETURN_IF_ERROR(store.SettleLaneDdl(flow.id, endpoint.name, done));
  return true;
}

absl::Status CheckLanePassedDdl(ControlStore& store, const std::string& flow_id, const std::string& destination,
                                Lsn position) {
  ASSIGN_OR_RETURN(const std::vector<DdlEvent> events, store.ListDdl(flow_id, {}));
  for (const DdlEvent& event : events) {
    if (!IsSettled(event) || event.lsn < position) continue;
    return absl::FailedPreconditionError(absl::StrCat("destination ", destination, " is at ", position.ToString(),
                                                      " and has not come to ", Describe(event), " at ",
                                                      event.lsn.ToString(), " yet"));
  }
  return absl::OkStatus();
}

absl::StatusOr<DdlEvent> RejectDdlEvent(ControlStore& store, int64_t id) {
  ASSIGN_OR_RETURN(const DdlEvent event, store.GetDdl(id));
  if (!OnlyAddsColumns(event)) return store.MoveDdl(id, {DdlStatus::kPending}, DdlStatus::kRejected, "");
  RETURN_IF_ERROR(CheckEarlierOnes(store, event));
  ASSIGN_OR_RETURN(SchemaChange change, ChangeOf(store, event));
  HideAddedColumns(&change);
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
  ASSIGN_OR_RETURN(const std::vector<TableHold> holds, store.TableHolds(flow_id));
  for (const DdlEvent& event : events) {
    if (IsSettled(event) || IsHeldFrom(holds, event.lsn)) continue;
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

#include "service/source_service.h"

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "postgres/slot.h"
#include "service/flow_doctor.h"
#include "service/flow_service.h"
#include "service/flow_view.h"
#include "service/rpc_status.h"
#include "service/slot_convert.h"
#include "service/slot_sharing.h"
#include "service/source_access.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

constexpr absl::Duration kLimit = absl::Seconds(10);

std::string_view IdentityName(ReplicaIdentity identity) {
  switch (identity) {
    case ReplicaIdentity::kDefault:
      return "default";
    case ReplicaIdentity::kNothing:
      return "nothing";
    case ReplicaIdentity::kFull:
      return "full";
    case ReplicaIdentity::kIndex:
      return "index";
  }
  return "";
}

// A publication that does not exist carries no tables.
absl::StatusOr<std::vector<PublishedTable>> TablesNow(PgConnection& sql, const std::string& publication) {
  TypeCatalog types(nullptr);
  auto tables = PublishedTables(sql, publication, types);
  if (absl::IsNotFound(tables.status())) return std::vector<PublishedTable>();
  return tables;
}

absl::StatusOr<PublicationMode> ParseMode(const std::string& mode) {
  if (mode.empty() || mode == "add") return PublicationMode::kAdd;
  if (mode == "sync") return PublicationMode::kSync;
  return absl::InvalidArgumentError(absl::StrCat("mode: got '", mode, "'; allowed: add or sync"));
}

}  // namespace

absl::StatusOr<SourceServiceImpl::Source> SourceServiceImpl::Open(const std::string& flow_id) {
  RETURN_IF_ERROR(RequireFlowId(flow_id));
  Source source;
  ASSIGN_OR_RETURN(source.flow, store_->GetFlow(flow_id));
  ASSIGN_OR_RETURN(source.options, OptionsOfSource(source.flow.flow));
  auto sql = ConnectToSource(source.options.dsn, kLimit);
  if (!sql.ok()) return Annotate(sql.status(), absl::StrCat("the source of flow '", flow_id, "' cannot be reached"));
  source.sql = *std::move(sql);
  return source;
}

// ---- slots ----

absl::Status SourceServiceImpl::List(const std::string& flow_id, v1::ListSlotsResponse* response) {
  ASSIGN_OR_RETURN(const Source source, Open(flow_id));
  ASSIGN_OR_RETURN(const std::vector<SlotInfo> slots, wallaby::ListSlots(*source.sql));
  for (const SlotInfo& slot : slots) *response->add_slots() = SlotToProto(slot);
  return absl::OkStatus();
}

absl::Status SourceServiceImpl::Get(const std::string& flow_id, v1::SlotStatus* response) {
  ASSIGN_OR_RETURN(const Source source, Open(flow_id));
  ASSIGN_OR_RETURN(const std::optional<SlotInfo> slot, wallaby::GetSlot(*source.sql, source.options.slot));
  response->set_name(source.options.slot);
  if (slot) *response = SlotToProto(*slot);
  return absl::OkStatus();
}

absl::Status SourceServiceImpl::CheckOthers(const Source& source, bool shared) {
  const std::string& slot = source.options.slot;
  ASSIGN_OR_RETURN(const ServerInfo server, GetServerInfo(*source.sql));
  ASSIGN_OR_RETURN(const std::vector<StoredFlow> others,
                   FlowsThatNeedSlot(source.flow.flow, server.system_identifier, slot, *store_, *checkpoints_));
  if (others.empty()) return absl::OkStatus();
  const std::string ids = IdsOf(others);
  if (!shared) {
    return absl::FailedPreconditionError(absl::StrCat(
        "cannot drop slot ", slot, ": it is shared, and without it every table of ", ids,
        " must be copied again; leave it to them (flow delete takes flow '", source.flow.flow.id,
        "' off it), or drop it all the same (slot drop -shared; shared=true) and run for each: wallaby-worker "
        "-flow-id ID -mode backfill"));
  }
  for (const StoredFlow& other : others) {
    if (other.state != FlowState::kRunning && other.state != FlowState::kStopping) continue;
    return absl::FailedPreconditionError(absl::StrCat("cannot drop slot ", slot, ": flow '", other.flow.id,
                                                      "', which shares it, is ", FlowStateName(other.state),
                                                      "; stop it first (flow stop)"));
  }
  Log(LogLevel::kWarn, "a shared slot is dropped, as asked", {{"slot", slot}, {"flows", ids}});
  return absl::OkStatus();
}

absl::Status SourceServiceImpl::Drop(const std::string& flow_id, bool shared) {
  ASSIGN_OR_RETURN(const Source source, Open(flow_id));
  const FlowState state = source.flow.state;
  if (state == FlowState::kRunning || state == FlowState::kStopping) {
    return absl::FailedPreconditionError(absl::StrCat("cannot drop slot ", source.options.slot, ": flow '", flow_id,
                                                      "' is ", FlowStateName(state), "; stop it first (flow stop)"));
  }
  RETURN_IF_ERROR(CheckOthers(source, shared));
  RETURN_IF_ERROR(wallaby::DropSlot(*source.sql, source.options.slot));
  Log(LogLevel::kWarn, "slot dropped", {{"flow_id", flow_id}, {"slot", source.options.slot}});
  return absl::OkStatus();
}

// ---- publications ----

absl::Status SourceServiceImpl::ListTables(const std::string& flow_id, v1::ListPublicationTablesResponse* response) {
  ASSIGN_OR_RETURN(const Source source, Open(flow_id));
  TypeCatalog types(nullptr);
  ASSIGN_OR_RETURN(const std::vector<PublishedTable> tables,
                   PublishedTables(*source.sql, source.options.publication, types));
  ASSIGN_OR_RETURN(const std::vector<TableSync> syncs, store_->TableSyncs(flow_id));
  std::map<std::string, TableSyncState> states;
  for (const TableSync& sync : syncs) states[sync.table] = sync.state;
  response->set_publication(source.options.publication);
  for (const PublishedTable& table : tables) {
    v1::PublicationTable* proto = response->add_tables();
    proto->set_schema(table.relation.schema);
    proto->set_table(table.relation.name);
    proto->set_replica_identity(std::string(IdentityName(table.relation.identity)));
    const auto state = states.find(table.relation.QualifiedName());
    if (state != states.end()) proto->set_snapshot_state(std::string(TableSyncStateName(state->second)));
  }
  return absl::OkStatus();
}

absl::Status SourceServiceImpl::SettleTables(const Source& source, const v1::SyncPublicationRequest& request,
                                             const std::vector<PublishedTable>& before,
                                             const std::vector<PublishedTable>& after) {
  std::set<std::string> old_names, new_names;
  for (const PublishedTable& table : before) old_names.insert(table.relation.QualifiedName());
  for (const PublishedTable& table : after) new_names.insert(table.relation.QualifiedName());
  const std::string& flow_id = source.flow.flow.id;
  for (const PublishedTable& table : after) {
    const std::string name = table.relation.QualifiedName();
    if (!request.snapshot() || old_names.count(name) > 0) continue;
    RETURN_IF_ERROR(store_->PutTableSync(flow_id, {.table = name, .oid = table.relation.oid}));
  }
  // A table that comes back later is not to be taken for one that was copied.
  for (const std::string& name : old_names) {
    if (new_names.count(name) == 0) RETURN_IF_ERROR(store_->DeleteTableSync(flow_id, name));
  }
  return absl::OkStatus();
}

absl::Status SourceServiceImpl::Sync(const v1::SyncPublicationRequest& request, v1::SyncPublicationResponse* response) {
  ASSIGN_OR_RETURN(const PublicationMode mode, ParseMode(request.mode()));
  ASSIGN_OR_RETURN(const Source source, Open(request.flow_id()));
  std::vector<std::string> tables(request.tables().begin(), request.tables().end());
  std::vector<std::string> schemas(request.schemas().begin(), request.schemas().end());
  if (tables.empty() && schemas.empty()) {
    tables = source.options.publication_tables;
    schemas = source.options.publication_schemas;
  }
  if (tables.empty() && schemas.empty()) {
    return absl::InvalidArgumentError(
        "tables: name the tables or schemas to publish; the flow's options publication_tables and publication_schemas "
        "name none either");
  }
  if (source.options.sync_publication && source.options.sync_publication_mode == PublicationMode::kSync) {
    return absl::FailedPreconditionError(
        "the source's options sync_publication=true and sync_publication_mode=sync make the publication equal to "
        "publication_tables at each start of the worker, which would undo this; change publication_tables by flow "
        "update");
  }
  PgConnection& sql = *source.sql;
  const std::string& publication = source.options.publication;
  ASSIGN_OR_RETURN(const std::vector<PublishedTable> before, TablesNow(sql, publication));
  ASSIGN_OR_RETURN(const PublicationChange change,
                   EnsurePublication(sql, publication, tables, schemas, /*sync=*/true, mode));
  ASSIGN_OR_RETURN(const std::vector<PublishedTable> after, TablesNow(sql, publication));
  RETURN_IF_ERROR(SettleTables(source, request, before, after));
  for (const std::string& name : change.added) response->add_added(name);
  for (const std::string& name : change.removed) response->add_removed(name);
  if (!change.created && change.added.empty() && change.removed.empty()) return absl::OkStatus();
  Log(LogLevel::kInfo, "publication changed", {{"flow_id", request.flow_id()}, {"publication", publication}});
  if (source.flow.state == FlowState::kRunning) dispatcher_->Restart(request.flow_id());
  return absl::OkStatus();
}

// ---- the doctor ----

absl::Status SourceServiceImpl::Diagnose(const v1::DiagnoseFlowRequest& request, v1::DoctorReport* response) {
  RETURN_IF_ERROR(RequireFlowId(request.flow_id()));
  ASSIGN_OR_RETURN(const StoredFlow stored, store_->GetFlow(request.flow_id()));
  ASSIGN_OR_RETURN(const std::vector<StoredFlow> readers, FlowsOnSlotOf(stored.flow, *store_));
  DiagnoseFlowNow(stored.flow,
                  {.settings = ddl_,
                   .has_worker = HasWorker(stored.state) || !readers.empty(),
                   .long_transaction = absl::Seconds(request.long_transaction_seconds())},
                  response);
  return absl::OkStatus();
}

// ---- the wire ----

grpc::Status SourceServiceImpl::ListSlots(grpc::ServerContext*, const v1::ListSlotsRequest* request,
                                          v1::ListSlotsResponse* response) {
  return ToGrpc(List(request->flow_id(), response));
}

grpc::Status SourceServiceImpl::GetSlot(grpc::ServerContext*, const v1::GetSlotRequest* request,
                                        v1::SlotStatus* response) {
  return ToGrpc(Get(request->flow_id(), response));
}

grpc::Status SourceServiceImpl::DropSlot(grpc::ServerContext*, const v1::DropSlotRequest* request,
                                         v1::DropSlotResponse* response) {
  const absl::Status status = Drop(request->flow_id(), request->shared());
  response->set_dropped(status.ok());
  return ToGrpc(status);
}

grpc::Status SourceServiceImpl::ListPublicationTables(grpc::ServerContext*,
                                                      const v1::ListPublicationTablesRequest* request,
                                                      v1::ListPublicationTablesResponse* response) {
  return ToGrpc(ListTables(request->flow_id(), response));
}

grpc::Status SourceServiceImpl::SyncPublication(grpc::ServerContext*, const v1::SyncPublicationRequest* request,
                                                v1::SyncPublicationResponse* response) {
  return ToGrpc(Sync(*request, response));
}

grpc::Status SourceServiceImpl::DiagnoseFlow(grpc::ServerContext*, const v1::DiagnoseFlowRequest* request,
                                             v1::DoctorReport* response) {
  return ToGrpc(Diagnose(*request, response));
}

grpc::Status SourceServiceImpl::DiagnoseDefinition(grpc::ServerContext*, const v1::DiagnoseDefinitionRequest* request,
                                                   v1::DoctorReport* response) {
  return ToGrpc(DiagnoseDefinitionNow(
      request->flow(), {.settings = ddl_, .long_transaction = absl::Seconds(request->long_transaction_seconds())},
      store_, response));
}

}  // namespace wallaby

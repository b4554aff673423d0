#include "service/ddl_service.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "pipeline/ddl_apply.h"
#include "service/held_lease.h"
#include "service/rpc_status.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

// Below what the server sends in one message.
constexpr size_t kMaxList = 15 << 20;
// How often the outcome of what a worker was asked for is looked for.
constexpr absl::Duration kLookAgain = absl::Milliseconds(200);

absl::Status RequireId(int64_t id) {
  if (id > 0) return absl::OkStatus();
  if (id == 0) return absl::InvalidArgumentError("id: is missing; ddl list shows the events that there are");
  return absl::InvalidArgumentError(absl::StrCat("id: got ", id, "; allowed: 1 and above"));
}

google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  const int64_t nanos = absl::ToUnixNanos(time);
  google::protobuf::Timestamp proto;
  proto.set_seconds(nanos / 1'000'000'000);
  proto.set_nanos(static_cast<int32_t>(nanos % 1'000'000'000));
  return proto;
}

void ToProto(const DdlEvent& event, v1::DDLEvent* proto) {
  proto->set_id(event.id);
  proto->set_ddl(event.ddl);
  proto->set_lsn(event.lsn.ToString());
  proto->set_status(std::string(DdlStatusName(event.status)));
  proto->set_plan_json(event.plan);
  *proto->mutable_created_at() = ToTimestamp(event.created_at);
  proto->set_flow_id(event.flow_id);
  proto->set_table(event.table);
  proto->set_error(event.error);
  proto->set_gated(event.gated);
  for (const DdlReceipt& receipt : event.receipts) {
    v1::DDLReceipt* entry = proto->add_receipts();
    entry->set_destination(receipt.destination);
    *entry->mutable_applied_at() = ToTimestamp(receipt.at);
  }
}

template <typename Response>
absl::Status List(ControlStore* store, const std::string& flow_id, const std::vector<DdlStatus>& statuses, int limit,
                  int64_t before_id, Response* response) {
  ASSIGN_OR_RETURN(const std::vector<DdlEvent> events, store->ListDdl(flow_id, statuses, limit, before_id));
  for (const DdlEvent& event : events) ToProto(event, response->add_events());
  if (response->ByteSizeLong() <= kMaxList) return absl::OkStatus();
  response->Clear();
  return absl::ResourceExhaustedError(
      absl::StrCat(events.size(),
                   " DDL events are too many for one answer; ask by status or flow_id, or for the newest with limit"));
}

// Puts the outcome of a request about one event into its answer, and writes down what it did.
template <typename Response>
grpc::Status Answer(const absl::StatusOr<DdlEvent>& event, std::string_view done, Response* response) {
  if (!event.ok()) return ToGrpc(event.status());
  ToProto(*event, response->mutable_event());
  if (!done.empty()) {
    Log(LogLevel::kInfo, done, {{"flow_id", event->flow_id}, {"event", absl::StrCat(event->id)}});
  }
  return grpc::Status::OK;
}

// As ApplyDdlEvent would refuse it, but before anybody waits for a lease.
absl::Status CheckApprovedOnce(const DdlEvent& event) {
  const std::string now = absl::StrCat("DDL event ", event.id, " is ", DdlStatusName(event.status));
  switch (event.status) {
    case DdlStatus::kPending:
    case DdlStatus::kRejected:
      return absl::FailedPreconditionError(
          absl::StrCat(now, "; approve it first: wallaby-admin ddl approve -id ", event.id));
    case DdlStatus::kApplied:
      return absl::FailedPreconditionError(absl::StrCat(now, " already"));
    default:
      return absl::OkStatus();
  }
}

absl::Status CheckAtRest(const StoredFlow& flow, int64_t id) {
  const std::string& flow_id = flow.flow.id;
  const std::string now =
      absl::StrCat("cannot apply DDL event ", id, ": flow '", flow_id, "' is ", FlowStateName(flow.state));
  switch (flow.state) {
    case FlowState::kRunning:
      return absl::FailedPreconditionError(absl::StrCat(
          now, "; wait until it is paused (wallaby-admin flow wait -flow-id ", flow_id, " -state paused)"));
    case FlowState::kStopping:
      return absl::FailedPreconditionError(absl::StrCat(
          now, "; wait until it is stopped (wallaby-admin flow wait -flow-id ", flow_id, " -state stopped)"));
    default:
      return absl::OkStatus();
  }
}

// The codes of this API mean the request; a destination's own would be taken for them: its NOT_FOUND is no unknown id.
absl::Status OfDestination(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kDataLoss:
      return status;
    default:
      return IsTransient(status) ? absl::UnavailableError(status.message())
                                 : absl::FailedPreconditionError(status.message());
  }
}

}  // namespace

absl::StatusOr<DdlEvent> DdlServiceImpl::ApplyByWorker(const grpc::ServerContext& context, int64_t id) {
  RETURN_IF_ERROR(RequestDdlApply(*store_, id).status());
  absl::Time seen = absl::Now();  // when somebody had the flow's lease
  while (true) {
    ASSIGN_OR_RETURN(DdlEvent event, store_->GetDdl(id));
    if (event.status == DdlStatus::kFailed) {
      return absl::FailedPreconditionError(absl::StrCat("DDL event ", id, " was not applied; when the cause is gone, ",
                                                        "run: wallaby-admin ddl apply -id ", id, ": ", event.error));
    }
    if (event.status != DdlStatus::kApplying) return event;
    ASSIGN_OR_RETURN(const StoredFlow stored, store_->GetFlow(event.flow_id));
    if (stored.state != FlowState::kRunning && stored.state != FlowState::kStopping) return Apply(context, id);
    ASSIGN_OR_RETURN(const std::optional<Lease> lease, store_->GetLease(event.flow_id));
    if (lease && lease->left > absl::ZeroDuration()) seen = absl::Now();
    if (absl::Now() - seen > lease_wait_) {
      return absl::UnavailableError(absl::StrCat("no worker of flow ", event.flow_id,
                                                 " runs now; the next one applies DDL event ", id, " as it starts"));
    }
    if (context.IsCancelled()) return absl::CancelledError("nobody waits for the answer any more");
    absl::SleepFor(kLookAgain);
  }
}

absl::StatusOr<DdlEvent> DdlServiceImpl::Apply(const grpc::ServerContext& context, int64_t id) {
  RETURN_IF_ERROR(RequireId(id));
  {
    ASSIGN_OR_RETURN(const DdlEvent event, store_->GetDdl(id));
    RETURN_IF_ERROR(CheckApprovedOnce(event));
    ASSIGN_OR_RETURN(const StoredFlow stored, store_->GetFlow(event.flow_id));
    ASSIGN_OR_RETURN(const bool tables_only, HoldsTablesOnly(*store_, event));
    if (tables_only && stored.state == FlowState::kRunning) return ApplyByWorker(context, id);
  }
  const auto check = [&]() -> absl::StatusOr<Flow> {
    ASSIGN_OR_RETURN(const DdlEvent event, store_->GetDdl(id));
    RETURN_IF_ERROR(CheckApprovedOnce(event));
    ASSIGN_OR_RETURN(const StoredFlow stored, store_->GetFlow(event.flow_id));
    RETURN_IF_ERROR(CheckAtRest(stored, id));
    return stored.flow;
  };
  // Now, so that a refusal comes at once, and when it is this request's turn, for what others did meanwhile.
  RETURN_IF_ERROR(check().status());
  std::lock_guard lock(applies_);
  if (context.IsCancelled()) return absl::CancelledError("nobody waits for the answer any more");
  ASSIGN_OR_RETURN(Flow flow, check());
  ASSIGN_OR_RETURN(const auto lease, HeldLease::Take(store_, flow.id, "ddl apply", lease_wait_,
                                                     [&context] { return context.IsCancelled(); }));
  ASSIGN_OR_RETURN(flow, check());
  absl::StatusOr<DdlEvent> applied = ApplyDdlEvent(lease->store(), flow, id, {.generation = lease->generation()});
  if (applied.ok()) return applied;
  Log(LogLevel::kError, "DDL event was not applied",
      {{"flow_id", flow.id}, {"event", absl::StrCat(id)}, {"error", std::string(applied.status().message())}});
  return OfDestination(applied.status());
}

// ---- the wire ----

grpc::Status DdlServiceImpl::ListPendingDDL(grpc::ServerContext*, const v1::ListPendingDDLRequest* request,
                                            v1::ListPendingDDLResponse* response) {
  return ToGrpc(List(store_, request->flow_id(), {DdlStatus::kPending}, 0, 0, response));
}

grpc::Status DdlServiceImpl::ListDDL(grpc::ServerContext*, const v1::ListDDLRequest* request,
                                     v1::ListDDLResponse* response) {
  std::vector<DdlStatus> statuses;
  if (!request->status().empty()) {
    const absl::StatusOr<DdlStatus> status = ParseDdlStatus(request->status());
    if (!status.ok()) return ToGrpc(status.status());
    statuses.push_back(*status);
  }
  if (request->limit() < 0 || request->before_id() < 0) {
    return ToGrpc(absl::InvalidArgumentError(absl::StrCat("limit: got ", request->limit(), ", before_id: got ",
                                                          request->before_id(), "; allowed: 0 and above")));
  }
  return ToGrpc(List(store_, request->flow_id(), statuses, request->limit(), request->before_id(), response));
}

grpc::Status DdlServiceImpl::GetDDL(grpc::ServerContext*, const v1::GetDDLRequest* request,
                                    v1::GetDDLResponse* response) {
  const absl::Status status = RequireId(request->id());
  return status.ok() ? Answer(store_->GetDdl(request->id()), "", response) : ToGrpc(status);
}

grpc::Status DdlServiceImpl::ApproveDDL(grpc::ServerContext*, const v1::ApproveDDLRequest* request,
                                        v1::ApproveDDLResponse* response) {
  const absl::Status status = RequireId(request->id());
  return status.ok() ? Answer(ApproveDdlEvent(*store_, request->id()), "DDL event approved", response) : ToGrpc(status);
}

grpc::Status DdlServiceImpl::RejectDDL(grpc::ServerContext*, const v1::RejectDDLRequest* request,
                                       v1::RejectDDLResponse* response) {
  const absl::Status status = RequireId(request->id());
  return status.ok() ? Answer(RejectDdlEvent(*store_, request->id()), "DDL event rejected", response) : ToGrpc(status);
}

grpc::Status DdlServiceImpl::ApplyDDL(grpc::ServerContext* context, const v1::ApplyDDLRequest* request,
                                      v1::ApplyDDLResponse* response) {
  return Answer(Apply(*context, request->id()), "DDL event applied", response);
}

grpc::Status DdlServiceImpl::MarkDDLApplied(grpc::ServerContext*, const v1::MarkDDLAppliedRequest* request,
                                            v1::MarkDDLAppliedResponse* response) {
  const absl::Status status = RequireId(request->id());
  return status.ok() ? Answer(MarkDdlEventApplied(*store_, request->id()), "DDL event marked as applied", response)
                     : ToGrpc(status);
}

}  // namespace wallaby

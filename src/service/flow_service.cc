#include "service/flow_service.h"

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "flow/enum_names.h"
#include "flow/fan_out.h"
#include "pipeline/ddl_apply.h"
#include "service/flow_convert.h"
#include "service/flow_validation.h"
#include "service/rpc_status.h"
#include "service/slot_sharing.h"
#include "service/transactional_ids.h"
#include "spool/spool_cursor.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

constexpr int kDefaultPage = 100;

void LogChange(std::string_view what, const std::string& flow_id) {
  Log(LogLevel::kInfo, what, {{"flow_id", flow_id}});
}

// A running flow is left to its worker, which records an event before it pauses or applies it.
absl::Status CheckMayGoOn(ControlStore* store, const StoredFlow& stored, std::string_view request) {
  if (stored.state == FlowState::kRunning) return absl::OkStatus();
  return Annotate(CheckDdlSettled(*store, stored.flow.id),
                  absl::StrCat("cannot ", request, " the flow, which is ", FlowStateName(stored.state)));
}

}  // namespace

absl::Status RequireFlowId(const std::string& flow_id) {
  return flow_id.empty() ? absl::InvalidArgumentError("flow_id: is missing") : absl::OkStatus();
}

std::string MakeFlowId(std::string_view name) {
  constexpr size_t kMaxStem = 40;
  std::string id;
  for (const char c : name) {
    if (id.size() == kMaxStem) break;
    if (absl::ascii_isalnum(c)) {
      id += absl::ascii_tolower(c);
    } else if (!id.empty() && id.back() != '-') {
      id += '-';
    }
  }
  while (!id.empty() && id.back() == '-') id.pop_back();
  if (id.empty()) id = "flow";
  id += '-';
  // Without those that look like each other.
  static constexpr std::string_view kLetters = "abcdefghjkmnpqrstuvwxyz23456789";
  std::random_device random;
  std::uniform_int_distribution<size_t> pick(0, kLetters.size() - 1);
  for (int i = 0; i < 6; ++i) id += kLetters[pick(random)];
  return id;
}

FlowServiceImpl::FlowServiceImpl(ControlStore* store, ControlStore* checkpoints, Dispatcher* dispatcher,
                                 Settings settings, const SlotWatch* slots, const StreamLag* stream_lag)
    : store_(store),
      dispatcher_(dispatcher),
      settings_(std::move(settings)),
      view_(store, checkpoints, dispatcher, slots, stream_lag) {}

absl::Status FlowServiceImpl::Show(const std::string& flow_id, v1::Flow* flow) {
  ASSIGN_OR_RETURN(const StoredFlow stored, store_->FindFlow(flow_id));
  return view_.Fill(stored, FlowDetail::kFull, flow);
}

absl::Status FlowServiceImpl::ApplyWireFormat(Flow* flow) const {
  if (settings_.wire_format.empty()) return absl::OkStatus();
  for (const EnumName<WireFormat>& format : WireFormatNames()) {
    if (format.name != settings_.wire_format) continue;
    if (flow->wire_format == WireFormat::kUnspecified) flow->wire_format = format.value;
    if (settings_.wire_enforce && flow->wire_format != format.value) {
      return absl::InvalidArgumentError(absl::StrCat("wire_format: got ", NameOf(WireFormatNames(), flow->wire_format),
                                                     "; this server allows only ", format.name,
                                                     " (WALLABY_WIRE_ENFORCE)"));
    }
  }
  return absl::OkStatus();
}

absl::Status FlowServiceImpl::CheckGate(const Flow& flow) const {
  // Workers elsewhere have settings of their own, and see to it themselves.
  const bool elsewhere = settings_.kubernetes.enabled || settings_.dbos_enabled;
  const bool has_spool = elsewhere || !settings_.spool_dir.empty();
  const EffectiveDdlPolicy ddl = ResolveDdlPolicy(flow.config.ddl, settings_.ddl);
  RETURN_IF_ERROR(CheckDdlScope(ddl, has_spool));
  return CheckFanOut(flow, ddl, has_spool);
}

// ---- definition ----

absl::Status FlowServiceImpl::Create(const v1::CreateFlowRequest& request, v1::Flow* shown) {
  ASSIGN_OR_RETURN(Flow flow, FlowFromProto(request.flow()));
  if (flow.id.empty()) flow.id = MakeFlowId(flow.name);
  RETURN_IF_ERROR(ApplyWireFormat(&flow));
  RETURN_IF_ERROR(CheckFlow(flow));
  RETURN_IF_ERROR(CheckGate(flow));
  if (const auto problems = CheckMappingsNow(flow); !problems.empty()) {
    return absl::InvalidArgumentError(absl::StrJoin(problems, "; "));
  }
  {
    std::lock_guard lock(changes_);
    RETURN_IF_ERROR(CheckSharedPublication(flow, *store_));
    RETURN_IF_ERROR(CheckTransactionalIds(flow, *store_));
    RETURN_IF_ERROR(store_->CreateFlow(flow));
    LogChange("flow created", flow.id);
    if (request.start_immediately()) {
      RETURN_IF_ERROR(Annotate(Run(flow.id, FlowRequest::kStart),
                               absl::StrCat("flow '", flow.id, "' was created, but did not start")));
    }
  }
  return Show(flow.id, shown);
}

absl::Status FlowServiceImpl::Update(const v1::Flow& update, v1::Flow* shown) {
  if (update.id().empty()) return absl::InvalidArgumentError("flow.id: is missing; it says which flow to update");
  ASSIGN_OR_RETURN(Flow flow, FlowFromProto(update));
  {
    std::lock_guard lock(changes_);
    // One whose definition cannot be read is replaced as a whole.
    ASSIGN_OR_RETURN(const StoredFlow stored, store_->FindFlow(flow.id));
    RETURN_IF_ERROR(NextState(stored.state, FlowRequest::kUpdate).status());
    RestoreSecrets(stored.flow, &flow);
    RETURN_IF_ERROR(ApplyWireFormat(&flow));
    RETURN_IF_ERROR(CheckFlow(flow));
    RETURN_IF_ERROR(CheckGate(flow));
    RETURN_IF_ERROR(CheckSharedPublication(flow, *store_));
    RETURN_IF_ERROR(CheckTransactionalIds(flow, *store_));
    RETURN_IF_ERROR(store_->UpdateFlow(flow));
    LogChange("flow updated", flow.id);
  }
  return Show(flow.id, shown);
}

absl::Status FlowServiceImpl::Delete(const std::string& flow_id, v1::DeleteFlowResponse* response) {
  RETURN_IF_ERROR(RequireFlowId(flow_id));
  ASSIGN_OR_RETURN(const StoredFlow stored, store_->FindFlow(flow_id));
  RETURN_IF_ERROR(NextState(stored.state, FlowRequest::kDelete).status());
  if (dispatcher_->IsActive(flow_id)) {
    return absl::FailedPreconditionError(absl::StrCat("cannot delete the flow: it is ", FlowStateName(stored.state),
                                                      ", and its worker still runs; try again when it has ended"));
  }
  ASSIGN_OR_RETURN(const std::vector<StoredFlow> readers, FlowsOnSlotOf(stored.flow, *store_));
  for (const StoredFlow& reader : readers) response->add_slot_readers(reader.flow.id);
  RETURN_IF_ERROR(store_->DeleteFlow(flow_id));
  dispatcher_->Stop(flow_id);
  // Its place in a spool on another machine is forgotten by who writes that spool.
  if (!settings_.spool_dir.empty()) {
    const absl::Status forgotten = ForgetFlowInSpools(settings_.spool_dir, flow_id);
    if (!forgotten.ok()) Log(LogLevel::kWarn, std::string(forgotten.message()), {{"flow_id", flow_id}});
  }
  LogChange("flow deleted; its slot at the source is left alone", flow_id);
  return absl::OkStatus();
}

// ---- lifecycle ----

absl::Status FlowServiceImpl::Run(const std::string& flow_id, FlowRequest request) {
  RETURN_IF_ERROR(RequireFlowId(flow_id));
  ASSIGN_OR_RETURN(const StoredFlow stored, store_->GetFlow(flow_id));
  ASSIGN_OR_RETURN(const FlowState next, NextState(stored.state, request));
  RETURN_IF_ERROR(CheckMayGoOn(store_, stored, request == FlowRequest::kStart ? "start" : "resume"));
  if (stored.state != next) {
    RETURN_IF_ERROR(store_->Transition(flow_id, {stored.state}, next, ""));
    LogChange(request == FlowRequest::kStart ? "flow started" : "flow resumed", flow_id);
  }
  const absl::Status started = dispatcher_->Ensure(flow_id);
  if (started.ok()) return absl::OkStatus();
  const std::string reason = absl::StrCat("its worker cannot be started: ", started.message());
  store_->Transition(flow_id, {FlowState::kRunning}, FlowState::kFailed, reason).IgnoreError();
  dispatcher_->Stop(flow_id);
  return absl::InternalError(absl::StrCat("flow '", flow_id, "' failed: ", reason));
}

absl::Status FlowServiceImpl::Halt(const std::string& flow_id, FlowRequest request) {
  RETURN_IF_ERROR(RequireFlowId(flow_id));
  ASSIGN_OR_RETURN(const StoredFlow stored, store_->FindFlow(flow_id));
  ASSIGN_OR_RETURN(const FlowState next, NextState(stored.state, request));
  if (stored.state != next) {
    const bool pause = request == FlowRequest::kPause;
    RETURN_IF_ERROR(store_->Transition(flow_id, {stored.state}, next, pause ? "operator" : ""));
    LogChange(pause ? "flow paused" : "flow stopping", flow_id);
  }
  dispatcher_->Stop(flow_id);
  return absl::OkStatus();
}

absl::Status FlowServiceImpl::RunOnce(const std::string& flow_id) {
  RETURN_IF_ERROR(RequireFlowId(flow_id));
  ASSIGN_OR_RETURN(const StoredFlow stored, store_->GetFlow(flow_id));
  RETURN_IF_ERROR(NextState(stored.state, FlowRequest::kRunOnce).status());
  RETURN_IF_ERROR(CheckMayGoOn(store_, stored, "run-once"));
  DispatchOptions options;
  if (stored.state != FlowState::kRunning) options.max_empty_reads = 1;
  const absl::Status started = dispatcher_->Ensure(flow_id, options);
  if (started.ok()) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("the worker of flow '", flow_id, "' cannot be started: ", started.message()));
}

absl::Status FlowServiceImpl::List(const v1::ListFlowsRequest& request, v1::ListFlowsResponse* response) {
  const int most = static_cast<int>(settings_.access.max_page);
  if (request.page_size() < 0) {
    return absl::InvalidArgumentError(absl::StrCat("page_size: got ", request.page_size(), "; allowed: 0 to ", most));
  }
  const int size = std::min(request.page_size() == 0 ? kDefaultPage : request.page_size(), most);
  ASSIGN_OR_RETURN(const std::vector<StoredFlow> flows, store_->ListFlows(request.page_token(), size));
  for (const StoredFlow& flow : flows) {
    const absl::Status status = view_.Fill(flow, FlowDetail::kBrief, response->add_flows());
    // Deleted since the page was read.
    if (absl::IsNotFound(status)) {
      response->mutable_flows()->RemoveLast();
      continue;
    }
    RETURN_IF_ERROR(status);
  }
  if (static_cast<int>(flows.size()) < size) return absl::OkStatus();
  const std::string& last = flows.back().flow.id;
  ASSIGN_OR_RETURN(const std::vector<StoredFlow> more, store_->ListFlows(last, 1));
  if (!more.empty()) response->set_next_page_token(last);
  return absl::OkStatus();
}

// ---- the wire ----

grpc::Status FlowServiceImpl::CreateFlow(grpc::ServerContext*, const v1::CreateFlowRequest* request, v1::Flow* flow) {
  return ToGrpc(Create(*request, flow));
}

grpc::Status FlowServiceImpl::UpdateFlow(grpc::ServerContext*, const v1::UpdateFlowRequest* request, v1::Flow* flow) {
  return ToGrpc(Update(request->flow(), flow));
}

grpc::Status FlowServiceImpl::StartFlow(grpc::ServerContext*, const v1::StartFlowRequest* request, v1::Flow* flow) {
  const absl::Status status = [&] {
    std::lock_guard lock(changes_);
    return Run(request->flow_id(), FlowRequest::kStart);
  }();
  return ToGrpc(status.ok() ? Show(request->flow_id(), flow) : status);
}

grpc::Status FlowServiceImpl::ResumeFlow(grpc::ServerContext*, const v1::ResumeFlowRequest* request, v1::Flow* flow) {
  const absl::Status status = [&] {
    std::lock_guard lock(changes_);
    return Run(request->flow_id(), FlowRequest::kResume);
  }();
  return ToGrpc(status.ok() ? Show(request->flow_id(), flow) : status);
}

grpc::Status FlowServiceImpl::StopFlow(grpc::ServerContext*, const v1::StopFlowRequest* request, v1::Flow* flow) {
  const absl::Status status = [&] {
    std::lock_guard lock(changes_);
    return Halt(request->flow_id(), FlowRequest::kStop);
  }();
  return ToGrpc(status.ok() ? Show(request->flow_id(), flow) : status);
}

grpc::Status FlowServiceImpl::PauseFlow(grpc::ServerContext*, const v1::PauseFlowRequest* request, v1::Flow* flow) {
  const absl::Status status = [&] {
    std::lock_guard lock(changes_);
    return Halt(request->flow_id(), FlowRequest::kPause);
  }();
  return ToGrpc(status.ok() ? Show(request->flow_id(), flow) : status);
}

absl::Status FlowServiceImpl::Explain(const std::string& flow_id, v1::LagExplanation* response) {
  RETURN_IF_ERROR(RequireFlowId(flow_id));
  ASSIGN_OR_RETURN(const StoredFlow stored, store_->GetFlow(flow_id));
  return view_.Explain(stored, response);
}

grpc::Status FlowServiceImpl::ExplainLag(grpc::ServerContext*, const v1::ExplainLagRequest* request,
                                         v1::LagExplanation* response) {
  return ToGrpc(Explain(request->flow_id(), response));
}

grpc::Status FlowServiceImpl::GetFlow(grpc::ServerContext*, const v1::GetFlowRequest* request, v1::Flow* flow) {
  const absl::Status status = RequireFlowId(request->flow_id());
  return ToGrpc(status.ok() ? Show(request->flow_id(), flow) : status);
}

grpc::Status FlowServiceImpl::RunFlowOnce(grpc::ServerContext*, const v1::RunFlowOnceRequest* request,
                                          v1::RunFlowOnceResponse* response) {
  std::lock_guard lock(changes_);
  const absl::Status status = RunOnce(request->flow_id());
  response->set_dispatched(status.ok());
  return ToGrpc(status);
}

grpc::Status FlowServiceImpl::ListFlows(grpc::ServerContext*, const v1::ListFlowsRequest* request,
                                        v1::ListFlowsResponse* response) {
  return ToGrpc(List(*request, response));
}

grpc::Status FlowServiceImpl::DeleteFlow(grpc::ServerContext*, const v1::DeleteFlowRequest* request,
                                         v1::DeleteFlowResponse* response) {
  std::lock_guard lock(changes_);
  const absl::Status status = Delete(request->flow_id(), response);
  response->set_deleted(status.ok());
  return ToGrpc(status);
}

grpc::Status FlowServiceImpl::ValidateFlow(grpc::ServerContext*, const v1::ValidateFlowRequest* request,
                                           v1::ValidateFlowResponse* response) {
  return ToGrpc(ValidateFlowRequest(request->flow(), store_, response));
}

}  // namespace wallaby

#include "service/checkpoint_service.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "pipeline/history_mark.h"
#include "service/flow_service.h"
#include "service/flow_view.h"
#include "service/rpc_status.h"
#include "telemetry/log.h"

namespace wallaby {

absl::Status CheckpointServiceImpl::Get(const std::string& flow_id, v1::FlowCheckpoint* response) {
  RETURN_IF_ERROR(RequireFlowId(flow_id));
  RETURN_IF_ERROR(flows_->FindFlow(flow_id).status());
  ASSIGN_OR_RETURN(const std::optional<Checkpoint> checkpoint, checkpoints_->GetCheckpoint(flow_id));
  if (!checkpoint) {
    return absl::NotFoundError(
        absl::StrCat("flow '", flow_id, "' has no checkpoint yet: it has not delivered anything"));
  }
  response->set_flow_id(flow_id);
  *response->mutable_checkpoint() = CheckpointToProto(*checkpoint);
  return absl::OkStatus();
}

absl::Status CheckpointServiceImpl::Put(const v1::PutCheckpointRequest& request) {
  const std::string& flow_id = request.flow_id();
  RETURN_IF_ERROR(RequireFlowId(flow_id));
  ASSIGN_OR_RETURN(const StoredFlow stored, flows_->FindFlow(flow_id));
  const absl::StatusOr<Lsn> lsn = Lsn::Parse(request.checkpoint().lsn());
  if (!lsn.ok() || !lsn->valid()) {
    return absl::InvalidArgumentError(
        absl::StrCat("checkpoint.lsn: got '", request.checkpoint().lsn(), "'; allowed: a position such as 0/16B3748"));
  }
  if (stored.state == FlowState::kRunning || stored.state == FlowState::kStopping || dispatcher_->IsActive(flow_id)) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot set the checkpoint of flow '", flow_id, "': it is ", FlowStateName(stored.state),
                     dispatcher_->IsActive(flow_id) ? " and its worker runs" : "", "; pause or stop it first"));
  }
  Checkpoint checkpoint;
  checkpoint.lsn = *lsn;
  const int64_t millis = request.checkpoint().timestamp_unix_millis();
  checkpoint.at = millis > 0 ? absl::FromUnixMillis(millis) : absl::Now();
  for (const auto& [key, value] : request.checkpoint().metadata()) checkpoint.metadata[key] = value;
  checkpoint.metadata.erase(kHistoryMarkKey);  // perhaps of another position
  RETURN_IF_ERROR(checkpoints_->PutCheckpoint(flow_id, checkpoint, /*generation=*/0));
  Log(LogLevel::kWarn, "an operator set the checkpoint", {{"flow_id", flow_id}, {"lsn", lsn->ToString()}});
  return absl::OkStatus();
}

grpc::Status CheckpointServiceImpl::GetCheckpoint(grpc::ServerContext*, const v1::GetCheckpointRequest* request,
                                                  v1::FlowCheckpoint* response) {
  return ToGrpc(Get(request->flow_id(), response));
}

grpc::Status CheckpointServiceImpl::PutCheckpoint(grpc::ServerContext*, const v1::PutCheckpointRequest* request,
                                                  v1::FlowCheckpoint* response) {
  const absl::Status status = Put(*request);
  return ToGrpc(status.ok() ? Get(request->flow_id(), response) : status);
}

grpc::Status CheckpointServiceImpl::ListCheckpoints(grpc::ServerContext*, const v1::ListCheckpointsRequest*,
                                                    v1::ListCheckpointsResponse* response) {
  const auto checkpoints = checkpoints_->ListCheckpoints();
  if (!checkpoints.ok()) return ToGrpc(checkpoints.status());
  for (const auto& [flow_id, checkpoint] : *checkpoints) {
    v1::FlowCheckpoint* proto = response->add_checkpoints();
    proto->set_flow_id(flow_id);
    *proto->mutable_checkpoint() = CheckpointToProto(checkpoint);
  }
  return grpc::Status::OK;
}

}  // namespace wallaby

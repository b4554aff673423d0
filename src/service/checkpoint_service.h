// CheckpointService: how far flows have got, and an operator's way to say it anew.
#ifndef WALLABY_SERVICE_CHECKPOINT_SERVICE_H_
#define WALLABY_SERVICE_CHECKPOINT_SERVICE_H_

#include "absl/status/status.h"
#include "dispatch/dispatcher.h"
#include "store/control_store.h"
#include "wallaby/v1/services.grpc.pb.h"

namespace wallaby {

// Safe from any thread.
class CheckpointServiceImpl final : public v1::CheckpointService::Service {
 public:
  // `flows` knows which flows there are, `checkpoints` keeps the checkpoints. Pointers outlive the service.
  CheckpointServiceImpl(ControlStore* flows, ControlStore* checkpoints, Dispatcher* dispatcher)
      : flows_(flows), checkpoints_(checkpoints), dispatcher_(dispatcher) {}

  grpc::Status GetCheckpoint(grpc::ServerContext*, const v1::GetCheckpointRequest* request,
                             v1::FlowCheckpoint* response) override;
  // FAILED_PRECONDITION while the flow runs: its worker would not see it.
  grpc::Status PutCheckpoint(grpc::ServerContext*, const v1::PutCheckpointRequest* request,
                             v1::FlowCheckpoint* response) override;
  grpc::Status ListCheckpoints(grpc::ServerContext*, const v1::ListCheckpointsRequest* request,
                               v1::ListCheckpointsResponse* response) override;

 private:
  absl::Status Get(const std::string& flow_id, v1::FlowCheckpoint* response);
  absl::Status Put(const v1::PutCheckpointRequest& request);

  ControlStore* const flows_;
  ControlStore* const checkpoints_;
  Dispatcher* const dispatcher_;
};

}  // namespace wallaby

#endif  // WALLABY_SERVICE_CHECKPOINT_SERVICE_H_

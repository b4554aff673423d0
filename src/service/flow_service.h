// FlowService: define flows, start and stop them, look at them.
#ifndef WALLABY_SERVICE_FLOW_SERVICE_H_
#define WALLABY_SERVICE_FLOW_SERVICE_H_

#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "dispatch/dispatcher.h"
#include "flow/settings.h"
#include "service/flow_view.h"
#include "store/control_store.h"
#include "wallaby/v1/services.grpc.pb.h"

namespace wallaby {

// Safe from any thread. Requests that change a flow are handled one after the other.
class FlowServiceImpl final : public v1::FlowService::Service {
 public:
  // Pointers outlive the service; `slots` may be null.
  FlowServiceImpl(ControlStore* store, ControlStore* checkpoints, Dispatcher* dispatcher, Settings settings,
                  const SlotWatch* slots, const StreamLag* stream_lag);

  grpc::Status CreateFlow(grpc::ServerContext*, const v1::CreateFlowRequest* request, v1::Flow* flow) override;
  grpc::Status UpdateFlow(grpc::ServerContext*, const v1::UpdateFlowRequest* request, v1::Flow* flow) override;
  grpc::Status StartFlow(grpc::ServerContext*, const v1::StartFlowRequest* request, v1::Flow* flow) override;
  grpc::Status StopFlow(grpc::ServerContext*, const v1::StopFlowRequest* request, v1::Flow* flow) override;
  grpc::Status ResumeFlow(grpc::ServerContext*, const v1::ResumeFlowRequest* request, v1::Flow* flow) override;
  grpc::Status PauseFlow(grpc::ServerContext*, const v1::PauseFlowRequest* request, v1::Flow* flow) override;
  grpc::Status GetFlow(grpc::ServerContext*, const v1::GetFlowRequest* request, v1::Flow* flow) override;
  grpc::Status RunFlowOnce(grpc::ServerContext*, const v1::RunFlowOnceRequest* request,
                           v1::RunFlowOnceResponse* response) override;
  grpc::Status ListFlows(grpc::ServerContext*, const v1::ListFlowsRequest* request,
                         v1::ListFlowsResponse* response) override;
  grpc::Status DeleteFlow(grpc::ServerContext*, const v1::DeleteFlowRequest* request,
                          v1::DeleteFlowResponse* response) override;
  grpc::Status ValidateFlow(grpc::ServerContext*, const v1::ValidateFlowRequest* request,
                            v1::ValidateFlowResponse* response) override;
  grpc::Status ExplainLag(grpc::ServerContext*, const v1::ExplainLagRequest* request,
                          v1::LagExplanation* response) override;

 private:
  absl::Status Create(const v1::CreateFlowRequest& request, v1::Flow* flow);
  absl::Status Update(const v1::Flow& update, v1::Flow* flow);
  // Start and resume: into `running`, with a worker.
  // Called with changes_ held.
  absl::Status Run(const std::string& flow_id, FlowRequest request);
  // Pause and stop: out of `running`, and the worker is asked to end.
  absl::Status Halt(const std::string& flow_id, FlowRequest request);
  absl::Status RunOnce(const std::string& flow_id);
  absl::Status Delete(const std::string& flow_id, v1::DeleteFlowResponse* response);
  absl::Status List(const v1::ListFlowsRequest& request, v1::ListFlowsResponse* response);
  absl::Status Explain(const std::string& flow_id, v1::LagExplanation* response);
  absl::Status Show(const std::string& flow_id, v1::Flow* flow);
  // The server's wire format where the flow names none.
  absl::Status ApplyWireFormat(Flow* flow) const;
  // What the flow asks for at a gate, by this server's settings.
  absl::Status CheckGate(const Flow& flow) const;

  ControlStore* const store_;
  Dispatcher* const dispatcher_;
  const Settings settings_;
  const FlowView view_;
  std::mutex changes_;
};

// INVALID_ARGUMENT when it is empty; the store says whether the flow exists.
absl::Status RequireFlowId(const std::string& flow_id);

// "shop-orders-x7k2qa" for "Shop orders".
std::string MakeFlowId(std::string_view name);

}  // namespace wallaby

#endif  // WALLABY_SERVICE_FLOW_SERVICE_H_

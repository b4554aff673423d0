// Client: the control plane as the commands see it. All of gRPC is in client.cc.
#ifndef WALLABY_CLI_CLIENT_H_
#define WALLABY_CLI_CLIENT_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/tls_diagnosis.h"
#include "wallaby/v1/services.pb.h"

namespace wallaby {

struct ClientOptions {
  std::string endpoint;  // HOST:PORT, :PORT (this machine) or unix:PATH
  bool insecure = true;  // without TLS
  TlsClientFiles tls;
  std::string token;  // sent as "authorization: Bearer TOKEN"; empty: nothing is sent
};

// "localhost:8080" of ":8080"; INVALID_ARGUMENT for what is not an address.
absl::StatusOr<std::string> NormalEndpoint(const std::string& endpoint);
// Whether what is sent to such an endpoint stays on this machine. A name that only begins like an address may be
// anywhere.
bool IsThisMachine(const std::string& endpoint);

// One channel, kept open. Each call ends at its limit, at the latest. Errors keep the server's code and text; where the
// server was not reached they say what to do.
class Client {
 public:
  static constexpr absl::Duration kConnectLimit = absl::Seconds(5);
  static constexpr absl::Duration kLimit = absl::Seconds(30);
  // For requests that look at every table of the source.
  static constexpr absl::Duration kLongLimit = absl::Seconds(90);
  // For schema changes, which may rewrite a destination's table.
  static constexpr absl::Duration kApplyLimit = absl::Minutes(30);

  // Waits until the server is there, at most kConnectLimit; a server that refuses is known at once.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(const ClientOptions& options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // The request's type says which method.
  absl::StatusOr<v1::Flow> Call(const v1::CreateFlowRequest& request);
  absl::StatusOr<v1::Flow> Call(const v1::UpdateFlowRequest& request);
  absl::StatusOr<v1::Flow> Call(const v1::StartFlowRequest& request);
  absl::StatusOr<v1::Flow> Call(const v1::StopFlowRequest& request);
  absl::StatusOr<v1::Flow> Call(const v1::ResumeFlowRequest& request);
  absl::StatusOr<v1::Flow> Call(const v1::PauseFlowRequest& request);
  absl::StatusOr<v1::Flow> Call(const v1::GetFlowRequest& request, absl::Duration limit = kLimit);
  absl::StatusOr<v1::RunFlowOnceResponse> Call(const v1::RunFlowOnceRequest& request);
  absl::StatusOr<v1::ListFlowsResponse> Call(const v1::ListFlowsRequest& request);
  absl::StatusOr<v1::DeleteFlowResponse> Call(const v1::DeleteFlowRequest& request);
  absl::StatusOr<v1::ValidateFlowResponse> Call(const v1::ValidateFlowRequest& request);
  absl::StatusOr<v1::LagExplanation> Call(const v1::ExplainLagRequest& request);
  absl::StatusOr<v1::ListDDLResponse> Call(const v1::ListDDLRequest& request);
  absl::StatusOr<v1::GetDDLResponse> Call(const v1::GetDDLRequest& request);
  absl::StatusOr<v1::ApproveDDLResponse> Call(const v1::ApproveDDLRequest& request);
  absl::StatusOr<v1::RejectDDLResponse> Call(const v1::RejectDDLRequest& request);
  // When the limit passes, the server goes on by itself.
  absl::StatusOr<v1::ApplyDDLResponse> Call(const v1::ApplyDDLRequest& request);
  absl::StatusOr<v1::MarkDDLAppliedResponse> Call(const v1::MarkDDLAppliedRequest& request);
  absl::StatusOr<v1::FlowCheckpoint> Call(const v1::GetCheckpointRequest& request);
  absl::StatusOr<v1::ListCheckpointsResponse> Call(const v1::ListCheckpointsRequest& request);
  absl::StatusOr<v1::ListDeadLettersResponse> Call(const v1::ListDeadLettersRequest& request);
  absl::StatusOr<v1::DeadLetter> Call(const v1::GetDeadLetterRequest& request);
  // When the limit passes, or the client goes, the server ends behind the letter that is under way.
  absl::StatusOr<v1::ReplayDeadLettersResponse> Call(const v1::ReplayDeadLettersRequest& request);
  absl::StatusOr<v1::DropDeadLettersResponse> Call(const v1::DropDeadLettersRequest& request);
  absl::StatusOr<v1::ListSlotsResponse> Call(const v1::ListSlotsRequest& request);
  absl::StatusOr<v1::SlotStatus> Call(const v1::GetSlotRequest& request);
  absl::StatusOr<v1::DropSlotResponse> Call(const v1::DropSlotRequest& request);
  absl::StatusOr<v1::ListPublicationTablesResponse> Call(const v1::ListPublicationTablesRequest& request);
  absl::StatusOr<v1::DoctorReport> Call(const v1::DiagnoseFlowRequest& request);
  absl::StatusOr<v1::DoctorReport> Call(const v1::DiagnoseDefinitionRequest& request);
  absl::StatusOr<v1::SyncPublicationResponse> Call(const v1::SyncPublicationRequest& request);
  absl::StatusOr<v1::StreamPullResponse> Call(const v1::StreamPullRequest& request);
  absl::StatusOr<v1::StreamAckResponse> Call(const v1::StreamAckRequest& request);
  absl::StatusOr<v1::StreamReplayResponse> Call(const v1::StreamReplayRequest& request);
  absl::StatusOr<v1::ListStreamsResponse> Call(const v1::ListStreamsRequest& request);
  absl::StatusOr<v1::ListStreamGroupsResponse> Call(const v1::ListStreamGroupsRequest& request);
  absl::StatusOr<v1::DeleteStreamGroupResponse> Call(const v1::DeleteStreamGroupRequest& request);

  // All pages.
  absl::StatusOr<v1::ListFlowsResponse> AllFlows();

 private:
  struct Connection;
  explicit Client(std::unique_ptr<Connection> connection);

  const std::unique_ptr<Connection> connection_;
};

}  // namespace wallaby

#endif  // WALLABY_CLI_CLIENT_H_

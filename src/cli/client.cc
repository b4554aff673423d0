#include "cli/client.h"

#include <arpa/inet.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "grpcpp/grpcpp.h"
#include "wallaby/v1/services.grpc.pb.h"

namespace wallaby {
namespace {

// What a server sends at most, with the largest WALLABY_MAX_MESSAGE.
constexpr int kMaxMessage = 256 << 20;

std::chrono::system_clock::time_point Deadline(absl::Duration limit) {
  return absl::ToChronoTime(absl::Now() + limit);
}

absl::StatusOr<std::string> ReadPem(std::string_view flag, const std::string& path, std::string_view what) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    return absl::InvalidArgumentError(absl::StrCat("cannot read the ", what, " of ", flag, " ", path, ": ",
                                                   errno != 0 ? std::strerror(errno) : "it is empty"));
  }
  const std::string_view mark = what == "key" ? "PRIVATE KEY-----" : "-----BEGIN CERTIFICATE-----";
  if (!absl::StrContains(text.str(), mark)) {
    return absl::InvalidArgumentError(absl::StrCat(flag, " ", path, " holds no ", what, " in PEM form"));
  }
  return text.str();
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> Credentials(const ClientOptions& options) {
  if (options.insecure) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions ssl;
  if (!options.tls.ca.empty()) {
    ASSIGN_OR_RETURN(ssl.pem_root_certs, ReadPem("-tls-ca", options.tls.ca, "certificate"));
  }
  if (!options.tls.certificate.empty()) {
    ASSIGN_OR_RETURN(ssl.pem_cert_chain, ReadPem("-tls-cert", options.tls.certificate, "certificate"));
    ASSIGN_OR_RETURN(ssl.pem_private_key, ReadPem("-tls-key", options.tls.key, "key"));
  }
  return grpc::SslCredentials(ssl);
}

// The cause alone, out of gRPC's chain of them.
std::string Cause(const std::string& message) {
  constexpr std::string_view kLast = "last error: ";
  const size_t at = message.rfind(kLast);
  std::string cause = at == std::string::npos ? message : message.substr(at + kLast.size());
  for (const std::string_view known : {"Connection refused", "Connection reset by peer", "No route to host",
                                       "Network is unreachable", "No such file or directory"}) {
    if (absl::StrContains(cause, known)) return std::string(known);
  }
  if (absl::StrContains(cause, "wrong version number")) return "it does not speak TLS";
  if (absl::StrContains(cause, "certificate verify failed")) return "its certificate is not vouched for; see -tls-ca";
  return cause;
}

}  // namespace

struct Client::Connection {
  std::string endpoint;
  bool insecure = true;
  TlsClientFiles tls;
  std::string token;
  std::shared_ptr<grpc::Channel> channel;

  absl::Status Explain(const grpc::Status& status, absl::Duration limit) const;

  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                std::unique_ptr<Stub> stub, const Request& request, absl::Duration limit) const {
    grpc::ClientContext context;
    context.set_deadline(Deadline(limit));
    if (!token.empty()) context.AddMetadata("authorization", absl::StrCat("Bearer ", token));
    Response response;
    const grpc::Status status = ((*stub).*method)(&context, request, &response);
    if (!status.ok()) return Explain(status, limit);
    return response;
  }
};

absl::Status Client::Connection::Explain(const grpc::Status& status, absl::Duration limit) const {
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  const std::string& text = status.error_message();
  switch (code) {
    case absl::StatusCode::kUnavailable:
      if (channel->GetState(false) == GRPC_CHANNEL_READY) break;
      if (std::string why = insecure ? "" : DiagnoseTls(endpoint, tls); !why.empty()) {
        return absl::UnavailableError(absl::StrCat("no TLS connection with ", endpoint, ": ", why));
      }
      return absl::UnavailableError(
          absl::StrCat("no server answers at ", endpoint, " (", Cause(text),
                       "); start one with `wallaby`, or say with ", "-endpoint or WALLABY_ENDPOINT where it is",
                       insecure ? "; a server with TLS needs -tls-ca or -insecure=false" : ""));
    case absl::StatusCode::kDeadlineExceeded:
      return absl::DeadlineExceededError(absl::StrCat("the server at ", endpoint, " did not answer within ",
                                                      absl::FormatDuration(limit), "; look at its log"));
    case absl::StatusCode::kCancelled:
      return absl::UnavailableError(
          absl::StrCat("the server at ", endpoint, " ended while it was asked; try again when it is back"));
    case absl::StatusCode::kUnauthenticated:
      return absl::UnauthenticatedError(
          absl::StrCat(text, token.empty() ? "; give -token or WALLABY_TOKEN" : "; look at -token or WALLABY_TOKEN"));
    case absl::StatusCode::kUnimplemented:
      if (!text.empty()) break;
      return absl::UnimplementedError(
          absl::StrCat("the server at ", endpoint, " does not know this request; is it a `wallaby` of this version?"));
    default:
      break;
  }
  return absl::Status(code, text.empty() ? absl::StrCat("the server at ", endpoint, " gave no reason (",
                                                        absl::StatusCodeToString(code), "); look at its log")
                                         : text);
}

absl::StatusOr<std::string> NormalEndpoint(const std::string& endpoint) {
  if (endpoint.starts_with("unix:")) return endpoint;
  const size_t colon = endpoint.rfind(':');
  int port = 0;
  if (colon == std::string::npos || absl::StrContains(endpoint, "/") ||
      !absl::SimpleAtoi(endpoint.substr(colon + 1), &port) || port < 1 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("-endpoint is '", endpoint, "'; allowed: HOST:PORT, as localhost:8080"));
  }
  return colon == 0 ? absl::StrCat("localhost", endpoint) : endpoint;
}

bool IsThisMachine(const std::string& endpoint) {
  if (endpoint.starts_with("unix:")) return true;
  const std::string host = endpoint.substr(0, endpoint.rfind(':'));
  in_addr ip = {};
  if (inet_pton(AF_INET, host.c_str(), &ip) == 1) return (ntohl(ip.s_addr) >> 24) == 127;
  return host == "localhost" || host == "[::1]";
}

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(const ClientOptions& options) {
  // gRPC would write its own lines to stderr, where ours are to stand alone.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  auto connection = std::make_unique<Connection>();
  ASSIGN_OR_RETURN(connection->endpoint, NormalEndpoint(options.endpoint));
  connection->insecure = options.insecure;
  connection->tls = options.tls;
  connection->token = options.token;
  ASSIGN_OR_RETURN(const auto credentials, Credentials(options));
  grpc::ChannelArguments arguments;
  if (IsThisMachine(connection->endpoint)) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  if (!options.tls.server_name.empty()) arguments.SetSslTargetNameOverride(options.tls.server_name);
  arguments.SetMaxReceiveMessageSize(kMaxMessage);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  connection->channel = grpc::CreateCustomChannel(connection->endpoint, credentials, arguments);

  const auto deadline = Deadline(kConnectLimit);
  grpc_connectivity_state state = connection->channel->GetState(/*try_to_connect=*/true);
  // In failure the first call fails at once, and with the cause.
  while (state != GRPC_CHANNEL_READY && state != GRPC_CHANNEL_TRANSIENT_FAILURE) {
    if (!connection->channel->WaitForStateChange(state, deadline)) {
      return connection->Explain(
          grpc::Status(grpc::StatusCode::UNAVAILABLE, absl::StrCat("not within ", absl::FormatDuration(kConnectLimit))),
          kConnectLimit);
    }
    state = connection->channel->GetState(/*try_to_connect=*/true);
  }
  return std::unique_ptr<Client>(new Client(std::move(connection)));
}

Client::Client(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}
Client::~Client() = default;

// ---- methods ----

absl::StatusOr<v1::Flow> Client::Call(const v1::CreateFlowRequest& request) {
  return connection_->Call(&v1::FlowService::Stub::CreateFlow, v1::FlowService::NewStub(connection_->channel), request,
                           kLimit);
}

absl::StatusOr<v1::Flow> Client::Call(const v1::UpdateFlowRequest& request) {
  return connection_->Call(&v1::FlowService::Stub::UpdateFlow, v1::FlowService::NewStub(connection_->channel), request,
                           kLimit);
}

absl::StatusOr<v1::Flow> Client::Call(const v1::StartFlowRequest& request) {
  return connection_->Call(&v1::FlowService::Stub::StartFlow, v1::FlowService::NewStub(connection_->channel), request,
                           kLimit);
}

absl::StatusOr<v1::Flow> Client::Call(const v1::StopFlowRequest& request) {
  return connection_->Call(&v1::FlowService::Stub::StopFlow, v1::FlowService::NewStub(connection_->channel), request,
                           kLimit);
}

absl::StatusOr<v1::Flow> Client::Call(const v1::ResumeFlowRequest& request) {
  return connection_->Call(&v1::FlowService::Stub::ResumeFlow, v1::FlowService::NewStub(connection_->channel), request,
                           kLimit);
}

absl::StatusOr<v1::Flow> Client::Call(const v1::PauseFlowRequest& request) {
  return connection_->Call(&v1::FlowService::Stub::PauseFlow, v1::FlowService::NewStub(connection_->channel), request,
                           kLimit);
}

absl::StatusOr<v1::Flow> Client::Call(const v1::GetFlowRequest& request, absl::Duration limit) {
  return connection_->Call(&v1::FlowService::Stub::GetFlow, v1::FlowService::NewStub(connection_->channel), request,
                           limit);
}

absl::StatusOr<v1::RunFlowOnceResponse> Client::Call(const v1::RunFlowOnceRequest& request) {
  return connection_->Call(&v1::FlowService::Stub::RunFlowOnce, v1::FlowService::NewStub(connection_->channel), request,
                           kLimit);
}

absl::StatusOr<v1::ListFlowsResponse> Client::Call(const v1::ListFlowsRequest& request) {
  return connection_->Call(&v1::FlowService::Stub::ListFlows, v1::FlowService::NewStub(connection_->channel), request,
                           kLimit);
}

absl::StatusOr<v1::DeleteFlowResponse> Client::Call(const v1::DeleteFlowRequest& request) {
  return connection_->Call(&v1::FlowService::Stub::DeleteFlow, v1::FlowService::NewStub(connection_->channel), request,
                           kLimit);
}

absl::StatusOr<v1::ValidateFlowResponse> Client::Call(const v1::ValidateFlowRequest& request) {
  return connection_->Call(&v1::FlowService::Stub::ValidateFlow, v1::FlowService::NewStub(connection_->channel),
                           request, kLongLimit);
}

absl::StatusOr<v1::LagExplanation> Client::Call(const v1::ExplainLagRequest& request) {
  return connection_->Call(&v1::FlowService::Stub::ExplainLag, v1::FlowService::NewStub(connection_->channel), request,
                           kLimit);
}

absl::StatusOr<v1::ListDDLResponse> Client::Call(const v1::ListDDLRequest& request) {
  return connection_->Call(&v1::DDLService::Stub::ListDDL, v1::DDLService::NewStub(connection_->channel), request,
                           kLimit);
}

absl::StatusOr<v1::GetDDLResponse> Client::Call(const v1::GetDDLRequest& request) {
  return connection_->Call(&v1::DDLService::Stub::GetDDL, v1::DDLService::NewStub(connection_->channel), request,
                           kLimit);
}

absl::StatusOr<v1::ApproveDDLResponse> Client::Call(const v1::ApproveDDLRequest& request) {
  return connection_->Call(&v1::DDLService::Stub::ApproveDDL, v1::DDLService::NewStub(connection_->channel), request,
                           kLimit);
}

absl::StatusOr<v1::RejectDDLResponse> Client::Call(const v1::RejectDDLRequest& request) {
  return connection_->Call(&v1::DDLService::Stub::RejectDDL, v1::DDLService::NewStub(connection_->channel), request,
                           kLimit);
}

absl::StatusOr<v1::ApplyDDLResponse> Client::Call(const v1::ApplyDDLRequest& request) {
  return connection_->Call(&v1::DDLService::Stub::ApplyDDL, v1::DDLService::NewStub(connection_->channel), request,
                           kApplyLimit);
}

absl::StatusOr<v1::MarkDDLAppliedResponse> Client::Call(const v1::MarkDDLAppliedRequest& request) {
  return connection_->Call(&v1::DDLService::Stub::MarkDDLApplied, v1::DDLService::NewStub(connection_->channel),
                           request, kLimit);
}

absl::StatusOr<v1::FlowCheckpoint> Client::Call(const v1::GetCheckpointRequest& request) {
  return connection_->Call(&v1::CheckpointService::Stub::GetCheckpoint,
                           v1::CheckpointService::NewStub(connection_->channel), request, kLimit);
}

absl::StatusOr<v1::ListCheckpointsResponse> Client::Call(const v1::ListCheckpointsRequest& request) {
  return connection_->Call(&v1::CheckpointService::Stub::ListCheckpoints,
                           v1::CheckpointService::NewStub(connection_->channel), request, kLimit);
}

absl::StatusOr<v1::ListDeadLettersResponse> Client::Call(const v1::ListDeadLettersRequest& request) {
  return connection_->Call(&v1::DeadLetterService::Stub::ListDeadLetters,
                           v1::DeadLetterService::NewStub(connection_->channel), request, kLimit);
}

absl::StatusOr<v1::DeadLetter> Client::Call(const v1::GetDeadLetterRequest& request) {
  return connection_->Call(&v1::DeadLetterService::Stub::GetDeadLetter,
                           v1::DeadLetterService::NewStub(connection_->channel), request, kLimit);
}

absl::StatusOr<v1::ReplayDeadLettersResponse> Client::Call(const v1::ReplayDeadLettersRequest& request) {
  return connection_->Call(&v1::DeadLetterService::Stub::ReplayDeadLetters,
                           v1::DeadLetterService::NewStub(connection_->channel), request, kApplyLimit);
}

absl::StatusOr<v1::DropDeadLettersResponse> Client::Call(const v1::DropDeadLettersRequest& request) {
  return connection_->Call(&v1::DeadLetterService::Stub::DropDeadLetters,
                           v1::DeadLetterService::NewStub(connection_->channel), request, kLimit);
}

absl::StatusOr<v1::ListSlotsResponse> Client::Call(const v1::ListSlotsRequest& request) {
  return connection_->Call(&v1::SourceService::Stub::ListSlots, v1::SourceService::NewStub(connection_->channel),
                           request, kLimit);
}

absl::StatusOr<v1::SlotStatus> Client::Call(const v1::GetSlotRequest& request) {
  return connection_->Call(&v1::SourceService::Stub::GetSlot, v1::SourceService::NewStub(connection_->channel), request,
                           kLimit);
}

absl::StatusOr<v1::DropSlotResponse> Client::Call(const v1::DropSlotRequest& request) {
  return connection_->Call(&v1::SourceService::Stub::DropSlot, v1::SourceService::NewStub(connection_->channel),
                           request, kLimit);
}

absl::StatusOr<v1::ListPublicationTablesResponse> Client::Call(const v1::ListPublicationTablesRequest& request) {
  return connection_->Call(&v1::SourceService::Stub::ListPublicationTables,
                           v1::SourceService::NewStub(connection_->channel), request, kLongLimit);
}

absl::StatusOr<v1::DoctorReport> Client::Call(const v1::DiagnoseFlowRequest& request) {
  return connection_->Call(&v1::SourceService::Stub::DiagnoseFlow, v1::SourceService::NewStub(connection_->channel),
                           request, kLongLimit);
}

absl::StatusOr<v1::DoctorReport> Client::Call(const v1::DiagnoseDefinitionRequest& request) {
  return connection_->Call(&v1::SourceService::Stub::DiagnoseDefinition,
                           v1::SourceService::NewStub(connection_->channel), request, kLongLimit);
}

absl::StatusOr<v1::SyncPublicationResponse> Client::Call(const v1::SyncPublicationRequest& request) {
  return connection_->Call(&v1::SourceService::Stub::SyncPublication, v1::SourceService::NewStub(connection_->channel),
                           request, kLongLimit);
}

absl::StatusOr<v1::StreamPullResponse> Client::Call(const v1::StreamPullRequest& request) {
  return connection_->Call(&v1::StreamService::Stub::Pull, v1::StreamService::NewStub(connection_->channel), request,
                           kLimit + absl::Milliseconds(request.wait_milliseconds()));
}

absl::StatusOr<v1::StreamAckResponse> Client::Call(const v1::StreamAckRequest& request) {
  return connection_->Call(&v1::StreamService::Stub::Ack, v1::StreamService::NewStub(connection_->channel), request,
                           kLimit);
}

absl::StatusOr<v1::StreamReplayResponse> Client::Call(const v1::StreamReplayRequest& request) {
  return connection_->Call(&v1::StreamService::Stub::Replay, v1::StreamService::NewStub(connection_->channel), request,
                           kLimit);
}

absl::StatusOr<v1::ListStreamsResponse> Client::Call(const v1::ListStreamsRequest& request) {
  return connection_->Call(&v1::StreamService::Stub::ListStreams, v1::StreamService::NewStub(connection_->channel),
                           request, kLimit);
}

absl::StatusOr<v1::ListStreamGroupsResponse> Client::Call(const v1::ListStreamGroupsRequest& request) {
  return connection_->Call(&v1::StreamService::Stub::ListStreamGroups, v1::StreamService::NewStub(connection_->channel),
                           request, kLimit);
}

absl::StatusOr<v1::DeleteStreamGroupResponse> Client::Call(const v1::DeleteStreamGroupRequest& request) {
  return connection_->Call(&v1::StreamService::Stub::DeleteStreamGroup,
                           v1::StreamService::NewStub(connection_->channel), request, kLimit);
}

absl::StatusOr<v1::ListFlowsResponse> Client::AllFlows() {
  v1::ListFlowsResponse all;
  v1::ListFlowsRequest request;
  do {
    ASSIGN_OR_RETURN(v1::ListFlowsResponse page, Call(request));
    for (v1::Flow& flow : *page.mutable_flows()) all.add_flows()->Swap(&flow);
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return all;
}

}  // namespace wallaby

#include "service/dead_letter_service.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "pipeline/dead_letters.h"
#include "service/flow_service.h"
#include "service/rpc_status.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

constexpr int kMostListed = 1000;

v1::DeadLetter LetterToProto(const StoredDeadLetter& stored) {
  const PushRequest& request = stored.letter.request;
  v1::DeadLetter proto;
  proto.set_id(stored.id);
  proto.set_destination(stored.letter.destination);
  proto.set_key(request.key);
  proto.set_namespace_(request.schema);
  proto.set_table(request.table);
  proto.set_operation(request.operation);
  proto.set_first_position(request.first.ToString());
  proto.set_last_position(request.last.ToString());
  proto.set_records(request.records);
  proto.set_payload_mode(request.payload_mode);
  proto.set_content_type(request.content_type);
  proto.set_payload_bytes(stored.bytes);
  proto.set_payload(request.payload);
  proto.set_reason(stored.letter.reason);
  proto.set_kept_unix_millis(absl::ToUnixMillis(stored.at));
  proto.set_transaction_id(request.transaction_id);
  proto.set_wire_format(static_cast<v1::WireFormat>(request.format));
  return proto;
}

template <typename Request>
DeadLetterChoice ChoiceOf(const Request& request) {
  return {.destination = request.destination(), .ids = {request.ids().begin(), request.ids().end()}};
}

// That the name is not mistyped: a destination of the flow, or one that has dead letters still.
absl::Status CheckDestination(ControlStore& store, const Flow& flow, const std::string& name) {
  const bool known = std::any_of(flow.destinations.begin(), flow.destinations.end(),
                                 [&](const Endpoint& destination) { return destination.name == name; });
  if (name.empty() || known) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<StoredDeadLetter> any, store.DeadLetters(flow.id, name, 0, 1));
  if (!any.empty()) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat(
      "destination: flow '", flow.id, "' has no destination '", name, "', and no dead letters of one; destinations: ",
      absl::StrJoin(flow.destinations, ", ", [](std::string* out, const Endpoint& e) { out->append(e.name); })));
}

}  // namespace

absl::Status DeadLetterServiceImpl::List(const v1::ListDeadLettersRequest& request,
                                         v1::ListDeadLettersResponse* response) {
  RETURN_IF_ERROR(RequireFlowId(request.flow_id()));
  const int size = request.page_size();
  if (size < 0 || size > kMostListed) {
    return absl::InvalidArgumentError(absl::StrCat("page_size: got ", size, "; allowed: 1 to ", kMostListed));
  }
  ASSIGN_OR_RETURN(const std::vector<StoredDeadLetter> letters,
                   store_->DeadLetters(request.flow_id(), request.destination(), request.after_id(),
                                       size == 0 ? kMostListed : size));
  for (const StoredDeadLetter& stored : letters) *response->add_letters() = LetterToProto(stored);
  ASSIGN_OR_RETURN(const int64_t total, store_->CountDeadLetters(request.flow_id()));
  response->set_total(total);
  return absl::OkStatus();
}

absl::Status DeadLetterServiceImpl::Get(const v1::GetDeadLetterRequest& request, v1::DeadLetter* response) {
  RETURN_IF_ERROR(RequireFlowId(request.flow_id()));
  ASSIGN_OR_RETURN(const StoredDeadLetter stored, store_->GetDeadLetter(request.flow_id(), request.id()));
  *response = LetterToProto(stored);
  return absl::OkStatus();
}

absl::Status DeadLetterServiceImpl::Replay(const grpc::ServerContext& context,
                                           const v1::ReplayDeadLettersRequest& request,
                                           v1::ReplayDeadLettersResponse* response) {
  RETURN_IF_ERROR(RequireFlowId(request.flow_id()));
  ASSIGN_OR_RETURN(const StoredFlow stored, store_->GetFlow(request.flow_id()));
  RETURN_IF_ERROR(CheckDestination(*store_, stored.flow, request.destination()));
  std::lock_guard lock(replays_);
  ASSIGN_OR_RETURN(const DeadLetterReplay replay, wallaby::ReplayDeadLetters(*store_, stored.flow, ChoiceOf(request),
                                                                             [&] { return context.IsCancelled(); }));
  response->set_accepted(replay.accepted);
  response->set_kept(replay.kept);
  response->set_error(std::string(replay.error.message()));
  Log(LogLevel::kInfo, "dead letters were sent again",
      {{"flow_id", request.flow_id()},
       {"accepted", absl::StrCat(replay.accepted)},
       {"kept", absl::StrCat(replay.kept)},
       {"error", response->error()}});
  return absl::OkStatus();
}

absl::Status DeadLetterServiceImpl::Drop(const v1::DropDeadLettersRequest& request,
                                         v1::DropDeadLettersResponse* response) {
  RETURN_IF_ERROR(RequireFlowId(request.flow_id()));
  ASSIGN_OR_RETURN(const StoredFlow stored, store_->GetFlow(request.flow_id()));
  RETURN_IF_ERROR(CheckDestination(*store_, stored.flow, request.destination()));
  RETURN_IF_ERROR(ForEachDeadLetter(*store_, request.flow_id(), ChoiceOf(request), [&](int64_t id) -> absl::Status {
    RETURN_IF_ERROR(store_->DeleteDeadLetter(request.flow_id(), id));
    response->set_dropped(response->dropped() + 1);
    return absl::OkStatus();
  }));
  Log(LogLevel::kWarn, "an operator dropped dead letters",
      {{"flow_id", request.flow_id()}, {"count", absl::StrCat(response->dropped())}});
  return absl::OkStatus();
}

grpc::Status DeadLetterServiceImpl::ListDeadLetters(grpc::ServerContext*, const v1::ListDeadLettersRequest* request,
                                                    v1::ListDeadLettersResponse* response) {
  return ToGrpc(List(*request, response));
}

grpc::Status DeadLetterServiceImpl::GetDeadLetter(grpc::ServerContext*, const v1::GetDeadLetterRequest* request,
                                                  v1::DeadLetter* response) {
  return ToGrpc(Get(*request, response));
}

grpc::Status DeadLetterServiceImpl::ReplayDeadLetters(grpc::ServerContext* context,
                                                      const v1::ReplayDeadLettersRequest* request,
                                                      v1::ReplayDeadLettersResponse* response) {
  return ToGrpc(Replay(*context, *request, response));
}

grpc::Status DeadLetterServiceImpl::DropDeadLetters(grpc::ServerContext*, const v1::DropDeadLettersRequest* request,
                                                    v1::DropDeadLettersResponse* response) {
  return ToGrpc(Drop(*request, response));
}

}  // namespace wallaby

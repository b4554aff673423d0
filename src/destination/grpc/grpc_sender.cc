#include "destination/grpc/grpc_sender.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "base/url_encode.h"
#include "destination/grpc/ingest_message.h"
#include "destination/push/pem_file.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"

namespace wallaby {
namespace {

constexpr char kMethod[] = "/wallaby.v1.IngestService/IngestBatch";
// A receiver that is back is found soon; the waits between tries are ours.
// How often who waits for an answer looks whether to go on.
constexpr absl::Duration kLookAround = absl::Milliseconds(200);
constexpr int kFirstReconnectMs = 100, kLastReconnectMs = 1000;

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(const GrpcOptions& options) {
  if (options.insecure) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions ssl;
  RETURN_IF_ERROR(ReadPemFile(options.push.tls_ca_file, "tls_ca_file", &ssl.pem_root_certs));
  RETURN_IF_ERROR(ReadPemFile(options.push.tls_cert_file, "tls_cert_file", &ssl.pem_cert_chain));
  RETURN_IF_ERROR(ReadPemFile(options.push.tls_key_file, "tls_key_file", &ssl.pem_private_key));
  return grpc::SslCredentials(ssl);
}

// A server's limit for messages shares its code with overload, and only the text tells: gRPC's own in C++, Python and
// Go say the one, Java's says the other.
bool SaysTooLarge(const std::string& message) {
  return absl::StrContains(message, "larger than max") || absl::StrContains(message, "exceeds maximum size");
}

Answer::Kind KindOf(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::OK:
    case grpc::StatusCode::ALREADY_EXISTS:  // it has a request of this key
      return Answer::Kind::kTaken;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return SaysTooLarge(status.error_message()) ? Answer::Kind::kRejected : Answer::Kind::kRetry;
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::OUT_OF_RANGE:
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::DATA_LOSS:
      return Answer::Kind::kRejected;
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::NOT_FOUND:
    case grpc::StatusCode::UNIMPLEMENTED:
      return Answer::Kind::kRefused;
    default:
      return Answer::Kind::kRetry;
  }
}

// The codes' names as gRPC's documentation has them.
std::string_view CodeName(grpc::StatusCode code) {
  static constexpr std::string_view kNames[] = {
      "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED"};
  const auto index = static_cast<size_t>(code);
  return index < std::size(kNames) ? kNames[index] : "an unknown code";
}

class GrpcSender final : public PushSender {
 public:
  GrpcSender(const GrpcOptions& options, const Event* cut_short) : options_(options), cut_short_(cut_short) {
    const auto credentials = MakeCredentials(options);
    files_ = credentials.status();
    if (!credentials.ok()) return;
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnectMs);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kFirstReconnectMs);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kLastReconnectMs);
    arguments.SetMaxSendMessageSize(-1);  // max_message_bytes is looked at here
    if (!options.tls_server_name.empty()) arguments.SetSslTargetNameOverride(options.tls_server_name);
    stub_ = std::make_unique<grpc::GenericStub>(grpc::CreateCustomChannel(options.endpoint, *credentials, arguments));
    for (const auto& [name, value] : options.push.headers) {
      always_.emplace_back(absl::AsciiStrToLower(name), value);
    }
    if (!options.token.empty()) always_.emplace_back("authorization", absl::StrCat("Bearer ", options.token));
  }

  ~GrpcSender() override {
    queue_.Shutdown();
    void* tag = nullptr;
    for (bool ok = false; queue_.Next(&tag, &ok);) {
    }
  }
  GrpcSender(const GrpcSender&) = delete;
  GrpcSender& operator=(const GrpcSender&) = delete;

  Answer Send(const PushRequest& request) override {
    if (stub_ == nullptr) return {.kind = Answer::Kind::kRefused, .text = std::string(files_.message())};
    const std::string message = EncodeIngestRequest(options_.flow_id, options_.destination, request);
    if (static_cast<int64_t>(message.size()) > options_.max_message_bytes) {
      return {.kind = Answer::Kind::kRejected,
              .text = absl::StrCat("the message has ", message.size(), " bytes, and max_message_bytes is ",
                                   options_.max_message_bytes)};
    }
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + options_.push.timeout));
    AddMetadata(request, &context);
    grpc::Slice slice(message);
    const grpc::ByteBuffer sent(&slice, 1);
    grpc::ByteBuffer received;
    grpc::Status status;
    const auto call = stub_->PrepareUnaryCall(&context, kMethod, sent, &queue_);
    call->StartCall();
    call->Finish(&received, &status, this);
    void* tag = nullptr;
    bool ok = false;
    while (queue_.AsyncNext(&tag, &ok, absl::ToChronoTime(absl::Now() + kLookAround)) ==
           grpc::CompletionQueue::TIMEOUT) {
      if (cut_short_ != nullptr && cut_short_->Wait(absl::ZeroDuration())) context.TryCancel();
    }
    return Interpret(status, received, context);
  }

 private:
  void AddMetadata(const PushRequest& request, grpc::ClientContext* context) const {
    for (const auto& [name, value] : always_) context->AddMetadata(name, value);
    context->AddMetadata("idempotency-key", request.key);
    context->AddMetadata("x-wallaby-transaction-id", absl::StrCat(request.transaction_id));
    context->AddMetadata("x-wallaby-payload-mode", request.payload_mode);
    context->AddMetadata("x-wallaby-content-type", request.content_type);
    context->AddMetadata("x-wallaby-schema", UrlEncode(request.schema));
    context->AddMetadata("x-wallaby-table", UrlEncode(request.table));
    context->AddMetadata("x-wallaby-operation", request.operation);
    context->AddMetadata("x-wallaby-lsn", request.last.commit.ToString());
    context->AddMetadata("x-wallaby-seq", absl::StrCat(request.last.seq));
    context->AddMetadata("x-wallaby-records", absl::StrCat(request.records));
  }

  Answer Interpret(const grpc::Status& status, const grpc::ByteBuffer& received,
                   const grpc::ClientContext& context) const {
    const std::string who = absl::StrCat(options_.endpoint, " answered ");
    if (status.ok()) {
      grpc::Slice bytes;
      if (!received.DumpToSingleSlice(&bytes).ok()) bytes = grpc::Slice();
      const auto response = DecodeIngestResponse({reinterpret_cast<const char*>(bytes.begin()), bytes.size()});
      if (!response) return {.kind = Answer::Kind::kRefused, .text = who + "with what is no IngestBatchResponse"};
      if (response->accepted) return {};
      return {.kind = Answer::Kind::kRejected,
              .text = absl::StrCat(who, "accepted=false: ", Excerpt(response->message))};
    }
    Answer answer{.kind = KindOf(status),
                  .text = absl::StrCat(who, CodeName(status.error_code()), ": ", Excerpt(status.error_message()))};
    if (answer.kind == Answer::Kind::kRetry) answer.after = Pushback(context);
    if (answer.kind == Answer::Kind::kRefused) {
      absl::StrAppend(&answer.text, "; check endpoint, token and certificates, then start the flow again");
    }
    return answer;
  }

  // gRPC proposal A6, "Server Pushback".
  static absl::Duration Pushback(const grpc::ClientContext& context) {
    const auto& metadata = context.GetServerTrailingMetadata();
    const auto found = metadata.find("grpc-retry-pushback-ms");
    int64_t millis = 0;
    if (found == metadata.end() ||
        !absl::SimpleAtoi(std::string_view(found->second.data(), found->second.size()), &millis)) {
      return absl::ZeroDuration();
    }
    return absl::Milliseconds(std::max<int64_t>(millis, 0));
  }

  const GrpcOptions options_;
  const Event* const cut_short_;
  absl::Status files_;
  std::unique_ptr<grpc::GenericStub> stub_;
  std::vector<std::pair<std::string, std::string>> always_;  // metadata of every call
  grpc::CompletionQueue queue_;
};

}  // namespace

std::unique_ptr<PushSender> MakeGrpcSender(const GrpcOptions& options, const Event* cut_short) {
  return std::make_unique<GrpcSender>(options, cut_short);
}

}  // namespace wallaby

#include "service/call_guard.h"

#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "access/audit.h"
#include "access/method_roles.h"
#include "google/protobuf/descriptor.h"
#include "grpc/grpc.h"
#include "grpc/grpc_security_constants.h"
#include "service/rpc_status.h"

namespace wallaby {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::string Text(const grpc::string_ref& text) {
  return {text.data(), text.size()};
}

Credentials CredentialsOf(const grpc::ServerContextBase& context,
                          const std::multimap<grpc::string_ref, grpc::string_ref>& metadata) {
  Credentials credentials;
  if (const auto header = metadata.find("authorization"); header != metadata.end()) {
    credentials.authorization = Text(header->second);
  }
  const std::shared_ptr<const grpc::AuthContext> peer = context.auth_context();
  // gRPC has such an identity only of a certificate that it has verified.
  if (peer != nullptr && peer->IsPeerAuthenticated()) {
    credentials.has_certificate = true;
    const std::vector<grpc::string_ref> names = peer->FindPropertyValues(GRPC_X509_CN_PROPERTY_NAME);
    if (!names.empty()) credentials.common_name = Text(names.front());
  }
  return credentials;
}

// Of a field that is a text; "" when there is none.
std::string TextField(const Message& message, const char* name) {
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
  if (field == nullptr || field->cpp_type() != FieldDescriptor::CPPTYPE_STRING || field->is_repeated()) return "";
  return message.GetReflection()->GetString(message, field);
}

// The flow that a request or an answer is about.
std::string FlowIdOf(const Message& message) {
  if (std::string id = TextField(message, "flow_id"); !id.empty()) return id;
  if (message.GetDescriptor()->full_name() == "wallaby.v1.Flow") return TextField(message, "id");
  for (const char* part : {"flow", "event"}) {
    const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(part);
    if (field == nullptr || field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field->is_repeated()) continue;
    return FlowIdOf(message.GetReflection()->GetMessage(message, field));
  }
  return "";
}

std::string StatusText(const absl::Status& status) {
  return absl::AsciiStrToLower(absl::StatusCodeToString(status.code()));
}

// "CreateFlow"
std::string_view ShortName(std::string_view method) {
  return method.substr(method.rfind('/') + 1);
}

bool IsDenied(const absl::Status& status) {
  return absl::IsUnauthenticated(status) || absl::IsPermissionDenied(status);
}

}  // namespace

struct CallGuard::Caller {
  Principal principal{"anonymous", Role::kNone};
};

absl::Status CallGuard::Admit(const Credentials& credentials, Role needed, const std::string& method,
                              Caller* caller) const {
  absl::StatusOr<Principal> principal = access_->Identify(credentials);
  if (!principal.ok()) return principal.status();
  caller->principal = *std::move(principal);
  return access_->Permit(caller->principal, needed, ShortName(method));
}

grpc::Status CallGuard::Run(const std::string& method, const grpc::ServerContext& context, const Message& request,
                            const Message& response, absl::FunctionRef<grpc::Status()> answer) {
  const absl::Time begin = absl::Now();
  // A method that was forgotten in the table is for admins.
  const MethodRole needed = RoleOfRpc(method).value_or(MethodRole());
  Caller caller;
  absl::Status admitted = Admit(CredentialsOf(context, context.client_metadata()), needed.role, method, &caller);
  grpc::Status status;
  if (!admitted.ok()) {
    status = ToGrpc(admitted);
  } else {
    const int64_t running = running_.fetch_add(1) + 1;
    const absl::Cleanup done = [this] { running_.fetch_sub(1); };
    status = running > settings_.max_calls ? ToGrpc(absl::ResourceExhaustedError(absl::StrCat(
                                                 "the server is answering ", settings_.max_calls,
                                                 " calls, as many as WALLABY_MAX_CALLS allows; try again in a moment")))
                                           : answer();
  }
  AuditRecord record;
  record.who = caller.principal.name;
  record.role = std::string(RoleName(caller.principal.role));
  record.peer = context.peer();
  record.method = method;
  record.flow_id = FlowIdOf(request);
  if (record.flow_id.empty()) record.flow_id = FlowIdOf(response);
  record.status = StatusText(FromGrpc(status));
  record.took = absl::Now() - begin;
  record.changes = needed.changes;
  record.denied = !admitted.ok() && IsDenied(admitted);
  Audit(record, settings_.audit_all);
  return status;
}

// ---- services that are not ours ----

class CallGuard::ForeignCall final : public grpc::experimental::Interceptor {
 public:
  ForeignCall(const CallGuard* guard, grpc::experimental::ServerRpcInfo* info, Role needed)
      : guard_(guard), info_(info), needed_(needed) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    using grpc::experimental::InterceptionHookPoints;
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) Decide(methods);
    methods->Proceed();
  }

 private:
  void Decide(grpc::experimental::InterceptorBatchMethods* methods) {
    auto* context = static_cast<grpc::ServerContextBase*>(info_->server_context());
    AuditRecord record;
    record.method = info_->method();
    Caller caller;
    const absl::Status admitted =
        guard_->Admit(CredentialsOf(*context, *methods->GetRecvInitialMetadata()), needed_, record.method, &caller);
    // The call ends here with this status; what its service would still write has nowhere to go.
    if (!admitted.ok()) {
      grpc_call_cancel_with_status(context->c_call(), static_cast<grpc_status_code>(admitted.raw_code()),
                                   std::string(admitted.message()).c_str(), nullptr);
    }
    record.who = caller.principal.name;
    record.role = std::string(RoleName(caller.principal.role));
    record.peer = context->peer();
    record.status = StatusText(admitted);
    record.changes = false;
    record.denied = IsDenied(admitted);
    Audit(record, guard_->settings_.audit_all);
  }

  const CallGuard* const guard_;
  grpc::experimental::ServerRpcInfo* const info_;
  const Role needed_;
};

class CallGuard::Foreign final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit Foreign(const CallGuard* guard) : guard_(guard) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) override {
    const std::string method = info->method();
    const std::optional<MethodRole> needed = RoleOfRpc(method);
    if (method.starts_with("/wallaby.v1.") || !needed || needed->role == Role::kNone) return nullptr;
    // gRPC owns it.
    return std::make_unique<ForeignCall>(guard_, info, needed->role).release();
  }

 private:
  const CallGuard* const guard_;
};

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> CallGuard::ForeignServices() {
  return std::make_unique<Foreign>(this);
}

}  // namespace wallaby

#include "service/admin_http.h"

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "access/audit.h"
#include "access/method_roles.h"
#include "access/tls_files.h"
#include "base/freer.h"
#include "base/status.h"
#include "httplib.h"
#include "nlohmann/json.hpp"
#include "service/http_connection.h"

namespace wallaby {
namespace {

constexpr size_t kThreads = 8;
constexpr size_t kMaxHeaders = 32 << 10;
// A connection that only waits keeps one of the threads.
constexpr absl::Duration kIdle = absl::Seconds(1);
constexpr int kMaxRequestsOfConnection = 100;

// The library's own would share the port with a second server in silence. IPv6 addresses also take IPv4.
void SocketOptions(socket_t socket) {
  const int yes = 1, no = 0;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
}

// The library's server over our own connections, which have limits that its own lack, and TLS.
class LimitedServer final : public httplib::Server {
 public:
  LimitedServer(const HttpLimits& limits, SSL_CTX* tls) : limits_(limits), tls_(tls) {}

 private:
  bool process_and_close_socket(socket_t socket) override {
    HttpConnection connection(socket, limits_);
    if (tls_ != nullptr && !connection.StartTls(tls_)) return false;
    const auto show_certificate = [&](httplib::Request& request) { request.ssl = connection.ssl(); };
    bool closed = false;
    for (int left = kMaxRequestsOfConnection; left > 0 && !closed && svr_sock_ != INVALID_SOCKET; --left) {
      if (!connection.AwaitRequest()) break;
      if (!process_request(connection, /*close_connection=*/left == 1, closed, show_certificate)) return false;
    }
    return true;
  }

  const HttpLimits limits_;
  SSL_CTX* const tls_;  // null: plain
};

using TlsContext = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;

Credentials CredentialsOf(const httplib::Request& request) {
  Credentials credentials;
  credentials.authorization = request.get_header_value("Authorization");
  X509* certificate = request.ssl == nullptr ? nullptr : SSL_get0_peer_certificate(request.ssl);
  if (certificate == nullptr || SSL_get_verify_result(request.ssl) != X509_V_OK) return credentials;
  credentials.has_certificate = true;
  char name[256] = {};
  if (X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof(name)) > 0) {
    credentials.common_name = name;
  }
  return credentials;
}

class HttplibServer final : public AdminHttp {
 public:
  HttplibServer(Access* access, const AccessSettings& settings, bool metrics_open, std::unique_ptr<TlsFiles> tls_files,
                TlsContext tls, std::vector<HttpRoute> routes, HttpFallback fallback)
      : access_(access),
        audit_all_(settings.audit_all),
        metrics_open_(metrics_open),
        tls_files_(std::move(tls_files)),
        tls_(std::move(tls)),
        routes_(std::move(routes)),
        fallback_(std::move(fallback)),
        server_({settings.http_timeout, kMaxHeaders + static_cast<size_t>(settings.http_max_body), kIdle}, tls_.get()) {
    std::string known;
    for (const HttpRoute& route : routes_) {
      const auto handler = [this, &route](const httplib::Request& request, httplib::Response& response) {
        Answer(route, request, request.body, response);
      };
      if (route.method == HttpRoute::Method::kGet) {
        server_.Get(route.path, handler);
      } else {
        server_.Post(route.path, handler);
      }
      absl::StrAppend(&known, known.empty() ? "" : ", ", route.method == HttpRoute::Method::kGet ? "GET " : "POST ",
                      route.path);
    }
    if (fallback_) AddFallback();
    // A POST that announces no body has none (RFC 9112, 6.3): `curl -X POST` sends such. The library would wait for
    // one.
    server_.set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      using enum httplib::Server::HandlerResponse;
      if (!Admit(request, response)) return Handled;
      if (request.method != "POST" || request.has_header("Content-Length") || request.has_header("Transfer-Encoding")) {
        return Unhandled;
      }
      for (const HttpRoute& route : routes_) {
        if (route.method != HttpRoute::Method::kPost || route.path != request.path) continue;
        Answer(route, request, "", response);
        return Handled;
      }
      return fallback_ && AnswerFallback(request, response) ? Handled : Unhandled;
    });
    server_.set_error_handler([known](const httplib::Request&, httplib::Response& response) {
      if (response.status != 404 || !response.body.empty()) return;
      const HttpAnswer answer = HttpError(404, absl::StrCat("there is nothing here; there are: ", known));
      response.set_content(answer.body, answer.type);
    });
    server_.new_task_queue = [] { return std::make_unique<httplib::ThreadPool>(kThreads).release(); };
    server_.set_socket_options(SocketOptions);
    server_.set_payload_max_length(static_cast<size_t>(settings.http_max_body));
  }

  ~HttplibServer() override {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }

  absl::Status Listen(const std::string& setting, const std::string& address) {
    const size_t colon = address.rfind(':');
    int wanted = -1;
    if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &wanted)) {
      return absl::InvalidArgumentError(absl::StrCat(setting, ": '", address, "' is not host:port"));
    }
    std::string host = address.substr(0, colon);
    if (host.starts_with("[") && host.ends_with("]")) host = host.substr(1, host.size() - 2);
    // A machine without IPv6 has no address [::].
    if (!Bind(host, wanted) && !(host == "::" && Bind("0.0.0.0", wanted))) {
      return absl::UnavailableError(absl::StrCat(
          "cannot listen on ", address, ": the port is in use or the address is not this machine's; set ", setting));
    }
    thread_ = std::thread([this] {
      server_.listen_after_bind();
      ended_ = true;
    });
    // A stop before it runs would go unnoticed.
    while (!server_.is_running() && !ended_) absl::SleepFor(absl::Milliseconds(1));
    return absl::OkStatus();
  }

  int port() const override { return port_; }

 private:
  MethodRole Needed(const httplib::Request& request) const {
    // The library answers a HEAD by the route of GET.
    MethodRole needed = RoleOfHttp(request.method == "HEAD" ? "GET" : request.method, request.path);
    if (metrics_open_ && request.path == "/metrics") needed.role = Role::kNone;
    return needed;
  }

  void Write(const httplib::Request& request, const absl::StatusOr<Principal>& principal, const std::string& status,
             bool denied, absl::Duration took) const {
    AuditRecord record;
    record.who = principal.ok() ? principal->name : "anonymous";
    record.role = std::string(RoleName(principal.ok() ? principal->role : Role::kNone));
    record.peer = absl::StrCat(request.remote_addr, ":", request.remote_port);
    record.method = absl::StrCat(request.method, " ", request.path);
    record.status = status;
    record.took = took;
    record.changes = Needed(request).changes;
    record.denied = denied;
    Audit(record, audit_all_);
  }

  // Before the body is read. False: `response` is the refusal.
  bool Admit(const httplib::Request& request, httplib::Response& response) const {
    const MethodRole needed = Needed(request);
    if (needed.role == Role::kNone) return true;
    const absl::StatusOr<Principal> principal = access_->Identify(CredentialsOf(request));
    const absl::Status admitted =
        principal.ok() ? access_->Permit(*principal, needed.role, absl::StrCat(request.method, " ", request.path))
                       : principal.status();
    if (admitted.ok()) return true;
    const HttpAnswer answer = HttpError(absl::IsUnauthenticated(admitted) ? 401 : 403, std::string(admitted.message()));
    if (answer.status == 401) response.set_header("WWW-Authenticate", "Bearer");
    // What is left of the request is not read.
    response.set_header("Connection", "close");
    response.status = answer.status;
    response.set_content(answer.body, answer.type);
    Write(request, principal, absl::StrCat(answer.status), /*denied=*/true, absl::ZeroDuration());
    return false;
  }

  // Of a request that was admitted.
  void WriteAnswered(const httplib::Request& request, int status, absl::Time begin) const {
    Write(request, access_->Identify(CredentialsOf(request)), absl::StrCat(status), /*denied=*/false,
          absl::Now() - begin);
  }

  // After the routes, which win.
  void AddFallback() {
    const auto handler = [this](const httplib::Request& request, httplib::Response& response) {
      if (!AnswerFallback(request, response)) response.status = 404;
    };
    server_.Get(".*", handler);
    server_.Post(".*", handler);
    server_.Put(".*", handler);
    server_.Patch(".*", handler);
    server_.Delete(".*", handler);
  }

  bool AnswerFallback(const httplib::Request& request, httplib::Response& response) const {
    const absl::Time begin = absl::Now();
    const std::optional<HttpAnswer> answer = fallback_({request.method, request.path, request.body});
    if (!answer) return false;
    WriteAnswered(request, answer->status, begin);
    response.status = answer->status;
    if (!answer->body.empty()) response.set_content(answer->body, answer->type);
    return true;
  }

  void Answer(const HttpRoute& route, const httplib::Request& request, const std::string& body,
              httplib::Response& response) const {
    const absl::Time begin = absl::Now();
    const HttpAnswer answer = route.answer(body);
    WriteAnswered(request, answer.status, begin);
    response.status = answer.status;
    response.set_content(answer.body, answer.type);
  }

  bool Bind(const std::string& host, int wanted) {
    if (wanted != 0) {
      port_ = server_.bind_to_port(host, wanted) ? wanted : -1;
    } else {
      port_ = server_.bind_to_any_port(host);
    }
    return port_ > 0;
  }

  Access* const access_;
  const bool audit_all_;
  const bool metrics_open_;
  const std::unique_ptr<TlsFiles> tls_files_;
  const TlsContext tls_;
  const std::vector<HttpRoute> routes_;
  const HttpFallback fallback_;
  LimitedServer server_;
  int port_ = 0;
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

}  // namespace

HttpAnswer HttpError(int status, const std::string& message) {
  using nlohmann::json;
  return {status, "application/json",
          json{{"error", message}}.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"};
}

absl::StatusOr<std::unique_ptr<AdminHttp>> AdminHttp::Start(const HttpListener& listener, Access* access,
                                                            const AccessSettings& settings,
                                                            std::vector<HttpRoute> routes, HttpFallback fallback) {
  RETURN_IF_ERROR(CheckListener(settings, listener.setting, listener.address, listener.kind));
  std::unique_ptr<TlsFiles> tls_files;
  TlsContext tls;
  if (SpeaksTls(settings, listener.kind)) {
    ASSIGN_OR_RETURN(tls_files, TlsFiles::Load(settings));
    tls.reset(SSL_CTX_new(TLS_server_method()));
    if (tls == nullptr || !tls_files->Configure(tls.get())) {
      return absl::InternalError(absl::StrCat(listener.setting, ": OpenSSL gives no TLS context"));
    }
  }
  const bool metrics_open = settings.metrics_open || IsLoopback(listener.address);
  auto server = std::make_unique<HttplibServer>(access, settings, metrics_open, std::move(tls_files), std::move(tls),
                                                std::move(routes), std::move(fallback));
  RETURN_IF_ERROR(server->Listen(listener.setting, listener.address));
  return std::unique_ptr<AdminHttp>(std::move(server));
}

}  // namespace wallaby

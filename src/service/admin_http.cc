#include "service/admin_http.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "httplib.h"
#include "nlohmann/json.hpp"

namespace wallaby {
namespace {

constexpr size_t kThreads = 4;
constexpr size_t kMaxBody = 64 << 10;
constexpr time_t kReadSeconds = 5;
// A connection that only waits keeps one of the threads.
constexpr time_t kKeepAliveSeconds = 1;

// The library's own would share the port with a second server in silence. IPv6 addresses also take IPv4.
void SocketOptions(socket_t socket) {
  const int yes = 1, no = 0;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
}

class HttplibServer final : public AdminHttp {
 public:
  HttplibServer(std::vector<HttpRoute> routes, HttpFallback fallback)
      : routes_(std::move(routes)), fallback_(std::move(fallback)) {
    std::string known;
    for (const HttpRoute& route : routes_) {
      const auto handler = [&route](const httplib::Request& request, httplib::Response& response) {
        Answer(route, request.body, response);
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
      if (request.method != "POST" || request.has_header("Content-Length") || request.has_header("Transfer-Encoding")) {
        return Unhandled;
      }
      for (const HttpRoute& route : routes_) {
        if (route.method != HttpRoute::Method::kPost || route.path != request.path) continue;
        Answer(route, "", response);
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
    server_.set_payload_max_length(kMaxBody);
    server_.set_read_timeout(kReadSeconds, 0);
    server_.set_write_timeout(kReadSeconds, 0);
    server_.set_keep_alive_timeout(kKeepAliveSeconds);
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
    const std::optional<HttpAnswer> answer = fallback_({request.method, request.path, request.body});
    if (!answer) return false;
    response.status = answer->status;
    if (!answer->body.empty()) response.set_content(answer->body, answer->type);
    return true;
  }

  static void Answer(const HttpRoute& route, const std::string& body, httplib::Response& response) {
    const HttpAnswer answer = route.answer(body);
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

  const std::vector<HttpRoute> routes_;
  const HttpFallback fallback_;
  httplib::Server server_;
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

absl::StatusOr<std::unique_ptr<AdminHttp>> AdminHttp::Start(const std::string& setting, const std::string& address,
                                                            std::vector<HttpRoute> routes, HttpFallback fallback) {
  auto server = std::make_unique<HttplibServer>(std::move(routes), std::move(fallback));
  const absl::Status listening = server->Listen(setting, address);
  if (!listening.ok()) return listening;
  return std::unique_ptr<AdminHttp>(std::move(server));
}

}  // namespace wallaby

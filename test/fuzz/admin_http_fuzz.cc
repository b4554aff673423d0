// The admin listener: raw bytes over a connection. Whatever comes, it answers or closes, and goes on serving.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <string>

#include "fuzz.h"
#include "service/admin_http.h"

namespace wallaby {
namespace {

AdminHttp& Server() {
  // Everybody may do everything: what is behind the guard is to be reached.
  static const std::unique_ptr<Access> access = Access::Make(AccessSettings()).value();
  static const std::unique_ptr<AdminHttp> server = [] {
    std::vector<HttpRoute> routes = {{HttpRoute::Method::kGet, "/healthz",
                                      [](const std::string&) {
                                        return HttpAnswer{200, "text/plain", "ok\n"};
                                      }},
                                     {HttpRoute::Method::kPost, "/echo", [](const std::string& body) {
                                        return HttpAnswer{200, "text/plain", std::to_string(body.size())};
                                      }}};
    auto fallback = [](const ServedRequest& request) -> std::optional<HttpAnswer> {
      if (!request.path.starts_with("/workflows")) return std::nullopt;
      return HttpError(400, request.method + " " + request.path);
    };
    auto started = AdminHttp::Start({"WALLABY_ADMIN_LISTEN", "127.0.0.1:0"}, access.get(), AccessSettings(),
                                    std::move(routes), fallback);
    REQUIRE(started.ok(), started.status().ToString());
    return *std::move(started);
  }();
  return *server;
}

std::string Exchange(std::string_view request) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{20, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  // Closed by a reset: else the ports are used up by connections that wait for their end.
  const linger at_once{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(Server().port()));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0, "the listener takes no connection");
  while (!request.empty()) {
    const ssize_t sent = send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    if (sent <= 0) break;
    request.remove_prefix(static_cast<size_t>(sent));
  }
  shutdown(fd, SHUT_WR);
  std::string answer;
  char buffer[4096];
  ssize_t got;
  while ((got = recv(fd, buffer, sizeof(buffer), 0)) > 0) answer.append(buffer, static_cast<size_t>(got));
  REQUIRE(got == 0 || errno != EAGAIN, "no answer and no end for 20 seconds");
  close(fd);
  return answer;
}

}  // namespace
}  // namespace wallaby

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  const std::string answer = Exchange({reinterpret_cast<const char*>(data), size});
  REQUIRE(answer.empty() || answer.starts_with("HTTP/1."), answer);
  return 0;
}

// AdminHttp: small HTTP listeners beside gRPC: the Prometheus page, health, and what an operator posts. Who may ask for
// what is decided as for gRPC (access/): a bearer token, or a client's certificate. Health is open to everybody, and
// metrics on loopback or with WALLABY_METRICS_OPEN.
#ifndef WALLABY_SERVICE_ADMIN_HTTP_H_
#define WALLABY_SERVICE_ADMIN_HTTP_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "access/access.h"
#include "access/listener.h"
#include "flow/access_settings.h"

namespace wallaby {

struct HttpAnswer {
  int status = 200;
  std::string type;  // of the content
  std::string body;
};

struct HttpRoute {
  enum class Method { kGet, kPost };
  Method method = Method::kGet;
  std::string path;
  // Called from several threads at once. The body is "" for a GET.
  std::function<HttpAnswer(const std::string& body)> answer;
};

struct ServedRequest {
  std::string method;  // "GET"
  std::string path;    // without a query, decoded
  std::string body;
};
// Answers what no route does, or gives nullopt for a path that it does not know either. From several threads at once.
using HttpFallback = std::function<std::optional<HttpAnswer>(const ServedRequest&)>;

struct HttpListener {
  std::string setting;  // which named the address, for errors
  std::string address;  // as ListenAddress() gives it; port 0 takes a free one
  ListenerKind kind = ListenerKind::kControl;
};

class AdminHttp {
 public:
  // Listens from the return on, with a few threads of its own, until the object goes; with TLS where the settings have
  // it. Other paths get 404 with the list of those that there are. `access` outlives the object. Errors name the
  // setting: UNAVAILABLE when the address cannot be had, others of CheckListener and TlsFiles.
  static absl::StatusOr<std::unique_ptr<AdminHttp>> Start(const HttpListener& listener, Access* access,
                                                          const AccessSettings& settings, std::vector<HttpRoute> routes,
                                                          HttpFallback fallback = nullptr);
  virtual ~AdminHttp() = default;
  virtual int port() const = 0;
};

// {"error": "..."}
HttpAnswer HttpError(int status, const std::string& message);

}  // namespace wallaby

#endif  // WALLABY_SERVICE_ADMIN_HTTP_H_

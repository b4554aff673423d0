// AdminHttp: small HTTP listeners beside gRPC: the Prometheus page, health, and what an operator posts.
#ifndef WALLABY_SERVICE_ADMIN_HTTP_H_
#define WALLABY_SERVICE_ADMIN_HTTP_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

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

struct HttpRequest {
  std::string method;  // "GET"
  std::string path;    // without a query, decoded
  std::string body;
};
// Answers what no route does, or gives nullopt for a path that it does not know either. From several threads at once.
using HttpFallback = std::function<std::optional<HttpAnswer>(const HttpRequest&)>;

class AdminHttp {
 public:
  // Listens from the return on, with a few threads of its own, until the object goes. `address` is as ListenAddress()
  // (service/server.h) gives it; port 0 takes a free one. Other paths get 404 with the list of those that there are.
  // UNAVAILABLE, naming `setting`, when the address cannot be had.
  static absl::StatusOr<std::unique_ptr<AdminHttp>> Start(const std::string& setting, const std::string& address,
                                                          std::vector<HttpRoute> routes,
                                                          HttpFallback fallback = nullptr);
  virtual ~AdminHttp() = default;
  virtual int port() const = 0;
};

// {"error": "..."}
HttpAnswer HttpError(int status, const std::string& message);

}  // namespace wallaby

#endif  // WALLABY_SERVICE_ADMIN_HTTP_H_

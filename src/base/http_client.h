// HttpClient: HTTP requests over libcurl, plain and streamed, each of which can be called off.
#ifndef WALLABY_BASE_HTTP_CLIENT_H_
#define WALLABY_BASE_HTTP_CLIENT_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/event.h"

namespace wallaby {

// Whom to trust and who one is; PEM texts. Without `ca` the system's authorities are trusted.
struct TlsIdentity {
  std::string ca;
  std::string cert;
  std::string key;
  bool insecure = false;
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::string> headers;  // "Name: value"
  std::string body;
  std::string proxy;  // empty: as the environment says
  absl::Duration timeout = absl::Seconds(10);
  // Takes the body of a 2xx answer piece by piece as it arrives, instead of HttpResponse::body. False ends the request.
  std::function<bool(std::string_view)> on_data;
  // Of an answer that is larger, the rest is read and thrown away; by default it is an error.
  std::optional<size_t> keep_body;
};

struct HttpResponse {
  long status = 0;
  std::string body;
  std::string retry_after;                     // that header, as sent
  std::string redirect;                        // of a 3xx: where it points to
  std::map<std::string, std::string> headers;  // all; names in lower case, the last value of each
};

// Of HttpResponse::retry_after, by RFC 9110, section 10.2.3: seconds or a date. Zero for what is neither, or past.
absl::Duration ParseRetryAfter(std::string_view value, absl::Time now);

// For one thread at a time. Keeps its connections for the next request.
class HttpClient {
 public:
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Any answer of the server is OK, whatever its status. UNAVAILABLE: no connection, or cut; DEADLINE_EXCEEDED;
  // CANCELLED once `cancel` is set; FAILED_PRECONDITION: the server's certificate is not trusted, or the own one is not
  // usable.
  absl::StatusOr<HttpResponse> Send(const HttpRequest& request, const TlsIdentity& tls, const Event& cancel);

 private:
  struct Handles;
  std::unique_ptr<Handles> handles_;
};

}  // namespace wallaby

#endif  // WALLABY_BASE_HTTP_CLIENT_H_

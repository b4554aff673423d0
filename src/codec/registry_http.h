// RegistryHttp: what the registries that are reached over HTTP share: credentials, JSON, and what an answer means.
#ifndef WALLABY_CODEC_REGISTRY_HTTP_H_
#define WALLABY_CODEC_REGISTRY_HTTP_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/event.h"
#include "base/http_client.h"
#include "codec/schema_registry.h"

namespace wallaby {

// The positive number at a place like "version/contentId" of a JSON answer; INTERNAL when there is none.
absl::StatusOr<int64_t> NumberInAnswer(const std::string& body, std::string_view pointer);

// As a JSON string; "" for what is not UTF-8, which no schema is.
std::string JsonQuoted(std::string_view text);

class RegistryHttp {
 public:
  // `base`: what stands before every path.
  RegistryHttp(const RegistryOptions& options, std::string base, std::string content_type);

  // The body of a 2xx answer. Else a status: 404 NOT_FOUND, 409 FAILED_PRECONDITION, 401 UNAUTHENTICATED, 403
  // PERMISSION_DENIED, 400 and 422 INVALID_ARGUMENT, 429 and 5xx UNAVAILABLE, all with the registry's own words.
  absl::StatusOr<std::string> Post(const std::string& path, const std::string& body);

 private:
  absl::Status Explain(const HttpResponse& response) const;

  const std::string base_;
  std::vector<std::string> headers_;
  const Event never_;  // nobody calls a request off: each has its limit
  absl::Mutex mutex_;
  HttpClient client_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace wallaby

#endif  // WALLABY_CODEC_REGISTRY_HTTP_H_

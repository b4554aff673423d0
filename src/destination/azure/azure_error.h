// What an answer of Azure Blob Storage that is no success means, in words.
#ifndef WALLABY_DESTINATION_AZURE_AZURE_ERROR_H_
#define WALLABY_DESTINATION_AZURE_AZURE_ERROR_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/http_client.h"

namespace wallaby {

struct AzurePlace {
  std::string container;
  std::string endpoint;  // URL
};

// Azure's own name of the error, such as "ServerBusy"; "" where the answer has none.
std::string AzureErrorCode(const HttpResponse& response);

// `doing`: "putting a/b.parquet".
//   UNAVAILABLE         worth another try: 429, 5xx, a container that is being deleted
//   NOT_FOUND           no blob of that name
//   FAILED_PRECONDITION the container is missing, and others that only a person mends
//   PERMISSION_DENIED   this key or token may not do that
//   UNAUTHENTICATED     it is not taken, or has expired
absl::Status ExplainAzureError(const HttpResponse& response, const AzurePlace& place, std::string_view doing);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_AZURE_AZURE_ERROR_H_

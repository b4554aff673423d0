// Shared Key authorization of requests to Azure Storage.
//
// Source: Azure Storage REST API reference, "Authorize with Shared Key" (Blob service, version 2015-02-21 and later).
#ifndef WALLABY_DESTINATION_AZURE_SHARED_KEY_H_
#define WALLABY_DESTINATION_AZURE_SHARED_KEY_H_

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

namespace wallaby {

struct AzureRequest {
  std::string method;
  std::string path;                            // of the URL, encoded
  std::map<std::string, std::string> query;    // not encoded; names in lower case
  std::map<std::string, std::string> headers;  // all that are sent; names in lower case
  size_t body_size = 0;
};

// The value of the header Authorization. `key`: the account's, as bytes.
std::string SharedKeyAuthorization(const AzureRequest& request, std::string_view account, std::string_view key);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_AZURE_SHARED_KEY_H_

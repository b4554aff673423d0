// AzureClient: an ObjectStore in a container of Azure Blob Storage, by its REST API. Objects are block blobs.
//
// Requests carry a signature by the account's key, or a shared access signature. An upload is the blocks of its blob
// that are not committed yet: nobody sees them, Azure forgets them a week after the last one came, and there is no
// request that takes them away.
//
// Source: Azure Storage REST API reference, "Blob service REST API"; for conditions "Specifying conditional headers for
// Blob service operations".
#ifndef WALLABY_DESTINATION_AZURE_AZURE_CLIENT_H_
#define WALLABY_DESTINATION_AZURE_AZURE_CLIENT_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "destination/azure/azure_error.h"
#include "destination/azure/azure_options.h"
#include "destination/objects/object_store.h"

namespace wallaby {

class AzureClient : public ObjectStore {
 public:
  // Complete options: AddAzureEnvironment() was there.
  explicit AzureClient(AzureOptions options);

  absl::StatusOr<Object> Get(const std::string& key) override;
  absl::Status Put(const std::string& key, std::string content, std::string_view type) override;
  absl::StatusOr<std::optional<std::string>> PutIf(const std::string& key, std::string content, std::string_view type,
                                                   const std::string& etag) override;
  absl::Status Delete(const std::string& key) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& prefix) override;
  // The type is not told: the blob's is application/octet-stream.
  absl::StatusOr<Upload> BeginUpload(const std::string& key, std::string_view type) override;
  absl::Status PutPart(Upload* upload, std::string content) override;
  absl::Status CompleteUpload(Upload upload, std::string last) override;
  std::string endpoint() const override { return place_.endpoint; }
  std::string_view page() const override { return "docs/destinations/azure.md"; }

 private:
  struct Call {
    std::string doing;  // for errors
    std::string method;
    std::string key;  // empty: of the container
    std::map<std::string, std::string> query;
    std::map<std::string, std::string> headers;  // names in lower case
    std::string body;
  };

  // A 2xx answer, or one that says that a condition did not hold.
  Answer Send(Call call);
  void Authorize(const Call& call, HttpRequest* request) const;

  const AzurePlace place_;
  const std::string root_;  // of paths: "/container", or "/account/container" where the endpoint has the account in it
  const std::string account_;
  const std::string key_;  // bytes; empty: the token counts
  const std::string sas_;
};

// "az://container/prefix" for people and for readers' queries.
std::string AzureUrl(std::string_view container, std::string_view key);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_AZURE_AZURE_CLIENT_H_

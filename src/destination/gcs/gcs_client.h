// GcsClient: an ObjectStore in a bucket of Google Cloud Storage, by its JSON API.
//
// An ETag is an object's generation in digits. Requests carry an OAuth 2 token; where the endpoint is a plain http://
// one and no credentials were given, as an emulator's is, they carry none. An upload is a resumable session: its URL is
// a secret in itself, and Google forgets it a week after it was begun.
//
// Source: Cloud Storage JSON API reference; "Resumable uploads"; for conditions "Request preconditions".
#ifndef WALLABY_DESTINATION_GCS_GCS_CLIENT_H_
#define WALLABY_DESTINATION_GCS_GCS_CLIENT_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "destination/gcs/gcs_error.h"
#include "destination/gcs/gcs_options.h"
#include "destination/gcs/gcs_token.h"
#include "destination/objects/object_store.h"

namespace wallaby {

class GcsClient : public ObjectStore {
 public:
  explicit GcsClient(GcsOptions options);

  absl::StatusOr<Object> Get(const std::string& key) override;
  absl::Status Put(const std::string& key, std::string content, std::string_view type) override;
  absl::StatusOr<std::optional<std::string>> PutIf(const std::string& key, std::string content, std::string_view type,
                                                   const std::string& etag) override;
  absl::Status Delete(const std::string& key) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& prefix) override;
  absl::StatusOr<Upload> BeginUpload(const std::string& key, std::string_view type) override;
  absl::Status PutPart(Upload* upload, std::string content) override;
  absl::Status CompleteUpload(Upload upload, std::string last) override;
  // Generations are times in microseconds.
  std::string NobodysEtag() const override { return "1"; }
  std::string endpoint() const override { return place_.endpoint; }
  std::string_view page() const override { return "docs/destinations/gcs.md"; }

 private:
  struct Call {
    std::string doing;  // for errors
    std::string method;
    std::string key;   // for errors
    std::string path;  // encoded
    std::map<std::string, std::string> query;
    std::vector<std::string> headers;
    std::string body;
  };

  // Of this key, or of the bucket's list without one.
  std::string ObjectPath(const std::string& key) const;
  std::string UploadPath() const;
  // A call that writes the object as a whole; `generation` is the condition, empty for none.
  Call WholeObject(const std::string& key, const std::string& content, std::string_view type,
                   const std::string& generation) const;
  // A 2xx answer, or 412 where a condition did not hold.
  Answer Send(Call call);
  Answer SendWithToken(HttpRequest* request, const std::vector<std::string>& headers);
  // The next bytes of an upload; its last ones with `ends`. Google may take less than it is sent: the rest follows.
  absl::Status SendBytes(const Upload& upload, std::string content, bool ends);

  const GcsPlace place_;
  const bool anonymous_;
  GcsTokenSource tokens_;
};

// "gs://bucket/prefix" for people and for readers' queries.
std::string GcsUrl(std::string_view bucket, std::string_view key);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_GCS_GCS_CLIENT_H_

// ObjectStore: the objects of one bucket, whoever keeps it. S3Client (s3/), AzureClient (azure/) and GcsClient (gcs/)
// know how to ask; what they share is here.
//
// An ETag stands for the content that an object has had at one time; where a service has numbers instead, as Google has
// generations, it is such a number. Errors name the object and what to do; UNAVAILABLE was tried several times.
#ifndef WALLABY_DESTINATION_OBJECTS_OBJECT_STORE_H_
#define WALLABY_DESTINATION_OBJECTS_OBJECT_STORE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event.h"
#include "base/http_client.h"

namespace wallaby {

// For one thread at a time.
class ObjectStore {
 public:
  // Parts of an upload but the last have this size. S3 wants at least 5 MiB and at most 10,000 parts, Azure at most
  // 50,000, Google multiples of 256 KiB.
  static constexpr size_t kPart = 8 << 20;

  struct Object {
    std::string content;
    std::string etag;
  };
  // A large object on its way.
  struct Upload {
    std::string key;
    std::string id;                  // the service's, where it has one
    std::vector<std::string> parts;  // that are there, as the service calls them
    int64_t bytes = 0;               // in these
  };

  virtual ~ObjectStore() = default;

  // NOT_FOUND when there is none.
  virtual absl::StatusOr<Object> Get(const std::string& key) = 0;
  virtual absl::Status Put(const std::string& key, std::string content, std::string_view type) = 0;
  // Only where the object that is there has this ETag; empty: where there is none. The new ETag, or nothing where that
  // does not hold. After an error it may still have happened, as after "nothing" when an answer was lost: read it.
  virtual absl::StatusOr<std::optional<std::string>> PutIf(const std::string& key, std::string content,
                                                           std::string_view type, const std::string& etag) = 0;
  // OK also when there is none.
  virtual absl::Status Delete(const std::string& key) = 0;
  virtual absl::StatusOr<std::vector<std::string>> List(const std::string& prefix) = 0;

  // A large object in parts, which are sent in order. Nobody sees it before CompleteUpload(), and then the whole of it.
  virtual absl::StatusOr<Upload> BeginUpload(const std::string& key, std::string_view type) = 0;
  virtual absl::Status PutPart(Upload* upload, std::string content) = 0;
  // With the last part, which may be empty.
  virtual absl::Status CompleteUpload(Upload upload, std::string last) = 0;

  // Uploads that were begun and not completed, where they stay, and cost, until they are called off, as S3's do. Azure
  // and Google forget theirs after a week and cannot be told to do so before: with them there are none.
  virtual absl::StatusOr<std::vector<Upload>> ListUploads(const std::string& /*prefix*/) {
    return std::vector<Upload>();
  }
  // OK also when there is none.
  virtual absl::Status AbortUpload(const Upload& /*upload*/) { return absl::OkStatus(); }

  // An ETag that no object has, to try whether conditions count.
  virtual std::string NobodysEtag() const { return "\"nobody's\""; }

  // For people: where the bucket is, and the page of this kind of store.
  virtual std::string endpoint() const = 0;
  virtual std::string_view page() const = 0;

  // Tests: hears of every request before it is sent and after its answer ("sent PUT a/b", "answered PUT a/b"); what it
  // returns instead of OK is the call's result.
  void set_probe(std::function<absl::Status(std::string_view step)> probe) { probe_ = std::move(probe); }

 protected:
  // `ca`: PEM text of the authorities that are trusted; empty: the system's.
  explicit ObjectStore(std::string ca) : tls_{.ca = std::move(ca)} {}

  using Answer = absl::StatusOr<HttpResponse>;
  // `attempt` asks once, by SendOnce(), and says UNAVAILABLE or DEADLINE_EXCEEDED where it may go well later: then it
  // is called again, up to seven times with growing waits, about ten seconds in all. `what`: "PUT a/b", for the probe.
  Answer SendRepeatedly(std::string_view what, const std::function<Answer()>& attempt);
  Answer SendOnce(const HttpRequest& request) { return http_.Send(request, tls_, never_); }

 private:
  const TlsIdentity tls_;
  HttpClient http_;
  const Event never_;  // nobody calls a request off: each has its limit
  std::function<absl::Status(std::string_view)> probe_;
};

// A header of the answer, "" where it is not there. `name` in lower case.
std::string HeaderOf(const HttpResponse& response, const std::string& name);

// Percent-encoded but for slashes.
std::string UrlPath(std::string_view key);

// "https://host:9000" of "host:9000/".
std::string WithScheme(std::string_view endpoint);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_OBJECTS_OBJECT_STORE_H_

// Source: Apicurio Registry, "Core Registry API v3".
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/url_encode.h"
#include "codec/registries.h"
#include "codec/registry_http.h"

namespace wallaby {
namespace {

constexpr std::string_view kApi = "/apis/registry/v3";

std::string BaseOf(const std::string& url) {
  return url.find("/apis/") == std::string::npos ? absl::StrCat(url, kApi) : url;
}

std::string_view TypeName(SchemaType type) {
  return type == SchemaType::kAvro ? "AVRO" : "PROTOBUF";
}

std::string Content(SchemaType type, const std::string& schema) {
  return absl::StrCat("{\"content\":{\"content\":", JsonQuoted(schema), ",\"contentType\":\"",
                      type == SchemaType::kAvro ? "application/json" : "application/x-protobuf", "\"}}");
}

class ApicurioRegistry : public SchemaRegistry {
 public:
  explicit ApicurioRegistry(const RegistryOptions& options)
      : http_(options, BaseOf(options.url), "application/json"),
        search_(options, BaseOf(options.url), "application/octet-stream") {}

  absl::StatusOr<RegisteredSchema> Register(const std::string& subject, SchemaType type,
                                            const std::string& schema) override {
    absl::StatusOr<RegisteredSchema> known = Lookup(subject, type, schema);
    if (known.ok() || !absl::IsNotFound(known.status())) return known;
    absl::StatusOr<std::string> answer =
        http_.Post("/groups/default/artifacts?ifExists=FIND_OR_CREATE_VERSION",
                   absl::StrCat("{\"artifactId\":", JsonQuoted(subject), ",\"artifactType\":\"", TypeName(type),
                                "\",\"firstVersion\":", Content(type, schema), "}"));
    if (!answer.ok()) return Annotate(answer.status(), absl::StrCat("registering a schema under artifact ", subject));
    return Read(*answer, "version");
  }

  absl::StatusOr<RegisteredSchema> Lookup(const std::string& subject, SchemaType type,
                                          const std::string& schema) override {
    absl::StatusOr<std::string> answer =
        search_.Post(absl::StrCat("/search/versions?groupId=default&artifactId=", UrlEncode(subject),
                                  "&artifactType=", TypeName(type)),
                     schema);
    if (!answer.ok()) return Annotate(answer.status(), absl::StrCat("looking for a schema under artifact ", subject));
    if (!NumberInAnswer(*answer, "count").ok()) {
      return absl::NotFoundError(absl::StrCat("the schema registry has no such schema under artifact ", subject));
    }
    return Read(*answer, "versions/0");
  }

  absl::Status Check(const std::string& subject, SchemaType type, const std::string& schema) override {
    absl::StatusOr<std::string> answer = http_.Post(
        absl::StrCat("/groups/default/artifacts/", UrlEncode(subject), "/versions?dryRun=true"), Content(type, schema));
    if (absl::IsNotFound(answer.status())) return absl::OkStatus();  // a new artifact
    return answer.ok() ? absl::OkStatus()
                       : Annotate(answer.status(), absl::StrCat("checking a schema for artifact ", subject));
  }

 private:
  static absl::StatusOr<RegisteredSchema> Read(const std::string& answer, std::string_view at) {
    ASSIGN_OR_RETURN(const int64_t id, NumberInAnswer(answer, absl::StrCat(at, "/contentId")));
    // People may name versions otherwise: then there is no number.
    const auto version = NumberInAnswer(answer, absl::StrCat(at, "/version"));
    return ConfluentSchema(static_cast<int32_t>(id), version.ok() ? static_cast<int>(*version) : 0);
  }

  RegistryHttp http_;
  RegistryHttp search_;
};

}  // namespace

std::unique_ptr<SchemaRegistry> MakeApicurioRegistry(const RegistryOptions& options) {
  return std::make_unique<ApicurioRegistry>(options);
}

}  // namespace wallaby

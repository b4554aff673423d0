// Source: Confluent's documentation, "Schema Registry API Reference".
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "base/url_encode.h"
#include "codec/registries.h"
#include "codec/registry_http.h"

namespace wallaby {
namespace {

using Json = nlohmann::json;

// Avro is the default there, and is left out as old versions do not know the field.
std::string Body(SchemaType type, const std::string& schema) {
  return absl::StrCat("{\"schema\":", JsonQuoted(schema),
                      type == SchemaType::kProtobuf ? ",\"schemaType\":\"PROTOBUF\"}" : "}");
}

class CsrRegistry : public SchemaRegistry {
 public:
  explicit CsrRegistry(const RegistryOptions& options)
      : http_(options, options.url, "application/vnd.schemaregistry.v1+json") {}

  absl::StatusOr<RegisteredSchema> Register(const std::string& subject, SchemaType type,
                                            const std::string& schema) override {
    // Looked up first, which a registry lets readers do whose schemas somebody else puts in.
    absl::StatusOr<RegisteredSchema> known = Lookup(subject, type, schema);
    if (known.ok() || !absl::IsNotFound(known.status())) return known;
    const std::string path = absl::StrCat("/subjects/", UrlEncode(subject), "/versions");
    absl::StatusOr<std::string> answer = http_.Post(path, Body(type, schema));
    if (!answer.ok()) return Annotate(answer.status(), absl::StrCat("registering a schema under subject ", subject));
    ASSIGN_OR_RETURN(const int64_t id, NumberInAnswer(*answer, "id"));
    // The version is told by the lookup alone, and is not worth a failure.
    known = Lookup(subject, type, schema);
    return ConfluentSchema(static_cast<int32_t>(id), known.ok() ? known->version : 0);
  }

  absl::StatusOr<RegisteredSchema> Lookup(const std::string& subject, SchemaType type,
                                          const std::string& schema) override {
    absl::StatusOr<std::string> answer = http_.Post(absl::StrCat("/subjects/", UrlEncode(subject)), Body(type, schema));
    if (!answer.ok()) return Annotate(answer.status(), absl::StrCat("looking for a schema under subject ", subject));
    ASSIGN_OR_RETURN(const int64_t id, NumberInAnswer(*answer, "id"));
    ASSIGN_OR_RETURN(const int64_t version, NumberInAnswer(*answer, "version"));
    return ConfluentSchema(static_cast<int32_t>(id), static_cast<int>(version));
  }

  absl::Status Check(const std::string& subject, SchemaType type, const std::string& schema) override {
    absl::StatusOr<std::string> answer =
        http_.Post(absl::StrCat("/compatibility/subjects/", UrlEncode(subject), "/versions/latest?verbose=true"),
                   Body(type, schema));
    if (absl::IsNotFound(answer.status())) return absl::OkStatus();  // a new subject
    if (!answer.ok()) return Annotate(answer.status(), absl::StrCat("checking a schema for subject ", subject));
    const Json json = Json::parse(*answer, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("is_compatible") || !json["is_compatible"].is_boolean()) {
      return absl::InternalError("the schema registry's answer is not as expected: no is_compatible");
    }
    if (json["is_compatible"].get<bool>()) return absl::OkStatus();
    std::vector<std::string> reasons;
    if (json.contains("messages") && json["messages"].is_array()) {
      for (const Json& message : json["messages"]) {
        if (message.is_string() && reasons.size() < 5) reasons.push_back(message.get<std::string>().substr(0, 300));
      }
    }
    return absl::FailedPreconditionError(absl::StrCat("the schema registry finds the schema incompatible with subject ",
                                                      subject, reasons.empty() ? "" : ": ",
                                                      absl::StrJoin(reasons, "; ")));
  }

 private:
  RegistryHttp http_;
};

}  // namespace

std::unique_ptr<SchemaRegistry> MakeCsrRegistry(const RegistryOptions& options) {
  return std::make_unique<CsrRegistry>(options);
}

}  // namespace wallaby

// Source: AWS Glue, "Schema registry API"; the payload's frame as in AWS's serializers (aws-glue-schema-registry):
// version 3, compression 0 for none, the schema version's UUID.
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/aws_signature.h"
#include "base/environment.h"
#include "base/event.h"
#include "base/http_client.h"
#include "base/status.h"
#include "codec/registries.h"
#include "codec/registry_http.h"

namespace wallaby {
namespace {

using Json = nlohmann::json;

// A new version is looked at by Glue before it is available.
constexpr absl::Duration kPendingWait = absl::Milliseconds(500);
constexpr int kPendingLooks = 20;

std::string TextOf(const Json& json, const char* name) {
  const auto found = json.is_object() ? json.find(name) : json.end();
  return json.is_object() && found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

absl::StatusOr<RegisteredSchema> SchemaOf(const Json& answer) {
  const std::string id = TextOf(answer, "SchemaVersionId");
  std::string digits;
  for (const char c : id) {
    if (c != '-') digits.push_back(c);
  }
  const bool hex = digits.size() == 32 && digits.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
  if (!hex) return absl::InternalError("Glue's answer is not as expected: no SchemaVersionId");
  RegisteredSchema schema{.id = id, .frame = std::string("\3\0", 2) + std::string(absl::HexStringToBytes(digits))};
  for (const char* name : {"VersionNumber", "LatestSchemaVersion"}) {
    const auto found = answer.find(name);
    if (found == answer.end() || !found->is_number_unsigned()) continue;
    const auto version = found->get<uint64_t>();
    if (version <= 1'000'000'000) schema.version = static_cast<int>(version);
  }
  return schema;
}

struct GluePlace {
  std::string url;  // without a path
  std::string region;
  std::string registry;
};

// https://glue.REGION.amazonaws.com[/REGISTRY]; without a URL as the environment says, as AWS's own tools do.
absl::StatusOr<GluePlace> PlaceOf(const std::string& url) {
  GluePlace place{.url = url, .region = FromEnvironment("AWS_REGION"), .registry = "default-registry"};
  if (place.region.empty()) place.region = FromEnvironment("AWS_DEFAULT_REGION");
  if (url.empty() && !place.region.empty()) place.url = absl::StrCat("https://glue.", place.region, ".amazonaws.com");
  if (place.url.empty()) {
    return absl::InvalidArgumentError(
        "schema_registry_url is missing; it must be https://glue.REGION.amazonaws.com[/REGISTRY], or AWS_REGION be "
        "set");
  }
  const size_t host = place.url.find("://") + 3, slash = place.url.find('/', host);
  if (slash != std::string::npos) {
    place.registry = place.url.substr(slash + 1);
    place.url.resize(slash);
  }
  constexpr std::string_view kGlue = "glue.";
  const std::string_view name = std::string_view(place.url).substr(host);
  if (name.starts_with(kGlue) && name.find(".amazonaws.com") != name.npos) {
    place.region = std::string(name.substr(kGlue.size(), name.find('.', kGlue.size()) - kGlue.size()));
  }
  if (place.region.empty()) {
    return absl::InvalidArgumentError("schema_registry_url does not name the region; set AWS_REGION");
  }
  return place;
}

class GlueRegistry : public SchemaRegistry {
 public:
  explicit GlueRegistry(GluePlace place, AwsCredentials credentials)
      : url_(std::move(place.url)),
        host_(url_.substr(url_.find("://") + 3)),
        region_(std::move(place.region)),
        registry_(std::move(place.registry)),
        credentials_(std::move(credentials)) {}

  absl::StatusOr<RegisteredSchema> Register(const std::string& subject, SchemaType type,
                                            const std::string& schema) override {
    absl::StatusOr<RegisteredSchema> known = Lookup(subject, type, schema);
    if (known.ok() || !absl::IsNotFound(known.status())) return known;
    absl::StatusOr<Json> answer =
        Call("RegisterSchemaVersion", {{"SchemaId", IdOf(subject)}, {"SchemaDefinition", schema}});
    if (absl::IsNotFound(answer.status())) {
      answer = Call("CreateSchema", {{"RegistryId", {{"RegistryName", registry_}}},
                                     {"SchemaName", subject},
                                     {"DataFormat", type == SchemaType::kAvro ? "AVRO" : "PROTOBUF"},
                                     {"Compatibility", "BACKWARD"},
                                     {"SchemaDefinition", schema}});
    }
    if (!answer.ok()) return Annotate(answer.status(), absl::StrCat("registering a schema as ", subject));
    return Available(subject, *std::move(answer));
  }

  absl::StatusOr<RegisteredSchema> Lookup(const std::string& subject, SchemaType /*type*/,
                                          const std::string& schema) override {
    absl::StatusOr<Json> answer =
        Call("GetSchemaByDefinition", {{"SchemaId", IdOf(subject)}, {"SchemaDefinition", schema}});
    if (!answer.ok()) return Annotate(answer.status(), absl::StrCat("looking for schema ", subject));
    // A version that was refused stays there as failed.
    if (TextOf(*answer, "Status") == "FAILURE") return Refused(subject);
    return Available(subject, *std::move(answer));
  }

  // Glue says whether a definition is one; whether it is compatible, only by registering it.
  absl::Status Check(const std::string& subject, SchemaType type, const std::string& schema) override {
    absl::StatusOr<Json> answer =
        Call("CheckSchemaVersionValidity",
             {{"DataFormat", type == SchemaType::kAvro ? "AVRO" : "PROTOBUF"}, {"SchemaDefinition", schema}});
    if (!answer.ok()) return Annotate(answer.status(), absl::StrCat("checking schema ", subject));
    if (answer->is_object() && answer->value("Valid", false)) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("Glue refuses schema ", subject, ": ", TextOf(*answer, "Error")));
  }

 private:
  Json IdOf(const std::string& subject) const { return {{"SchemaName", subject}, {"RegistryName", registry_}}; }

  static absl::Status Refused(const std::string& subject) {
    return absl::FailedPreconditionError(
        absl::StrCat("Glue refuses the schema as incompatible with those before it of schema ", subject));
  }

  absl::StatusOr<RegisteredSchema> Available(const std::string& subject, Json answer) {
    for (int look = 0; look < kPendingLooks; ++look) {
      std::string status = TextOf(answer, "Status");
      if (status.empty()) status = TextOf(answer, "SchemaVersionStatus");  // of CreateSchema
      if (status == "FAILURE") return Refused(subject);
      if (status != "PENDING") return SchemaOf(answer);
      never_.Wait(kPendingWait);
      ASSIGN_OR_RETURN(answer, Call("GetSchemaVersion", {{"SchemaVersionId", TextOf(answer, "SchemaVersionId")}}));
    }
    return absl::UnavailableError(absl::StrCat("Glue is still looking at schema ", subject));
  }

  absl::StatusOr<Json> Call(const std::string& operation, const Json& body) {
    constexpr const char* kType = "application/x-amz-json-1.1";
    AwsRequest signed_part{.host = host_,
                           .headers = {{"content-type", kType}, {"x-amz-target", "AWSGlue." + operation}},
                           .body = body.dump(-1, ' ', false, Json::error_handler_t::replace)};
    HttpRequest request{.method = "POST",
                        .url = url_ + "/",
                        .headers = SignAwsRequest(signed_part, credentials_, region_, "glue", absl::Now()),
                        .body = signed_part.body};
    for (const auto& [name, value] : signed_part.headers) request.headers.push_back(absl::StrCat(name, ": ", value));
    absl::MutexLock lock(&mutex_);
    absl::StatusOr<HttpResponse> response = client_.Send(request, {}, never_);
    if (!response.ok()) return Annotate(response.status(), absl::StrCat("Glue at ", url_));
    Json answer = Json::parse(response->body, nullptr, /*allow_exceptions=*/false);
    if (response->status / 100 == 2 && answer.is_object()) return answer;
    return Explain(response->status, answer);
  }

  // Errors have their kind in "__type": "prefix#EntityNotFoundException".
  absl::Status Explain(long status, const Json& answer) const {
    std::string kind = TextOf(answer, "__type");
    kind = kind.substr(kind.rfind('#') + 1);
    std::string words = TextOf(answer, "message");
    if (words.empty()) words = TextOf(answer, "Message");
    const std::string text = absl::StrCat("Glue at ", url_, " answers ", status, " ", kind, ": ", words.substr(0, 600));
    if (kind == "EntityNotFoundException") return absl::NotFoundError(text);
    if (kind == "InvalidInputException") return absl::InvalidArgumentError(text);
    if (kind == "AccessDeniedException") return absl::PermissionDeniedError(text);
    if (kind == "ConcurrentModificationException" || kind == "ThrottlingException" || status == 429 || status >= 500) {
      return absl::UnavailableError(text);
    }
    if (status == 401 || status == 403 || kind == "UnrecognizedClientException" ||
        kind == "InvalidSignatureException" || kind == "ExpiredTokenException") {
      return absl::UnauthenticatedError(absl::StrCat(
          text, "; check schema_registry_username (access key), _password (secret key) and _token (session token)"));
    }
    return absl::InternalError(text);
  }

  const std::string url_, host_, region_, registry_;
  const AwsCredentials credentials_;
  const Event never_;  // nobody calls a request off: each has its limit
  absl::Mutex mutex_;
  HttpClient client_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<std::unique_ptr<SchemaRegistry>> MakeGlueRegistry(const RegistryOptions& options) {
  ASSIGN_OR_RETURN(GluePlace place, PlaceOf(options.url));
  AwsCredentials credentials{options.username, options.password, options.token};
  if (credentials.access_key.empty()) {
    credentials = {FromEnvironment("AWS_ACCESS_KEY_ID"), FromEnvironment("AWS_SECRET_ACCESS_KEY"),
                   FromEnvironment("AWS_SESSION_TOKEN")};
  }
  if (credentials.access_key.empty() || credentials.secret_key.empty()) {
    return absl::InvalidArgumentError(
        "schema_registry_username (access key) and schema_registry_password (secret key) are missing; give them, or "
        "set "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
  }
  return std::make_unique<GlueRegistry>(std::move(place), std::move(credentials));
}

}  // namespace wallaby

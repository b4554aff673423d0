#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/status.h"
#include "codec/avro_compatibility.h"
#include "codec/registries.h"

namespace wallaby {
namespace {

// Keeps what was registered: a schema under a subject has its id for ever.
class CachedRegistry : public SchemaRegistry {
 public:
  explicit CachedRegistry(std::unique_ptr<SchemaRegistry> registry) : registry_(std::move(registry)) {}

  absl::StatusOr<RegisteredSchema> Register(const std::string& subject, SchemaType type,
                                            const std::string& schema) override {
    const Key key{subject, type, schema};
    if (const auto known = Find(key)) return *known;
    return Keep(key, registry_->Register(subject, type, schema));
  }
  absl::StatusOr<RegisteredSchema> Lookup(const std::string& subject, SchemaType type,
                                          const std::string& schema) override {
    const Key key{subject, type, schema};
    if (const auto known = Find(key)) return *known;
    return Keep(key, registry_->Lookup(subject, type, schema));
  }
  absl::Status Check(const std::string& subject, SchemaType type, const std::string& schema) override {
    return registry_->Check(subject, type, schema);
  }

 private:
  using Key = std::tuple<std::string, SchemaType, std::string>;

  std::optional<RegisteredSchema> Find(const Key& key) {
    absl::MutexLock lock(&mutex_);
    const auto found = known_.find(key);
    return found == known_.end() ? std::nullopt : std::optional(found->second);
  }
  absl::StatusOr<RegisteredSchema> Keep(const Key& key, absl::StatusOr<RegisteredSchema> result) {
    if (!result.ok()) return result;
    absl::MutexLock lock(&mutex_);
    known_.emplace(key, *result);
    return result;
  }

  const std::unique_ptr<SchemaRegistry> registry_;
  absl::Mutex mutex_;
  std::map<Key, RegisteredSchema> known_ ABSL_GUARDED_BY(mutex_);
};

absl::StatusOr<std::unique_ptr<SchemaRegistry>> Make(RegistryOptions options) {
  while (options.url.size() > 1 && options.url.ends_with('/')) options.url.pop_back();
  RETURN_IF_ERROR(CheckRegistryOptions(options));
  if (options.kind == "csr") return MakeCsrRegistry(options);
  if (options.kind == "apicurio") return MakeApicurioRegistry(options);
  if (options.kind == "postgres") return MakePostgresRegistry(options);
  return options.kind == "local" ? MakeLocalRegistry(options) : MakeGlueRegistry(options);
}

}  // namespace

absl::Status MayFollow(const std::string& subject, SchemaType type, const std::string& schema, bool same_type,
                       const std::string& last) {
  if (!same_type) {
    return absl::FailedPreconditionError(absl::StrCat("subject ", subject, " holds schemas of another type"));
  }
  if (type != SchemaType::kAvro) return absl::OkStatus();
  return Annotate(AvroCanRead(schema, last),
                  absl::StrCat("the schema is incompatible with the last one of subject ", subject));
}

absl::StatusOr<std::shared_ptr<SchemaRegistry>> MakeSchemaRegistry(const RegistryOptions& options) {
  if (options.kind == "none" || options.kind.empty()) return nullptr;
  ASSIGN_OR_RETURN(std::unique_ptr<SchemaRegistry> registry, Make(options));
  return std::make_shared<CachedRegistry>(std::move(registry));
}

}  // namespace wallaby

// SchemaRegistry: where the schemas of payloads are kept, so that a reader finds the one that a payload was written
// with. One interface for the registries of Confluent and those that speak its protocol, Apicurio, AWS Glue, a
// PostgreSQL table and a folder. docs/codecs.md.
//
// Safe from several threads. Errors: transient ones (base/status.h) when the registry cannot be reached;
// FAILED_PRECONDITION when it refuses a schema as incompatible with those before, with its reason; UNAUTHENTICATED and
// PERMISSION_DENIED; INVALID_ARGUMENT when it cannot read the schema.
#ifndef WALLABY_CODEC_SCHEMA_REGISTRY_H_
#define WALLABY_CODEC_SCHEMA_REGISTRY_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace wallaby {

enum class SchemaType { kAvro, kProtobuf };

struct RegisteredSchema {
  std::string id;     // as the registry calls it: a number, or a UUID
  int version = 0;    // within the subject, from 1; 0 where the registry does not tell
  std::string frame;  // what stands in front of every payload
};

class SchemaRegistry {
 public:
  virtual ~SchemaRegistry() = default;

  // The schema's id under the subject; registers it when it is not there.
  virtual absl::StatusOr<RegisteredSchema> Register(const std::string& subject, SchemaType type,
                                                    const std::string& schema) = 0;
  // The same without registering: NOT_FOUND.
  virtual absl::StatusOr<RegisteredSchema> Lookup(const std::string& subject, SchemaType type,
                                                  const std::string& schema) = 0;
  // OK when the registry would take the schema as the subject's next, also for a subject that is new; nothing is
  // registered.
  virtual absl::Status Check(const std::string& subject, SchemaType type, const std::string& schema) = 0;
};

// All but Glue's payloads are in Confluent's wire format: the frame is a zero byte and the id, big-endian. With
// protobuf the path of the message within its file follows, where the first message is a single zero
// (docs.confluent.io, "Wire format").
RegisteredSchema ConfluentSchema(int32_t id, int version);

// How subjects are named: options schema_registry_subject and schema_registry_subject_mode.
enum class SubjectMode {
  kTopic,        // "topic-value" and "topic-key"
  kRecord,       // the schema's full name
  kTopicRecord,  // "topic-" and the schema's full name
};
struct SubjectNames {
  SubjectMode mode = SubjectMode::kTopic;
  std::string fixed;  // for values, whatever the topic; "-key" is added for keys

  std::string Of(std::string_view topic, std::string_view full_name, bool key) const;
};

struct RegistryOptions {
  std::string kind = "none";  // csr, apicurio, glue, postgres, local or none
  // csr, apicurio: http(s)://host:port[/path]; glue: registries.h; local: a folder, as a path or file: URL
  std::string url;
  std::string username, password;
  std::string token;  // sent as bearer
  std::string dsn;    // postgres
};

// INVALID_ARGUMENT names the option that is missing or wrong, and never shows a value that may be secret. No I/O.
absl::Status CheckRegistryOptions(const RegistryOptions& options);

// Null for "none". Does no I/O. What was registered once is kept, so that a schema costs one request in the life of the
// object. INVALID_ARGUMENT names the option.
absl::StatusOr<std::shared_ptr<SchemaRegistry>> MakeSchemaRegistry(const RegistryOptions& options);

}  // namespace wallaby

#endif  // WALLABY_CODEC_SCHEMA_REGISTRY_H_

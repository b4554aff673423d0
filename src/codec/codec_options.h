// The options of a destination that writes through a codec, parsed and checked once for all of them.
#ifndef WALLABY_CODEC_CODEC_OPTIONS_H_
#define WALLABY_CODEC_CODEC_OPTIONS_H_

#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "codec/codec.h"
#include "codec/schema_registry.h"

namespace wallaby {

// For a destination's table of options beside `format` and `type_mappings`, which are in every table.
struct CodecOptionSpec {
  std::string_view name;
  std::string_view allowed;
  bool secret = false;
  bool server = false;  // decides to whom the secrets are sent
};
inline constexpr CodecOptionSpec kCodecOptionSpecs[] = {
    {"json_envelope", "wallaby or debezium"},
    {"json_schemas", "true or false"},
    {"schema_registry", "csr, apicurio, glue, postgres, local or none", false, true},
    {"schema_registry_url", "a URL; for local a folder", false, true},
    {"schema_registry_subject", "a subject"},
    {"schema_registry_subject_mode", "topic, record or topic_record"},
    {"schema_registry_username", "a user"},
    {"schema_registry_password", "a password", true},
    {"schema_registry_token", "a bearer token", true},
    {"schema_registry_dsn", "a PostgreSQL connection string"},
};

struct CodecConfig {
  CodecOptions codec;        // registry, type_of, topic_of, source_name and database are the destination's to set
  RegistryOptions registry;  // for MakeSchemaRegistry()
};

// Reads those above, `format` and `compression`; passes over what else there is. `title` stands before an option's name
// in errors ("option schema_registry of destination 'k': ..."): "option " + name + `title`. INVALID_ARGUMENT names the
// option and what is allowed, also for options that do not go together.
absl::StatusOr<CodecConfig> ParseCodecOptions(const std::map<std::string, std::string>& options,
                                              WireFormat default_format, std::string_view title);

}  // namespace wallaby

#endif  // WALLABY_CODEC_CODEC_OPTIONS_H_

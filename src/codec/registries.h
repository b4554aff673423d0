// The kinds of schema registries, for MakeSchemaRegistry(). None keeps what it was told: that is its caller's.
#ifndef WALLABY_CODEC_REGISTRIES_H_
#define WALLABY_CODEC_REGISTRIES_H_

#include <memory>

#include "codec/schema_registry.h"

namespace wallaby {

// Confluent's REST interface: also Karapace's, Redpanda's, and Apicurio's at /apis/ccompat/v7.
std::unique_ptr<SchemaRegistry> MakeCsrRegistry(const RegistryOptions& options);

// Apicurio's own REST interface, version 3; payloads carry content ids, as its clients expect.
std::unique_ptr<SchemaRegistry> MakeApicurioRegistry(const RegistryOptions& options);

// AWS Glue. The URL's path is the registry's name, the credentials are the user (access key), the password (secret key)
// and the token (session token), or the environment's. INVALID_ARGUMENT when it is not clear where it is.
absl::StatusOr<std::unique_ptr<SchemaRegistry>> MakeGlueRegistry(const RegistryOptions& options);

// A table wallaby.schemas, which is made when it is missing. Schemas must be compatible with the subject's last.
std::unique_ptr<SchemaRegistry> MakePostgresRegistry(const RegistryOptions& options);

// A folder with a file for each schema: SUBJECT/VERSION-ID.avsc. Schemas must be compatible with the subject's last.
std::unique_ptr<SchemaRegistry> MakeLocalRegistry(const RegistryOptions& options);

// Whether a schema may follow a subject's last one: of the same type, and for Avro able to read what that one wrote.
// FAILED_PRECONDITION says why not.
absl::Status MayFollow(const std::string& subject, SchemaType type, const std::string& schema, bool same_type,
                       const std::string& last);

}  // namespace wallaby

#endif  // WALLABY_CODEC_REGISTRIES_H_

// References: what a flow may hold in place of a secret, "env:NAME" or "file:/path". They are stored and shown as they
// are, and followed where the secret is used: in the worker, and in the server where it asks a source.
#ifndef WALLABY_FLOW_SECRET_REFERENCE_H_
#define WALLABY_FLOW_SECRET_REFERENCE_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "flow/flow.h"

namespace wallaby {

enum class EndpointKind { kSource, kDestination };

// A connection string: "dsn", "..._dsn". Its secrets are parts of it.
bool IsDsnOption(std::string_view option);
// An option whose whole value is a secret: a password, a token. What its owner says and what its name tells both count,
// so that types which this build cannot write to are covered as well.
bool IsSecretOption(const Endpoint& endpoint, std::string_view option, EndpointKind kind);
// An option that may be a reference as a whole: those, and addresses that can be secrets themselves, as webhooks' URLs.
bool MayBeReference(const Endpoint& endpoint, std::string_view option, EndpointKind kind);
// An option that decides to whom the secrets of the endpoint's other options are sent, or how sure that is. Connection
// strings decide for themselves alone.
bool DecidesServer(const Endpoint& endpoint, std::string_view option, EndpointKind kind);

// env: and the name of a variable, or file: and an absolute path.
bool IsReference(std::string_view value);

// The form of the references of an endpoint; INVALID_ARGUMENT names the option. Variables that begin with WALLABY_ are
// the programs' own secrets and are refused.
absl::Status CheckReferences(const Endpoint& endpoint, EndpointKind kind);

// The options with every reference followed: an option that may be one and is, and secrets within connection
// strings that are one, which are quoted as these need it. Never to be stored, shown or logged. FAILED_PRECONDITION
// names option and variable or file, and never what stands there.
absl::StatusOr<Options> ResolvedOptions(const Endpoint& endpoint, EndpointKind kind);

}  // namespace wallaby

#endif  // WALLABY_FLOW_SECRET_REFERENCE_H_

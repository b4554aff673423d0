// A source as the commands reach it by themselves, without a server of ours.
#ifndef WALLABY_CLI_SOURCE_CONNECTION_H_
#define WALLABY_CLI_SOURCE_CONNECTION_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "postgres/connection.h"

namespace wallaby {

// Connecting ends after 5 seconds, each statement after 30. Errors never show the password.
absl::StatusOr<std::unique_ptr<PgConnection>> ConnectToSource(const std::string& dsn);

}  // namespace wallaby

#endif  // WALLABY_CLI_SOURCE_CONNECTION_H_

#include "cli/source_connection.h"

namespace wallaby {

absl::StatusOr<std::unique_ptr<PgConnection>> ConnectToSource(const std::string& dsn) {
  ConnectOptions options;
  options.connect_timeout = absl::Seconds(5);
  options.application_name = "wallaby-admin";
  options.settings["statement_timeout"] = "30s";
  return PgConnection::Connect(dsn, options);
}

}  // namespace wallaby

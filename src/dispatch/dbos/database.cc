#include "dispatch/dbos/database.h"

#include "base/status.h"

namespace wallaby {
namespace {

constexpr size_t kMaxIdle = 4;

}  // namespace

absl::StatusOr<std::unique_ptr<PgConnection>> DbosDatabase::Connect() const {
  ConnectOptions options;
  options.application_name = "wallaby dbos";
  // A process that hangs within a transaction must not keep rows locked for ever.
  options.settings["idle_in_transaction_session_timeout"] = "60s";
  auto connection = PgConnection::Connect(dsn_, options);
  if (!connection.ok()) return Annotate(connection.status(), "DBOS system database");
  return connection;
}

absl::Status DbosDatabase::With(absl::FunctionRef<absl::Status(PgConnection&)> use) {
  std::unique_ptr<PgConnection> connection;
  {
    std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      connection = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  const bool was_idle = connection != nullptr;
  if (!was_idle) {
    ASSIGN_OR_RETURN(connection, Connect());
  }
  absl::Status status = use(*connection);
  if (!status.ok() && IsTransient(status) && was_idle) {
    // Most likely lost while it stood idle; the others are no better.
    {
      std::lock_guard lock(mutex_);
      idle_.clear();
    }
    ASSIGN_OR_RETURN(connection, Connect());
    status = use(*connection);
  }
  if (status.ok()) {
    std::lock_guard lock(mutex_);
    if (idle_.size() < kMaxIdle) idle_.push_back(std::move(connection));
  }
  return status;
}

absl::StatusOr<PgRows> DbosDatabase::Query(const std::string& sql, const std::vector<SqlParam>& params) {
  PgRows rows;
  RETURN_IF_ERROR(Annotate(With([&](PgConnection& connection) -> absl::Status {
                             ASSIGN_OR_RETURN(rows, connection.Query(sql, params));
                             return absl::OkStatus();
                           }),
                           "DBOS system database"));
  return rows;
}

absl::Status DbosDatabase::Transact(absl::FunctionRef<absl::Status(PgConnection&)> body) {
  return Annotate(With([&](PgConnection& connection) -> absl::Status {
                    RETURN_IF_ERROR(connection.Execute("BEGIN ISOLATION LEVEL READ COMMITTED"));
                    const absl::Status status = body(connection);
                    if (!status.ok()) {
                      connection.Execute("ROLLBACK").IgnoreError();
                      return status;
                    }
                    return connection.Execute("COMMIT");
                  }),
                  "DBOS system database");
}

}  // namespace wallaby

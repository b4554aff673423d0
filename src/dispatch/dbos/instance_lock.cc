#include "dispatch/dbos/instance_lock.h"

#include "base/status.h"
#include "dispatch/dbos/store.h"

namespace wallaby {

InstanceLock::InstanceLock(const DbosDatabase* database, const std::string& instance)
    : database_(database), number_(InstanceLockNumber(instance)) {}

absl::Status InstanceLock::Keep() {
  if (connection_ != nullptr && connection_->Execute("SELECT 1").ok()) return absl::OkStatus();
  connection_.reset();
  ASSIGN_OR_RETURN(std::unique_ptr<PgConnection> connection, database_->Connect());
  // The server may not have noticed yet that the connection before is gone.
  ASSIGN_OR_RETURN(const PgRows rows, connection->Query("SELECT pg_try_advisory_lock($1::bigint)", {number_}));
  if (!rows.Bool(0, 0)) {
    return absl::UnavailableError("the lock that shows that this executor lives is still held by its last connection");
  }
  connection_ = std::move(connection);
  return absl::OkStatus();
}

}  // namespace wallaby

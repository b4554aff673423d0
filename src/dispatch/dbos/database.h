// DbosDatabase: a few connections to the DBOS system database, each used by one thread at a time.
#ifndef WALLABY_DISPATCH_DBOS_DATABASE_H_
#define WALLABY_DISPATCH_DBOS_DATABASE_H_

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "postgres/connection.h"

namespace wallaby {

// The server's time as DBOS writes it: milliseconds since 1970.
inline constexpr char kDbosNow[] = "(extract(epoch from now()) * 1000)::bigint";

// Safe from any thread.
class DbosDatabase {
 public:
  explicit DbosDatabase(std::string dsn) : dsn_(std::move(dsn)) {}

  // One statement. When the connection was lost it is made anew and the statement runs once more, so it must be one
  // that may run twice. UNAVAILABLE when the database cannot be reached.
  absl::StatusOr<PgRows> Query(const std::string& sql, const std::vector<SqlParam>& params = {});

  // `body` in one transaction, READ COMMITTED; its error rolls back. May run twice, as above.
  absl::Status Transact(absl::FunctionRef<absl::Status(PgConnection&)> body);

  absl::StatusOr<std::unique_ptr<PgConnection>> Connect() const;

 private:
  // Runs `use` with a connection that is kept when it was fine.
  absl::Status With(absl::FunctionRef<absl::Status(PgConnection&)> use);

  const std::string dsn_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<PgConnection>> idle_;
};

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_DBOS_DATABASE_H_

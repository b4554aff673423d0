// SqlDatabase: the little that the control store needs of a database, over SQLite and PostgreSQL alike, so that every
// statement is written once.
//
// Statements are templates: $1.. are parameters; and
//   @name          a table of the store, with its schema
//   {now}          the database's clock in microseconds since 1970, for SQLite the machine's
//   {for_update}   locks the rows that a SELECT gives against other transactions; {for_share} against their change
//   {id_column}    a primary key that counts up
//   {text_by_byte} a text column that sorts by its bytes
#ifndef WALLABY_STORE_SQL_DATABASE_H_
#define WALLABY_STORE_SQL_DATABASE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace wallaby {

enum class SqlDialect { kSqlite, kPostgres };

// NULL, number or text. SQLite compares by type, so numbers must be given as numbers.
using SqlValue = std::variant<std::monostate, int64_t, double, std::string>;

// The rows of a finished statement.
class SqlRows {
 public:
  SqlRows() = default;
  SqlRows(int columns, std::vector<std::optional<std::string>> values)
      : columns_(columns), values_(std::move(values)) {}
  int size() const { return columns_ == 0 ? 0 : static_cast<int>(values_.size()) / columns_; }
  bool empty() const { return values_.empty(); }
  const std::string& Text(int row, int column) const;  // "" for null
  int64_t Int(int row, int column) const;              // 0 for null
  double Real(int row, int column) const;              // 0 for null

 private:
  int columns_ = 0;
  std::vector<std::optional<std::string>> values_;
};

// The open transaction, for the time of the body that it is given to.
class SqlSession {
 public:
  virtual ~SqlSession() = default;
  virtual SqlDialect dialect() const = 0;
  virtual absl::StatusOr<SqlRows> Query(std::string_view sql, const std::vector<SqlValue>& params) = 0;
  // Statements parted by semicolons, without parameters.
  virtual absl::Status Script(std::string_view sql) = 0;
  // Waits until no other transaction holds the lock of this number, and holds it to the end of this one. (SQLite has
  // one writer at a time anyway.)
  virtual absl::Status Lock(int64_t number) = 0;

  absl::StatusOr<SqlRows> Query(std::string_view sql) { return Query(sql, {}); }
};

enum class SqlAccess { kRead, kWrite };

// Safe from any thread.
class SqlDatabase {
 public:
  using Body = absl::FunctionRef<absl::Status(SqlSession&)>;

  virtual ~SqlDatabase() = default;
  // Runs `body` in one transaction and commits when it returns OK, else rolls back and returns its error. When the
  // connection was lost, or another transaction won, before the commit was asked for, the body runs once more; it must
  // set all its results anew. UNAVAILABLE when the database cannot be reached, or when the connection was lost while
  // committing (whether the change is in is then not known).
  virtual absl::Status Transact(SqlAccess access, Body body) = 0;
  // For messages: the file, or the DSN without its password.
  virtual const std::string& description() const = 0;
};

// The statement for a dialect. See the top of this file.
std::string RenderSql(std::string_view sql, SqlDialect dialect);

// What the PostgreSQL tables live in.
inline constexpr std::string_view kControlSchema = "wallaby_control";

absl::StatusOr<std::unique_ptr<SqlDatabase>> OpenSqliteDatabase(const std::string& path);
// A database in memory, gone with the object. For the simulator.
absl::StatusOr<std::unique_ptr<SqlDatabase>> OpenMemoryDatabase();
absl::StatusOr<std::unique_ptr<SqlDatabase>> OpenPostgresDatabase(const std::string& dsn);

}  // namespace wallaby

#endif  // WALLABY_STORE_SQL_DATABASE_H_

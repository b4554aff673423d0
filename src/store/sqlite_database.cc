// SQLite behind SqlDatabase: one connection under a mutex, WAL mode, every commit on disk before it is reported.
// Source: sqlite.org, "Write-Ahead Logging", "Result and Error Codes", "PRAGMA Statements".
#include <sqlite3.h>

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/failpoint.h"
#include "base/freer.h"
#include "base/status.h"
#include "store/sql_database.h"
#include "store/sqlite_file.h"

namespace wallaby {
namespace {

constexpr int kBusyTimeoutMillis = 10000;

using StatementPtr = std::unique_ptr<sqlite3_stmt, Freer<sqlite3_finalize>>;

void Now(sqlite3_context* context, int, sqlite3_value**) {
  sqlite3_result_int64(context, absl::GetCurrentTimeNanos() / 1000);
}

class SqliteDatabase final : public SqlDatabase, private SqlSession {
 public:
  explicit SqliteDatabase(std::string path) : path_(std::move(path)) {}

  absl::Status Open() {
    std::lock_guard lock(mutex_);
    sqlite3* db = nullptr;
    const int code =
        sqlite3_open_v2(path_.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    db_.reset(db);
    if (code != SQLITE_OK) return Error(code, "opening");
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, kBusyTimeoutMillis);
    if (const int made =
            sqlite3_create_function_v2(db, "wallaby_now", 0, SQLITE_UTF8, nullptr, Now, nullptr, nullptr, nullptr);
        made != SQLITE_OK) {
      return Error(made, "preparing");
    }
    // FULL: in WAL mode each commit is synced, so that a checkpoint that was reported stored survives a power cut.
    return Script("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON");
  }

  absl::Status Transact(SqlAccess access, Body body) override {
    std::lock_guard lock(mutex_);
    // A writer takes its lock at once: one that starts as a reader could not wait for another writer later.
    RETURN_IF_ERROR(Run(access == SqlAccess::kWrite ? "BEGIN IMMEDIATE" : "BEGIN"));
    auto rollback = absl::MakeCleanup([this] { Run("ROLLBACK").IgnoreError(); });
    RETURN_IF_ERROR(body(*this));
    const bool writes = access == SqlAccess::kWrite;
    if (writes) RETURN_IF_ERROR(ReachFailpoint(Failpoint::kStoreCommitBefore));
    RETURN_IF_ERROR(Run("COMMIT"));
    std::move(rollback).Cancel();
    return writes ? ReachFailpoint(Failpoint::kStoreCommitAfter) : absl::OkStatus();
  }

  const std::string& description() const override { return path_; }

 private:
  SqlDialect dialect() const override { return SqlDialect::kSqlite; }
  absl::Status Lock(int64_t) override { return absl::OkStatus(); }

  absl::Status Run(std::string_view sql) { return Query(sql, {}).status(); }

  absl::Status Script(std::string_view sql) override {
    const std::string text = RenderSql(sql, SqlDialect::kSqlite);
    const int code = sqlite3_exec(db_.get(), text.c_str(), nullptr, nullptr, nullptr);
    return code == SQLITE_OK ? absl::OkStatus() : Error(code, "running a script");
  }

  absl::StatusOr<SqlRows> Query(std::string_view sql, const std::vector<SqlValue>& params) override {
    ASSIGN_OR_RETURN(sqlite3_stmt* const statement, Prepared(sql));
    const absl::Cleanup reset = [statement] {
      sqlite3_reset(statement);
      sqlite3_clear_bindings(statement);
    };
    for (size_t i = 0; i < params.size(); ++i) {
      const int code = Bind(statement, static_cast<int>(i) + 1, params[i]);
      if (code != SQLITE_OK) return Error(code, "binding a value");
    }
    const int columns = sqlite3_column_count(statement);
    std::vector<std::optional<std::string>> values;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
      for (int column = 0; column < columns; ++column) values.push_back(Value(statement, column));
    }
    if (code != SQLITE_DONE) return Error(code, "running a statement");
    return SqlRows(columns, std::move(values));
  }

  // The store's statements are a fixed set, so the cache is bounded by it.
  absl::StatusOr<sqlite3_stmt*> Prepared(std::string_view sql) {
    const auto found = statements_.find(std::string(sql));
    if (found != statements_.end()) return found->second.get();
    const std::string text = RenderSql(sql, SqlDialect::kSqlite);
    sqlite3_stmt* statement = nullptr;
    const int code = sqlite3_prepare_v3(db_.get(), text.c_str(), static_cast<int>(text.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (code != SQLITE_OK) return Error(code, "preparing a statement");
    statements_.emplace(std::string(sql), StatementPtr(statement));
    return statement;
  }

  static int Bind(sqlite3_stmt* statement, int index, const SqlValue& value) {
    if (const auto* number = std::get_if<int64_t>(&value)) return sqlite3_bind_int64(statement, index, *number);
    if (const auto* real = std::get_if<double>(&value)) return sqlite3_bind_double(statement, index, *real);
    if (const auto* text = std::get_if<std::string>(&value)) {
      return sqlite3_bind_text(statement, index, text->data(), static_cast<int>(text->size()), SQLITE_STATIC);
    }
    return sqlite3_bind_null(statement, index);
  }

  static std::optional<std::string> Value(sqlite3_stmt* statement, int column) {
    if (sqlite3_column_type(statement, column) == SQLITE_NULL) return std::nullopt;
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
    return std::string(text, sqlite3_column_bytes(statement, column));
  }

  absl::Status Error(int code, std::string_view doing) const {
    const std::string text = absl::StrCat("control store ", path_, ": ", doing, ": ",
                                          db_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(db_.get()));
    switch (code & 0xff) {
      case SQLITE_BUSY:
      case SQLITE_LOCKED:
        return absl::UnavailableError(absl::StrCat(text, "; another process has held it for over 10 s"));
      case SQLITE_FULL:
        return absl::ResourceExhaustedError(absl::StrCat(text, "; free some space"));
      case SQLITE_IOERR:
      case SQLITE_CANTOPEN:
        return absl::UnavailableError(text);
      case SQLITE_PERM:
      case SQLITE_READONLY:
        return absl::PermissionDeniedError(absl::StrCat(text, "; the file must be writable by this user"));
      case SQLITE_NOTADB:
      case SQLITE_CORRUPT:
        return absl::DataLossError(
            absl::StrCat(text, "; move it away or restore a copy, or set WALLABY_DATA_DIR to another folder"));
      case SQLITE_CONSTRAINT:
        return absl::InvalidArgumentError(text);
      default:
        return absl::InternalError(text);
    }
  }

  const std::string path_;
  // Held for a whole transaction; the private members below it are used only then.
  std::mutex mutex_;
  std::unique_ptr<sqlite3, Freer<sqlite3_close_v2>> db_;
  std::unordered_map<std::string, StatementPtr> statements_;  // goes before db_
};

}  // namespace

absl::StatusOr<std::unique_ptr<SqlDatabase>> OpenSqliteDatabase(const std::string& path) {
  RETURN_IF_ERROR(MakePrivateFile(path));
  ASSIGN_OR_RETURN(const OpeningLock lock, OpeningLock::Take(path));
  auto database = std::make_unique<SqliteDatabase>(path);
  RETURN_IF_ERROR(database->Open());
  return database;
}

absl::StatusOr<std::unique_ptr<SqlDatabase>> OpenMemoryDatabase() {
  auto database = std::make_unique<SqliteDatabase>(":memory:");
  RETURN_IF_ERROR(database->Open());
  return database;
}

}  // namespace wallaby

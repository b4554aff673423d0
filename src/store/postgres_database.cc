// PostgreSQL behind SqlDatabase: a few connections, each used by one transaction at a time.
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/failpoint.h"
#include "base/status.h"
#include "flow/flow.h"
#include "postgres/connection.h"
#include "store/sql_database.h"

namespace wallaby {
namespace {

constexpr int kMaxConnections = 4;

class PostgresSession final : public SqlSession {
 public:
  explicit PostgresSession(PgConnection* connection) : connection_(connection) {}
  SqlDialect dialect() const override { return SqlDialect::kPostgres; }

  absl::StatusOr<SqlRows> Query(std::string_view sql, const std::vector<SqlValue>& params) override {
    std::vector<SqlParam> texts;
    texts.reserve(params.size());
    for (const SqlValue& value : params) texts.push_back(ParamText(value));
    ASSIGN_OR_RETURN(const PgRows rows, connection_->Query(RenderSql(sql, SqlDialect::kPostgres), texts));
    std::vector<std::optional<std::string>> values;
    for (int row = 0; row < rows.size(); ++row) {
      for (int column = 0; column < rows.columns(); ++column) {
        if (rows.IsNull(row, column)) {
          values.emplace_back();
        } else {
          values.emplace_back(rows.Text(row, column));
        }
      }
    }
    return SqlRows(rows.columns(), std::move(values));
  }

  absl::Status Script(std::string_view sql) override {
    return connection_->Execute(RenderSql(sql, SqlDialect::kPostgres));
  }

  absl::Status Lock(int64_t number) override {
    // Our own half of the space of advisory locks: "wall" as the first of the two numbers.
    return Query("SELECT pg_advisory_xact_lock(2002873452, CAST($1 AS INTEGER))", {number}).status();
  }

 private:
  static SqlParam ParamText(const SqlValue& value) {
    if (const auto* number = std::get_if<int64_t>(&value)) return absl::StrCat(*number);
    if (const auto* text = std::get_if<std::string>(&value)) return *text;
    if (const auto* real = std::get_if<double>(&value)) return absl::StrCat(*real);
    return std::nullopt;
  }

  PgConnection* connection_;
};

class PostgresDatabase final : public SqlDatabase {
 public:
  explicit PostgresDatabase(std::string dsn) : dsn_(std::move(dsn)), shown_(RedactDsn(dsn_)) {}

  absl::Status Transact(SqlAccess access, Body body) override {
    Slot slot(this);
    ConnectionPtr connection = slot.TakeIdle();
    if (connection == nullptr) {
      ASSIGN_OR_RETURN(connection, Connect());
    }
    bool committing = false;
    const absl::Status status = Attempt(access, body, std::move(connection), &slot, &committing);
    if (!IsTransient(status) || committing) return status;
    // The connection was lost, most likely while it stood idle. Idle ones that are left are no better: make a new one.
    ASSIGN_OR_RETURN(connection, Connect());
    return Attempt(access, body, std::move(connection), &slot, &committing);
  }

  const std::string& description() const override { return shown_; }

 private:
  using ConnectionPtr = std::unique_ptr<PgConnection>;

  // The right to use a connection; waits while all are in use.
  class Slot {
   public:
    explicit Slot(PostgresDatabase* database) : database_(database) {
      std::unique_lock lock(database_->mutex_);
      database_->freed_.wait(lock, [database] { return database->in_use_ < kMaxConnections; });
      ++database_->in_use_;
    }
    ~Slot() {
      std::lock_guard lock(database_->mutex_);
      --database_->in_use_;
      database_->freed_.notify_one();
    }
    ConnectionPtr TakeIdle() {
      std::lock_guard lock(database_->mutex_);
      if (database_->idle_.empty()) return nullptr;
      ConnectionPtr connection = std::move(database_->idle_.back());
      database_->idle_.pop_back();
      return connection;
    }
    void GiveBack(ConnectionPtr connection) {
      std::lock_guard lock(database_->mutex_);
      database_->idle_.push_back(std::move(connection));
    }

   private:
    PostgresDatabase* database_;
  };

  absl::StatusOr<ConnectionPtr> Connect() const {
    ConnectOptions options;
    options.application_name = "wallaby control store";
    options.answer_limit = kSilenceLimit;
    // A process that hangs within a transaction must not keep a lease's row locked for ever.
    options.settings["idle_in_transaction_session_timeout"] = "60s";
    auto connection = PgConnection::Connect(dsn_, options);
    if (!connection.ok()) return Annotate(connection.status(), "control store");
    return connection;
  }

  // Runs the body once. The connection goes back to the pool only when it is known to be sound.
  absl::Status Attempt(SqlAccess access, Body body, ConnectionPtr connection, Slot* slot, bool* committing) {
    RETURN_IF_ERROR(connection->Execute(access == SqlAccess::kRead
                                            ? "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
                                            : "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"));
    PostgresSession session(connection.get());
    absl::Status status = body(session);
    if (status.ok() && access == SqlAccess::kWrite) status = ReachFailpoint(Failpoint::kStoreCommitBefore);
    if (!status.ok()) {
      if (connection->Execute("ROLLBACK").ok()) slot->GiveBack(std::move(connection));
      return status;
    }
    *committing = access == SqlAccess::kWrite;
    absl::Status committed = connection->Execute("COMMIT");
    if (committed.ok() && access == SqlAccess::kWrite) committed = ReachFailpoint(Failpoint::kStoreCommitAfter);
    if (!committed.ok()) {
      return Annotate(committed, "control store: while committing, so that the change may be in or not");
    }
    slot->GiveBack(std::move(connection));
    return absl::OkStatus();
  }

  const std::string dsn_;
  const std::string shown_;
  std::mutex mutex_;
  std::condition_variable freed_;  // a connection is no longer in use
  int in_use_ = 0;
  std::vector<ConnectionPtr> idle_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SqlDatabase>> OpenPostgresDatabase(const std::string& dsn) {
  return std::make_unique<PostgresDatabase>(dsn);
}

}  // namespace wallaby

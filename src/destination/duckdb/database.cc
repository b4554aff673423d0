#include "destination/duckdb/database.h"

#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "arrow-adbc/adbc.h"
#include "arrow/array/array_base.h"
#include "arrow/array/array_binary.h"
#include "arrow/c/bridge.h"
#include "arrow/record_batch.h"
#include "arrow/scalar.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "destination/duckdb/errors.h"
#include "destination/duckdb/row_stream.h"
#include "destination/options.h"

// The one symbol of libduckdb that is used by name; all else comes through the table of functions that it fills.
extern "C" AdbcStatusCode duckdb_adbc_init(int version, void* driver, AdbcError* error);

namespace wallaby {
namespace {

// Owns what a driver writes into an AdbcError.
class Error {
 public:
  Error() = default;
  ~Error() { Clear(); }
  Error(const Error&) = delete;
  Error& operator=(const Error&) = delete;

  AdbcError* get() {
    Clear();
    return &error_;
  }
  std::string_view text() const { return error_.message == nullptr ? "DuckDB gave no reason" : error_.message; }
  absl::Status Status(AdbcStatusCode code, std::string_view doing) const {
    return code == ADBC_STATUS_OK ? absl::OkStatus() : DuckdbError(text(), doing);
  }

 private:
  void Clear() {
    if (error_.release != nullptr) error_.release(&error_);
    error_ = AdbcError{};
  }
  AdbcError error_{};
};

absl::StatusOr<const AdbcDriver*> Driver() {
  struct Loaded {
    AdbcDriver driver{};
    absl::Status status;
    Loaded() {
      Error error;
      const AdbcStatusCode code = duckdb_adbc_init(ADBC_VERSION_1_1_0, &driver, error.get());
      if (code != ADBC_STATUS_OK) {
        status =
            absl::FailedPreconditionError(absl::StrCat("libduckdb.so cannot be used through ADBC 1.1: ", error.text()));
      }
    }
  };
  static const Loaded* loaded = new Loaded;  // as long as the process
  if (!loaded->status.ok()) return loaded->status;
  return &loaded->driver;
}

// One statement, released at the end of its scope.
class Statement {
 public:
  Statement(const AdbcDriver* driver, AdbcConnection* connection) : driver_(driver) {
    ok_ = driver_->StatementNew(connection, &statement_, error_.get()) == ADBC_STATUS_OK;
  }
  ~Statement() {
    if (statement_.private_data != nullptr) driver_->StatementRelease(&statement_, error_.get());
  }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& Sql(const std::string& sql) {
    if (ok_) ok_ = driver_->StatementSetSqlQuery(&statement_, sql.c_str(), error_.get()) == ADBC_STATUS_OK;
    return *this;
  }
  Statement& Option(const char* key, const std::string& value) {
    if (ok_) ok_ = driver_->StatementSetOption(&statement_, key, value.c_str(), error_.get()) == ADBC_STATUS_OK;
    return *this;
  }
  // Takes the stream over.
  Statement& Bind(ArrowArrayStream* stream) {
    if (ok_) {
      ok_ = driver_->StatementBindStream(&statement_, stream, error_.get()) == ADBC_STATUS_OK;
    }
    if (stream->release != nullptr && !ok_) stream->release(stream);
    return *this;
  }
  // `out` null: the result is thrown away.
  absl::Status Run(ArrowArrayStream* out, int64_t* changed, std::string_view doing) {
    if (ok_) ok_ = driver_->StatementExecuteQuery(&statement_, out, changed, error_.get()) == ADBC_STATUS_OK;
    return ok_ ? absl::OkStatus() : DuckdbError(error_.text(), doing);
  }

 private:
  const AdbcDriver* driver_;
  AdbcStatement statement_{};
  Error error_;
  bool ok_;
};

std::mutex open_mutex;
std::condition_variable closed;  // some database has been closed
std::map<std::string, std::weak_ptr<DuckdbDatabase>>& OpenDatabases() {
  static auto* open = new std::map<std::string, std::weak_ptr<DuckdbDatabase>>;
  return *open;
}

// The same text for all ways of writing one path.
std::string CanonicalPath(const std::string& path) {
  std::error_code ignored;
  const auto canonical = std::filesystem::weakly_canonical(path, ignored);
  return canonical.empty() ? path : canonical.string();
}

}  // namespace

// ---- database ----

struct DuckdbDatabase::Impl {
  const AdbcDriver* driver = nullptr;
  AdbcDatabase database{};
  std::string path;

  ~Impl() {
    if (database.private_data == nullptr) return;
    Error error;
    driver->DatabaseRelease(&database, error.get());
  }

  absl::Status Open(const DuckdbSettings& settings) {
    Error error;
    const std::string doing = absl::StrCat("opening the DuckDB file ", path);
    RETURN_IF_ERROR(error.Status(driver->DatabaseNew(&database, error.get()), doing));
    auto set = [&](const char* key, const std::string& value) {
      return error.Status(driver->DatabaseSetOption(&database, key, value.c_str(), error.get()), doing);
    };
    RETURN_IF_ERROR(set("path", path));
    RETURN_IF_ERROR(set("memory_limit", absl::StrCat(settings.memory_limit, "B")));
    if (settings.threads > 0) RETURN_IF_ERROR(set("threads", absl::StrCat(settings.threads)));
    // A worker does not fetch code from the network while it runs.
    RETURN_IF_ERROR(set("autoinstall_known_extensions", "false"));
    return error.Status(driver->DatabaseInit(&database, error.get()), doing);
  }
};

absl::StatusOr<std::shared_ptr<DuckdbDatabase>> DuckdbDatabase::Open(const std::string& path,
                                                                     const DuckdbSettings& settings) {
  ASSIGN_OR_RETURN(const AdbcDriver* driver, Driver());
  auto impl = std::make_unique<Impl>();
  impl->driver = driver;
  impl->path = CanonicalPath(path);
  std::unique_lock lock(open_mutex);
  auto& open = OpenDatabases();
  for (auto it = open.find(impl->path); it != open.end(); it = open.find(impl->path)) {
    if (auto database = it->second.lock()) return database;
    closed.wait(lock);  // its last owner is about to close it
  }
  RETURN_IF_ERROR(impl->Open(settings));
  const std::string key = impl->path;
  // The constructor is private, so make_shared cannot be used.
  std::shared_ptr<DuckdbDatabase> database(new DuckdbDatabase(std::move(impl)));
  open.emplace(key, database);
  return database;
}

DuckdbDatabase::DuckdbDatabase(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

DuckdbDatabase::~DuckdbDatabase() {
  std::unique_lock lock(open_mutex);  // nobody may open the path while it is being closed
  OpenDatabases().erase(impl_->path);
  impl_.reset();
  closed.notify_all();
}

const std::string& DuckdbDatabase::path() const {
  return impl_->path;
}

std::string DuckdbTable::QuotedSchema() const {
  return absl::StrCat(catalog.empty() ? "" : absl::StrCat(SqlIdentifier(catalog), "."), SqlIdentifier(schema));
}

std::string DuckdbTable::Quoted() const {
  if (temporary) return absl::StrCat("temp.main.", SqlIdentifier(name));
  return absl::StrCat(QuotedSchema(), ".", SqlIdentifier(name));
}

// ---- connection ----

struct DuckdbConnection::Impl {
  std::shared_ptr<DuckdbDatabase> database;
  const AdbcDriver* driver = nullptr;
  AdbcConnection connection{};
  std::string catalog;

  ~Impl() {
    if (connection.private_data == nullptr) return;
    Error error;
    driver->ConnectionRelease(&connection, error.get());
  }
  std::string Doing(std::string_view what) const {
    return absl::StrCat(what, " in the DuckDB file ", database->path());
  }
};

DuckdbConnection::DuckdbConnection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DuckdbConnection::~DuckdbConnection() {
  if (impl_ != nullptr) Rollback();
}
const std::string& DuckdbConnection::path() const {
  return impl_->database->path();
}
const std::string& DuckdbConnection::catalog() const {
  return impl_->catalog;
}

absl::StatusOr<std::unique_ptr<DuckdbConnection>> DuckdbConnection::Connect(std::shared_ptr<DuckdbDatabase> database) {
  auto impl = std::make_unique<Impl>();
  impl->database = std::move(database);
  impl->driver = impl->database->impl_->driver;
  Error error;
  const AdbcDriver* driver = impl->driver;
  AdbcConnection* connection = &impl->connection;
  const std::string doing = impl->Doing("connecting");
  RETURN_IF_ERROR(error.Status(driver->ConnectionNew(connection, error.get()), doing));
  RETURN_IF_ERROR(
      error.Status(driver->ConnectionInit(connection, &impl->database->impl_->database, error.get()), doing));
  RETURN_IF_ERROR(error.Status(driver->ConnectionSetOption(connection, ADBC_CONNECTION_OPTION_AUTOCOMMIT,
                                                           ADBC_OPTION_VALUE_DISABLED, error.get()),
                               doing));
  std::unique_ptr<DuckdbConnection> result(new DuckdbConnection(std::move(impl)));
  RETURN_IF_ERROR(result->Execute("SET TimeZone = 'UTC'").status());
  ASSIGN_OR_RETURN(auto rows, result->Query("SELECT current_database()"));
  result->impl_->catalog = rows.at(0).at(0).value_or("");
  RETURN_IF_ERROR(result->Commit());
  return result;
}

absl::StatusOr<int64_t> DuckdbConnection::Execute(const std::string& sql) {
  Statement statement(impl_->driver, &impl_->connection);
  int64_t changed = 0;
  RETURN_IF_ERROR(statement.Sql(sql).Run(nullptr, &changed, impl_->Doing(sql.substr(0, 200))));
  return changed;
}

absl::StatusOr<std::vector<DuckdbRow>> DuckdbConnection::Query(const std::string& sql) {
  const std::string doing = impl_->Doing(sql.substr(0, 200));
  Statement statement(impl_->driver, &impl_->connection);
  ArrowArrayStream stream{};
  RETURN_IF_ERROR(statement.Sql(sql).Run(&stream, nullptr, doing));
  auto reader = arrow::ImportRecordBatchReader(&stream);
  if (!reader.ok()) return DuckdbError(reader.status().message(), doing);
  std::vector<DuckdbRow> result;
  while (true) {
    std::shared_ptr<arrow::RecordBatch> batch;
    if (auto status = (*reader)->ReadNext(&batch); !status.ok()) {
      return DuckdbError(status.message(), doing);
    }
    if (batch == nullptr) return result;
    for (int64_t row = 0; row < batch->num_rows(); ++row) {
      DuckdbRow& values = result.emplace_back();
      for (const auto& column : batch->columns()) {
        auto scalar = column->GetScalar(row);
        if (!scalar.ok()) return DuckdbError(scalar.status().message(), doing);
        const bool null = !(*scalar)->is_valid;
        values.push_back(null ? std::nullopt : std::optional((*scalar)->ToString()));
      }
    }
  }
}

absl::Status DuckdbConnection::Ingest(const DuckdbTable& table, RowStream* rows) {
  ArrowArrayStream stream{};
  RETURN_IF_ERROR(rows->Export(&stream));
  Statement statement(impl_->driver, &impl_->connection);
  statement.Option(ADBC_INGEST_OPTION_TARGET_TABLE, table.name);
  if (table.temporary) {
    statement.Option(ADBC_INGEST_OPTION_TEMPORARY, ADBC_OPTION_VALUE_ENABLED)
        .Option(ADBC_INGEST_OPTION_MODE, ADBC_INGEST_OPTION_MODE_CREATE);
  } else {
    statement.Option(ADBC_INGEST_OPTION_TARGET_CATALOG, table.catalog)
        .Option(ADBC_INGEST_OPTION_TARGET_DB_SCHEMA, table.schema)
        .Option(ADBC_INGEST_OPTION_MODE, ADBC_INGEST_OPTION_MODE_APPEND);
  }
  int64_t loaded = 0;
  const absl::Status status =
      statement.Bind(&stream).Run(nullptr, &loaded, impl_->Doing(absl::StrCat("loading ", table.name)));
  return rows->status().ok() ? status : rows->status();
}

absl::Status DuckdbConnection::Commit() {
  Error error;
  return error.Status(impl_->driver->ConnectionCommit(&impl_->connection, error.get()), impl_->Doing("committing"));
}

void DuckdbConnection::Rollback() {
  Error error;  // nothing to roll back is no error here
  impl_->driver->ConnectionRollback(&impl_->connection, error.get());
}

}  // namespace wallaby

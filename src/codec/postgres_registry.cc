#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/status.h"
#include "codec/registries.h"
#include "postgres/connection.h"

namespace wallaby {
namespace {

// Whoever comes first makes it; two at once are one.
constexpr const char* kMakeTable =
    "SELECT pg_advisory_xact_lock(hashtext('wallaby.schemas'));"
    "CREATE SCHEMA IF NOT EXISTS wallaby;"
    "CREATE TABLE IF NOT EXISTS wallaby.schemas ("
    " id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " subject text NOT NULL,"
    " version integer NOT NULL,"
    " type text NOT NULL,"
    " schema text NOT NULL,"
    " created_at timestamptz NOT NULL DEFAULT now(),"
    " UNIQUE (subject, version))";

const char* TypeName(SchemaType type) {
  return type == SchemaType::kAvro ? "AVRO" : "PROTOBUF";
}

class PostgresRegistry : public SchemaRegistry {
 public:
  explicit PostgresRegistry(const RegistryOptions& options) : dsn_(options.dsn) {}

  absl::StatusOr<RegisteredSchema> Register(const std::string& subject, SchemaType type,
                                            const std::string& schema) override {
    absl::MutexLock lock(&mutex_);
    return Run([&](PgConnection& sql) -> absl::StatusOr<RegisteredSchema> {
      // Looked up first: a role that may read needs no more where somebody else puts the schemas in.
      absl::StatusOr<RegisteredSchema> result = Find(sql, subject, type, schema);
      if (result.ok() || !absl::IsNotFound(result.status())) return result;
      RETURN_IF_ERROR(sql.Execute(absl::StrCat("BEGIN;", kMakeTable)));
      result = Find(sql, subject, type, schema);  // another may have been quicker
      if (absl::IsNotFound(result.status())) result = Add(sql, subject, type, schema);
      RETURN_IF_ERROR(sql.Execute(result.ok() ? "COMMIT" : "ROLLBACK"));
      return result;
    });
  }

  absl::StatusOr<RegisteredSchema> Lookup(const std::string& subject, SchemaType type,
                                          const std::string& schema) override {
    absl::MutexLock lock(&mutex_);
    return Run([&](PgConnection& sql) { return Find(sql, subject, type, schema); });
  }

  absl::Status Check(const std::string& subject, SchemaType type, const std::string& schema) override {
    absl::MutexLock lock(&mutex_);
    const auto result = Run([&](PgConnection& sql) -> absl::StatusOr<RegisteredSchema> {
      const absl::Status status = Fits(sql, subject, type, schema);
      if (!status.ok() && !absl::IsNotFound(status)) return status;  // not found: no table yet
      return RegisteredSchema{};
    });
    return result.status();
  }

 private:
  // With a connection, which is made anew when the last one was lost or left in a transaction.
  template <typename Work>
  absl::StatusOr<RegisteredSchema> Run(Work work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (connection_ == nullptr) {
      auto connected = PgConnection::Connect(dsn_, {.answer_limit = kSilenceLimit});
      if (!connected.ok()) return Annotate(connected.status(), "schema registry in PostgreSQL");
      connection_ = *std::move(connected);
    }
    absl::StatusOr<RegisteredSchema> result = work(*connection_);
    const bool answer = result.ok() || absl::IsNotFound(result.status()) || absl::IsFailedPrecondition(result.status());
    if (!answer) connection_.reset();
    return result.ok() ? result : Annotate(result.status(), "schema registry in PostgreSQL");
  }

  static absl::StatusOr<RegisteredSchema> Find(PgConnection& sql, const std::string& subject, SchemaType type,
                                               const std::string& schema) {
    ASSIGN_OR_RETURN(
        const PgRows rows,
        sql.Query("SELECT id, version FROM wallaby.schemas WHERE subject = $1 AND type = $2 AND schema = $3"
                  " ORDER BY version DESC LIMIT 1",
                  {subject, TypeName(type), schema}));
    if (rows.size() == 0) return absl::NotFoundError(absl::StrCat("there is no such schema under subject ", subject));
    return ConfluentSchema(static_cast<int32_t>(rows.Int(0, 0)), static_cast<int>(rows.Int(0, 1)));
  }

  // The subject's last schema is compatible.
  static absl::Status Fits(PgConnection& sql, const std::string& subject, SchemaType type, const std::string& schema) {
    ASSIGN_OR_RETURN(
        const PgRows rows,
        sql.Query("SELECT schema, type FROM wallaby.schemas WHERE subject = $1 ORDER BY version DESC LIMIT 1",
                  {subject}));
    if (rows.size() == 0) return absl::OkStatus();
    return MayFollow(subject, type, schema, rows.Text(0, 1) == TypeName(type), std::string(rows.Text(0, 0)));
  }

  // Within the transaction that holds the lock.
  static absl::StatusOr<RegisteredSchema> Add(PgConnection& sql, const std::string& subject, SchemaType type,
                                              const std::string& schema) {
    RETURN_IF_ERROR(Fits(sql, subject, type, schema));
    ASSIGN_OR_RETURN(const PgRows rows,
                     sql.Query("INSERT INTO wallaby.schemas (subject, version, type, schema) SELECT $1,"
                               " coalesce(max(version), 0) + 1, $2, $3 FROM wallaby.schemas WHERE subject = $1"
                               " RETURNING id, version",
                               {subject, TypeName(type), schema}));
    return ConfluentSchema(static_cast<int32_t>(rows.Int(0, 0)), static_cast<int>(rows.Int(0, 1)));
  }

  const std::string dsn_;
  absl::Mutex mutex_;
  std::unique_ptr<PgConnection> connection_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<SchemaRegistry> MakePostgresRegistry(const RegistryOptions& options) {
  return std::make_unique<PostgresRegistry>(options);
}

}  // namespace wallaby

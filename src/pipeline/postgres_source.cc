#include "pipeline/postgres_source.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "pipeline/toast_filler.h"
#include "postgres/ddl_capture.h"
#include "postgres/linked_tables.h"
#include "postgres/session_watch.h"

namespace wallaby {
namespace {

class PostgresSession final : public SourceSession {
 public:
  PostgresSession(std::unique_ptr<PgConnection> sql, const SourceOptions& options)
      : sql_(std::move(sql)), types_(options.resolve_types ? sql_.get() : nullptr), options_(options) {}

  TypeCatalog& types() override { return types_; }
  absl::StatusOr<std::vector<std::string>> PrimaryKey(uint32_t relation_oid) override {
    return PrimaryKeyColumns(*sql_, relation_oid);
  }

  absl::StatusOr<std::optional<SlotInfo>> GetSlot() override { return wallaby::GetSlot(*sql_, options_.slot); }
  absl::Status DropSlot() override { return wallaby::DropSlot(*sql_, options_.slot); }
  absl::StatusOr<ServerInfo> GetServerInfo() override { return wallaby::GetServerInfo(*sql_); }
  absl::StatusOr<std::optional<Lsn>> EndOfTimeline(int timeline) override {
    return wallaby::EndOfTimeline(options_.dsn, timeline);
  }
  absl::StatusOr<std::optional<Transaction>> LastSent(Lsn upto, Sent sent) override {
    return wallaby::LastSent(*sql_, options_.slot, options_.publication, upto, sent);
  }
  absl::StatusOr<std::vector<Finding>> Check() override { return CheckSource(*sql_, options_); }
  absl::StatusOr<PublicationChange> EnsurePublication() override {
    return wallaby::EnsurePublication(*sql_, options_.publication, options_.publication_tables,
                                      options_.publication_schemas, options_.sync_publication,
                                      options_.sync_publication_mode);
  }
  absl::Status EnsureDdlCapture() override { return wallaby::EnsureDdlCapture(*sql_, options_); }

  absl::StatusOr<std::vector<Relation>> LinkedTables(const std::vector<uint32_t>& oids) override {
    return wallaby::LinkedTables(*sql_, oids);
  }

  absl::Status Enter(const SourceSnapshot& snapshot) override {
    return sql_->Execute(absl::StrCat("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT ",
                                      SqlLiteral(snapshot.name)));
  }
  absl::StatusOr<std::vector<PublishedTable>> PublishedTables() override {
    return wallaby::PublishedTables(*sql_, options_.publication, types_);
  }
  absl::StatusOr<TableShape> ShapeFromCatalog(const Relation& announced) override {
    return wallaby::ShapeFromCatalog(*sql_, announced);
  }
  std::unique_ptr<pgoutput::AbsentFiller> MakeFiller() override { return MakeToastFiller(options_, sql_.get()); }

  absl::StatusOr<uint32_t> TableFile(const Relation& relation) override { return wallaby::TableFile(*sql_, relation); }
  absl::StatusOr<std::vector<TablePart>> PlanTableParts(const PublishedTable& table,
                                                        const PartitionOptions& options) override {
    return wallaby::PlanTableParts(*sql_, table, options);
  }
  absl::Status CopyTablePart(
      const PublishedTable& table, const TablePart& part, const SourceSnapshot& snapshot, size_t batch_bytes,
      const std::function<absl::Status(std::unique_ptr<ChangeBatch>, bool last)>& emit) override {
    if (watch_ == nullptr) {
      ASSIGN_OR_RETURN(watch_, SessionWatch::Start(sql_.get(), options_.dsn));
    }
    const absl::Status status =
        wallaby::CopyTablePart(*sql_, table, part, snapshot.name, snapshot.consistent, batch_bytes, emit);
    if (!status.ok()) RETURN_IF_ERROR(watch_->status());
    return status;
  }

  absl::StatusOr<std::unique_ptr<ReplicationStream>> StartReplication(StreamOptions options) override {
    options.dsn = options_.dsn;
    options.slot = options_.slot;
    options.publication = options_.publication;
    options.catch_up_bytes = options_.catch_up;
    options.sql = sql_.get();
    // Asked by the thread that reads the stream, and no longer for anything that may take its time.
    sql_->set_answer_limit(sql_->silence_limit());
    return wallaby::StartReplication(options);
  }

 private:
  const std::unique_ptr<PgConnection> sql_;
  std::unique_ptr<SessionWatch> watch_;  // while it copies
  TypeCatalog types_;
  const SourceOptions& options_;
};

struct PostgresSnapshot final : SourceSnapshot {
  explicit PostgresSnapshot(std::unique_ptr<SlotSnapshot> made) : slot(std::move(made)) {
    name = slot->snapshot();
    consistent = slot->consistent();
  }
  const std::unique_ptr<SlotSnapshot> slot;
};

class PostgresSource final : public Source {
 public:
  explicit PostgresSource(const SourceOptions& options) : options_(options) {}

  absl::StatusOr<std::unique_ptr<SourceSession>> Connect() override { return ConnectWith({}); }
  absl::StatusOr<std::unique_ptr<SourceSession>> ConnectMonitor() override {
    // The thread that asks it renews the lease, too.
    return ConnectWith({.connect_timeout = absl::Seconds(2),
                        .application_name = "wallaby monitor",
                        .answer_limit = absl::Seconds(4),
                        .settings = {{"statement_timeout", "2000"}}});
  }
  absl::StatusOr<std::unique_ptr<SourceSnapshot>> CreateSlot() override {
    return Snapshot(options_.slot, /*temporary=*/false, options_.failover);
  }
  absl::StatusOr<std::unique_ptr<SourceSnapshot>> TakeSnapshot(const std::string& name) override {
    return Snapshot(name, /*temporary=*/true, /*failover=*/false);
  }

 private:
  absl::StatusOr<std::unique_ptr<SourceSession>> ConnectWith(const ConnectOptions& how) const {
    ASSIGN_OR_RETURN(auto sql, PgConnection::Connect(options_.dsn, how));
    return std::make_unique<PostgresSession>(std::move(sql), options_);
  }
  absl::StatusOr<std::unique_ptr<SourceSnapshot>> Snapshot(const std::string& slot, bool temporary,
                                                           bool failover) const {
    ASSIGN_OR_RETURN(auto made, SlotSnapshot::Create(options_.dsn, slot, temporary, failover));
    return std::make_unique<PostgresSnapshot>(std::move(made));
  }

  const SourceOptions& options_;
};

}  // namespace

std::unique_ptr<Source> MakePostgresSource(const SourceOptions& options) {
  return std::make_unique<PostgresSource>(options);
}

}  // namespace wallaby

#include "destination/pgstream/pgstream_destination.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "destination/payload_codec.h"
#include "destination/pgstream/pgstream_options.h"
#include "destination/pgstream/stream_writer.h"
#include "destination/postgres/progress.h"
#include "destination/postgres/session.h"
#include "destination/registry.h"
#include "stream/segments.h"

namespace wallaby {
namespace {

constexpr absl::Duration kRetentionInterval = absl::Minutes(1);

std::string& StoreDsn() {
  static std::string* dsn = new std::string;  // never destroyed: destinations may outlive main()
  return *dsn;
}

class PgstreamDestination : public Destination {
 public:
  PgstreamDestination(DestinationConfig config, PgstreamOptions options, std::unique_ptr<Codec> codec)
      : config_(std::move(config)),
        options_(std::move(options)),
        progress_(config_, options_.table),
        codec_(std::move(codec)) {}

  absl::StatusOr<Progress> Open() override {
    Close();
    auto progress = OpenSession();
    if (!progress.ok()) Close();
    return progress;
  }

  // The codec looks at a table when its first record comes: before that it would register a schema.
  absl::Status CheckTable(const Relation& relation) override {
    RETURN_IF_ERROR(CheckOpen());
    return writer_->CheckNotOwn(relation);
  }

  absl::Status Write(const ChangeBatch& batch) override {
    RETURN_IF_ERROR(CheckOpen());
    session_->Begin();
    return CloseOnError(writer_->Write(batch, *codec_));
  }

  absl::Status Commit(const CommitPoint& point) override {
    RETURN_IF_ERROR(CheckOpen());
    const bool moves = point.commit.valid() || !point.finished_parts.empty();
    if (!session_->in_transaction() && !moves) return absl::OkStatus();
    session_->Begin();
    RETURN_IF_ERROR(CloseOnError(session_->Commit(writer_->CommitSql() + progress_.CommitSql(point))));
    writer_->AfterCommit();
    return CloseOnError(Retain());
  }

  // Age goes on while nothing arrives, and consumers acknowledge what is kept for them.
  absl::Status Tend() override {
    RETURN_IF_ERROR(CheckOpen());
    return session_->in_transaction() ? absl::OkStatus() : CloseOnError(Retain());
  }

  absl::Status ResetSnapshot(const Relation& relation, std::string_view part_prefix) override {
    RETURN_IF_ERROR(CheckNothingOpen(absl::StrCat("the snapshot of ", relation.QualifiedName(), " starts over")));
    session_->Begin();
    RETURN_IF_ERROR(CloseOnError(writer_->DeleteSnapshot(relation)));
    return CloseOnError(session_->Commit(progress_.ForgetPartsSql(part_prefix)));
  }

  std::vector<std::string> DdlStatements(const SchemaChange& change) const override {
    return {absl::StrCat("-- messages of ", change.Table(), " have the new shape from here on")};
  }
  absl::Status ApplyDdl(const SchemaChange&) override { return absl::OkStatus(); }

 private:
  absl::StatusOr<Progress> OpenSession() {
    ASSIGN_OR_RETURN(session_, Session::Connect(options_.dsn));
    if (session_->server_major() < 14) {
      return absl::FailedPreconditionError(
          absl::StrCat("the stream's database is PostgreSQL ", session_->server_major(), "; use version 14 or newer"));
    }
    RETURN_IF_ERROR(CheckNotPublished());
    RETURN_IF_ERROR(progress_.Ensure(*session_));
    ASSIGN_OR_RETURN(Progress progress, progress_.TakeOver(*session_));
    writer_ = std::make_unique<StreamWriter>(*session_, config_, options_, codec_->format());
    RETURN_IF_ERROR(writer_->TakeOver());
    return progress;
  }

  // That a table made in the stream's schema would not come back by the source's publication, where the stream is in
  // the source's own database. Before one is made: other flows would copy it.
  absl::Status CheckNotPublished() {
    if (config_.publication.empty()) return absl::OkStatus();
    const std::string name = SqlLiteral(config_.publication), schema = SqlLiteral(options_.schema);
    std::string by_schema = "false";
    if (session_->server_major() >= 15) {
      by_schema = absl::StrCat(
          "EXISTS (SELECT FROM pg_catalog.pg_publication_namespace n JOIN pg_catalog.pg_namespace s ON s.oid = "
          "n.pnnspid WHERE n.pnpubid = p.oid AND s.nspname = ",
          schema, ")");
    }
    ASSIGN_OR_RETURN(const PgRows rows,
                     session_->Query(absl::StrCat("SELECT FROM pg_catalog.pg_publication p WHERE p.pubname = ", name,
                                                  " AND (p.puballtables OR ", by_schema, ")")));
    if (rows.size() == 0) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat(
        "publication ", config_.publication, " of the stream's database publishes every table of schema ",
        options_.schema,
        ", so that the stream would carry its own tables and never end; give the destination another database, or by "
        "option schema another schema, or make a publication that leaves this schema out. Nothing was made"));
  }

  absl::Status Rotate() {
    session_->Begin();
    RETURN_IF_ERROR(writer_->Rotate());
    return session_->Commit(writer_->FenceSql());
  }

  // Drops old segments when one may be due. A database that cannot be reached now is told of by the next commit.
  absl::Status Retain() {
    if (options_.retention.keeps_all()) return absl::OkStatus();
    if (!writer_->TakeRotated() && absl::Now() - retained_at_ < kRetentionInterval) return absl::OkStatus();
    retained_at_ = absl::Now();
    if (writer_->RotationIsDue()) RETURN_IF_ERROR(Rotate());
    // On a connection of its own: an error, such as a lock that is not to be had, spoils the session.
    const auto sql = PgConnection::Connect(options_.dsn);
    if (!sql.ok()) return absl::OkStatus();
    const absl::Status status =
        DropSegments(**sql, StreamTables(options_.schema), writer_->stream_id(), options_.retention).status();
    return IsTransient(status) ? absl::OkStatus() : status;
  }

  absl::Status CheckNothingOpen(std::string_view doing) const {
    RETURN_IF_ERROR(CheckOpen());
    if (!session_->in_transaction()) return absl::OkStatus();
    return absl::InternalError(absl::StrCat(doing, " while changes are not committed"));
  }

  absl::Status CheckOpen() const {
    if (writer_ != nullptr) return absl::OkStatus();
    return absl::FailedPreconditionError("the pgstream destination is not open: call Open() after an error");
  }

  // The server rolls back what an ended connection left open.
  absl::Status CloseOnError(absl::Status status) {
    if (!status.ok()) Close();
    return status;
  }

  void Close() {
    writer_.reset();
    session_.reset();
  }

  const DestinationConfig config_;
  const PgstreamOptions options_;
  const ProgressTables progress_;
  const std::unique_ptr<Codec> codec_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<StreamWriter> writer_;  // of session_; null: not open
  absl::Time retained_at_;
};

absl::Status Make(const DestinationConfig& config, std::unique_ptr<Destination>* out) {
  ASSIGN_OR_RETURN(PgstreamOptions options, ParsePgstreamOptions(config));
  if (options.dsn.empty()) options.dsn = StoreDsn();
  if (options.dsn.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("option dsn of destination '", config.name,
                     "' is missing; it must be a PostgreSQL connection string, as the control store is not in "
                     "PostgreSQL (WALLABY_POSTGRES_DSN)"));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<Codec> codec, MakePayloadCodec(config, options.table, nullptr));
  *out = std::make_unique<PgstreamDestination>(config, std::move(options), std::move(codec));
  return absl::OkStatus();
}

}  // namespace

void RegisterPgstreamDestination(std::string store_dsn) {
  StoreDsn() = std::move(store_dsn);
  RegisterDestination("pgstream", Make);
}

}  // namespace wallaby

#include "postgres/table_copy.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "postgres/copy_rows.h"

namespace wallaby {
namespace {

using Emit = std::function<absl::Status(std::unique_ptr<ChangeBatch>, bool last)>;

// Tables that inherit from this one are published by themselves; partitions are not.
std::string From(const PublishedTable& table) {
  return absl::StrCat(table.partitioned_root ? "" : "ONLY ", SqlTable(table.relation.schema, table.relation.name));
}

std::string CopyCommand(const PublishedTable& table, const TablePart& part, bool binary) {
  const Relation& relation = table.relation;
  const std::string columns = absl::StrJoin(relation.columns, ", ", [](std::string* out, const Column& column) {
    absl::StrAppend(out, SqlIdentifier(column.name));
  });
  std::string select = absl::StrCat("SELECT ", columns, " FROM ", From(table));
  std::vector<std::string> conditions;
  for (const std::string& condition : {part.condition, table.row_filter}) {
    if (!condition.empty()) conditions.push_back(absl::StrCat("(", condition, ")"));
  }
  if (!conditions.empty()) absl::StrAppend(&select, " WHERE ", absl::StrJoin(conditions, " AND "));
  return absl::StrCat("COPY (", select, ") TO STDOUT", binary ? " (FORMAT binary)" : "");
}

// Gathers rows into batches and hands them on.
class Batches {
 public:
  Batches(const PublishedTable& table, const TablePart& part, const Transaction& transaction, size_t batch_bytes,
          const Emit& emit)
      : relation_(std::make_shared<Relation>(table.relation)),
        part_(part.name),
        transaction_(transaction),
        batch_bytes_(batch_bytes),
        emit_(emit) {
    Begin();
  }

  std::string* arena() { return batch_->arena(); }
  std::vector<uint64_t>* rows() { return &rows_; }

  // Takes the rows that the reader has put into arena() and rows().
  absl::Status Added() {
    for (const uint64_t offset : rows_) {
      Change change;
      change.kind = ChangeKind::kRead;
      change.relation = relation_index_;
      change.seq = seq_++;
      change.new_row = offset;
      batch_->AddChange(change);
    }
    rows_.clear();
    return arena()->size() + batch_->change_count() * sizeof(Change) >= batch_bytes_ ? Flush(false) : absl::OkStatus();
  }

  absl::Status Flush(bool last) {
    std::unique_ptr<ChangeBatch> full = std::move(batch_);
    if (!last) Begin();
    return emit_(std::move(full), last);
  }

 private:
  void Begin() {
    batch_ = std::make_unique<ChangeBatch>();
    batch_->set_snapshot_part(part_);
    batch_->AddTransaction(transaction_);
    relation_index_ = batch_->AddRelation(relation_);
  }

  RelationPtr relation_;
  std::string part_;
  Transaction transaction_;
  size_t batch_bytes_;
  const Emit& emit_;
  std::unique_ptr<ChangeBatch> batch_;
  uint32_t relation_index_ = 0;
  uint32_t seq_ = 0;
  std::vector<uint64_t> rows_;
};

absl::Status Again(const PublishedTable& table, std::string_view why) {
  return absl::AbortedError(absl::StrCat("copying ", table.relation.QualifiedName(), ": ", why,
                                         "; its copy begins again from a new snapshot"));
}

// CANCELLED means to callers that they ended the copy themselves; this is somebody else's pg_cancel_backend.
absl::Status FromServer(const PublishedTable& table, const absl::Status& status) {
  return absl::IsCancelled(status) ? Again(table, status.message()) : status;
}

// A transaction that sees the exported snapshot and the table as it was planned. Gives the time of its begin.
absl::StatusOr<int64_t> BeginCopy(PgConnection& sql, const PublishedTable& table, const TablePart& part,
                                  const std::string& snapshot) {
  const absl::Status begun = sql.Execute(absl::StrCat(
      "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT ", SqlLiteral(snapshot),
      "; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;"
      " SET LOCAL jit = off; SET LOCAL search_path = pg_catalog;"
      // An error instead of rows that a policy silently leaves out.
      " SET LOCAL row_security = off"));
  if (!begun.ok()) {
    if (IsTransient(begun)) return begun;
    return Again(table, absl::StrCat("the exported snapshot cannot be used, its replication connection may be lost (",
                                     begun.message(), ")"));
  }
  // Locks the table against rewriting, with no more right than the copy itself needs.
  const absl::Status locked = sql.Execute(absl::StrCat("SELECT FROM ", From(table), " LIMIT 0"));
  if (absl::IsNotFound(locked)) return Again(table, "the table has been dropped or renamed");
  RETURN_IF_ERROR(FromServer(table, locked));
  ASSIGN_OR_RETURN(const PgRows now,
                   sql.Query("SELECT pg_catalog.pg_relation_filenode($1),"
                             " (extract(epoch FROM pg_catalog.transaction_timestamp()) * 1000000)::bigint",
                             {absl::StrCat(table.relation.oid)}));
  if (part.file != 0 && now.Int(0, 0) != part.file) return Again(table, "the table has been rewritten or truncated");
  return now.Int(0, 1);
}

// Ends a COPY that nobody wants to the end.
void Abandon(PgConnection& sql) {
  (void)sql.Cancel();
  std::string_view ignored;
  absl::StatusOr<bool> more = true;
  while (more.ok() && *more) more = sql.GetCopyRow(&ignored);
}

absl::Status ReadRows(PgConnection& sql, const PublishedTable& table, Batches& batches, bool binary) {
  CopyRows reader(binary, static_cast<int>(table.relation.columns.size()));
  std::string_view bytes;
  while (true) {
    const absl::StatusOr<bool> more = sql.GetCopyRow(&bytes);
    RETURN_IF_ERROR(FromServer(table, more.status()));
    if (!*more) return reader.Finish();
    absl::Status status = reader.Feed(bytes, batches.arena(), batches.rows());
    if (status.ok()) status = batches.Added();
    if (!status.ok()) {
      Abandon(sql);
      return status;
    }
  }
}

absl::Status CopyInTransaction(PgConnection& sql, const PublishedTable& table, const TablePart& part,
                               const std::string& snapshot, Lsn consistent, size_t batch_bytes, const Emit& emit) {
  Transaction transaction;
  transaction.commit = transaction.end = consistent;
  ASSIGN_OR_RETURN(transaction.commit_time_micros, BeginCopy(sql, table, part, snapshot));
  const std::vector<Column>& columns = table.relation.columns;
  const bool binary = std::all_of(columns.begin(), columns.end(), [](const Column& c) { return c.type.binary; });
  const absl::Status begun = sql.BeginCopyOut(CopyCommand(table, part, binary));
  if (absl::StrContains(begun.message(), "SQLSTATE 42703")) return Again(table, "a column has been dropped or renamed");
  RETURN_IF_ERROR(FromServer(table, begun));
  Batches batches(table, part, transaction, batch_bytes, emit);
  RETURN_IF_ERROR(ReadRows(sql, table, batches, binary));
  return batches.Flush(/*last=*/true);
}

}  // namespace

absl::Status CopyTablePart(PgConnection& sql, const PublishedTable& table, const TablePart& part,
                           const std::string& snapshot, Lsn consistent, size_t batch_bytes, const Emit& emit) {
  const absl::Status copied = CopyInTransaction(sql, table, part, snapshot, consistent, batch_bytes, emit);
  const absl::Status ended = sql.Execute("ROLLBACK");
  return copied.ok() ? ended : copied;
}

}  // namespace wallaby

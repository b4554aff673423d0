#include "destination/postgres/append_writer.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "destination/destination.h"

namespace wallaby {
namespace {

constexpr size_t kStatementRows = 50;
constexpr int kMetaColumns = 5;

std::string TargetSql(const TablePlan& plan) {
  return absl::StrCat(plan.table, " (", plan.ColumnList(), ", ", kOpColumn, ", ", kLsnColumn, ", ", kSeqColumn, ", ",
                      kCommitTimeColumn, ", ", kUnchangedColumn, ")");
}

}  // namespace

absl::Status AppendWriter::Write(const ChangeBatch& batch) {
  // Relations one after the other: a table whose shape changes within the batch is altered between them.
  std::vector<std::vector<const Change*>> by_relation(batch.relations().size());
  for (const Change& change : batch.changes()) by_relation[change.relation].push_back(&change);
  for (size_t i = 0; i < by_relation.size(); ++i) {
    if (by_relation[i].empty()) continue;
    ASSIGN_OR_RETURN(TablePlan * plan, plans_.Get(batch.relations()[i]));
    RETURN_IF_ERROR(WriteTable(batch, by_relation[i], *plan));
  }
  return absl::OkStatus();
}

absl::Status AppendWriter::WriteTable(const ChangeBatch& batch, const std::vector<const Change*>& changes,
                                      TablePlan& plan) {
  if (changes.size() <= kStatementRows) return AddStatement(batch, changes, plan);
  return session_.Explain(CopyTable(batch, changes, plan), plan.shown);
}

absl::Status AppendWriter::CopyTable(const ChangeBatch& batch, const std::vector<const Change*>& changes,
                                     const TablePlan& plan) {
  bool binary = true;
  for (size_t i = 0; i < changes.size() && binary; ++i) {
    for (const AppendRow& row : AppendRows(batch, *changes[i])) {
      if (row.tuple == nullptr || !binary) continue;
      fields_.Parse(row.tuple);
      binary = plan.FitsBinary(fields_, /*key_only=*/false);
    }
  }
  CopyInto copy(session_, plan.shown, binary);
  RETURN_IF_ERROR(copy.Begin(TargetSql(plan)));
  for (const Change* change : changes) {
    for (const AppendRow& row : AppendRows(batch, *change)) {
      RETURN_IF_ERROR(CopyRow(row, batch.position(*change), batch.transaction(*change), plan, &copy));
    }
  }
  return copy.Finish();
}

void AppendWriter::FindUnchanged(const TablePlan& plan) {
  for (const PlannedColumn& column : plan.columns) {
    if (!fields_[column.source].is_absent()) continue;
    absl::StrAppend(&unchanged_, unchanged_.empty() ? "" : ",", plan.source(column).name);
  }
}

absl::Status AppendWriter::CopyRow(const AppendRow& row, const Position& at, const Transaction& transaction,
                                   const TablePlan& plan, CopyInto* copy) {
  copy->BeginRow(static_cast<int>(plan.columns.size()) + kMetaColumns);
  unchanged_.clear();
  if (row.tuple != nullptr) {
    fields_.Parse(row.tuple);
    for (const PlannedColumn& column : plan.columns) {
      RETURN_IF_ERROR(copy->Value(fields_[column.source], plan.source(column)));
    }
    FindUnchanged(plan);
  } else {
    for (size_t i = 0; i < plan.columns.size(); ++i) copy->Null();
  }
  copy->Text({&row.op, 1});
  copy->Int64(static_cast<int64_t>(at.commit.value));
  copy->Int64(at.seq);
  copy->TimestampTz(transaction.commit_time_micros);
  if (unchanged_.empty()) {
    copy->Null();
  } else {
    copy->Text(unchanged_);
  }
  return copy->EndRow();
}

absl::Status AppendWriter::AddValues(const AppendRow& row, const Position& at, const Transaction& transaction,
                                     const TablePlan& plan, std::string* sql) {
  if (row.tuple != nullptr) fields_.Parse(row.tuple);
  for (const PlannedColumn& column : plan.columns) {
    if (row.tuple == nullptr || fields_[column.source].is_absent()) {
      absl::StrAppend(sql, "NULL, ");
      continue;
    }
    RETURN_IF_ERROR(AppendLiteral(fields_[column.source], plan.source(column), plan.shown, sql));
    absl::StrAppend(sql, ", ");
  }
  unchanged_.clear();
  if (row.tuple != nullptr) FindUnchanged(plan);
  absl::StrAppend(sql, "'", std::string(1, row.op), "', ", at.commit.value, ", ", at.seq, ", '",
                  absl::FormatTime("%Y-%m-%d %H:%M:%E6S+00", absl::FromUnixMicros(transaction.commit_time_micros),
                                   absl::UTCTimeZone()),
                  "', ", unchanged_.empty() ? "NULL" : SqlLiteral(unchanged_), ")");
  return absl::OkStatus();
}

absl::Status AppendWriter::AddStatement(const ChangeBatch& batch, const std::vector<const Change*>& changes,
                                        const TablePlan& plan) {
  std::string sql = absl::StrCat("INSERT INTO ", TargetSql(plan), " OVERRIDING SYSTEM VALUE VALUES ");
  const char* row_separator = "(";
  for (const Change* change : changes) {
    for (const AppendRow& row : AppendRows(batch, *change)) {
      absl::StrAppend(&sql, row_separator);
      row_separator = ", (";
      RETURN_IF_ERROR(AddValues(row, batch.position(*change), batch.transaction(*change), plan, &sql));
    }
  }
  return session_.Add(sql, plan.shown);
}

}  // namespace wallaby

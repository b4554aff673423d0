#include "destination/postgres/target_writer.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "destination/postgres/copy_into.h"
#include "destination/postgres/stage.h"

namespace wallaby {
namespace {

// Beyond this, COPY is cheaper than parsing statements: where it goes straight into the table, and where through a
// stage.
constexpr size_t kStatementRowsNew = 16;
constexpr size_t kStatementRows = 50;

bool AnyKeyMoved(const std::vector<CollapsedRow>& rows, const TablePlan& plan) {
  RowFields now, before;
  return std::any_of(rows.begin(), rows.end(), [&](const CollapsedRow& row) {
    if (row.origin == nullptr || row.origin == row.row) return false;
    now.Parse(row.row);
    before.Parse(row.origin);
    return plan.KeysDiffer(now, before);
  });
}

}  // namespace

std::string OnConflictSql(const TablePlan& plan) {
  std::vector<std::string> sets;
  for (const PlannedColumn& column : plan.columns) {
    if (!column.key) sets.push_back(absl::StrCat(column.sql, " = EXCLUDED.", column.sql));
  }
  return absl::StrCat(" ON CONFLICT (", plan.KeyList(), ") DO ",
                      sets.empty() ? "NOTHING" : absl::StrCat("UPDATE SET ", absl::StrJoin(sets, ", ")));
}

absl::Status TargetWriter::Write(const ChangeBatch& batch) {
  ASSIGN_OR_RETURN(const std::vector<CollapsedTable> tables, Collapse(batch));
  for (const CollapsedTable& table : tables) RETURN_IF_ERROR(WriteTable(table));
  return absl::OkStatus();
}

absl::Status TargetWriter::WriteTable(const CollapsedTable& table) {
  ASSIGN_OR_RETURN(TablePlan * plan, plans_.Get(table.relation));
  if (table.truncate) RETURN_IF_ERROR(session_.Add(plan->TruncateSql(), plan->shown));
  if (!table.deltas.empty()) return WriteKeyless(table, *plan);
  if (table.rows.empty()) return absl::OkStatus();
  const bool moved = table.has_absent && AnyKeyMoved(table.rows, *plan);
  const bool copies = !plan->keys_may_be_there && table.rows.size() > kStatementRowsNew &&
                      std::all_of(table.rows.begin(), table.rows.end(), [](const auto& row) { return row.is_new; });
  if (table.rows.size() <= kStatementRows && !moved && !copies) return WriteStatements(table, *plan);
  return plan->keys_may_be_there ? MergeThroughStage(session_, *plan, table.rows) : WriteMany(table, *plan);
}

absl::Status TargetWriter::WriteMany(const CollapsedTable& table, TablePlan& plan) {
  std::vector<const char*> fresh;
  std::vector<CollapsedRow> others;
  for (const CollapsedRow& row : table.rows) {
    if (row.is_new) {
      fresh.push_back(row.row);
    } else {
      others.push_back(row);
    }
  }
  if (fresh.size() <= kStatementRowsNew) return MergeThroughStage(session_, plan, table.rows);
  if (!others.empty()) RETURN_IF_ERROR(MergeThroughStage(session_, plan, others));
  ASSIGN_OR_RETURN(const bool done, CopyStraightIn(fresh, plan));
  if (done) return absl::OkStatus();
  std::vector<CollapsedRow> rows;
  for (const char* row : fresh) rows.push_back({.row = row});
  return MergeThroughStage(session_, plan, rows);
}

absl::Status TargetWriter::WriteKeyless(const CollapsedTable& table, TablePlan& plan) {
  const bool adds_only =
      std::all_of(table.deltas.begin(), table.deltas.end(), [](const RowDelta& delta) { return delta.copies == 1; });
  if (!adds_only) return MergeDeltasThroughStage(session_, plan, table.deltas);
  std::vector<const char*> rows;
  rows.reserve(table.deltas.size());
  for (const RowDelta& delta : table.deltas) rows.push_back(delta.row);
  if (rows.size() <= kStatementRowsNew) return AddUpserts(rows, plan);
  return CopyStraightIn(rows, plan).status();
}

absl::StatusOr<bool> TargetWriter::CopyStraightIn(const std::vector<const char*>& rows, TablePlan& plan) {
  bool binary = true;
  for (size_t i = 0; i < rows.size() && binary; ++i) {
    fields_.Parse(rows[i]);
    binary = plan.FitsBinary(fields_, /*key_only=*/false);
  }
  // A keyless table has no key that could be there.
  const bool guarded = !plan.key.empty();
  if (guarded) RETURN_IF_ERROR(session_.Add("SAVEPOINT wallaby_copy", plan.shown));
  auto copy_all = [&]() -> absl::Status {
    CopyInto copy(session_, plan.shown, binary);
    RETURN_IF_ERROR(copy.Begin(absl::StrCat(plan.table, " (", plan.ColumnList(), ")")));
    for (const char* row : rows) {
      fields_.Parse(row);
      copy.BeginRow(static_cast<int>(plan.columns.size()));
      for (const PlannedColumn& column : plan.columns) {
        RETURN_IF_ERROR(copy.Value(fields_[column.source], plan.source(column)));
      }
      RETURN_IF_ERROR(copy.EndRow());
    }
    return copy.Finish();
  };
  const absl::Status status = copy_all();
  if (status.ok()) {
    if (guarded) RETURN_IF_ERROR(session_.Add("RELEASE SAVEPOINT wallaby_copy", plan.shown));
    return true;
  }
  if (!guarded || !absl::StrContains(status.message(), "(SQLSTATE 23505)")) {
    return session_.Explain(status, plan.shown);
  }
  plan.keys_may_be_there = true;
  RETURN_IF_ERROR(session_.Add("ROLLBACK TO SAVEPOINT wallaby_copy; RELEASE SAVEPOINT wallaby_copy", plan.shown));
  return false;
}

// ---- few rows ----

absl::Status TargetWriter::WriteStatements(const CollapsedTable& table, TablePlan& plan) {
  RETURN_IF_ERROR(AddDeletes(table, plan));
  if (table.has_absent) RETURN_IF_ERROR(AddPartialUpdates(table, plan));
  std::vector<const char*> whole;
  for (const CollapsedRow& row : table.rows) {
    if (!row.is_delete && row.origin == nullptr) whole.push_back(row.row);
  }
  return whole.empty() ? absl::OkStatus() : AddUpserts(whole, plan);
}

absl::Status TargetWriter::AppendKeyTuple(const TablePlan& plan, std::string* out) {
  absl::StrAppend(out, "(");
  const char* separator = "";
  for (int i : plan.key) {
    const PlannedColumn& column = plan.columns[i];
    absl::StrAppend(out, separator);
    RETURN_IF_ERROR(AppendLiteral(fields_[column.source], plan.source(column), plan.shown, out));
    separator = ", ";
  }
  absl::StrAppend(out, ")");
  return absl::OkStatus();
}

absl::Status TargetWriter::AddDeletes(const CollapsedTable& table, const TablePlan& plan) {
  std::string sql;
  for (const CollapsedRow& row : table.rows) {
    if (!row.is_delete) continue;
    if (sql.empty()) {
      sql = absl::StrCat("DELETE FROM ", plan.table, " WHERE (", plan.KeyList(), ") IN (");
    } else {
      absl::StrAppend(&sql, ", ");
    }
    fields_.Parse(row.row);
    RETURN_IF_ERROR(AppendKeyTuple(plan, &sql));
  }
  return sql.empty() ? absl::OkStatus() : session_.Add(absl::StrCat(sql, ")"), plan.shown);
}

// Sets what was sent and leaves the rest as it is: a large value need not be read or written.
absl::Status TargetWriter::AddPartialUpdates(const CollapsedTable& table, const TablePlan& plan) {
  for (const CollapsedRow& row : table.rows) {
    if (row.is_delete || row.origin == nullptr) continue;
    fields_.Parse(row.row);
    std::string sets;
    for (const PlannedColumn& column : plan.columns) {
      const Field& field = fields_[column.source];
      if (column.key || field.is_absent()) continue;
      absl::StrAppend(&sets, sets.empty() ? "" : ", ", column.sql, " = ");
      RETURN_IF_ERROR(AppendLiteral(field, plan.source(column), plan.shown, &sets));
    }
    std::string key;
    RETURN_IF_ERROR(AppendKeyTuple(plan, &key));
    const std::string where = absl::StrCat(" WHERE (", plan.KeyList(), ") = ", key);
    const std::string check = Session::Check("count(*) = 1", Session::kNoRow, plan.shown);
    RETURN_IF_ERROR(session_.Add(sets.empty() ? absl::StrCat("SELECT ", check, " FROM ", plan.table, where)
                                              : absl::StrCat("WITH moved AS (UPDATE ", plan.table, " SET ", sets, where,
                                                             " RETURNING 1) SELECT ", check, " FROM moved"),
                                 plan.shown));
  }
  return absl::OkStatus();
}

absl::Status TargetWriter::AddUpserts(const std::vector<const char*>& rows, const TablePlan& plan) {
  std::string sql =
      absl::StrCat("INSERT INTO ", plan.table, " (", plan.ColumnList(), ") OVERRIDING SYSTEM VALUE VALUES ");
  const char* row_separator = "(";
  for (const char* row : rows) {
    fields_.Parse(row);
    absl::StrAppend(&sql, row_separator);
    row_separator = ", (";
    const char* separator = "";
    for (const PlannedColumn& column : plan.columns) {
      absl::StrAppend(&sql, separator);
      separator = ", ";
      RETURN_IF_ERROR(AppendLiteral(fields_[column.source], plan.source(column), plan.shown, &sql));
    }
    absl::StrAppend(&sql, ")");
  }
  if (!plan.key.empty()) absl::StrAppend(&sql, OnConflictSql(plan));
  return session_.Add(sql, plan.shown);
}

}  // namespace wallaby

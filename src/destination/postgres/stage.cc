#include "destination/postgres/stage.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "destination/postgres/copy_into.h"
#include "destination/postgres/sql_values.h"
#include "destination/postgres/target_writer.h"

namespace wallaby {
namespace {

// What is to be done with a staged row (its column "op"). A partial row, one with absent columns, has op 2 * p with its
// pattern's number p from 1 on, or 2 * p + 1 when its key changed, so that the absent values are in another row.
// In the stage of a keyless table, op is the number of copies.
constexpr int kUpsert = 0;
constexpr int kDelete = -1;

// Columns of the stage: op, v0, v1, ... for the table's, k0, k1, ... for the origin's key.
std::string V(int column) {
  return absl::StrCat("v", column);
}
std::string K(size_t key) {
  return absl::StrCat("k", key);
}

// Makes the stage, or empties it.
absl::Status PrepareStage(Session& session, TablePlan& plan) {
  if (!plan.stage.empty()) {
    if (!std::exchange(plan.stage_used, true)) return absl::OkStatus();
    return session.Add(absl::StrCat("TRUNCATE TABLE pg_temp.", plan.stage), plan.shown);
  }
  ASSIGN_OR_RETURN(const PgRows oid, session.Query(absl::StrCat("SELECT ", SqlLiteral(plan.table), "::regclass::oid")));
  plan.stage = absl::StrCat("wallaby_stage_", oid.Text(0, 0));
  plan.stage_used = true;
  std::string sql = absl::StrCat("CREATE TEMPORARY TABLE ", plan.stage, " (op integer");
  for (size_t i = 0; i < plan.columns.size(); ++i) absl::StrAppend(&sql, ", v", i, " ", plan.columns[i].type_sql);
  for (size_t i = 0; i < plan.key.size(); ++i) {
    absl::StrAppend(&sql, ", k", i, " ", plan.columns[plan.key[i]].type_sql);
  }
  return session.Add(absl::StrCat(sql, ") ON COMMIT DELETE ROWS"), plan.shown);
}

std::string StageColumns(const TablePlan& plan) {
  std::string list = "op";
  for (size_t i = 0; i < plan.columns.size(); ++i) absl::StrAppend(&list, ", v", i);
  for (size_t i = 0; i < plan.key.size(); ++i) absl::StrAppend(&list, ", k", i);
  return list;
}

// Columns that are absent in a partial row, and how many rows of this pattern there are.
struct Pattern {
  std::vector<bool> absent;
  int64_t kept = 0;   // with their key as it was
  int64_t moved = 0;  // with another key
};

class StageLoad {
 public:
  StageLoad(Session& session, TablePlan& plan) : session_(session), plan_(plan) {}

  absl::Status Load(const std::vector<CollapsedRow>& rows) {
    bool binary = true;
    for (size_t i = 0; i < rows.size() && binary; ++i) {
      fields_.Parse(rows[i].row);
      binary = plan_.FitsBinary(fields_, rows[i].is_delete);
      if (rows[i].origin == nullptr || !binary) continue;
      fields_.Parse(rows[i].origin);
      binary = plan_.FitsBinary(fields_, /*key_only=*/true);
    }
    CopyInto copy(session_, plan_.shown, binary);
    RETURN_IF_ERROR(copy.Begin(absl::StrCat("pg_temp.", plan_.stage, " (", StageColumns(plan_), ")")));
    for (const CollapsedRow& row : rows) RETURN_IF_ERROR(AddRow(row, &copy));
    return copy.Finish();
  }

  const std::vector<Pattern>& patterns() const { return patterns_; }
  int64_t deletes() const { return deletes_; }
  int64_t upserts() const { return upserts_; }

 private:
  absl::Status AddRow(const CollapsedRow& row, CopyInto* copy) {
    fields_.Parse(row.row);
    if (row.origin != nullptr) origin_.Parse(row.origin);
    copy->BeginRow(static_cast<int>(1 + plan_.columns.size() + plan_.key.size()));
    copy->Int32(Op(row));
    for (const PlannedColumn& column : plan_.columns) {
      if (row.is_delete && !column.key) {
        copy->Null();
      } else {
        RETURN_IF_ERROR(copy->Value(fields_[column.source], plan_.source(column)));
      }
    }
    for (int i : plan_.key) {
      const PlannedColumn& column = plan_.columns[i];
      if (row.origin == nullptr) {
        copy->Null();
      } else {
        RETURN_IF_ERROR(copy->Value(origin_[column.source], plan_.source(column)));
      }
    }
    return copy->EndRow();
  }

  int Op(const CollapsedRow& row) {
    if (row.is_delete) {
      ++deletes_;
      return kDelete;
    }
    if (row.origin == nullptr) {
      ++upserts_;
      return kUpsert;
    }
    absent_.clear();
    for (const PlannedColumn& column : plan_.columns) absent_.push_back(fields_[column.source].is_absent());
    const auto [it, added] = numbers_.try_emplace(absent_, static_cast<int>(patterns_.size()));
    if (added) patterns_.push_back({absent_});
    const bool moved = plan_.KeysDiffer(fields_, origin_);
    ++(moved ? patterns_[it->second].moved : patterns_[it->second].kept);
    return 2 * (it->second + 1) + moved;
  }

  Session& session_;
  TablePlan& plan_;
  RowFields fields_, origin_;
  std::vector<bool> absent_;
  std::map<std::vector<bool>, int> numbers_;
  std::vector<Pattern> patterns_;
  int64_t deletes_ = 0;
  int64_t upserts_ = 0;
};

// "t.id = s.v0 AND ..." with the row's own key, or "... = s.k0" with its origin's.
std::string Join(const TablePlan& plan, bool origin) {
  std::vector<std::string> parts;
  for (size_t i = 0; i < plan.key.size(); ++i) {
    parts.push_back(absl::StrCat("t.", plan.columns[plan.key[i]].sql, " = s.", origin ? K(i) : V(plan.key[i])));
  }
  return absl::StrJoin(parts, " AND ");
}

std::string Checked(std::string_view statement, int64_t rows, const TablePlan& plan) {
  return absl::StrCat("WITH moved AS (", statement, " RETURNING 1) SELECT ",
                      Session::Check(absl::StrCat("count(*) = ", rows), Session::kNoRow, plan.shown), " FROM moved");
}

// Brings the absent values of rows whose key changed into the stage, while the destination still has the old rows.
std::string FillMoved(const TablePlan& plan, const Pattern& pattern, size_t number) {
  std::string sets = absl::StrCat("op = ", kUpsert);
  for (size_t i = 0; i < plan.columns.size(); ++i) {
    if (pattern.absent[i]) absl::StrAppend(&sets, ", v", i, " = t.", plan.columns[i].sql);
  }
  return Checked(absl::StrCat("UPDATE pg_temp.", plan.stage, " s SET ", sets, " FROM ", plan.table,
                              " t WHERE s.op = ", 2 * number + 1, " AND ", Join(plan, true)),
                 pattern.moved, plan);
}

// Sets what was sent and leaves the rest as it is: a large value need not be read or written.
std::string UpdateKept(const TablePlan& plan, const Pattern& pattern, size_t number) {
  std::string sets;
  for (size_t i = 0; i < plan.columns.size(); ++i) {
    const PlannedColumn& column = plan.columns[i];
    if (column.key || pattern.absent[i]) continue;
    absl::StrAppend(&sets, sets.empty() ? "" : ", ", column.sql, " = s.v", i);
  }
  // With nothing to set, the rows must be there all the same.
  if (sets.empty()) {
    return absl::StrCat(
        "SELECT ", Session::Check(absl::StrCat("count(*) = ", pattern.kept), Session::kNoRow, plan.shown), " FROM ",
        plan.table, " t JOIN pg_temp.", plan.stage, " s ON ", Join(plan, false), " WHERE s.op = ", 2 * number);
  }
  return Checked(absl::StrCat("UPDATE ", plan.table, " t SET ", sets, " FROM pg_temp.", plan.stage,
                              " s WHERE s.op = ", 2 * number, " AND ", Join(plan, false)),
                 pattern.kept, plan);
}

std::string StagedValues(const TablePlan& plan) {
  std::string list;
  for (size_t i = 0; i < plan.columns.size(); ++i) absl::StrAppend(&list, i == 0 ? "" : ", ", "s.v", i);
  return list;
}

// The staged key. Rows that lie together in the table are touched together then, which saves a third of the time.
std::string KeyInOrder(const TablePlan& plan) {
  std::vector<std::string> columns;
  for (const int i : plan.key) columns.push_back(absl::StrCat("s.", V(i)));
  return absl::StrJoin(columns, ", ");
}

// Names the staged columns as the destination does.
absl::Status ExplainStage(const Session& session, const TablePlan& plan, const absl::Status& status) {
  absl::Status explained = session.Explain(status, plan.shown);
  std::string text(explained.message());
  for (size_t i = plan.columns.size(); i-- > 0;) {
    const std::string staged = absl::StrCat("column v", i, ":");
    if (const size_t at = text.find(staged); at != text.npos) {
      text.replace(at, staged.size(), absl::StrCat("column ", plan.source(plan.columns[i]).name, ":"));
    }
  }
  return absl::Status(explained.code(), text);
}

}  // namespace

absl::Status MergeThroughStage(Session& session, TablePlan& plan, const std::vector<CollapsedRow>& rows) {
  RETURN_IF_ERROR(PrepareStage(session, plan));
  StageLoad load(session, plan);
  if (absl::Status status = load.Load(rows); !status.ok()) return ExplainStage(session, plan, status);
  const std::vector<Pattern>& patterns = load.patterns();
  int64_t upserts = load.upserts();
  for (size_t i = 0; i < patterns.size(); ++i) {
    upserts += patterns[i].moved;
    if (patterns[i].moved > 0) RETURN_IF_ERROR(session.Add(FillMoved(plan, patterns[i], i + 1), plan.shown));
  }
  if (load.deletes() > 0) {
    RETURN_IF_ERROR(session.Add(absl::StrCat("DELETE FROM ", plan.table, " t USING pg_temp.", plan.stage,
                                             " s WHERE s.op = ", kDelete, " AND ", Join(plan, false)),
                                plan.shown));
  }
  for (size_t i = 0; i < patterns.size(); ++i) {
    if (patterns[i].kept > 0) RETURN_IF_ERROR(session.Add(UpdateKept(plan, patterns[i], i + 1), plan.shown));
  }
  if (upserts == 0) return absl::OkStatus();
  return session.Add(absl::StrCat("INSERT INTO ", plan.table, " (", plan.ColumnList(),
                                  ") OVERRIDING SYSTEM VALUE SELECT ", StagedValues(plan), " FROM pg_temp.", plan.stage,
                                  " s WHERE s.op = ", kUpsert, " ORDER BY ", KeyInOrder(plan), OnConflictSql(plan)),
                     plan.shown);
}

absl::Status MergeDeltasThroughStage(Session& session, TablePlan& plan, const std::vector<RowDelta>& deltas) {
  RETURN_IF_ERROR(PrepareStage(session, plan));
  RowFields fields;
  bool binary = true;
  for (size_t i = 0; i < deltas.size() && binary; ++i) {
    fields.Parse(deltas[i].row);
    binary = plan.FitsBinary(fields, /*key_only=*/false);
  }
  int64_t gone = 0;
  auto load = [&]() -> absl::Status {
    CopyInto copy(session, plan.shown, binary);
    RETURN_IF_ERROR(copy.Begin(absl::StrCat("pg_temp.", plan.stage, " (", StageColumns(plan), ")")));
    for (const RowDelta& delta : deltas) {
      fields.Parse(delta.row);
      copy.BeginRow(static_cast<int>(1 + plan.columns.size()));
      copy.Int32(static_cast<int32_t>(delta.copies));
      if (delta.copies < 0) gone -= delta.copies;
      for (const PlannedColumn& column : plan.columns) {
        RETURN_IF_ERROR(copy.Value(fields[column.source], plan.source(column)));
      }
      RETURN_IF_ERROR(copy.EndRow());
    }
    return copy.Finish();
  };
  if (absl::Status status = load(); !status.ok()) return ExplainStage(session, plan, status);
  if (gone > 0) {
    // A row's text tells null and empty apart, so equal texts mean equal rows, and the join can hash. Staged rows that
    // the destination's types made equal are added up.
    std::string columns;
    for (const PlannedColumn& column : plan.columns) {
      absl::StrAppend(&columns, columns.empty() ? "" : ", ", "t.", column.sql);
    }
    RETURN_IF_ERROR(session.Add(
        absl::StrCat("WITH less AS (SELECT ROW(", StagedValues(plan),
                     ")::text AS value, -sum(s.op) AS copies FROM pg_temp.", plan.stage,
                     " s WHERE s.op < 0 GROUP BY 1), numbered AS (SELECT t.tableoid AS part, t.ctid AS place, "
                     "less.copies, row_number() OVER (PARTITION BY less.value) AS number FROM ",
                     plan.table, " t JOIN less ON ROW(", columns, ")::text = less.value), moved AS (DELETE FROM ",
                     plan.table,
                     " t USING numbered n WHERE t.tableoid = n.part AND t.ctid = n.place AND n.number <= n.copies "
                     "RETURNING 1) SELECT ",
                     Session::Check(absl::StrCat("count(*) = ", gone), Session::kMissing, plan.shown), " FROM moved"),
        plan.shown));
  }
  return session.Add(
      absl::StrCat("INSERT INTO ", plan.table, " (", plan.ColumnList(), ") OVERRIDING SYSTEM VALUE SELECT ",
                   StagedValues(plan), " FROM pg_temp.", plan.stage, " s, generate_series(1, s.op) WHERE s.op > 0"),
      plan.shown);
}

}  // namespace wallaby

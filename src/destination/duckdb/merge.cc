#include "destination/duckdb/merge.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "change/append_rows.h"
#include "destination/duckdb/load.h"

namespace wallaby {
namespace {

// ---- pieces of SQL ----

std::string ColumnName(const ReadyTable& target, int column) {
  return SqlIdentifier(target.columns[column].name);
}

// t.key = s.<piece> for all columns of the key.
std::string KeysEqual(const ReadyTable& target, bool origin) {
  const std::vector<int>& key = target.relation->key;
  return JoinNumbered(static_cast<int>(key.size()), " AND ", [&](int k) {
    return absl::StrCat("t.", ColumnName(target, key[k]), " = s.", origin ? StagingOrigin(k) : StagingValue(key[k]));
  });
}

absl::Status DeleteStagedKeys(DuckdbConnection* connection, const ReadyTable& target, const Staging& staging) {
  return connection
      ->Execute(absl::StrCat("DELETE FROM ", target.table.Quoted(), " AS t USING ", staging.name(), " AS s WHERE ",
                             KeysEqual(target, /*origin=*/false)))
      .status();
}

// ---- rows of a table with a key ----

// Names the set of absent columns of each row by a number, as few such sets occur in practice.
class AbsentPatterns {
 public:
  // 0 when nothing is absent.
  uint32_t Of(const char* row) {
    scratch_.clear();
    bool any = false;
    for (TupleCursor c(row); !c.done(); c.Next()) {
      scratch_.push_back(c.field().is_absent() ? '1' : '0');
      any |= c.field().is_absent();
    }
    if (!any) return 0;
    return numbers_.try_emplace(scratch_, static_cast<uint32_t>(numbers_.size() + 1)).first->second;
  }

  // The numbers of the patterns in which `column` is absent: "1, 4"; empty when it never is.
  std::string With(int column) const {
    std::vector<uint32_t> with;
    for (const auto& [pattern, number] : numbers_) {
      if (pattern[column] == '1') with.push_back(number);
    }
    return absl::StrJoin(with, ", ");
  }

 private:
  absl::flat_hash_map<std::string, uint32_t> numbers_;
  std::string scratch_;
};

class KeyedMerge {
 public:
  KeyedMerge(DuckdbConnection* connection, const CollapsedTable& changes, const ReadyTable& target)
      : connection_(connection), changes_(changes), target_(target) {}

  // `may_exist`: some row's key may be in the table.
  absl::Status Run(bool may_exist) {
    if (changes_.has_absent) return RunStaged(may_exist);
    if (may_exist) {
      Staging keys(connection_);
      RowStream rows(*target_.relation, ValueColumns(target_, target_.relation->key), Rows(true, nullptr));
      RETURN_IF_ERROR(keys.Load(&rows));
      RETURN_IF_ERROR(DeleteStagedKeys(connection_, target_, keys));
    }
    return LoadRows(connection_, target_, ValueColumns(target_), Rows(false, nullptr));
  }

 private:
  RowProducer Rows(bool with_deletes, AbsentPatterns* patterns) const {
    return [this, with_deletes, patterns, i = size_t{0}](ArrowRows* rows) mutable -> absl::StatusOr<bool> {
      if (i == changes_.rows.size()) return false;
      const CollapsedRow& row = changes_.rows[i++];
      if (row.is_delete && !with_deletes) return true;
      RowExtras extras{.copies = row.is_delete ? -1 : 1, .origin = row.origin};
      if (patterns != nullptr && !row.is_delete) extras.seq = patterns->Of(row.row);
      RETURN_IF_ERROR(rows->Append(row.row, extras));
      return true;
    };
  }

  // Everything into staging, because values have to be fetched before the old rows go.
  absl::Status RunStaged(bool may_exist) {
    std::vector<ArrowColumn> columns = ValueColumns(target_);
    const std::vector<int>& key = target_.relation->key;
    for (int k = 0; k < static_cast<int>(key.size()); ++k) {
      columns.push_back(
          {.name = StagingOrigin(k), .source = ArrowSource::kOrigin, .index = key[k], .type = target_.types[key[k]]});
    }
    columns.push_back({.name = std::string(kStagingPattern), .source = ArrowSource::kSeq});
    columns.push_back({.name = std::string(kStagingCopies), .source = ArrowSource::kCopies});

    AbsentPatterns patterns;
    Staging staging(connection_);
    RowStream rows(*target_.relation, std::move(columns), Rows(true, &patterns));
    RETURN_IF_ERROR(staging.Load(&rows));
    RETURN_IF_ERROR(FillAbsent(staging, patterns));
    if (may_exist) RETURN_IF_ERROR(DeleteStagedKeys(connection_, target_, staging));
    const int count = static_cast<int>(target_.columns.size());
    return connection_
        ->Execute(absl::StrCat("INSERT INTO ", target_.table.Quoted(), " (",
                               JoinNumbered(count, ", ", [&](int i) { return ColumnName(target_, i); }), ") SELECT ",
                               JoinNumbered(count, ", ", StagingValue), " FROM ", staging.name(), " WHERE ",
                               kStagingCopies, " > 0"))
        .status();
  }

  absl::Status FillAbsent(const Staging& staging, const AbsentPatterns& patterns) {
    std::string set = absl::StrCat(kStagingPattern, " = 0");
    for (int i = 0; i < static_cast<int>(target_.columns.size()); ++i) {
      const std::string numbers = patterns.With(i);
      if (numbers.empty()) continue;
      const std::string value = StagingValue(i);
      absl::StrAppend(&set, ", ", value, " = CASE WHEN s.", kStagingPattern, " IN (", numbers, ") THEN t.",
                      ColumnName(target_, i), " ELSE s.", value, " END");
    }
    RETURN_IF_ERROR(
        connection_
            ->Execute(absl::StrCat("UPDATE ", staging.name(), " AS s SET ", set, " FROM ", target_.table.Quoted(),
                                   " AS t WHERE s.", kStagingPattern, " > 0 AND ", KeysEqual(target_, /*origin=*/true)))
            .status());
    return CheckAllFilled(staging);
  }

  absl::Status CheckAllFilled(const Staging& staging) {
    const std::vector<int>& key = target_.relation->key;
    ASSIGN_OR_RETURN(auto left, connection_->Query(absl::StrCat(
                                    "SELECT ",
                                    JoinNumbered(static_cast<int>(key.size()), ", ",
                                                 [](int k) { return absl::StrCat(StagingOrigin(k), "::VARCHAR"); }),
                                    " FROM ", staging.name(), " WHERE ", kStagingPattern, " > 0 LIMIT 1")));
    if (left.empty()) return absl::OkStatus();
    const std::string row = JoinNumbered(static_cast<int>(key.size()), ", ", [&](int k) {
      return absl::StrCat(target_.relation->columns[key[k]].name, " = ", left[0][k].value_or("null"));
    });
    return absl::FailedPreconditionError(absl::StrCat("table ", target_.relation->QualifiedName(),
                                                      ": a row was updated without sending its unchanged "
                                                      "large values, and the destination has no row with ",
                                                      row, " in ", target_.table.Quoted(),
                                                      " to take them from; set toast_fetch=source, or ALTER TABLE ",
                                                      target_.relation->QualifiedName(), " REPLICA IDENTITY FULL"));
  }

  DuckdbConnection* connection_;
  const CollapsedTable& changes_;
  const ReadyTable& target_;
};

// ---- rows of a table without one: a multiset ----

class MultisetMerge {
 public:
  MultisetMerge(DuckdbConnection* connection, const CollapsedTable& changes, const ReadyTable& target)
      : connection_(connection), changes_(changes), target_(target) {}

  absl::Status Run() {
    bool removes = false, adds = false;
    for (const RowDelta& delta : changes_.deltas) (delta.copies < 0 ? removes : adds) = true;
    if (removes) RETURN_IF_ERROR(Remove());
    return adds ? LoadRows(connection_, target_, ValueColumns(target_), Added()) : absl::OkStatus();
  }

 private:
  // Each row as often as it has copies.
  RowProducer Added() const {
    return [this, i = size_t{0}, done = int64_t{0}](ArrowRows* rows) mutable -> absl::StatusOr<bool> {
      if (i == changes_.deltas.size()) return false;
      const RowDelta& delta = changes_.deltas[i];
      if (done < delta.copies) {
        RETURN_IF_ERROR(rows->Append(delta.row, {.copies = 1}));
        ++done;
      }
      if (done >= delta.copies) {
        ++i;
        done = 0;
      }
      return true;
    };
  }

  RowProducer Removed() const {
    return [this, i = size_t{0}](ArrowRows* rows) mutable -> absl::StatusOr<bool> {
      if (i == changes_.deltas.size()) return false;
      const RowDelta& delta = changes_.deltas[i++];
      if (delta.copies < 0) RETURN_IF_ERROR(rows->Append(delta.row, {.copies = -delta.copies}));
      return true;
    };
  }

  // Of the rows that equal a staged one, as many as it says; which of them does not matter.
  absl::Status Remove() {
    std::vector<ArrowColumn> columns = ValueColumns(target_);
    const int count = static_cast<int>(columns.size());
    columns.push_back({.name = std::string(kStagingCopies), .source = ArrowSource::kCopies});
    Staging staging(connection_);
    RowStream rows(*target_.relation, std::move(columns), Removed());
    RETURN_IF_ERROR(staging.Load(&rows));
    const std::string same = JoinNumbered(count, " AND ", [&](int i) {
      return absl::StrCat("t.", ColumnName(target_, i), " IS NOT DISTINCT FROM s.", StagingValue(i));
    });
    return connection_
        ->Execute(absl::StrCat(
            "DELETE FROM ", target_.table.Quoted(), " WHERE rowid IN (SELECT id FROM (SELECT t.rowid AS id, s.",
            kStagingCopies, " AS copies, row_number() OVER (PARTITION BY s.rowid) AS number FROM ",
            target_.table.Quoted(), " AS t JOIN ", staging.name(), " AS s ON ", same, ") WHERE number <= copies)"))
        .status();
  }

  DuckdbConnection* connection_;
  const CollapsedTable& changes_;
  const ReadyTable& target_;
};

}  // namespace

absl::Status MergeCollapsed(DuckdbConnection* connection, const CollapsedTable& changes, ReadyTable* target) {
  if (changes.truncate && !target->empty) {
    RETURN_IF_ERROR(connection->Execute(absl::StrCat("DELETE FROM ", target->table.Quoted())).status());
    target->empty = true;
  }
  if (changes.rows.empty() && changes.deltas.empty()) return absl::OkStatus();
  // Rows of one snapshot never meet each other, and in an empty table there is nothing to meet. Streamed inserts are
  // not trusted as far: the table may have been filled by other means before the flow began.
  const bool may_exist = !target->empty && !(changes.only_reads && target->snapshot_only);
  target->snapshot_only = changes.only_reads && (target->empty || target->snapshot_only);
  target->empty = false;
  if (changes.relation->has_key()) {
    return KeyedMerge(connection, changes, *target).Run(may_exist);
  }
  return MultisetMerge(connection, changes, *target).Run();
}

absl::Status AppendChanges(DuckdbConnection* connection, const ChangeBatch& batch, uint32_t relation,
                           ReadyTable* target) {
  std::vector<ArrowColumn> columns = ValueColumns(*target);
  for (ArrowSource source :
       {ArrowSource::kOp, ArrowSource::kLsn, ArrowSource::kSeq, ArrowSource::kCommitTime, ArrowSource::kUnchanged}) {
    columns.push_back({.name = "", .source = source});
  }
  std::string nothing;  // the row of a truncate
  TupleBuilder nulls(&nothing, static_cast<int>(target->relation->columns.size()));
  for (size_t i = 0; i < target->relation->columns.size(); ++i) nulls.Null();

  auto produce = [&, i = size_t{0}](ArrowRows* rows) mutable -> absl::StatusOr<bool> {
    if (i == batch.changes().size()) return false;
    const Change& change = batch.changes()[i++];
    if (change.relation != relation) return true;
    const Transaction& transaction = batch.transaction(change);
    RowExtras extras{
        .lsn = transaction.commit.value, .seq = change.seq, .commit_time_micros = transaction.commit_time_micros};
    for (const AppendRow& row : AppendRows(batch, change)) {
      extras.op = row.op;
      RETURN_IF_ERROR(rows->Append(row.tuple == nullptr ? nothing.data() : row.tuple, extras));
    }
    return true;
  };
  target->empty = target->snapshot_only = false;
  return LoadRows(connection, *target, std::move(columns), std::move(produce));
}

}  // namespace wallaby

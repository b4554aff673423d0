// TablePlan: how the rows of one relation, in one shape, go into the destination's table.
#ifndef WALLABY_DESTINATION_POSTGRES_TABLE_PLAN_H_
#define WALLABY_DESTINATION_POSTGRES_TABLE_PLAN_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "change/relation.h"
#include "change/tuple.h"
#include "destination/options.h"
#include "destination/postgres/destination_table.h"
#include "destination/postgres/session.h"
#include "destination/postgres/sql_values.h"

namespace wallaby {

struct PlannedColumn {
  int source = 0;        // index in the relation
  std::string sql;       // quoted name
  std::string type_sql;  // at the destination
  bool key = false;
  // The destination's type has the same binary form as the source's.
  bool same_binary = false;
};

struct TablePlan {
  RelationPtr relation;
  std::string table;                   // quoted, with schema
  std::string shown;                   // for people
  std::vector<PlannedColumn> columns;  // without those that the destination generates
  std::vector<int> key;                // indexes into `columns`
  bool can_truncate = false;
  // State of the session's work on the table.
  std::string stage;               // name of the temporary table, once there is one
  bool stage_used = false;         // in the open transaction
  bool keys_may_be_there = false;  // rows that are new at the source were met here: COPY straight in fails

  const Column& source(const PlannedColumn& column) const { return relation->columns[column.source]; }
  std::string ColumnList() const;  // "a", "b"
  std::string KeyList() const;     // "a", "b" of the key
  std::string TruncateSql() const;
  // Whether a binary COPY can carry the row. A key alone is looked at when `key_only`.
  bool FitsBinary(const RowFields& fields, bool key_only) const;
  // Whether the two rows have different keys.
  bool KeysDiffer(const RowFields& one, const RowFields& other) const;
};

// Types of the relation's columns after type_mappings, as far as every server has them.
std::vector<std::string> DeclaredTypes(const Relation& relation, const TableOptions& options);
// `types`: one for each column.
std::string CreateTableSql(const Relation& relation, const TableOptions& options,
                           const std::vector<std::string>& types);

// Plans of a session, made when a relation is first met. Creates missing schemas, tables and columns in the open
// transaction. One thread.
class TablePlans {
 public:
  TablePlans(Session& session, const TableOptions& options) : session_(session), options_(options) {}

  absl::StatusOr<TablePlan*> Get(const RelationPtr& relation);
  // Before the session's next transaction.
  void AfterCommit();

  // The next Get() looks at the table anew.
  absl::Status Forget(const Relation& relation);
  // Type names at the destination of columns that are to be made there.
  absl::StatusOr<std::vector<std::string>> NewTypes(const Relation& relation);

  // What Get() would refuse, and rights that are missing, without changing anything.
  absl::Status Check(const Relation& relation);
  absl::Status CheckPresent(const Relation& relation);

 private:
  absl::StatusOr<TablePlan> Make(const RelationPtr& relation);
  absl::Status Create(const Relation& relation);
  absl::Status AddColumns(const Relation& relation, const DestinationTable& table);
  absl::Status CheckExisting(const Relation& relation, const DestinationTable& table) const;
  absl::Status CheckColumns(const Relation& relation, const DestinationTable& table) const;
  absl::Status CheckMayCreate(const std::string& schema, const std::string& shown);
  bool append() const { return options_.write_mode == WriteMode::kAppend; }
  std::string Shown(const Relation& relation) const;

  Session& session_;
  const TableOptions& options_;
  // By target table; a table has one plan at a time, that of the shape last met.
  std::map<std::pair<std::string, std::string>, std::unique_ptr<TablePlan>> plans_;
  std::vector<std::unique_ptr<TablePlan>> retired_;  // still named by the open transaction's errors
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_POSTGRES_TABLE_PLAN_H_

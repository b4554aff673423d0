// What destinations with tables share when they follow a schema change: statements to show or to run, and which steps a
// table still lacks.
#ifndef WALLABY_DESTINATION_SCHEMA_STEPS_H_
#define WALLABY_DESTINATION_SCHEMA_STEPS_H_

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "change/schema_change.h"

namespace wallaby {

struct DdlStatement {
  std::string sql;  // "-- ..." is a remark: nothing to run
  // The rest is for running it.
  std::string column;
  std::string guard;   // a query before it: a row in its result says why the statement must not be run
  std::string remedy;  // what to do when it cannot be run

  bool is_remark() const { return sql.starts_with("--"); }
};

// What a guard says of a log whose column gets another type.
inline constexpr char kValuesWouldBeLost[] = "the log has values that the new type cannot hold as they are";

std::vector<std::string> ShownStatements(const std::vector<DdlStatement>& statements);

// Which steps have been done, as far as the names of a table's columns tell.
struct StepsDone {
  std::vector<bool> done;  // one for each step of the change
  // Some steps leave the names as they were (two columns change names): the table cannot tell, only a record can.
  bool unclear = false;
};

// How a table is looked at.
struct NamesOfTable {
  std::string shown;            // for errors
  std::set<std::string> names;  // of its columns, folded
  bool keeps_dropped = false;   // append mode: a dropped column stays
  bool recorded = false;        // the change was recorded as done; counts where the names do not tell
  bool case_counts = true;      // false: names are folded to lower case
};

// Steps that hand a name on (drop a, then rename b to a) are judged together: that there is an a says nothing.
// FAILED_PRECONDITION when the columns are neither as before nor as after any of the steps.
absl::StatusOr<StepsDone> FindStepsDone(const SchemaChange& change, const NamesOfTable& table);

// The same text for the same change of a table, another for any that can follow it.
std::string ChangeMark(const SchemaChange& change);

// The table is there under both of a rename's names.
absl::Status BothNamesError(std::string_view old_name, std::string_view new_name);

// Puts table and column before the message and the remedy behind it.
absl::Status ExplainDdl(const absl::Status& status, std::string_view table, const DdlStatement& statement);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_SCHEMA_STEPS_H_

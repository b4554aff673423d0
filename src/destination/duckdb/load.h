// Ways to bring rows in wire form into a table: straight, or by a staging table whose columns have the names below.
#ifndef WALLABY_DESTINATION_DUCKDB_LOAD_H_
#define WALLABY_DESTINATION_DUCKDB_LOAD_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "codec/arrow_rows.h"
#include "destination/duckdb/database.h"
#include "destination/duckdb/row_stream.h"
#include "destination/duckdb/tables.h"

namespace wallaby {

// Staging columns: c0.. the values, o0.. the origin's key, pattern (which values are absent, 0: none), copies.
std::string StagingValue(int column);
std::string StagingOrigin(int key);
inline constexpr std::string_view kStagingPattern = "pattern";
inline constexpr std::string_view kStagingCopies = "copies";

// A temporary table that exists as long as the object; dropped within the transaction (a rollback drops it too).
class Staging {
 public:
  explicit Staging(DuckdbConnection* connection) : connection_(connection) {}
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // Once.
  absl::Status Load(RowStream* rows);
  std::string name() const;

 private:
  DuckdbConnection* connection_;
  bool loaded_ = false;
};

// The columns of `target`'s relation, named as staging names them, as ArrowRows fills them. `only`: indexes of the
// columns that are wanted; empty means all.
std::vector<ArrowColumn> ValueColumns(const ReadyTable& target, const std::vector<int>& only = {});

// Loads rows whose columns are target.columns, in that order: by position where the table allows it, else by name
// through staging.
absl::Status LoadRows(DuckdbConnection* connection, const ReadyTable& target, std::vector<ArrowColumn> columns,
                      RowProducer produce);

// "a, b, c" from the numbers 0..count-1.
std::string JoinNumbered(int count, std::string_view separator, absl::FunctionRef<std::string(int)> piece);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_DUCKDB_LOAD_H_

// DuckdbTables: the destination's tables as this connection knows them. Makes what is missing, refuses what does not
// fit.
//
// Tables are made without a primary key: DuckDB would keep the index in memory and update it row by row, and check each
// key while a row is put in rather than at the commit. Rows are found here by a hash join, which needs no index.
#ifndef WALLABY_DESTINATION_DUCKDB_TABLES_H_
#define WALLABY_DESTINATION_DUCKDB_TABLES_H_

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "change/relation.h"
#include "destination/duckdb/database.h"
#include "destination/options.h"

namespace wallaby {

struct DuckdbColumn {
  std::string name;
  std::string type;
};

// A table that is ready for rows of one shape of a relation.
struct ReadyTable {
  DuckdbTable table;
  RelationPtr relation;
  std::vector<PgType> types;          // of the relation's columns, after type_mappings
  std::vector<DuckdbColumn> columns;  // what rows are written to, in order: the relation's, then append mode's own
  // The table has these columns and no others, in this order and with these types, so that rows can be loaded by
  // position.
  bool exact = false;
  // No row in it that this connection can see.
  bool empty = false;
  // It was empty when this connection first wrote to it, and since then got nothing but rows of a snapshot, none of
  // which comes twice.
  bool snapshot_only = false;
};

class DuckdbTables {
 public:
  explicit DuckdbTables(const TableOptions* options) : options_(options) {}

  // Changes nothing. OK when the table is missing or fits.
  absl::Status Check(DuckdbConnection* connection, const Relation& relation);
  // FAILED_PRECONDITION when the table or one of these columns is missing.
  absl::Status CheckPresent(DuckdbConnection* connection, const Relation& relation);
  // Makes schema, table and columns where missing. The pointer is good until the next Ready() or Forget().
  absl::StatusOr<ReadyTable*> Ready(DuckdbConnection* connection, const RelationPtr& relation);
  // What Ready() runs where the table is missing.
  std::vector<std::string> CreateStatements(const DuckdbTable& table, const Relation& relation) const;
  // Another table may have the relation's name from now on, and the next Ready() looks at the table anew.
  void Forget(const Relation& relation);
  // The name under which a relation's rows are kept.
  DuckdbTable Target(const DuckdbConnection& connection, const Relation& relation) const;
  // Columns of a table; empty when it does not exist.
  static absl::StatusOr<std::vector<DuckdbColumn>> Columns(DuckdbConnection* connection, const DuckdbTable& table);
  // After a rollback, or when others may have had the file.
  void Forget() {
    ready_.clear();
    snapshot_only_.clear();
  }
  // What is in this table are rows of its snapshot now, and none of them comes again. Looked at by the next Ready().
  void ExpectSnapshotOnly(const Relation& relation) {
    ready_.clear();
    snapshot_only_.insert(relation.QualifiedName());
  }

 private:
  absl::Status ClaimName(const DuckdbTable& table, const Relation& relation);
  std::vector<DuckdbColumn> Wanted(const Relation& relation) const;

  const TableOptions* options_;
  std::map<std::string, ReadyTable> ready_;    // by lower-case schema and name
  std::set<std::string> snapshot_only_;        // source's tables, not yet ready
  std::map<std::string, std::string> owners_;  // lower-case schema and name -> the source's table
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_DUCKDB_TABLES_H_

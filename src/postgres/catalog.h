// What the source's catalog says of types, tables and publications.
#ifndef WALLABY_POSTGRES_CATALOG_H_
#define WALLABY_POSTGRES_CATALOG_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "change/relation.h"
#include "change/schema_change.h"
#include "postgres/connection.h"
#include "postgres/source_options.h"

namespace wallaby {

// Turns type OIDs that are not built in into PgType: enums, domains (to their base), the rest to text. Remembers.
// One thread.
class TypeCatalog {
 public:
  // `sql` must outlive the catalog; null: every type that is not built in is text.
  explicit TypeCatalog(PgConnection* sql) : sql_(sql) {}
  absl::StatusOr<PgType> Resolve(uint32_t oid, int32_t typmod);

 private:
  PgConnection* sql_;
  std::map<std::pair<uint32_t, int32_t>, PgType> known_;
};

// A table that a publication carries.
struct PublishedTable {
  Relation relation;  // columns that are published: no dropped, generated (unless published) or left-out ones
  std::vector<ColumnDetail> details;  // of relation.columns
  std::string row_filter;             // SQL of the publication's WHERE; "" for none (15+)
  int64_t estimated_rows = 0;
  int64_t pages = 0;
  bool partitioned_root = false;               // published through its root: rows are read through it
  std::vector<std::string> generated_columns;  // left out by logical replication
  bool stored_columns_left_out = false;        // some of those are stored, which 18 can send
  std::vector<std::string> unlisted_columns;   // left out by the publication's column list (15+)
  bool updates_published = true;
  bool has_primary_key = false;
};

// Tables of the publication as the subscriber sees them (partitions under publish_via_partition_root are one table), in
// order of name. Relation::key follows the rule in change/relation.h. NOT_FOUND when there is no such publication.
absl::StatusOr<std::vector<PublishedTable>> PublishedTables(PgConnection& sql, const std::string& publication,
                                                            TypeCatalog& types);

// The same for the publication that the options let the flow make, while there is none. Errors as EnsurePublication's.
absl::StatusOr<std::vector<PublishedTable>> TablesToPublish(PgConnection& sql, const SourceOptions& options,
                                                            TypeCatalog& types);

// Relation::key for a relation that came by the stream: needs the primary key's columns when the identity is full.
absl::StatusOr<std::vector<std::string>> PrimaryKeyColumns(PgConnection& sql, uint32_t table_oid);

// ---- publications ----
absl::StatusOr<bool> PublicationExists(PgConnection& sql, const std::string& name);
// Creates the publication when it is missing (tables, schemas (15+), or FOR ALL TABLES when neither is named; with
// publish_via_partition_root), or adds (mode add) / makes equal (mode sync) its tables when asked. Column lists and row
// filters of tables that stay are kept. Returns what changed: "schema.table", "schema.*", "*".
// NOT_FOUND names tables or schemas that are missing; PERMISSION_DENIED has the SQL which somebody with the right runs.
struct PublicationChange {
  bool created = false;
  std::vector<std::string> added;
  std::vector<std::string> removed;
};
absl::StatusOr<PublicationChange> EnsurePublication(PgConnection& sql, const std::string& name,
                                                    const std::vector<std::string>& tables,
                                                    const std::vector<std::string>& schemas, bool sync,
                                                    PublicationMode mode);

// ---- checks ----
struct Finding {
  enum class Severity { kError, kWarning, kInfo };
  Severity severity;
  std::string subject;
  std::string message;
  std::string remedy;      // SQL or a sentence
  std::string check = {};  // which check it is of, for scripts: "wal_level"
  // Statements that mend it, each ended by a semicolon, and who may run them with the least rights: "the table's
  // owner". "": no statement does.
  std::string sql = {};
  std::string run_as = {};
};
// All that would keep the source from being read or would make its users' updates fail: wal_level, slots and senders
// left, role's rights, a pooler in the way, slot's state, publication, tables' replica identity, rights on tables,
// unlogged tables, generated columns, row filters. Changes nothing; makes a replication connection of its own to see
// that it can. The absence of slot and publication is no finding when the options let the flow make them; then the
// tables that it would publish are checked. Errors first.
absl::StatusOr<std::vector<Finding>> CheckSource(PgConnection& sql, const SourceOptions& options);

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_CATALOG_H_

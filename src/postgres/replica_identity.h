// Whether UPDATE and DELETE on a published table are carried out and told: its replica identity against what each
// publication asks of it, and the statement that makes the two fit.
//
// PostgreSQL refuses an UPDATE or DELETE that a publication carries when nothing identifies the row; when the row
// filter looks at a column that is not in the identity; when the column list leaves out a column of it, or there is any
// list over the identity FULL; and from 18 on when a generated column of it is not carried. Before 18 it carries out
// the last and sends no generated column: the row's identity does not arrive whole. Source: PostgreSQL documentation,
// "Logical Replication": "Publication", "Row Filters", "Column Lists", "Generated Column Replication".
#ifndef WALLABY_POSTGRES_REPLICA_IDENTITY_H_
#define WALLABY_POSTGRES_REPLICA_IDENTITY_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "postgres/connection.h"

namespace wallaby {

// A table in one publication, as it is or as it is to be.
struct PublishedAs {
  std::string publication;  // "": one that has no name yet
  bool updates = true;      // the publication carries them
  bool deletes = true;
  bool sends_stored = false;             // and stored generated columns, where there is no column list (18+)
  bool to_be = false;                    // not so yet
  bool missing = false;                  // there is no such publication yet;
  std::string create_sql;                // makes it, with sends_stored; "": not to be run as things are
  std::string_view create_as;            // who may do so
  std::string table_sql;                 // quoted: the table itself or the root under whose name it is published
  bool has_list = false;                 // 15+
  std::vector<std::string> list;         // its columns
  std::string filter;                    // SQL of the row filter; "" for none (15+)
  std::vector<std::string> filter_uses;  // columns
};

// A table, or a partition: an update needs the partition's own identity, whatever name it is published under.
struct TableIdentity {
  struct Index {
    std::string name;
    bool primary = false;
    bool in_use = false;  // REPLICA IDENTITY USING INDEX names it
    std::vector<std::string> columns;
  };

  std::string shown;  // schema.table
  std::string sql;    // quoted
  char identity = 'd';
  bool has_primary_key = false;       // that can be an identity: not deferrable
  std::vector<std::string> stored;    // generated columns that are stored,
  std::vector<std::string> computed;  // and virtual ones (18+)
  // Those that can be the identity: the primary key first, else the one with the fewest columns.
  std::vector<Index> indexes;
  // By every publication of the database that carries updates or deletes of it, and by `publication` in any case.
  std::vector<PublishedAs> published;
};

// `oids`: tables, roots and partitions as an array literal; a root stands for its partitions. In order of name.
// `publication` may be "".
absl::StatusOr<std::vector<TableIdentity>> ReadIdentities(PgConnection& sql, const std::string& oids,
                                                          const std::string& publication);

enum class GapKind { kNothing, kFilter, kList, kGenerated };

// What a publication asks of the table's identity and does not get.
struct IdentityGap {
  GapKind kind = GapKind::kNothing;
  const PublishedAs* in = nullptr;   // of the table's
  std::vector<std::string> columns;  // of kFilter: used but not in the identity; else: in it but not carried
};

// Of the publications that carry updates or deletes of the table.
std::vector<IdentityGap> IdentityGaps(const TableIdentity& table, int server_major);
bool FullIdentityFits(const TableIdentity& table, int server_major);
// The gap makes the user's own statement fail, rather than the flow that reads what it did.
bool FailsAtSource(const IdentityGap& gap, int server_major);
// It goes when the publication carries the stored generated columns.
bool MendedByStored(const TableIdentity& table, const IdentityGap& gap, int server_major);

// "has no primary key: UPDATE and DELETE on it FAIL at the source, because nothing would identify the row". Of the gaps
// of one table, at least one. `when` stands before the consequence where nothing of it is so yet: "as soon as the flow
// publishes it, ".
std::string DescribeGaps(const TableIdentity& table, const std::vector<IdentityGap>& gaps, int server_major,
                         std::string_view when);

struct IdentityMend {
  std::string sql;  // statements, each ended by a semicolon; "": none is sure to break nothing else
  std::string_view run_as;
};
// The least that closes the gaps of every publication: another identity where one fits, else more columns carried.
IdentityMend MendOf(const TableIdentity& table, int server_major);

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_REPLICA_IDENTITY_H_

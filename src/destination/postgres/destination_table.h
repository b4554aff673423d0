// DestinationTable: what the destination's catalog says of a table that rows are to be written to.
#ifndef WALLABY_DESTINATION_POSTGRES_DESTINATION_TABLE_H_
#define WALLABY_DESTINATION_POSTGRES_DESTINATION_TABLE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "destination/postgres/session.h"

namespace wallaby {

struct DestinationColumn {
  std::string name;
  uint32_t type_oid = 0;  // of a domain: its base type
  std::string type_sql;   // the same, with modifiers, as SQL
  bool generated = false;
  bool identity_always = false;
  bool not_null = false;
};

struct UniqueIndex {
  std::string name;
  std::vector<std::string> columns;
  bool plain = false;  // valid, immediate, without predicate and expressions: ON CONFLICT may use it
  uint32_t oid = 0;
  bool primary = false;
  std::string constraint;  // whose index it is, quoted; "" for none
};

struct DestinationTable {
  uint32_t oid = 0;
  std::vector<DestinationColumn> columns;
  std::vector<UniqueIndex> unique_indexes;
  bool is_table = true;        // ordinary or partitioned
  bool row_security = false;   // applies to our role
  bool owned = false;          // our role may alter it
  bool can_truncate = false;   // the right, and no foreign key points here
  std::string missing_rights;  // "INSERT, DELETE"; "" when there are all that target mode needs

  const DestinationColumn* Find(std::string_view name) const;
  // A unique index on exactly these columns that ON CONFLICT may use.
  bool HasUniqueIndexOn(const std::vector<std::string>& names) const;
};

// Nothing when there is no such table.
absl::StatusOr<std::optional<DestinationTable>> LoadTable(Session& session, const std::string& schema,
                                                          const std::string& name);

// "schema"."name".
std::string QualifiedSql(std::string_view schema, std::string_view name);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_POSTGRES_DESTINATION_TABLE_H_

// Tables that foreign keys link to each other.
#ifndef WALLABY_POSTGRES_LINKED_TABLES_H_
#define WALLABY_POSTGRES_LINKED_TABLES_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "change/relation.h"
#include "postgres/connection.h"

namespace wallaby {

// All tables that a chain of foreign keys links to one of `oids`, in whichever direction, as the catalog has them now;
// these too, as far as there still are such tables. Of each: oid, schema and name.
absl::StatusOr<std::vector<Relation>> LinkedTables(PgConnection& sql, const std::vector<uint32_t>& oids);

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_LINKED_TABLES_H_

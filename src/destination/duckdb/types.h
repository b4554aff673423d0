// Which DuckDB type carries a PostgreSQL type, and which column types that exist may hold it (docs/types.md).
#ifndef WALLABY_DESTINATION_DUCKDB_TYPES_H_
#define WALLABY_DESTINATION_DUCKDB_TYPES_H_

#include <string>
#include <string_view>

#include "change/type.h"

namespace wallaby {

// As duckdb_columns() prints it: "INTEGER", "DECIMAL(10,2)", "TIMESTAMP WITH TIME ZONE".
std::string DuckdbType(const PgType& type);

// True when every value of `wanted` fits into a column of type `present`: the same type, or a wider one of its kind.
bool DuckdbTypeHolds(std::string_view present, std::string_view wanted);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_DUCKDB_TYPES_H_

// DuckDB expressions for values that PostgreSQL printed.
#ifndef WALLABY_DESTINATION_DUCKDB_LITERAL_H_
#define WALLABY_DESTINATION_DUCKDB_LITERAL_H_

#include <string>
#include <string_view>

#include "change/type.h"

namespace wallaby {

// A string constant from which DuckDB casts to DuckdbType(type) the value that PostgreSQL prints as `text`. A constant
// and no expression, as DuckDB cannot alter a table twice in a transaction when the first added a column with a
// computed default. That the text is a value of the type is for DuckDB to check.
std::string DuckdbLiteral(std::string_view text, const PgType& type);

// An expression for the text that PostgreSQL prints for the value of `column`, which has the DuckDB type `type`.
std::string DuckdbTextOf(std::string_view column, std::string_view type);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_DUCKDB_LITERAL_H_

// Names and texts within SQL, quoted. The one place: no other code of the product writes quotes around a value that it
// does not know. The forms are those of standard SQL, which PostgreSQL (with standard_conforming_strings on, as every
// connection here has it), DuckDB and SQLite share: only the quote itself is special, and is doubled.
#ifndef WALLABY_BASE_SQL_TEXT_H_
#define WALLABY_BASE_SQL_TEXT_H_

#include <string>
#include <string_view>

namespace wallaby {

// a"b as "a""b".
std::string SqlIdentifier(std::string_view name);
// it's as 'it''s'. A zero byte, which no SQL text can hold, is the caller's to refuse.
std::string SqlLiteral(std::string_view text);
// "schema"."table"
std::string SqlTable(std::string_view schema, std::string_view table);

// What stands between the quotes of SqlLiteral(text), for code that appends many values.
void AppendSqlQuoted(std::string_view text, std::string* out);

}  // namespace wallaby

#endif  // WALLABY_BASE_SQL_TEXT_H_

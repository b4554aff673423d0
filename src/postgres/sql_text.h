// Names and texts within SQL, quoted for PostgreSQL with standard_conforming_strings on.
#ifndef WALLABY_POSTGRES_SQL_TEXT_H_
#define WALLABY_POSTGRES_SQL_TEXT_H_

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace wallaby {

inline std::string SqlIdentifier(std::string_view name) {
  return absl::StrCat("\"", absl::StrReplaceAll(name, {{"\"", "\"\""}}), "\"");
}
inline std::string SqlLiteral(std::string_view text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "''"}}), "'");
}
inline std::string SqlTable(std::string_view schema, std::string_view table) {
  return absl::StrCat(SqlIdentifier(schema), ".", SqlIdentifier(table));
}

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_SQL_TEXT_H_

#include "store/sql_database.h"

#include <array>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace wallaby {
namespace {

struct Token {
  std::string_view name;
  std::string_view sqlite;
  std::string_view postgres;
};

constexpr std::array<Token, 5> kTokens{{
    {"{now}", "wallaby_now()", "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"},
    {"{for_update}", "", "FOR UPDATE"},
    {"{for_share}", "", "FOR SHARE"},
    {"{id_column}", "INTEGER PRIMARY KEY AUTOINCREMENT", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"},
    {"{text_by_byte}", "TEXT", "TEXT COLLATE \"C\""},
}};

}  // namespace

const std::string& SqlRows::Text(int row, int column) const {
  static const std::string kEmpty;
  WALLABY_CHECK(row < size() && column < columns_, "cell outside of the result");
  const std::optional<std::string>& value = values_[row * columns_ + column];
  return value ? *value : kEmpty;
}

int64_t SqlRows::Int(int row, int column) const {
  int64_t value = 0;
  const std::string& text = Text(row, column);
  return absl::SimpleAtoi(text, &value) ? value : 0;
}

double SqlRows::Real(int row, int column) const {
  double value = 0;
  return absl::SimpleAtod(Text(row, column), &value) ? value : 0;
}

std::string RenderSql(std::string_view sql, SqlDialect dialect) {
  const bool sqlite = dialect == SqlDialect::kSqlite;
  std::string out;
  out.reserve(sql.size() + 64);
  for (size_t i = 0; i < sql.size();) {
    if (sql[i] == '@') {
      if (!sqlite) absl::StrAppend(&out, kControlSchema, ".");
      ++i;
    } else if (sql[i] == '$' && sqlite) {
      out += '?';  // ?1 is SQLite's form of $1
      ++i;
    } else if (sql[i] == '{') {
      bool known = false;
      for (const Token& token : kTokens) {
        if (!sql.substr(i).starts_with(token.name)) continue;
        out += sqlite ? token.sqlite : token.postgres;
        i += token.name.size();
        known = true;
        break;
      }
      WALLABY_CHECK(known, "unknown placeholder in a statement of the store");
    } else {
      out += sql[i++];
    }
  }
  return out;
}

}  // namespace wallaby

#include "base/sql_text.h"

namespace wallaby {
namespace {

void AppendDoubled(std::string_view text, char quote, std::string* out) {
  for (size_t at; (at = text.find(quote)) != text.npos; text.remove_prefix(at + 1)) {
    out->append(text.substr(0, at + 1));
    out->push_back(quote);
  }
  out->append(text);
}

std::string Quoted(std::string_view text, char quote) {
  std::string out;
  out.reserve(text.size() + 2);
  out.push_back(quote);
  AppendDoubled(text, quote, &out);
  out.push_back(quote);
  return out;
}

}  // namespace

std::string SqlIdentifier(std::string_view name) {
  return Quoted(name, '"');
}

std::string SqlLiteral(std::string_view text) {
  return Quoted(text, '\'');
}

std::string SqlTable(std::string_view schema, std::string_view table) {
  return SqlIdentifier(schema) + "." + SqlIdentifier(table);
}

void AppendSqlQuoted(std::string_view text, std::string* out) {
  AppendDoubled(text, '\'', out);
}

}  // namespace wallaby

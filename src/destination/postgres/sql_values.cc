#include "destination/postgres/sql_values.h"

#include "absl/strings/str_cat.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "change/value.h"

namespace wallaby {

void RowFields::Parse(const char* tuple) {
  fields_.clear();
  for (TupleCursor c(tuple); !c.done(); c.Next()) fields_.push_back(c.field());
}

absl::Status AppendValueText(const Field& field, const Column& column, std::string_view table, std::string* out) {
  if (field.kind == FieldKind::kText) return out->append(field.bytes), absl::OkStatus();
  absl::Status status = field.kind == FieldKind::kBinary
                            ? AppendText(field, column.type, out)
                            : absl::InternalError("a value that is null or was not sent has no text");
  if (status.ok()) [[likely]]
    return status;
  return Annotate(status, absl::StrCat("table ", table, ", column ", column.name));
}

absl::Status AppendLiteral(const Field& field, const Column& column, std::string_view table, std::string* out) {
  if (field.is_null()) return out->append("NULL"), absl::OkStatus();
  out->push_back('\'');
  const size_t begin = out->size();
  RETURN_IF_ERROR(AppendValueText(field, column, table, out));
  if (out->find('\'', begin) != out->npos) {
    out->resize(begin);
    std::string printed;  // stays empty: values that are printed from binary form have no quotes
    std::string_view text;
    RETURN_IF_ERROR(ReadText(field, column.type, &printed, &text));
    AppendSqlQuoted(text, out);
  }
  out->push_back('\'');
  return absl::OkStatus();
}

}  // namespace wallaby

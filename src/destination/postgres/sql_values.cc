#include "destination/postgres/sql_values.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "change/value.h"

namespace wallaby {

void RowFields::Parse(const char* tuple) {
  fields_.clear();
  for (TupleCursor c(tuple); !c.done(); c.Next()) fields_.push_back(c.field());
}

absl::Status AppendValueText(const Field& field, const Column& column, std::string_view table, std::string* out) {
  absl::Status status;
  switch (field.kind) {
    case FieldKind::kText:
      out->append(field.bytes);
      return status;
    case FieldKind::kBinary:
      status = AppendText(field, column.type, out);
      break;
    default:
      status = absl::InternalError("a value that is null or was not sent has no text");
      break;
  }
  return Annotate(status, absl::StrCat("table ", table, ", column ", column.name));
}

absl::Status AppendLiteral(const Field& field, const Column& column, std::string_view table, std::string* out) {
  if (field.is_null()) {
    out->append("NULL");
    return absl::OkStatus();
  }
  std::string printed;
  std::string_view text = field.bytes;
  if (field.kind != FieldKind::kText) {
    RETURN_IF_ERROR(AppendValueText(field, column, table, &printed));
    text = printed;
  }
  out->push_back('\'');
  for (size_t quote; (quote = text.find('\'')) != text.npos; text.remove_prefix(quote + 1)) {
    out->append(text.substr(0, quote + 1));
    out->push_back('\'');
  }
  out->append(text);
  out->push_back('\'');
  return absl::OkStatus();
}

}  // namespace wallaby

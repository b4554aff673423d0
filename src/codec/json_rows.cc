#include "codec/json_rows.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "codec/json_text.h"
#include "codec/record_rows.h"
#include "codec/value_error.h"

namespace wallaby {

absl::StatusOr<JsonRows> JsonRows::Make(const RelationPtr& relation, const CodecOptions& options) {
  JsonRows rows;
  rows.relation_ = relation;
  for (const wallaby::Column& column : relation->columns) {
    Column entry{.type = TypeOf(options, *relation, column)};
    if (!AppendJsonString(column.name, &entry.prefix)) {
      return absl::InvalidArgumentError(absl::StrCat("table ", relation->QualifiedName(),
                                                     ": a column's name is not UTF-8, and JSON has no other text"));
    }
    entry.prefix.push_back(':');
    rows.columns_.push_back(std::move(entry));
  }
  return rows;
}

absl::Status JsonRows::AppendField(int index, const Field& field, std::string* out) {
  Column& column = columns_[static_cast<size_t>(index)];
  if (out->back() != '{') out->push_back(',');
  out->append(column.prefix);
  if (field.is_null()) return out->append("null"), absl::OkStatus();
  const absl::Status status = AppendJsonValue(field, column.type, &scratch_, out);
  return status.ok() ? status : ExplainValue(status, *relation_, index, column.type);
}

absl::Status JsonRows::AppendRow(TupleCursor row, std::string* out) {
  if (row.count() != static_cast<int>(columns_.size())) return WrongColumnCount(*relation_, row.count());
  out->push_back('{');
  for (; !row.done(); row.Next()) {
    if (!row.field().is_absent()) RETURN_IF_ERROR(AppendField(row.index(), row.field(), out));
  }
  out->push_back('}');
  return absl::OkStatus();
}

absl::Status JsonRows::AppendKey(TupleCursor row, const char* old, std::string* out) {
  out->push_back('{');
  RETURN_IF_ERROR(ForKeyFields(*relation_, row, old,
                               [&](int index, const Field& field) { return AppendField(index, field, out); }));
  out->push_back('}');
  return absl::OkStatus();
}

absl::Status JsonRows::AppendUnchanged(TupleCursor row, std::string* out) const {
  out->push_back('[');
  for (; !row.done(); row.Next()) {
    if (!row.field().is_absent()) continue;
    if (out->back() != '[') out->push_back(',');
    const std::string& prefix = columns_[static_cast<size_t>(row.index())].prefix;
    out->append(prefix, 0, prefix.size() - 1);
  }
  out->push_back(']');
  return absl::OkStatus();
}

}  // namespace wallaby

// Rows of the wire form as SQL text, for the statements that carry a few rows.
#ifndef WALLABY_DESTINATION_POSTGRES_SQL_VALUES_H_
#define WALLABY_DESTINATION_POSTGRES_SQL_VALUES_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "change/relation.h"
#include "change/tuple.h"

namespace wallaby {

// A tuple's fields by column. Kept from row to row for its memory.
class RowFields {
 public:
  void Parse(const char* tuple);
  const Field& operator[](int column) const { return fields_[static_cast<size_t>(column)]; }
  int size() const { return static_cast<int>(fields_.size()); }

 private:
  std::vector<Field> fields_;
};

// Appends the value as a quoted literal without a type, or NULL. An absent value is a caller's error (INTERNAL).
// `table` is for the error.
absl::Status AppendLiteral(const Field& field, const Column& column, std::string_view table, std::string* out);

// Appends the value's text; names the column in errors.
absl::Status AppendValueText(const Field& field, const Column& column, std::string_view table, std::string* out);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_POSTGRES_SQL_VALUES_H_

// RowFilter: a condition on a table's rows, in a small part of PostgreSQL's SQL. docs/mapping.md has the language.
//
//   condition  = condition OR condition | condition AND condition | NOT condition | ( condition )
//              | TRUE | FALSE | column                                                 a boolean one
//              | value (= <> != < <= > >=) value
//              | value [NOT] IN ( literal, ... ) | value [NOT] BETWEEN literal AND literal
//              | value [NOT] LIKE 'pattern' | column IS [NOT] (NULL | TRUE | FALSE)
//   value      = column [COLLATE "C"] | literal
//   literal    = 'text' | [-]number | TRUE | FALSE
//
// NOT binds more tightly than AND, and AND than OR. A name without quotes is folded to lower case.
#ifndef WALLABY_MAPPING_ROW_FILTER_H_
#define WALLABY_MAPPING_ROW_FILTER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace wallaby {

enum class Comparison : uint8_t { kEqual, kNotEqual, kLess, kLessOrEqual, kGreater, kGreaterOrEqual };

struct FilterValue {
  enum class Kind : uint8_t { kColumn, kText, kNumber, kBool };
  Kind kind = Kind::kColumn;
  std::string text;       // the column's name, the text without quotes, the number as it stands, "t" or "f"
  bool bytewise = false;  // a column with COLLATE "C"
};

// What is not listed is made of these: BETWEEN of two comparisons, a boolean column of `column = true`.
struct FilterNode {
  enum class Kind : uint8_t { kAnd, kOr, kNot, kConstant, kCompare, kIn, kLike, kIsNull };
  Kind kind;
  bool constant = false;                       // kConstant
  Comparison comparison = Comparison::kEqual;  // kCompare
  int left = -1;                               // kAnd, kOr, kNot: indexes of nodes
  int right = -1;
  FilterValue value;               // the others
  std::vector<FilterValue> other;  // kCompare, kLike: one literal or column; kIn: literals
};

class RowFilter {
 public:
  // INVALID_ARGUMENT says where the text stops making sense, and what is allowed there.
  static absl::StatusOr<RowFilter> Parse(std::string_view text);

  const std::string& text() const { return text_; }
  // In an order in which children stand before their parents; the last is the root.
  const std::vector<FilterNode>& nodes() const { return nodes_; }

 private:
  std::string text_;
  std::vector<FilterNode> nodes_;
};

}  // namespace wallaby

#endif  // WALLABY_MAPPING_ROW_FILTER_H_

// BoundFilter: a row filter with the columns and types of one relation, ready to look at rows. SQL's three-valued
// logic, and a fourth value for what cannot be told because an unchanged TOASTed value was not sent.
#ifndef WALLABY_MAPPING_BOUND_FILTER_H_
#define WALLABY_MAPPING_BOUND_FILTER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "change/relation.h"
#include "mapping/row_filter.h"
#include "mapping/tuple_fields.h"

namespace wallaby {

enum class Truth : uint8_t { kFalse, kTrue, kNull, kAbsent };

// How values are compared. Text is equal where its bytes are; bpchar without the blanks at its end.
enum class FilterClass : uint8_t {
  kNone,  // can only be null or not
  kBool,
  kInteger,
  kOid,
  kFloat32,
  kFloat64,
  kDecimal,
  kText,
  kPaddedText,
  kEnum,
  kUuid,
  kBytes,
  kDate,
  kTime,
  kTimestamp,
  kTimestampTz,
};
FilterClass FilterClassOf(const PgType& type);

// A literal as values of its class are compared with it.
struct FilterLiteral {
  std::string text;     // kText, kPaddedText, kEnum, kDecimal; kUuid, kBytes: the bytes
  std::string hex;      // kBytes: as text, "\x..."
  int64_t integer = 0;  // kBool, kInteger, kOid, dates and times
  int tie = 0;          // kInteger: the order where the value equals `integer`: -1 when the literal is a little above
  double number = 0;    // kFloat32, kFloat64
};

class BoundFilter {
 public:
  // INVALID_ARGUMENT names the column: it does not exist, its type cannot be compared so, a literal is none of its
  // type.
  static absl::StatusOr<BoundFilter> Bind(const RowFilter& filter, const Relation& relation);

  // Columns of the relation that the filter looks at, ascending.
  const std::vector<int>& columns() const { return columns_; }

  // What the condition is for a row. `fallback`, which may be null, has the values that `row` does not. No allocation.
  // An error does not quote the value.
  absl::Status Evaluate(const TupleFields& row, const TupleFields* fallback, Truth* out) const;

  // The first column of the filter that neither has, or -1: for errors.
  int FirstAbsent(const TupleFields& row, const TupleFields* fallback) const;

 private:
  class Binder;
  struct Node {
    FilterNode::Kind kind;
    Comparison comparison = Comparison::kEqual;
    FilterClass type = FilterClass::kNone;
    bool constant = false;
    int left = -1;  // nodes
    int right = -1;
    int column = -1;
    int other_column = -1;  // kCompare with another column
    int first_literal = 0;  // literals first..last-1
    int last_literal = 0;
  };
  struct Row {
    const TupleFields& fields;
    const TupleFields* fallback;
    Field At(int column) const {
      return fields.is_absent(column) && fallback != nullptr ? (*fallback)[column] : fields[column];
    }
  };

  bool Evaluate(int node, const Row& row, Truth* out) const;
  bool EvaluateCompare(const Node& node, const Row& row, Truth* out) const;
  bool EvaluateIn(const Node& node, const Field& value, Truth* out) const;

  std::vector<Node> nodes_;  // as those of the filter
  std::vector<FilterLiteral> literals_;
  std::vector<int> columns_;
};

}  // namespace wallaby

#endif  // WALLABY_MAPPING_BOUND_FILTER_H_

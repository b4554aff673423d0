#include "mapping/bound_filter.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/status.h"
#include "change/value.h"
#include "mapping/decimal_order.h"
#include "mapping/filter_literal.h"

namespace wallaby {
namespace {

constexpr uint32_t kCharOid = 18, kNameOid = 19, kTextOid = 25, kBpcharOid = 1042, kVarcharOid = 1043,
                   kNumericOid = 1700;

FilterClass ClassOfText(const PgType& type) {
  switch (type.oid) {
    case kNameOid:
    case kTextOid:
    case kVarcharOid:
      return FilterClass::kText;
    case kBpcharOid:
      return FilterClass::kPaddedText;
    case kCharOid:
      return FilterClass::kEnum;  // equal or not, and no more
    case kNumericOid:
      return FilterClass::kDecimal;
    default:
      return !IsBuiltinOid(type.oid) && type.binary ? FilterClass::kEnum : FilterClass::kNone;
  }
}

bool IsOrdered(FilterClass type) {
  return type != FilterClass::kNone && type != FilterClass::kEnum;
}
bool IsText(FilterClass type) {
  return type == FilterClass::kText || type == FilterClass::kPaddedText;
}

// ---- order of values ----

template <typename T>
int Order(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

// NaN is above all numbers and equals itself.
int OrderOfFloats(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return Order(std::isnan(a), std::isnan(b));
  return Order(a, b);
}

std::string_view WithoutPadding(std::string_view text) {
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

bool ReadFloat(FilterClass type, const Field& field, double* out) {
  if (type == FilterClass::kFloat64) return ReadFloat64(field, out).ok();
  float single = 0;
  const bool ok = ReadFloat32(field, &single).ok();
  *out = single;
  return ok;
}

// Those that are 64 bits to compare.
bool ReadInteger(FilterClass type, const Field& field, int64_t* out) {
  switch (type) {
    case FilterClass::kBool: {
      bool truth = false;
      const bool ok = ReadBool(field, &truth).ok();
      *out = truth ? 1 : 0;
      return ok;
    }
    case FilterClass::kInteger:
      return ReadInt(field, out).ok();
    case FilterClass::kOid: {
      uint32_t oid = 0;
      const bool ok = ReadUint32(field, &oid).ok();
      *out = oid;
      return ok;
    }
    case FilterClass::kDate: {
      int32_t days = 0;
      const bool ok = ReadDate(field, &days).ok();
      *out = days;
      return ok;
    }
    case FilterClass::kTime:
      return ReadTime(field, out).ok();
    default:
      return ReadTimestamp(field, out).ok();
  }
}

// False when the value cannot be read.
bool OrderWithLiteral(FilterClass type, const Field& value, const FilterLiteral& literal, int* order) {
  switch (type) {
    case FilterClass::kText:
    case FilterClass::kEnum:
      *order = value.bytes.compare(literal.text);
      return true;
    case FilterClass::kPaddedText:
      *order = WithoutPadding(value.bytes).compare(literal.text);
      return true;
    case FilterClass::kBytes:
      *order = value.bytes.compare(value.kind == FieldKind::kText ? literal.hex : literal.text);
      return true;
    case FilterClass::kUuid: {
      unsigned char bytes[16];
      if (!ReadUuid(value, bytes).ok()) return false;
      *order = std::memcmp(bytes, literal.text.data(), sizeof(bytes));
      return true;
    }
    case FilterClass::kDecimal: {
      DecimalDigits a, b;
      if (!a.Read(value) || !b.Read({FieldKind::kText, literal.text})) return false;
      *order = CompareDecimals(a, b);
      return true;
    }
    case FilterClass::kFloat32:
    case FilterClass::kFloat64: {
      double number = 0;
      if (!ReadFloat(type, value, &number)) return false;
      *order = OrderOfFloats(number, literal.number);
      return true;
    }
    default: {
      int64_t integer = 0;
      if (!ReadInteger(type, value, &integer)) return false;
      *order = integer == literal.integer ? literal.tie : Order(integer, literal.integer);
      return true;
    }
  }
}

bool OrderOfFields(FilterClass type, const Field& a, const Field& b, int* order) {
  switch (type) {
    case FilterClass::kText:
    case FilterClass::kEnum:
      *order = a.bytes.compare(b.bytes);
      return true;
    case FilterClass::kPaddedText:
      *order = WithoutPadding(a.bytes).compare(WithoutPadding(b.bytes));
      return true;
    case FilterClass::kBytes:
      if (a.kind != b.kind) return false;
      *order = a.bytes.compare(b.bytes);
      return true;
    case FilterClass::kUuid: {
      unsigned char x[16], y[16];
      if (!ReadUuid(a, x).ok() || !ReadUuid(b, y).ok()) return false;
      *order = std::memcmp(x, y, sizeof(x));
      return true;
    }
    case FilterClass::kDecimal: {
      DecimalDigits x, y;
      if (!x.Read(a) || !y.Read(b)) return false;
      *order = CompareDecimals(x, y);
      return true;
    }
    case FilterClass::kFloat32:
    case FilterClass::kFloat64: {
      double x = 0, y = 0;
      if (!ReadFloat(type, a, &x) || !ReadFloat(type, b, &y)) return false;
      *order = OrderOfFloats(x, y);
      return true;
    }
    default: {
      int64_t x = 0, y = 0;
      if (!ReadInteger(type, a, &x) || !ReadInteger(type, b, &y)) return false;
      *order = Order(x, y);
      return true;
    }
  }
}

bool Holds(Comparison comparison, int order) {
  switch (comparison) {
    case Comparison::kEqual:
      return order == 0;
    case Comparison::kNotEqual:
      return order != 0;
    case Comparison::kLess:
      return order < 0;
    case Comparison::kLessOrEqual:
      return order <= 0;
    case Comparison::kGreater:
      return order > 0;
    case Comparison::kGreaterOrEqual:
      return order >= 0;
  }
  return false;
}

// ---- LIKE ----

size_t CharacterLength(unsigned char lead) {
  return lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

// Source: PostgreSQL documentation, "Pattern Matching", LIKE. When a match fails, only the last % need take more.
bool IsLike(std::string_view text, std::string_view pattern) {
  size_t t = 0, p = 0;
  size_t retry_text = 0, retry_pattern = std::string_view::npos;
  while (t < text.size() || p < pattern.size()) {
    if (p < pattern.size() && pattern[p] == '%') {
      retry_pattern = ++p;
      retry_text = t;
      continue;
    }
    if (p < pattern.size() && t < text.size()) {
      if (pattern[p] == '_') {
        t = std::min(text.size(), t + CharacterLength(static_cast<unsigned char>(text[t])));
        ++p;
        continue;
      }
      const size_t literal = pattern[p] == '\\' ? p + 1 : p;
      if (literal < pattern.size() && pattern[literal] == text[t]) {
        p = literal + 1;
        ++t;
        continue;
      }
    }
    if (retry_pattern == std::string_view::npos || retry_text >= text.size()) return false;
    retry_text += CharacterLength(static_cast<unsigned char>(text[retry_text]));
    t = std::min(retry_text, text.size());
    p = retry_pattern;
  }
  return true;
}

// A backslash at the end has nothing to stand before.
bool EndsInEscape(std::string_view pattern) {
  const size_t last = pattern.find_last_not_of('\\');
  return (pattern.size() - (last == pattern.npos ? 0 : last + 1)) % 2 == 1;
}

// ---- logic ----

Truth And(Truth a, Truth b) {
  if (a == Truth::kFalse || b == Truth::kFalse) return Truth::kFalse;
  if (a == Truth::kAbsent || b == Truth::kAbsent) return Truth::kAbsent;
  return a == Truth::kNull || b == Truth::kNull ? Truth::kNull : Truth::kTrue;
}
Truth Not(Truth a) {
  return a == Truth::kTrue ? Truth::kFalse : a == Truth::kFalse ? Truth::kTrue : a;
}
Truth TruthOf(bool value) {
  return value ? Truth::kTrue : Truth::kFalse;
}

}  // namespace

FilterClass FilterClassOf(const PgType& type) {
  switch (type.logical) {
    case LogicalType::kText:
      return ClassOfText(type);
    case LogicalType::kBool:
      return FilterClass::kBool;
    case LogicalType::kInt16:
    case LogicalType::kInt32:
    case LogicalType::kInt64:
      return FilterClass::kInteger;
    case LogicalType::kUInt32:
      return FilterClass::kOid;
    case LogicalType::kFloat32:
      return FilterClass::kFloat32;
    case LogicalType::kFloat64:
      return FilterClass::kFloat64;
    case LogicalType::kDecimal:
      return FilterClass::kDecimal;
    case LogicalType::kBytes:
      return FilterClass::kBytes;
    case LogicalType::kDate:
      return FilterClass::kDate;
    case LogicalType::kTime:
      return FilterClass::kTime;
    case LogicalType::kTimestamp:
      return FilterClass::kTimestamp;
    case LogicalType::kTimestampTz:
      return FilterClass::kTimestampTz;
    case LogicalType::kUuid:
      return FilterClass::kUuid;
    case LogicalType::kJson:
      return FilterClass::kNone;
  }
  return FilterClass::kNone;
}

// ---- binding ----

class BoundFilter::Binder {
 public:
  Binder(const Relation& relation, BoundFilter* out) : relation_(relation), out_(*out) {}

  absl::Status Add(const FilterNode& from) {
    Node node{.kind = from.kind,
              .comparison = from.comparison,
              .constant = from.constant,
              .left = from.left,
              .right = from.right};
    if (from.kind > FilterNode::Kind::kConstant) RETURN_IF_ERROR(BindPredicate(from, &node));
    out_.nodes_.push_back(node);
    return absl::OkStatus();
  }

  void Finish() { out_.columns_.assign(columns_.begin(), columns_.end()); }

 private:
  absl::Status BindPredicate(const FilterNode& from, Node* node) {
    ASSIGN_OR_RETURN(node->column, Find(from.value));
    const Column& column = relation_.columns[node->column];
    node->type = FilterClassOf(column.type);
    if (from.value.bytewise && !IsText(node->type)) {
      return absl::InvalidArgumentError(absl::StrCat("column ", column.name, ": COLLATE is for text"));
    }
    if (from.kind == FilterNode::Kind::kLike && !IsText(node->type)) {
      return absl::InvalidArgumentError(
          absl::StrCat("column ", column.name, " is ", column.type.source_name, "; LIKE is for text"));
    }
    if (from.kind == FilterNode::Kind::kLike) return AddPattern(from.other[0], node);
    if (from.kind == FilterNode::Kind::kIsNull) return absl::OkStatus();
    RETURN_IF_ERROR(CheckOrder(from, column, node->type));
    if (from.other[0].kind == FilterValue::Kind::kColumn) return BindOtherColumn(from.other[0], column, node);
    node->first_literal = static_cast<int>(out_.literals_.size());
    for (const FilterValue& value : from.other) {
      ASSIGN_OR_RETURN(FilterLiteral literal, ReadFilterLiteral(value, column, node->type, from.other.size() > 1));
      out_.literals_.push_back(std::move(literal));
    }
    node->last_literal = static_cast<int>(out_.literals_.size());
    return absl::OkStatus();
  }

  absl::StatusOr<int> Find(const FilterValue& value) {
    for (size_t i = 0; i < relation_.columns.size(); ++i) {
      if (relation_.columns[i].name != value.text) continue;
      columns_.insert(static_cast<int>(i));
      return static_cast<int>(i);
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "there is no column ", value.text, "; columns: ",
        absl::StrJoin(relation_.columns, ", ", [](std::string* out, const Column& c) { out->append(c.name); })));
  }

  absl::Status CheckOrder(const FilterNode& from, const Column& column, FilterClass type) const {
    const bool equality = from.kind != FilterNode::Kind::kCompare || from.comparison <= Comparison::kNotEqual;
    if (equality || type == FilterClass::kNone) return absl::OkStatus();
    if (!IsOrdered(type)) {
      return absl::InvalidArgumentError(
          absl::StrCat("column ", column.name, " is ", column.type.source_name,
                       ", whose order only the source knows; it can be compared with =, <> and IN"));
    }
    if (!IsText(type) || from.value.bytewise || from.other[0].bytewise) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("column ", column.name,
                                                   " is text, whose order depends on the database's collation; write ",
                                                   column.name, " COLLATE \"C\" for the order of its bytes"));
  }

  absl::Status BindOtherColumn(const FilterValue& value, const Column& column, Node* node) {
    ASSIGN_OR_RETURN(node->other_column, Find(value));
    const Column& other = relation_.columns[node->other_column];
    const bool same = FilterClassOf(other.type) == node->type && node->type != FilterClass::kNone &&
                      (node->type != FilterClass::kEnum || other.type.oid == column.type.oid);
    if (same) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("columns ", column.name, " (", column.type.source_name, ") and ",
                                                   other.name, " (", other.type.source_name,
                                                   ") cannot be compared; only columns of one type can"));
  }

  absl::Status AddPattern(const FilterValue& pattern, Node* node) {
    if (EndsInEscape(pattern.text)) {
      return absl::InvalidArgumentError("a LIKE pattern ends in a backslash; write two for one");
    }
    node->first_literal = static_cast<int>(out_.literals_.size());
    out_.literals_.push_back({.text = pattern.text, .hex = {}});
    node->last_literal = node->first_literal + 1;
    return absl::OkStatus();
  }

  const Relation& relation_;
  BoundFilter& out_;
  std::set<int> columns_;
};

absl::StatusOr<BoundFilter> BoundFilter::Bind(const RowFilter& filter, const Relation& relation) {
  BoundFilter bound;
  Binder binder(relation, &bound);
  for (const FilterNode& node : filter.nodes()) RETURN_IF_ERROR(binder.Add(node));
  binder.Finish();
  return bound;
}

// ---- rows ----

bool BoundFilter::EvaluateCompare(const Node& node, const Row& row, Truth* out) const {
  const Field value = row.At(node.column);
  int order = 0;
  if (node.other_column < 0) {
    if (!OrderWithLiteral(node.type, value, literals_[node.first_literal], &order)) return false;
  } else {
    const Field other = row.At(node.other_column);
    if (other.is_null() || other.is_absent()) {
      *out = other.is_null() ? Truth::kNull : Truth::kAbsent;
      return true;
    }
    if (!OrderOfFields(node.type, value, other, &order)) return false;
  }
  *out = TruthOf(Holds(node.comparison, order));
  return true;
}

bool BoundFilter::EvaluateIn(const Node& node, const Field& value, Truth* out) const {
  *out = Truth::kFalse;
  for (int i = node.first_literal; i < node.last_literal; ++i) {
    int order = 0;
    if (!OrderWithLiteral(node.type, value, literals_[i], &order)) return false;
    if (order != 0) continue;
    *out = Truth::kTrue;
    break;
  }
  return true;
}

bool BoundFilter::Evaluate(int index, const Row& row, Truth* out) const {
  const Node& node = nodes_[index];
  if (node.kind == FilterNode::Kind::kConstant) return *out = TruthOf(node.constant), true;
  if (node.kind == FilterNode::Kind::kNot) {
    if (!Evaluate(node.left, row, out)) return false;
    *out = Not(*out);
    return true;
  }
  if (node.kind == FilterNode::Kind::kAnd || node.kind == FilterNode::Kind::kOr) {
    // a OR b is NOT (NOT a AND NOT b), also with values that are null or absent.
    const bool is_or = node.kind == FilterNode::Kind::kOr;
    Truth left, right;
    if (!Evaluate(node.left, row, &left)) return false;
    if (is_or) left = Not(left);
    if (left != Truth::kFalse) {
      if (!Evaluate(node.right, row, &right)) return false;
      left = And(left, is_or ? Not(right) : right);
    }
    *out = is_or ? Not(left) : left;
    return true;
  }
  const Field value = row.At(node.column);
  if (value.is_absent()) return *out = Truth::kAbsent, true;
  if (node.kind == FilterNode::Kind::kIsNull) return *out = TruthOf(value.is_null()), true;
  if (value.is_null()) {
    // Null beside a value that is absent is null too.
    return *out = Truth::kNull, true;
  }
  if (node.kind == FilterNode::Kind::kLike) {
    return *out = TruthOf(IsLike(value.bytes, literals_[node.first_literal].text)), true;
  }
  return node.kind == FilterNode::Kind::kIn ? EvaluateIn(node, value, out) : EvaluateCompare(node, row, out);
}

absl::Status BoundFilter::Evaluate(const TupleFields& row, const TupleFields* fallback, Truth* out) const {
  WALLABY_CHECK(!nodes_.empty(), "a filter has a condition");
  if (Evaluate(static_cast<int>(nodes_.size()) - 1, {row, fallback}, out)) return absl::OkStatus();
  return absl::InternalError("the row filter met a value that cannot be read as its column's type");
}

int BoundFilter::FirstAbsent(const TupleFields& row, const TupleFields* fallback) const {
  for (const int column : columns_) {
    if (Row{row, fallback}.At(column).is_absent()) return column;
  }
  return -1;
}

}  // namespace wallaby

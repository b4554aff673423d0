// TupleFields: where each field of a row stands, so that any can be looked at and runs of them copied at once. Keeps
// its memory from row to row.
#ifndef WALLABY_MAPPING_TUPLE_FIELDS_H_
#define WALLABY_MAPPING_TUPLE_FIELDS_H_

#include <string_view>
#include <vector>

#include "change/tuple.h"

namespace wallaby {

class TupleFields {
 public:
  // The tuple must live as long as what is read from here.
  void Parse(const char* tuple) {
    const int count = ReadBigEndian16(tuple);
    starts_.resize(static_cast<size_t>(count) + 1);
    const char* p = tuple + 2;
    for (int i = 0; i < count; ++i) {
      starts_[i] = p;
      p += *p == 't' || *p == 'b' ? 5 + ReadBigEndian32(p + 1) : 1;
    }
    starts_[count] = p;
    tuple_ = tuple;
  }

  int count() const { return static_cast<int>(starts_.size()) - 1; }
  FieldKind kind(int column) const { return static_cast<FieldKind>(*starts_[column]); }
  bool is_null(int column) const { return kind(column) == FieldKind::kNull; }
  bool is_absent(int column) const { return kind(column) == FieldKind::kUnchanged; }
  Field operator[](int column) const {
    const FieldKind k = kind(column);
    if (k != FieldKind::kText && k != FieldKind::kBinary) return {k, {}};
    return {k, {starts_[column] + 5, static_cast<size_t>(starts_[column + 1] - starts_[column] - 5)}};
  }
  // The fields first..last as they stand in the tuple.
  std::string_view raw(int first, int last) const {
    return {starts_[first], static_cast<size_t>(starts_[last + 1] - starts_[first])};
  }
  // The whole tuple.
  std::string_view tuple() const { return {tuple_, static_cast<size_t>(starts_.back() - tuple_)}; }

 private:
  const char* tuple_ = nullptr;
  std::vector<const char*> starts_;
};

}  // namespace wallaby

#endif  // WALLABY_MAPPING_TUPLE_FIELDS_H_

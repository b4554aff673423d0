// For tests: a row of text, and the tuple that carries it.
#ifndef WALLABY_CHANGE_TEST_TUPLE_H_
#define WALLABY_CHANGE_TEST_TUPLE_H_

#include <optional>
#include <string>
#include <vector>

#include "change/tuple.h"

namespace wallaby {

inline const std::string kAbsent = "<absent>";            // an unchanged value that was not sent
using TestRow = std::vector<std::optional<std::string>>;  // nullopt is null

inline std::string TestTuple(const TestRow& row) {
  std::string tuple;
  TupleBuilder builder(&tuple, static_cast<int>(row.size()));
  for (const auto& value : row) {
    if (!value) {
      builder.Null();
    } else if (*value == kAbsent) {
      builder.Unchanged();
    } else {
      builder.Text(*value);
    }
  }
  return tuple;
}

}  // namespace wallaby

#endif  // WALLABY_CHANGE_TEST_TUPLE_H_

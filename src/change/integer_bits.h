// IntegerBits: how wide a whole number's type is.
#ifndef WALLABY_CHANGE_INTEGER_BITS_H_
#define WALLABY_CHANGE_INTEGER_BITS_H_

#include "change/type.h"

namespace wallaby {

// 16, 32 or 64; 0 for what is no integer.
constexpr int IntegerBits(LogicalType type) {
  switch (type) {
    case LogicalType::kInt16:
      return 16;
    case LogicalType::kInt32:
      return 32;
    case LogicalType::kInt64:
      return 64;
    default:
      return 0;
  }
}

}  // namespace wallaby

#endif  // WALLABY_CHANGE_INTEGER_BITS_H_

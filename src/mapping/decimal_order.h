// The order of numerics of any length, as PostgreSQL has it: -Infinity, the numbers, Infinity, NaN, which equals
// itself. No allocation.
#ifndef WALLABY_MAPPING_DECIMAL_ORDER_H_
#define WALLABY_MAPPING_DECIMAL_ORDER_H_

#include <cstdint>
#include <string_view>

#include "change/tuple.h"

namespace wallaby {

// A number, digit by digit from the first that is not zero. A view of the bytes it was made of.
class DecimalDigits {
 public:
  // False when the bytes are no numeric: text as PostgreSQL prints it, or numeric_send's form (change/value.h).
  bool Read(const Field& field);

 private:
  friend int CompareDecimals(DecimalDigits a, DecimalDigits b);

  enum Rank : int8_t { kMinusInfinity = -1, kNumber = 0, kInfinity = 1, kNaN = 2 };
  bool ReadText(std::string_view text);
  bool ReadBinary(std::string_view bytes);
  bool done() const { return p_ == end_; }
  int Next();

  Rank rank_ = kNumber;
  int sign_ = 0;          // -1, 0, 1
  int64_t exponent_ = 0;  // the value is 0.d1 d2 d3... times ten to this
  bool binary_ = false;
  const char* p_ = nullptr;  // the next digit, or group of four in binary form
  const char* end_ = nullptr;
  int left_ = 0;  // binary: digits of the group that are still to come
};

// Below, at or above zero for a < b, a = b, a > b.
int CompareDecimals(DecimalDigits a, DecimalDigits b);

}  // namespace wallaby

#endif  // WALLABY_MAPPING_DECIMAL_ORDER_H_

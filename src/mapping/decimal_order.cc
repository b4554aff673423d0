#include "mapping/decimal_order.h"

#include <algorithm>

namespace wallaby {
namespace {

constexpr int kTens[] = {1, 10, 100, 1000};

}  // namespace

bool DecimalDigits::Read(const Field& field) {
  *this = {};
  if (field.kind == FieldKind::kText) return ReadText(field.bytes);
  return field.kind == FieldKind::kBinary && ReadBinary(field.bytes);
}

bool DecimalDigits::ReadText(std::string_view text) {
  if (text == "NaN") return rank_ = kNaN, true;
  if (text == "Infinity") return rank_ = kInfinity, true;
  if (text == "-Infinity") return rank_ = kMinusInfinity, true;
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const size_t point = std::min(text.find('.'), text.size());
  size_t digits = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i == point) continue;
    if (text[i] < '0' || text[i] > '9') return false;
    ++digits;
  }
  if (digits == 0) return false;
  const size_t first = text.find_first_not_of("0.");
  if (first == text.npos) return true;
  sign_ = negative ? -1 : 1;
  exponent_ = static_cast<int64_t>(point) - static_cast<int64_t>(first) + (first > point ? 1 : 0);
  p_ = text.data() + first;
  end_ = text.data() + text.size();
  return true;
}

bool DecimalDigits::ReadBinary(std::string_view bytes) {
  if (bytes.size() < 8) return false;
  const char* p = bytes.data();
  const int count = ReadBigEndian16(p);
  const int weight = static_cast<int16_t>(ReadBigEndian16(p + 2));
  const uint16_t sign = ReadBigEndian16(p + 4);
  if (bytes.size() != 8 + size_t{2} * static_cast<size_t>(count)) return false;
  binary_ = true;
  if (sign == 0xC000) return rank_ = kNaN, true;
  if (sign == 0xD000) return rank_ = kInfinity, true;
  if (sign == 0xF000) return rank_ = kMinusInfinity, true;
  if (sign != 0 && sign != 0x4000) return false;
  p += 8;
  for (int i = 0; i < count; ++i) {
    if (ReadBigEndian16(p + 2 * i) > 9999) return false;
  }
  int skipped = 0;
  while (skipped < count && ReadBigEndian16(p + 2 * skipped) == 0) ++skipped;
  if (skipped == count) return true;
  sign_ = sign == 0 ? 1 : -1;
  p_ = p + 2 * skipped;
  end_ = p + 2 * count;
  const int group = ReadBigEndian16(p_);
  left_ = group >= 1000 ? 4 : group >= 100 ? 3 : group >= 10 ? 2 : 1;
  exponent_ = int64_t{4} * (weight - skipped) + left_;
  return true;
}

int DecimalDigits::Next() {
  if (done()) return 0;
  if (!binary_) {
    if (*p_ == '.') ++p_;
    return done() ? 0 : *p_++ - '0';
  }
  const int digit = ReadBigEndian16(p_) / kTens[--left_] % 10;
  if (left_ == 0) {
    p_ += 2;
    left_ = 4;
  }
  return digit;
}

int CompareDecimals(DecimalDigits a, DecimalDigits b) {
  if (a.rank_ != b.rank_ || a.rank_ != DecimalDigits::kNumber) return a.rank_ - b.rank_;
  if (a.sign_ != b.sign_ || a.sign_ == 0) return a.sign_ - b.sign_;
  if (a.exponent_ != b.exponent_) return a.exponent_ < b.exponent_ ? -a.sign_ : a.sign_;
  while (!a.done() || !b.done()) {
    const int difference = a.Next() - b.Next();
    if (difference != 0) return difference < 0 ? -a.sign_ : a.sign_;
  }
  return 0;
}

}  // namespace wallaby

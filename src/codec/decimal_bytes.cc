#include "codec/decimal_bytes.h"

#include <algorithm>
#include <cstdint>

namespace wallaby {

void AppendDecimalBytes(absl::int128 unscaled, std::string* out) {
  const uint64_t high = static_cast<uint64_t>(absl::Int128High64(unscaled));
  const uint64_t low = absl::Int128Low64(unscaled);
  char bytes[16];
  for (int i = 0; i < 8; ++i) {
    bytes[i] = static_cast<char>(high >> (56 - 8 * i));
    bytes[8 + i] = static_cast<char>(low >> (56 - 8 * i));
  }
  // A byte at the front goes where it only repeats the sign of the next.
  int first = 0;
  const char sign = unscaled < 0 ? '\xff' : '\0';
  while (first < 15 && bytes[first] == sign && ((bytes[first + 1] ^ sign) & 0x80) == 0) ++first;
  out->append(bytes + first, bytes + 16);
}

bool AppendDecimalBytes(std::string_view text, int* scale, std::string* out) {
  const size_t start = out->size();
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  *scale = 0;
  bool point = false, any = false;
  // The magnitude, little-endian; nine digits are added at a time.
  uint64_t factor = 1, pending = 0;
  const auto add_pending = [&] {
    uint64_t carry = pending;
    for (size_t i = start; i < out->size(); ++i) {
      carry += static_cast<unsigned char>((*out)[i]) * factor;
      (*out)[i] = static_cast<char>(carry);
      carry >>= 8;
    }
    for (; carry != 0; carry >>= 8) out->push_back(static_cast<char>(carry));
    factor = 1;
    pending = 0;
  };
  for (const char c : text) {
    if (c == '.' && !point) {
      point = true;
      continue;
    }
    if (c < '0' || c > '9') {
      out->resize(start);
      return false;
    }
    any = true;
    *scale += point;
    pending = pending * 10 + static_cast<uint64_t>(c - '0');
    factor *= 10;
    if (factor == 1'000'000'000) add_pending();
  }
  add_pending();
  if (!any) {
    out->resize(start);
    return false;
  }
  if (out->size() == start) out->push_back('\0');
  if (negative) {
    unsigned carry = 1;
    for (size_t i = start; i < out->size(); ++i) {
      carry += static_cast<unsigned char>(~(*out)[i]);
      (*out)[i] = static_cast<char>(carry);
      carry >>= 8;
    }
  }
  const bool zero =
      std::all_of(out->begin() + static_cast<std::ptrdiff_t>(start), out->end(), [](char c) { return c == 0; });
  const bool high = (out->back() & 0x80) != 0;
  if (!zero && high != negative) out->push_back(negative ? '\xff' : '\0');
  // As few bytes as hold it: -128 came with one more.
  while (out->size() > start + 1 && out->back() == (negative ? '\xff' : '\0') &&
         ((*out)[out->size() - 2] & 0x80) == (negative ? 0x80 : 0)) {
    out->pop_back();
  }
  std::reverse(out->begin() + static_cast<std::ptrdiff_t>(start), out->end());
  return true;
}

}  // namespace wallaby

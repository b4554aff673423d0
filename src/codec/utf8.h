// UTF-8, which JSON, Avro and protobuf ask of their texts and a database in SQL_ASCII does not.
#ifndef WALLABY_CODEC_UTF8_H_
#define WALLABY_CODEC_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace wallaby {

// Bytes of the character at `p`, which is beyond ASCII; 0 when it is none (Unicode 15, table 3-7).
inline size_t Utf8CharacterLength(const char* p, const char* end) {
  const auto byte = [&](int i) { return static_cast<unsigned char>(p[i]); };
  const auto follows = [&](int i, unsigned low = 0x80, unsigned high = 0xbf) {
    return end - p > i && byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(0);
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    return follows(1, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf) && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    return follows(1, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

inline bool IsUtf8(std::string_view text) {
  const char* p = text.data();
  const char* const end = p + text.size();
  while (p != end) {
    uint64_t eight;
    if (end - p >= 8 && (std::memcpy(&eight, p, 8), (eight & 0x8080808080808080u) == 0)) {
      p += 8;
    } else if (static_cast<unsigned char>(*p) < 0x80) {
      ++p;
    } else {
      const size_t length = Utf8CharacterLength(p, end);
      if (length == 0) return false;
      p += length;
    }
  }
  return true;
}

// `format`: "JSON".
[[gnu::cold]] inline absl::Status NotUtf8(std::string_view text, std::string_view format) {
  return absl::InvalidArgumentError(
      absl::StrCat("'", absl::CHexEscape(text.substr(0, 64)), "' is not UTF-8, and ", format, " has no other text"));
}

}  // namespace wallaby

#endif  // WALLABY_CODEC_UTF8_H_

#include "base/key_text.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"

namespace wallaby {
namespace {

constexpr size_t kKeyBytes = 32;

}  // namespace

absl::StatusOr<std::string> ParseKeyText(std::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  if (text.size() == 2 * kKeyBytes && text.find_first_not_of("0123456789abcdefABCDEF") == text.npos) {
    return absl::HexStringToBytes(text);
  }
  std::string bytes;
  if ((absl::Base64Unescape(text, &bytes) || absl::WebSafeBase64Unescape(text, &bytes)) && bytes.size() == kKeyBytes) {
    return bytes;
  }
  return absl::InvalidArgumentError(
      "is not a key; allowed: 32 bytes as 64 hexadecimal digits or as base64, for example from 'openssl rand -hex 32'");
}

}  // namespace wallaby

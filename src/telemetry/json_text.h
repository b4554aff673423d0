// JSON as this room writes it, one line at a time and without a tree.
#ifndef WALLABY_TELEMETRY_JSON_TEXT_H_
#define WALLABY_TELEMETRY_JSON_TEXT_H_

#include <string>
#include <string_view>

namespace wallaby {

// Length of the valid UTF-8 sequence at the start of `text`, which is not empty; 0 when there is none.
size_t Utf8Length(std::string_view text);

// The text with "?" for each byte that is not UTF-8.
std::string ValidUtf8(std::string_view text);

// "key":"value", with a comma before it unless `out` holds only the opening brace. What is not UTF-8 becomes U+FFFD.
void AppendJsonMember(std::string_view key, std::string_view value, std::string* out);

}  // namespace wallaby

#endif  // WALLABY_TELEMETRY_JSON_TEXT_H_

#include "destination/objects/xml_text.h"

#include <cstdint>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace wallaby {
namespace {

void AppendUtf8(uint32_t code, std::string* out) {
  if (code < 0x80) {
    out->push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    *out += {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 0x3f))};
  } else if (code < 0x10000) {
    *out += {static_cast<char>(0xe0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 0x3f)),
             static_cast<char>(0x80 | (code & 0x3f))};
  } else {
    *out += {static_cast<char>(0xf0 | (code >> 18 & 7)), static_cast<char>(0x80 | (code >> 12 & 0x3f)),
             static_cast<char>(0x80 | (code >> 6 & 0x3f)), static_cast<char>(0x80 | (code & 0x3f))};
  }
}

// "amp" or "#38" or "#x26"; false for what is no entity.
bool AppendEntity(std::string_view name, std::string* out) {
  static constexpr std::pair<std::string_view, char> kNamed[] = {
      {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
  for (const auto& [known, c] : kNamed) {
    if (name == known) return out->push_back(c), true;
  }
  uint32_t code = 0;
  const bool hex = name.starts_with("#x");
  if (hex ? !absl::SimpleHexAtoi(name.substr(2), &code)
          : !name.starts_with("#") || !absl::SimpleAtoi(name.substr(1), &code)) {
    return false;
  }
  AppendUtf8(code, out);
  return true;
}

std::string Unescape(std::string_view text) {
  std::string out;
  while (true) {
    const size_t mark = text.find('&');
    out.append(text.substr(0, mark));
    if (mark == text.npos) return out;
    text.remove_prefix(mark);
    const size_t end = text.find(';');
    if (end == text.npos || !AppendEntity(text.substr(1, end - 1), &out)) {
      out.push_back('&');
      text.remove_prefix(1);
    } else {
      text.remove_prefix(end + 1);
    }
  }
}

}  // namespace

std::vector<std::string> XmlTexts(std::string_view xml, std::string_view name) {
  const std::string open = absl::StrCat("<", name, ">"), close = absl::StrCat("</", name, ">");
  std::vector<std::string> texts;
  for (size_t from = xml.find(open); from != xml.npos; from = xml.find(open, from)) {
    from += open.size();
    const size_t to = xml.find(close, from);
    if (to == xml.npos) break;
    texts.push_back(Unescape(xml.substr(from, to - from)));
    from = to + close.size();
  }
  return texts;
}

std::string XmlText(std::string_view xml, std::string_view name) {
  std::vector<std::string> texts = XmlTexts(xml, name);
  return texts.empty() ? "" : std::move(texts.front());
}

std::string XmlEscape(std::string_view text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}});
}

}  // namespace wallaby

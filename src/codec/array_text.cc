#include "codec/array_text.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace wallaby {
namespace {

absl::Status Refuse(std::string_view array) {
  return absl::InvalidArgumentError(
      absl::StrCat("'", absl::CEscape(array.substr(0, 64)), "' is not an array of one dimension that begins at 1"));
}

// The element at *p up to the comma or brace behind it; false when it does not end. Without quotes a brace inside means
// another dimension.
bool TakeElement(const char** p, const char* end, std::string* scratch, Field* out) {
  scratch->clear();
  const bool quoted = **p == '"';
  if (quoted) ++*p;
  while (*p != end && (quoted ? **p != '"' : **p != ',' && **p != '}')) {
    if (!quoted && (**p == '{' || **p == '"')) return false;
    if (**p == '\\' && ++*p == end) return false;
    scratch->push_back(*(*p)++);
  }
  if (*p == end) return false;
  if (quoted) ++*p;
  if (!quoted && scratch->empty()) return false;
  *out = !quoted && *scratch == "NULL" ? Field{} : Field{FieldKind::kText, *scratch};
  return *p != end && (**p == ',' || **p == '}');
}

}  // namespace

absl::Status ForEachElement(std::string_view array, std::string* scratch,
                            absl::FunctionRef<absl::Status(const Field&)> visit) {
  const char* p = array.data();
  const char* const end = p + array.size();
  if (array.size() < 2 || *p != '{' || array.back() != '}') return Refuse(array);
  ++p;
  if (*p == '}') return p + 1 == end ? absl::OkStatus() : Refuse(array);
  while (true) {
    Field element;
    if (p == end || !TakeElement(&p, end, scratch, &element)) return Refuse(array);
    RETURN_IF_ERROR(visit(element));
    if (*p++ == '}') return p == end ? absl::OkStatus() : Refuse(array);
  }
}

}  // namespace wallaby

// Sealed secrets: no text opens that was not sealed with the key; what is sealed opens, and not when a byte is another.
// First byte: what to do; second: where to change.
#include <string>

#include "fuzz.h"
#include "store/secret_box.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  static const SecretBox box = SecretBox::FromKeyText(std::string(64, 'a')).value();
  fuzz::Input in(data, size);
  const uint8_t what = in.Byte() % 3;
  const size_t where = in.Byte();
  const std::string text(in.Rest());
  if (what == 0) {
    REQUIRE(!box.Open(text, "flow").ok(), "a text that nobody sealed opens");
    REQUIRE(!box.Open("wallaby-sealed:1:" + text, "flow").ok(), "a text that nobody sealed opens");
    return 0;
  }
  if (what == 1) {
    (void)SecretBox::FromKeyText(text);
    return 0;
  }
  const auto sealed = box.Seal(text, "flow");
  REQUIRE(sealed.ok() && SecretBox::IsSealed(*sealed), "cannot be sealed");
  const auto opened = box.Open(*sealed, "flow");
  REQUIRE(opened.ok() && *opened == text, "what was sealed does not open");
  REQUIRE(!box.Open(*sealed, "flow2").ok(), "opens for another flow");
  std::string changed = *sealed;
  char& c = changed[17 + where % (changed.size() - 17)];
  c = c == 'A' ? 'B' : 'A';
  const auto other = box.Open(changed, "flow");
  // The last letters of base64 have bits that mean nothing.
  REQUIRE(!other.ok() || *other == text, "opens to another text");
  return 0;
}

// What lies in a bucket: a flow's manifest and the lines of its lists; and what an S3 server answers.
#include <string>

#include "destination/files/bucket_manifest.h"
#include "destination/objects/xml_text.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  fuzz::Input in(data, size);
  const std::string text(in.Rest());
  if (const auto manifest = BucketManifest::FromJson(text); manifest.ok()) {
    const auto again = BucketManifest::FromJson(manifest->ToJson());
    REQUIRE(again.ok() && again->ToJson() == manifest->ToJson(), "a manifest that does not come back");
  }
  if (const auto file = ParseFileLine(text); file.ok()) {
    const auto again = ParseFileLine(FileLine(*file));
    REQUIRE(again.ok() && FileLine(*again) == FileLine(*file), "a file's line that does not come back");
  }
  for (const char* name : {"Key", "UploadId", "Code"}) {
    size_t length = 0;
    for (const std::string& found : XmlTexts(text, name)) length += found.size();
    REQUIRE(length <= text.size(), "more text than there was");
  }
  REQUIRE(XmlText("<Key>" + XmlEscape(text) + "</Key>", "Key") == text, "text that does not come back");
  return 0;
}

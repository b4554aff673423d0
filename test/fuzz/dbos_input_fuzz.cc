// Inputs of workflows, which any DBOS client writes. First byte: the format that the row names.
#include <string>

#include "dispatch/dbos/serialization.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  constexpr const char* kFormats[] = {"", "portable_json", "DBOS_JSON", "js_superjson", "py_pickle"};
  fuzz::Input in(data, size);
  const char* format = kFormats[in.Byte() % 5];
  const std::string text(in.Rest());
  const auto input = ParseRunFlowInput(format, text);
  if (!input.ok()) {
    REQUIRE(absl::IsInvalidArgument(input.status()), input.status().ToString());
    return 0;
  }
  REQUIRE(!input->flow_id.empty() && input->generation >= 0 && input->max_empty_reads >= 0, "an input");
  const auto again = ParseRunFlowInput(kPortableJson, PortableInput(*input));
  REQUIRE(again.ok() && again->flow_id == input->flow_id && again->generation == input->generation &&
              again->max_empty_reads == input->max_empty_reads,
          PortableInput(*input));
  (void)PortableError(text, text);
  (void)PortableText(text);
  return 0;
}

// Lines of a runtime trace.
#include <sstream>
#include <string>

#include "fuzz.h"
#include "telemetry/trace_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  std::istringstream in(std::string(reinterpret_cast<const char*>(data), size));
  const auto summary = CheckTrace(in);
  if (!summary.ok()) {
    REQUIRE(absl::IsInvalidArgument(summary.status()) || absl::IsFailedPrecondition(summary.status()),
            summary.status().ToString());
    REQUIRE(std::string_view(summary.status().message()).starts_with("line "), summary.status().message());
    return 0;
  }
  int64_t sum = 0;
  for (const auto& [action, count] : summary->counts) sum += count;
  REQUIRE(sum == summary->events, "events are counted wrong");
  return 0;
}

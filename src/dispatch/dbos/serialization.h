// How inputs, outputs and errors of workflows are written: `portable_json`, which every DBOS SDK shows decoded. Inputs
// are also read in what the SDKs of Go and TypeScript write by default; formats that only one language can read are
// refused with a text that says what to do.
#ifndef WALLABY_DISPATCH_DBOS_SERIALIZATION_H_
#define WALLABY_DISPATCH_DBOS_SERIALIZATION_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace wallaby {

inline constexpr char kPortableJson[] = "portable_json";

// What a run of a flow is asked to do.
struct RunFlowInput {
  std::string flow_id;
  int64_t generation = 0;       // 0: whatever the flow's definition is when it runs
  int64_t max_empty_reads = 0;  // > 0: ends after so many polls in a row that brought nothing
};

// `serialization` as the row says, "" for none. The input is one object, or the fields in their order, or named.
absl::StatusOr<RunFlowInput> ParseRunFlowInput(std::string_view serialization, std::string_view text);

std::string PortableInput(const RunFlowInput& input);
// Of a tick: the time and nothing.
std::string PortableTickInput(std::string_view time);
std::string PortableError(std::string_view name, std::string_view message);
std::string PortableText(std::string_view text);  // "ok" with its quotes

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_DBOS_SERIALIZATION_H_

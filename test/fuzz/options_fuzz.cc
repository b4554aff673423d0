// The options of sources and destinations: a line of name=value each. First byte: which type.
#include <map>
#include <string>

#include "destination/options.h"
#include "fuzz.h"
#include "postgres/source_options.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  fuzz::Input in(data, size);
  const uint8_t which = in.Byte() % 8;
  std::map<std::string, std::string> options;
  while (!in.empty()) {
    const std::string_view line = in.Until('\n');
    const size_t equals = line.find('=');
    if (equals != line.npos) options[std::string(line.substr(0, equals))] = std::string(line.substr(equals + 1));
  }
  if (which == 0) {
    const auto source = ParseSourceOptions("shop", options);
    if (!source.ok()) {
      REQUIRE(absl::IsInvalidArgument(source.status()) || absl::IsUnimplemented(source.status()),
              source.status().ToString());
      return 0;
    }
    REQUIRE(source->batch_size > 0 && source->snapshot_workers > 0 && source->toast_cache_size >= 0 &&
                source->catch_up >= 0 && source->status_interval > absl::ZeroDuration(),
            "a value that nothing works with");
    return 0;
  }
  constexpr const char* kTypes[] = {"duckdb", "postgres", "parquet", "null", "http", "grpc", "azure"};
  DestinationConfig config;
  config.name = "d";
  config.options = options;
  const auto table = ParseTableOptions(kTypes[which - 1], config);
  if (!table.ok()) {
    REQUIRE(absl::IsInvalidArgument(table.status()) || absl::IsUnimplemented(table.status()),
            table.status().ToString());
  }
  return 0;
}

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/module.h"
#include "base/status.h"
#include "destination/destination.h"
#include "destination/files/file_format.h"
#include "destination/mapped_destination.h"
#include "destination/mapping_options.h"
#include "destination/options.h"
#include "destination/registry.h"
#include "destination/stream_only_destination.h"

namespace wallaby {
namespace {

constexpr char kModuleSymbol[] = "wallaby_make_destination";

// The types that come as modules, each with the build option that makes it.
const char* BuildOption(std::string_view type) {
  if (type == "duckdb") return "WALLABY_WITH_DUCKDB";
  if (WritesFiles(type)) return "WALLABY_WITH_PARQUET";
  if (type == "kafka" || type == "bufstream") return "WALLABY_WITH_KAFKA";
  if (type == "grpc") return "WALLABY_WITH_GRPC";
  if (type == "http") return "WALLABY_WITH_HTTP";
  return nullptr;
}

struct Makers {
  std::mutex mutex;
  std::map<std::string, MakeDestinationFn, std::less<>> by_type;
};

Makers& AllMakers() {
  static Makers* makers = new Makers;  // never destroyed: modules stay loaded until the process ends
  return *makers;
}

// One module may serve several types.
std::string_view ModuleName(std::string_view type) {
  if (WritesFiles(type)) return "files";
  return type == "bufstream" ? "kafka" : type;
}

absl::StatusOr<MakeDestinationFn> LoadModule(const std::string& type) {
  ASSIGN_OR_RETURN(void* symbol, LoadModuleSymbol(absl::StrCat(ModuleName(type), ".so"), kModuleSymbol,
                                                  absl::StrCat("destination type '", type, "'"), BuildOption(type)));
  return reinterpret_cast<MakeDestinationFn>(symbol);
}

absl::StatusOr<MakeDestinationFn> FindMaker(const std::string& type) {
  Makers& makers = AllMakers();
  std::lock_guard lock(makers.mutex);
  if (auto it = makers.by_type.find(type); it != makers.by_type.end()) return it->second;
  if (BuildOption(type) == nullptr) {
    return absl::UnimplementedError(absl::StrCat("destination type '", type, "' is not linked into this program"));
  }
  auto make = LoadModule(type);
  if (make.ok()) makers.by_type.emplace(type, *make);
  return make;
}

}  // namespace

void RegisterDestination(std::string_view type, MakeDestinationFn make) {
  Makers& makers = AllMakers();
  std::lock_guard lock(makers.mutex);
  makers.by_type.insert_or_assign(std::string(type), make);
}

absl::StatusOr<std::unique_ptr<Destination>> MakeDestination(const std::string& type, const DestinationConfig& config) {
  // Checked here too, so that a wrong option is reported before a module is looked for.
  ASSIGN_OR_RETURN(const TableOptions options, ParseTableOptions(type, config));
  std::optional<MappingSetup> mapping;
  if (HasMapping(config, options)) {
    ASSIGN_OR_RETURN(mapping, MakeMappingSetup(type, config, options));
  }
  ASSIGN_OR_RETURN(const MakeDestinationFn make, FindMaker(type));
  DestinationConfig own = mapping ? WithoutMapping(config) : config;
  own.type = type;
  std::unique_ptr<Destination> destination;
  RETURN_IF_ERROR(make(own, &destination));
  if (mapping) destination = MakeMappedDestination(*std::move(mapping), std::move(destination));
  return LeavesOutCopies(config.options) ? MakeStreamOnlyDestination(std::move(destination)) : std::move(destination);
}

}  // namespace wallaby

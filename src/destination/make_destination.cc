#include <dlfcn.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "destination/destination.h"
#include "destination/options.h"
#include "destination/registry.h"

namespace wallaby {
namespace {

constexpr char kModuleSymbol[] = "wallaby_make_destination";

// The types that come as modules, each with the build option that makes it.
const char* BuildOption(std::string_view type) {
  if (type == "duckdb") return "WALLABY_WITH_DUCKDB";
  if (type == "parquet") return "WALLABY_WITH_PARQUET";
  return nullptr;
}

std::string ModuleName(std::string_view type) {
  return absl::StrCat(type, ".so");
}

std::string ModuleDirectory() {
  if (const char* directory = std::getenv("WALLABY_MODULE_DIR"); directory && *directory) {
    return directory;
  }
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof(path));
  if (length <= 0) return "../lib/wallaby";
  std::string executable(path, static_cast<size_t>(length));
  return absl::StrCat(executable.substr(0, executable.rfind('/')), "/../lib/wallaby");
}

struct Makers {
  std::mutex mutex;
  std::map<std::string, MakeDestinationFn, std::less<>> by_type;
};

Makers& AllMakers() {
  static Makers* makers = new Makers;  // never destroyed: modules stay loaded until the process ends
  return *makers;
}

// The handle is kept for ever: objects made by a module, and its statics, may outlive any scope here.
absl::StatusOr<MakeDestinationFn> LoadModule(const std::string& type) {
  const std::string file = absl::StrCat(ModuleDirectory(), "/", ModuleName(type));
  const std::string remedy =
      absl::StrCat("; build with -D", BuildOption(type),
                   "=ON (the default; ./dev setup brings what it needs), or set WALLABY_MODULE_DIR "
                   "to the folder that holds ",
                   ModuleName(type));
  if (access(file.c_str(), R_OK) != 0) {
    return absl::NotFoundError(
        absl::StrCat("destination type '", type, "' is a module, and ", file, " is not there", remedy));
  }
  void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("the module of destination type '", type, "', ", file, ", cannot be loaded: ", dlerror(), remedy));
  }
  void* symbol = dlsym(handle, kModuleSymbol);
  if (symbol == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat(file, " is not a destination module of WALlaby: it has no ", kModuleSymbol, remedy));
  }
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
  if (auto options = ParseTableOptions(type, config); !options.ok()) return options.status();
  auto make = FindMaker(type);
  if (!make.ok()) return make.status();
  std::unique_ptr<Destination> destination;
  if (absl::Status status = (*make)(config, &destination); !status.ok()) return status;
  return destination;
}

}  // namespace wallaby

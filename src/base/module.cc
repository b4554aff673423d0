#include "base/module.h"

#include <dlfcn.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace wallaby {
namespace {

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

}  // namespace

absl::StatusOr<void*> LoadModuleSymbol(const std::string& file, const char* symbol, const std::string& what,
                                       const std::string& build_option) {
  const std::string path = absl::StrCat(ModuleDirectory(), "/", file);
  const std::string remedy = absl::StrCat("; build with -D", build_option,
                                          "=ON (the default; ./dev setup brings what it needs), or set "
                                          "WALLABY_MODULE_DIR to the folder that holds ",
                                          file);
  if (access(path.c_str(), R_OK) != 0) {
    return absl::NotFoundError(absl::StrCat(what, " is a module, and ", path, " is not there", remedy));
  }
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("the module of ", what, ", ", path, ", cannot be loaded: ", dlerror(), remedy));
  }
  void* address = dlsym(handle, symbol);
  if (address == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is not a module of WALlaby: it has no ", symbol, remedy));
  }
  return address;
}

}  // namespace wallaby

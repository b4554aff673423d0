// Modules: heavy parts of the program (DuckDB, Arrow) that are loaded when something asks for them.
#ifndef WALLABY_BASE_MODULE_H_
#define WALLABY_BASE_MODULE_H_

#include <string>

#include "absl/status/statusor.h"

namespace wallaby {

// The address of `symbol` in the module `file`, from ../lib/wallaby beside the executable, or from WALLABY_MODULE_DIR.
// `what` names what it is for ("destination type 'duckdb'"), `build_option` the CMake option that makes it. A module
// stays loaded until the process ends: its objects and statics may outlive any scope. NOT_FOUND, or
// FAILED_PRECONDITION for what cannot be loaded, with the remedy.
absl::StatusOr<void*> LoadModuleSymbol(const std::string& file, const char* symbol, const std::string& what,
                                       const std::string& build_option);

}  // namespace wallaby

#endif  // WALLABY_BASE_MODULE_H_

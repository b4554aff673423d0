// DuckDB's errors in the terms of base/status.h: what waiting can cure and what needs a person.
#ifndef WALLABY_DESTINATION_DUCKDB_ERRORS_H_
#define WALLABY_DESTINATION_DUCKDB_ERRORS_H_

#include <string_view>

#include "absl/status/status.h"

namespace wallaby {

// `message` is what DuckDB said ("IO Error: Could not set lock ..."), `doing` what was tried ("opening a.db").
// UNAVAILABLE: another process has the file, or DuckDB closed itself after a fatal error. RESOURCE_EXHAUSTED: disk or
// memory. ABORTED: a conflict with another transaction. FAILED_PRECONDITION and INVALID_ARGUMENT: schema, rights,
// values. INTERNAL: all else.
absl::Status DuckdbError(std::string_view message, std::string_view doing);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_DUCKDB_ERRORS_H_

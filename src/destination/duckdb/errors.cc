#include "destination/duckdb/errors.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace wallaby {
namespace {

// "... Conflicting lock is held in /usr/bin/python3.11 (PID 1504). See also ..." -> "/usr/bin/python3.11 (PID 1504)".
std::string_view LockHolder(std::string_view message) {
  constexpr std::string_view kBefore = "lock is held in ";
  const size_t begin = message.find(kBefore);
  if (begin == message.npos) return "";
  const std::string_view rest = message.substr(begin + kBefore.size());
  const size_t end = rest.find(". See");
  return rest.substr(0, end == rest.npos ? rest.size() : end);
}

bool ContainsAny(std::string_view message, std::initializer_list<std::string_view> needles) {
  for (std::string_view needle : needles) {
    if (absl::StrContains(message, needle)) return true;
  }
  return false;
}

absl::StatusCode Code(std::string_view message) {
  if (ContainsAny(message, {"No space left", "Disk quota", "Out of Memory Error"})) {
    return absl::StatusCode::kResourceExhausted;
  }
  if (ContainsAny(message, {"FATAL Error", "database has been invalidated"})) {
    return absl::StatusCode::kUnavailable;
  }
  if (ContainsAny(message, {"not a valid DuckDB database", "No such file or directory", "Permission denied",
                            "Read-only file system", "Is a directory", "newer version of DuckDB"})) {
    return absl::StatusCode::kFailedPrecondition;
  }
  if (absl::StartsWith(message, "IO Error")) return absl::StatusCode::kResourceExhausted;
  // The last: a table got columns from another connection; opening again looks at it anew.
  if (ContainsAny(message, {"TransactionContext Error", "write-write conflict", "incorrect column count"})) {
    return absl::StatusCode::kAborted;
  }
  if (absl::StartsWith(message, "Conversion Error") || absl::StartsWith(message, "Out of Range")) {
    return absl::StatusCode::kInvalidArgument;
  }
  if (absl::StartsWith(message, "Constraint Error") || absl::StartsWith(message, "Catalog Error") ||
      absl::StartsWith(message, "Binder Error") || absl::StartsWith(message, "Dependency Error")) {
    return absl::StatusCode::kFailedPrecondition;
  }
  return absl::StatusCode::kInternal;
}

}  // namespace

absl::Status DuckdbError(std::string_view message, std::string_view doing) {
  if (absl::StrContains(message, "Could not set lock")) {
    const std::string_view holder = LockHolder(message);
    return absl::UnavailableError(absl::StrCat(
        doing, ": the file is held by another process", holder.empty() ? "" : ": ", holder,
        "; DuckDB gives a file that is written to one process at a time: end that process or its connection"));
  }
  std::string text = absl::StrCat(doing, ": ", message);
  if (absl::StrContains(message, "Out of Memory Error")) {
    absl::StrAppend(&text, "; raise the destination's option memory_limit");
  }
  return absl::Status(Code(message), text);
}

}  // namespace wallaby

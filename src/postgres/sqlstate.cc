#include "postgres/sqlstate.h"

namespace wallaby {
namespace {

struct Rule {
  std::string_view prefix;
  absl::StatusCode code;
};

// The first prefix that fits. Source: PostgreSQL documentation, "PostgreSQL Error Codes".
constexpr Rule kRules[] = {
    {"08", absl::StatusCode::kUnavailable},        {"57014", absl::StatusCode::kCancelled},
    {"57P0", absl::StatusCode::kUnavailable},      {"53", absl::StatusCode::kUnavailable},
    {"40", absl::StatusCode::kUnavailable},        {"55P03", absl::StatusCode::kUnavailable},
    {"55", absl::StatusCode::kFailedPrecondition}, {"25", absl::StatusCode::kFailedPrecondition},
    {"28", absl::StatusCode::kUnauthenticated},    {"42501", absl::StatusCode::kPermissionDenied},
    {"42P01", absl::StatusCode::kNotFound},        {"42704", absl::StatusCode::kNotFound},
    {"3D000", absl::StatusCode::kNotFound},        {"3F000", absl::StatusCode::kNotFound},
    {"42710", absl::StatusCode::kAlreadyExists},   {"42P07", absl::StatusCode::kAlreadyExists},
    {"42P06", absl::StatusCode::kAlreadyExists},   {"42P04", absl::StatusCode::kAlreadyExists},
    {"42701", absl::StatusCode::kAlreadyExists},   {"0A000", absl::StatusCode::kUnimplemented},
    {"22", absl::StatusCode::kInvalidArgument},    {"23", absl::StatusCode::kInvalidArgument},
};

}  // namespace

absl::StatusCode StatusCodeFromSqlState(std::string_view state) {
  if (state.empty()) return absl::StatusCode::kUnavailable;
  for (const Rule& rule : kRules) {
    if (state.starts_with(rule.prefix)) return rule.code;
  }
  return absl::StatusCode::kInternal;
}

}  // namespace wallaby

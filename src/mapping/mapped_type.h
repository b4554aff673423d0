// Types that a column can be given at a destination without losing a value: text, which every value has; wider whole
// numbers; and numeric(p,s), where a value that does not fit is an error and nothing is rounded.
#ifndef WALLABY_MAPPING_MAPPED_TYPE_H_
#define WALLABY_MAPPING_MAPPED_TYPE_H_

#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "change/type.h"

namespace wallaby {

// "text", "integer", "bigint" or "numeric(12,2)" with 1 to 38 digits. INVALID_ARGUMENT says what is allowed.
absl::StatusOr<PgType> ParseMappedType(std::string_view name);

// Whether a column of type `from` can become `to`, a type of ParseMappedType(). INVALID_ARGUMENT says what could.
absl::Status CheckMappedType(const PgType& from, const PgType& to);

}  // namespace wallaby

#endif  // WALLABY_MAPPING_MAPPED_TYPE_H_

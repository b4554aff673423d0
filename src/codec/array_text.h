// ArrayText: the elements of an array as PostgreSQL prints it.
//
// Source: PostgreSQL documentation, "Array Input and Output Syntax": {1,NULL,"a \"b\" c"}. Elements are quoted where
// they hold what could be mistaken; NULL without quotes is null.
#ifndef WALLABY_CODEC_ARRAY_TEXT_H_
#define WALLABY_CODEC_ARRAY_TEXT_H_

#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "change/tuple.h"

namespace wallaby {

// Calls `visit` for each element, whose bytes are valid until it returns; `scratch` holds those that were escaped.
// INVALID_ARGUMENT for what is no array of one dimension that begins at 1.
absl::Status ForEachElement(std::string_view array, std::string* scratch,
                            absl::FunctionRef<absl::Status(const Field&)> visit);

}  // namespace wallaby

#endif  // WALLABY_CODEC_ARRAY_TEXT_H_

// SQLSTATE to absl::StatusCode, by the table in connection.h.
#ifndef WALLABY_POSTGRES_SQLSTATE_H_
#define WALLABY_POSTGRES_SQLSTATE_H_

#include <string_view>

#include "absl/status/status.h"

namespace wallaby {

// `state` has five characters; "" stands for an error of libpq's own: the connection is lost.
absl::StatusCode StatusCodeFromSqlState(std::string_view state);

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_SQLSTATE_H_

// Early return for absl::Status and absl::StatusOr, and the two ways in which a failure can matter to a flow.
#ifndef WALLABY_BASE_STATUS_H_
#define WALLABY_BASE_STATUS_H_

#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace wallaby {

// Puts `context` in front of the message of a failed status ("while ...: message"); OK stays OK.
absl::Status Annotate(const absl::Status& status, std::string_view context);

// Worth trying again without anybody's help: a cut connection, a server that starts, a lock held for now, a full
// disk (UNAVAILABLE, ABORTED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED). All else needs a person or is a bug.
bool IsTransient(const absl::Status& status);

}  // namespace wallaby

#define WALLABY_CONCAT_INNER(a, b) a##b
#define WALLABY_CONCAT(a, b) WALLABY_CONCAT_INNER(a, b)

#define RETURN_IF_ERROR(expression)                             \
  do {                                                          \
    if (::absl::Status status_ = (expression); !status_.ok()) { \
      return status_;                                           \
    }                                                           \
  } while (false)

#define ASSIGN_OR_RETURN(lhs, expression) ASSIGN_OR_RETURN_INNER(WALLABY_CONCAT(status_or_, __LINE__), lhs, expression)
#define ASSIGN_OR_RETURN_INNER(holder, lhs, expression) \
  auto holder = (expression);                           \
  if (!holder.ok()) return std::move(holder).status();  \
  lhs = std::move(holder).value()

#endif  // WALLABY_BASE_STATUS_H_

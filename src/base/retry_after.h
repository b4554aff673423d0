// A failure that says how long who refused wants to be left alone, so that whoever tries again later keeps to it.
#ifndef WALLABY_BASE_RETRY_AFTER_H_
#define WALLABY_BASE_RETRY_AFTER_H_

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace wallaby {

// The failure with the wait; what was said before is replaced. OK and waits of nothing leave it as it is.
absl::Status WithRetryAfter(absl::Status status, absl::Duration after);

// Zero: it does not say. Survives Annotate().
absl::Duration RetryAfterOf(const absl::Status& status);

}  // namespace wallaby

#endif  // WALLABY_BASE_RETRY_AFTER_H_

// The lock of a spool's writer: an flock on the file LOCK, which the system lets go when the process ends, however.
#ifndef WALLABY_SPOOL_LOCK_H_
#define WALLABY_SPOOL_LOCK_H_

#include <string>

#include "absl/status/statusor.h"
#include "spool/file.h"

namespace wallaby::spool {

// Held as long as the file is open. ABORTED with the pid of who has it.
absl::StatusOr<File> LockSpool(const std::string& folder);

}  // namespace wallaby::spool

#endif  // WALLABY_SPOOL_LOCK_H_

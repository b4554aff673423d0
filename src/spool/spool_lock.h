// SpoolLock: the right to write a spool, or to remove it. Whoever makes the slot has it too, so that of the flows that
// share the slot one makes it, and nobody takes what is left of an older slot for the spool of the new one.
#ifndef WALLABY_SPOOL_SPOOL_LOCK_H_
#define WALLABY_SPOOL_SPOOL_LOCK_H_

#include <memory>

#include "absl/status/statusor.h"
#include "spool/spool.h"

namespace wallaby {

// Held as long as the object lives; the system lets it go when the process ends, however.
class SpoolLock {
 public:
  // Makes the spool's folder. ABORTED, with the pid, while another object has it, of whichever process.
  static absl::StatusOr<std::unique_ptr<SpoolLock>> Take(const SpoolOptions& options, const SpoolName& name);
  // Whether somebody has it just now. Nothing is made, but a Take() at the same moment may be ABORTED by it.
  static bool IsTaken(const SpoolOptions& options, const SpoolName& name);
  virtual ~SpoolLock() = default;
};

}  // namespace wallaby

#endif  // WALLABY_SPOOL_SPOOL_LOCK_H_

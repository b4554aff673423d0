// SpoolCursor: how far a flow is in a spool. What is behind it the spool keeps.
#ifndef WALLABY_SPOOL_SPOOL_CURSOR_H_
#define WALLABY_SPOOL_SPOOL_CURSOR_H_

#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/lsn.h"
#include "spool/spool.h"

namespace wallaby {

// One flow's; used by the flow's worker, one thread.
class SpoolCursor {
 public:
  // Makes it, durable on return, or takes the one that is there and moves it to `at`. Works before the spool exists.
  static absl::StatusOr<std::unique_ptr<SpoolCursor>> Register(const SpoolOptions& options, const SpoolName& name,
                                                               const std::string& flow_id, Lsn at);
  virtual ~SpoolCursor() = default;
  // Never back. Not durable: after a crash a cursor may be older than it was, which only keeps more.
  virtual absl::Status Move(Lsn to) = 0;
};

// By flow id.
absl::StatusOr<std::map<std::string, Lsn>> SpoolCursors(const SpoolOptions& options, const SpoolName& name);
// Of a flow that is no more: its cursors in all spools below `root`. A spool that no flow has a cursor in is removed,
// unless somebody writes it.
absl::Status ForgetFlowInSpools(const std::string& root, const std::string& flow_id);
// OK when there is none.
absl::Status ForgetSpoolCursor(const SpoolOptions& options, const SpoolName& name, const std::string& flow_id);

}  // namespace wallaby

#endif  // WALLABY_SPOOL_SPOOL_CURSOR_H_

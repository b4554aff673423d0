// SpoolCursor: how far a flow is in a spool, or one of its destinations that goes at its own pace. What is behind it
// the spool keeps.
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

// The id under which a destination of a flow has a cursor of its own, and whose flow's cursor an id is.
std::string LaneCursorId(const std::string& flow_id, const std::string& destination);
std::string FlowOfCursor(const std::string& cursor_id);
// "": the flow's own.
std::string DestinationOfCursor(const std::string& cursor_id);

// One reader's; used by the flow's worker, one thread.
class SpoolCursor {
 public:
  // Makes it, durable on return, or takes the one that is there and moves it to `at`. Works before the spool exists.
  static absl::StatusOr<std::unique_ptr<SpoolCursor>> Register(const SpoolOptions& options, const SpoolName& name,
                                                               const std::string& cursor_id, Lsn at);
  virtual ~SpoolCursor() = default;
  // Never back. Not durable: after a crash a cursor may be older than it was, which only keeps more.
  virtual absl::Status Move(Lsn to) = 0;
};

// By cursor id: a flow's, or LaneCursorId().
absl::StatusOr<std::map<std::string, Lsn>> SpoolCursors(const SpoolOptions& options, const SpoolName& name);
// Of a flow that is no more: its cursors, and those of its destinations, in all spools below `root`. A spool that no
// flow has a cursor in is removed, unless somebody writes it.
absl::Status ForgetFlowInSpools(const std::string& root, const std::string& flow_id);
// OK when there is none.
absl::Status ForgetSpoolCursor(const SpoolOptions& options, const SpoolName& name, const std::string& cursor_id);

}  // namespace wallaby

#endif  // WALLABY_SPOOL_SPOOL_CURSOR_H_

// SpoolBudget: whether a spool may grow, and who has to go when it may not.
//
// A flow holds what lies between its cursor and the spool's end. It may hold as much as its option spool_limit says,
// and all spools together may hold WALLABY_SPOOL_LIMIT. Where one of the two is used up, the policy of the flow that
// holds most decides: `hold` stops the reading of the slot, and the source keeps its WAL; `fail` waits a while for the
// flow to make room, and then fails it. Its tables must be copied again, and all others go on. The same holds for each
// destination that goes at its own pace: it alone is given up then, and its flow goes on.
#ifndef WALLABY_PIPELINE_SPOOL_BUDGET_H_
#define WALLABY_PIPELINE_SPOOL_BUDGET_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/lsn.h"
#include "postgres/source_options.h"
#include "spool/spool.h"
#include "spool/spool_writer.h"
#include "store/control_store.h"

namespace wallaby {

// Used by the spool's writer, one thread.
class SpoolBudget {
 public:
  // `store` outlives the object. `policy`: of flows that do not say.
  SpoolBudget(ControlStore* store, SpoolOptions options, SpoolName name, SpoolPolicy policy)
      : store_(store), options_(std::move(options)), name_(std::move(name)), policy_(policy) {}

  // Removes what every flow is past, forgets the cursors of flows that are no more, fails flows whose policy says so.
  // True when another transaction may be appended; else why_full() tells who holds what.
  // `now` is monotonic.
  absl::StatusOr<bool> MakeRoom(SpoolWriter& writer, absl::Duration now);
  const std::string& why_full() const { return why_full_; }

 private:
  struct Holder {
    std::string id;  // of the cursor
    Lsn cursor;
    int64_t bytes = 0;  // between the cursor and the end
    int64_t limit = 0;  // its own; 0: none
    SpoolPolicy policy = SpoolPolicy::kHold;
  };

  // The one that holds most comes first.
  absl::StatusOr<std::vector<Holder>> Holders() const;
  // Nothing when there is no such flow, or no such destination that goes at its own pace.
  absl::StatusOr<std::optional<Holder>> HolderOf(const std::string& cursor_id) const;
  absl::Status GiveUp(const Holder& holder, const std::string& why);

  ControlStore* const store_;
  const SpoolOptions options_;
  const SpoolName name_;
  const SpoolPolicy policy_;
  std::string why_full_;
  std::optional<absl::Duration> full_since_;
};

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_SPOOL_BUDGET_H_

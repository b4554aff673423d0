// HistoryMark: what is known of the source's history up to a position: the last transaction there that has rows, and a
// hash over all of them. Kept with the checkpoint. A position alone proves nothing: a server that was restored from an
// image of its disk gives the same positions out again, to other transactions.
#ifndef WALLABY_PIPELINE_HISTORY_MARK_H_
#define WALLABY_PIPELINE_HISTORY_MARK_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/lsn.h"
#include "change/change_batch.h"

namespace wallaby {

// In a checkpoint's metadata.
inline constexpr char kHistoryMarkKey[] = "source.last";

struct HistoryMark {
  bool known = false;  // false: written by a version that kept no mark, or under another publication
  Lsn commit;          // 0/0: no transaction since the slot was made
  uint32_t xid = 0;
  int64_t commit_time_micros = 0;
  // XXH3-64, chained over the transactions since the mark began: two runs over the same ones have the same.
  uint64_t hash = 0;

  // The mark behind `t`, the next transaction with rows.
  HistoryMark After(const Transaction& t) const;
  // `found` is the transaction that was marked.
  bool Is(const Transaction& found) const {
    return commit == found.commit && xid == found.xid && commit_time_micros == found.commit_time_micros;
  }
  // "0/16B3748 xid 731 at 1764390000000000 hash 00c0ffee00c0ffee", or "none".
  std::string ToString() const;
  // INVALID_ARGUMENT for anything else.
  static absl::StatusOr<HistoryMark> Parse(std::string_view text);
};

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_HISTORY_MARK_H_

// What a writer finds when it takes a spool: how far the last segment holds whole transactions.
#ifndef WALLABY_SPOOL_TAIL_H_
#define WALLABY_SPOOL_TAIL_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/lsn.h"
#include "spool/segment.h"

namespace wallaby::spool {

struct Tail {
  uint64_t end = 0;       // behind the last block that ends between transactions; what follows is torn
  uint64_t size = 0;      // of the file
  uint64_t written = 0;   // the blocks from here to `end` may not be on the disk yet
  uint64_t preamble = 0;  // bytes of the relations at its start
  Lsn position;
  Lsn last_commit;
  Lsn last_end;            // end LSN of the last transaction in this segment; 0/0: there is none
  std::string last_begin;  // the begin message of the last whole transaction, also of one before; empty: not known
  Relations relations;     // in force at `end`
};

// `durable`: the position that is known to have been durable. When the blocks do not lead there, what was durable is
// damaged: DATA_LOSS. What was not may be torn in any way, also with whole blocks behind the gap.
absl::StatusOr<Tail> ReadTail(const std::string& folder, Lsn start, std::string_view key, Lsn durable);

}  // namespace wallaby::spool

#endif  // WALLABY_SPOOL_TAIL_H_

// SkipRule: which streamed changes of a table its snapshot shows already. A snapshot that was cut off goes on under a
// later one, so parts of the table may show different positions: a change counts for the part that its row's key is in.
#ifndef WALLABY_PGOUTPUT_SKIP_RULE_H_
#define WALLABY_PGOUTPUT_SKIP_RULE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/lsn.h"

namespace wallaby::pgoutput {

struct SkipRule {
  // Nothing is skipped.
  SkipRule() : lsns(1) {}
  // The whole table shows `below`.
  SkipRule(Lsn below) : lsns{below} {}  // NOLINT: an LSN is a rule
  // Part i holds the rows with bounds[i - 1] <= column < bounds[i]; the first and the last part are open.
  SkipRule(std::string key_column, std::vector<int64_t> inner_bounds, std::vector<Lsn> part_lsns);

  // The snapshot of the part that `key` is in shows a transaction with this commit LSN.
  bool Skips(int64_t key, Lsn commit) const;
  // From here on nothing is skipped.
  Lsn highest() const;
  // Below everything is skipped.
  Lsn lowest() const;

  std::string column;           // the table's one key column, an integer
  std::vector<int64_t> bounds;  // ascending
  std::vector<Lsn> lsns;        // of the parts' snapshots, one more than bounds
};

}  // namespace wallaby::pgoutput

#endif  // WALLABY_PGOUTPUT_SKIP_RULE_H_

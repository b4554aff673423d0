#include "pgoutput/skip_rule.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace wallaby::pgoutput {

SkipRule::SkipRule(std::string key_column, std::vector<int64_t> inner_bounds, std::vector<Lsn> part_lsns)
    : column(std::move(key_column)), bounds(std::move(inner_bounds)), lsns(std::move(part_lsns)) {
  WALLABY_CHECK(lsns.size() == bounds.size() + 1, "each part has the LSN of its snapshot");
}

bool SkipRule::Skips(int64_t key, Lsn commit) const {
  return commit < lsns[std::upper_bound(bounds.begin(), bounds.end(), key) - bounds.begin()];
}

Lsn SkipRule::highest() const {
  return *std::max_element(lsns.begin(), lsns.end());
}

Lsn SkipRule::lowest() const {
  return *std::min_element(lsns.begin(), lsns.end());
}

}  // namespace wallaby::pgoutput

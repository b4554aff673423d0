#include "stream/claims.h"

#include <algorithm>

namespace wallaby {
namespace {

Claim Part(const Claim& claim, int64_t first, int64_t last) {
  return {{first, last}, claim.consumer, claim.visible_at, claim.deliveries};
}

}  // namespace

ClaimChange WithoutIds(const std::vector<Claim>& claims, const std::vector<int64_t>& ids) {
  ClaimChange change;
  for (const Claim& claim : claims) {
    auto id = std::lower_bound(ids.begin(), ids.end(), claim.ids.first);
    const auto end = std::upper_bound(id, ids.end(), claim.ids.last);
    if (id == end) continue;
    change.ids += end - id;
    change.removed.push_back(claim.ids.first);
    int64_t next = claim.ids.first;
    for (; id != end; ++id) {
      if (*id > next) change.added.push_back(Part(claim, next, *id - 1));
      next = *id + 1;
    }
    if (next <= claim.ids.last) change.added.push_back(Part(claim, next, claim.ids.last));
  }
  return change;
}

ClaimChange WithoutIdsFrom(const std::vector<Claim>& claims, int64_t first) {
  ClaimChange change;
  for (const Claim& claim : claims) {
    if (claim.ids.last < first) continue;
    change.removed.push_back(claim.ids.first);
    change.ids += claim.ids.last - std::max(claim.ids.first, first) + 1;
    if (claim.ids.first < first) change.added.push_back(Part(claim, claim.ids.first, first - 1));
  }
  return change;
}

void Append(int64_t id, const Claim& like, std::vector<Claim>* claims) {
  if (!claims->empty() && claims->back().ids.last + 1 == id && claims->back().deliveries == like.deliveries) {
    claims->back().ids.last = id;
  } else {
    claims->push_back(Part(like, id, id));
  }
}

}  // namespace wallaby

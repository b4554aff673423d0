#include "stream/claims.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace wallaby {
namespace {

Claim Of(int64_t first, int64_t last, int deliveries = 1) {
  return {{first, last}, "c", "t", deliveries};
}

TEST(Claims, AnAcknowledgedClaimGoes) {
  const ClaimChange change = WithoutIds({Of(1, 3)}, {1, 2, 3});
  EXPECT_EQ(change.ids, 3);
  EXPECT_EQ(change.removed, std::vector<int64_t>{1});
  EXPECT_TRUE(change.added.empty());
}

TEST(Claims, WhatIsLeftStays) {
  const ClaimChange change = WithoutIds({Of(1, 10, 4), Of(20, 21)}, {0, 3, 4, 10, 15});
  EXPECT_EQ(change.ids, 3);
  EXPECT_EQ(change.removed, std::vector<int64_t>{1});
  EXPECT_EQ(change.added, (std::vector<Claim>{Of(1, 2, 4), Of(5, 9, 4)}));
}

TEST(Claims, WithoutIdsFromCutsTheLast) {
  const ClaimChange change = WithoutIdsFrom({Of(1, 3), Of(5, 9), Of(10, 12)}, 7);
  EXPECT_EQ(change.ids, 6);
  EXPECT_EQ(change.removed, (std::vector<int64_t>{5, 10}));
  EXPECT_EQ(change.added, std::vector<Claim>{Of(5, 6)});
}

TEST(Claims, AppendUnitesWhatGoesOn) {
  std::vector<Claim> claims;
  for (int64_t id : {4, 5, 7}) Append(id, Of(0, 0, 2), &claims);
  Append(8, Of(0, 0, 1), &claims);
  EXPECT_EQ(claims, (std::vector<Claim>{Of(4, 5, 2), Of(7, 7, 2), Of(8, 8, 1)}));
}

// Against sets of single ids.
TEST(Claims, Random) {
  std::mt19937 random(7);
  const auto below = [&random](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint64_t>(n)); };
  for (int round = 0; round < 2000; ++round) {
    std::vector<Claim> claims;
    std::set<int64_t> claimed;
    for (int64_t next = 1 + below(4); claims.size() < 5; next += 1 + below(4)) {
      claims.push_back(Of(next, next + below(6)));
      for (; next <= claims.back().ids.last; ++next) claimed.insert(next);
    }
    std::set<int64_t> ids;
    for (int64_t i = below(12); i > 0; --i) ids.insert(below(50));
    const int64_t from = below(50);
    const bool cut = below(2) == 0;
    const ClaimChange change =
        cut ? WithoutIdsFrom(claims, from) : WithoutIds(claims, std::vector<int64_t>(ids.begin(), ids.end()));
    std::vector<Claim> after;
    for (const Claim& claim : claims) {
      if (std::count(change.removed.begin(), change.removed.end(), claim.ids.first) == 0) after.push_back(claim);
    }
    after.insert(after.end(), change.added.begin(), change.added.end());
    std::set<int64_t> left;
    for (const Claim& claim : after) {
      for (int64_t id = claim.ids.first; id <= claim.ids.last; ++id) EXPECT_TRUE(left.insert(id).second);
    }
    std::set<int64_t> wanted = claimed;
    std::erase_if(wanted, [&](int64_t id) { return cut ? id >= from : ids.contains(id); });
    ASSERT_EQ(left, wanted) << "round " << round;
    ASSERT_EQ(change.ids, static_cast<int64_t>(claimed.size() - wanted.size()));
  }
}

}  // namespace
}  // namespace wallaby

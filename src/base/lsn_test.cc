#include "base/lsn.h"

#include <gtest/gtest.h>

namespace wallaby {
namespace {

TEST(LsnTest, ParsesAndPrints) {
  auto lsn = Lsn::Parse("16/B374D848");
  ASSERT_TRUE(lsn.ok()) << lsn.status();
  EXPECT_EQ(lsn->value, 0x16B374D848u);
  EXPECT_EQ(lsn->ToString(), "16/B374D848");
  EXPECT_EQ(Lsn{}.ToString(), "0/0");
}

TEST(LsnTest, ComparesAsNumbers) {
  EXPECT_LT(Lsn::Parse("9/FFFFFFFF").value(), Lsn::Parse("A/0").value());
  EXPECT_LT(Lsn::Parse("F/0").value(), Lsn::Parse("10/0").value());
}

TEST(LsnTest, RefusesWhatIsNotAnLsn) {
  for (const char* bad : {"", "/", "1", "1/", "/1", "1/2/3", "g/1", "123456789/0", "-1/0", " 1/0"}) {
    EXPECT_FALSE(Lsn::Parse(bad).ok()) << bad;
  }
}

TEST(PositionTest, OrdersByCommitThenOrdinal) {
  EXPECT_LT((Position{Lsn{1}, 9}), (Position{Lsn{2}, 0}));
  EXPECT_LT((Position{Lsn{1}, 0}), (Position{Lsn{1}, 1}));
}

}  // namespace
}  // namespace wallaby

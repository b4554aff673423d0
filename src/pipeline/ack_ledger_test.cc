#include "pipeline/ack_ledger.h"

#include <gtest/gtest.h>

namespace wallaby {
namespace {

TEST(AckLedgerTest, TheSlowestDestinationSetsThePosition) {
  AckLedger ledger(2, Lsn{10});
  ledger.Handed(Lsn{20});
  ledger.Handed(Lsn{30});
  ledger.Durable(0, Lsn{30});
  EXPECT_EQ(ledger.position(), Lsn{10});
  ledger.Durable(1, Lsn{20});
  EXPECT_EQ(ledger.position(), Lsn{20});
  EXPECT_FALSE(ledger.settled());
  ledger.Durable(1, Lsn{30});
  EXPECT_EQ(ledger.position(), Lsn{30});
  EXPECT_TRUE(ledger.settled());
}

TEST(AckLedgerTest, IdleMovesThePositionOnlyWhenNothingIsOutstanding) {
  AckLedger ledger(1, Lsn{10});
  ledger.Idle(Lsn{15});
  EXPECT_EQ(ledger.position(), Lsn{15});
  ledger.Handed(Lsn{20});
  ledger.Idle(Lsn{50});
  EXPECT_EQ(ledger.position(), Lsn{15});
  ledger.Durable(0, Lsn{20});
  ledger.Idle(Lsn{50});
  EXPECT_EQ(ledger.position(), Lsn{50});
}

HistoryMark MarkAt(uint64_t commit) {
  return {.known = true, .commit = Lsn{commit}};
}

TEST(AckLedgerTest, TheMarkIsThatOfThePosition) {
  AckLedger ledger(2, Lsn{10}, MarkAt(8));
  ledger.Handed(Lsn{20}, MarkAt(18));
  ledger.Handed(Lsn{30}, MarkAt(28));
  ledger.Durable(0, Lsn{30});
  EXPECT_EQ(ledger.standing().mark.commit, Lsn{8});
  ledger.Durable(1, Lsn{20});
  EXPECT_EQ(ledger.standing().position, Lsn{20});
  EXPECT_EQ(ledger.standing().mark.commit, Lsn{18});
  ledger.Idle(Lsn{50}, MarkAt(45));  // the last one is still on its way
  EXPECT_EQ(ledger.standing().mark.commit, Lsn{18});
  ledger.Durable(1, Lsn{30});
  ledger.Idle(Lsn{50}, MarkAt(45));  // left out behind what was handed on
  EXPECT_EQ(ledger.standing().position, Lsn{50});
  EXPECT_EQ(ledger.standing().mark.commit, Lsn{45});
  ledger.Handed(Lsn{40}, MarkAt(38));  // comes again, by an operator's order
  ledger.Durable(0, Lsn{40});
  ledger.Durable(1, Lsn{40});
  EXPECT_EQ(ledger.standing().mark.commit, Lsn{45});
}

TEST(AckLedgerTest, NeverGoesBack) {
  AckLedger ledger(1, Lsn{100});
  ledger.Handed(Lsn{50});
  ledger.Durable(0, Lsn{50});
  ledger.Idle(Lsn{60});
  EXPECT_EQ(ledger.position(), Lsn{100});
}

TEST(AckLedgerDeathTest, DurableBeyondHandedIsABrokenInvariant) {
  AckLedger ledger(1, Lsn{});
  EXPECT_DEATH(ledger.Durable(0, Lsn{1}), "cannot hold what was not handed");
}

}  // namespace
}  // namespace wallaby

#include "pipeline/history_mark.h"

#include <gtest/gtest.h>

namespace wallaby {
namespace {

Transaction At(uint64_t commit, uint32_t xid) {
  return {.commit = Lsn{commit}, .end = Lsn{commit + 8}, .commit_time_micros = 1764390000000000, .xid = xid};
}

TEST(HistoryMarkTest, ComesBackFromItsText) {
  const HistoryMark mark = HistoryMark{.known = true}.After(At(0x16B3748, 731));
  const auto read = HistoryMark::Parse(mark.ToString());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->ToString(), mark.ToString());
  EXPECT_TRUE(read->Is(At(0x16B3748, 731)));
  EXPECT_FALSE(read->Is(At(0x16B3748, 732)));
  EXPECT_FALSE(read->Is(At(0x16B3749, 731)));
  EXPECT_EQ(HistoryMark::Parse("none")->commit, Lsn{});
  for (const char* text : {"", "0/1", "0/1 xid 1 at 2 hash", "x/1 xid 1 at 2 hash 3", "0/1 xid 1 at 2 hash g"}) {
    EXPECT_FALSE(HistoryMark::Parse(text).ok()) << text;
  }
}

TEST(HistoryMarkTest, TheHashTellsWhatWentBefore) {
  const HistoryMark none{.known = true};
  const HistoryMark both = none.After(At(10, 1)).After(At(20, 2));
  EXPECT_EQ(both.hash, none.After(At(10, 1)).After(At(20, 2)).hash);
  EXPECT_NE(both.hash, none.After(At(20, 2)).hash);
  EXPECT_NE(both.hash, none.After(At(10, 1)).After(At(10, 1)).After(At(20, 2)).hash);
  EXPECT_NE(both.hash, none.After(At(10, 3)).After(At(20, 2)).hash);
}

}  // namespace
}  // namespace wallaby

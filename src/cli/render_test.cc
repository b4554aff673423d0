#include "cli/render.h"

#include <limits>

#include "gtest/gtest.h"

namespace wallaby {
namespace {

TEST(TableTest, ColumnsAreAsWideAsTheirWidestCell) {
  Table table({"ID", ">ROWS", "REASON"});
  table.Add({"orders", "7", ""});
  table.Add({"o", "12345", "ddl_pending"});
  EXPECT_EQ(table.Text(),
            "ID       ROWS  REASON\n"
            "orders      7  -\n"
            "o       12345  ddl_pending\n");
}

TEST(TableTest, CellsStayOnOneLineAndCannotSteerATerminal) {
  Table table({"A", "B"});
  table.Add({"x\ny\x1b[2J", "z"});
  EXPECT_EQ(table.Text(), "A        B\nx y [2J  z\n");
}

TEST(TableTest, CountsCharactersNotBytes) {
  Table table({"NAME", "B"});
  table.Add({"käuferè", "1"});
  table.Add({"kaufere", "2"});
  EXPECT_EQ(table.Text(), "NAME     B\nkäuferè  1\nkaufere  2\n");
}

TEST(FieldsTest, ValuesStandUnderEachOther) {
  Fields fields;
  fields.Add("id", "orders");
  fields.Add("last checkpoint", "");
  EXPECT_EQ(fields.Text(), "id:              orders\nlast checkpoint: -\n");
}

TEST(SecondsTextTest, ShowsTheTwoLargestUnits) {
  EXPECT_EQ(SecondsText(-1), "-");
  EXPECT_EQ(SecondsText(std::numeric_limits<double>::quiet_NaN()), "-");
  EXPECT_EQ(SecondsText(0), "0s");
  EXPECT_EQ(SecondsText(0.24), "0.2s");
  EXPECT_EQ(SecondsText(0.97), "1s");
  EXPECT_EQ(SecondsText(59.4), "59s");
  EXPECT_EQ(SecondsText(59.6), "1m");
  EXPECT_EQ(SecondsText(125), "2m 5s");
  EXPECT_EQ(SecondsText(3600), "1h");
  EXPECT_EQ(SecondsText(4 * 3600 + 59), "4h");
  EXPECT_EQ(SecondsText(12 * 86400 + 3 * 3600), "12d 3h");
  EXPECT_EQ(SecondsText(std::numeric_limits<double>::infinity()), SecondsText(1e15));
}

TEST(TimeTextTest, IsInUtc) {
  EXPECT_EQ(TimeText(absl::FromUnixMillis(1769879045999)), "2026-01-31 17:04:05 UTC");
}

TEST(PercentTextTest, IsAllOnlyAtTheEnd) {
  EXPECT_EQ(PercentText(0, 0), "-");
  EXPECT_EQ(PercentText(0, 10), "0%");
  EXPECT_EQ(PercentText(999, 1000), "99%");
  EXPECT_EQ(PercentText(1000, 1000), "100%");
}

}  // namespace
}  // namespace wallaby

#include "destination/push/acknowledged.h"

#include <gtest/gtest.h>

namespace wallaby {
namespace {

constexpr absl::Duration kWindow = absl::Seconds(60);

RecordId Record(uint64_t commit, uint32_t xid = 7) {
  return {.commit = commit, .commit_time_micros = 5, .seq = 1, .xid = xid, .kind = ChangeKind::kUpdate};
}

TEST(AcknowledgedRecords, AreKnownWithinTheWindow) {
  AcknowledgedRecords acknowledged;
  const std::vector<RecordId> records = {Record(1), Record(2)};
  acknowledged.Add(records, absl::Seconds(10), kWindow);
  EXPECT_TRUE(acknowledged.Has(Record(1), absl::Seconds(70), kWindow));
  EXPECT_FALSE(acknowledged.Has(Record(1), absl::Seconds(71), kWindow));
  EXPECT_FALSE(acknowledged.Has(Record(3), absl::Seconds(10), kWindow));
}

TEST(AcknowledgedRecords, AnotherTransactionAtThePositionIsAnotherRecord) {
  AcknowledgedRecords acknowledged;
  acknowledged.Add(std::vector{Record(1)}, absl::ZeroDuration(), kWindow);
  EXPECT_FALSE(acknowledged.Has(Record(1, /*xid=*/8), absl::ZeroDuration(), kWindow));
  RecordId other = Record(1);
  other.kind = ChangeKind::kDelete;
  EXPECT_FALSE(acknowledged.Has(other, absl::ZeroDuration(), kWindow));
}

TEST(AcknowledgedRecords, AreBounded) {
  AcknowledgedRecords acknowledged;
  for (uint64_t i = 0; i <= AcknowledgedRecords::kMost; ++i) {
    acknowledged.Add(std::vector{Record(i)}, absl::ZeroDuration(), kWindow);
  }
  EXPECT_FALSE(acknowledged.Has(Record(0), absl::ZeroDuration(), kWindow));
  EXPECT_TRUE(acknowledged.Has(Record(1), absl::ZeroDuration(), kWindow));
}

TEST(AcknowledgedRecords, OutliveTheDestination) {
  AcknowledgedRecords::Of("f", "hook").Add(std::vector{Record(1)}, absl::ZeroDuration(), kWindow);
  EXPECT_TRUE(AcknowledgedRecords::Of("f", "hook").Has(Record(1), absl::ZeroDuration(), kWindow));
  EXPECT_FALSE(AcknowledgedRecords::Of("f", "other").Has(Record(1), absl::ZeroDuration(), kWindow));
}

}  // namespace
}  // namespace wallaby

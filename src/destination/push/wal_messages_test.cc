#include "destination/push/wal_messages.h"

#include <gtest/gtest.h>

#include "codec/test_batches.h"
#include "pgoutput/messages.h"

namespace wallaby {
namespace {

std::string Message(const ChangeBatch& batch, size_t index) {
  std::string message;
  AppendChangeMessage(batch, batch.changes()[index], &message);
  return message;
}

// Read as a receiver would: with a parser of the protocol.
TEST(WalMessages, RelationsAreWhatTheProtocolSays) {
  std::string message;
  AppendRelationMessage(*OrdersRelation(), &message);
  pgoutput::RelationMessage parsed;
  ASSERT_TRUE(pgoutput::ParseRelation(message, &parsed).ok());
  EXPECT_EQ(parsed.oid, 16384u);
  EXPECT_EQ(parsed.schema, "shop");
  EXPECT_EQ(parsed.name, "orders");
  EXPECT_EQ(parsed.identity, 'd');
  ASSERT_EQ(parsed.columns.size(), 3u);
  EXPECT_TRUE(parsed.columns[0].key);
  EXPECT_FALSE(parsed.columns[1].key);
  EXPECT_EQ(parsed.columns[1].name, "total");
  EXPECT_EQ(parsed.columns[1].type_oid, 1700u);
  EXPECT_EQ(parsed.columns[1].typmod, (10 << 16 | 2) + 4);
}

TEST(WalMessages, ChangesAreWhatTheProtocolSays) {
  TestBatch test;
  test.Insert({"1", "2.50", std::nullopt})
      .UpdateKey({"1", std::nullopt, std::nullopt}, {"2", "3.00", kAbsent})
      .UpdateFull({"2", "3.00", "a"}, {"2", "4.00", "b"})
      .Delete({"2", std::nullopt, std::nullopt})
      .Truncate()
      .Read({"9", "1.00", "copied"});
  pgoutput::RowChange row;
  ASSERT_TRUE(pgoutput::ParseInsert(Message(test.batch(), 0), &row).ok());
  EXPECT_FALSE(row.has_old);
  EXPECT_EQ(row.new_row.columns, 3);

  const std::string key_update = Message(test.batch(), 1);
  row = {};
  ASSERT_TRUE(pgoutput::ParseUpdate(key_update, &row).ok());
  EXPECT_TRUE(row.has_old && row.old_is_key && row.new_row.has_absent);
  EXPECT_EQ(TupleCursor(row.old_row.bytes.data()).field().bytes, "1");
  EXPECT_EQ(TupleCursor(row.new_row.bytes.data()).field().bytes, "2");

  row = {};
  ASSERT_TRUE(pgoutput::ParseUpdate(Message(test.batch(), 2), &row).ok());
  EXPECT_TRUE(row.has_old && !row.old_is_key);
  row = {};
  ASSERT_TRUE(pgoutput::ParseDelete(Message(test.batch(), 3), &row).ok());
  EXPECT_TRUE(row.has_old && row.old_is_key && !row.has_new);
  pgoutput::Truncate truncate;
  ASSERT_TRUE(pgoutput::ParseTruncate(Message(test.batch(), 4), &truncate).ok());
  EXPECT_EQ(truncate.oids, std::vector<uint32_t>{16384});
  ASSERT_TRUE(pgoutput::ParseInsert(Message(test.batch(), 5), &row).ok());
}

}  // namespace
}  // namespace wallaby

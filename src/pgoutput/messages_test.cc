#include "pgoutput/messages.h"

#include <gtest/gtest.h>

#include <string>

#include "change/tuple.h"

namespace wallaby::pgoutput {
namespace {

std::string Big32(uint32_t v) {
  v = __builtin_bswap32(v);
  return std::string(reinterpret_cast<const char*>(&v), 4);
}
std::string Big64(uint64_t v) {
  v = __builtin_bswap64(v);
  return std::string(reinterpret_cast<const char*>(&v), 8);
}

std::string UpdateMessage() {
  std::string message = "U" + Big32(7) + "K";
  TupleBuilder old_row(&message, 2);
  old_row.Text("1");
  old_row.Null();
  message += "N";
  TupleBuilder new_row(&message, 2);
  new_row.Text("2");
  new_row.Unchanged();
  return message;
}

TEST(MessagesTest, Begin) {
  Begin begin;
  ASSERT_TRUE(ParseBegin("B" + Big64(0x1234) + Big64(1000000) + Big32(99), &begin).ok());
  EXPECT_EQ(begin.commit.value, 0x1234u);
  EXPECT_EQ(begin.commit_time_micros, kPostgresEpochMicros + 1000000);
  EXPECT_EQ(begin.xid, 99u);
}

TEST(MessagesTest, TimesThatNoServerHasAreNotUndefined) {
  Begin begin;
  EXPECT_TRUE(ParseBegin("B" + Big64(1) + Big64(INT64_MAX) + Big32(1), &begin).ok());
  EXPECT_LT(begin.commit_time_micros, 0);
}

TEST(MessagesTest, UpdateWithKeyChangeAndUnchangedToast) {
  const std::string message = UpdateMessage();
  RowChange row;
  ASSERT_TRUE(ParseUpdate(message, &row).ok());
  EXPECT_TRUE(row.has_old);
  EXPECT_TRUE(row.old_is_key);
  EXPECT_TRUE(row.new_row.has_absent);
  TupleCursor fields(row.new_row.bytes.data());
  EXPECT_EQ(fields.field().bytes, "2");
  fields.Next();
  EXPECT_TRUE(fields.field().is_absent());
}

TEST(MessagesTest, EveryShorterOrLongerMessageIsRefused) {
  const std::string message = UpdateMessage();
  RowChange row;
  for (size_t length = 1; length < message.size(); ++length) {
    EXPECT_FALSE(ParseUpdate(std::string_view(message).substr(0, length), &row).ok()) << length;
  }
  EXPECT_FALSE(ParseUpdate(message + "x", &row).ok());
}

TEST(MessagesTest, LengthBeyondTheMessageIsRefused) {
  std::string message = "I" + Big32(7) + "N";
  message += std::string("\0\1", 2) + "t" + Big32(0xFFFFFFFF) + "abc";
  RowChange row;
  EXPECT_TRUE(absl::IsDataLoss(ParseInsert(message, &row)));
}

TEST(MessagesTest, LogicalMessage) {
  LogicalMessage out;
  const std::string message = "M\1" + Big64(5) + std::string("prefix\0", 7) + Big32(3) + "abc";
  ASSERT_TRUE(ParseLogicalMessage(message, &out).ok());
  EXPECT_TRUE(out.transactional);
  EXPECT_EQ(out.prefix, "prefix");
  EXPECT_EQ(out.content, "abc");
}

}  // namespace
}  // namespace wallaby::pgoutput

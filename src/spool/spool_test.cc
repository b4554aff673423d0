#include "spool/spool.h"

#include <poll.h>

#include "base/failpoint.h"
#include "spool/segment.h"
#include "spool/test_log.h"

namespace wallaby::spool {
namespace {

using Lines = std::vector<std::string>;

TEST_F(SpoolTest, WhatIsWrittenIsRead) {
  const auto writer = Writer();
  Append(*writer, Transaction(200, {RelationMessage(1, "v1"), InsertMessage(1, "a"), LogicalMessage(true, "ddl")}));
  Append(*writer, Transaction(300, {InsertMessage(1, "b")}));
  EXPECT_EQ(Read(100), Lines{"idle 100"});  // not before Flush()
  ASSERT_TRUE(writer->Flush().ok());
  EXPECT_EQ(Read(100), (Lines{"B 200", "R 1 v1", "I 1 a", "M ddl", "C 208", "B 300", "I 1 b", "C 308", "idle 308"}));
  EXPECT_EQ(writer->durable(), Lsn{100});
  ASSERT_TRUE(writer->Sync().ok());
  EXPECT_EQ(writer->durable(), Lsn{308});
  EXPECT_EQ(writer->end(), Lsn{308});
  EXPECT_EQ(writer->last_commit(), Lsn{300});
  EXPECT_EQ(writer->begin(), Lsn{100});
}

TEST_F(SpoolTest, AReaderIsToldOfARelationBeforeItsFirstChange) {
  const auto writer = Writer();
  Append(*writer, Transaction(200, {RelationMessage(1, "v1"), RelationMessage(2, "v1"), InsertMessage(1, "a")}));
  Append(*writer, Transaction(300, {InsertMessage(1, "b"), InsertMessage(1, "c")}));
  Append(*writer, Transaction(400, {RelationMessage(1, "v2"), InsertMessage(1, "d"), TruncateMessage({1, 2})}));
  ASSERT_TRUE(writer->Flush().ok());
  EXPECT_EQ(Read(201), (Lines{"B 300", "R 1 v1", "I 1 b", "I 1 c", "C 308", "B 400", "R 1 v2", "I 1 d", "R 2 v1", "T",
                              "C 408", "idle 408"}));
  EXPECT_EQ(Read(300)[0], "B 300");
  EXPECT_EQ(Read(301)[0], "B 400");
  EXPECT_EQ(Read(401), (Lines{"idle 408"}));
  EXPECT_EQ(Read(409), Lines{});
}

}  // namespace
}  // namespace wallaby::spool

#include "spool/spool.h"

#include <poll.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "base/failpoint.h"
#include "spool/segment.h"
#include "spool/spool_cursor.h"
#include "spool/spool_lock.h"
#include "spool/test_log.h"
#include "spool/why_full.h"

namespace wallaby::spool {
namespace {

using Lines = std::vector<std::string>;

std::string Content(const std::filesystem::path& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

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
  Append(*writer, Transaction(400, {RelationMessage(1, "v2"), InsertMessage(1, "d"), TruncateMessage({1, 2, 3})}));
  ASSERT_TRUE(writer->Flush().ok());
  EXPECT_EQ(Read(201), (Lines{"B 300", "R 1 v1", "I 1 b", "I 1 c", "C 308", "B 400", "R 1 v2", "I 1 d", "R 2 v1", "T",
                              "C 408", "idle 408"}));
  EXPECT_EQ(Read(300)[0], "B 300");
  EXPECT_EQ(Read(301)[0], "B 400");
  EXPECT_EQ(Read(401), (Lines{"idle 408"}));
  EXPECT_EQ(Read(409), Lines{});
}

TEST_F(SpoolTest, WhatIsThereAlreadyIsLeftOut) {
  {
    const auto writer = Writer();
    Append(*writer, Transaction(200, {RelationMessage(1, "v1"), InsertMessage(1, "a")}));
    ASSERT_TRUE(writer->Sync().ok());
  }
  const auto writer = Writer();
  EXPECT_EQ(writer->last_commit(), Lsn{200});
  EXPECT_EQ(writer->end(), Lsn{208});
  EXPECT_EQ(writer->durable(), Lsn{208});
  Append(*writer, Transaction(200, {RelationMessage(1, "v1"), InsertMessage(1, "a")}));
  Append(*writer, Transaction(300, {InsertMessage(1, "b"), LogicalMessage(false, "no part of it"), "Ytype"}));
  Append(*writer, {LogicalMessage(false, "between")});
  ASSERT_TRUE(writer->Flush().ok());
  EXPECT_EQ(Read(100), (Lines{"B 200", "R 1 v1", "I 1 a", "C 208", "B 300", "I 1 b", "C 308", "idle 308"}));
  EXPECT_EQ(Read(300), (Lines{"B 300", "R 1 v1", "I 1 b", "C 308", "idle 308"}));
}

TEST_F(SpoolTest, AnIdlePositionMovesTheEnd) {
  const auto writer = Writer();
  const auto reader = Reader(100);
  EXPECT_EQ(ReadAll(*reader), Lines{"idle 100"});
  ASSERT_TRUE(writer->AppendIdle(Lsn{500}).ok());
  ASSERT_TRUE(writer->AppendIdle(Lsn{400}).ok());
  ASSERT_TRUE(writer->Sync().ok());
  EXPECT_EQ(writer->durable(), Lsn{500});
  EXPECT_EQ(ReadAll(*reader), Lines{"idle 500"});
  EXPECT_EQ(ReadAll(*reader), Lines{});
  Append(*writer, Transaction(600, {InsertMessage(1, "a")}));
  ASSERT_TRUE(writer->AppendIdle(Lsn{700}).ok());
  ASSERT_TRUE(writer->Flush().ok());
  EXPECT_EQ(ReadAll(*reader), (Lines{"B 600", "I 1 a", "C 608", "idle 700"}));
}

TEST_F(SpoolTest, AReaderBehindTheEndWaitsForIt) {
  const auto writer = Writer();
  const auto reader = Reader(450);
  EXPECT_EQ(ReadAll(*reader), Lines{});
  Append(*writer, Transaction(400, {RelationMessage(1, "v1"), InsertMessage(1, "a")}));
  ASSERT_TRUE(writer->Flush().ok());
  EXPECT_EQ(ReadAll(*reader), Lines{});
  Append(*writer, Transaction(500, {InsertMessage(1, "b")}));
  ASSERT_TRUE(writer->Flush().ok());
  EXPECT_EQ(ReadAll(*reader), (Lines{"B 500", "R 1 v1", "I 1 b", "C 508", "idle 508"}));
}

TEST_F(SpoolTest, TheNoticeComesWithWhatIsAppended) {
  const auto writer = Writer();
  const auto reader = Reader(100);
  reader->ClearNotice();
  pollfd poll_fd{reader->fd(), POLLIN, 0};
  EXPECT_EQ(poll(&poll_fd, 1, 0), 0);
  Append(*writer, Transaction(200, {InsertMessage(1, "a")}));
  ASSERT_TRUE(writer->Flush().ok());
  EXPECT_EQ(poll(&poll_fd, 1, 30'000), 1);
  reader->ClearNotice();
  EXPECT_EQ(poll(&poll_fd, 1, 0), 0);
}

// The open transaction ----------------------------------------------------------------------------------------------

TEST_F(SpoolTest, AnOpenTransactionIsNotSeenAndCanBeDropped) {
  const auto writer = Writer();
  const auto reader = Reader(100);
  Append(*writer, Transaction(200, {RelationMessage(1, "v1"), InsertMessage(1, "a")}));
  Append(*writer, {BeginMessage(300), RelationMessage(1, "v2"), InsertMessage(1, "lost")});
  ASSERT_TRUE(writer->Sync().ok());
  EXPECT_TRUE(writer->in_transaction());
  EXPECT_EQ(ReadAll(*reader), (Lines{"B 200", "R 1 v1", "I 1 a", "C 208", "idle 208"}));
  ASSERT_TRUE(writer->DropOpen().ok());
  EXPECT_FALSE(writer->in_transaction());
  Append(*writer, Transaction(300, {InsertMessage(1, "b")}));
  ASSERT_TRUE(writer->Sync().ok());
  EXPECT_EQ(ReadAll(*reader), (Lines{"B 300", "I 1 b", "C 308", "idle 308"}));
}

TEST_F(SpoolTest, ALargeTransactionIsWrittenAsItComesAndReadWhenItIsWhole) {
  const auto writer = Writer();
  const auto reader = Reader(100);
  const std::string row(50'000, 'x');
  const std::string giant(3 << 20, 'g');
  // Cut off and sent again with other sizes, so that the blocks lie elsewhere.
  for (const int rows : {40, 7, 23}) {
    Append(*writer, {BeginMessage(300), RelationMessage(1, "v1")});
    for (int i = 0; i < rows; ++i) Append(*writer, {InsertMessage(1, absl::StrCat(i % 7 == 3 ? giant : row, rows))});
    EXPECT_GT(writer->bytes(), rows * 25'000);
    EXPECT_EQ(ReadAll(*reader), rows == 40 ? Lines{"idle 100"} : Lines{});
    ASSERT_TRUE(writer->DropOpen().ok());
    EXPECT_LT(writer->bytes(), 200);
  }
  Append(*writer, Transaction(250, {InsertMessage(9, "small")}));
  Append(*writer, {BeginMessage(300), RelationMessage(1, "v1")});
  for (int i = 0; i < 30; ++i) {
    Append(*writer, {InsertMessage(1, absl::StrCat(i == 20 ? giant : row, i))});
    if (i != 15) continue;
    ASSERT_TRUE(writer->Flush().ok());
    EXPECT_EQ(ReadAll(*reader), (Lines{"B 250", "I 9 small", "C 258", "idle 258"}));
  }
  Append(*writer, {CommitMessage(300, 308)});
  Append(*writer, Transaction(400, {InsertMessage(1, "b")}));
  ASSERT_TRUE(writer->Flush().ok());
  const Lines lines = ReadAll(*reader);
  ASSERT_EQ(lines.size(), 37u);
  EXPECT_EQ(lines[0], "B 300");
  for (int i = 0; i < 30; ++i) EXPECT_EQ(lines[i + 2], absl::StrCat("I 1 ", i == 20 ? giant : row, i));
  EXPECT_EQ(lines[32], "C 308");
  EXPECT_EQ(Read(100).size(), 40u);
}

TEST_F(SpoolTest, MessagesThatCannotBeAreRefused) {
  const auto writer = Writer();
  EXPECT_TRUE(absl::IsDataLoss(writer->Append(InsertMessage(1, "a"))));
  ASSERT_TRUE(writer->DropOpen().ok());
  Append(*writer, {BeginMessage(200)});
  EXPECT_FALSE(writer->AppendIdle(Lsn{900}).ok());
  EXPECT_TRUE(absl::IsDataLoss(writer->Append(BeginMessage(300))));
  // The transaction is lost; nothing can be added to it.
  EXPECT_TRUE(absl::IsDataLoss(writer->Append(CommitMessage(200, 208))));
  ASSERT_TRUE(writer->DropOpen().ok());
  ASSERT_TRUE(writer->Sync().ok());
  EXPECT_EQ(Read(100), Lines{"idle 100"});
}

// Segments ----------------------------------------------------------------------------------------------------------

class SegmentsTest : public SpoolTest {
 protected:
  SegmentsTest() { options_.segment_bytes = 2000; }
  // Transactions 200, 300, ... of which three fill a segment.
  static void Fill(SpoolWriter& writer, uint64_t first, uint64_t last) {
    for (uint64_t commit = first; commit <= last; commit += 100) {
      std::vector<std::string> messages = {InsertMessage(1, absl::StrCat(std::string(700, 'x'), commit))};
      if (commit == 200) messages.insert(messages.begin(), RelationMessage(1, "v1"));
      Append(writer, Transaction(commit, messages));
    }
    ASSERT_TRUE(writer.Sync().ok());
  }
};

TEST_F(SegmentsTest, ReadingMayBeginInAnySegment) {
  const auto writer = Writer();
  const auto following = Reader(100);
  Fill(*writer, 200, 2000);
  EXPECT_EQ(*ListSegments(Folder()), (std::vector<Lsn>{{100}, {408}, {708}, {1008}, {1308}, {1608}, {1908}}));
  for (uint64_t from = 100; from < 2010; from += 4) {
    const Lines lines = Read(from);
    const uint64_t first = from <= 200 ? 200 : (from + 99) / 100 * 100;
    if (first > 2000) {
      EXPECT_EQ(lines, from <= 2008 ? Lines{"idle 2008"} : Lines{});
      continue;
    }
    ASSERT_EQ(lines.size(), (2000 - first) / 100 * 3 + 5) << from;
    EXPECT_EQ(lines[0], absl::StrCat("B ", first));
    EXPECT_EQ(lines[1], "R 1 v1");
    EXPECT_EQ(lines[2], absl::StrCat("I 1 ", std::string(700, 'x'), first));
  }
  EXPECT_EQ(ReadAll(*following).size(), 19 * 3 + 2u);
}

TEST_F(SegmentsTest, WhatAllArePastIsRemoved) {
  const auto writer = Writer();
  Fill(*writer, 200, 2000);
  const int64_t bytes = writer->bytes();
  const auto reader = Reader(100);
  EXPECT_EQ(reader->Next()->kind, SpoolReader::Item::Kind::kMessage);
  ASSERT_TRUE(writer->RemoveBelow(Lsn{1007}).ok());
  EXPECT_EQ(writer->begin(), Lsn{708});
  EXPECT_LT(writer->bytes(), bytes - 4000);
  EXPECT_EQ(*SpoolBytes(Folder() + "/none"), 0);
  EXPECT_TRUE(absl::IsOutOfRange(SpoolReader::Open(options_, name_, "pub", Lsn{707}).status()));
  EXPECT_EQ(Read(708)[0], "B 800");
  EXPECT_EQ(ReadAll(*reader).back(), "OUT_OF_RANGE");
  // All is delivered: the last one goes as soon as there is another.
  ASSERT_TRUE(writer->RemoveBelow(Lsn{2008}).ok());
  EXPECT_EQ(writer->begin(), Lsn{2008});
  EXPECT_LT(writer->bytes(), 200);
  EXPECT_EQ(Read(2008), Lines{"idle 2008"});
  Fill(*writer, 2100, 2100);
  EXPECT_EQ(Read(2008)[1], "R 1 v1");
}

TEST_F(SegmentsTest, RelationsInForceAreInEverySegmentAlsoAfterARestart) {
  {
    const auto writer = Writer();
    Fill(*writer, 200, 900);
    Append(*writer, Transaction(1000, {RelationMessage(1, "v2"), RelationMessage(2, std::string(300'000, 'r'))}));
    ASSERT_TRUE(writer->Sync().ok());
  }
  const auto writer = Writer();
  Fill(*writer, 1100, 2000);
  EXPECT_EQ(Read(900)[1], "R 1 v1");
  EXPECT_EQ(Read(1100)[1], "R 1 v2");
  EXPECT_EQ(Read(2000)[1], "R 1 v2");
  Append(*writer, Transaction(3000, {InsertMessage(2, "big")}));
  ASSERT_TRUE(writer->Flush().ok());
  EXPECT_EQ(Read(3000)[1].size(), 300'004u);
}

TEST_F(SegmentsTest, TheLimitCountsAllSpools) {
  options_.limit = 40'000;
  options_.segment_bytes = 64 << 20;
  const auto writer = Writer();
  EXPECT_TRUE(*writer->HasRoom());
  Fill(*writer, 200, 2000);
  EXPECT_TRUE(*writer->HasRoom());
  Fill(*writer, 2100, 7000);
  EXPECT_FALSE(*writer->HasRoom());
  EXPECT_FALSE(*Value(SpoolWriter::Open(options_, {"7301", "other"}, "pub", Lsn{100}))->HasRoom());
  // Delivered, it makes room, although no segment is full.
  ASSERT_TRUE(writer->RemoveBelow(Lsn{7007}).ok());
  EXPECT_FALSE(*writer->HasRoom());
  ASSERT_TRUE(writer->RemoveBelow(Lsn{7008}).ok());
  EXPECT_TRUE(*writer->HasRoom());
  EXPECT_EQ(*SpoolBytes(options_.root) > writer->bytes(), true);
}

// Who may
// --------------------------------------------------------------------------------------------------------------

TEST_F(SpoolTest, OneWriterAtATime) {
  EXPECT_TRUE(absl::IsNotFound(SpoolReader::Open(options_, name_, "pub", Lsn{100}).status()));
  EXPECT_FALSE(SpoolExists(options_, name_));
  auto writer = Writer();
  EXPECT_TRUE(SpoolExists(options_, name_));
  const auto second = SpoolWriter::Open(options_, name_, "pub", Lsn{100});
  EXPECT_TRUE(absl::IsAborted(second.status())) << second.status();
  EXPECT_NE(second.status().message().find(absl::StrCat("pid ", getpid())), std::string_view::npos) << second.status();
  EXPECT_TRUE(absl::IsAborted(RemoveSpoolFolder(Folder())));
  writer.reset();
  EXPECT_TRUE(absl::IsFailedPrecondition(SpoolWriter::Open(options_, name_, "other", Lsn{100}).status()));
  ASSERT_TRUE(RemoveSpoolFolder(Folder()).ok());
  ASSERT_TRUE(RemoveSpoolFolder(Folder()).ok());
  EXPECT_FALSE(SpoolExists(options_, name_));
  EXPECT_EQ(*SpoolBytes(options_.root), 0);
}

TEST_F(SpoolTest, WhoHasTheLockWritesOrRemoves) {
  EXPECT_FALSE(SpoolLock::IsTaken(options_, name_));
  EXPECT_FALSE(std::filesystem::exists(Folder()));
  auto lock = Value(SpoolLock::Take(options_, name_));
  EXPECT_TRUE(SpoolLock::IsTaken(options_, name_));
  EXPECT_TRUE(absl::IsAborted(SpoolLock::Take(options_, name_).status()));
  EXPECT_TRUE(absl::IsAborted(SpoolWriter::Open(options_, name_, "pub", Lsn{100}).status()));
  EXPECT_FALSE(SpoolExists(options_, name_));
  auto writer = Value(SpoolWriter::Open(options_, name_, "pub", Lsn{100}, std::move(lock)));
  EXPECT_TRUE(SpoolLock::IsTaken(options_, name_));
  writer.reset();
  EXPECT_FALSE(SpoolLock::IsTaken(options_, name_));
  lock = Value(SpoolLock::Take(options_, name_));
  ASSERT_TRUE(RemoveSpool(options_, name_, std::move(lock)).ok());
  EXPECT_FALSE(SpoolExists(options_, name_));
  EXPECT_TRUE(SpoolLock::Take(options_, name_).ok());
}

TEST_F(SpoolTest, AnotherPublicationIsRefusedByName) {
  EXPECT_TRUE(CheckSpoolPublication(options_, name_, "other").ok());  // there is no spool yet
  const auto writer = Writer();
  EXPECT_TRUE(CheckSpoolPublication(options_, name_, "pub").ok());
  for (const absl::Status& status : {CheckSpoolPublication(options_, name_, "other"),
                                     SpoolReader::Open(options_, name_, "other", Lsn{100}).status()}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_NE(status.message().find("'pub' sent, not 'other'"), std::string_view::npos) << status;
  }
}

TEST_F(SpoolTest, WhoFollowsIsToldWhyItIsFull) {
  const auto writer = Writer();
  EXPECT_EQ(WhySpoolFull(options_, name_), "");
  ASSERT_TRUE(NoteWhySpoolFull(options_, name_, "flow f1 holds it").ok());
  EXPECT_EQ(WhySpoolFull(options_, name_), "flow f1 holds it");
  ASSERT_TRUE(NoteWhySpoolFull(options_, name_, "").ok());
  ASSERT_TRUE(NoteWhySpoolFull(options_, name_, "").ok());
  EXPECT_EQ(WhySpoolFull(options_, name_), "");
}

TEST_F(SpoolTest, NothingIsBehindTheLastTransaction) {
  {
    const auto writer = Writer();
    EXPECT_EQ(*SpoolBegin(options_, name_), Lsn{100});
    EXPECT_EQ(*SpoolBytesBehind(options_, name_, Lsn{100}), 0);
    Append(*writer, Transaction(200, {InsertMessage(1, "a")}));
    ASSERT_TRUE(writer->Sync().ok());
    ASSERT_TRUE(writer->AppendIdle(Lsn{900}).ok());
    ASSERT_TRUE(writer->Sync().ok());
    EXPECT_EQ(*SpoolBytesBehind(options_, name_, Lsn{200}), writer->bytes());
    EXPECT_EQ(*SpoolBytesBehind(options_, name_, Lsn{208}), 0);
  }
  // One that an older version wrote tells when it is taken.
  std::filesystem::remove(Folder() + "/LAST");
  EXPECT_GT(*SpoolBytesBehind(options_, name_, Lsn{208}), 0);
  const auto writer = Writer();
  EXPECT_EQ(*SpoolBytesBehind(options_, name_, Lsn{208}), 0);
  EXPECT_GT(*SpoolBytesBehind(options_, name_, Lsn{200}), 0);
}

TEST_F(SpoolTest, ARootThatCannotBeIsNamed) {
  const absl::Status status = CheckSpoolRoot("/proc/nope");
  EXPECT_NE(status.message().find("/proc/nope"), std::string_view::npos) << status;
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(CheckSpoolRoot(options_.root + "/a/b").ok());
  EXPECT_TRUE(std::filesystem::is_empty(options_.root + "/a/b"));
}

TEST_F(SpoolTest, ASpoolWithoutItsSegmentsIsNotBegunAnew) {
  {
    const auto writer = Writer();
    Append(*writer, Transaction(200, {}));
    ASSERT_TRUE(writer->Sync().ok());
  }
  std::filesystem::remove(SegmentPath(Folder(), Lsn{100}));
  const auto writer = SpoolWriter::Open(options_, name_, "pub", Lsn{500});
  EXPECT_TRUE(absl::IsDataLoss(writer.status())) << writer.status();
}

TEST_F(SpoolTest, CursorsSayHowFarFlowsAre) {
  EXPECT_TRUE(SpoolCursors(options_, name_)->empty());
  const std::string odd = "../ünd so%2F.new";
  {
    const auto a = Value(SpoolCursor::Register(options_, name_, "a", Lsn{100}));
    const auto b = Value(SpoolCursor::Register(options_, name_, odd, Lsn{300}));
    ASSERT_TRUE(a->Move(Lsn{200}).ok());
    ASSERT_TRUE(a->Move(Lsn{150}).ok());
  }
  EXPECT_EQ(*SpoolCursors(options_, name_), (std::map<std::string, Lsn>{{"a", Lsn{200}}, {odd, Lsn{300}}}));
  const auto writer = Writer();  // the folder is there already
  Value(SpoolCursor::Register(options_, name_, "a", Lsn{180}));
  EXPECT_EQ(SpoolCursors(options_, name_)->at("a"), Lsn{180});
  ASSERT_TRUE(ForgetSpoolCursor(options_, name_, odd).ok());
  ASSERT_TRUE(ForgetSpoolCursor(options_, name_, odd).ok());
  ASSERT_TRUE(ForgetSpoolCursor(options_, {"1", "none"}, odd).ok());
  EXPECT_EQ(SpoolCursors(options_, name_)->size(), 1u);
  std::ofstream(Folder() + "/cursors/a") << "0000000000000180 nonsense";
  const auto cursors = SpoolCursors(options_, name_);
  EXPECT_TRUE(absl::IsDataLoss(cursors.status()));
  EXPECT_NE(cursors.status().message().find("flow a;"), std::string_view::npos) << cursors.status();
}

// Encryption
// -----------------------------------------------------------------------------------------------------------

TEST_F(SpoolTest, EncryptedOnlyTheKeyOpensIt) {
  options_.key = std::string(32, 'k');
  options_.segment_bytes = 2000;
  const std::string secret = "a very private row";
  {
    const auto writer = Writer();
    for (uint64_t commit = 200; commit <= 4000; commit += 100) {
      Append(*writer, Transaction(commit, {RelationMessage(1, secret), InsertMessage(1, secret + secret)}));
      ASSERT_TRUE(writer->Flush().ok());
    }
    ASSERT_TRUE(writer->Sync().ok());
  }
  const Lines lines = Read(100);
  ASSERT_EQ(lines.size(), 39 * 4 + 1u);
  EXPECT_EQ(lines[2], absl::StrCat("I 1 ", secret, secret));
  EXPECT_EQ(Read(3100)[1], "R 1 " + secret);
  ASSERT_GT(ListSegments(Folder())->size(), 2u);
  for (const auto& file : std::filesystem::recursive_directory_iterator(options_.root)) {
    EXPECT_EQ(Content(file.path()).find("private"), std::string::npos) << file.path();
  }
  for (const std::string& key : {std::string(), std::string(32, 'l')}) {
    options_.key = key;
    EXPECT_TRUE(absl::IsFailedPrecondition(SpoolReader::Open(options_, name_, "pub", Lsn{100}).status()));
    const auto writer = SpoolWriter::Open(options_, name_, "pub", Lsn{100});
    EXPECT_TRUE(absl::IsFailedPrecondition(writer.status()));
    EXPECT_NE(writer.status().message().find("WALLABY_SPOOL_KEY"), std::string_view::npos) << writer.status();
  }
}

TEST_F(SpoolTest, AKeyIsRefusedWhereThereWasNone) {
  Writer();
  options_.key = std::string(32, 'k');
  EXPECT_TRUE(absl::IsFailedPrecondition(SpoolWriter::Open(options_, name_, "pub", Lsn{100}).status()));
}

// What the system refuses
// ------------------------------------------------------------------------------------------------

// No file may grow beyond this meanwhile.
class FileLimit {
 public:
  explicit FileLimit(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit now{bytes, old_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &now);
  }
  ~FileLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_;
  void (*old_handler_)(int) = std::signal(SIGXFSZ, SIG_IGN);
};

TEST_F(SpoolTest, AFullDiskLosesTheOpenTransactionOnly) {
  const auto writer = Writer();
  const std::string row(100'000, 'x');
  Append(*writer, Transaction(200, {InsertMessage(1, row), InsertMessage(1, row), InsertMessage(1, row)}));
  absl::Status status;
  {
    const FileLimit limit(400'000);
    Append(*writer, {BeginMessage(300)});
    for (int i = 0; i < 10 && status.ok(); ++i) status = writer->Append(InsertMessage(1, row));
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
    EXPECT_NE(status.message().find(Folder()), std::string_view::npos) << status;
    EXPECT_EQ(writer->Append(CommitMessage(300, 308)), status);
    ASSERT_TRUE(writer->DropOpen().ok());
    ASSERT_TRUE(writer->Sync().ok());
    EXPECT_EQ(Read(100).size(), 6u);
  }
  Append(*writer, Transaction(300, {InsertMessage(1, row)}));
  ASSERT_TRUE(writer->Sync().ok());
  EXPECT_EQ(Read(100).size(), 9u);
}

TEST_F(SegmentsTest, AStepThatFailsIsDoneAgain) {
  const auto writer = Writer();
  for (const char* name : {"spool.write", "spool.sync", "spool.segment", "spool.remove"}) {
    const uint64_t first = writer->last_commit().value == 0 ? 200 : writer->last_commit().value + 100;
    for (uint64_t commit = first; commit < first + 1000; commit += 100) {
      ASSERT_TRUE(ArmFailpoints(absl::StrCat(name, "=error:unavailable@", 1 + commit / 100 % 3), nullptr).ok());
      while (true) {  // as the caller does
        absl::Status status;
        for (const std::string& message : Transaction(commit, {InsertMessage(1, std::string(700, 'y'))})) {
          if (status.ok()) status = writer->Append(message);
        }
        if (status.ok()) break;
        ASSERT_TRUE(absl::IsUnavailable(status)) << status;
        ASSERT_TRUE(writer->DropOpen().ok());
      }
      const absl::Status sync = writer->Sync();
      if (!sync.ok()) {
        ASSERT_TRUE(absl::IsUnavailable(sync)) << sync;
        EXPECT_LT(writer->durable(), writer->end());
        absl::Status again = writer->Sync();
        if (!again.ok()) again = writer->Sync();
        ASSERT_TRUE(again.ok()) << again;
      }
      EXPECT_EQ(writer->durable(), Lsn{commit + 8});
      if (commit - first == 500) {
        while (!writer->RemoveBelow(Lsn{commit - 400}).ok()) {
        }
      }
    }
  }
  ASSERT_TRUE(ArmFailpoints("", nullptr).ok());
  const uint64_t begin = writer->begin().value;
  const Lines lines = Read(begin);
  ASSERT_EQ(lines.size() % 3, 1u);
  for (size_t i = 0; i + 1 < lines.size(); i += 3) {
    EXPECT_EQ(lines[i], absl::StrCat("B ", writer->last_commit().value - 100 * (lines.size() / 3 - 1 - i / 3)));
  }
}

}  // namespace
}  // namespace wallaby::spool

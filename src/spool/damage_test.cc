// Every byte of a segment cut off or changed: what was not durable may be torn, what was is refused by name.
#include <fcntl.h>

#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "spool/lsn_file.h"
#include "spool/segment.h"
#include "spool/tail.h"
#include "spool/test_log.h"

namespace wallaby::spool {
namespace {

using Lines = std::vector<std::string>;

std::string Content(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}
void SetContent(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

class DamageTest : public SpoolTest, public testing::WithParamInterface<bool> {
 protected:
  DamageTest() {
    if (GetParam()) options_.key = std::string(32, 'k');
  }

  // Transactions 200 to 500, a block each; the first `durable` of them durable.
  void Write(int durable) {
    const auto writer = Writer();
    for (int i = 0; i < 4; ++i) {
      const uint64_t commit = 200 + 100 * i;
      Append(*writer, Transaction(commit, {RelationMessage(1, "v"), InsertMessage(1, absl::StrCat("row ", commit))}));
      ASSERT_TRUE(writer->Flush().ok());
      ends_.push_back(writer->bytes());
      ASSERT_TRUE(i >= durable || writer->Sync().ok());
    }
    bytes_ = Content(Path());
    marked_ = Content(Folder() + "/DURABLE");
  }
  std::string Path() const { return SegmentPath(Folder(), Lsn{100}); }
  // As the crash left it.
  void Restore(const std::string& bytes) {
    SetContent(Path(), bytes);
    SetContent(Folder() + "/DURABLE", marked_);
  }
  // The number of whole transactions in the first `size` bytes.
  int Whole(size_t size) const {
    int whole = 0;
    for (const int64_t end : ends_) whole += static_cast<int64_t>(size) >= end ? 1 : 0;
    return whole;
  }
  void ExpectTransactions(int count) {
    Lines expected;
    for (int i = 0; i < count; ++i) {
      const int commit = 200 + 100 * i;
      for (const std::string& line : {absl::StrCat("B ", commit), std::string("R 1 v"),
                                      absl::StrCat("I 1 row ", commit), absl::StrCat("C ", commit + 8)}) {
        expected.push_back(line);
      }
    }
    expected.push_back(absl::StrCat("idle ", count == 0 ? 100 : 108 + 100 * count));
    EXPECT_EQ(Read(100), expected);
  }
  // The writer takes it, has so many transactions, and goes on.
  void ExpectTaken(int count, const std::string& what) {
    SCOPED_TRACE(what);
    const auto writer = SpoolWriter::Open(options_, name_, "pub", Lsn{100});
    ASSERT_TRUE(writer.ok()) << writer.status();
    EXPECT_EQ((*writer)->end(), (Lsn{count == 0 ? 100u : 108u + 100u * count}));
    EXPECT_EQ((*writer)->durable(), (*writer)->end());
    EXPECT_EQ((*writer)->bytes(), count == 0 ? ends_[0] : ends_[count - 1]);
    for (int i = count; i < 4; ++i) {
      const uint64_t commit = 200 + 100 * i;
      Append(**writer, Transaction(commit, {RelationMessage(1, "v"), InsertMessage(1, absl::StrCat("row ", commit))}));
    }
    ASSERT_TRUE((*writer)->Sync().ok());
    ExpectTransactions(4);
  }
  void ExpectRefused(const std::string& what) {
    SCOPED_TRACE(what);
    const auto writer = SpoolWriter::Open(options_, name_, "pub", Lsn{100});
    ASSERT_TRUE(absl::IsDataLoss(writer.status())) << writer.status();
    EXPECT_NE(writer.status().message().find(Path()), std::string_view::npos) << writer.status();
    EXPECT_NE(writer.status().message().find("the block at byte "), std::string_view::npos) << writer.status();
  }

  // A reader's inotify takes the system 10 ms to close. The format is the same encrypted: there every few bytes do.
  static size_t Step() { return GetParam() ? 7 : 1; }

  std::vector<int64_t> ends_;  // of the blocks
  std::string bytes_;
  std::string marked_;
};

TEST_P(DamageTest, CutAtEveryByte) {
  constexpr int kDurable = 2;
  Write(kDurable);
  for (size_t size = 0; size <= bytes_.size(); size += Step()) {
    Restore(bytes_.substr(0, size));
    if (Whole(size) < kDurable) {
      ExpectRefused(absl::StrCat("cut at ", size));
    } else {
      ExpectTaken(Whole(size), absl::StrCat("cut at ", size));
    }
  }
}

TEST_P(DamageTest, EveryByteChanged) {
  constexpr int kDurable = 2;
  Write(kDurable);
  for (size_t at = 0; at < bytes_.size(); at += Step()) {
    std::string changed = bytes_;
    changed[at] = static_cast<char>(changed[at] ^ (1 << at % 8));
    Restore(changed);
    // A reader gives what is before it, and then an error, or nothing while it may be written still.
    const int whole = Whole(at);
    if (at % 3 == 0) {
      const Lines lines = Read(100);
      EXPECT_EQ(std::count(lines.begin(), lines.end(), "R 1 v"), whole) << at;
      EXPECT_EQ(!lines.empty() && lines.back() == "DATA_LOSS", whole < kDurable) << at;
    }
    if (whole < kDurable) {
      ExpectRefused(absl::StrCat("changed at ", at));
    } else {
      ExpectTaken(whole, absl::StrCat("changed at ", at));
    }
  }
}

// The mark of what is durable may be older than that, after a crash of the machine. Then the blocks behind tell.
TEST_P(DamageTest, BlocksBehindTheDamageTellWhatWasDurable) {
  Write(3);
  const auto restore = [&](size_t at) {
    std::string changed = bytes_;
    changed[at] ^= 1;
    SetContent(Path(), changed);
    std::filesystem::remove(Folder() + "/DURABLE");
  };
  for (size_t at = 0; at < static_cast<size_t>(ends_[2]); ++at) {
    restore(at);
    ExpectRefused(absl::StrCat("changed at ", at));
  }
  restore(bytes_.size() - 1);
  ExpectTaken(3, "in the last one");
}

TEST_P(DamageTest, AnEarlierSegmentIsRefusedByTheReader) {
  options_.segment_bytes = 100;
  Write(4);
  ASSERT_EQ(ListSegments(Folder())->size(), 4u);
  const std::string path = SegmentPath(Folder(), Lsn{208});
  const std::string whole = Content(path);
  const size_t preamble = ReadTail(Folder(), Lsn{208}, options_.key, Lsn{208})->preamble;
  const auto expect_refused = [&] {
    const auto reader = Reader(100);
    const Lines lines = ReadAll(*reader);
    EXPECT_EQ(lines.back(), "DATA_LOSS");
    EXPECT_EQ(lines.size(), 5u);
    const auto status = reader->Next().status();
    EXPECT_TRUE(absl::IsDataLoss(status));
    EXPECT_NE(status.message().find(path), std::string_view::npos) << status;
  };
  for (size_t at = 0; at < whole.size(); at += 5 * Step()) {
    std::string changed = whole;
    changed[at] ^= 0x40;
    SetContent(path, changed);
    expect_refused();
    SetContent(path, whole.substr(0, at));
    expect_refused();
  }
  EXPECT_GT(preamble, 64u);
  std::filesystem::remove(path);
  EXPECT_EQ(Read(100).back(), "DATA_LOSS");
  EXPECT_EQ(Read(308)[0], "B 400");
}

// A block that is written over the torn one fits before those that were whole behind it.
TEST_P(DamageTest, WhatWasCutDoesNotComeBack) {
  Write(1);
  std::string changed = bytes_;
  changed[ends_[1] + kHeaderBytes] ^= 1;
  Restore(changed);
  const auto writer = Writer();
  ExpectTransactions(2);
  Append(*writer, Transaction(400, {RelationMessage(1, "v"), InsertMessage(1, "row 400")}));
  ASSERT_TRUE(writer->Flush().ok());
  ExpectTransactions(3);
}

// Whole blocks from another place are no blocks.
TEST_P(DamageTest, ABlockIsValidInItsPlaceOnly) {
  Write(1);
  const std::string block = bytes_.substr(ends_[0], ends_[1] - ends_[0]);
  Restore(bytes_.substr(0, ends_[1]) + block);
  ExpectTaken(2, "the same block twice");
  if (!GetParam()) return;
  // With a header that suits, but without the key.
  BlockHeader header;
  const SegmentReader segment = Value(SegmentReader::Open(Folder(), Lsn{100}, options_.key));
  ASSERT_TRUE(*segment.ReadHeader(ends_[0], &header));
  std::string moved = block;
  EncodeHeader(header, Lsn{100}, ends_[1], moved.data());
  Restore(bytes_.substr(0, ends_[1]) + moved);
  const auto writer = SpoolWriter::Open(options_, name_, "pub", Lsn{100});
  EXPECT_TRUE(absl::IsDataLoss(writer.status())) << writer.status();
  EXPECT_NE(writer.status().message().find("without the key"), std::string_view::npos) << writer.status();
}

INSTANTIATE_TEST_SUITE_P(Spool, DamageTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Encrypted" : "Plain"; });

}  // namespace
}  // namespace wallaby::spool

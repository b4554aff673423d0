#include "destination/files/files_destination.h"

#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "destination/files/files_test_kit.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace wallaby {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::string Said(const absl::Status& status) {
  return std::string(status.message());
}

class LocalFolderTest : public testing::Test {
 protected:
  DestinationConfig Config(std::map<std::string, std::string> options = {}) const {
    options.emplace("path", folder_.path());
    return {.flow_id = "flow-1", .name = "lake", .options = std::move(options), .generation = 3};
  }
  std::unique_ptr<Destination> Make(std::map<std::string, std::string> options = {}) const {
    auto made = FilesDestination::Make("parquet", Config(std::move(options)));
    EXPECT_TRUE(made.ok()) << made.status();
    return *std::move(made);
  }
  std::unique_ptr<Destination> Opened(std::map<std::string, std::string> options = {}) const {
    auto destination = Make(std::move(options));
    const auto progress = destination->Open();
    EXPECT_TRUE(progress.ok()) << progress.status();
    return destination;
  }
  std::string Refusal(std::map<std::string, std::string> options) const {
    return FilesDestination::Make("parquet", Config(std::move(options))).status().ToString();
  }
  std::vector<std::string> AllRows() const { return Rows(folder_.path()); }
  std::vector<std::string> Files() const { return DataFiles(folder_.path()); }

  TemporaryFolder folder_;
};

TEST_F(LocalFolderTest, ChangesBecomeRows) {
  auto destination = Opened();
  BatchMaker maker;
  maker.Begin(10)
      .Insert({"1", "2024-05-01 10:00:00", "first"})
      .Update({"1", std::nullopt, kAbsent})
      .Delete({"1", std::nullopt, std::nullopt})
      .Truncate();
  ASSERT_TRUE(destination->CheckTable(*Orders()).ok());
  ASSERT_TRUE(destination->Write(maker.batch()).ok());
  EXPECT_THAT(AllRows(), IsEmpty());
  ASSERT_TRUE(destination->Commit(Point(10)).ok());
  EXPECT_THAT(AllRows(), ElementsAre("c|10|0|1|2024-05-01 10:00:00.000000|first|~", "u|10|1|1|~|~|note",
                                     "d|10|2|1|~|~|~", "t|10|3|~|~|~|~"));
  ASSERT_THAT(Files(), SizeIs(1));
  EXPECT_THAT(Files()[0], testing::MatchesRegex("shop/orders/000000000000000A-000000-[0-9a-f]{12}.parquet"));
}

TEST_F(LocalFolderTest, MovedIdentityLeavesADelete) {
  auto destination = Opened();
  BatchMaker maker;
  maker.Begin(10)
      .UpdateFrom({"1", std::nullopt, std::nullopt}, {"2", std::nullopt, "x"}, true)
      .UpdateFrom({"2", std::nullopt, "x"}, {"2", std::nullopt, "y"}, false)
      .UpdateFrom({"2", std::nullopt, "y"}, {"3", std::nullopt, "y"}, false);
  ASSERT_TRUE(destination->Write(maker.batch()).ok());
  ASSERT_TRUE(destination->Commit(Point(10)).ok());
  EXPECT_THAT(AllRows(),
              ElementsAre("d|10|0|1|~|~|~", "u|10|0|2|~|x|~", "u|10|1|2|~|y|~", "d|10|2|2|~|y|~", "u|10|2|3|~|y|~"));
}

TEST_F(LocalFolderTest, ProgressIsRememberedAndUncommittedRowsAreNot) {
  {
    auto destination = Opened();
    BatchMaker first, second;
    first.Begin(10).Insert({"1", std::nullopt, "kept"});
    second.Begin(20).Insert({"2", std::nullopt, "lost"});
    ASSERT_TRUE(destination->Write(first.batch()).ok());
    ASSERT_TRUE(destination->Commit(Point(10)).ok());
    ASSERT_TRUE(destination->Write(second.batch()).ok());
  }
  auto destination = Make();
  const auto progress = destination->Open();
  ASSERT_TRUE(progress.ok()) << progress.status();
  EXPECT_EQ(progress->commit, Lsn{10});
  EXPECT_EQ(progress->end, Lsn{11});
  EXPECT_THAT(AllRows(), ElementsAre("c|10|0|1|~|kept|~"));
}

TEST_F(LocalFolderTest, AnOlderGenerationIsFencedAndASecondWorkerWaits) {
  auto destination = Opened();
  auto second = Make();
  EXPECT_TRUE(absl::IsUnavailable(second->Open().status())) << second->Open().status();
  destination.reset();
  DestinationConfig old = Config();
  old.generation = 2;
  const auto refused = (*FilesDestination::Make("parquet", old))->Open();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(Said(refused.status()), testing::StartsWith("fenced"));
}

TEST_F(LocalFolderTest, ALockFileThatWasReplacedFences) {
  auto destination = Opened();
  std::filesystem::remove(folder_.path("_wallaby/flow-1-lake/lock"));
  auto second = Opened();
  EXPECT_THAT(Said(destination->Commit(Point(10))), testing::StartsWith("fenced"));
}

TEST_F(LocalFolderTest, SnapshotPartsArePublishedWhole) {
  auto destination = Opened();
  BatchMaker one, two, streamed;
  one.Part("shop.orders/1").Begin(5).Read({"1", std::nullopt, "a"});
  two.Part("shop.orders/2").Begin(5).Read({"2", std::nullopt, "b"});
  streamed.Begin(7).Insert({"3", std::nullopt, "c"});
  ASSERT_TRUE(destination->Write(one.batch()).ok());
  ASSERT_TRUE(destination->Write(two.batch()).ok());
  ASSERT_TRUE(destination->Commit(Point(0, {"shop.orders/2"})).ok());
  EXPECT_THAT(AllRows(), ElementsAre("r|5|0|2|~|b|~"));
  ASSERT_TRUE(destination->Write(one.batch()).ok());
  ASSERT_TRUE(destination->Write(streamed.batch()).ok());
  ASSERT_TRUE(destination->Commit(Point(7, {"shop.orders/1"})).ok());
  EXPECT_THAT(AllRows(), ElementsAre("r|5|0|1|~|a|~", "r|5|0|1|~|a|~", "r|5|0|2|~|b|~", "c|7|0|3|~|c|~"));
  EXPECT_THAT(Files(), SizeIs(3));  // rows of a snapshot are never in one file with streamed ones

  ASSERT_TRUE(destination->ResetSnapshot(*Orders(), "shop.orders/").ok());
  EXPECT_THAT(AllRows(), ElementsAre("c|7|0|3|~|c|~"));
  destination.reset();
  const auto progress = Make()->Open();
  ASSERT_TRUE(progress.ok());
  EXPECT_THAT(progress->snapshot_parts, IsEmpty());
  EXPECT_EQ(progress->commit, Lsn{7});
}

TEST_F(LocalFolderTest, ResetForgetsRowsNotYetPublishedAndOtherTablesStay) {
  auto other = std::make_shared<Relation>(*Orders());
  other->name = "items";
  auto destination = Opened();
  BatchMaker orders, items;
  orders.Part("shop.orders/1").Begin(5).Read({"1", std::nullopt, "a"});
  items.Use(other).Part("shop.items/1").Begin(5).Read({"9", std::nullopt, "i"});
  ASSERT_TRUE(destination->Write(orders.batch()).ok());
  ASSERT_TRUE(destination->Write(items.batch()).ok());
  ASSERT_TRUE(destination->ResetSnapshot(*Orders(), "shop.orders/").ok());
  ASSERT_TRUE(destination->Write(orders.batch()).ok());
  ASSERT_TRUE(destination->Commit(Point(0, {"shop.orders/1", "shop.items/1"})).ok());
  EXPECT_THAT(AllRows(), ElementsAre("r|5|0|1|~|a|~", "r|5|0|9|~|i|~"));
}

TEST_F(LocalFolderTest, AnotherShapeStartsAnotherFile) {
  auto wider = std::make_shared<Relation>(*Orders());
  wider->version = 2;
  wider->columns.push_back({.name = "extra", .type = BuiltinType(23, -1)});
  auto destination = Opened();
  BatchMaker maker;
  maker.Begin(10).Insert({"1", std::nullopt, "a"});
  maker.Use(wider).Begin(20).Insert({"2", std::nullopt, "b", "5"});
  ASSERT_TRUE(destination->Write(maker.batch()).ok());
  ASSERT_TRUE(destination->Commit(Point(20)).ok());
  EXPECT_THAT(Files(), SizeIs(2));
  EXPECT_THAT(AllRows(), ElementsAre("c|10|0|1|~|a|~", "c|20|0|2|~|b|5|~"));
}

TEST_F(LocalFolderTest, MorePartitionsThanOpenFiles) {
  auto destination = Opened({{"partition_by", "id"}});
  std::vector<std::string> expected;
  for (int round = 0; round < 2; ++round) {
    BatchMaker maker;
    maker.Begin(static_cast<uint64_t>(10 + round));
    for (int i = 0; i < 200; ++i) {
      maker.Insert({absl::StrCat(i), std::nullopt, "x"});
      expected.push_back(absl::StrCat("c|", 10 + round, "|", i, "|", i, "|~|x|~"));
    }
    ASSERT_TRUE(destination->Write(maker.batch()).ok());
  }
  ASSERT_TRUE(destination->Commit(Point(11)).ok());
  EXPECT_THAT(AllRows(), testing::ElementsAreArray(expected));
  EXPECT_TRUE(std::filesystem::exists(folder_.path("shop/orders/id=199")));
}

TEST_F(LocalFolderTest, ALargeTransactionGoesToDiskInRowGroupsAndRolls) {
  DestinationConfig config = Config({{"roll_bytes", "1MiB"}, {"compression", "none"}});
  config.memory_limit = 1 << 20;
  auto destination = *FilesDestination::Make("parquet", config);
  ASSERT_TRUE(destination->Open().ok());
  uint32_t random = 1;
  for (int part = 0; part < 10; ++part) {
    BatchMaker maker;
    maker.Begin(10);
    for (int i = 0; i < 1000; ++i) {
      std::string note(500, 'a');
      for (char& c : note) c = static_cast<char>('a' + ((random = random * 1664525 + 1013904223) >> 24) % 26);
      maker.Insert({absl::StrCat(i), std::nullopt, note});
    }
    ASSERT_TRUE(destination->Write(maker.batch()).ok());
  }
  ASSERT_TRUE(destination->Commit(Point(10)).ok());
  EXPECT_THAT(AllRows(), SizeIs(10'000));
  EXPECT_GE(Files().size(), 3u);
}

TEST_F(LocalFolderTest, AFullDiskIsNamedAndLeavesNothing) {
  auto destination = Opened();
  BatchMaker maker;
  maker.Begin(10);
  for (int i = 0; i < 5000; ++i) maker.Insert({absl::StrCat(i), std::nullopt, absl::StrCat("note ", i * 7919)});
  ASSERT_TRUE(destination->Write(maker.batch()).ok());
  // A limit on the size of files stands for a full disk; the signal that goes with it is turned off.
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before, small;
  getrlimit(RLIMIT_FSIZE, &before);
  small = {4096, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const absl::Status status = destination->Commit(Point(10));
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(Said(status), HasSubstr(folder_.path()));
  EXPECT_THAT(Said(destination->Write(maker.batch())), HasSubstr("open it again"));
  EXPECT_THAT(Files(), IsEmpty());
  const auto progress = destination->Open();
  ASSERT_TRUE(progress.ok()) << progress.status();
  EXPECT_FALSE(progress->commit.valid());
  ASSERT_TRUE(destination->Write(maker.batch()).ok());
  ASSERT_TRUE(destination->Commit(Point(10)).ok());
  EXPECT_THAT(AllRows(), SizeIs(5000));
}

TEST_F(LocalFolderTest, ABrokenManifestIsNotOverwritten) {
  Opened().reset();
  std::ofstream(folder_.path("_wallaby/flow-1-lake/manifest.json")) << "{";
  const auto progress = Make()->Open();
  EXPECT_EQ(progress.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Said(progress.status()), HasSubstr("manifest.json"));
}

TEST_F(LocalFolderTest, OptionsAreCheckedInWords) {
  EXPECT_THAT(Refusal({{"write_mode", "target"}}), HasSubstr("holds the history"));
  EXPECT_THAT(Refusal({{"bucket", "b"}}), HasSubstr("give one of them"));
  EXPECT_THAT(Refusal({{"prefix", "p"}}), HasSubstr("goes with bucket"));
  EXPECT_THAT(Refusal({{"compression", "lzma"}}), HasSubstr("zstd"));
  EXPECT_THAT(Refusal({{"roll_bytes", "10"}}), HasSubstr("roll_bytes"));
  EXPECT_THAT(Refusal({{"partition_by", "a:week"}}), HasSubstr("option partition_by"));
  EXPECT_THAT(Refusal({{"colour", "red"}}), HasSubstr("colour"));
  auto destination = Make({{"roll_interval", "1m"}, {"roll_bytes", "64MiB"}, {"compression", "gzip"}});
  EXPECT_EQ(destination->capabilities().linger, absl::Minutes(1));
  EXPECT_EQ(destination->capabilities().linger_bytes, 64 << 20);
}

// Type s3 takes a folder, too, and all formats.
TEST_F(LocalFolderTest, LinesOfJson) {
  auto destination =
      *FilesDestination::Make("s3", Config({{"format", "json"}, {"compression", "none"}, {"partition_by", "note"}}));
  ASSERT_TRUE(destination->Open().ok());
  BatchMaker maker;
  maker.Begin(10)
      .Insert({"1", std::nullopt, "a"})
      .Insert({"2", std::nullopt, "b"})
      .UpdateFrom({"1", std::nullopt, std::nullopt}, {"3", std::nullopt, "b"}, true)
      .Truncate();
  ASSERT_TRUE(destination->Write(maker.batch()).ok());
  ASSERT_TRUE(destination->Commit(Point(10)).ok());
  const auto lines = [this](const std::string& partition) {
    std::vector<std::string> starts;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path("shop/orders/note=" + partition))) {
      EXPECT_EQ(entry.path().extension(), ".jsonl");
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) starts.push_back(line.substr(0, line.find(',')));
    }
    return starts;
  };
  EXPECT_THAT(lines("a"), ElementsAre("{\"operation\":\"insert\""));
  // Both records of a key change stand where the new row does.
  EXPECT_THAT(lines("b"),
              ElementsAre("{\"operation\":\"insert\"", "{\"operation\":\"delete\"", "{\"operation\":\"update\""));
  EXPECT_THAT(lines("__HIVE_DEFAULT_PARTITION__"), ElementsAre("{\"operation\":\"truncate\""));
}

TEST_F(LocalFolderTest, TablesThatCannotBeCarriedAreRefused) {
  auto clash = std::make_shared<Relation>(*Orders());
  clash->columns.push_back({.name = "_wallaby_op", .type = BuiltinType(25, -1)});
  EXPECT_THAT(Said(Make()->CheckTable(*clash)), HasSubstr("_wallaby_op"));
  EXPECT_THAT(Said(Make({{"partition_by", "day"}})->CheckTable(*Orders())), HasSubstr("column 'day' does not exist"));
}

}  // namespace
}  // namespace wallaby

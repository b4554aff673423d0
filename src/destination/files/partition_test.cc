#include "destination/files/partition.h"

#include "destination/files/files_test_kit.h"
#include "gtest/gtest.h"

namespace wallaby {
namespace {

std::string FolderFor(const std::string& partition_by, const TestRow& row) {
  auto fields = ParsePartitionBy(partition_by);
  if (!fields.ok()) return fields.status().ToString();
  auto partitioner = Partitioner::Make(*Orders(), *fields);
  if (!partitioner.ok()) return partitioner.status().ToString();
  BatchMaker maker;
  maker.Begin(1).Insert(row);
  std::string folder;
  const absl::Status status = partitioner->FolderOf(maker.batch().tuple(maker.batch().changes()[0].new_row), &folder);
  return status.ok() ? folder : status.ToString();
}

TEST(Partition, UnitsOfTime) {
  const TestRow row = {"1", "2024-05-01 13:45:00.5", "x"};
  EXPECT_EQ(FolderFor("placed:day", row), "placed_day=2024-05-01");
  EXPECT_EQ(FolderFor("placed:hour", row), "placed_hour=2024-05-01-13");
  EXPECT_EQ(FolderFor("placed:month", row), "placed_month=2024-05");
  EXPECT_EQ(FolderFor("placed:year", row), "placed_year=2024");
  EXPECT_EQ(FolderFor("placed:day", {"1", "0044-03-15 12:00:00 BC", "x"}), "placed_day=0044-03-15%20BC");
  EXPECT_EQ(FolderFor("placed:year", {"1", "infinity", "x"}), "placed_year=infinity");
}

TEST(Partition, ValuesAreSafeAsNamesOfFolders) {
  EXPECT_EQ(FolderFor("note, id", {"1", std::nullopt, "a/b=c d"}), "note=a%2Fb%3Dc%20d/id=1");
  EXPECT_EQ(FolderFor("note", {"1", std::nullopt, "../.."}), "note=..%2F..");
  EXPECT_EQ(FolderFor("note", {"1", std::nullopt, std::nullopt}), "note=__HIVE_DEFAULT_PARTITION__");
  EXPECT_EQ(FolderFor("note", {"1", std::nullopt, kAbsent}), "note=__HIVE_DEFAULT_PARTITION__");
  EXPECT_NE(FolderFor("note", {"1", std::nullopt, std::string(300, 'x')}).find("too long"), std::string::npos);
  EXPECT_EQ(EncodePathComponent(".."), "%2E.");
  EXPECT_EQ(EncodePathComponent("_wallaby"), "%5Fwallaby");
}

TEST(Partition, RefusesInWords) {
  EXPECT_NE(FolderFor("placed:week", {}).find("got 'placed:week'; allowed"), std::string::npos);
  EXPECT_NE(FolderFor("", {}).find("allowed"), std::string::npos);
  EXPECT_NE(FolderFor("missing", {}).find("column 'missing' does not exist"), std::string::npos);
  EXPECT_NE(FolderFor("id:day", {}).find("is a bigint"), std::string::npos);
}

}  // namespace
}  // namespace wallaby

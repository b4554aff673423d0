// Schema changes: what is said before, what is refused, and files of either shape.
#include "change/schema_change.h"

#include "destination/files/files_destination.h"
#include "destination/files/files_test_kit.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace wallaby {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

TableShape OrdersShape() {
  TableShape shape;
  shape.relation = *Orders();
  for (int i = 1; i <= 3; ++i) shape.details.push_back({.attnum = i});
  return shape;
}
void AddColumn(TableShape* shape, const std::string& name, uint32_t oid) {
  shape->relation.columns.push_back({.name = name, .type = BuiltinType(oid, -1)});
  shape->details.push_back({.attnum = 10 + static_cast<int>(shape->details.size()), .fill = "7"});
}

class SchemaChangeTest : public testing::Test {
 protected:
  std::unique_ptr<Destination> Opened(std::map<std::string, std::string> options = {}) const {
    options.emplace("path", folder_.path());
    auto made =
        FilesDestination::Make("parquet", {.flow_id = "flow-1", .name = "lake", .options = options, .generation = 3});
    EXPECT_TRUE(made.ok()) << made.status();
    EXPECT_TRUE((*made)->Open().ok());
    return *std::move(made);
  }
  std::string Path(const std::string& table) const { return folder_.path() + "/" + table; }
  std::vector<std::string> AllRows() const { return Rows(folder_.path()); }

  TemporaryFolder folder_;
};

TEST_F(SchemaChangeTest, EveryStepIsARemark) {
  const auto lake = Opened({{"type_mappings", "numeric=text"}});
  TableShape before = OrdersShape(), after = OrdersShape();
  AddColumn(&before, "gone", 25);
  after.relation.name = "Orders 2";
  after.relation.columns[1].name = "placed_at";
  after.relation.columns[2].type = BuiltinType(1700, -1);
  after.details[0].default_sql = "1";
  AddColumn(&after, "x", 23);
  after.details[3].attnum = 20;
  EXPECT_THAT(
      lake->DdlStatements(CompareShapes(&before, &after)),
      ElementsAre("-- the next files go to " + Path("shop/Orders%202") + "; those in " + Path("shop/orders") + " stay",
                  "-- the next files have no column gone", "-- the next files call column placed placed_at",
                  "-- default of id becomes 1: files do not show it", "-- column note stays text",
                  "-- the next files have a column x (integer)"));
  EXPECT_THAT(lake->DdlStatements(CompareShapes(nullptr, &after)),
              ElementsAre("-- files go to " + Path("shop/Orders%202")));
  EXPECT_THAT(lake->DdlStatements(CompareShapes(&after, nullptr)),
              ElementsAre("-- files in " + Path("shop/Orders%202") + " stay"));
}

TEST_F(SchemaChangeTest, OptionsKeepTheFolder) {
  const auto lake = Opened({{"schema", "all"}, {"table", "one"}});
  TableShape after = OrdersShape();
  after.relation.name = "renamed";
  const TableShape before = OrdersShape();
  EXPECT_THAT(lake->DdlStatements(CompareShapes(&before, &after)),
              ElementsAre("-- the table's folder stays " + Path("all/one")));
}

TEST_F(SchemaChangeTest, FilesKeepTheShapeOfTheirRows) {
  const auto lake = Opened();
  const TableShape before = OrdersShape();
  TableShape after = OrdersShape();
  after.relation.columns.pop_back();
  after.details.pop_back();
  AddColumn(&after, "x", 23);
  BatchMaker first;
  first.Begin(10).Insert({"1", "2024-05-01 10:00:00", "first"});
  ASSERT_TRUE(lake->Write(first.batch()).ok());
  ASSERT_TRUE(lake->Commit(Point(10)).ok());
  for (int i = 0; i < 2; ++i) {
    const absl::Status status = lake->ApplyDdl(CompareShapes(&before, &after));
    ASSERT_TRUE(status.ok()) << status;
  }
  EXPECT_THAT(AllRows(), ElementsAre("c|10|0|1|2024-05-01 10:00:00.000000|first|~"));
  BatchMaker second(std::make_shared<Relation>(after.Visible()));
  second.Begin(20).Insert({"2", "2024-05-02 10:00:00", "5"});
  ASSERT_TRUE(lake->Write(second.batch()).ok());
  ASSERT_TRUE(lake->Commit(Point(20)).ok());
  EXPECT_THAT(AllRows(),
              ElementsAre("c|10|0|1|2024-05-01 10:00:00.000000|first|~", "c|20|0|2|2024-05-02 10:00:00.000000|5|~"));
  // A dropped table's files stay.
  ASSERT_TRUE(lake->ApplyDdl(CompareShapes(&after, nullptr)).ok());
  EXPECT_THAT(AllRows(), SizeIs(2));
}

TEST_F(SchemaChangeTest, AShapeThatCannotBeCarriedIsRefused) {
  const auto lake = Opened({{"partition_by", "placed:day"}});
  const TableShape before = OrdersShape();
  TableShape after = OrdersShape();
  after.relation.columns[1].type = BuiltinType(25, -1);
  EXPECT_THAT(std::string(lake->ApplyDdl(CompareShapes(&before, &after)).message()), HasSubstr("placed"));
  // The next files go without that part of the path.
  after = OrdersShape();
  after.relation.columns[1].name = "placed_at";
  EXPECT_TRUE(lake->ApplyDdl(CompareShapes(&before, &after)).ok());
  after = OrdersShape();
  AddColumn(&after, kOpColumn, 25);
  EXPECT_THAT(std::string(lake->ApplyDdl(CompareShapes(&before, &after)).message()), HasSubstr(kOpColumn));
  after.details[3].hidden = true;  // rejected, so that it never comes
  EXPECT_TRUE(lake->ApplyDdl(CompareShapes(&before, &after)).ok());
}

TEST_F(SchemaChangeTest, NotBeforeItIsOpen) {
  auto made = FilesDestination::Make(
      "parquet", {.flow_id = "flow-1", .name = "lake", .options = {{"path", folder_.path()}}, .generation = 3});
  const TableShape shape = OrdersShape();
  EXPECT_FALSE((*made)->ApplyDdl(CompareShapes(nullptr, &shape)).ok());
}

}  // namespace
}  // namespace wallaby

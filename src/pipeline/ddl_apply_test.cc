// What becomes of events that build on each other, over a store in memory.
#include "pipeline/ddl_apply.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "store/migrations.h"
#include "store/sql_store.h"

namespace wallaby {
namespace {

TableShape Shape(const std::vector<std::pair<std::string, int>>& columns) {
  TableShape shape;
  shape.relation = {.oid = 17, .schema = "public", .name = "t"};
  for (const auto& [name, attnum] : columns) {
    shape.relation.columns.push_back({name, BuiltinType(25, -1), name == "id"});
    shape.details.push_back({.attnum = attnum});
  }
  shape.relation.key = {0};
  return shape;
}

class DdlApplyTest : public testing::Test {
 protected:
  void SetUp() override {
    auto database = OpenMemoryDatabase();
    ASSERT_TRUE(database.ok()) << database.status();
    ASSERT_TRUE(Migrate(**database).ok());
    store_ = std::make_unique<SqlStore>(*std::move(database), SqlStore::Options{});
    flow_.id = flow_.name = "f";
    ASSERT_TRUE(store_->CreateFlow(flow_).ok());
  }
  // An event of the transaction at 200.
  int64_t Record(int ordinal, const TableShape& before, const TableShape& after) {
    DdlEvent event;
    event.flow_id = "f";
    event.lsn = Lsn{200};
    event.ordinal = ordinal;
    event.plan = PlanToJson(CompareShapes(&before, &after), {});
    return store_->RecordDdl({event})->front().event.id;
  }

  std::unique_ptr<ControlStore> store_;
  Flow flow_;
};

TEST_F(DdlApplyTest, ARejectedColumnStaysOutWhenALaterEventOfItsTransactionRenamesIt) {
  ASSERT_TRUE(store_->PutTableShape("f", {Shape({{"id", 1}}), Lsn{100}}).ok());
  // Learnt from rows, without its number; the message knows it.
  const int64_t add = Record(1, Shape({{"id", 1}}), Shape({{"id", 1}, {"a", 0}}));
  const int64_t rename = Record(1000, Shape({{"id", 1}, {"a", 2}}), Shape({{"id", 1}, {"b", 2}}));
  ASSERT_TRUE(RejectDdlEvent(*store_, add).ok());
  ASSERT_TRUE(ApproveDdlEvent(*store_, rename).ok());
  const auto applied = ApplyDdlEvent(*store_, flow_, rename, {.generation = 1});
  ASSERT_TRUE(applied.ok()) << applied.status();
  const auto shapes = store_->TableShapes("f");
  ASSERT_EQ(shapes->size(), 1u);
  const TableShape& shape = shapes->front().shape;
  EXPECT_EQ(shape.relation.columns[1].name, "b");
  EXPECT_EQ(shape.details[1].attnum, 2);
  EXPECT_TRUE(shape.details[1].hidden);
}

}  // namespace
}  // namespace wallaby

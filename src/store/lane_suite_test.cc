#include "store/store_test_base.h"

namespace wallaby {
namespace {

TableShape Shape(uint32_t oid, const std::string& name) {
  TableShape shape;
  shape.relation.oid = oid;
  shape.relation.schema = "public";
  shape.relation.name = name;
  return shape;
}

std::string NameOf(ControlStore& store, const std::string& lane) {
  const auto shapes = store.TableShapes("a", lane);
  return shapes.ok() && shapes->size() == 1 ? (*shapes)[0].shape.relation.name : "";
}

TEST_P(StoreTest, LanesBeginWithTheFlowsShapesAndGoTheirWay) {
  const auto store = Open();
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  EXPECT_TRUE(store->Lanes("a")->empty());
  EXPECT_FAILS(store->BeginLane("b", "copy", {.lsn = Lsn{1}}), kNotFound, "'b'");
  EXPECT_FAILS(store->PutLaneCheckpoint("a", "copy", {.lsn = Lsn{1}}), kNotFound, "'copy'");
  ASSERT_STATUS_OK(store->PutTableShape("a", {Shape(1, "old"), Lsn{50}}));
  ASSERT_STATUS_OK(store->BeginLane("a", "copy", {.lsn = Lsn{100}, .metadata = {{"k", "v"}}}));
  EXPECT_EQ(NameOf(*store, "copy"), "old");
  ASSERT_STATUS_OK(store->PutLaneCheckpoint("a", "copy", {.lsn = Lsn{200}, .metadata = {{"k", "w"}}}));
  EXPECT_FAILS(store->PutLaneCheckpoint("a", "copy", {.lsn = Lsn{150}}), kFailedPrecondition, "cannot be put back");
  const auto lanes = store->Lanes("a");
  ASSERT_TRUE(lanes.ok()) << lanes.status();
  EXPECT_EQ(lanes->at("copy").lsn, Lsn{200});
  EXPECT_EQ(lanes->at("copy").metadata.at("k"), "w");

  // The flow's own stream meets a change first; the lane follows later.
  DdlEvent event;
  event.flow_id = "a";
  event.lsn = Lsn{300};
  event.plan = "{}";
  const int64_t id = store->RecordDdl({event})->front().event.id;
  ASSERT_TRUE(store->SettleDdl(id, {DdlStatus::kPending}, {.shape = Shape(1, "new")}).ok());
  EXPECT_EQ(NameOf(*store, ""), "new");
  EXPECT_EQ(NameOf(*store, "copy"), "old");
  ASSERT_STATUS_OK(store->SettleLaneDdl("a", "copy", {{.event_id = id, .lsn = Lsn{300}, .shape = Shape(1, "new")}}));
  EXPECT_EQ(NameOf(*store, "copy"), "new");
  EXPECT_EQ((*store->TableShapes("a", "copy"))[0].lsn, Lsn{300});
  EXPECT_EQ(store->GetDdl(id)->receipts.front().destination, "copy");
  ASSERT_STATUS_OK(store->SettleLaneDdl("a", "copy", {{.event_id = id, .lsn = Lsn{300}, .dropped = 1}}));
  EXPECT_TRUE(store->TableShapes("a", "copy")->empty());
  EXPECT_EQ(NameOf(*store, ""), "new");

  // Begun again, also from before.
  ASSERT_STATUS_OK(store->BeginLane("a", "copy", {.lsn = Lsn{120}}));
  EXPECT_EQ(store->Lanes("a")->at("copy").lsn, Lsn{120});
  EXPECT_EQ(NameOf(*store, "copy"), "new");
  ASSERT_STATUS_OK(store->ForgetLane("a", "copy"));
  ASSERT_STATUS_OK(store->ForgetLane("a", "copy"));
  EXPECT_TRUE(store->Lanes("a")->empty());
  EXPECT_TRUE(store->TableShapes("a", "copy")->empty());
  EXPECT_EQ(NameOf(*store, ""), "new");
}

TEST_P(StoreTest, LanesGoWithTheirFlow) {
  const auto store = Open();
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  ASSERT_STATUS_OK(store->PutTableShape("a", {Shape(1, "t"), Lsn{50}}));
  ASSERT_STATUS_OK(store->BeginLane("a", "copy", {.lsn = Lsn{100}}));
  ASSERT_STATUS_OK(store->DeleteFlow("a"));
  EXPECT_TRUE(store->Lanes("a")->empty());
  EXPECT_TRUE(store->TableShapes("a", "copy")->empty());
}

TEST_P(StoreTest, WhoWasOvertakenMovesNoLane) {
  const auto store = Open();
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  const auto old = store->AcquireLease("a", "w1", absl::ZeroDuration());
  const auto overtaken = store->FencedBy(*old);
  ASSERT_STATUS_OK(overtaken->BeginLane("a", "copy", {.lsn = Lsn{100}}));
  ASSERT_TRUE(store->AcquireLease("a", "w2", absl::Minutes(1)).ok());
  for (const absl::Status& status :
       {overtaken->BeginLane("a", "copy", {.lsn = Lsn{200}}), overtaken->ForgetLane("a", "copy"),
        overtaken->PutLaneCheckpoint("a", "copy", {.lsn = Lsn{200}}), overtaken->SettleLaneDdl("a", "copy", {})}) {
    EXPECT_FAILS(status, kFailedPrecondition, "fenced");
  }
  EXPECT_EQ(store->Lanes("a")->at("copy").lsn, Lsn{100});
}

}  // namespace
}  // namespace wallaby

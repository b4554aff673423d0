#include "store/store_test_base.h"

namespace wallaby {
namespace {

DdlEvent Event(uint64_t lsn, int ordinal, bool gated = true) {
  DdlEvent event;
  event.flow_id = "a";
  event.lsn = Lsn{lsn};
  event.ordinal = ordinal;
  event.ddl = "ALTER TABLE orders ADD note text";
  event.table = "public.orders";
  event.gated = gated;
  event.plan = "{}";
  return event;
}

TableShape Shape(uint32_t oid, const std::string& name) {
  TableShape shape;
  shape.relation.oid = oid;
  shape.relation.schema = "public";
  shape.relation.name = name;
  return shape;
}

TEST_P(StoreTest, DdlEventsAreRecordedOnce) {
  const auto store = Open();
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("b")));
  auto recorded = store->RecordDdl({Event(100, 0), Event(100, 1)});
  ASSERT_TRUE(recorded.ok()) << recorded.status();
  ASSERT_EQ(recorded->size(), 2u);
  EXPECT_TRUE((*recorded)[0].added && (*recorded)[1].added);
  EXPECT_EQ((*recorded)[0].event.status, DdlStatus::kPending);
  const int64_t first = (*recorded)[0].event.id;
  EXPECT_LT(first, (*recorded)[1].event.id);

  // Seen again after a replay, with one more behind them.
  ASSERT_TRUE(store->MoveDdl(first, {DdlStatus::kPending}, DdlStatus::kApproved, "").ok());
  recorded = store->RecordDdl({Event(100, 0), Event(100, 1), Event(200, 0, /*gated=*/false)});
  ASSERT_TRUE(recorded.ok()) << recorded.status();
  EXPECT_FALSE((*recorded)[0].added || (*recorded)[1].added);
  EXPECT_TRUE((*recorded)[2].added);
  EXPECT_EQ((*recorded)[0].event.id, first);
  EXPECT_EQ((*recorded)[0].event.status, DdlStatus::kApproved);

  EXPECT_EQ(store->ListDdl("", {})->size(), 3u);
  EXPECT_EQ(store->ListDdl("a", {DdlStatus::kPending, DdlStatus::kFailed})->size(), 2u);
  EXPECT_EQ(store->ListDdl("b", {})->size(), 0u);
  const auto ids = [&](const std::vector<DdlStatus>& statuses, int limit, int64_t before) {
    const auto events = store->ListDdl("a", statuses, limit, before);
    std::vector<int64_t> found;
    for (const DdlEvent& event : *events) found.push_back(event.id);
    return found;
  };
  const std::vector<int64_t> all = ids({}, 0, 0);
  EXPECT_EQ(ids({}, 2, 0), (std::vector<int64_t>{all[1], all[2]}));
  EXPECT_EQ(ids({}, 2, all[1]), (std::vector<int64_t>{all[0]}));
  EXPECT_EQ(ids({}, 0, all[2]), (std::vector<int64_t>{all[0], all[1]}));
  EXPECT_EQ(ids({}, 9, 0), all);
  EXPECT_EQ(ids({DdlStatus::kApplied}, 1, 0), (std::vector<int64_t>{}));
  EXPECT_FAILS(store->ListDdl("c", {}).status(), kNotFound, "'c'");
  EXPECT_EQ(*store->GatedDdlCounts(), (std::map<std::string, int64_t>{{"a", 2}, {"b", 0}}));

  // They go with the flow, and their count does not.
  ASSERT_STATUS_OK(store->DeleteFlow("a"));
  EXPECT_TRUE(store->ListDdl("", {})->empty());
  EXPECT_FAILS(store->RecordDdl({Event(300, 0)}).status(), kNotFound, "'a'");
}

TEST_P(StoreTest, DdlEventsMoveAlongTheirStates) {
  const auto store = Open();
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  const int64_t id = store->RecordDdl({Event(100, 0)})->front().event.id;
  EXPECT_FAILS(store->MoveDdl(id, {DdlStatus::kApproved, DdlStatus::kFailed}, DdlStatus::kApplying, "").status(),
               kFailedPrecondition, "is pending; it becomes applying only from approved or failed");
  EXPECT_FAILS(store->MoveDdl(id + 1, {DdlStatus::kPending}, DdlStatus::kApproved, "").status(), kNotFound,
               "no DDL event");
  ASSERT_TRUE(store->MoveDdl(id, {DdlStatus::kPending}, DdlStatus::kApproved, "").ok());
  ASSERT_TRUE(store->MoveDdl(id, {DdlStatus::kApproved}, DdlStatus::kApplying, "").ok());
  ASSERT_STATUS_OK(store->PutDdlReceipt(id, "lake"));
  ASSERT_STATUS_OK(store->PutDdlReceipt(id, "lake"));
  ASSERT_TRUE(store->MoveDdl(id, {DdlStatus::kApplying}, DdlStatus::kFailed, "disk full").ok());
  const auto event = store->GetDdl(id);
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_EQ(event->status, DdlStatus::kFailed);
  EXPECT_EQ(event->error, "disk full");
  ASSERT_EQ(event->receipts.size(), 1u);
  EXPECT_EQ(event->receipts[0].destination, "lake");
}

TEST_P(StoreTest, TheEndOfADdlEventSetsShapesAndCopies) {
  const auto store = Open();
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  ASSERT_STATUS_OK(store->PutTableShape("a", {Shape(1, "old"), Lsn{50}}));
  ASSERT_STATUS_OK(store->PutTableSync("a", {.table = "public.old", .state = TableSyncState::kDone, .plan = "x"}));
  const int64_t id = store->RecordDdl({Event(100, 0)})->front().event.id;
  ControlStore::DdlSettlement end{
      .shape = Shape(1, "new"), .old_table = "public.old", .new_table = "public.new", .copy = true};
  EXPECT_FAILS(store->SettleDdl(id, {DdlStatus::kApplying}, end).status(), kFailedPrecondition, "is pending");
  EXPECT_EQ((*store->TableShapes("a"))[0].shape.relation.name, "old");
  ASSERT_TRUE(store->SettleDdl(id, {DdlStatus::kPending}, end).ok());
  auto shapes = store->TableShapes("a");
  ASSERT_TRUE(shapes.ok()) << shapes.status();
  ASSERT_EQ(shapes->size(), 1u);
  EXPECT_EQ((*shapes)[0].shape.relation.name, "new");
  EXPECT_EQ((*shapes)[0].lsn, Lsn{100});
  const auto syncs = store->TableSyncs("a");
  ASSERT_EQ(syncs->size(), 1u);
  EXPECT_EQ((*syncs)[0].table, "public.new");
  EXPECT_EQ((*syncs)[0].state, TableSyncState::kPending);
  EXPECT_EQ((*syncs)[0].oid, 1);

  // A copy that is due stays so under another name; one that is done is forgotten.
  const int64_t rename = store->RecordDdl({Event(150, 0)})->front().event.id;
  end = {.shape = Shape(1, "newer"), .old_table = "public.new", .new_table = "public.newer"};
  ASSERT_TRUE(store->SettleDdl(rename, {DdlStatus::kPending}, end).ok());
  ASSERT_EQ(store->TableSyncs("a")->size(), 1u);
  EXPECT_EQ(store->TableSyncs("a")->front().table, "public.newer");
  EXPECT_EQ(store->TableSyncs("a")->front().state, TableSyncState::kPending);
  ASSERT_STATUS_OK(store->PutTableSync("a", {.table = "public.done", .state = TableSyncState::kDone}));
  const int64_t second = store->RecordDdl({Event(160, 0)})->front().event.id;
  end = {.shape = Shape(2, "moved"), .old_table = "public.done", .new_table = "public.moved"};
  ASSERT_TRUE(store->SettleDdl(second, {DdlStatus::kPending}, end).ok());
  EXPECT_EQ(store->TableSyncs("a")->size(), 1u);

  const int64_t drop = store->RecordDdl({Event(200, 0)})->front().event.id;
  ASSERT_TRUE(store->SettleDdl(drop, {DdlStatus::kPending}, {.dropped = 1, .old_table = "public.newer"}).ok());
  const int64_t other = store->RecordDdl({Event(210, 0)})->front().event.id;
  ASSERT_TRUE(store->SettleDdl(other, {DdlStatus::kPending}, {.dropped = 2, .old_table = "public.moved"}).ok());
  EXPECT_TRUE(store->TableShapes("a")->empty());
  EXPECT_TRUE(store->TableSyncs("a")->empty());
}

TEST_P(StoreTest, ShapesAreNumbered) {
  const auto store = Open();
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("b")));
  const auto table = [](std::vector<std::string> columns) {
    Relation relation = Shape(1, "orders").relation;
    for (std::string& name : columns) relation.columns.push_back({std::move(name), BuiltinType(25, -1), false});
    return relation;
  };
  const Relation one = table({"id"}), two = table({"id", "n"}), three = table({"id", "m"});
  const auto number = [&](const Relation& relation, uint64_t lsn) {
    const auto found = store->NumberShape("a", relation, Lsn{lsn});
    EXPECT_TRUE(found.ok()) << found.status();
    return found.value_or(-1);
  };
  EXPECT_EQ(number(one, 100), 1);
  EXPECT_EQ(number(one, 150), 1);
  EXPECT_EQ(number(two, 200), 2);
  EXPECT_EQ(number(three, 300), 3);
  // A replay, and a lane that comes to it later.
  EXPECT_EQ(number(one, 90), 1);
  EXPECT_EQ(number(one, 150), 1);
  EXPECT_EQ(number(two, 250), 2);
  EXPECT_EQ(number(three, 300), 3);
  // Rows before the change, in its own transaction.
  EXPECT_EQ(number(one, 200), 1);
  // Seen by the one that is further before the other saw the transaction at all.
  EXPECT_EQ(number(three, 280), 3);
  // A shape that comes back is another one, and its former number stays with the rows of then.
  EXPECT_EQ(number(one, 400), 4);
  EXPECT_EQ(number(one, 150), 1);
  EXPECT_EQ(number(three, 350), 3);
  EXPECT_EQ(number(one, 500), 4);
  // A table that is made again goes on; another key, another type and another way to read make or make no other shape.
  Relation again = one;
  again.oid = 77;
  again.columns[0].type.binary = !again.columns[0].type.binary;
  EXPECT_EQ(number(again, 600), 4);
  again.key = {0};
  EXPECT_EQ(number(again, 700), 5);
  again.columns[0].type = BuiltinType(23, -1);
  EXPECT_EQ(number(again, 800), 6);
  EXPECT_EQ(*store->NumberShape("b", three, Lsn{900}), 1);
  EXPECT_FAILS(store->NumberShape("c", three, Lsn{900}).status(), kNotFound, "c");
  // What a lane sees late that nobody saw stands behind what is known, so that no number has two shapes.
  EXPECT_EQ(number(table({"id", "x"}), 250), 7);
  EXPECT_EQ(number(table({"id", "x"}), 250), 7);
}

TEST_P(StoreTest, TablesAreHeldAndLetGo) {
  const auto store = Open();
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("b")));
  const TableHold users{4000000000, "public.users", Lsn{200}}, orders{2, "public.orders", Lsn{100}};
  ASSERT_STATUS_OK(store->PutTableHolds("a", {users, orders}));
  ASSERT_STATUS_OK(store->PutTableHolds("b", {orders}));
  EXPECT_EQ(*store->TableHolds("a"), (std::vector<TableHold>{orders, users}));

  // Held from another transaction on, it is no longer what it was.
  const TableHold later{2, "sales.orders", Lsn{300}};
  ASSERT_STATUS_OK(store->PutTableHolds("a", {later}));
  ASSERT_STATUS_OK(store->DeleteTableHolds("a", {orders}));
  EXPECT_EQ(*store->TableHolds("a"), (std::vector<TableHold>{users, later}));
  ASSERT_STATUS_OK(store->DeleteTableHolds("a", {later, users}));
  EXPECT_TRUE(store->TableHolds("a")->empty());

  EXPECT_FAILS(store->PutTableHolds("c", {orders}), kNotFound, "'c'");
  ASSERT_STATUS_OK(store->DeleteFlow("b"));
  EXPECT_TRUE(store->TableHolds("b")->empty());
}

TEST_P(StoreTest, HoldsAreFenced) {
  const auto store = Open();
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  const auto lease = store->AcquireLease("a", "one", absl::Seconds(30));
  ASSERT_TRUE(lease.ok()) << lease.status();
  const auto fenced = store->FencedBy(*lease);
  const TableHold orders{2, "public.orders", Lsn{100}};
  ASSERT_STATUS_OK(fenced->PutTableHolds("a", {orders}));
  ASSERT_STATUS_OK(store->ReleaseLease(*lease));
  ASSERT_TRUE(store->AcquireLease("a", "two", absl::Seconds(30)).ok());
  EXPECT_FAILS(fenced->PutTableHolds("a", {orders}), kFailedPrecondition, "fenced");
  EXPECT_FAILS(fenced->DeleteTableHolds("a", {orders}), kFailedPrecondition, "fenced");
  EXPECT_EQ(*fenced->TableHolds("a"), std::vector<TableHold>{orders});
}

}  // namespace
}  // namespace wallaby

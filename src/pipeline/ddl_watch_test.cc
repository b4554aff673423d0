// What the watch makes of relation messages where no event trigger tells of DDL, and of the trigger's of columns that
// were rejected, over a store in memory.
#include "pipeline/ddl_watch.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "nlohmann/json.hpp"
#include "postgres/ddl_capture_sql.h"
#include "store/migrations.h"
#include "store/sql_store.h"

namespace wallaby {
namespace {

using Verdict = pgoutput::SchemaWatch::Verdict;
using Columns = std::vector<std::pair<std::string, int>>;  // names and attribute numbers

constexpr uint32_t kOid = 17;

TableShape Shape(const Columns& columns, const std::string& table = "t") {
  TableShape shape;
  shape.relation = {.oid = kOid, .schema = "public", .name = table};
  for (const auto& [name, attnum] : columns) {
    shape.relation.columns.push_back({name, BuiltinType(25, -1), name == "id"});
    shape.details.push_back({.attnum = attnum});
  }
  shape.relation.key = {0};
  return shape;
}

// A shape as the trigger writes it.
nlohmann::json Told(const TableShape& shape) {
  nlohmann::json columns = nlohmann::json::array();
  nlohmann::json names = nlohmann::json::array();
  for (size_t i = 0; i < shape.details.size(); ++i) {
    const std::string& name = shape.relation.columns[i].name;
    names.push_back(name);
    columns.push_back({{"num", shape.details[i].attnum},
                       {"name", name},
                       {"type", 25},
                       {"typmod", -1},
                       {"not_null", false},
                       {"generated", false},
                       {"default", nullptr},
                       {"fill", nullptr},
                       {"rewritten", false}});
  }
  return {{"oid", shape.relation.oid},
          {"schema", shape.relation.schema},
          {"name", shape.relation.name},
          {"identity", "d"},
          {"pk", {1}},
          {"ri", nullptr},
          {"columns", std::move(columns)},
          {"publications", {{"p", std::move(names)}}}};
}

// A source that has nothing but the catalog's columns of one table.
class Catalog final : public SourceSession {
 public:
  Columns columns;

  absl::StatusOr<TableShape> ShapeFromCatalog(const Relation& announced) override {
    TableShape shape{.relation = announced};
    for (const Column& column : announced.columns) {
      ColumnDetail& detail = shape.details.emplace_back();
      for (const auto& [name, attnum] : columns) {
        if (name == column.name) detail.attnum = attnum;
      }
    }
    return shape;
  }
  TypeCatalog& types() override { return types_; }
  absl::StatusOr<std::vector<std::string>> PrimaryKey(uint32_t) override { return std::vector<std::string>{"id"}; }
  std::unique_ptr<pgoutput::AbsentFiller> MakeFiller() override { return nullptr; }

  absl::StatusOr<std::optional<SlotInfo>> GetSlot() override { return No(); }
  absl::Status DropSlot() override { return No(); }
  absl::StatusOr<ServerInfo> GetServerInfo() override { return No(); }
  absl::StatusOr<std::optional<Transaction>> LastSent(Lsn, Sent) override { return No(); }
  absl::StatusOr<std::vector<Finding>> Check() override { return No(); }
  absl::StatusOr<PublicationChange> EnsurePublication() override { return No(); }
  absl::Status EnsureDdlCapture() override { return No(); }
  absl::Status Enter(const SourceSnapshot&) override { return No(); }
  absl::StatusOr<std::vector<PublishedTable>> PublishedTables() override { return No(); }
  absl::StatusOr<uint32_t> TableFile(const Relation&) override { return No(); }
  absl::StatusOr<std::vector<TablePart>> PlanTableParts(const PublishedTable&, const PartitionOptions&) override {
    return No();
  }
  absl::Status CopyTablePart(const PublishedTable&, const TablePart&, const SourceSnapshot&, size_t,
                             const std::function<absl::Status(std::unique_ptr<ChangeBatch>, bool)>&) override {
    return No();
  }
  absl::StatusOr<std::unique_ptr<ReplicationStream>> StartReplication(StreamOptions) override { return No(); }

 private:
  static absl::Status No() { return absl::UnimplementedError("a watch does not ask for that"); }
  TypeCatalog types_{nullptr};
};

class DdlWatchTest : public testing::Test {
 protected:
  void SetUp() override {
    auto database = OpenMemoryDatabase();
    ASSERT_TRUE(database.ok()) << database.status();
    ASSERT_TRUE(Migrate(**database).ok());
    store_ = std::make_unique<SqlStore>(*std::move(database), SqlStore::Options{});
    Flow flow;
    flow.id = flow.name = "f";
    ASSERT_TRUE(store_->CreateFlow(flow).ok());
  }

  // A watch that knows `known` since LSN 100.
  void Know(TableShape known) {
    ASSERT_TRUE(store_->PutTableShape("f", {std::move(known), Lsn{100}}).ok());
    KnowWhatIsStored();
  }
  // Another watch, as after a restart.
  void KnowWhatIsStored() { watch_.emplace(store_.get(), &catalog_, *store_->TableShapes("f"), Options()); }
  static DdlWatch::Options Options() {
    return {.flow_id = "f", .publication = "p", .message_prefix = "wallaby_ddl", .carries = [](const Relation& r) {
              return r.name != "source_state";
            }};
  }
  // The trigger's message.
  Verdict Tell(uint64_t commit, const TableShape& before, const TableShape& after) {
    const nlohmann::json message = {{"v", kDdlCaptureVersion}, {"server", 16},
                                    {"tag", "ALTER TABLE"},    {"sql", ""},
                                    {"before", Told(before)},  {"after", Told(after)}};
    const auto verdict =
        watch_->OnMessage({.commit = Lsn{commit}}, "wallaby_ddl", message.dump(), [](uint32_t) { return false; });
    EXPECT_TRUE(verdict.ok()) << verdict.status();
    return verdict.value_or(Verdict::kCarry);
  }
  Verdict Announce(uint64_t commit, const TableShape& shape, bool has_rows = false) {
    edit_ = {};
    const auto verdict = watch_->OnRelation(
        {.commit = Lsn{commit}}, shape.relation, [has_rows](uint32_t) { return has_rows; }, &edit_);
    EXPECT_TRUE(verdict.ok()) << verdict.status();
    return verdict.value_or(Verdict::kCarry);
  }
  std::vector<std::string> Steps(size_t found = 0) const {
    std::vector<std::string> steps;
    for (const SchemaStep& step : watch_->found().at(found).change.steps) {
      steps.push_back(std::string(SchemaStepName(step.kind)) + " " + step.column);
    }
    return steps;
  }

  std::unique_ptr<ControlStore> store_;
  Catalog catalog_;
  std::optional<DdlWatch> watch_;
  pgoutput::RelationEdit edit_;
};

TEST_F(DdlWatchTest, AColumnThatTheCatalogHasIsAddedWithoutACopy) {
  Know(Shape({{"id", 1}}));
  catalog_.columns = {{"id", 1}, {"note", 2}};
  EXPECT_EQ(Announce(200, Shape(catalog_.columns)), Verdict::kHold);
  EXPECT_EQ(Steps(), std::vector<std::string>{"add_column note"});
  EXPECT_FALSE(watch_->found()[0].change.copy);
}

TEST_F(DdlWatchTest, AColumnThatTheCatalogDoesNotHaveAnyMoreNeedsACopy) {
  Know(Shape({{"id", 1}}));
  catalog_.columns = {{"id", 1}, {"remark", 2}};
  EXPECT_EQ(Announce(200, Shape({{"id", 1}, {"note", 2}})), Verdict::kHold);
  EXPECT_TRUE(watch_->found()[0].change.copy);
}

TEST_F(DdlWatchTest, SoDoesOneThatMayBeAnOldOneRenamed) {
  Know(Shape({{"id", 1}, {"note", 0}}));
  catalog_.columns = {{"id", 1}, {"remark", 2}};
  EXPECT_EQ(Announce(200, Shape(catalog_.columns)), Verdict::kHold);
  EXPECT_EQ(Steps(), (std::vector<std::string>{"drop_column note", "add_column remark"}));
  EXPECT_TRUE(watch_->found()[0].change.copy);
}

TEST_F(DdlWatchTest, AlsoWhenTheOldOneWasRejected) {
  TableShape known = Shape({{"id", 1}, {"note", 0}});
  known.details[1].hidden = true;
  Know(std::move(known));
  catalog_.columns = {{"id", 1}, {"remark", 2}};
  EXPECT_EQ(Announce(200, Shape(catalog_.columns)), Verdict::kHold);
  EXPECT_EQ(Steps(), std::vector<std::string>{"add_column remark"});
  EXPECT_TRUE(watch_->found()[0].change.copy);
}

TEST_F(DdlWatchTest, ARejectedColumnStaysOutUnderAnotherNameAndTheStoredShapeIsOfTheRowsBefore) {
  TableShape known = Shape({{"id", 1}, {"note", 2}});
  known.details[1].hidden = true;
  Know(std::move(known));
  catalog_.columns = {{"id", 1}, {"remark", 2}};
  EXPECT_EQ(Announce(200, Shape(catalog_.columns)), Verdict::kCarry);
  ASSERT_TRUE(edit_.carried.has_value());
  EXPECT_EQ(edit_.columns, std::vector<int>{0});
  // Rows in the shape before may not be durable yet.
  const auto shapes = store_->TableShapes("f");
  ASSERT_EQ(shapes->size(), 1u);
  EXPECT_EQ(shapes->front().shape.relation.columns[1].name, "note");
  EXPECT_EQ(shapes->front().lsn, Lsn{100});
  // The catalog goes on, and another watch comes to the rows in between.
  catalog_.columns = {{"id", 1}, {"last", 2}};
  KnowWhatIsStored();
  EXPECT_EQ(Announce(300, Shape({{"id", 1}, {"remark", 2}})), Verdict::kCarry);
  EXPECT_EQ(edit_.columns, std::vector<int>{0});
}

TEST_F(DdlWatchTest, SoItDoesWhenAMessageToldOfTheName) {
  TableShape known = Shape({{"id", 1}, {"note", 0}});  // learnt from rows
  known.details[1].hidden = true;
  Know(std::move(known));
  EXPECT_EQ(Tell(200, Shape({{"id", 1}, {"note", 2}}), Shape({{"id", 1}, {"remark", 2}})), Verdict::kCarry);
  EXPECT_EQ(Tell(250, Shape({{"id", 1}, {"remark", 2}}), Shape({{"id", 1}, {"third", 2}})), Verdict::kCarry);
  catalog_.columns = {{"id", 1}, {"last", 2}};
  for (const char* name : {"note", "remark", "third", "last"}) {
    KnowWhatIsStored();
    EXPECT_EQ(Announce(300, Shape({{"id", 1}, {name, 2}})), Verdict::kCarry) << name;
    EXPECT_EQ(edit_.columns, std::vector<int>{0}) << name;
  }
}

TEST_F(DdlWatchTest, ARejectedColumnThatIsDroppedAndAddedIsAskedFor) {
  TableShape known = Shape({{"id", 1}, {"note", 2}});
  known.details[1].hidden = true;
  Know(known);
  EXPECT_EQ(Tell(200, Shape({{"id", 1}, {"note", 2}}), Shape({{"id", 1}})), Verdict::kCarry);
  KnowWhatIsStored();
  EXPECT_EQ(Tell(300, Shape({{"id", 1}}), Shape({{"id", 1}, {"note", 3}})), Verdict::kHold);
  EXPECT_EQ(Steps(), std::vector<std::string>{"add_column note"});
}

TEST_F(DdlWatchTest, TheSecondChangeOfATransactionIsHeldToo) {
  Know(Shape({{"id", 1}}));
  catalog_.columns = {{"id", 1}, {"a", 2}, {"b", 3}};
  EXPECT_EQ(Announce(200, Shape({{"id", 1}, {"a", 2}})), Verdict::kHold);
  EXPECT_EQ(Announce(200, Shape(catalog_.columns), /*has_rows=*/true), Verdict::kHold);
  ASSERT_EQ(watch_->found().size(), 2u);
  EXPECT_EQ(Steps(1), std::vector<std::string>{"add_column b"});
  EXPECT_LT(watch_->found()[0].ordinal, watch_->found()[1].ordinal);
}

TEST_F(DdlWatchTest, AReplayGivesEachChangeThePlaceThatItHad) {
  Know(Shape({{"id", 1}}));
  catalog_.columns = {{"id", 1}, {"a", 2}, {"b", 3}};
  EXPECT_EQ(Announce(200, Shape({{"id", 1}, {"a", 2}})), Verdict::kHold);
  const DdlWatch::Found first = watch_->found()[0];
  DdlEvent event;
  event.flow_id = "f";
  event.lsn = Lsn{200};
  event.ordinal = first.ordinal;
  event.plan = PlanToJson(first.change, {});
  const int64_t id = store_->RecordDdl({event})->front().event.id;
  ASSERT_TRUE(store_->SettleDdl(id, {DdlStatus::kPending}, {.shape = first.change.after}).ok());

  // The first is settled, and what the second changes is not taken for it.
  KnowWhatIsStored();
  EXPECT_EQ(Announce(200, Shape({{"id", 1}, {"a", 2}})), Verdict::kCarry);
  EXPECT_EQ(Announce(200, Shape(catalog_.columns)), Verdict::kHold);
  ASSERT_EQ(watch_->found().size(), 1u);
  EXPECT_EQ(watch_->found()[0].ordinal, first.ordinal + 1);
}

TEST_F(DdlWatchTest, RowsOlderThanTheCopyAreLeftOutUnderWhateverName) {
  Know(Shape({{"id", 1}}));
  EXPECT_EQ(Announce(99, Shape({{"id", 1}, {"gone", 2}}, "before")), Verdict::kCarry);
  EXPECT_TRUE(edit_.ignore);
}

}  // namespace
}  // namespace wallaby

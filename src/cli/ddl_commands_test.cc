// Schema changes by the command line, against a real `wallaby`. The events are put into its store as a worker would.
#include <nlohmann/json.hpp>

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "cli/program_test_base.h"
#include "flow/ddl_event.h"
#include "gmock/gmock.h"
#include "store/control_store.h"

namespace wallaby {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class DdlCommandsTest : public ProgramTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(StartServer());
    store_ = OpenSqliteStore(StorePath()).value();
    Flow flow;
    flow.id = "shop";
    flow.name = "Shop";
    flow.source = {"db", "postgres", {{"dsn", "host=127.0.0.1 port=1"}, {"slot", "s"}, {"publication", "p"}}};
    // Below a file there is no folder to make, so that it cannot be opened.
    flow.destinations = {{"lake", "duckdb", {{"dsn", WriteFile("file", "") + "/lake.duckdb"}}}};
    ASSERT_TRUE(store_->CreateFlow(flow).ok());
    ASSERT_TRUE(store_->Transition("shop", {}, FlowState::kPaused, "ddl_pending").ok());
  }

  // `drop`: of a column, else one is added.
  std::string Record(uint64_t lsn, bool drop = false) {
    TableShape table;
    table.relation.oid = 16400;
    table.relation.schema = "public";
    table.relation.name = "orders";
    table.relation.key = {0};
    table.relation.columns = {{"id", BuiltinType(20, -1), true}};
    table.details = {{.attnum = 1, .not_null = true}};
    TableShape wide = table;
    wide.relation.columns.push_back({"note", BuiltinType(25, -1), false});
    wide.details.push_back({.attnum = 2});
    const SchemaChange change = drop ? CompareShapes(&wide, &table) : CompareShapes(&table, &wide);
    DdlEvent event;
    event.flow_id = "shop";
    event.lsn = Lsn{lsn};
    event.ddl = drop ? "ALTER TABLE orders DROP note" : "ALTER TABLE orders ADD note text";
    event.table = change.Table();
    event.gated = true;
    event.plan = PlanToJson(change, {{"lake", {"ALTER TABLE shown"}}});
    return absl::StrCat(store_->RecordDdl({event})->front().event.id);
  }

  Ran Ddl(const std::string& command, const std::string& id) { return Admin({"ddl", command, "-id", id}); }

  void ExpectFailure(const Ran& ran, const std::string& text) {
    EXPECT_EQ(ran.status, 1) << ran.out;
    EXPECT_THAT(ran.err, HasSubstr(text));
    EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
    EXPECT_EQ(ran.out, "");
  }

  std::unique_ptr<ControlStore> store_;
};

TEST_F(DdlCommandsTest, NoneIsNoFailure) {
  const Ran none = Admin({"ddl", "list", "-status", "pending"});
  EXPECT_EQ(none.status, 0) << none.err;
  EXPECT_EQ(none.out, "There are no pending DDL events.\n");
  EXPECT_EQ(Admin({"ddl", "list", "-status", "pending", "-json"}).out, "{\"events\":[]}\n");
  ExpectFailure(Admin({"ddl", "list", "-flow-id", "nobody"}), "'nobody'");
  ExpectFailure(Ddl("get", "7"), "there is no DDL event 7");
}

TEST_F(DdlCommandsTest, ListAndGet) {
  const std::string id = Record(100);
  const Ran list = Admin({"ddl", "list", "-status", "pending", "-flow-id", "Shop"});  // its name
  EXPECT_EQ(list.status, 0) << list.err;
  EXPECT_THAT(list.out, StartsWith("ID  FLOW  STATUS   TABLE          LSN   CREATED                  DDL\n"));
  EXPECT_THAT(list.out, HasSubstr(" 1  shop  pending  public.orders  0/64  "));
  EXPECT_THAT(list.out, HasSubstr("  ALTER TABLE orders ADD note text\n"));
  EXPECT_EQ(Admin({"ddl", "list", "-status", "applied"}).out, "There are no applied DDL events.\n");

  const auto events = nlohmann::json::parse(Admin({"ddl", "list", "-json"}).out, nullptr, false);
  ASSERT_TRUE(events.is_object());
  EXPECT_EQ(events["events"][0]["plan"]["steps"][0]["step"], "add_column");
  EXPECT_FALSE(events["events"][0].contains("plan_json"));

  const Ran get = Ddl("get", id);
  EXPECT_THAT(get.out, HasSubstr("steps:\n  add column note (text)\n\ndestination lake:\n  ALTER TABLE shown\n"));
  const Ran json = Admin({"ddl", "get", "-id", id, "-json"});
  const auto event = nlohmann::json::parse(json.out, nullptr, false);
  ASSERT_TRUE(event.is_object()) << json.out << json.err;
  EXPECT_EQ(event["status"], "pending");
  EXPECT_EQ(event["plan"]["destinations"]["lake"][0], "ALTER TABLE shown");
  EXPECT_EQ(json.out, Admin({"ddl", "get", "-id", id, "-json"}).out);

  EXPECT_THAT(Admin({"flow", "get", "-flow-id", "shop"}).out, HasSubstr("pending DDL:     1\n"));
  EXPECT_THAT(Admin({"flow", "get", "-flow-id", "shop", "-json"}).out, HasSubstr("\"pending_ddl\":1"));
  EXPECT_EQ(Admin({"flow", "wait", "-flow-id", "shop", "-state", "paused"}).out, "shop: paused (ddl_pending)\n");
}

TEST_F(DdlCommandsTest, EachStepSaysTheNext) {
  const std::string id = Record(100);
  const std::string later = Record(200, /*drop=*/true);
  ExpectFailure(Admin({"flow", "resume", "-flow-id", "shop"}), absl::StrCat("wallaby-admin ddl approve -id ", id));
  ExpectFailure(Ddl("apply", id), "is pending; approve it first");
  EXPECT_EQ(Ddl("approve", id).out,
            absl::StrCat("event ", id, " approved; next: wallaby-admin ddl apply -id ", id, "\n"));
  ExpectFailure(Ddl("apply", id), "destination lake: ");
  EXPECT_THAT(Ddl("get", id).out, HasSubstr("last error:       destination lake: "));
  EXPECT_EQ(Ddl("mark-applied", id).out, absl::StrCat("event ", id, " applied; next: event ", later,
                                                      " is pending: wallaby-admin ddl approve -id ", later, "\n"));
  EXPECT_EQ(Ddl("reject", later).out,
            absl::StrCat("event ", later,
                         " rejected, and flow shop is held: what follows cannot be delivered without "
                         "it; next: wallaby-admin ddl approve -id ",
                         later, "\n"));
  EXPECT_EQ(Ddl("approve", later).status, 0);
  EXPECT_EQ(Ddl("mark-applied", later).out,
            absl::StrCat("event ", later, " applied; next: wallaby-admin flow resume -flow-id shop\n"));
  EXPECT_THAT(Admin({"flow", "get", "-flow-id", "shop"}).out, HasSubstr("pending DDL:     0\n"));
}

TEST_F(DdlCommandsTest, ARejectedColumnLetsTheFlowGoOn) {
  const std::string id = Record(100);
  ASSERT_TRUE(store_->Transition("shop", {}, FlowState::kFailed, "a reason").ok());
  EXPECT_EQ(Ddl("reject", id).out, absl::StrCat("event ", id,
                                                " rejected: note stays out of the destinations; next: "
                                                "wallaby-admin flow start -flow-id shop\n"));
  const Ran json = Admin({"ddl", "list", "-json"});
  EXPECT_THAT(json.out, HasSubstr("\"status\":\"rejected\""));
}

}  // namespace
}  // namespace wallaby

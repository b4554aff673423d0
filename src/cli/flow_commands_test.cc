// The commands against a real `wallaby` and a real PostgreSQL. Flows here are not started: that is for the end-to-end
// tests.
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/program_test_base.h"
#include "gmock/gmock.h"
#include "test/support/test_postgres.h"

namespace wallaby {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class FlowCommandsTest : public ProgramTest {
 protected:
  void SetUp() override {
    dsn_ = TestPostgres::Shared(15).CreateDatabase();
    ASSERT_NO_FATAL_FAILURE(StartServer());
  }

  std::string FlowFile(const std::string& id, const std::string& name, const std::string& destination = "lake") {
    return WriteFile(id + ".yaml", absl::StrCat("id: ", id, "\nname: ", name,
                                                "\nsource: {name: shop, type: postgres, options: {dsn: '", dsn_,
                                                "', slot: no_such_slot, publication: p}}\n"
                                                "destinations: [{name: ",
                                                destination, ", type: duckdb, options: {dsn: /tmp/none.duckdb}}]\n"));
  }
  void Create(const std::string& id, const std::string& name) {
    const Ran ran = Admin({"flow", "create", "-file", FlowFile(id, name)});
    ASSERT_EQ(ran.status, 0) << ran.err;
    EXPECT_EQ(ran.out, id + ": created\n");
  }

  std::string dsn_;
};

TEST_F(FlowCommandsTest, CreateGetListUpdateDelete) {
  EXPECT_THAT(Admin({"flow", "list"}).out, StartsWith("There are no flows"));
  Create("a", "orders");
  const Ran again = Admin({"flow", "create", "-file", FlowFile("a", "orders")});
  EXPECT_EQ(again.status, 1);
  EXPECT_THAT(again.err, HasSubstr("'a'"));

  const Ran get = Admin({"flow", "get", "-flow-id", "a", "-json"});
  const auto flow = nlohmann::json::parse(get.out, nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(flow.is_object()) << get.out << get.err;
  EXPECT_EQ(flow.value("id", ""), "a");
  EXPECT_EQ(flow.value("state", ""), "FLOW_STATE_CREATED");
  EXPECT_EQ(flow.value("reason", "missing"), "");
  EXPECT_EQ(get.out, Admin({"flow", "get", "-flow-id", "a", "-json"}).out);

  const std::string text = Admin({"flow", "get", "-flow-id", "a"}).out;
  EXPECT_THAT(text, StartsWith("id:              a\nname:            orders\nstate:           created\n"));
  EXPECT_THAT(text, HasSubstr("slot active:     no, it does not exist\n"));

  const Ran update = Admin({"flow", "update", "-file", FlowFile("a", "orders", "pond"), "-pause"});
  EXPECT_EQ(update.status, 0) << update.err;
  EXPECT_THAT(Admin({"flow", "get", "-flow-id", "a"}).out, HasSubstr("destinations:    pond (duckdb)\n"));

  EXPECT_THAT(Admin({"flow", "list"}).out, HasSubstr("a   orders  created  -"));
  const Ran removed = Admin({"flow", "delete", "-flow-id", "a"});
  EXPECT_EQ(removed.status, 0) << removed.err;
  EXPECT_EQ(Admin({"flow", "get", "-flow-id", "a"}).status, 1);
}

TEST_F(FlowCommandsTest, FlowsAreFoundByNameUnlessItIsForGood) {
  Create("a", "orders");
  EXPECT_THAT(Admin({"flow", "get", "-flow-id", "orders"}).out, StartsWith("id:              a\n"));
  EXPECT_EQ(Admin({"flow", "delete", "-flow-id", "orders"}).status, 1);
  EXPECT_EQ(Admin({"slot", "drop", "-flow-id", "orders"}).status, 1);
  EXPECT_EQ(Admin({"flow", "get", "-flow-id", "a"}).status, 0);
}

TEST_F(FlowCommandsTest, WaitEndsAtItsTimeOrAtOnce) {
  Create("a", "orders");
  EXPECT_EQ(Admin({"flow", "wait", "-flow-id", "a", "-state", "created"}).out, "a: created\n");
  const absl::Time start = absl::Now();
  const Ran ran = Admin({"flow", "wait", "-flow-id", "a", "-state", "running", "-timeout", "700ms"});
  EXPECT_EQ(ran.status, 1);
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(700));
  EXPECT_THAT(ran.err, HasSubstr("flow 'a' is not running after 700ms: it is created"));
  const Ran none = Admin({"flow", "wait", "-flow-id", "x", "-state", "running", "-timeout", "60s"});
  EXPECT_EQ(none.status, 1);
  EXPECT_THAT(none.err, HasSubstr("'x'"));
}

TEST_F(FlowCommandsTest, ValidateShowsWhatTheSourceLacks) {
  const Ran ran = Admin({"flow", "validate", "-file", FlowFile("a", "orders")});
  EXPECT_EQ(ran.status, ran.out.ends_with("The flow is valid.\n") ? 0 : 1) << ran.out << ran.err;
  EXPECT_THAT(Admin({"flow", "list"}).out, StartsWith("There are no flows"));
}

TEST_F(FlowCommandsTest, OtherGroupsReachTheSourceThroughTheServer) {
  Create("a", "orders");
  const Ran show = Admin({"slot", "show", "-flow-id", "a"});
  EXPECT_EQ(show.status, 1);
  EXPECT_THAT(show.err, HasSubstr("slot no_such_slot of flow 'a' does not exist at the source"));
  const Ran checkpoint = Admin({"checkpoint", "get", "-flow-id", "a"});
  EXPECT_EQ(checkpoint.status, 1);
  EXPECT_THAT(checkpoint.err, HasSubstr("no checkpoint yet"));
  EXPECT_EQ(Admin({"checkpoint", "list", "-json"}).out, "{\"checkpoints\":[]}\n");
  auto sql = MustConnect(dsn_);
  MustExecute(
      *sql,
      "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t");
  EXPECT_THAT(Admin({"publication", "list", "-flow-id", "a"}).out, HasSubstr("public  t      default"));
  const Ran sync = Admin({"publication", "sync", "-flow-id", "a", "-tables", "public.u", "-pause"});
  EXPECT_EQ(sync.status, 0) << sync.err;
  EXPECT_EQ(sync.out, "added public.u\n");
  const Ran exact = Admin({"publication", "sync", "-flow-id", "a", "-tables", "public.u", "-mode", "sync"});
  EXPECT_EQ(exact.out, "removed public.t\n") << exact.err;
}

}  // namespace
}  // namespace wallaby

// wallaby-admin stream ..., against the real server and a stream in a real PostgreSQL.
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cli/program_test_base.h"
#include "destination/pgstream/pgstream_destination.h"
#include "destination/postgres/test_batches.h"
#include "gmock/gmock.h"

namespace wallaby {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const RelationPtr kOrders = MakeRelation("orders", {{"id", kInt4, true}, {"name", kTextOid}});

class StreamCommandsTest : public ProgramTest {
 protected:
  StreamCommandsTest() : dsn_(TestPostgres::Shared(15).CreateDatabase()) {
    RegisterPgstreamDestination("");
    StartServer();
  }
  void AddFlow() {
    const std::string file = WriteFile(
        "flow.json",
        absl::StrCat(
            R"({"id": "shop", "name": "shop", "source": {"name": "db", "type": "postgres", "options": {"dsn": )"
            R"("postgres://127.0.0.1:1/none", "slot": "s", "publication": "p"}}, "destinations": [{"name": "out", )"
            R"("type": "pgstream", "options": {"stream": "orders", "dsn": ")",
            dsn_, R"("}}]})"));
    const Ran ran = Admin({"flow", "create", "-file", file});
    ASSERT_EQ(ran.status, 0) << ran.err;
  }
  void Append(int count) {
    DestinationConfig config;
    config.flow_id = "shop";
    config.name = "out";
    config.generation = 1;
    config.options = {{"dsn", dsn_}, {"stream", "orders"}};
    auto writer = MakeDestination("pgstream", config).value();
    ASSERT_TRUE(writer->Open().ok());
    TestBatch batch(0x10);
    for (int i = 1; i <= count; ++i) batch.Insert(kOrders, {std::to_string(i), "a"});
    ASSERT_TRUE(writer->Write(batch.get()).ok());
    ASSERT_TRUE(writer->Commit({.commit = Lsn{0x10}, .end = Lsn{0x11}}).ok());
  }
  Ran Stream(const std::string& command, std::vector<std::string> more = {}, bool group = true) {
    std::vector<std::string> args = {"stream", command, "-stream", "orders"};
    if (group) args.insert(args.end(), {"-group", "billing"});
    args.insert(args.end(), more.begin(), more.end());
    return Admin(args);
  }

  const std::string dsn_;
};

TEST_F(StreamCommandsTest, PullAckReplay) {
  Ran ran = Admin({"stream", "list"});
  EXPECT_EQ(ran.out, "There are no streams; a destination of type pgstream makes one.\n");
  AddFlow();
  EXPECT_EQ(Stream("pull").out, "No messages.\n");
  EXPECT_EQ(Stream("groups", {}, false).out, "Stream orders has no consumer groups; `stream pull` makes one.\n");
  Append(4);
  ran = Stream("pull", {"-max", "3", "-visibility", "60", "-consumer", "me", "-wait", "5s"});
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.out, StartsWith("ID  LSN   TABLE          OPERATION  DELIVERY  PAYLOAD\n"
                                  " 1  0/10  public.orders  insert            1  {\"operation\":\"insert\""));
  EXPECT_EQ(Stream("ack", {"-ids", "1,2"}).out, "Acknowledged: 2.\n");
  EXPECT_EQ(Stream("ack", {"-ids", "2,3"}).out, "Acknowledged: 1 of 2; the others were not in flight.\n");
  ran = Stream("groups", {}, false);
  EXPECT_THAT(ran.out, StartsWith("GROUP    LAG  BEHIND  IN FLIGHT  REDELIVERED  NEXT ID  SKIPPED\nbilling    1  "));
  ran = Admin({"stream", "list"});
  EXPECT_THAT(ran.out, HasSubstr("\norders  shop  out                 1        4  "));
  EXPECT_EQ(Stream("replay", {"-from-lsn", "0/0"}).out, "Messages that come again: 3.\n");
  EXPECT_EQ(Stream("replay", {"-since", "1h"}).out, "Messages that come again: 0.\n");
  ran = Stream("pull", {"-json"});
  const auto document = nlohmann::json::parse(ran.out, nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(document.is_object()) << ran.out << ran.err;
  ASSERT_EQ(document["messages"].size(), 4u);
  EXPECT_EQ(document["messages"][0]["id"], "1");
  EXPECT_EQ(document["messages"][0]["table"], "orders");
  EXPECT_EQ(Stream("delete-group").out, "Group billing of stream orders is deleted.\n");
  ran = Stream("delete-group");
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.err, HasSubstr("has no group 'billing'"));
}

TEST_F(StreamCommandsTest, MistakesAreNamed) {
  EXPECT_EQ(Admin({"stream", "pull", "-stream", "orders"}).status, 2);
  EXPECT_THAT(Stream("pull", {"-max", "-1"}).err, HasSubstr("0 or more"));
  EXPECT_THAT(Stream("ack", {"-ids", "1,x"}).err, HasSubstr("'x' is no id"));
  EXPECT_THAT(Stream("replay").err, HasSubstr("give one of -from-lsn and -since"));
  EXPECT_EQ(Stream("replay", {"-since", "yesterday"}).status, 2);
  Ran ran = Stream("pull");
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.err, HasSubstr("there is no stream 'orders'; a flow makes one with a destination of type pgstream"));
  AddFlow();
  ran = Stream("replay", {"-from-lsn", "here"});
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.err, HasSubstr("from_lsn: got 'here'"));
}

}  // namespace
}  // namespace wallaby

// The pgstream destination against a real server.
#include "destination/pgstream/pgstream_destination.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "destination/postgres/test_batches.h"
#include "gmock/gmock.h"

namespace wallaby {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const RelationPtr kOrders = MakeRelation("orders", {{"id", kInt4, true}, {"name", kTextOid}});
const RelationPtr kNotes = MakeRelation("notes", {{"note", kTextOid}}, ReplicaIdentity::kFull);

class PgstreamTest : public DestinationTest {
 protected:
  PgstreamTest() { RegisterPgstreamDestination(""); }

  absl::StatusOr<std::unique_ptr<Destination>> TryMake(std::map<std::string, std::string> options,
                                                       int64_t generation = 1, const std::string& flow = "flow") {
    DestinationConfig config;
    config.flow_id = flow;
    config.name = "out";
    config.generation = generation;
    config.options = std::move(options);
    config.options.try_emplace("stream", "orders");
    return MakeDestination("pgstream", config);
  }
  std::unique_ptr<Destination> MakeOpen(std::map<std::string, std::string> options = {}, int64_t generation = 1,
                                        const std::string& flow = "flow") {
    options.try_emplace("dsn", dsn_);
    auto destination = TryMake(std::move(options), generation, flow);
    EXPECT_TRUE(destination.ok()) << destination.status();
    const auto progress = (*destination)->Open();
    EXPECT_TRUE(progress.ok()) << progress.status();
    return *std::move(destination);
  }
  absl::Status OpenStatus(std::map<std::string, std::string> options, int64_t generation, const std::string& flow) {
    options.try_emplace("dsn", dsn_);
    auto destination = TryMake(std::move(options), generation, flow);
    return destination.ok() ? (*destination)->Open().status() : destination.status();
  }
  std::string Messages(const std::string& columns = "id, lsn, seq, operation, table_name") {
    auto rows = sql_->Query("SELECT " + columns + " FROM wallaby.stream_1 ORDER BY id");
    if (!rows.ok()) return rows.status().ToString();
    std::string out;
    for (int i = 0; i < rows->size(); ++i) {
      for (int c = 0; c < rows->columns(); ++c) absl::StrAppend(&out, c ? "," : "", std::string(rows->Text(i, c)));
      out += ";";
    }
    return out;
  }
};

TEST_F(PgstreamTest, EachRecordIsAMessageInOrder) {
  auto destination = MakeOpen();
  ASSERT_TRUE(Deliver(*destination, TestBatch(0x10)
                                        .Insert(kOrders, {"1", "a"})
                                        .Insert(kNotes, {"n"})
                                        .Update(kOrders, {"2", "b"}, {"1", std::nullopt}, true)
                                        .Delete(kOrders, {"2", std::nullopt})
                                        .Truncate(kOrders))
                  .ok());
  ASSERT_TRUE(Deliver(*destination, TestBatch(0x20).Insert(kOrders, {"3", "c"})).ok());
  EXPECT_EQ(Messages(),
            "1,0/10,0,insert,orders;2,0/10,1,insert,notes;3,0/10,2,delete,orders;4,0/10,2,update,orders;"
            "5,0/10,3,delete,orders;6,0/10,4,truncate,orders;7,0/20,0,insert,orders;");
  EXPECT_EQ(Messages("convert_from(key, 'UTF8')"), "{\"id\":1};;{\"id\":1};{\"id\":2};{\"id\":2};;{\"id\":3};");
  EXPECT_THAT(Messages("convert_from(payload, 'UTF8')"),
              StartsWith("{\"operation\":\"insert\",\"namespace\":\"public\",\"table\":\"orders\",\"schema_version\":1,"
                         "\"lsn\":16,\"seq\":0,"));
  EXPECT_EQ(Messages("DISTINCT ON (id) extract(epoch FROM committed_at)").substr(0, 17), "1700000000.123456");
  EXPECT_EQ(MustQuery(*sql_, "SELECT name || flow_id || destination || last_id FROM wallaby.streams"),
            "ordersflowout7");
  EXPECT_EQ(MustQuery(*sql_,
                      "SELECT first_id || ' ' || last_id || ' ' || wire_format || ' ' || max_lsn FROM "
                      "wallaby.stream_segments"),
            "1 7 json 0/20");
}

TEST_F(PgstreamTest, MessagesAndProgressAreOne) {
  {
    auto destination = MakeOpen();
    ASSERT_TRUE(Deliver(*destination, TestBatch(10).Insert(kOrders, {"1", "a"})).ok());
    ASSERT_TRUE(destination->Write(TestBatch(20).Insert(kOrders, {"2", "b"}).get()).ok());
    const auto progress = destination->Open();  // as after an error
    ASSERT_TRUE(progress.ok()) << progress.status();
    EXPECT_EQ(progress->commit.value, 10u);
    EXPECT_EQ(Messages("id"), "1;");
    ASSERT_TRUE(Deliver(*destination, TestBatch(20).Insert(kOrders, {"2", "b"})).ok());
  }
  auto destination = MakeOpen();
  ASSERT_TRUE(Deliver(*destination, TestBatch(30).Insert(kOrders, {"3", "c"})).ok());
  ASSERT_TRUE(destination->Commit({.commit = Lsn{40}, .end = Lsn{41}}).ok());  // nothing but a position
  EXPECT_EQ(Messages("id, lsn"), "1,0/A;2,0/14;3,0/1E;");
  EXPECT_EQ(destination->Open()->commit.value, 40u);
}

TEST_F(PgstreamTest, AnOlderWorkerIsFencedOff) {
  auto older = MakeOpen({}, 1);
  TestBatch many(20);
  for (int i = 0; i < 100; ++i) many.Insert(kOrders, {std::to_string(i), "old"});
  ASSERT_TRUE(older->Write(many.get()).ok());
  auto newer = MakeOpen({}, 2);
  const absl::Status status = older->Commit({.commit = Lsn{20}, .end = Lsn{21}});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(std::string(status.message()), StartsWith("fenced"));
  EXPECT_THAT(std::string(older->Open().status().message()), StartsWith("fenced"));
  ASSERT_TRUE(Deliver(*newer, many).ok());
  EXPECT_EQ(MustQuery(*sql_, "SELECT count(*) || ' ' || max(id) FROM wallaby.stream_1"), "100 100");
}

// Tables that waited for a schema change are delivered under an identity of their own, with a progress of their own.
TEST_F(PgstreamTest, TheStreamIsFencedAlsoUnderAnotherIdentity) {
  auto older = MakeOpen({}, 1, "flow/0/10");
  ASSERT_TRUE(Deliver(*older, TestBatch(10).Insert(kOrders, {"1", "a"})).ok());
  ASSERT_TRUE(older->Write(TestBatch(20).Insert(kOrders, {"2", "b"}).get()).ok());
  auto newer = MakeOpen({}, 2);
  EXPECT_THAT(std::string(older->Commit({.commit = Lsn{20}, .end = Lsn{21}}).message()), StartsWith("fenced"));
  ASSERT_TRUE(Deliver(*newer, TestBatch(30).Insert(kOrders, {"3", "c"})).ok());
  EXPECT_EQ(Messages("id, lsn"), "1,0/A;2,0/1E;");
}

TEST_F(PgstreamTest, AStreamHasOneWriter) {
  auto first = MakeOpen();
  const absl::Status status = OpenStatus({}, 9, "other");
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("is written by destination 'out' of flow 'flow'"));
  // As the error says.
  const std::string message(status.message());
  MustExecute(*sql_, message.substr(message.find("UPDATE")));
  EXPECT_EQ(OpenStatus({}, 9, "other"), absl::OkStatus());
  EXPECT_THAT(std::string(Deliver(*first, TestBatch(10).Insert(kOrders, {"1", "a"})).message()), StartsWith("fenced"));
  EXPECT_TRUE(OpenStatus({{"stream", "another"}}, 1, "flow").ok());
}

TEST_F(PgstreamTest, AFirstCopyThatStartsOverLeavesNothing) {
  auto destination = MakeOpen();
  ASSERT_TRUE(destination->Write(TestBatch(10).Read(kOrders, {"1", "a"}).Read(kNotes, {"n"}).get()).ok());
  ASSERT_TRUE(destination->Commit({.finished_parts = {"public.orders/0:", "public.notes/0:"}}).ok());
  ASSERT_TRUE(Deliver(*destination, TestBatch(20).Insert(kOrders, {"2", "b"})).ok());
  ASSERT_TRUE(destination->ResetSnapshot(*kOrders, "public.orders/").ok());
  EXPECT_EQ(Messages(), "2,0/A,1,snapshot,notes;3,0/14,0,insert,orders;");
  EXPECT_EQ(destination->Open()->snapshot_parts, (std::set<std::string>{"public.notes/0:"}));
  ASSERT_TRUE(Deliver(*destination, TestBatch(30).Insert(kOrders, {"3", "c"})).ok());
  EXPECT_EQ(Messages("id, committed_at IS NULL"), "2,t;3,f;4,f;");
}

TEST_F(PgstreamTest, SegmentsAndRetention) {
  auto destination = MakeOpen({{"retention_messages", "1000"}});
  TestBatch batch(10);
  for (int i = 0; i < 100; ++i) batch.Insert(kOrders, {std::to_string(i), "a"});
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(Deliver(*destination, batch).ok());
  EXPECT_EQ(MustQuery(*sql_,
                      "SELECT count(*) || ' ' || min(first_id) || ' ' || max(last_id) FROM "
                      "wallaby.stream_segments"),
            "10 2001 3000");
  EXPECT_EQ(MustQuery(*sql_, "SELECT count(*) || ' ' || min(id) || ' ' || max(id) FROM wallaby.stream_1"),
            "1000 2001 3000");
}

class IdleStreamTest : public PgstreamTest {
 protected:
  // So long ago as if everything had been stored then; what the worker remembers of it goes with the worker.
  std::unique_ptr<Destination> AfterDays(int days, const std::map<std::string, std::string>& options) {
    MustExecute(*sql_, absl::StrCat("UPDATE wallaby.stream_segments SET first_at = first_at - interval '", days,
                                    " days', last_at = last_at - interval '", days, " days'"));
    return MakeOpen(options);
  }
  std::string Segments() {
    return MustQuery(*sql_,
                     "SELECT string_agg(first_id || '-' || last_id, ' ' ORDER BY first_id) FROM "
                     "wallaby.stream_segments");
  }
};

TEST_F(IdleStreamTest, AgeLetsGoOfMessagesThoughNothingArrives) {
  const std::map<std::string, std::string> options = {{"retention", "10d"}};
  ASSERT_TRUE(Deliver(*MakeOpen(options), TestBatch(10).Insert(kOrders, {"1", "a"}).Insert(kOrders, {"2", "b"})).ok());
  ASSERT_TRUE(MakeOpen(options)->Tend().ok());
  EXPECT_EQ(Segments(), "1-2") << "it is young";
  ASSERT_TRUE(AfterDays(2, options)->Tend().ok());
  EXPECT_EQ(Segments(), "1-2 3-2") << "the next one is ready, and retention keeps the messages still";
  ASSERT_TRUE(AfterDays(5, options)->Tend().ok());
  EXPECT_EQ(Segments(), "1-2 3-2") << "one that is empty is enough";
  auto destination = AfterDays(4, options);
  ASSERT_TRUE(destination->Tend().ok());
  EXPECT_EQ(Segments(), "3-2");
  EXPECT_EQ(Messages("id"), "");
  ASSERT_TRUE(Deliver(*destination, TestBatch(20).Insert(kOrders, {"3", "c"})).ok());
  EXPECT_EQ(Messages("id, lsn"), "3,0/14;");
}

// The last group acknowledges what was kept for it after the flow's last commit.
TEST_F(IdleStreamTest, WhatIsAcknowledgedGoesToo) {
  const std::map<std::string, std::string> options = {{"retention_messages", "1000"}};
  {
    auto destination = MakeOpen(options);
    ASSERT_TRUE(Deliver(*destination, TestBatch(10).Insert(kOrders, {"1", "a"})).ok());
    MustExecute(*sql_, "INSERT INTO wallaby.stream_groups (stream_id, name, next_id) VALUES (1, 'g', 1)");
    TestBatch batch(20);
    for (int i = 0; i < 100; ++i) batch.Insert(kOrders, {std::to_string(i), "a"});
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(Deliver(*destination, batch).ok());
  }
  EXPECT_THAT(Segments(), StartsWith("1-"));
  MustExecute(*sql_, "UPDATE wallaby.stream_groups SET next_id = 2002");
  ASSERT_TRUE(MakeOpen(options)->Tend().ok());
  EXPECT_THAT(Segments(), testing::Not(StartsWith("1-")));
  EXPECT_EQ(MustQuery(*sql_, "SELECT max(last_id) FROM wallaby.stream_segments"), "2001");
}

TEST_F(IdleStreamTest, AWorkerThatWasReplacedFindsOut) {
  const std::map<std::string, std::string> options = {{"retention", "10d"}};
  ASSERT_TRUE(Deliver(*MakeOpen(options), TestBatch(10).Insert(kOrders, {"1", "a"})).ok());
  auto older = AfterDays(2, options);
  auto newer = MakeOpen(options, 2);
  EXPECT_THAT(std::string(older->Tend().message()), StartsWith("fenced"));
  EXPECT_EQ(Segments(), "1-1");
  ASSERT_TRUE(newer->Tend().ok());
  EXPECT_EQ(Segments(), "1-1 2-1");
}

TEST_F(PgstreamTest, AnotherFormatBeginsAnotherSegment) {
  ASSERT_TRUE(Deliver(*MakeOpen(), TestBatch(10).Insert(kOrders, {"1", "a"})).ok());
  ASSERT_TRUE(Deliver(*MakeOpen({{"format", "proto"}}), TestBatch(20).Insert(kOrders, {"2", "b"})).ok());
  EXPECT_EQ(MustQuery(*sql_,
                      "SELECT string_agg(first_id || ' ' || wire_format, ',' ORDER BY first_id) FROM "
                      "wallaby.stream_segments"),
            "1 json,2 proto");
}

TEST_F(PgstreamTest, DebeziumsTombstonesAreLeftOut) {
  auto destination = MakeOpen({{"json_envelope", "debezium"}});
  ASSERT_TRUE(
      Deliver(*destination, TestBatch(10).Insert(kOrders, {"1", "a"}).Delete(kOrders, {"1", std::nullopt})).ok());
  EXPECT_EQ(Messages("operation"), "insert;delete;");
}

TEST_F(PgstreamTest, SchemaChangesNeedNothing) {
  auto destination = MakeOpen({{"schema", "Streams"}, {"meta_schema", "Streams"}});
  EXPECT_EQ(MustQuery(*sql_, "SELECT to_regclass('\"Streams\".streams') IS NOT NULL"), "t");
  EXPECT_EQ(MustQuery(*sql_, "SELECT to_regnamespace('wallaby') IS NULL"), "t");
  EXPECT_TRUE(destination->CheckTable(*kNotes).ok());
}

TEST_F(PgstreamTest, ItsOwnTablesAreNotStreamed) {
  auto destination = MakeOpen();
  const RelationPtr own = MakeRelation("stream_1_1", {{"id", kInt8, true}}, ReplicaIdentity::kDefault, 1, "wallaby");
  EXPECT_THAT(std::string(Deliver(*destination, TestBatch(10).Insert(own, {"1"})).message()),
              HasSubstr("take the schema out of the publication"));
  auto again = MakeOpen();
  EXPECT_THAT(std::string(again->CheckTable(*own).message()), HasSubstr("take the schema out of the publication"));
}

TEST_F(PgstreamTest, ASchemaThatTheSourcePublishesIsRefusedBeforeATableIsMade) {
  const auto open = [&](const std::string& schema, const std::string& publication) {
    DestinationConfig config{.flow_id = "flow", .name = "out", .publication = publication, .generation = 1};
    config.options = {{"stream", "orders"}, {"dsn", dsn_}, {"schema", schema}, {"meta_schema", schema}};
    return (*MakeDestination("pgstream", config))->Open().status();
  };
  MustExecute(*sql_, "CREATE SCHEMA shop; CREATE PUBLICATION every FOR ALL TABLES");
  MustExecute(*sql_, "CREATE TABLE public.one (id int); CREATE PUBLICATION single FOR TABLE public.one");
  EXPECT_THAT(std::string(open("shop", "every").message()), HasSubstr("publishes every table of schema shop"));
  if (sql_->server_version() >= 150000) {
    MustExecute(*sql_, "CREATE PUBLICATION shop FOR TABLES IN SCHEMA shop");
    EXPECT_THAT(std::string(open("shop", "shop").message()), HasSubstr("publishes every table of schema shop"));
  }
  EXPECT_EQ(MustQuery(*sql_, "SELECT count(*) FROM pg_tables WHERE schemaname IN ('shop', 'wallaby')"), "0");
  EXPECT_TRUE(open("shop", "single").ok());
  EXPECT_TRUE(open("elsewhere", "").ok());
}

TEST_F(PgstreamTest, WrongOptionsAreNamed) {
  const auto refused = [&](std::map<std::string, std::string> options) {
    options.try_emplace("dsn", dsn_);
    const auto made = TryMake(std::move(options));
    EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument) << made.status();
    return std::string(made.status().message());
  };
  EXPECT_THAT(refused({{"stream", "a b"}}),
              HasSubstr("option stream of destination 'out': got 'a b'; allowed: a stream's"));
  EXPECT_THAT(refused({{"stream", ""}}), HasSubstr("option stream of destination 'out' is missing"));
  EXPECT_THAT(refused({{"retention", "7 days"}}), HasSubstr("option retention "));
  EXPECT_THAT(refused({{"retention", "1s"}}), HasSubstr("at least 1m, like 7d"));
  EXPECT_THAT(refused({{"retention_bytes", "10"}}), HasSubstr("option retention_bytes "));
  EXPECT_THAT(refused({{"retention_messages", "-1"}}), HasSubstr("option retention_messages "));
  EXPECT_THAT(refused({{"retention_unread", "maybe"}}), HasSubstr("allowed: keep or drop"));
  EXPECT_THAT(refused({{"format", "parquet"}}), HasSubstr("allowed: json, avro, proto or arrow"));
  EXPECT_THAT(refused({{"partitions", "3"}}), HasSubstr("does not exist for type pgstream"));
  EXPECT_THAT(std::string(TryMake({}).status().message()), HasSubstr("option dsn of destination 'out' is missing"));
  RegisterPgstreamDestination(dsn_);
  EXPECT_TRUE(TryMake({}).ok());
  EXPECT_TRUE(TryMake({{"retention", "7d"}, {"retention_bytes", "1GiB"}, {"retention_unread", "drop"}}).ok());
}

}  // namespace
}  // namespace wallaby

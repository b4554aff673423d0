// StreamService over a real channel, with streams in a real PostgreSQL that the pgstream destination writes.
#include <atomic>
#include <cmath>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "destination/pgstream/pgstream_destination.h"
#include "destination/postgres/test_batches.h"
#include "gmock/gmock.h"
#include "service/service_test_base.h"
#include "service/stream_catalog.h"
#include "service/stream_lag.h"
#include "telemetry/metric_table.h"
#include "test/support/test_postgres.h"

namespace wallaby {
namespace {

using grpc::StatusCode;
using testing::HasSubstr;

const RelationPtr kOrders = MakeRelation("orders", {{"id", kInt4, true}, {"name", kTextOid}});

class StreamServiceTest : public ServiceTest {
 protected:
  StreamServiceTest() : dsn_(TestPostgres::Shared(15).CreateDatabase()), sql_(MustConnect(dsn_)) {
    RegisterPgstreamDestination("");
    settings_.access.pull_wait = absl::Seconds(60);
    Connect();
  }
  void Connect() {
    Begin();
    streams_ = v1::StreamService::NewStub(channel_);
  }
  // A flow that has the stream; its worker is a script, so the test writes for it.
  std::string AddFlow(const std::string& stream, const std::map<std::string, std::string>& options = {}) {
    v1::Flow flow = MakeFlow(absl::StrCat("flow of ", stream, " ", flow_count_++));
    flow.clear_destinations();
    v1::Endpoint* out = flow.add_destinations();
    out->set_name("out");
    out->set_type(v1::ENDPOINT_TYPE_PGSTREAM);
    auto& all = *out->mutable_options();
    all["dsn"] = dsn_;
    all["stream"] = stream;
    for (const auto& [name, value] : options) all[name] = value;
    return Create(flow).id();
  }
  void OpenWriter(const std::string& stream = "orders") {
    DestinationConfig config;
    config.flow_id = "flow";
    config.name = "out";
    config.generation = 1;
    config.options = {{"dsn", dsn_}, {"stream", stream}};
    writer_ = MakeDestination("pgstream", config).value();
    ASSERT_TRUE(writer_->Open().ok());
  }
  void Append(int count, int size = 10) {
    if (writer_ == nullptr) OpenWriter();
    TestBatch batch(lsn_);
    for (int i = 0; i < count; ++i)
      batch.Insert(kOrders, {std::to_string(i), std::string(static_cast<size_t>(size), 'x')});
    ASSERT_TRUE(writer_->Write(batch.get()).ok());
    ASSERT_TRUE(writer_->Commit({.commit = Lsn{lsn_}, .end = Lsn{lsn_ + 1}}).ok());
    lsn_ += 16;
  }
  v1::StreamPullRequest PullRequest(int wait_milliseconds = 0) {
    v1::StreamPullRequest request;
    request.set_stream("orders");
    request.set_consumer_group("g");
    request.set_wait_milliseconds(wait_milliseconds);
    return request;
  }
  grpc::Status Pull(const v1::StreamPullRequest& request, v1::StreamPullResponse* response) {
    grpc::ClientContext context;
    return streams_->Pull(&context, request, response);
  }
  std::vector<int64_t> Ids(const v1::StreamPullRequest& request) {
    v1::StreamPullResponse response;
    const grpc::Status status = Pull(request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::vector<int64_t> ids;
    for (const auto& message : response.messages()) ids.push_back(message.id());
    return ids;
  }
  grpc::Status Ack(const std::vector<int64_t>& ids, int64_t* acked) {
    grpc::ClientContext context;
    v1::StreamAckRequest request;
    request.set_stream("orders");
    request.set_consumer_group("g");
    request.mutable_ids()->Add(ids.begin(), ids.end());
    v1::StreamAckResponse response;
    const grpc::Status status = streams_->Ack(&context, request, &response);
    *acked = response.acked();
    return status;
  }
  grpc::Status Replay(const v1::StreamReplayRequest& request, int64_t* reset) {
    grpc::ClientContext context;
    v1::StreamReplayResponse response;
    const grpc::Status status = streams_->Replay(&context, request, &response);
    *reset = response.reset();
    return status;
  }

  std::string dsn_;
  std::unique_ptr<PgConnection> sql_;
  std::unique_ptr<v1::StreamService::Stub> streams_;
  std::unique_ptr<Destination> writer_;
  uint64_t lsn_ = 16;
  int flow_count_ = 0;
};

TEST_F(StreamServiceTest, PullAckReplay) {
  AddFlow("orders");
  EXPECT_TRUE(Ids(PullRequest()).empty());  // its flow has not run
  Append(5);
  v1::StreamPullRequest request = PullRequest();
  request.set_max_messages(3);
  request.set_consumer_id("me");
  v1::StreamPullResponse response;
  ASSERT_TRUE(Pull(request, &response).ok());
  ASSERT_EQ(response.messages_size(), 3);
  const v1::StreamMessage& message = response.messages(1);
  EXPECT_EQ(message.id(), 2);
  EXPECT_EQ(message.stream(), "orders");
  EXPECT_EQ(message.namespace_(), "public");
  EXPECT_EQ(message.table(), "orders");
  EXPECT_EQ(message.lsn(), "0/10");
  EXPECT_EQ(message.seq(), 1);
  EXPECT_EQ(message.wire_format(), "json");
  EXPECT_EQ(message.operation(), "insert");
  EXPECT_EQ(message.key(), "{\"id\":1}");
  EXPECT_THAT(message.payload(), HasSubstr("\"operation\":\"insert\""));
  EXPECT_EQ(message.delivery(), 1);
  EXPECT_EQ(message.committed_at().seconds(), 1700000000);
  EXPECT_EQ(message.committed_at().nanos(), 123456000);
  EXPECT_NEAR(static_cast<double>(message.created_at().seconds()),
              absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch()), 3600);
  int64_t count = 0;
  ASSERT_TRUE(Ack({1, 3, 5}, &count).ok());
  EXPECT_EQ(count, 2);
  EXPECT_EQ(Ids(PullRequest()), (std::vector<int64_t>{4, 5}));
  v1::StreamReplayRequest replay;
  replay.set_stream("orders");
  replay.set_consumer_group("g");
  replay.set_from_lsn("0/10");
  ASSERT_TRUE(Replay(replay, &count).ok());
  EXPECT_EQ(count, 5);
  EXPECT_EQ(Ids(PullRequest()).size(), 5u);
  replay.clear_from_lsn();
  replay.mutable_since()->set_seconds(absl::ToUnixSeconds(absl::Now()) - 86400);
  ASSERT_TRUE(Replay(replay, &count).ok());
  EXPECT_EQ(count, 5);
  replay.mutable_since()->set_seconds(absl::ToUnixSeconds(absl::Now()) + 86400);
  ASSERT_TRUE(Replay(replay, &count).ok());
  EXPECT_EQ(count, 0);
  EXPECT_TRUE(Ids(PullRequest()).empty());
}

TEST_F(StreamServiceTest, APullWaitsForMessages) {
  AddFlow("orders");
  for (const bool made : {false, true}) {
    SCOPED_TRACE(made ? "the stream is there" : "it is not");
    std::thread writer([this] {
      // The pull may have begun or not.
      absl::SleepFor(absl::Milliseconds(50));
      Append(2);
    });
    EXPECT_FALSE(Ids(PullRequest(60'000)).empty());
    writer.join();
    while (!Ids(PullRequest()).empty()) {
    }
  }
}

TEST_F(StreamServiceTest, APullWaitsForWhatADeadConsumerHas) {
  AddFlow("orders");
  Append(2);
  v1::StreamPullRequest request = PullRequest(60'000);
  request.set_visibility_timeout_seconds(1);
  EXPECT_EQ(Ids(request).size(), 2u);
  v1::StreamPullResponse response;
  ASSERT_TRUE(Pull(request, &response).ok());
  ASSERT_EQ(response.messages_size(), 2);
  EXPECT_EQ(response.messages(0).delivery(), 2);
}

TEST_F(StreamServiceTest, ANoticeThatIsNotTrueWakesOnce) {
  AddFlow("orders");
  Append(1);
  EXPECT_EQ(Ids(PullRequest()).size(), 1u);
  std::thread other([this] {
    auto sql = MustConnect(dsn_);
    for (int i = 0; i < 20; ++i) {
      MustExecute(*sql, "NOTIFY wallaby_stream, '1 9223372036854775807 wallaby'; NOTIFY wallaby_stream, 'nonsense'");
      absl::SleepFor(absl::Milliseconds(10));
    }
  });
  EXPECT_TRUE(Ids(PullRequest(1000)).empty());
  other.join();
  Append(1);
  EXPECT_EQ(Ids(PullRequest(60'000)).size(), 1u);
}

TEST_F(StreamServiceTest, AReplayWakesWhoWaits) {
  AddFlow("orders");
  Append(3);
  EXPECT_EQ(Ids(PullRequest()).size(), 3u);
  int64_t count = 0;
  ASSERT_TRUE(Ack({1, 2, 3}, &count).ok());
  std::thread other([this] {
    absl::SleepFor(absl::Milliseconds(50));
    v1::StreamReplayRequest replay;
    replay.set_stream("orders");
    replay.set_consumer_group("g");
    replay.set_from_lsn("0/0");
    int64_t reset = 0;
    EXPECT_TRUE(Replay(replay, &reset).ok());
    EXPECT_EQ(reset, 3);
  });
  EXPECT_EQ(Ids(PullRequest(60'000)).size(), 3u);
  other.join();
}

TEST_F(StreamServiceTest, TheWaitEndsWithTheDeadlineTheCallAndTheServer) {
  AddFlow("orders");
  Append(1);
  Ids(PullRequest());
  {
    // Answered in time, though the server would wait longer.
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(4)));
    v1::StreamPullRequest request = PullRequest();
    request.clear_wait_milliseconds();
    v1::StreamPullResponse response;
    const grpc::Status status = streams_->Pull(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  // A consumer that goes leaves its place among the pulls.
  settings_.access.max_pulls = 1;
  Connect();
  {
    grpc::ClientContext context;
    std::thread canceller([&context] {
      absl::SleepFor(absl::Milliseconds(100));
      context.TryCancel();
    });
    v1::StreamPullResponse response;
    EXPECT_EQ(streams_->Pull(&context, PullRequest(60'000), &response).error_code(), StatusCode::CANCELLED);
    canceller.join();
  }
  EXPECT_TRUE(Eventually([this] {
    v1::StreamPullResponse response;
    return Pull(PullRequest(), &response).ok();
  }));
  // The server ends: it answers at once.
  std::thread ender([this] {
    absl::SleepFor(absl::Milliseconds(100));
    server_.reset();
  });
  v1::StreamPullResponse response;
  Pull(PullRequest(60'000), &response);
  ender.join();
}

TEST_F(StreamServiceTest, PullsAreBounded) {
  settings_.access.max_pulls = 1;
  Connect();
  AddFlow("orders");
  std::atomic<bool> end = false;
  std::thread waiting([&] {
    // The other one may be there first.
    while (!end) {
      v1::StreamPullResponse response;
      Pull(PullRequest(5'000), &response);
    }
  });
  grpc::Status status;
  EXPECT_TRUE(Eventually([&] {
    v1::StreamPullResponse response;
    status = Pull(PullRequest(), &response);
    return status.error_code() == StatusCode::RESOURCE_EXHAUSTED;
  }));
  EXPECT_THAT(status.error_message(), HasSubstr("WALLABY_MAX_PULLS"));
  end = true;
  waiting.join();
}

TEST_F(StreamServiceTest, AnswersFitIntoAMessage) {
  settings_.access.max_message = 64 << 10;
  Connect();
  AddFlow("orders");
  Append(10, 10'000);
  EXPECT_LT(Ids(PullRequest()).size(), 4u);
  while (!Ids(PullRequest()).empty()) {
  }
  Append(1, 100'000);
  v1::StreamPullResponse response;
  const grpc::Status status = Pull(PullRequest(), &response);
  EXPECT_EQ(status.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("message 11 of stream 'orders'"));
  EXPECT_EQ(response.messages_size(), 0);
}

TEST_F(StreamServiceTest, WrongInputIsNamed) {
  AddFlow("orders");
  AddFlow("items");
  Append(1);
  const auto refused = [this](const v1::StreamPullRequest& request) {
    v1::StreamPullResponse response;
    const grpc::Status status = Pull(request, &response);
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << status.error_message();
    return status.error_message();
  };
  v1::StreamPullRequest request = PullRequest();
  request.clear_consumer_group();
  EXPECT_EQ(refused(request), "consumer_group: is missing");
  request = PullRequest();
  request.clear_stream();
  EXPECT_EQ(refused(request), "stream: is missing");
  request = PullRequest();
  request.set_max_messages(-1);
  EXPECT_THAT(refused(request), HasSubstr("max_messages: got '-1'"));
  request = PullRequest();
  request.set_visibility_timeout_seconds(-5);
  EXPECT_THAT(refused(request), HasSubstr("visibility_timeout_seconds: got '-5'"));
  request = PullRequest(-1);
  EXPECT_THAT(refused(request), HasSubstr("wait_milliseconds"));
  request = PullRequest();
  request.set_consumer_id("a\nb");
  EXPECT_THAT(refused(request), HasSubstr("consumer_id"));
  request = PullRequest();
  request.set_stream("nothing");
  v1::StreamPullResponse response;
  grpc::Status status = Pull(request, &response);
  EXPECT_EQ(status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_message(), HasSubstr("there is no stream 'nothing'; there are: items, orders"));

  v1::StreamReplayRequest replay;
  replay.set_stream("orders");
  replay.set_consumer_group("g");
  int64_t reset = 0;
  EXPECT_THAT(Replay(replay, &reset).error_message(), HasSubstr("from_lsn and since: give one of them"));
  replay.set_from_lsn("here");
  status = Replay(replay, &reset);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("from_lsn: got 'here'"));
  replay.set_from_lsn("0/10");
  replay.mutable_since();
  EXPECT_EQ(Replay(replay, &reset).error_code(), StatusCode::INVALID_ARGUMENT);
  replay.clear_from_lsn();
  replay.mutable_since()->set_seconds(int64_t{1} << 50);
  EXPECT_THAT(Replay(replay, &reset).error_message(), HasSubstr("since: got"));
}

TEST_F(StreamServiceTest, StreamsAndGroupsAreListed) {
  const std::string id = AddFlow("orders");
  AddFlow("nowhere", {{"dsn", "postgres://127.0.0.1:1/none"}});
  Append(4);
  v1::StreamPullRequest request = PullRequest();
  request.set_max_messages(3);
  Ids(request);
  {
    grpc::ClientContext context;
    v1::ListStreamsResponse list;
    ASSERT_TRUE(streams_->ListStreams(&context, {}, &list).ok());
    ASSERT_EQ(list.streams_size(), 2);
    EXPECT_EQ(list.streams(0).name(), "nowhere");
    EXPECT_NE(list.streams(0).error(), "");
    EXPECT_EQ(list.streams(1).name(), "orders");
    EXPECT_EQ(list.streams(1).first_id(), 1);
    EXPECT_EQ(list.streams(1).last_id(), 4);
    EXPECT_GT(list.streams(1).bytes(), 100);
    EXPECT_EQ(list.streams(1).groups(), 1);
    EXPECT_EQ(list.streams(1).error(), "");
  }
  v1::ListStreamGroupsRequest of;
  of.set_stream("orders");
  {
    grpc::ClientContext context;
    v1::ListStreamGroupsResponse list;
    ASSERT_TRUE(streams_->ListStreamGroups(&context, of, &list).ok());
    ASSERT_EQ(list.groups_size(), 1);
    EXPECT_EQ(list.groups(0).consumer_group(), "g");
    EXPECT_EQ(list.groups(0).lag_messages(), 4);
    EXPECT_GT(list.groups(0).lag_seconds(), 0);
    EXPECT_EQ(list.groups(0).in_flight(), 3);
    EXPECT_EQ(list.groups(0).next_id(), 4);
  }
  {
    StreamCatalog catalog(store_.get(), "");
    StreamLag lag(&catalog, absl::Milliseconds(100));
    const Labels labels = {{"stream", "orders"}, {"consumer_group", "g"}};
    MetricRegistry& metrics = MetricRegistry::Process();
    EXPECT_TRUE(Eventually([&] { return metrics.GetGauge(kStreamLagMessages, labels).value() == 4; }));
    EXPECT_GT(metrics.GetGauge(kStreamLagSeconds, labels).value(), 0);
    const auto erase = [&] {
      grpc::ClientContext context;
      v1::DeleteStreamGroupRequest request;
      request.set_stream("orders");
      request.set_consumer_group("g");
      v1::DeleteStreamGroupResponse response;
      return streams_->DeleteStreamGroup(&context, request, &response);
    };
    EXPECT_TRUE(erase().ok());
    EXPECT_EQ(erase().error_code(), StatusCode::NOT_FOUND);
    EXPECT_TRUE(Eventually([&] { return std::isnan(metrics.GetGauge(kStreamLagMessages, labels).value()); }));
  }
}

TEST_F(StreamServiceTest, TheFlowShowsWhoReadsItsStreams) {
  const std::string id = AddFlow("orders");
  AddFlow("nowhere", {{"dsn", "postgres://127.0.0.1:1/none"}});
  Append(4);
  v1::StreamPullRequest request = PullRequest();
  request.set_max_messages(3);
  Ids(request);
  request.set_consumer_group("fast");
  request.set_max_messages(4);
  int64_t acked = 0;
  const std::vector<int64_t> ids = Ids(request);
  {
    grpc::ClientContext context;
    v1::StreamAckRequest ack;
    ack.set_stream("orders");
    ack.set_consumer_group("fast");
    ack.mutable_ids()->Add(ids.begin(), ids.end());
    v1::StreamAckResponse response;
    ASSERT_TRUE(streams_->Ack(&context, ack, &response).ok());
    acked = response.acked();
  }
  EXPECT_EQ(acked, 4);
  MustExecute(*sql_, "UPDATE wallaby.stream_1 SET created_at = created_at - interval '10 minutes'");
  Connect();  // a server looks when it starts
  v1::Flow flow;
  EXPECT_TRUE(Eventually([&] { return Get(id, &flow).ok() && flow.stream_readers_size() > 0; }));
  ASSERT_EQ(flow.stream_readers_size(), 2);
  const v1::StreamReader& reader = flow.stream_readers(0);
  EXPECT_EQ(reader.destination(), "out");
  EXPECT_EQ(reader.stream(), "orders");
  EXPECT_EQ(reader.consumer_group(), "g") << "the furthest behind is the first";
  EXPECT_EQ(reader.lag_messages(), 4);
  EXPECT_GE(reader.lag_seconds(), 600);
  EXPECT_EQ(reader.in_flight(), 3);
  EXPECT_EQ(flow.stream_readers(1).consumer_group(), "fast");
  EXPECT_EQ(flow.stream_readers(1).lag_messages(), 0);
  grpc::ClientContext context;
  v1::ExplainLagRequest ask;
  ask.set_flow_id(id);
  v1::LagExplanation why;
  ASSERT_TRUE(flows_->ExplainLag(&context, ask, &why).ok());
  EXPECT_THAT(why.sentence(), HasSubstr("Consumer group g of stream orders has not acknowledged 4 messages"));
  EXPECT_EQ(why.stream_readers_size(), 2);
}

TEST_F(StreamServiceTest, StreamsOfTheControlStoresDatabase) {
  // A flow that is deleted leaves its stream there.
  OpenWriter("left");
  settings_.postgres_dsn = dsn_;
  Connect();
  v1::StreamPullRequest request = PullRequest();
  request.set_stream("left");
  Append(2);
  EXPECT_EQ(Ids(request).size(), 2u);
  // Two of one name in two places.
  AddFlow("left", {{"schema", "elsewhere"}});
  EXPECT_TRUE(Eventually([&] {
    v1::StreamPullResponse response;
    return Pull(request, &response).error_code() == StatusCode::FAILED_PRECONDITION;
  }));
}

TEST_F(StreamServiceTest, ADsnIsRequiredWithoutAStoreInPostgres) {
  v1::Flow flow = MakeFlow("Shop");
  flow.clear_destinations();
  v1::Endpoint* out = flow.add_destinations();
  out->set_name("out");
  out->set_type(v1::ENDPOINT_TYPE_PGSTREAM);
  (*out->mutable_options())["stream"] = "orders";
  grpc::ClientContext context;
  v1::CreateFlowRequest request;
  *request.mutable_flow() = flow;
  v1::Flow created;
  const grpc::Status status = flows_->CreateFlow(&context, request, &created);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("option dsn of destination 'out' is missing"));
}

// Consumers that die, and time that runs out: every message is acknowledged in the end, and by nobody twice.
TEST_F(StreamServiceTest, ConsumersThatDie) {
  constexpr int kMessages = 2000;
  AddFlow("orders");
  Append(1);
  std::mutex mutex;
  std::map<int64_t, int> acked;
  const auto consume = [&](unsigned number) {
    std::mt19937 random(number);
    const auto stub = v1::StreamService::NewStub(channel_);
    while (true) {
      {
        std::lock_guard lock(mutex);
        if (acked.size() == kMessages) return;
      }
      grpc::ClientContext context;
      v1::StreamPullRequest request = PullRequest(200);
      request.set_max_messages(static_cast<int>(1 + random() % 200));
      request.set_visibility_timeout_seconds(2);
      v1::StreamPullResponse response;
      const grpc::Status status = stub->Pull(&context, request, &response);
      ASSERT_TRUE(status.ok()) << status.error_message();
      if (random() % 8 == 0) continue;  // it died
      std::vector<int64_t> ids;
      for (const auto& message : response.messages()) ids.push_back(message.id());
      int64_t count = 0;
      ASSERT_TRUE(Ack(ids, &count).ok());
      // Where its time ran out, another may have had some first.
      std::lock_guard lock(mutex);
      for (const int64_t id : ids) ++acked[id];
    }
  };
  std::vector<std::thread> consumers;
  for (unsigned i = 0; i < 3; ++i) consumers.emplace_back(consume, i);
  for (int written = 1; written < kMessages;) {
    const int count = std::min(97, kMessages - written);
    Append(count);
    written += count;
  }
  for (std::thread& consumer : consumers) consumer.join();
  EXPECT_EQ(MustQuery(*sql_, "SELECT next_id FROM wallaby.stream_groups"), absl::StrCat(kMessages + 1));
  EXPECT_EQ(MustQuery(*sql_, "SELECT count(*) FROM wallaby.stream_claims"), "0");
}

}  // namespace
}  // namespace wallaby

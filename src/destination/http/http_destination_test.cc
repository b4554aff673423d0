#include "destination/http/http_destination.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "codec/test_batches.h"
#include "destination/http/test_receiver.h"

namespace wallaby {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

class Letters final : public DeadLetterSink {
 public:
  absl::Status Keep(const DeadLetter& letter) override {
    std::lock_guard lock(mutex_);
    kept.push_back(letter);
    return absl::OkStatus();
  }
  std::vector<DeadLetter> kept;

 private:
  std::mutex mutex_;
};

class HttpDestinationTest : public testing::Test {
 protected:
  std::unique_ptr<Destination> Make(std::map<std::string, std::string> options) {
    DestinationConfig config;
    // What was acknowledged is remembered by these two.
    config.flow_id = testing::UnitTest::GetInstance()->current_test_info()->name();
    config.name = "hook";
    options.insert(
        {{"payload_mode", "record_json"}, {"backoff_base", "1ms"}, {"backoff_max", "2ms"}, {"max_retries", "3"}});
    config.options = std::move(options);
    config.dead_letters = &letters_;
    auto made = MakeHttpDestination(config);
    EXPECT_TRUE(made.ok()) << made.status();
    if (!made.ok()) return nullptr;
    EXPECT_TRUE((*made)->Open().ok());
    return *std::move(made);
  }
  static absl::Status WriteAll(Destination& destination, const ChangeBatch& batch) {
    if (absl::Status status = destination.Write(batch); !status.ok()) return status;
    return destination.Commit({});
  }
  Letters letters_;
};

TestBatch Rows(int count, int keys) {
  TestBatch test;
  for (int i = 0; i < count; ++i) test.Update({std::to_string(i % keys), "1.00", std::to_string(i)});
  return test;
}

TEST_F(HttpDestinationTest, SendsEachRecordAndWaitsForItsAnswer) {
  TestReceiver receiver;
  const auto destination = Make({{"url", receiver.url("/{schema}/{table}")}});
  EXPECT_FALSE(destination->capabilities().keeps_progress);
  ASSERT_TRUE(WriteAll(*destination, Rows(3, 3).batch()).ok());
  const auto requests = receiver.requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[0].path, "/shop/orders");
  EXPECT_EQ(Json::parse(requests[2].body)["after"]["note"], "2");
}

TEST_F(HttpDestinationTest, KeepsTheOrderOfAKeySideBySide) {
  std::mutex mutex;
  std::map<std::string, std::vector<int>> by_key;
  int under_way = 0, most = 0;
  TestReceiver receiver([&](const httplib::Request& request, httplib::Response& response, int count) {
    {
      std::lock_guard lock(mutex);
      most = std::max(most, ++under_way);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(count % 3));
    if (count % 5 == 0) response.status = 503;  // a retry must not be overtaken
    const Json record = Json::parse(request.body);
    std::lock_guard lock(mutex);
    --under_way;
    if (response.status == 200) by_key[record["key"].dump()].push_back(record["seq"]);
  });
  const auto destination = Make({{"url", receiver.url()}, {"parallelism", "8"}, {"max_retries", "20"}});
  TestBatch test = Rows(200, 10);
  test.Truncate();
  const absl::Status status = WriteAll(*destination, test.batch());
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(by_key.size(), 11u);
  size_t all = 0;
  int newest = 0;
  for (const auto& [key, seqs] : by_key) {
    EXPECT_TRUE(std::is_sorted(seqs.begin(), seqs.end())) << key;
    all += seqs.size();
    newest = std::max(newest, seqs.back());
  }
  EXPECT_EQ(all, 201u);
  EXPECT_EQ(newest, 200);
  EXPECT_GT(most, 1);
  EXPECT_EQ(Json::parse(receiver.requests().back().body)["operation"], "truncate");
}

TEST_F(HttpDestinationTest, WireIsOneRequestATable) {
  TestReceiver receiver;
  const auto destination = Make({{"url", receiver.url()}, {"payload_mode", "wire"}});
  TestBatch test = Rows(10, 3);
  test.Use(TestRelation({{"id", 20}}, 1, "customers")).Insert({"1"});
  ASSERT_TRUE(WriteAll(*destination, test.batch()).ok());
  const auto requests = receiver.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].get_header_value("X-Wallaby-Records"), "10");
  EXPECT_EQ(requests[0].get_header_value("Content-Type"), "application/x-ndjson");
  EXPECT_EQ(requests[1].get_header_value("X-Wallaby-Table"), "customers");
}

TEST_F(HttpDestinationTest, AfterAFailureOnlyWhatWasNotAnsweredComesAgain) {
  std::atomic<bool> broken = true;
  TestReceiver receiver([&](const httplib::Request& request, httplib::Response& response, int) {
    if (broken && Json::parse(request.body)["seq"] == 5) response.status = 500;
  });
  auto destination = Make({{"url", receiver.url()}});
  const TestBatch test = Rows(10, 3);
  const absl::Status failed = WriteAll(*destination, test.batch());
  EXPECT_TRUE(absl::IsUnavailable(failed)) << failed;
  EXPECT_THAT(std::string(failed.message()), HasSubstr("table shop.orders, position 0/16B3748:5 (update)"));
  // The worker makes it anew, and sends from the checkpoint.
  destination.reset();
  broken = false;
  destination = Make({{"url", receiver.url()}});
  ASSERT_TRUE(WriteAll(*destination, test.batch()).ok());
  std::map<std::string, int> taken;
  for (const auto& request : receiver.requests()) ++taken[request.get_header_value("Idempotency-Key")];
  EXPECT_EQ(taken.size(), 10u);
  for (const auto& [key, count] : taken) EXPECT_EQ(count, key.find("-00000005-") == key.npos ? 1 : 5) << key;
}

TEST_F(HttpDestinationTest, WithoutAWindowAllComesAgainUnderTheSameKeys) {
  TestReceiver receiver;
  const TestBatch test = Rows(4, 2);
  for (int i = 0; i < 2; ++i) {
    const auto destination = Make({{"url", receiver.url()}, {"dedupe_window", "0"}});
    ASSERT_TRUE(WriteAll(*destination, test.batch()).ok());
  }
  std::map<std::string, int> taken;
  for (const auto& request : receiver.requests()) ++taken[request.get_header_value("Idempotency-Key")];
  EXPECT_EQ(taken.size(), 4u);
  for (const auto& [key, count] : taken) EXPECT_EQ(count, 2);
}

TEST_F(HttpDestinationTest, ALostAnswerIsARequestMore) {
  // The receiver takes it, and the worker does not hear of it in time.
  TestReceiver receiver([](const httplib::Request&, httplib::Response&, int count) {
    if (count == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  });
  const auto destination = Make({{"url", receiver.url()}, {"timeout", "500ms"}, {"max_retries", "10"}});
  ASSERT_TRUE(WriteAll(*destination, Rows(1, 1).batch()).ok());
  const auto requests = receiver.requests();
  ASSERT_GE(requests.size(), 2u);
  EXPECT_EQ(requests[0].get_header_value("Idempotency-Key"), requests[1].get_header_value("Idempotency-Key"));
  EXPECT_EQ(requests[0].body, requests[1].body);
}

TEST_F(HttpDestinationTest, RejectedBecomesADeadLetterThatCanBeSentAgain) {
  std::atomic<bool> picky = true;
  TestReceiver receiver([&](const httplib::Request& request, httplib::Response& response, int) {
    if (picky && Json::parse(request.body)["seq"] == 1) response.status = 422;
  });
  const auto destination = Make({{"url", receiver.url()}, {"on_reject", "dead_letter"}});
  ASSERT_TRUE(WriteAll(*destination, Rows(3, 3).batch()).ok());
  ASSERT_EQ(letters_.kept.size(), 1u);
  const PushRequest& letter = letters_.kept[0].request;
  EXPECT_TRUE(absl::IsInvalidArgument(destination->Resend(letter)));
  picky = false;
  ASSERT_TRUE(destination->Resend(letter).ok());
  const auto requests = receiver.requests();
  EXPECT_EQ(requests.back().body, requests[1].body);
  EXPECT_EQ(requests.back().get_header_value("Idempotency-Key"), requests[1].get_header_value("Idempotency-Key"));
}

TEST_F(HttpDestinationTest, RejectedFailsTheFlowByDefault) {
  TestReceiver receiver([](const httplib::Request&, httplib::Response& response, int) {
    response.status = 400;
    response.set_content("bad note", "text/plain");
  });
  const auto destination = Make({{"url", receiver.url()}});
  const absl::Status status = WriteAll(*destination, Rows(1, 1).batch());
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("answered 400: bad note"));
}

TEST_F(HttpDestinationTest, ARegistryThatRefusesShowsAtTheGate) {
  std::string folder = (std::filesystem::temp_directory_path() / "wallaby-http-test.XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  TestReceiver receiver;
  const auto destination = Make({{"url", receiver.url()},
                                 {"payload_mode", "wire"},
                                 {"format", "avro"},
                                 {"schema_registry", "local"},
                                 {"schema_registry_url", folder}});
  ASSERT_TRUE(WriteAll(*destination, Rows(1, 1).batch()).ok());
  const auto change_to = [](uint32_t type) {
    SchemaChange change;
    change.after.emplace();
    change.after->relation = *TestRelation({{"id", 20}, {"total", 1700, (10 << 16 | 2) + 4}, {"note", type}}, 1);
    change.after->details.resize(3);
    return change;
  };
  EXPECT_TRUE(destination->ApplyDdl(change_to(25)).ok());
  // Text that becomes a number cannot be read by the readers that there are.
  const absl::Status refused = destination->ApplyDdl(change_to(23));
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("incompatible with the last one of subject shop.orders-value"));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace wallaby

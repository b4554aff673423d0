#include "destination/push/request_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_split.h"
#include "codec/test_batches.h"

namespace wallaby {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Emitted {
  uint64_t lane;
  QueuedRequest queued;
  const PushRequest& request() const { return queued.request; }
};

class RequestBuilderTest : public testing::Test {
 protected:
  std::vector<Emitted> Build(const ChangeBatch& batch, PushOptions options,
                             const RequestBuilder::Skip& skip = nullptr) {
    DestinationConfig config;
    config.flow_id = "f";
    config.name = "hook";
    auto codec = MakeCodec({});
    EXPECT_TRUE(codec.ok()) << codec.status();
    RequestBuilder builder(config, options, {}, codec->get(), /*remember=*/true);
    std::vector<Emitted> emitted;
    const absl::Status status = builder.Build(batch, skip, [&](uint64_t lane, QueuedRequest queued) {
      emitted.push_back({lane, std::move(queued)});
      return absl::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
    return emitted;
  }

  static PushOptions Mode(PayloadMode mode) {
    PushOptions options;
    options.payload_mode = mode;
    return options;
  }
  static std::string Suffix(const Emitted& emitted) {
    return emitted.request().key.substr(emitted.request().key.find('-'));
  }
};

TestBatch SixChanges() {
  TestBatch test;
  test.Insert({"1", "2.50", "a"})
      .Insert({"2", "2.50", "b"})
      .Update({"1", "3.00", "c"})
      .UpdateKey({"1", std::nullopt, std::nullopt}, {"3", "3.00", "c"})
      .Delete({"2", std::nullopt, std::nullopt})
      .Truncate();
  return test;
}

TEST_F(RequestBuilderTest, RecordsHaveKeysOfPositionAndOperation) {
  const TestBatch test = SixChanges();
  const auto emitted = Build(test.batch(), Mode(PayloadMode::kRecordJson));
  ASSERT_EQ(emitted.size(), 7u);
  std::vector<std::string> suffixes, operations;
  for (const Emitted& one : emitted) {
    suffixes.push_back(Suffix(one));
    operations.push_back(one.request().operation);
  }
  EXPECT_THAT(suffixes, ElementsAre("-00000000016b3748-00000000-c", "-00000000016b3748-00000001-c",
                                    "-00000000016b3748-00000002-u", "-00000000016b3748-00000003-d",
                                    "-00000000016b3748-00000003-u", "-00000000016b3748-00000004-d",
                                    "-00000000016b3748-00000005-t"));
  EXPECT_THAT(operations, ElementsAre("insert", "insert", "update", "delete", "update", "delete", "truncate"));
  EXPECT_THAT(emitted[0].request().payload, HasSubstr(R"("after":{"id":1)"));
  EXPECT_EQ(emitted[0].request().content_type, "application/json");
  EXPECT_EQ(emitted[0].request().transaction_id, 700u);
  // The same row, the same lane, whatever was done to it.
  EXPECT_EQ(emitted[0].lane, emitted[2].lane);
  EXPECT_EQ(emitted[0].lane, emitted[3].lane);
  EXPECT_EQ(emitted[1].lane, emitted[5].lane);
  EXPECT_NE(emitted[0].lane, emitted[1].lane);
  EXPECT_EQ(emitted[6].lane, RequestBuilder::kBarrier);
}

TEST_F(RequestBuilderTest, KeysAreFixedForEver) {
  // A receiver knows requests by them across versions of this program.
  TestBatch test;
  test.Insert({"1", "2.50", "a"});
  EXPECT_EQ(Build(test.batch(), Mode(PayloadMode::kRecordJson))[0].request().key,
            "c6800ae36cf98caf-00000000016b3748-00000000-c");
  EXPECT_EQ(Build(test.batch(), Mode(PayloadMode::kWire))[0].request().key,
            "c6800ae36cf98caf-00000000016b3748-00000000-00000000016b3748-00000000-b");
}

TEST_F(RequestBuilderTest, WireSendsBatchesOfOneTable) {
  TestBatch test;
  for (int i = 0; i < 5; ++i) {
    test.Use(OrdersRelation()).Insert({std::to_string(i), "1.00", "a"});
    test.Use(TestRelation({{"id", 20}}, 1, "customers")).Insert({std::to_string(i)});
  }
  // Two objects for one relation each time: as after a reconnect.
  PushOptions options = Mode(PayloadMode::kWire);
  const auto emitted = Build(test.batch(), options);
  int64_t records = 0;
  for (const Emitted& one : emitted) records += one.request().records;
  EXPECT_EQ(records, 10);

  TestBatch plain;
  for (int i = 0; i < 5; ++i) plain.Insert({std::to_string(i), "1.00", "a"});
  options.batch_records = 2;
  const auto cut = Build(plain.batch(), options);
  ASSERT_EQ(cut.size(), 3u);
  EXPECT_EQ(cut[0].request().records, 2);
  EXPECT_EQ(cut[2].request().records, 1);
  EXPECT_EQ(cut[0].request().operation, "batch");
  EXPECT_EQ(cut[0].queued.records.size(), 2u);
  EXPECT_EQ(Suffix(cut[1]), "-00000000016b3748-00000002-00000000016b3748-00000003-b");
  const std::vector<std::string> lines = absl::StrSplit(cut[0].request().payload, '\n', absl::SkipEmpty());
  EXPECT_EQ(lines.size(), 2u);
  EXPECT_EQ(cut[0].lane, cut[2].lane);
}

TEST_F(RequestBuilderTest, WireCutsByBytes) {
  TestBatch test;
  for (int i = 0; i < 8; ++i) test.Insert({std::to_string(i), "1.00", std::string(1000, 'x')});
  PushOptions options = Mode(PayloadMode::kWire);
  options.batch_bytes = 3000;
  const auto emitted = Build(test.batch(), options);
  EXPECT_EQ(emitted.size(), 4u);
  std::set<uint32_t> seqs;
  for (const Emitted& one : emitted) {
    EXPECT_LE(one.request().payload.size(), 3000u);
    for (const RecordId& record : one.queued.records) seqs.insert(record.seq);
  }
  EXPECT_EQ(seqs.size(), 8u);
  // One row may be larger than that.
  options.batch_bytes = 10;
  EXPECT_EQ(Build(test.batch(), options).size(), 8u);
}

TEST_F(RequestBuilderTest, WhatIsSkippedStandsInNoRequest) {
  TestBatch test;
  for (int i = 0; i < 5; ++i) test.Insert({std::to_string(i), "1.00", "a"});
  const auto skip = [](const RecordId& record) { return record.seq == 2; };
  const auto wire = Build(test.batch(), Mode(PayloadMode::kWire), skip);
  ASSERT_EQ(wire.size(), 2u);
  EXPECT_EQ(Suffix(wire[0]), "-00000000016b3748-00000000-00000000016b3748-00000001-b");
  EXPECT_EQ(Suffix(wire[1]), "-00000000016b3748-00000003-00000000016b3748-00000004-b");
  EXPECT_EQ(Build(test.batch(), Mode(PayloadMode::kRecordJson), skip).size(), 4u);
  EXPECT_EQ(Build(test.batch(), Mode(PayloadMode::kWal), skip).size(), 4u);
}

TEST_F(RequestBuilderTest, SnapshotsAreNamedByTheRow) {
  for (const PayloadMode mode : {PayloadMode::kWire, PayloadMode::kRecordJson, PayloadMode::kWal}) {
    TestBatch test, again, other;
    test.Read({"1", "1.00", "a"});
    again.Read({"1", "1.00", "a"});
    other.Read({"2", "1.00", "a"});
    const auto key = [&](const TestBatch& of) {
      ChangeBatch batch = of.batch();
      batch.set_snapshot_part("p");
      const auto emitted = Build(batch, Mode(mode));
      EXPECT_TRUE(emitted[0].queued.records.empty());
      return emitted[0].request().key;
    };
    EXPECT_EQ(key(test), key(again));
    EXPECT_NE(key(test), key(other));
  }
}

TEST_F(RequestBuilderTest, EqualRowsOfATableWithoutAKeyAreToldApart) {
  for (const PayloadMode mode : {PayloadMode::kRecordJson, PayloadMode::kWal}) {
    TestBatch test(TestRelation({{"a", 25}}, /*keys=*/0));
    test.Read({"same"}).Read({"same"});
    ChangeBatch batch = test.batch();
    batch.set_snapshot_part("p");
    const auto emitted = Build(batch, Mode(mode));
    ASSERT_EQ(emitted.size(), 2u);
    EXPECT_NE(emitted[0].request().key, emitted[1].request().key);
    EXPECT_EQ(emitted[0].lane, emitted[1].lane);
  }
}

TEST_F(RequestBuilderTest, WalSendsEachChangeBehindItsRelation) {
  const TestBatch test = SixChanges();
  const auto emitted = Build(test.batch(), Mode(PayloadMode::kWal));
  ASSERT_EQ(emitted.size(), 6u);
  for (const Emitted& one : emitted) EXPECT_EQ(one.request().payload[0], 'R');
  EXPECT_EQ(emitted[0].lane, emitted[2].lane);
  EXPECT_NE(emitted[0].lane, emitted[1].lane);
  EXPECT_EQ(emitted[3].lane, RequestBuilder::kBarrier);  // concerns two keys
  EXPECT_EQ(emitted[1].lane, emitted[4].lane);
  EXPECT_EQ(emitted[5].lane, RequestBuilder::kBarrier);
}

}  // namespace
}  // namespace wallaby

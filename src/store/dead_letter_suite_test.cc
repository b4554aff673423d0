#include "store/store_test_base.h"

namespace wallaby {
namespace {

DeadLetter Letter(const std::string& key, std::string payload = "{}") {
  DeadLetter letter;
  letter.destination = "hook";
  letter.reason = "answered 422: no such customer";
  letter.request = {.key = key,
                    .schema = "shop",
                    .table = "orders",
                    .operation = "update",
                    .first = {Lsn{100}, 3},
                    .last = {Lsn{100}, 4294967295u},
                    .transaction_id = 4294967295u,
                    .records = 2,
                    .payload_mode = "wire",
                    .format = WireFormat::kAvro,
                    .content_type = "application/x-ndjson",
                    .payload = std::move(payload)};
  return letter;
}

TEST_P(StoreTest, DeadLettersAreKeptByKey) {
  const auto store = Open();
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  const std::string bytes("\0\xff bytes\n", 10);
  ASSERT_STATUS_OK(store->PutDeadLetter("a", Letter("k1", bytes)));
  ASSERT_STATUS_OK(store->PutDeadLetter("a", Letter("k2")));
  DeadLetter again = Letter("k1", bytes);
  again.reason = "answered 400";
  ASSERT_STATUS_OK(store->PutDeadLetter("a", again));
  EXPECT_EQ(*store->CountDeadLetters("a"), 2);

  const auto listed = store->DeadLetters("a", "", 0, 10);
  ASSERT_TRUE(listed.ok()) << listed.status();
  ASSERT_EQ(listed->size(), 2u);
  const StoredDeadLetter& first = listed->front();
  EXPECT_EQ(first.letter.reason, "answered 400");
  EXPECT_EQ(first.letter.request.payload, "");
  EXPECT_EQ(first.bytes, 10);
  EXPECT_LT(first.id, listed->back().id);
  EXPECT_EQ(store->DeadLetters("a", "", first.id, 10)->size(), 1u);
  EXPECT_EQ(store->DeadLetters("a", "hook", 0, 1)->size(), 1u);
  EXPECT_EQ(store->DeadLetters("a", "other", 0, 10)->size(), 0u);

  const auto got = store->GetDeadLetter("a", first.id);
  ASSERT_TRUE(got.ok()) << got.status();
  const PushRequest& request = got->letter.request;
  EXPECT_EQ(request.payload, bytes);
  EXPECT_EQ(request.key, "k1");
  EXPECT_EQ(request.table, "orders");
  EXPECT_EQ(request.first, (Position{Lsn{100}, 3}));
  EXPECT_EQ(request.last, (Position{Lsn{100}, 4294967295u}));
  EXPECT_EQ(request.transaction_id, 4294967295u);
  EXPECT_EQ(request.records, 2);
  EXPECT_EQ(request.format, WireFormat::kAvro);
  EXPECT_EQ(request.content_type, "application/x-ndjson");

  ASSERT_STATUS_OK(store->DeleteDeadLetter("a", first.id));
  EXPECT_FAILS(store->GetDeadLetter("a", first.id).status(), kNotFound, "no dead letter");
  EXPECT_EQ(*store->CountDeadLetters("a"), 1);
  ASSERT_STATUS_OK(store->DeleteFlow("a"));
  EXPECT_EQ(*store->CountDeadLetters("a"), 0);
  EXPECT_FAILS(store->PutDeadLetter("a", Letter("k3")), kNotFound, "'a'");
  EXPECT_FAILS(store->DeadLetters("a", "", 0, 10).status(), kNotFound, "'a'");
}

TEST_P(StoreTest, DeadLettersAreBoundedInBytes) {
  const auto store = Open();
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  ASSERT_STATUS_OK(store->PutDeadLetter("a", Letter("k1")));
  const auto database = GetParam().open_database(place_.where);
  ASSERT_TRUE(database.ok()) << database.status();
  ASSERT_STATUS_OK((*database)->Transact(SqlAccess::kWrite, [](SqlSession& session) {
    return session.Query("UPDATE @dead_letters SET bytes = $1", {kMostDeadLetterBytes - 3}).status();
  }));
  EXPECT_FAILS(store->PutDeadLetter("a", Letter("k2", "four")), kFailedPrecondition, "dead-letter replay");
  ASSERT_STATUS_OK(store->PutDeadLetter("a", Letter("k2", "two")));
  EXPECT_EQ(*store->CountDeadLetters("a"), 2);
}

TEST_P(StoreTest, DeadLettersAreSealedWhereThereIsAKey) {
  setenv("WALLABY_SECRET_KEY", std::string(64, 'a').c_str(), 1);
  {
    const auto store = Open();
    ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
    ASSERT_STATUS_OK(store->PutDeadLetter("a", Letter("k1", "geheim")));
    const int64_t id = store->DeadLetters("a", "", 0, 1)->front().id;
    EXPECT_EQ(store->GetDeadLetter("a", id)->letter.request.payload, "geheim");
  }
  const auto database = GetParam().open_database(place_.where);
  ASSERT_TRUE(database.ok()) << database.status();
  ASSERT_STATUS_OK((*database)->Transact(SqlAccess::kRead, [](SqlSession& session) -> absl::Status {
    const auto rows = session.Query("SELECT payload FROM @dead_letters");
    if (!rows.ok()) return rows.status();
    EXPECT_THAT(rows->Text(0, 0), testing::StartsWith("wallaby-sealed:"));
    return absl::OkStatus();
  }));
}

}  // namespace
}  // namespace wallaby

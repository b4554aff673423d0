// Keys that change, are lost, or are missing, and definitions that cannot be read.
#include "store/store_test_base.h"

namespace wallaby {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

void UseKey(char digit) {
  setenv("WALLABY_SECRET_KEY", std::string(64, digit).c_str(), 1);
}

// As somebody who may write to the store.
void Execute(SqlDatabase& database, const std::string& statement, const std::vector<SqlValue>& params = {}) {
  ASSERT_STATUS_OK(
      database.Transact(SqlAccess::kWrite, [&](SqlSession& s) { return s.Query(statement, params).status(); }));
}

std::string Definition(SqlDatabase& database, const std::string& id) {
  std::string text;
  const absl::Status status = database.Transact(SqlAccess::kRead, [&](SqlSession& s) -> absl::Status {
    const auto rows = s.Query("SELECT definition FROM @flows WHERE id = $1", {id});
    if (rows.ok() && !rows->empty()) text = rows->Text(0, 0);
    return rows.status();
  });
  EXPECT_TRUE(status.ok()) << status;
  return text;
}

TEST_P(StoreTest, TheFirstKeySealsWhatIsThereOnce) {
  auto database = *GetParam().open_database(place_.where);
  ASSERT_STATUS_OK(Open()->CreateFlow(TestFlow("a")));
  UseKey('5');
  int sealed = 0;
  {
    const auto store = *TryOpen(KeyUse::kAdopt, &sealed);
    EXPECT_EQ(sealed, 1);
    EXPECT_EQ(store->GetFlow("a")->flow, TestFlow("a"));
  }
  EXPECT_THAT(Definition(*database, "a"), StartsWith("wallaby-sealed:"));
  ASSERT_TRUE(TryOpen(KeyUse::kAdopt, &sealed).ok());
  EXPECT_EQ(sealed, 0);
  // From now on, one in clear is somebody else's.
  Execute(*database, "UPDATE @flows SET definition = $1 WHERE id = 'a'", {FlowToJson(TestFlow("a"))});
  for (const KeyUse use : {KeyUse::kCheck, KeyUse::kAdopt, KeyUse::kReplace}) {
    const auto store = *TryOpen(use, &sealed);
    EXPECT_EQ(sealed, 0);
    EXPECT_FAILS(store->GetFlow("a").status(), kFailedPrecondition, "is not sealed with WALLABY_SECRET_KEY");
  }
  const auto store = Open();
  ASSERT_STATUS_OK(store->UpdateFlow(TestFlow("a")));
  EXPECT_EQ(store->GetFlow("a")->flow, TestFlow("a"));
}

// Workers do not adopt a key: who can write to the store could have them seal anything.
TEST_P(StoreTest, OnlyWhoAdoptsTheKeySeals) {
  auto database = *GetParam().open_database(place_.where);
  ASSERT_STATUS_OK(Open()->CreateFlow(TestFlow("a")));
  UseKey('5');
  EXPECT_FAILS(Open()->GetFlow("a").status(), kFailedPrecondition, "is not sealed");
  EXPECT_THAT(Definition(*database, "a"), Not(StartsWith("wallaby-sealed:")));
}

TEST_P(StoreTest, AnotherKeyOrNoneIsRefused) {
  UseKey('5');
  ASSERT_STATUS_OK((*TryOpen(KeyUse::kAdopt))->CreateFlow(TestFlow("a")));
  for (const KeyUse use : {KeyUse::kCheck, KeyUse::kAdopt}) {
    UseKey('6');
    EXPECT_FAILS(TryOpen(use).status(), kFailedPrecondition, "is not the key that its flows are sealed with");
    EXPECT_FAILS(TryOpen(use).status(), kFailedPrecondition, "WALLABY_SECRET_KEY_LOST=true");
    unsetenv("WALLABY_SECRET_KEY");
    EXPECT_FAILS(TryOpen(use).status(), kFailedPrecondition, "no key is set");
  }
  UseKey('5');
  EXPECT_TRUE(Open()->GetFlow("a").ok());
}

// A store of a version that left no mark.
TEST_P(StoreTest, WithoutAMarkTheSealedFlowsTellTheKey) {
  auto database = *GetParam().open_database(place_.where);
  UseKey('5');
  ASSERT_STATUS_OK((*TryOpen(KeyUse::kAdopt))->CreateFlow(TestFlow("a")));
  Execute(*database, "DELETE FROM @key_mark");
  UseKey('6');
  EXPECT_FAILS(TryOpen(KeyUse::kAdopt).status(), kFailedPrecondition, "is not the key that its flows are sealed with");
  UseKey('5');
  EXPECT_TRUE((*TryOpen(KeyUse::kAdopt))->GetFlow("a").ok());
  UseKey('6');
  EXPECT_FALSE(TryOpen(KeyUse::kAdopt).ok());
}

TEST_P(StoreTest, AfterALostKeyFlowsAreReplacedOrDeleted) {
  UseKey('5');
  {
    const auto store = *TryOpen(KeyUse::kAdopt);
    for (const char* id : {"a", "b"}) ASSERT_STATUS_OK(store->CreateFlow(TestFlow(id)));
    ASSERT_STATUS_OK(store->Transition("b", {}, FlowState::kPaused, "operator"));
    ASSERT_STATUS_OK(store->PutCheckpoint("a", {Lsn{7}}, 0));
  }
  UseKey('6');
  const auto store = *TryOpen(KeyUse::kReplace);
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("c")));
  const auto listed = store->ListFlows("", 10).value();
  ASSERT_EQ(listed.size(), 3u);
  EXPECT_EQ(listed[1].flow.id, "b");
  EXPECT_EQ(listed[1].flow.name, "Flow b");
  EXPECT_EQ(listed[1].state, FlowState::kPaused);
  EXPECT_EQ(listed[1].reason, "operator");
  EXPECT_FAILS(listed[1].definition, kFailedPrecondition, "define the flow anew");
  EXPECT_TRUE(listed[2].definition.ok());
  EXPECT_EQ(listed[2].flow, TestFlow("c"));
  EXPECT_FAILS(store->GetFlow("a").status(), kFailedPrecondition, "cannot be decrypted");
  EXPECT_EQ(store->FindFlow("a")->flow.id, "a");
  ASSERT_STATUS_OK(store->Ping());
  // With its whole definition it goes on from where it was.
  ASSERT_STATUS_OK(store->UpdateFlow(TestFlow("a")));
  EXPECT_EQ(store->GetFlow("a")->flow, TestFlow("a"));
  EXPECT_EQ((*store->GetCheckpoint("a"))->lsn, Lsn{7});
  ASSERT_STATUS_OK(store->DeleteFlow("b"));
  // The new key is the store's now.
  EXPECT_TRUE((*TryOpen(KeyUse::kAdopt))->GetFlow("a").ok());
  UseKey('5');
  EXPECT_FALSE(TryOpen(KeyUse::kAdopt).ok());
  // And so is none.
  unsetenv("WALLABY_SECRET_KEY");
  const auto open = *TryOpen(KeyUse::kReplace);
  EXPECT_FAILS(open->GetFlow("a").status(), kFailedPrecondition, "set WALLABY_SECRET_KEY");
  ASSERT_STATUS_OK(open->UpdateFlow(TestFlow("a")));
  EXPECT_TRUE(Open()->GetFlow("a").ok());
}

TEST_P(StoreTest, OneDamagedFlowHidesNoOther) {
  auto database = *GetParam().open_database(place_.where);
  UseKey('5');
  const auto store = *TryOpen(KeyUse::kAdopt);
  for (const char* id : {"a", "b"}) ASSERT_STATUS_OK(store->CreateFlow(TestFlow(id)));
  for (const char* text : {"wallaby-sealed:1:AAAA", "{}", "", "{\"id\": \"a\"}"}) {
    Execute(*database, "UPDATE @flows SET definition = $1 WHERE id = 'a'", {text});
    const auto listed = store->ListFlows("", 10).value();
    ASSERT_EQ(listed.size(), 2u) << text;
    EXPECT_FALSE(listed[0].definition.ok()) << text;
    EXPECT_TRUE(listed[1].definition.ok()) << text;
  }
  Execute(*database, "UPDATE @flows SET state = 'nowhere' WHERE id = 'b'");
  EXPECT_FALSE(store->ListFlows("", 10)->at(1).definition.ok());
}

}  // namespace
}  // namespace wallaby

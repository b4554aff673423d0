#include "store/stores.h"

#include <filesystem>

#include "store/store_test_base.h"

namespace wallaby {
namespace {

class StoresTest : public ::testing::Test {
 protected:
  void SetUp() override {
    unsetenv("WALLABY_SECRET_KEY");
    std::string folder = ::testing::TempDir() + "/wallaby-stores-XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    settings_.data_dir = folder;
  }
  void TearDown() override { std::filesystem::remove_all(settings_.data_dir); }
  Settings settings_;
};

TEST_F(StoresTest, OneDatabaseUnlessAnotherIsNamed) {
  for (const char* backend : {"", "sqlite"}) {
    settings_.checkpoint_backend = backend;
    auto stores = OpenStores(settings_);
    ASSERT_TRUE(stores.ok()) << stores.status();
    EXPECT_FALSE(std::filesystem::exists(settings_.data_dir + "/checkpoints.db"));
  }
  EXPECT_TRUE(std::filesystem::exists(settings_.data_dir + "/wallaby.db"));
}

TEST_F(StoresTest, SettingsThatDoNotFit) {
  settings_.checkpoint_path = "/x";
  EXPECT_FAILS(OpenStores(settings_).status(), kInvalidArgument, "WALLABY_CHECKPOINT_BACKEND");
  settings_.checkpoint_backend = "postgres";
  EXPECT_FAILS(OpenStores(settings_).status(), kInvalidArgument, "WALLABY_CHECKPOINT_DSN");
}

TEST_F(StoresTest, CheckpointsElsewhereAreFencedAndGoWithTheirFlow) {
  settings_.checkpoint_backend = "sqlite";
  settings_.checkpoint_path = settings_.data_dir + "/elsewhere/c.db";
  auto stores = *OpenStores(settings_);
  ControlStore& store = *stores.control;
  EXPECT_FAILS(store.PutCheckpoint("a", {Lsn{1}}, 0), kNotFound, "'a'");
  ASSERT_STATUS_OK(store.CreateFlow(TestFlow("a")));
  const auto first = store.AcquireLease("a", "w1", absl::ZeroDuration());
  ASSERT_STATUS_OK(store.PutCheckpoint("a", {Lsn{10}}, first->generation));
  EXPECT_FAILS(store.PutCheckpoint("a", {Lsn{9}}, first->generation), kFailedPrecondition, "0/A");
  const auto second = store.AcquireLease("a", "w2", absl::ZeroDuration());
  EXPECT_FAILS(store.PutCheckpoint("a", {Lsn{11}}, first->generation), kFailedPrecondition, "fenced");
  ASSERT_STATUS_OK(store.PutCheckpoint("a", {Lsn{12}}, second->generation));
  EXPECT_FAILS(store.FencedBy(*first)->SetLastError("a", "old news"), kFailedPrecondition, "fenced");
  ASSERT_STATUS_OK(store.FencedBy(*second)->SetLastError("a", "news"));
  EXPECT_EQ((*store.FencedBy(*first)->GetCheckpoint("a"))->lsn, Lsn{12});
  // Given back, the lease says nothing any more; the other database remembers.
  ASSERT_STATUS_OK(store.ReleaseLease(*second));
  EXPECT_FAILS(store.PutCheckpoint("a", {Lsn{13}}, first->generation), kFailedPrecondition, "fenced");
  EXPECT_EQ((*store.GetCheckpoint("a"))->lsn, Lsn{12});
  EXPECT_EQ(store.ListCheckpoints()->size(), 1u);
  EXPECT_EQ((*(*OpenSqliteStore(settings_.data_dir + "/wallaby.db"))->GetCheckpoint("a")).has_value(), false);
  ASSERT_STATUS_OK(store.PutCheckpoint("a", {Lsn{2}}, 0));
  ASSERT_STATUS_OK(store.DeleteFlow("a"));
  EXPECT_EQ(store.ListCheckpoints()->size(), 0u);
  EXPECT_FAILS(store.DeleteFlow("a"), kNotFound, "'a'");
}

}  // namespace
}  // namespace wallaby

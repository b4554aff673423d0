#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "absl/time/clock.h"
#include "store/store_test_base.h"

namespace wallaby {
namespace {

StorePlace NewFolder() {
  std::string folder = ::testing::TempDir() + "/wallaby-store-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) abort();
  std::shared_ptr<void> keep(nullptr, [folder](void*) {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  });
  return {folder + "/data/control.db", keep};
}

INSTANTIATE_TEST_SUITE_P(Sqlite, StoreTest,
                         ::testing::Values(StoreKind{"Sqlite", NewFolder, OpenSqliteStore, OpenSqliteDatabase}));

mode_t Mode(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 0777;
}

TEST(SqliteStore, FilesArePrivate) {
  const StorePlace place = NewFolder();
  auto store = OpenSqliteStore(place.where);
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_STATUS_OK((*store)->CreateFlow(TestFlow("a")));
  EXPECT_EQ(Mode(place.where), 0600u);
  EXPECT_EQ(Mode(place.where + "-wal"), 0600u);
  EXPECT_EQ(Mode(std::filesystem::path(place.where).parent_path()), 0700u);
}

TEST(SqliteStore, AFileThatIsNoDatabaseIsRefusedAndKept) {
  const StorePlace place = NewFolder();
  std::filesystem::create_directories(std::filesystem::path(place.where).parent_path());
  const std::string text(5000, 'x');
  std::ofstream(place.where) << text;
  EXPECT_FAILS(OpenSqliteStore(place.where).status(), kDataLoss, place.where);
  std::ifstream in(place.where);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), text);
}

TEST(SqliteStore, AFolderThatCannotBeMadeIsNamed) {
  EXPECT_FAILS(OpenSqliteStore("/proc/nowhere/control.db").status(), kUnavailable, "/proc/nowhere");
}

TEST(SqliteStore, CheckpointsAreCheap) {
  const StorePlace place = NewFolder();
  auto store = *OpenSqliteStore(place.where);
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  const auto lease = store->AcquireLease("a", "w", absl::Minutes(5));
  const absl::Time start = absl::Now();
  constexpr int kCount = 200;
  for (int i = 1; i <= kCount; ++i) {
    ASSERT_STATUS_OK(store->PutCheckpoint("a", {Lsn{static_cast<uint64_t>(i)}}, lease->generation));
  }
  const double micros = absl::ToDoubleMicroseconds(absl::Now() - start) / kCount;
  RecordProperty("micros_per_checkpoint", static_cast<int>(micros));
  EXPECT_LT(micros, 50000);  // about one a second is needed; a slow disk's sync takes 10 ms
}

}  // namespace
}  // namespace wallaby

// The module as a program loads it: by MakeDestination(), with nothing of DuckDB linked in.
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "destination/destination.h"

namespace wallaby {
namespace {

class DuckdbModule : public testing::Test {
 protected:
  void SetUp() override { setenv("WALLABY_MODULE_DIR", WALLABY_TEST_MODULE_DIR, 1); }
};

TEST_F(DuckdbModule, LoadsAndKeepsProgress) {
  const std::string path = absl::StrCat(testing::TempDir(), "/duckdb_module_test.", getpid(), ".db");
  const DestinationConfig config{.flow_id = "f", .name = "d", .options = {{"dsn", path}}, .generation = 3};
  for (const uint64_t expected : {0u, 64u}) {
    auto destination = MakeDestination("duckdb", config);
    ASSERT_TRUE(destination.ok()) << destination.status();
    auto progress = (*destination)->Open();
    ASSERT_TRUE(progress.ok()) << progress.status();
    EXPECT_EQ(progress->commit.value, expected);
    ASSERT_TRUE((*destination)->Commit({{64}, {72}, {}}).ok());
  }
  std::filesystem::remove(path);
}

TEST_F(DuckdbModule, RefusesOptionsByItself) {
  EXPECT_TRUE(absl::IsInvalidArgument(MakeDestination("duckdb", {.options = {{"dsn", ":memory:"}}}).status()));
}

}  // namespace
}  // namespace wallaby

// What the store's tests share: the same tests run over each database that a program instantiates them with.
#ifndef WALLABY_STORE_STORE_TEST_BASE_H_
#define WALLABY_STORE_STORE_TEST_BASE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "store/control_store.h"
#include "store/sql_database.h"

namespace wallaby {

// Where a store is, for one test: the path or DSN stays good while this lives.
struct StorePlace {
  std::string where;
  std::shared_ptr<void> keep;
};

struct StoreKind {
  std::string name;
  std::function<StorePlace()> make_place;
  std::function<absl::StatusOr<std::unique_ptr<ControlStore>>(const std::string& where, KeyUse use, int* sealed)> open;
  std::function<absl::StatusOr<std::unique_ptr<SqlDatabase>>(const std::string& where)> open_database;
};
inline std::ostream& operator<<(std::ostream& out, const StoreKind& kind) {
  return out << kind.name;
}

inline Flow TestFlow(const std::string& id) {
  Flow flow;
  flow.id = id;
  flow.name = "Flow " + id;
  flow.source = {"src", "postgres", {{"dsn", "host=h"}, {"slot", "s"}, {"publication", "p"}}};
  flow.destinations = {{"lake", "duckdb", {{"dsn", "/data/x.duckdb"}}}};
  return flow;
}

class StoreTest : public ::testing::TestWithParam<StoreKind> {
 protected:
  void SetUp() override {
    unsetenv("WALLABY_SECRET_KEY");
    place_ = GetParam().make_place();
  }
  void TearDown() override { unsetenv("WALLABY_SECRET_KEY"); }
  absl::StatusOr<std::unique_ptr<ControlStore>> TryOpen(KeyUse use = KeyUse::kCheck, int* sealed = nullptr) {
    return GetParam().open(place_.where, use, sealed);
  }
  std::unique_ptr<ControlStore> Open() {
    auto store = TryOpen();
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }
  StorePlace place_;
};

// EXPECT that a Status is a failure of this code and that its message holds `text`.
#define EXPECT_FAILS(expression, expected_code, text)                        \
  do {                                                                       \
    const absl::Status failed_ = (expression);                               \
    EXPECT_EQ(failed_.code(), absl::StatusCode::expected_code) << failed_;   \
    EXPECT_THAT(std::string(failed_.message()), ::testing::HasSubstr(text)); \
  } while (false)
#define ASSERT_STATUS_OK(expression)              \
  do {                                            \
    const absl::Status status_ok_ = (expression); \
    ASSERT_TRUE(status_ok_.ok()) << status_ok_;   \
  } while (false)

}  // namespace wallaby

#endif  // WALLABY_STORE_STORE_TEST_BASE_H_

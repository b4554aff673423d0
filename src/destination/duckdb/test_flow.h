// What the tests of this folder share: relations, batches written by hand, and the destination's tables as text.
#ifndef WALLABY_DESTINATION_DUCKDB_TEST_FLOW_H_
#define WALLABY_DESTINATION_DUCKDB_TEST_FLOW_H_

#include <unistd.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "change/change_batch.h"
#include "destination/duckdb/database.h"
#include "destination/duckdb/duckdb_destination.h"

namespace wallaby {

inline constexpr uint32_t kInt4Oid = 23, kInt8Oid = 20, kTextOid = 25;

// A value of a test row: null, an unchanged TOASTed value, text or binary bytes.
struct TestValue {
  char kind = 'n';
  std::string bytes;
  TestValue() = default;
  TestValue(const char* text) : kind('t'), bytes(text) {}             // NOLINT: rows read as tables
  TestValue(std::string text) : kind('t'), bytes(std::move(text)) {}  // NOLINT
  static TestValue Binary(std::string bytes) {
    TestValue value(std::move(bytes));
    value.kind = 'b';
    return value;
  }
};
inline const TestValue kNullValue;
inline TestValue Unchanged() {
  TestValue value;
  value.kind = 'u';
  return value;
}
using TestRow = std::vector<TestValue>;

// `columns`: name and type OID; the first `keys` of them are the key.
inline std::shared_ptr<Relation> MakeRelation(std::string name, std::vector<std::pair<std::string, uint32_t>> columns,
                                              int keys = 1, std::string schema = "public") {
  auto relation = std::make_shared<Relation>();
  static uint32_t next_oid = 20000;
  relation->oid = ++next_oid;
  relation->schema = std::move(schema);
  relation->name = std::move(name);
  for (int i = 0; i < static_cast<int>(columns.size()); ++i) {
    relation->columns.push_back({columns[i].first, BuiltinType(columns[i].second, -1), i < keys});
    if (i < keys) relation->key.push_back(i);
  }
  if (keys == 0) relation->identity = ReplicaIdentity::kFull;
  return relation;
}

class TestBatch {
 public:
  explicit TestBatch(uint64_t lsn) { Begin(lsn); }
  TestBatch& Begin(uint64_t lsn) {
    batch_->AddTransaction({.commit = {lsn}, .end = {lsn + 8}, .commit_time_micros = 1700000000000000});
    seq_ = 0;
    return *this;
  }
  TestBatch& Insert(const RelationPtr& r, const TestRow& row) { return Add(ChangeKind::kInsert, r, &row, nullptr); }
  TestBatch& Read(const RelationPtr& r, const TestRow& row) { return Add(ChangeKind::kRead, r, &row, nullptr); }
  TestBatch& Update(const RelationPtr& r, const TestRow& row) { return Add(ChangeKind::kUpdate, r, &row, nullptr); }
  TestBatch& Update(const RelationPtr& r, const TestRow& old, const TestRow& row, bool old_is_key) {
    return Add(ChangeKind::kUpdate, r, &row, &old, old_is_key);
  }
  TestBatch& Delete(const RelationPtr& r, const TestRow& old) {
    return Add(ChangeKind::kDelete, r, nullptr, &old, r->has_key());
  }
  TestBatch& Truncate(const RelationPtr& r) { return Add(ChangeKind::kTruncate, r, nullptr, nullptr); }
  ChangeBatch& operator*() { return *batch_; }

 private:
  uint64_t Tuple(const TestRow& row) {
    std::string bytes;
    TupleBuilder builder(&bytes, static_cast<int>(row.size()));
    for (const TestValue& value : row) {
      if (value.kind == 'n') builder.Null();
      if (value.kind == 'u') builder.Unchanged();
      if (value.kind == 't') builder.Text(value.bytes);
      if (value.kind == 'b') builder.Binary(value.bytes);
    }
    return batch_->AddRow(bytes);
  }
  TestBatch& Add(ChangeKind kind, const RelationPtr& r, const TestRow* row, const TestRow* old,
                 bool old_is_key = false) {
    Change change;
    change.kind = kind;
    change.old_is_key = old_is_key;
    change.relation = batch_->AddRelation(r);
    change.transaction = static_cast<uint32_t>(batch_->transactions().size() - 1);
    change.seq = seq_++;
    if (row != nullptr) change.new_row = Tuple(*row);
    if (old != nullptr) change.old_row = Tuple(*old);
    batch_->AddChange(change);
    return *this;
  }

  std::shared_ptr<ChangeBatch> batch_ = std::make_shared<ChangeBatch>();
  uint32_t seq_ = 0;
};

class DuckdbTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) /
              absl::StrCat("duckdb_test.", getpid(), ".",
                           Flat(testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override {
    destination_.reset();
    std::filesystem::remove_all(folder_);
  }

  // The name of a parametrised test holds a slash.
  static std::string Flat(std::string name) {
    for (char& c : name) c = c == '/' ? '_' : c;
    return name;
  }

  std::string Path() const { return folder_ + "/test.db"; }

  std::unique_ptr<Destination> Make(std::map<std::string, std::string> options = {}, int64_t generation = 1) const {
    options.emplace("dsn", Path());
    auto made =
        DuckdbDestination::Make({.flow_id = "flow", .name = "duck", .options = options, .generation = generation});
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? std::move(*made) : nullptr;
  }

  // Makes destination_ and opens it.
  Progress Open(std::map<std::string, std::string> options = {}, int64_t generation = 1) {
    destination_.reset();
    destination_ = Make(std::move(options), generation);
    auto progress = destination_->Open();
    EXPECT_TRUE(progress.ok()) << progress.status();
    return progress.ok() ? *progress : Progress{};
  }

  void Write(TestBatch& batch) {
    const absl::Status status = destination_->Write(*batch);
    ASSERT_TRUE(status.ok()) << status;
  }
  void Commit(uint64_t lsn, std::vector<std::string> parts = {}) {
    const absl::Status status = destination_->Commit({{lsn}, {lsn + 8}, std::move(parts)});
    ASSERT_TRUE(status.ok()) << status;
  }
  void Apply(TestBatch batch) {
    Write(batch);
    const Transaction& last = (*batch).transactions().back();
    Commit(last.commit.value);
  }

  // Rows as "a|b|null", one after another; the error's text when the query fails.
  std::string Sql(const std::string& sql) const { return SqlIn(Path(), sql); }
  static std::string SqlIn(const std::string& path, const std::string& sql) {
    auto database = DuckdbDatabase::Open(path, {});
    if (!database.ok()) return std::string(database.status().message());
    auto connection = DuckdbConnection::Connect(*database);
    if (!connection.ok()) return std::string(connection.status().message());
    auto rows = (*connection)->Query(sql);
    if (!rows.ok()) return std::string(rows.status().message());
    (*connection)->Commit().IgnoreError();
    return absl::StrJoin(*rows, "\n", [](std::string* out, const DuckdbRow& row) {
      absl::StrAppend(out, absl::StrJoin(row, "|", [](std::string* cell, const std::optional<std::string>& v) {
                        cell->append(v.value_or("null"));
                      }));
    });
  }

  std::string folder_;
  std::unique_ptr<Destination> destination_;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_DUCKDB_TEST_FLOW_H_

// For the tests of this folder: batches out of rows of text, and a destination on a database of its own.
#ifndef WALLABY_DESTINATION_POSTGRES_TEST_BATCHES_H_
#define WALLABY_DESTINATION_POSTGRES_TEST_BATCHES_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "change/change_batch.h"
#include "destination/postgres/postgres_destination.h"
#include "test/support/test_postgres.h"

namespace wallaby {

using TestValue = std::optional<std::string>;  // nullopt is null
using TestRow = std::vector<TestValue>;
inline constexpr char kAbsent[] = "<absent>";
inline constexpr uint32_t kInt4 = 23, kInt8 = 20, kTextOid = 25, kBoolOid = 16;

struct TestColumn {
  std::string name;
  uint32_t oid = kTextOid;
  bool key = false;
  int32_t typmod = -1;
};

inline RelationPtr MakeRelation(const std::string& name, const std::vector<TestColumn>& columns,
                                ReplicaIdentity identity = ReplicaIdentity::kDefault, int64_t version = 1,
                                const std::string& schema = "public") {
  auto relation = std::make_shared<Relation>();
  relation->oid = 10000 + static_cast<uint32_t>(std::hash<std::string>()(schema + name) % 1000000);
  relation->version = version;
  relation->schema = schema;
  relation->name = name;
  relation->identity = identity;
  for (const TestColumn& column : columns) {
    if (column.key) relation->key.push_back(static_cast<int>(relation->columns.size()));
    relation->columns.push_back({column.name, BuiltinType(column.oid, column.typmod), column.key});
  }
  return relation;
}

// One batch with one transaction.
class TestBatch {
 public:
  // `binary`: int4, int8, bool and text values go in their binary form.
  explicit TestBatch(uint64_t lsn, bool binary = false) : binary_(binary) {
    batch_.AddTransaction({.commit = Lsn{lsn}, .end = Lsn{lsn + 1}, .commit_time_micros = 1700000000123456});
  }
  TestBatch& Insert(const RelationPtr& r, const TestRow& row) {
    return Add(r, ChangeKind::kInsert, &row, nullptr, false);
  }
  TestBatch& Read(const RelationPtr& r, const TestRow& row) { return Add(r, ChangeKind::kRead, &row, nullptr, false); }
  TestBatch& Update(const RelationPtr& r, const TestRow& row) {
    return Add(r, ChangeKind::kUpdate, &row, nullptr, false);
  }
  TestBatch& Update(const RelationPtr& r, const TestRow& row, const TestRow& old, bool old_is_key) {
    return Add(r, ChangeKind::kUpdate, &row, &old, old_is_key);
  }
  TestBatch& Delete(const RelationPtr& r, const TestRow& old, bool old_is_key = true) {
    return Add(r, ChangeKind::kDelete, nullptr, &old, old_is_key);
  }
  TestBatch& Truncate(const RelationPtr& r) { return Add(r, ChangeKind::kTruncate, nullptr, nullptr, false); }
  const ChangeBatch& get() const { return batch_; }
  ChangeBatch& mutable_batch() { return batch_; }

 private:
  static std::string BigEndian(int64_t value, int bytes) {
    std::string out;
    for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<char>(value >> (8 * i)));
    return out;
  }
  void AddValue(const std::string& value, uint32_t oid, TupleBuilder* out) const {
    if (!binary_) return out->Text(value);
    switch (oid) {
      case kInt4:
        return out->Binary(BigEndian(std::stoll(value), 4));
      case kInt8:
        return out->Binary(BigEndian(std::stoll(value), 8));
      case kBoolOid:
        return out->Binary(std::string(1, value == "t" ? '\1' : '\0'));
      case kTextOid:
        return out->Binary(value);
      default:
        return out->Text(value);
    }
  }
  uint64_t AddRow(const Relation& relation, const TestRow& row) {
    std::string tuple;
    TupleBuilder builder(&tuple, static_cast<int>(row.size()));
    for (size_t i = 0; i < row.size(); ++i) {
      if (!row[i]) {
        builder.Null();
      } else if (*row[i] == kAbsent) {
        builder.Unchanged();
      } else {
        AddValue(*row[i], relation.columns[i].type.oid, &builder);
      }
    }
    return batch_.AddRow(tuple);
  }
  TestBatch& Add(const RelationPtr& r, ChangeKind kind, const TestRow* row, const TestRow* old, bool old_is_key) {
    Change change;
    change.kind = kind;
    change.relation = batch_.AddRelation(r);
    change.seq = seq_++;
    change.old_is_key = old_is_key;
    if (row) change.new_row = AddRow(*r, *row);
    if (old) change.old_row = AddRow(*r, *old);
    batch_.AddChange(change);
    return *this;
  }

  const bool binary_;
  ChangeBatch batch_;
  uint32_t seq_ = 0;
};

// A database of its own on the shared server; WALLABY_TEST_MAJOR chooses its version.
class DestinationTest : public testing::Test {
 protected:
  DestinationTest() {
    const char* major = std::getenv("WALLABY_TEST_MAJOR");
    server_ = &TestPostgres::Shared(major ? std::atoi(major) : 15);
    dsn_ = server_->CreateDatabase();
    sql_ = MustConnect(dsn_);
  }

  std::unique_ptr<Destination> Make(std::map<std::string, std::string> options = {}, int64_t generation = 1) {
    DestinationConfig config;
    config.flow_id = "flow";
    config.name = "copy";
    config.generation = generation;
    config.options = std::move(options);
    config.options.try_emplace("dsn", dsn_);
    std::unique_ptr<Destination> destination;
    const absl::Status status = MakePostgresDestination(config, &destination);
    EXPECT_TRUE(status.ok()) << status;
    return destination;
  }
  std::unique_ptr<Destination> MakeOpen(std::map<std::string, std::string> options = {}, int64_t generation = 1) {
    auto destination = Make(std::move(options), generation);
    const auto progress = destination->Open();
    EXPECT_TRUE(progress.ok()) << progress.status();
    return destination;
  }
  // Writes and commits.
  absl::Status Deliver(Destination& destination, const TestBatch& batch) {
    absl::Status status = destination.Write(batch.get());
    if (!status.ok()) return status;
    const Transaction& last = batch.get().transactions().back();
    return destination.Commit({.commit = last.commit, .end = last.end});
  }
  // "1,a;2,null;" in order of the rows' text.
  std::string Rows(const std::string& table, const std::string& columns = "*") {
    auto rows = sql_->Query("SELECT " + columns + " FROM " + table + " t ORDER BY t::text");
    if (!rows.ok()) return rows.status().ToString();
    std::string out;
    for (int i = 0; i < rows->size(); ++i) {
      for (int c = 0; c < rows->columns(); ++c) {
        out += (c ? "," : "") + (rows->IsNull(i, c) ? std::string("null") : std::string(rows->Text(i, c)));
      }
      out += ";";
    }
    return out;
  }

  TestPostgres* server_;
  std::string dsn_;
  std::unique_ptr<PgConnection> sql_;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_POSTGRES_TEST_BATCHES_H_

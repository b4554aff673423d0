#include "test/simulation/database.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "nlohmann/json.hpp"
#include "postgres/ddl_capture_sql.h"

namespace wallaby::simulation {
namespace {

constexpr uint32_t kInt8 = 20;
constexpr uint32_t kText = 25;
constexpr int kServerMajor = 16;

PgType Type(uint32_t oid) {
  return BuiltinType(oid, -1);
}

// As the function of the DDL capture writes it (postgres/ddl_capture_sql.cc).
nlohmann::json ShapeJson(const TableShape& shape) {
  nlohmann::json columns = nlohmann::json::array();
  nlohmann::json names = nlohmann::json::array();
  for (size_t i = 0; i < shape.details.size(); ++i) {
    const ColumnDetail& detail = shape.details[i];
    const Column& column = shape.relation.columns[i];
    names.push_back(column.name);
    nlohmann::json entry = {{"num", detail.attnum},
                            {"name", column.name},
                            {"type", column.type.oid},
                            {"typmod", -1},
                            {"not_null", detail.not_null},
                            {"generated", false},
                            {"default", nullptr},
                            {"fill", nullptr},
                            {"rewritten", detail.filled_by_rewrite}};
    if (!detail.default_sql.empty()) entry["default"] = detail.default_sql;
    if (detail.fill.has_value()) entry["fill"] = *detail.fill;
    columns.push_back(std::move(entry));
  }
  return {{"oid", shape.relation.oid},
          {"schema", shape.relation.schema},
          {"name", shape.relation.name},
          {"identity", std::string(1, static_cast<char>(shape.relation.identity))},
          {"pk", {1}},
          {"ri", nullptr},
          {"columns", std::move(columns)},
          {"publications", {{kPublication, std::move(names)}}}};
}

// The one column in which the shapes differ; 0: none.
int ChangedColumn(const TableShape& before, const TableShape& after) {
  for (const TableShape* one : {&before, &after}) {
    const TableShape& other = one == &before ? after : before;
    for (size_t i = 0; i < one->details.size(); ++i) {
      const int there = other.FindAttnum(one->details[i].attnum);
      const bool same = there >= 0 && other.details[there] == one->details[i] &&
                        other.relation.columns[there] == one->relation.columns[i];
      if (!same) return one->details[i].attnum;
    }
  }
  return 0;
}

}  // namespace

int64_t KeyOf(const Values& values) {
  int64_t key = 0;
  WALLABY_CHECK(absl::SimpleAtoi(*values[0], &key), "keys are integers");
  return key;
}

void AddColumn(TableShape* shape, const std::string& name, ColumnDetail detail) {
  const bool full = shape->relation.identity == ReplicaIdentity::kFull;
  shape->relation.columns.push_back({name, Type(detail.attnum == 1 ? kInt8 : kText), full || detail.attnum == 1});
  shape->details.push_back(std::move(detail));
}

TableShape FirstShape(uint32_t oid, const std::string& name, bool full_identity) {
  TableShape shape;
  shape.relation.oid = oid;
  shape.relation.schema = "public";
  shape.relation.name = name;
  shape.relation.identity = full_identity ? ReplicaIdentity::kFull : ReplicaIdentity::kDefault;
  shape.relation.key = {0};
  AddColumn(&shape, "id", {.attnum = 1, .not_null = true});
  AddColumn(&shape, "v", {.attnum = 2});
  AddColumn(&shape, "large", {.attnum = 3});
  return shape;
}

// ---- tables ----

RowPtr Table::RowBefore(int64_t key, Lsn lsn) const {
  const auto found = rows.find(key);
  if (found == rows.end()) return nullptr;
  const auto& versions = found->second;
  const auto after = std::partition_point(versions.begin(), versions.end(),
                                          [lsn](const Version& version) { return version.commit < lsn; });
  return after == versions.begin() ? nullptr : std::prev(after)->row;
}

const Table::Shaped& Table::ShapeBefore(Lsn lsn) const {
  const auto after =
      std::partition_point(shapes.begin(), shapes.end(), [lsn](const Shaped& shaped) { return shaped.commit < lsn; });
  return after == shapes.begin() ? shapes.front() : *std::prev(after);
}

std::vector<int64_t> Table::Keys() const {
  std::vector<int64_t> keys;
  for (const auto& [key, versions] : rows) {
    if (versions.back().row != nullptr) keys.push_back(key);
  }
  return keys;
}

Table& Database::AddTable() {
  Table& table = *tables.emplace_back(std::make_unique<Table>(next_oid_++));
  table.file = next_file_++;
  return table;
}

Table* Database::Find(uint32_t oid) {
  for (const auto& table : tables) {
    if (table->oid == oid) return table.get();
  }
  return nullptr;
}

Table* Database::FindByName(const std::string& qualified_name) {
  for (const auto& table : tables) {
    if (table->exists() && table->name() == qualified_name) return table.get();
  }
  return nullptr;
}

size_t Database::FirstFrom(Lsn commit) const {
  return static_cast<size_t>(
      std::partition_point(wal.begin(), wal.end(), [commit](const WalTransaction& t) { return t.commit < commit; }) -
      wal.begin());
}

void Database::Restore(const Image& image) {
  wal.erase(wal.begin() + static_cast<int64_t>(FirstFrom(image.end)), wal.end());
  for (const auto& table : tables) {
    std::erase_if(table->shapes, [&](const Table::Shaped& shaped) { return shaped.commit >= image.end; });
    for (auto& [key, versions] : table->rows) {
      std::erase_if(versions, [&](const Table::Version& version) { return version.commit >= image.end; });
    }
    std::erase_if(table->rows, [](const auto& entry) { return entry.second.empty(); });
  }
  slot.confirmed = slot.persisted = image.confirmed;
  slot.active_pid = 0;
  next_ = image.end.value;
  next_xid_ = image.next_xid;
  ++sessions_epoch;
}

// ---- rows ----

ShapePtr Writing::ShapeOf(const Table& table) const {
  const auto own = shapes_.find(table.oid);
  return own == shapes_.end() ? table.now().shape : own->second.shape;
}

const TableShape& Writing::Shape(const Table& table) const {
  return *ShapeOf(table);
}

RowPtr Writing::Row(const Table& table, int64_t key) const {
  if (const auto own = rows_.find(table.oid); own != rows_.end()) {
    if (const auto row = own->second.find(key); row != own->second.end()) return row->second;
  }
  return table.Row(key);
}

std::vector<int64_t> Writing::Keys(const Table& table) const {
  std::vector<int64_t> keys = table.Keys();
  if (const auto own = rows_.find(table.oid); own != rows_.end()) {
    for (const auto& [key, row] : own->second) {
      std::erase(keys, key);
      if (row != nullptr) keys.push_back(key);
    }
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

void Writing::Insert(Table& table, Values values) {
  auto row = std::make_shared<const Values>(std::move(values));
  ops_.push_back({.kind = WalOp::Kind::kInsert, .oid = table.oid, .shape = ShapeOf(table), .new_row = row});
  const int64_t key = KeyOf(*row);
  Put(table, key, std::move(row));
}

void Writing::Update(Table& table, int64_t key, Values values, bool unchanged_large) {
  RowPtr old_row = Row(table, key);
  auto row = std::make_shared<const Values>(std::move(values));
  ops_.push_back({.kind = WalOp::Kind::kUpdate,
                  .oid = table.oid,
                  .shape = ShapeOf(table),
                  .old_row = std::move(old_row),
                  .new_row = row,
                  .unchanged_large = unchanged_large});
  const int64_t new_key = KeyOf(*row);
  if (new_key != key) Put(table, key, nullptr);
  Put(table, new_key, std::move(row));
}

void Writing::Delete(Table& table, int64_t key) {
  ops_.push_back({.kind = WalOp::Kind::kDelete, .oid = table.oid, .shape = ShapeOf(table), .old_row = Row(table, key)});
  Put(table, key, nullptr);
}

void Writing::Truncate(Table& table) {
  for (const int64_t key : Keys(table)) Put(table, key, nullptr);
  ops_.push_back({.kind = WalOp::Kind::kTruncate, .oid = table.oid, .shape = ShapeOf(table)});
  shapes_[table.oid] = {{}, ShapeOf(table), database_.next_file_++};
}

// ---- DDL ----

void Writing::Capture(const std::string& tag, const std::string& sql, const TableShape* before,
                      const TableShape* after) {
  if (!database_.captures_ddl) return;
  nlohmann::json message = {{"v", kDdlCaptureVersion}, {"server", kServerMajor}, {"tag", tag}, {"sql", sql}};
  if (before != nullptr) message["before"] = ShapeJson(*before);
  if (after != nullptr) message["after"] = ShapeJson(*after);
  ops_.push_back({.kind = WalOp::Kind::kMessage, .content = message.dump()});
}

Table& Writing::CreateTable(const std::string& name, bool full_identity) {
  Table& table = database_.AddTable();
  table.last_attnum = 3;
  table.shapes.push_back({});
  auto shape = std::make_shared<const TableShape>(FirstShape(table.oid, name, full_identity));
  Capture("CREATE TABLE", absl::StrCat("CREATE TABLE ", name, " ()"), nullptr, shape.get());
  shapes_[table.oid] = {{}, std::move(shape), table.file};
  Record({.oid = table.oid, .sql = "CREATE TABLE"});
  return table;
}

void Writing::DropTable(Table& table) {
  Capture("DROP TABLE", absl::StrCat("DROP TABLE ", table.name()), &Shape(table), nullptr);
  for (const int64_t key : Keys(table)) Put(table, key, nullptr);
  shapes_[table.oid] = {};
  Record({.oid = table.oid, .sql = "DROP TABLE"});
}

void Writing::Alter(Table& table, const std::string& sql, TableShape shape, bool rewrite) {
  const ShapePtr before = ShapeOf(table);
  auto after = std::make_shared<const TableShape>(std::move(shape));
  Capture("ALTER TABLE", sql, before.get(), after.get());
  for (const ColumnDetail& detail : after->details) {
    if (before->FindAttnum(detail.attnum) >= 0) continue;
    table.last_attnum = std::max(table.last_attnum, detail.attnum);
    for (const int64_t key : Keys(table)) {
      Values values = *Row(table, key);
      values.resize(detail.attnum);
      values[detail.attnum - 1] = rewrite ? std::optional(absl::StrCat("made for ", key)) : detail.fill;
      Put(table, key, std::make_shared<const Values>(std::move(values)));
    }
  }
  const uint32_t file = shapes_.contains(table.oid) ? shapes_[table.oid].file : table.now().file;
  shapes_[table.oid] = {{}, std::move(after), rewrite ? database_.next_file_++ : file};
  Record({.oid = table.oid, .sql = sql, .column = ChangedColumn(*before, *shapes_[table.oid].shape)});
}

void Writing::ChangeIdentity(Table& table) {
  const ShapePtr before = ShapeOf(table);
  TableShape shape = *before;
  const bool full = shape.relation.identity != ReplicaIdentity::kFull;
  shape.relation.identity = full ? ReplicaIdentity::kFull : ReplicaIdentity::kDefault;
  for (size_t i = 0; i < shape.details.size(); ++i) {
    shape.relation.columns[i].key = full || shape.details[i].attnum == 1;
  }
  auto after = std::make_shared<const TableShape>(std::move(shape));
  Capture("ALTER TABLE", "ALTER TABLE REPLICA IDENTITY", before.get(), after.get());
  const uint32_t file = shapes_.contains(table.oid) ? shapes_[table.oid].file : table.now().file;
  shapes_[table.oid] = {{}, std::move(after), file};
}

void Writing::Record(DdlRecord record) {
  record.captured = database_.captures_ddl;
  record.changes_before = static_cast<uint32_t>(
      std::count_if(ops_.begin(), ops_.end(), [](const WalOp& op) { return op.kind != WalOp::Kind::kMessage; }));
  ddl_.push_back(std::move(record));
}

Lsn Writing::Commit(int64_t now_micros) {
  WalTransaction& t = database_.wal.emplace_back();
  t.begin = database_.current();
  t.commit = Lsn{t.begin.value + 0x40 + ops_.size() * 0x40};
  t.end = Lsn{t.commit.value + 0x30};
  t.time_micros = now_micros;
  t.xid = database_.next_xid_++;
  t.ops = std::move(ops_);
  for (DdlRecord& record : ddl_) {
    record.commit = t.commit;
    database_.ddl.push_back(record);
  }
  database_.next_ = t.end.value;
  for (auto& [oid, keys] : rows_) {
    Table& table = *database_.Find(oid);
    for (auto& [key, row] : keys) table.rows[key].push_back({t.commit, std::move(row)});
  }
  for (auto& [oid, shaped] : shapes_) {
    Table& table = *database_.Find(oid);
    for (size_t i = 0; shaped.shape != nullptr && i < shaped.shape->details.size(); ++i) {
      database_.column_numbers[{oid, shaped.shape->relation.columns[i].name}] = shaped.shape->details[i].attnum;
    }
    shaped.commit = t.commit;
    table.shapes.push_back(std::move(shaped));
  }
  return t.commit;
}

}  // namespace wallaby::simulation

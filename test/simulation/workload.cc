#include "test/simulation/workload.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "test/simulation/interpose.h"

namespace wallaby::simulation {
namespace {

constexpr int64_t kKeys = 24;  // few, so that they come again
constexpr int kFirstOwnColumn = 4;

std::string Describe(const RowPtr& row) {
  if (row == nullptr) return "";
  std::string text = " (";
  for (const auto& value : *row) {
    absl::StrAppend(&text, text.size() > 2 ? ", " : "", value.has_value() ? value->substr(0, 12) : "null");
  }
  return text + ")";
}

std::string Describe(const WalOp& op) {
  const char* const kinds[] = {"insert", "update", "delete", "truncate", "message"};
  return absl::StrCat(kinds[static_cast<int>(op.kind)], " ", op.oid, Describe(op.old_row), Describe(op.new_row),
                      op.unchanged_large ? " large unchanged" : "");
}

}  // namespace

void Workload::Create(int tables) {
  Writing writing(&world_.database);
  for (int i = 0; i < tables; ++i) {
    Table& table = writing.CreateTable(NewName("t"), world_.plan.full_identity && i == 0);
    for (int64_t rows = random_.Between(0, 12); rows > 0; --rows) Insert(writing, table);
  }
  writing.Commit(world_.NowMicros());
}

void Workload::Run() {
  while (world_.trouble) {
    world_.scheduler.Sleep(random_.Between(0, world_.plan.quiet));
    if (!world_.trouble) return;
    // Bursts, traffic of other tables, and nothing.
    for (int64_t burst = random_.Skewed(4); burst > 0; --burst) Transact();
    if (random_.OneIn(2)) world_.database.OtherTraffic(random_.Skewed(16));
  }
}

void Workload::Touch() {
  Writing writing(&world_.database);
  for (Table* table : Tables(writing)) {
    const auto keys = writing.Keys(*table);
    if (keys.empty()) {
      Insert(writing, *table);
    } else {
      Update(writing, *table, keys.front());
    }
  }
  Commit(writing);
}

void Workload::Transact() {
  Writing writing(&world_.database);
  if (!random_.OneIn(10)) {  // else nothing but an empty transaction
    const bool ddl = world_.plan.ddl && random_.OneIn(12);
    for (int64_t before = random_.Skewed(4) - (ddl ? 1 : 0); before > 0; --before) Change(writing);
    if (ddl) {
      ChangeShape(writing);
      for (int64_t after = random_.Skewed(3) - 1; after > 0; --after) Change(writing);
    }
    if (world_.plan.wide && random_.OneIn(8) && ++wide_ <= 3) WriteMuch(writing);
  }
  Commit(writing);
}

void Workload::Commit(Writing& writing) {
  world_.statistics.changes += static_cast<int64_t>(writing.size());
  ++world_.statistics.transactions;
  const Lsn commit = writing.Commit(world_.NowMicros());
  if (world_.verbose()) {
    world_.Say(absl::StrCat("commits ", commit.ToString(), ", ", world_.database.wal.back().ops.size(), " changes"));
    for (const WalOp& op : world_.database.wal.back().ops) world_.Say(absl::StrCat("  ", Describe(op)));
    for (const DdlRecord& ddl : world_.database.ddl) {
      if (ddl.commit == commit) world_.Say(absl::StrCat("  ", ddl.sql, " of table ", ddl.oid, " column ", ddl.column));
    }
  }
  world_.scheduler.WakeAll(PollQueue());
}

std::vector<Table*> Workload::Tables(const Writing& writing) {
  std::vector<Table*> tables;
  for (const auto& table : world_.database.tables) {
    if (table->exists() && writing.Exists(*table)) tables.push_back(table.get());
  }
  return tables;
}

Table& Workload::AnyTable(const Writing& writing) {
  const auto tables = Tables(writing);
  return *tables[random_.Below(tables.size())];
}

std::string Workload::NewName(std::string_view stem) {
  return absl::StrCat(stem, ++names_);
}
std::string Workload::NewValue() {
  return absl::StrCat("x", ++values_);
}
std::string Workload::NewLarge() {
  return absl::StrCat("large ", ++values_, std::string(30, '.'));
}

int64_t Workload::FreeKey(const Writing& writing, const Table& table) {
  const auto keys = writing.Keys(table);
  int64_t key = random_.Between(1, kKeys);
  while (std::binary_search(keys.begin(), keys.end(), key)) ++key;
  return key;
}

void Workload::Insert(Writing& writing, Table& table) {
  const TableShape& shape = writing.Shape(table);
  Values values(table.last_attnum);
  for (const ColumnDetail& detail : shape.details) values[detail.attnum - 1] = NewValue();
  values[0] = absl::StrCat(FreeKey(writing, table));
  values[2] = NewLarge();
  writing.Insert(table, std::move(values));
}

void Workload::Update(Writing& writing, Table& table, int64_t key) {
  Values values = *writing.Row(table, key);
  values.resize(std::max<size_t>(values.size(), table.last_attnum));
  for (const ColumnDetail& detail : writing.Shape(table).details) {
    if (detail.attnum != 1 && detail.attnum != 3 && random_.OneIn(2)) values[detail.attnum - 1] = NewValue();
  }
  const bool unchanged = random_.OneIn(2);
  if (!unchanged) values[2] = NewLarge();
  if (random_.OneIn(6)) values[0] = absl::StrCat(FreeKey(writing, table));
  writing.Update(table, key, std::move(values), unchanged);
}

void Workload::Change(Writing& writing) {
  Table& table = AnyTable(writing);
  const auto keys = writing.Keys(table);
  const uint64_t kind = random_.Below(20);
  if (keys.empty() || kind < 6) {
    if (keys.size() < static_cast<size_t>(kKeys)) Insert(writing, table);
  } else if (kind < 14) {
    Update(writing, table, keys[random_.Below(keys.size())]);
  } else if (kind < 19 || !random_.OneIn(4)) {
    writing.Delete(table, keys[random_.Below(keys.size())]);
  } else {
    writing.Truncate(table);
  }
}

void Workload::WriteMuch(Writing& writing) {
  Table& table = AnyTable(writing);
  for (int i = 0; i < 14; ++i) {
    Insert(writing, table);
    const auto keys = writing.Keys(table);
    const int64_t key = keys[random_.Below(keys.size())];
    Values values = *writing.Row(table, key);
    values[2] = absl::StrCat("wide ", ++values_, std::string(100'000, '.'));
    writing.Update(table, key, std::move(values), /*unchanged_large=*/false);
  }
  for (const int64_t key : writing.Keys(table)) {
    if (random_.OneIn(2)) writing.Delete(table, key);
  }
}

void Workload::ChangeShape(Writing& writing) {
  ++world_.statistics.ddl;
  const auto tables = Tables(writing);
  if (tables.size() < 4 && random_.OneIn(8)) {
    Table& table = writing.CreateTable(NewName("t"), random_.OneIn(4));
    for (int64_t rows = random_.Skewed(3) - 1; rows > 0; --rows) Insert(writing, table);
    return;
  }
  Table& table = *tables[random_.Below(tables.size())];
  if (tables.size() > 2 && random_.OneIn(10)) return writing.DropTable(table);
  if (random_.OneIn(8)) return writing.ChangeIdentity(table);
  TableShape shape = writing.Shape(table);
  if (random_.OneIn(12)) {
    shape.relation.name = NewName("t");
    return writing.Alter(table, "ALTER TABLE RENAME", std::move(shape), false);
  }
  std::vector<int> own;
  for (size_t i = 0; i < shape.details.size(); ++i) {
    if (shape.details[i].attnum >= kFirstOwnColumn) own.push_back(static_cast<int>(i));
  }
  if (own.empty() || random_.OneIn(2)) return AddOne(writing, table, std::move(shape));
  ChangeColumn(writing, table, std::move(shape), own[random_.Below(own.size())]);
}

void Workload::AddOne(Writing& writing, Table& table, TableShape shape) {
  ColumnDetail detail{.attnum = table.last_attnum + 1};
  const bool rewrite = random_.OneIn(5);
  if (rewrite) {
    detail.default_sql = "random()";
    detail.filled_by_rewrite = true;
  } else if (random_.OneIn(2)) {
    detail.fill = NewValue();
    detail.default_sql = absl::StrCat("'", *detail.fill, "'::text");
  }
  AddColumn(&shape, NewName("c"), std::move(detail));
  writing.Alter(table, "ALTER TABLE ADD", std::move(shape), rewrite);
}

void Workload::ChangeColumn(Writing& writing, Table& table, TableShape shape, int column) {
  switch (random_.Below(4)) {
    case 0:
      shape.relation.columns.erase(shape.relation.columns.begin() + column);
      shape.details.erase(shape.details.begin() + column);
      return writing.Alter(table, "ALTER TABLE DROP", std::move(shape), false);
    case 1:
      shape.details[column].not_null = !shape.details[column].not_null;
      return writing.Alter(table, "ALTER TABLE NOT NULL", std::move(shape), false);
    case 2:
      shape.details[column].default_sql = absl::StrCat("'", NewValue(), "'::text");
      return writing.Alter(table, "ALTER TABLE DEFAULT", std::move(shape), false);
    default:
      shape.relation.columns[column].name = NewName("c");
      return writing.Alter(table, "ALTER TABLE RENAME COLUMN", std::move(shape), false);
  }
}

}  // namespace wallaby::simulation

#include "destination/duckdb/load.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/sql_text.h"
#include "base/status.h"

namespace wallaby {
namespace {

DuckdbTable StagingTable() {
  return {.name = "wallaby_staging", .temporary = true};
}

}  // namespace

std::string StagingValue(int column) {
  return absl::StrCat("c", column);
}
std::string StagingOrigin(int key) {
  return absl::StrCat("o", key);
}

std::string JoinNumbered(int count, std::string_view separator, absl::FunctionRef<std::string(int)> piece) {
  std::string result;
  for (int i = 0; i < count; ++i) absl::StrAppend(&result, i == 0 ? "" : separator, piece(i));
  return result;
}

Staging::~Staging() {
  // After an error the statement fails too, and the rollback removes the table.
  if (loaded_) connection_->Execute(absl::StrCat("DROP TABLE IF EXISTS ", name())).IgnoreError();
}

absl::Status Staging::Load(RowStream* rows) {
  WALLABY_CHECK(!loaded_, "a staging table is loaded once");
  loaded_ = true;
  return connection_->Ingest(StagingTable(), rows);
}

std::string Staging::name() const {
  return StagingTable().Quoted();
}

std::vector<ArrowColumn> ValueColumns(const ReadyTable& target, const std::vector<int>& only) {
  std::vector<ArrowColumn> columns;
  auto add = [&](int i) {
    columns.push_back({.name = StagingValue(i), .source = ArrowSource::kRow, .index = i, .type = target.types[i]});
  };
  if (only.empty()) {
    for (int i = 0; i < static_cast<int>(target.types.size()); ++i) add(i);
  } else {
    for (int i : only) add(i);
  }
  return columns;
}

absl::Status LoadRows(DuckdbConnection* connection, const ReadyTable& target, std::vector<ArrowColumn> columns,
                      RowProducer produce) {
  WALLABY_CHECK(columns.size() == target.columns.size(), "a row has the table's columns");
  const int count = static_cast<int>(columns.size());
  for (int i = 0; i < count; ++i) columns[i].name = StagingValue(i);
  RowStream rows(*target.relation, std::move(columns), std::move(produce));
  if (target.exact) return connection->Ingest(target.table, &rows);

  Staging staging(connection);
  RETURN_IF_ERROR(staging.Load(&rows));
  const std::string names = JoinNumbered(count, ", ", [&](int i) { return SqlIdentifier(target.columns[i].name); });
  return connection
      ->Execute(absl::StrCat("INSERT INTO ", target.table.Quoted(), " (", names, ") SELECT ",
                             JoinNumbered(count, ", ", StagingValue), " FROM ", staging.name()))
      .status();
}

}  // namespace wallaby

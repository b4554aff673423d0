#include "destination/duckdb/progress.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/lsn.h"
#include "base/sql_text.h"
#include "base/status.h"

namespace wallaby {

DuckdbProgress::DuckdbProgress(const DestinationConfig& config, const TableOptions& options)
    : flow_(config.flow_id),
      destination_(config.name),
      generation_(config.generation),
      schema_(SqlIdentifier(options.meta_schema)),
      table_(absl::StrCat(schema_, ".", SqlIdentifier(options.meta_table))),
      parts_(absl::StrCat(schema_, ".snapshot_parts")),
      meta_schema_(options.meta_schema),
      changes_(absl::StrCat(schema_, ".schema_changes")) {}

std::string DuckdbProgress::Where() const {
  return absl::StrCat(" WHERE flow_id = ", SqlLiteral(flow_), " AND destination = ", SqlLiteral(destination_));
}

absl::Status DuckdbProgress::Fenced(DuckdbConnection* connection) const {
  std::string now = "another";
  if (auto rows = connection->Query(absl::StrCat("SELECT generation::VARCHAR FROM ", table_, Where()));
      rows.ok() && !rows->empty()) {
    now = rows->at(0).at(0).value_or("another");
  }
  return absl::FailedPreconditionError(
      absl::StrCat("fenced: generation ", now, " of flow ", flow_, " has taken over destination ", destination_, " in ",
                   connection->path(), "; this worker is of generation ", generation_));
}

absl::StatusOr<Progress> DuckdbProgress::TakeOver(DuckdbConnection* connection) const {
  for (const std::string& sql :
       {absl::StrCat("CREATE SCHEMA IF NOT EXISTS ", schema_),
        absl::StrCat("CREATE TABLE IF NOT EXISTS ", table_,
                     " (flow_id VARCHAR NOT NULL, destination VARCHAR NOT NULL, generation BIGINT NOT NULL, "
                     "commit_lsn VARCHAR NOT NULL, end_lsn VARCHAR NOT NULL, updated_at TIMESTAMPTZ NOT NULL)"),
        absl::StrCat("CREATE TABLE IF NOT EXISTS ", parts_,
                     " (flow_id VARCHAR NOT NULL, destination VARCHAR NOT NULL, part VARCHAR NOT NULL)")}) {
    RETURN_IF_ERROR(connection->Execute(sql).status());
  }
  ASSIGN_OR_RETURN(auto rows, connection->Query(absl::StrCat("SELECT generation::VARCHAR, commit_lsn, end_lsn FROM ",
                                                             table_, Where())));
  Progress progress;
  if (rows.empty()) {
    RETURN_IF_ERROR(connection
                        ->Execute(absl::StrCat("INSERT INTO ", table_, " VALUES (", SqlLiteral(flow_), ", ",
                                               SqlLiteral(destination_), ", ", generation_, ", '0/0', '0/0', now())"))
                        .status());
    return progress;
  }
  int64_t stored = 0;
  if (!absl::SimpleAtoi(rows[0][0].value_or(""), &stored) || stored > generation_) {
    return Fenced(connection);
  }
  RETURN_IF_ERROR(
      connection->Execute(absl::StrCat("UPDATE ", table_, " SET generation = ", generation_, Where())).status());
  ASSIGN_OR_RETURN(progress.commit, Lsn::Parse(rows[0][1].value_or("")));
  ASSIGN_OR_RETURN(progress.end, Lsn::Parse(rows[0][2].value_or("")));
  ASSIGN_OR_RETURN(auto parts, connection->Query(absl::StrCat("SELECT part FROM ", parts_, Where())));
  for (const DuckdbRow& row : parts) progress.snapshot_parts.insert(row[0].value_or(""));
  return progress;
}

absl::Status DuckdbProgress::Store(DuckdbConnection* connection, const CommitPoint& point) const {
  // DuckDB finds conflicts column by column: writing the generation, though to what it is, makes a take-over that was
  // committed since this transaction began one.
  std::string set = absl::StrCat("updated_at = now(), generation = ", generation_);
  if (point.commit.valid()) {
    absl::StrAppend(&set, ", commit_lsn = ", SqlLiteral(point.commit.ToString()),
                    ", end_lsn = ", SqlLiteral(point.end.ToString()));
  }
  ASSIGN_OR_RETURN(const int64_t changed, connection->Execute(absl::StrCat("UPDATE ", table_, " SET ", set, Where(),
                                                                           " AND generation = ", generation_)));
  if (changed != 1) return Fenced(connection);
  for (const std::string& part : point.finished_parts) {
    RETURN_IF_ERROR(
        connection
            ->Execute(absl::StrCat("INSERT INTO ", parts_, " SELECT ", SqlLiteral(flow_), ", ",
                                   SqlLiteral(destination_), ", ", SqlLiteral(part), " WHERE NOT EXISTS (FROM ", parts_,
                                   Where(), " AND part = ", SqlLiteral(part), ")"))
            .status());
  }
  return absl::OkStatus();
}

absl::Status DuckdbProgress::ForgetParts(DuckdbConnection* connection, std::string_view prefix) const {
  return connection
      ->Execute(absl::StrCat("DELETE FROM ", parts_, Where(), " AND starts_with(part, ", SqlLiteral(prefix), ")"))
      .status();
}

absl::Status DuckdbProgress::ForgetPart(DuckdbConnection* connection, std::string_view part) const {
  return connection->Execute(absl::StrCat("DELETE FROM ", parts_, Where(), " AND part = ", SqlLiteral(part))).status();
}

absl::StatusOr<bool> DuckdbProgress::IsRecorded(DuckdbConnection* connection, const std::string& table,
                                                const std::string& change) const {
  ASSIGN_OR_RETURN(auto made, connection->Query(absl::StrCat(
                                  "SELECT 1 FROM duckdb_tables() WHERE database_name = current_database() AND "
                                  "lower(schema_name) = lower(",
                                  SqlLiteral(meta_schema_), ") AND table_name = 'schema_changes'")));
  if (made.empty()) return false;
  ASSIGN_OR_RETURN(auto rows, connection->Query(absl::StrCat(
                                  "SELECT 1 FROM ", changes_, Where(), " AND table_name = ", SqlLiteral(table),
                                  " AND change = ", SqlLiteral(change), " AND commit_lsn = (SELECT commit_lsn FROM ",
                                  table_, Where(), ")")));
  return !rows.empty();
}

absl::Status DuckdbProgress::RecordChange(DuckdbConnection* connection, const std::string& table,
                                          const std::string& change) const {
  for (const std::string& sql :
       {absl::StrCat("CREATE TABLE IF NOT EXISTS ", changes_,
                     " (flow_id VARCHAR NOT NULL, destination VARCHAR NOT NULL, table_name VARCHAR NOT NULL, "
                     "change VARCHAR NOT NULL, commit_lsn VARCHAR NOT NULL)"),
        absl::StrCat("DELETE FROM ", changes_, Where(), " AND table_name = ", SqlLiteral(table)),
        absl::StrCat("INSERT INTO ", changes_, " SELECT flow_id, destination, ", SqlLiteral(table), ", ",
                     SqlLiteral(change), ", commit_lsn FROM ", table_, Where())}) {
    RETURN_IF_ERROR(connection->Execute(sql).status());
  }
  return absl::OkStatus();
}

}  // namespace wallaby

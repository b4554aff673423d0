#include "stream/stream_tables.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/sql_text.h"

namespace wallaby {

StreamTables::StreamTables(std::string schema) : schema_(std::move(schema)) {}

std::string StreamTables::Table(std::string_view name) const {
  return SqlTable(schema_, name);
}

std::string StreamTables::messages(int64_t stream_id) const {
  return Table(absl::StrCat("stream_", stream_id));
}

std::string StreamTables::segment(int64_t stream_id, int64_t first_id) const {
  return Table(absl::StrCat("stream_", stream_id, "_", first_id));
}

std::string StreamTables::AreThereSql() const {
  // stream_claims is made last.
  return absl::StrCat("SELECT to_regclass(", SqlLiteral(claims()), ") IS NOT NULL");
}

std::string StreamTables::EnsureSql() const {
  return absl::StrCat(
      "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('wallaby streams', 0));"
      "CREATE SCHEMA IF NOT EXISTS ",
      SqlIdentifier(schema_), "; CREATE TABLE IF NOT EXISTS ", streams(),
      " (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, flow_id text NOT NULL, "
      "destination text NOT NULL, generation bigint NOT NULL, last_id bigint NOT NULL DEFAULT 0, "
      "created_at timestamptz NOT NULL DEFAULT now()) WITH (fillfactor = 50);"
      "CREATE TABLE IF NOT EXISTS ",
      segments(),
      " (stream_id integer NOT NULL, first_id bigint NOT NULL, last_id bigint NOT NULL, bytes bigint NOT NULL, "
      "wire_format text NOT NULL, max_lsn pg_lsn NOT NULL, first_at timestamptz NOT NULL, last_at timestamptz NOT "
      "NULL, "
      "has_snapshot boolean NOT NULL DEFAULT false, "
      "PRIMARY KEY (stream_id, first_id)) WITH (fillfactor = 50);"
      "CREATE TABLE IF NOT EXISTS ",
      groups(),
      " (stream_id integer NOT NULL, name text NOT NULL, next_id bigint NOT NULL, skipped bigint NOT NULL DEFAULT 0, "
      "created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (stream_id, name)) WITH (fillfactor = 50);"
      "CREATE TABLE IF NOT EXISTS ",
      claims(),
      " (stream_id integer NOT NULL, consumer_group text NOT NULL, first_id bigint NOT NULL, last_id bigint NOT NULL, "
      "consumer text NOT NULL, visible_at timestamptz NOT NULL, deliveries integer NOT NULL, "
      "PRIMARY KEY (stream_id, consumer_group, first_id), CHECK (first_id <= last_id)); COMMIT");
}

std::string StreamTables::EnsureMessagesSql(int64_t stream_id) const {
  return absl::StrCat(
      "CREATE TABLE IF NOT EXISTS ", messages(stream_id),
      " (id bigint NOT NULL, lsn pg_lsn NOT NULL, seq bigint NOT NULL, committed_at timestamptz, "
      "created_at timestamptz NOT NULL DEFAULT now(), operation text NOT NULL, namespace text NOT NULL, "
      "table_name text NOT NULL, key bytea, payload bytea NOT NULL)");
}

std::string StreamTables::MakeSegmentSql(int64_t stream_id, int64_t first_id) const {
  return absl::StrCat("CREATE TABLE ", segment(stream_id, first_id), " (PRIMARY KEY (id)) INHERITS (",
                      messages(stream_id), ")");
}

std::string NotifySql(const StreamTables& tables, int64_t stream_id, int64_t last_id) {
  return absl::StrCat("NOTIFY ", kStreamChannel, ", ",
                      SqlLiteral(absl::StrCat(stream_id, " ", last_id, " ", tables.schema())));
}

}  // namespace wallaby

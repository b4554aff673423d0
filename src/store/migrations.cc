#include "store/migrations.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "store/lock_numbers.h"

namespace wallaby {
namespace {

// Step N brings version N-1 to version N. A step that has been released is never changed.
// Times are microseconds since 1970; LSNs are numbers.
constexpr std::string_view kStep1 = R"sql(
CREATE TABLE @flows (
  id {text_by_byte} NOT NULL PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  definition TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  last_error TEXT NOT NULL DEFAULT '',
  revision BIGINT NOT NULL DEFAULT 1,
  updated_at BIGINT NOT NULL
);
CREATE TABLE @state_events (
  id {id_column},
  flow_id {text_by_byte} NOT NULL REFERENCES @flows(id) ON DELETE CASCADE,
  from_state TEXT NOT NULL,
  to_state TEXT NOT NULL,
  reason TEXT NOT NULL,
  at BIGINT NOT NULL
);
CREATE INDEX state_events_by_flow ON @state_events (flow_id, id);
-- Without a reference to flows: generations go on when a flow is deleted and made again under the same id, because
-- destinations remember the highest that they have seen.
CREATE TABLE @leases (
  flow_id {text_by_byte} NOT NULL PRIMARY KEY,
  holder TEXT NOT NULL,
  generation BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);
-- Without a reference to flows: checkpoints may be kept in another database than the flows. The generation is that of the
-- worker which wrote last, 0 for an operator before any worker.
CREATE TABLE @checkpoints (
  flow_id {text_by_byte} NOT NULL PRIMARY KEY,
  lsn BIGINT NOT NULL,
  at BIGINT NOT NULL,
  metadata TEXT NOT NULL,
  generation BIGINT NOT NULL
);
CREATE TABLE @table_syncs (
  flow_id {text_by_byte} NOT NULL REFERENCES @flows(id) ON DELETE CASCADE,
  table_name {text_by_byte} NOT NULL,
  state TEXT NOT NULL,
  snapshot_lsn BIGINT NOT NULL,
  parts_total BIGINT NOT NULL,
  parts_done BIGINT NOT NULL,
  rows_copied BIGINT NOT NULL,
  rows_estimated BIGINT NOT NULL,
  plan TEXT NOT NULL,
  PRIMARY KEY (flow_id, table_name)
);
CREATE TABLE @worker_reports (
  flow_id {text_by_byte} NOT NULL PRIMARY KEY REFERENCES @flows(id) ON DELETE CASCADE,
  slot TEXT NOT NULL,
  slot_active BIGINT NOT NULL,
  lag_bytes BIGINT NOT NULL,
  lag_seconds DOUBLE PRECISION NOT NULL,
  detail TEXT NOT NULL,
  changes BIGINT NOT NULL,
  at BIGINT NOT NULL
);
CREATE TABLE @dispatch_attempts (
  id {id_column},
  flow_id {text_by_byte} NOT NULL REFERENCES @flows(id) ON DELETE CASCADE,
  kind TEXT NOT NULL,
  handle TEXT NOT NULL,
  active BIGINT NOT NULL,
  exit_code BIGINT NOT NULL,
  outcome TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  ended_at BIGINT NOT NULL
);
CREATE INDEX dispatch_attempts_by_flow ON @dispatch_attempts (flow_id, id);
)sql";

constexpr std::string_view kStep2 = R"sql(
ALTER TABLE @flows ADD COLUMN gated_ddl BIGINT NOT NULL DEFAULT 0;
CREATE TABLE @ddl_events (
  id {id_column},
  flow_id {text_by_byte} NOT NULL REFERENCES @flows(id) ON DELETE CASCADE,
  lsn BIGINT NOT NULL,
  ordinal BIGINT NOT NULL,
  ddl TEXT NOT NULL,
  table_name TEXT NOT NULL,
  status TEXT NOT NULL,
  gated BIGINT NOT NULL,
  plan TEXT NOT NULL,
  error TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  UNIQUE (flow_id, lsn, ordinal)
);
CREATE TABLE @ddl_receipts (
  event_id BIGINT NOT NULL REFERENCES @ddl_events(id) ON DELETE CASCADE,
  destination {text_by_byte} NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (event_id, destination)
);
-- Tables as the flow's stream has them from lsn on.
CREATE TABLE @table_shapes (
  flow_id {text_by_byte} NOT NULL REFERENCES @flows(id) ON DELETE CASCADE,
  oid BIGINT NOT NULL,
  lsn BIGINT NOT NULL,
  shape TEXT NOT NULL,
  PRIMARY KEY (flow_id, oid)
);
)sql";

// The totals outlive the events, of which only the newest are kept, and the flows.
constexpr std::string_view kStep3 = R"sql(
ALTER TABLE @worker_reports ADD COLUMN metrics TEXT NOT NULL DEFAULT '';
CREATE TABLE @state_changes (
  from_state TEXT NOT NULL,
  to_state TEXT NOT NULL,
  total BIGINT NOT NULL,
  PRIMARY KEY (from_state, to_state)
);
INSERT INTO @state_changes (from_state, to_state, total)
  SELECT from_state, to_state, count(*) FROM @state_events GROUP BY from_state, to_state;
)sql";

constexpr std::string_view kStep4 = R"sql(
ALTER TABLE @table_syncs ADD COLUMN oid BIGINT NOT NULL DEFAULT 0;
)sql";

// Tables that wait for a schema change while their flow goes on.
constexpr std::string_view kStep5 = R"sql(
CREATE TABLE @table_holds (
  flow_id {text_by_byte} NOT NULL REFERENCES @flows(id) ON DELETE CASCADE,
  oid BIGINT NOT NULL,
  table_name TEXT NOT NULL,
  from_lsn BIGINT NOT NULL,
  PRIMARY KEY (flow_id, oid)
);
)sql";

// Destinations of a flow that are served by a lane of their own: how far each is, and the tables as its own stream has
// them. The shapes of the flow's own stream have the lane ''.
constexpr std::string_view kStep6 = R"sql(
CREATE TABLE @lanes (
  flow_id {text_by_byte} NOT NULL REFERENCES @flows(id) ON DELETE CASCADE,
  destination {text_by_byte} NOT NULL,
  lsn BIGINT NOT NULL,
  at BIGINT NOT NULL,
  metadata TEXT NOT NULL,
  PRIMARY KEY (flow_id, destination)
);
CREATE TABLE @shapes_by_lane (
  flow_id {text_by_byte} NOT NULL REFERENCES @flows(id) ON DELETE CASCADE,
  lane {text_by_byte} NOT NULL DEFAULT '',
  oid BIGINT NOT NULL,
  lsn BIGINT NOT NULL,
  shape TEXT NOT NULL,
  PRIMARY KEY (flow_id, lane, oid)
);
INSERT INTO @shapes_by_lane (flow_id, oid, lsn, shape) SELECT flow_id, oid, lsn, shape FROM @table_shapes;
DROP TABLE @table_shapes;
ALTER TABLE @shapes_by_lane RENAME TO table_shapes;
ALTER TABLE @worker_reports ADD COLUMN destinations TEXT NOT NULL DEFAULT '[]';
)sql";

// Requests that receivers did not take. The payload is base64, or sealed; it comes last, so that lists need not read
// it.
constexpr std::string_view kStep7 = R"sql(
CREATE TABLE @dead_letters (
  id {id_column},
  flow_id {text_by_byte} NOT NULL REFERENCES @flows(id) ON DELETE CASCADE,
  destination {text_by_byte} NOT NULL,
  request_key {text_by_byte} NOT NULL,
  schema_name TEXT NOT NULL,
  table_name TEXT NOT NULL,
  operation TEXT NOT NULL,
  first_lsn BIGINT NOT NULL,
  first_seq BIGINT NOT NULL,
  last_lsn BIGINT NOT NULL,
  last_seq BIGINT NOT NULL,
  transaction_id BIGINT NOT NULL,
  records BIGINT NOT NULL,
  payload_mode TEXT NOT NULL,
  format TEXT NOT NULL,
  content_type TEXT NOT NULL,
  reason TEXT NOT NULL,
  at BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  payload TEXT NOT NULL,
  UNIQUE (flow_id, destination, request_key)
);
)sql";

// The shapes that a table had, by the number that destinations see. By name and without the oid, so that numbers go on
// when a table is made again.
constexpr std::string_view kStep8 = R"sql(
CREATE TABLE @shape_numbers (
  flow_id {text_by_byte} NOT NULL REFERENCES @flows(id) ON DELETE CASCADE,
  table_name {text_by_byte} NOT NULL,
  number BIGINT NOT NULL,
  from_lsn BIGINT NOT NULL,
  shape BIGINT NOT NULL,
  PRIMARY KEY (flow_id, table_name, number)
);
)sql";

// A text that was sealed with the key that seals the definitions, see store_key.h. One row, or none where there is no
// key.
constexpr std::string_view kStep9 = R"sql(
CREATE TABLE @key_mark (
  id BIGINT NOT NULL PRIMARY KEY,
  sealed TEXT NOT NULL
);
)sql";

constexpr std::array<std::string_view, 9> kSteps = {kStep1, kStep2, kStep3, kStep4, kStep5,
                                                    kStep6, kStep7, kStep8, kStep9};

// 0 for a database that holds no store. PostgreSQL's catalog is asked as a table: to_regclass() answers from a cache
// that does not see what another process made while this one waited for its lock.
absl::StatusOr<int> StoredVersion(SqlSession& session) {
  ASSIGN_OR_RETURN(const SqlRows found,
                   session.Query(session.dialect() == SqlDialect::kSqlite
                                     ? "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_version'"
                                     : "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = 'wallaby_control' "
                                       "AND tablename = 'schema_version'"));
  if (found.empty()) return 0;
  ASSIGN_OR_RETURN(const SqlRows rows, session.Query("SELECT max(version) FROM @schema_version"));
  return rows.empty() ? 0 : static_cast<int>(rows.Int(0, 0));
}

absl::Status RefuseNewer(const SqlDatabase& database, int version) {
  if (version <= LatestSchemaVersion()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("control store ", database.description(), " has schema version ", version,
                   ", but this program knows versions up to ", LatestSchemaVersion(),
                   ": a newer WALlaby has used it. Nothing was changed; run that version or a later one"));
}

absl::Status RunSteps(const SqlDatabase& database, SqlSession& session) {
  RETURN_IF_ERROR(session.Lock(kMigrationLock));
  ASSIGN_OR_RETURN(const int version, StoredVersion(session));
  RETURN_IF_ERROR(RefuseNewer(database, version));
  if (version == 0) {
    if (session.dialect() == SqlDialect::kPostgres) {
      RETURN_IF_ERROR(session.Script(absl::StrCat("CREATE SCHEMA IF NOT EXISTS ", kControlSchema)));
    }
    RETURN_IF_ERROR(session.Script(
        "CREATE TABLE @schema_version (version BIGINT NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL)"));
  }
  for (int step = version + 1; step <= LatestSchemaVersion(); ++step) {
    RETURN_IF_ERROR(Annotate(session.Script(kSteps[step - 1]),
                             absl::StrCat("control store: bringing it to schema version ", step)));
    RETURN_IF_ERROR(
        session
            .Query("INSERT INTO @schema_version (version, applied_at) VALUES ($1, {now})", {static_cast<int64_t>(step)})
            .status());
  }
  return absl::OkStatus();
}

}  // namespace

int LatestSchemaVersion() {
  return static_cast<int>(kSteps.size());
}

absl::Status Migrate(SqlDatabase& database) {
  int version = 0;
  RETURN_IF_ERROR(database.Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    ASSIGN_OR_RETURN(version, StoredVersion(session));
    return absl::OkStatus();
  }));
  RETURN_IF_ERROR(RefuseNewer(database, version));
  if (version == LatestSchemaVersion()) return absl::OkStatus();
  return database.Transact(SqlAccess::kWrite, [&](SqlSession& session) { return RunSteps(database, session); });
}

}  // namespace wallaby

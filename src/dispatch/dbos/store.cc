#include "dispatch/dbos/store.h"

#include <algorithm>
#include <cstdlib>
#include <random>

#include "absl/numeric/int128.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"

namespace wallaby {
namespace {

// Changed only when the steps of a workflow change their meaning: recovery looks only at rows of the same version.
constexpr char kDefaultVersion[] = "wallaby-1";
constexpr char kDefaultExecutor[] = "local";  // of all SDKs

std::string RandomHex() {
  std::random_device random;
  return absl::StrFormat("%08x%08x", random(), random());
}

std::string Environment(const char* name, const char* fallback) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == '\0' ? fallback : value;
}

std::string AsUuid(const std::string& hex) {
  return absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-", hex.substr(12, 4), "-", hex.substr(16, 4), "-",
                      hex.substr(20, 12));
}

// Whose rows: ours, or those that nobody owns.
constexpr char kOwn[] = "(application_name = $1 OR application_name IS NULL)";

SqlParam OrNull(const std::string& text) {
  return text.empty() ? SqlParam() : SqlParam(text);
}

absl::Status Held(std::string_view what, const std::string& name, std::string_view by, std::string_view remedy) {
  return absl::AlreadyExistsError(
      absl::StrCat("the DBOS ", what, " '", name, "' is already registered by application '", by, "'; ", remedy));
}

}  // namespace

std::string NewUuid() {
  return AsUuid(RandomHex() + RandomHex());
}

std::string PgTextArray(const std::vector<std::string>& values) {
  std::string out = "{";
  for (const std::string& value : values) {
    absl::StrAppend(&out, out.size() == 1 ? "" : ",", "\"");
    for (const char c : value) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  return out + "}";
}

std::vector<std::string> FirstColumn(const PgRows& rows) {
  std::vector<std::string> values;
  for (int row = 0; row < rows.size(); ++row) values.emplace_back(rows.Text(row, 0));
  return values;
}

DbosIdentity MakeDbosIdentity(const std::string& application, const std::string& queue) {
  return {application, Environment("DBOS__APPVERSION", kDefaultVersion), Environment("DBOS__VMID", kDefaultExecutor),
          queue, RandomHex()};
}

std::string InstanceLockNumber(const std::string& instance) {
  uint64_t number = 0;
  if (!absl::SimpleHexAtoi(instance, &number)) return "";
  return absl::StrCat(static_cast<int64_t>(number));
}

DbosStore::DbosStore(DbosDatabase* database, DbosIdentity identity)
    : database_(database), identity_(std::move(identity)) {}

// As in a UUID: "01234567-89ab-cdef-". No character of it means anything to LIKE.
std::string DbosStore::TokenPrefix() const {
  return AsUuid(identity_.instance + identity_.instance).substr(0, 19);
}

absl::Status DbosStore::Register() {
  const std::string& app = identity_.application;
  return database_->Transact([&](PgConnection& sql) -> absl::Status {
    RETURN_IF_ERROR(sql.Query("INSERT INTO dbos.application_versions (version_id, version_name, application_name) "
                              "VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                              {NewUuid(), identity_.version, app})
                        .status());
    ASSIGN_OR_RETURN(const PgRows version,
                     sql.Query("SELECT application_name FROM dbos.application_versions WHERE version_name = $1 "
                               "AND application_name IS DISTINCT FROM $2",
                               {identity_.version, app}));
    if (version.size() > 0 && !version.IsNull(0, 0)) {
      return Held("application version", identity_.version, version.Text(0, 0), "set DBOS__APPVERSION to another name");
    }
    ASSIGN_OR_RETURN(
        const PgRows queue,
        sql.Query(absl::StrCat("INSERT INTO dbos.queues AS q (name, priority_enabled, application_name) VALUES ($1, "
                               "true, $2) ON CONFLICT (name) DO UPDATE SET updated_at = ",
                               kDbosNow,
                               ", application_name = coalesce(q.application_name, excluded.application_name) "
                               "RETURNING application_name"),
                  {identity_.queue, app}));
    if (queue.Text(0, 0) != app) {
      return Held("queue", identity_.queue, queue.Text(0, 0), "set WALLABY_DBOS_QUEUE to another name");
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<DbosStore::Enqueued> DbosStore::Enqueue(const NewRun& run) {
  // Tells whether the row is of this call; a second try of the same statement still finds it so.
  const std::string creator = NewUuid();
  // Old clients read the input from workflow_status, those since migration 113 from workflow_input.
  const absl::StatusOr<PgRows> rows = database_->Query(
      absl::StrCat(
          "WITH row AS (INSERT INTO dbos.workflow_status AS w (workflow_uuid, status, name, queue_name, "
          "deduplication_id, application_version, created_at, updated_at, recovery_attempts, serialization, "
          "creator_xid, schedule_name, parent_workflow_id, attributes, application_name, inputs) "
          "VALUES ($1, 'ENQUEUED', $2, $3, $4, $5, ",
          kDbosNow, ", ", kDbosNow,
          ", 0, 'portable_json', $6, $7, $8, $9::jsonb, $10, $11) "
          "ON CONFLICT (workflow_uuid) DO UPDATE SET creator_xid = w.creator_xid RETURNING creator_xid, name), "
          "input AS (INSERT INTO dbos.workflow_input (workflow_uuid, inputs) SELECT $1, $11 "
          "ON CONFLICT (workflow_uuid) DO NOTHING) SELECT creator_xid, name FROM row"),
      {run.id, run.name, identity_.queue, OrNull(run.dedup), identity_.version, creator, OrNull(run.schedule),
       OrNull(run.parent), OrNull(run.attributes), identity_.application, run.input});
  // The only constraints of the row are the id, which is handled above, and the deduplication.
  if (absl::IsInvalidArgument(rows.status())) return Enqueued::kDeduplicated;
  if (!rows.ok()) return Annotate(rows.status(), absl::StrCat("enqueuing workflow ", run.id));
  if (rows->Text(0, 1) != run.name) {
    return absl::FailedPreconditionError(absl::StrCat("the workflow id ", run.id, " is in use by workflow ",
                                                      std::string(rows->Text(0, 1)), ", not ", run.name));
  }
  return rows->Text(0, 0) == creator ? Enqueued::kNew : Enqueued::kExists;
}

absl::StatusOr<int> DbosStore::Room(PgConnection& sql, const std::string& queue, int limit, bool* rate_limited) {
  ASSIGN_OR_RETURN(PgRows row,
                   sql.Query("SELECT concurrency, worker_concurrency, rate_limit_max, rate_limit_period_sec "
                             "FROM dbos.queues WHERE name = $1",
                             {queue}));
  *rate_limited = false;
  if (row.size() == 0 || (row.IsNull(0, 0) && row.IsNull(0, 1) && row.IsNull(0, 2))) return limit;
  // Executors count one after the other.
  ASSIGN_OR_RETURN(row, sql.Query("SELECT concurrency, worker_concurrency, rate_limit_max, rate_limit_period_sec "
                                  "FROM dbos.queues WHERE name = $1 FOR NO KEY UPDATE",
                                  {queue}));
  ASSIGN_OR_RETURN(const PgRows running,
                   sql.Query("SELECT count(*), count(*) FILTER (WHERE owner_xid LIKE $2 || '%') FROM "
                             "dbos.workflow_status WHERE queue_name = $1 AND status = 'PENDING'",
                             {queue, TokenPrefix()}));
  int64_t room = limit;
  if (!row.IsNull(0, 0)) room = std::min(room, row.Int(0, 0) - running.Int(0, 0));
  if (!row.IsNull(0, 1)) room = std::min(room, row.Int(0, 1) - running.Int(0, 1));
  if (!row.IsNull(0, 2) && !row.IsNull(0, 3)) {
    *rate_limited = true;
    ASSIGN_OR_RETURN(const PgRows started,
                     sql.Query(absl::StrCat("SELECT count(*) FROM dbos.workflow_status WHERE queue_name = $1 AND "
                                            "rate_limited AND started_at_epoch_ms > ",
                                            kDbosNow, " - ($2::double precision * 1000)::bigint"),
                               {queue, std::string(row.Text(0, 3))}));
    room = std::min(room, row.Int(0, 2) - started.Int(0, 0));
  }
  return static_cast<int>(std::max<int64_t>(room, 0));
}

absl::StatusOr<std::vector<DbosStore::ClaimedRun>> DbosStore::Claim(const std::string& queue, int limit) {
  std::vector<ClaimedRun> runs;
  RETURN_IF_ERROR(database_->Transact([&](PgConnection& sql) -> absl::Status {
    runs.clear();
    bool rate_limited = false;
    ASSIGN_OR_RETURN(const int room, Room(sql, queue, limit, &rate_limited));
    if (room <= 0) return absl::OkStatus();
    // A row without a version is for the newest version of its application.
    ASSIGN_OR_RETURN(
        const PgRows rows,
        sql.Query(absl::StrCat("WITH latest AS (SELECT version_name FROM dbos.application_versions WHERE ", kOwn,
                               " ORDER BY version_timestamp DESC LIMIT 1), "
                               "pick AS (SELECT workflow_uuid FROM dbos.workflow_status WHERE queue_name = $3 AND "
                               "status = 'ENQUEUED' AND ",
                               kOwn,
                               " AND (application_version = $2 OR (application_version IS NULL AND "
                               "coalesce((SELECT version_name FROM latest) = $2, true))) "
                               "ORDER BY priority, created_at LIMIT $4::bigint FOR UPDATE SKIP LOCKED) "
                               "UPDATE dbos.workflow_status w SET status = 'PENDING', owner_xid = $5 || "
                               "regexp_replace(md5(w.workflow_uuid || $8), '^(.{4})(.{12}).*$', '\\1-\\2'), "
                               "executor_id = $6, "
                               "application_version = $2, application_name = $1, started_at_epoch_ms = ",
                               kDbosNow, ", updated_at = ", kDbosNow,
                               ", recovery_attempts = coalesce(recovery_attempts, 0) + 1, rate_limited = $7::boolean, "
                               "workflow_deadline_epoch_ms = coalesce(workflow_deadline_epoch_ms, ",
                               kDbosNow,
                               " + workflow_timeout_ms) FROM pick WHERE w.workflow_uuid = pick.workflow_uuid "
                               "RETURNING w.workflow_uuid, w.name, w.serialization, coalesce((SELECT i.inputs FROM "
                               "dbos.workflow_input i WHERE i.workflow_uuid = w.workflow_uuid), w.inputs), "
                               "w.recovery_attempts, w.created_at, w.owner_xid"),
                  {identity_.application, identity_.version, queue, absl::StrCat(room), TokenPrefix(),
                   identity_.executor, rate_limited ? "true" : "false", RandomHex()}));
    for (int row = 0; row < rows.size(); ++row) {
      runs.push_back({std::string(rows.Text(row, 0)), std::string(rows.Text(row, 1)), std::string(rows.Text(row, 6)),
                      std::string(rows.Text(row, 2)), std::string(rows.Text(row, 3)), rows.Int(row, 4),
                      rows.Int(row, 5)});
    }
    return absl::OkStatus();
  }));
  return runs;
}

absl::StatusOr<bool> DbosStore::RecordStep(const ClaimedRun& run, const Step& step) {
  // The lock on the row holds off whoever would take the token away meanwhile.
  ASSIGN_OR_RETURN(
      const PgRows rows,
      database_->Query(
          absl::StrCat(
              "WITH own AS (SELECT workflow_uuid FROM dbos.workflow_status WHERE workflow_uuid = $1 AND "
              "owner_xid = $2 AND status = 'PENDING' FOR NO KEY UPDATE), "
              "step AS (INSERT INTO dbos.operation_outputs (workflow_uuid, function_id, function_name, output, "
              "error, started_at_epoch_ms, completed_at_epoch_ms, serialization, application_name) "
              "SELECT workflow_uuid, $3::integer, $4, $5, $6, $7::bigint, ",
              kDbosNow, ", 'portable_json', $8 FROM own ON CONFLICT DO NOTHING) SELECT count(*) FROM own"),
          {run.id, run.token, absl::StrCat(step.number), step.name, OrNull(step.output), OrNull(step.error),
           absl::StrCat(absl::ToUnixMillis(step.started)), identity_.application}));
  return rows.Int(0, 0) == 1;
}

absl::StatusOr<std::optional<DbosStore::Step>> DbosStore::FindStep(const std::string& id, int number) {
  ASSIGN_OR_RETURN(const PgRows rows,
                   database_->Query("SELECT function_name, output, error FROM dbos.operation_outputs WHERE "
                                    "workflow_uuid = $1 AND function_id = $2::integer",
                                    {id, absl::StrCat(number)}));
  if (rows.size() == 0) return std::nullopt;
  Step step;
  step.number = number;
  step.name = std::string(rows.Text(0, 0));
  step.output = std::string(rows.Text(0, 1));
  step.error = std::string(rows.Text(0, 2));
  return step;
}

absl::StatusOr<bool> DbosStore::End(const ClaimedRun& run, const char* status, const SqlParam& output,
                                    const SqlParam& error) {
  // Written twice: old clients read workflow_status, those since migration 113 workflow_output.
  ASSIGN_OR_RETURN(
      const PgRows rows,
      database_->Query(
          absl::StrCat("WITH row AS (UPDATE dbos.workflow_status SET status = $3, output = $4, error = $5, "
                       "deduplication_id = NULL, owner_xid = NULL, updated_at = ",
                       kDbosNow, ", completed_at = ", kDbosNow,
                       " WHERE workflow_uuid = $1 AND status = 'PENDING' AND owner_xid = $2 RETURNING workflow_uuid), "
                       "output AS (INSERT INTO dbos.workflow_output (workflow_uuid, output, error) SELECT "
                       "workflow_uuid, $4, $5 FROM row ON CONFLICT (workflow_uuid) DO UPDATE SET "
                       "output = excluded.output, error = excluded.error) SELECT count(*) FROM row"),
          {run.id, run.token, status, output, error}));
  return rows.Int(0, 0) == 1;
}

absl::StatusOr<bool> DbosStore::Succeed(const ClaimedRun& run, const std::string& output) {
  return End(run, "SUCCESS", output, std::nullopt);
}

absl::StatusOr<bool> DbosStore::Fail(const ClaimedRun& run, const std::string& error) {
  return End(run, "ERROR", std::nullopt, error);
}

absl::Status DbosStore::DeadLetter(const ClaimedRun& run) {
  return database_
      ->Query(
          absl::StrCat("UPDATE dbos.workflow_status SET status = 'MAX_RECOVERY_ATTEMPTS_EXCEEDED', owner_xid = "
                       "NULL, deduplication_id = NULL, started_at_epoch_ms = NULL, queue_name = NULL, updated_at = ",
                       kDbosNow, ", completed_at = ", kDbosNow,
                       " WHERE workflow_uuid = $1 AND status = 'PENDING' AND owner_xid = $2"),
          {run.id, run.token})
      .status();
}

absl::Status DbosStore::ResetAttempts(const ClaimedRun& run) {
  return database_
      ->Query(absl::StrCat("UPDATE dbos.workflow_status SET recovery_attempts = 1, updated_at = ", kDbosNow,
                           " WHERE workflow_uuid = $1 AND status = 'PENDING' AND owner_xid = $2"),
              {run.id, run.token})
      .status();
}

absl::StatusOr<std::vector<std::pair<std::string, std::string>>> DbosStore::Owned() {
  ASSIGN_OR_RETURN(const PgRows rows,
                   database_->Query("SELECT workflow_uuid, owner_xid FROM dbos.workflow_status WHERE "
                                    "status = 'PENDING' AND owner_xid LIKE $1 || '%'",
                                    {TokenPrefix()}));
  std::vector<std::pair<std::string, std::string>> owned;
  for (int row = 0; row < rows.size(); ++row) {
    owned.emplace_back(std::string(rows.Text(row, 0)), std::string(rows.Text(row, 1)));
  }
  return owned;
}

}  // namespace wallaby

// What takes a workflow from one state to another outside of its run: recovery, release, cancel, resume, fork, rewind,
// and the chores.
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "dispatch/dbos/store.h"

namespace wallaby {
namespace {

constexpr int kDeleteBatch = 5000;

// What an end by somebody else's hand sets, beside the status.
std::string EndedColumns() {
  return absl::StrCat(
      "owner_xid = NULL, queue_name = NULL, deduplication_id = NULL, started_at_epoch_ms = NULL, "
      "updated_at = ",
      kDbosNow, ", completed_at = ", kDbosNow);
}

// Back to the queue, for a claim by whoever comes first.
std::string RequeuedColumns() {
  return absl::StrCat("status = 'ENQUEUED', owner_xid = NULL, started_at_epoch_ms = NULL, updated_at = ", kDbosNow,
                      ", queue_name = coalesce(nullif(queue_name, ''), ", SqlLiteral(kDbosInternalQueue), ")");
}

// The ids that a statement returns.
absl::StatusOr<std::vector<std::string>> Ids(DbosDatabase* database, const std::string& sql,
                                             const std::vector<SqlParam>& params) {
  ASSIGN_OR_RETURN(const PgRows rows, database->Query(sql, params));
  return FirstColumn(rows);
}

absl::Status NoSuchWorkflow(const std::string& id) {
  return absl::NotFoundError(absl::StrCat("Workflow ", id, " not found"));
}

}  // namespace

absl::StatusOr<std::vector<std::string>> DbosStore::Release(const std::vector<std::string>& tokens,
                                                            bool count_attempt) {
  return Ids(database_,
             absl::StrCat("UPDATE dbos.workflow_status SET ", RequeuedColumns(),
                          count_attempt ? "" : ", recovery_attempts = greatest(recovery_attempts - 1, 0)",
                          " WHERE status = 'PENDING' AND owner_xid = ANY($1::text[]) RETURNING workflow_uuid"),
             {PgTextArray(tokens)});
}

// ---- recovery ----

absl::StatusOr<std::vector<std::string>> DbosStore::Recover(const std::vector<std::string>& executors) {
  return Ids(database_,
             absl::StrCat("UPDATE dbos.workflow_status SET ", RequeuedColumns(),
                          " WHERE status = 'PENDING' AND executor_id = ANY($3::text[]) AND "
                          "application_version = $2 AND (application_name = $1 OR application_name IS NULL) "
                          "AND coalesce(owner_xid, '') NOT LIKE $4 || '%' RETURNING workflow_uuid"),
             {identity_.application, identity_.version, PgTextArray(executors), TokenPrefix()});
}

absl::StatusOr<std::vector<std::string>> DbosStore::RecoverDead(const std::string& executor) {
  ASSIGN_OR_RETURN(const PgRows rows,
                   database_->Query("SELECT workflow_uuid, coalesce(owner_xid, '') FROM dbos.workflow_status WHERE "
                                    "status = 'PENDING' AND application_version = $2 AND (application_name = $1 OR "
                                    "application_name IS NULL) AND ($3 = '' OR executor_id = $3) ORDER BY created_at",
                                    {identity_.application, identity_.version, executor}));
  std::vector<std::string> recovered;
  for (int row = 0; row < rows.size(); ++row) {
    const std::string id(rows.Text(row, 0)), token(rows.Text(row, 1));
    const std::string number = InstanceLockNumber(absl::StrReplaceAll(token, {{"-", ""}}).substr(0, 16));
    // Without a token nobody can be asked whether he lives.
    if (token.empty() ? executor.empty() : number.empty()) continue;
    RETURN_IF_ERROR(database_->Transact([&](PgConnection& sql) -> absl::Status {
      if (!token.empty()) {
        // Held to the end of the transaction, so it keeps off rivals too.
        ASSIGN_OR_RETURN(const PgRows dead, sql.Query("SELECT pg_try_advisory_xact_lock($1::bigint)", {number}));
        if (!dead.Bool(0, 0)) return absl::OkStatus();
      }
      ASSIGN_OR_RETURN(const PgRows done,
                       sql.Query(absl::StrCat("UPDATE dbos.workflow_status SET ", RequeuedColumns(),
                                              " WHERE workflow_uuid = $1 AND status = 'PENDING' AND "
                                              "coalesce(owner_xid, '') = $2 RETURNING workflow_uuid"),
                                 {id, token}));
      if (done.size() > 0) recovered.push_back(id);
      return absl::OkStatus();
    }));
  }
  return recovered;
}

// ---- chores ----

absl::Status DbosStore::Sweep() {
  const std::string own = "(application_name = $1 OR application_name IS NULL)";
  RETURN_IF_ERROR(
      database_
          ->Query(absl::StrCat("UPDATE dbos.workflow_status SET status = 'ENQUEUED', updated_at = ", kDbosNow,
                               ", deduplication_id = CASE WHEN is_debounced THEN NULL ELSE deduplication_id END WHERE "
                               "status = 'DELAYED' AND delay_until_epoch_ms <= ",
                               kDbosNow, " AND ", own),
                  {identity_.application})
          .status());
  return database_
      ->Query(absl::StrCat("UPDATE dbos.workflow_status SET status = 'CANCELLED', ", EndedColumns(),
                           " WHERE workflow_uuid IN (SELECT workflow_uuid FROM dbos.workflow_status WHERE status IN "
                           "('ENQUEUED','PENDING','DELAYED') AND workflow_deadline_epoch_ms <= ",
                           kDbosNow, " AND ", own,
                           " ORDER BY workflow_deadline_epoch_ms LIMIT 1000 FOR UPDATE SKIP LOCKED)"),
              {identity_.application})
      .status();
}

absl::StatusOr<int64_t> DbosStore::DeleteEnded(absl::Time cutoff, int64_t rows) {
  int64_t deleted = 0;
  RETURN_IF_ERROR(database_->Transact([&](PgConnection& sql) -> absl::Status {
    ASSIGN_OR_RETURN(
        const PgRows ids,
        sql.Query(absl::StrCat("SELECT workflow_uuid FROM dbos.workflow_status WHERE application_name = $1 AND status "
                               "NOT IN ('ENQUEUED','PENDING','DELAYED') AND (coalesce(completed_at, created_at) < "
                               "$2::bigint OR ($3::bigint > 0 AND created_at < (SELECT created_at FROM "
                               "dbos.workflow_status WHERE application_name = $1 ORDER BY created_at DESC LIMIT 1 "
                               "OFFSET greatest($3::bigint - 1, 0)))) LIMIT ",
                               kDeleteBatch, " FOR UPDATE SKIP LOCKED"),
                  {identity_.application, absl::StrCat(absl::ToUnixMillis(cutoff)), absl::StrCat(rows)}));
    const std::vector<SqlParam> which = {PgTextArray(FirstColumn(ids))};
    deleted = ids.size();
    // Events, streams and messages follow the row by themselves; these three do not.
    for (const char* table : {"workflow_input", "workflow_output", "operation_outputs", "workflow_status"}) {
      RETURN_IF_ERROR(
          sql.Query(absl::StrCat("DELETE FROM dbos.", table, " WHERE workflow_uuid = ANY($1::text[])"), which)
              .status());
    }
    return absl::OkStatus();
  }));
  return deleted;
}

// ---- steering ----

absl::StatusOr<std::vector<std::string>> DbosStore::Cancel(const std::vector<std::string>& ids) {
  return Ids(database_,
             absl::StrCat("UPDATE dbos.workflow_status SET status = 'CANCELLED', ", EndedColumns(),
                          " WHERE workflow_uuid = ANY($1::text[]) AND status NOT IN "
                          "('SUCCESS','ERROR','CANCELLED') RETURNING workflow_uuid"),
             {PgTextArray(ids)});
}

absl::StatusOr<std::vector<std::string>> DbosStore::CancelStartedBefore(int64_t epoch_ms) {
  return Ids(database_,
             absl::StrCat("UPDATE dbos.workflow_status SET status = 'CANCELLED', ", EndedColumns(),
                          " WHERE status IN ('PENDING','ENQUEUED') AND created_at < $2::bigint "
                          "AND (application_name = $1 OR application_name IS NULL) "
                          "RETURNING workflow_uuid"),
             {identity_.application, absl::StrCat(epoch_ms)});
}

absl::StatusOr<std::vector<std::string>> DbosStore::Resume(const std::string& id) {
  return Ids(
      database_,
      absl::StrCat("UPDATE dbos.workflow_status SET status = 'ENQUEUED', queue_name = ", SqlLiteral(kDbosInternalQueue),
                   ", recovery_attempts = 0, owner_xid = NULL, workflow_deadline_epoch_ms = NULL, "
                   "deduplication_id = NULL, started_at_epoch_ms = NULL, completed_at = NULL, "
                   "updated_at = ",
                   kDbosNow,
                   " WHERE workflow_uuid = $1 AND status NOT IN ('SUCCESS','ERROR') RETURNING "
                   "workflow_uuid"),
      {id});
}

absl::StatusOr<std::string> DbosStore::Fork(const std::string& id, int start_step, const std::string& new_id,
                                            const std::string& version) {
  const std::string fork = new_id.empty() ? NewUuid() : new_id;
  RETURN_IF_ERROR(database_->Transact([&](PgConnection& sql) -> absl::Status {
    ASSIGN_OR_RETURN(
        const PgRows made,
        sql.Query(
            absl::StrCat("INSERT INTO dbos.workflow_status (workflow_uuid, status, name, class_name, config_name, "
                         "authenticated_user, assumed_role, authenticated_roles, queue_name, application_version, "
                         "application_id, application_name, created_at, updated_at, recovery_attempts, inputs, "
                         "serialization, attributes, forked_from, creator_xid) SELECT $2, 'ENQUEUED', name, "
                         "class_name, config_name, authenticated_user, assumed_role, authenticated_roles, '",
                         kDbosInternalQueue, "', coalesce($3, application_version), application_id, application_name, ",
                         kDbosNow, ", ", kDbosNow,
                         ", 0, inputs, serialization, attributes, $1, $4 FROM dbos.workflow_status WHERE "
                         "workflow_uuid = $1 RETURNING 1"),
            {id, fork, version.empty() ? SqlParam() : SqlParam(version), NewUuid()}));
    if (made.size() == 0) return NoSuchWorkflow(id);
    RETURN_IF_ERROR(sql.Query("INSERT INTO dbos.workflow_input (workflow_uuid, inputs) SELECT $2, inputs FROM "
                              "dbos.workflow_input WHERE workflow_uuid = $1",
                              {id, fork})
                        .status());
    RETURN_IF_ERROR(sql.Query("INSERT INTO dbos.operation_outputs (workflow_uuid, function_id, function_name, output, "
                              "error, child_workflow_id, started_at_epoch_ms, completed_at_epoch_ms, serialization, "
                              "application_name) SELECT $2, function_id, function_name, output, error, "
                              "child_workflow_id, started_at_epoch_ms, completed_at_epoch_ms, serialization, "
                              "application_name FROM dbos.operation_outputs WHERE workflow_uuid = $1 AND "
                              "function_id < $3::integer",
                              {id, fork, absl::StrCat(start_step)})
                        .status());
    return sql.Query("UPDATE dbos.workflow_status SET was_forked_from = true WHERE workflow_uuid = $1", {id}).status();
  }));
  return fork;
}

absl::Status DbosStore::Rewind(const std::string& id, int start_step) {
  return database_->Transact([&](PgConnection& sql) -> absl::Status {
    ASSIGN_OR_RETURN(const PgRows row,
                     sql.Query("SELECT status FROM dbos.workflow_status WHERE workflow_uuid = $1 FOR UPDATE", {id}));
    if (row.size() == 0) return NoSuchWorkflow(id);
    const std::string status(row.Text(0, 0));
    if (status == "ENQUEUED" || status == "PENDING" || status == "DELAYED") {
      return absl::FailedPreconditionError(
          absl::StrCat("workflow ", id, " is ", status, "; only one that has ended can be rewound: cancel it first"));
    }
    for (const std::string& statement :
         {absl::StrCat("DELETE FROM dbos.operation_outputs WHERE workflow_uuid = $1 AND function_id >= ", start_step),
          std::string("DELETE FROM dbos.workflow_output WHERE workflow_uuid = $1"),
          absl::StrCat("UPDATE dbos.workflow_status SET ", RequeuedColumns(),
                       ", output = NULL, error = NULL, recovery_attempts = 0, deduplication_id = NULL, completed_at = "
                       "NULL, workflow_deadline_epoch_ms = NULL WHERE workflow_uuid = $1")}) {
      RETURN_IF_ERROR(sql.Query(statement, {id}).status());
    }
    return absl::OkStatus();
  });
}

}  // namespace wallaby

// Workflows, steps and queues as the admin endpoints of the SDKs showed them. The database builds the JSON.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "base/status.h"
#include "dispatch/dbos/store.h"

namespace wallaby {
namespace {

// Times are texts of milliseconds, as Python and TypeScript gave them.
constexpr char kWorkflowObject[] = R"sql(
  json_build_object('WorkflowUUID', w.workflow_uuid, 'Status', status, 'WorkflowName', name,
    'WorkflowClassName', nullif(class_name, ''), 'WorkflowConfigName', nullif(config_name, ''),
    'AuthenticatedUser', nullif(authenticated_user, ''), 'AssumedRole', nullif(assumed_role, ''),
    'AuthenticatedRoles', authenticated_roles, 'Input', %INPUT%, 'Output', %OUTPUT%, 'Error', %ERROR%,
    'CreatedAt', created_at::text, 'UpdatedAt', updated_at::text, 'QueueName', nullif(queue_name, ''),
    'ApplicationVersion', application_version, 'ExecutorID', executor_id,
    'WorkflowTimeoutMS', workflow_timeout_ms::text, 'WorkflowDeadlineEpochMS', workflow_deadline_epoch_ms::text,
    'DeduplicationID', deduplication_id, 'Priority', priority::text,
    'QueuePartitionKey', queue_partition_key, 'ForkedFrom', forked_from, 'WasForkedFrom', was_forked_from,
    'ParentWorkflowID', parent_workflow_id, 'DequeuedAt', started_at_epoch_ms::text,
    'DelayUntilEpochMS', delay_until_epoch_ms::text, 'CompletedAt', completed_at::text, 'Attributes', attributes,
    'ScheduleName', schedule_name, 'ApplicationName', application_name, 'ApplicationID', application_id,
    'Attempts', recovery_attempts))sql";

class Conditions {
 public:
  // `condition` with ? for the value; nothing for an empty value.
  void Add(const char* condition, const std::string& value) {
    if (value.empty()) return;
    params_.emplace_back(value);
    parts_.push_back(absl::StrReplaceAll(condition, {{"?", absl::StrCat("$", params_.size())}}));
  }
  void Add(const char* condition, const std::vector<std::string>& values) {
    if (!values.empty()) Add(condition, PgTextArray(values));
  }
  void Add(const char* condition) { parts_.emplace_back(condition); }
  std::string Where() const { return parts_.empty() ? "" : absl::StrCat(" WHERE ", absl::StrJoin(parts_, " AND ")); }
  const std::vector<SqlParam>& params() const { return params_; }

 private:
  std::vector<std::string> parts_;
  std::vector<SqlParam> params_;
};

}  // namespace

absl::StatusOr<std::string> DbosStore::ListJson(const Filter& filter) {
  Conditions conditions;
  conditions.Add("w.workflow_uuid = ANY(?::text[])", filter.ids);
  conditions.Add("status = ANY(?::text[])", filter.statuses);
  conditions.Add("starts_with(w.workflow_uuid, ?)", filter.id_prefix);
  conditions.Add("name = ?", filter.name);
  conditions.Add("authenticated_user = ?", filter.user);
  conditions.Add("application_version = ?", filter.version);
  conditions.Add("queue_name = ?", filter.queue);
  conditions.Add("forked_from = ?", filter.forked_from);
  conditions.Add("parent_workflow_id = ?", filter.parent);
  conditions.Add("created_at >= (extract(epoch from ?::timestamptz) * 1000)::bigint", filter.start_time);
  conditions.Add("created_at <= (extract(epoch from ?::timestamptz) * 1000)::bigint", filter.end_time);
  if (filter.queued_only) conditions.Add("nullif(queue_name, '') IS NOT NULL");
  const std::string object =
      absl::StrReplaceAll(kWorkflowObject, {{"%INPUT%", filter.input ? "coalesce(i.inputs, w.inputs)" : "NULL"},
                                            {"%OUTPUT%", filter.output ? "coalesce(o.output, w.output)" : "NULL"},
                                            {"%ERROR%", filter.output ? "coalesce(o.error, w.error)" : "NULL"}});
  const std::string sql =
      absl::StrCat("SELECT ", object,
                   "::text FROM dbos.workflow_status w LEFT JOIN dbos.workflow_input i USING (workflow_uuid) "
                   "LEFT JOIN dbos.workflow_output o USING (workflow_uuid)",
                   conditions.Where(), " ORDER BY created_at ", filter.descending ? "DESC" : "ASC",
                   filter.limit > 0 ? absl::StrCat(" LIMIT ", filter.limit) : "",
                   filter.offset > 0 ? absl::StrCat(" OFFSET ", filter.offset) : "");
  ASSIGN_OR_RETURN(const PgRows rows, database_->Query(sql, conditions.params()));
  return absl::StrCat("[", absl::StrJoin(FirstColumn(rows), ", "), "]");
}

absl::StatusOr<std::string> DbosStore::StepsJson(const std::string& id) {
  ASSIGN_OR_RETURN(
      const PgRows rows,
      database_->Query("SELECT coalesce(json_agg(json_build_object('function_id', function_id, 'function_name', "
                       "function_name, 'output', output, 'error', error, 'child_workflow_id', child_workflow_id, "
                       "'started_at_epoch_ms', started_at_epoch_ms::text, 'completed_at_epoch_ms', "
                       "completed_at_epoch_ms::text) ORDER BY function_id), '[]')::text FROM dbos.operation_outputs "
                       "WHERE workflow_uuid = $1",
                       {id}));
  return std::string(rows.Text(0, 0));
}

absl::StatusOr<std::string> DbosStore::QueuesJson() {
  ASSIGN_OR_RETURN(
      const PgRows rows,
      database_->Query(
          absl::StrCat(
              "SELECT json_agg(q ORDER BY place, q->>'name')::text FROM (SELECT 0 AS place, "
              "json_build_object('name', '",
              kDbosInternalQueue,
              "') AS q UNION ALL SELECT 1, json_strip_nulls(json_build_object('name', name, 'concurrency', "
              "concurrency, 'workerConcurrency', worker_concurrency, 'rateLimit', CASE WHEN rate_limit_max IS "
              "NOT NULL THEN json_build_object('limit', rate_limit_max, 'period', rate_limit_period_sec) END)) "
              "FROM dbos.queues WHERE application_name = $1) all_queues"),
          {identity_.application}));
  return std::string(rows.Text(0, 0));
}

}  // namespace wallaby

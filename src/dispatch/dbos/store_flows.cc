// The runs of flows, and the schedule.
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "dispatch/dbos/store.h"
#include "nlohmann/json.hpp"

namespace wallaby {
namespace {

// The column says nothing of its format, and each SDK reads it in its own default one: this is an empty context to all.
constexpr char kEmptyContext[] = R"({"json":null,"__dbos_serializer":"superjson"})";

std::string FlowAttribute(const std::string& flow_id) {
  return nlohmann::json{{"flow_id", flow_id}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::vector<DbosStore::FlowRun> Runs(const PgRows& rows) {
  std::vector<DbosStore::FlowRun> runs;
  for (int row = 0; row < rows.size(); ++row) {
    runs.push_back({std::string(rows.Text(row, 0)), std::string(rows.Text(row, 1)), rows.Int(row, 2)});
  }
  return runs;
}

// The attributes may be a client's, so the generation may be anything.
constexpr char kRunColumns[] =
    "workflow_uuid, status, CASE WHEN attributes->>'generation' ~ '^[0-9]{1,18}$' THEN "
    "(attributes->>'generation')::bigint ELSE 0 END";

}  // namespace

absl::Status DbosStore::NoteFlow(const ClaimedRun& run, const std::string& flow_id, int64_t generation) {
  const nlohmann::json attributes = {{"flow_id", flow_id}, {"generation", generation}, {"kind", "client"}};
  return database_
      ->Query(
          "UPDATE dbos.workflow_status SET attributes = CASE WHEN jsonb_typeof(attributes) = 'object' THEN "
          "attributes ELSE '{}'::jsonb END || $3::jsonb WHERE workflow_uuid = $1 AND owner_xid = $2 AND NOT "
          "coalesce(attributes ? 'flow_id', false)",
          {run.id, run.token, attributes.dump()})
      .status();
}

absl::StatusOr<std::vector<DbosStore::FlowRun>> DbosStore::ActiveRuns(const std::string& flow_id) {
  ASSIGN_OR_RETURN(const PgRows rows,
                   database_->Query(absl::StrCat("SELECT ", kRunColumns,
                                                 " FROM dbos.workflow_status WHERE attributes @> $1::jsonb AND name = "
                                                 "$2 AND application_name = $3 AND status IN "
                                                 "('ENQUEUED','PENDING','DELAYED') ORDER BY created_at"),
                                    {FlowAttribute(flow_id), kRunFlowWorkflow, identity_.application}));
  return Runs(rows);
}

absl::StatusOr<std::optional<DbosStore::FlowRun>> DbosStore::NewestRun(const std::string& flow_id) {
  ASSIGN_OR_RETURN(const PgRows rows,
                   database_->Query(absl::StrCat("SELECT ", kRunColumns,
                                                 " FROM dbos.workflow_status WHERE attributes @> $1::jsonb AND name = "
                                                 "$2 AND application_name = $3 ORDER BY created_at DESC LIMIT 1"),
                                    {FlowAttribute(flow_id), kRunFlowWorkflow, identity_.application}));
  if (rows.size() == 0) return std::nullopt;
  return Runs(rows)[0];
}

absl::StatusOr<std::map<std::string, std::string>> DbosStore::ActiveFlows() {
  ASSIGN_OR_RETURN(const PgRows rows,
                   database_->Query("SELECT attributes->>'flow_id', status FROM dbos.workflow_status WHERE name = $1 "
                                    "AND application_name = $2 AND status IN ('ENQUEUED','PENDING','DELAYED') AND "
                                    "attributes ? 'flow_id' ORDER BY created_at",
                                    {kRunFlowWorkflow, identity_.application}));
  std::map<std::string, std::string> flows;
  for (int row = 0; row < rows.size(); ++row) {
    flows[std::string(rows.Text(row, 0))] = std::string(rows.Text(row, 1));
  }
  return flows;
}

// ---- schedule ----

absl::Status DbosStore::PutSchedule(const std::string& name, const std::string& expression,
                                    const std::string& time_zone) {
  // time_zone and class are '' instead of NULL: some SDKs cannot list a schedule without them.
  ASSIGN_OR_RETURN(
      PgRows rows,
      database_->Query("INSERT INTO dbos.workflow_schedules AS s (schedule_id, schedule_name, workflow_name, "
                       "workflow_class_name, schedule, context, cron_timezone, queue_name, application_name) VALUES "
                       "($1, $2, $3, '', $4, $5, $6, $7, $8) ON CONFLICT (schedule_name) DO UPDATE SET workflow_name = "
                       "excluded.workflow_name, schedule = excluded.schedule, cron_timezone = excluded.cron_timezone, "
                       "queue_name = excluded.queue_name, application_name = excluded.application_name WHERE "
                       "s.application_name = $8 OR s.application_name IS NULL RETURNING 1",
                       {NewUuid(), name, kDispatchWorkflow, expression, kEmptyContext, time_zone, identity_.queue,
                        identity_.application}));
  if (rows.size() > 0) return absl::OkStatus();
  ASSIGN_OR_RETURN(rows, database_->Query("SELECT application_name FROM dbos.workflow_schedules WHERE schedule_name = "
                                          "$1",
                                          {name}));
  return absl::AlreadyExistsError(absl::StrCat("the DBOS schedule '", name, "' is already registered by application '",
                                               rows.size() > 0 ? std::string(rows.Text(0, 0)) : "?",
                                               "'; set WALLABY_DBOS_APP to another name"));
}

absl::Status DbosStore::DropSchedule(const std::string& name) {
  return database_
      ->Query("DELETE FROM dbos.workflow_schedules WHERE schedule_name = $1 AND application_name = $2",
              {name, identity_.application})
      .status();
}

absl::StatusOr<std::optional<DbosStore::Schedule>> DbosStore::GetSchedule(const std::string& name) {
  ASSIGN_OR_RETURN(const PgRows rows,
                   database_->Query("SELECT schedule, coalesce(cron_timezone, ''), status FROM dbos.workflow_schedules "
                                    "WHERE schedule_name = $1 AND application_name = $2",
                                    {name, identity_.application}));
  if (rows.size() == 0) return std::nullopt;
  return Schedule{std::string(rows.Text(0, 0)), std::string(rows.Text(0, 1)), rows.Text(0, 2) == "ACTIVE"};
}

absl::Status DbosStore::MarkFired(const std::string& name, absl::Time at) {
  return database_
      ->Query("UPDATE dbos.workflow_schedules SET last_fired_at = $2 WHERE schedule_name = $1",
              {name, absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", at, absl::UTCTimeZone())})
      .status();
}

}  // namespace wallaby

// The final shape of the system database, in one step. Names of tables, columns and indexes are those of the DBOS SDKs
// (MIT licence), which read and write them; the text is our own. A test compares the catalogue with what an SDK makes.
#include "dispatch/dbos/schema.h"

namespace wallaby {
namespace {

constexpr std::string_view kSql = R"sql(
CREATE SCHEMA IF NOT EXISTS dbos;
CREATE TABLE IF NOT EXISTS dbos.dbos_migrations (
  version bigint not null primary key);
CREATE TABLE IF NOT EXISTS dbos.workflow_status (
  workflow_uuid text primary key, status text, name text, authenticated_user text, assumed_role text,
  authenticated_roles text, request text, output text, error text, executor_id text,
  created_at bigint not null default (extract(epoch from now()) * 1000.0)::bigint,
  updated_at bigint not null default (extract(epoch from now()) * 1000.0)::bigint, application_version text,
  application_id text, class_name varchar(255) default null, config_name varchar(255) default null,
  recovery_attempts bigint default 0, queue_name text, workflow_timeout_ms bigint,
  workflow_deadline_epoch_ms bigint, inputs text, started_at_epoch_ms bigint, deduplication_id text,
  priority int4 not null default 0, queue_partition_key text, forked_from text, owner_xid text,
  parent_workflow_id text, serialization text, delay_until_epoch_ms bigint,
  was_forked_from boolean not null default false, rate_limited boolean not null default false, completed_at bigint,
  attributes jsonb, schedule_name text, debounce_deadline_epoch_ms bigint,
  is_debounced boolean not null default false, application_name text, creator_xid text);
CREATE TABLE IF NOT EXISTS dbos.workflow_input (
  workflow_uuid text not null primary key, inputs text,
  retention_timestamp bigint not null default (extract(epoch from now()) * 1000.0)::bigint);
CREATE TABLE IF NOT EXISTS dbos.workflow_output (
  workflow_uuid text not null primary key, output text, error text,
  retention_timestamp bigint not null default (extract(epoch from now()) * 1000.0)::bigint);
CREATE TABLE IF NOT EXISTS dbos.operation_outputs (
  workflow_uuid text not null, function_id int4 not null, function_name text not null default '', output text,
  error text, child_workflow_id text, started_at_epoch_ms bigint, completed_at_epoch_ms bigint, serialization text,
  application_name text, retention_timestamp bigint not null default (extract(epoch from now()) * 1000.0)::bigint,
  primary key (workflow_uuid, function_id));
CREATE TABLE IF NOT EXISTS dbos.notifications (
  message_uuid text not null default gen_random_uuid() primary key,
  destination_uuid text not null references dbos.workflow_status(workflow_uuid) on update cascade on delete cascade,
  topic text, message text not null,
  created_at_epoch_ms bigint not null default (extract(epoch from now()) * 1000.0)::bigint, serialization text,
  consumed boolean not null default false, consumed_by_function_id int4);
CREATE TABLE IF NOT EXISTS dbos.workflow_events (
  workflow_uuid text not null references dbos.workflow_status(workflow_uuid) on update cascade on delete cascade,
  key text not null, value text not null, serialization text, primary key (workflow_uuid, key));
CREATE TABLE IF NOT EXISTS dbos.workflow_events_history (
  workflow_uuid text not null references dbos.workflow_status(workflow_uuid) on update cascade on delete cascade,
  function_id int4 not null, key text not null, value text not null, serialization text,
  primary key (workflow_uuid, function_id, key));
CREATE TABLE IF NOT EXISTS dbos.streams (
  workflow_uuid text not null references dbos.workflow_status(workflow_uuid) on update cascade on delete cascade,
  key text not null, value text not null, "offset" int4 not null, function_id int4 not null default 0,
  serialization text, primary key (workflow_uuid, key, "offset"));
CREATE TABLE IF NOT EXISTS dbos.event_dispatch_kv (
  service_name text not null, workflow_fn_name text not null, key text not null, value text,
  update_seq numeric(38,0), update_time numeric(38,15), primary key (service_name, workflow_fn_name, key));
CREATE TABLE IF NOT EXISTS dbos.workflow_schedules (
  schedule_id text primary key, schedule_name text not null unique, workflow_name text not null,
  workflow_class_name text, schedule text not null, status text not null default 'ACTIVE', context text not null,
  last_fired_at text, automatic_backfill boolean not null default false, cron_timezone text, queue_name text,
  application_name text);
CREATE TABLE IF NOT EXISTS dbos.application_versions (
  version_id text not null primary key, version_name text not null unique,
  version_timestamp bigint not null default (extract(epoch from now()) * 1000.0)::bigint,
  created_at bigint not null default (extract(epoch from now()) * 1000.0)::bigint, application_name text);
CREATE TABLE IF NOT EXISTS dbos.queues (
  queue_id text primary key default gen_random_uuid()::text, name text not null unique, concurrency int4,
  worker_concurrency int4, rate_limit_max int4, rate_limit_period_sec double precision,
  priority_enabled boolean not null default false, partition_queue boolean not null default false,
  polling_interval_sec double precision not null default 1.0,
  created_at bigint not null default (extract(epoch from now()) * 1000.0)::bigint,
  updated_at bigint not null default (extract(epoch from now()) * 1000.0)::bigint, application_name text,
  partition_concurrency int4, partition_worker_concurrency int4, partition_rate_limit_max int4,
  partition_rate_limit_period_sec double precision);
create unique index if not exists uq_workflow_status_dedup_id
  on dbos.workflow_status (queue_name, deduplication_id) where deduplication_id is not null;
create index if not exists workflow_status_created_at_index on dbos.workflow_status (created_at);
create index if not exists idx_workflow_status_pending on dbos.workflow_status (created_at) where status = 'PENDING';
create index if not exists idx_workflow_status_failed
  on dbos.workflow_status (status, created_at) where status in ('ERROR','CANCELLED','MAX_RECOVERY_ATTEMPTS_EXCEEDED');
create index if not exists idx_workflow_status_in_flight_v2
  on dbos.workflow_status (queue_name, status, priority, created_at) include (application_name)
    where status in ('ENQUEUED','PENDING');
create index if not exists idx_workflow_status_partition_dequeue_v3
  on dbos.workflow_status (queue_name, status, queue_partition_key, priority, created_at, workflow_uuid) include (application_name)
    where status in ('ENQUEUED','PENDING') and queue_partition_key is not null;
create index if not exists idx_workflow_status_rate_limited
  on dbos.workflow_status (queue_name, started_at_epoch_ms) where rate_limited = true;
create index if not exists idx_workflow_status_completed_at
  on dbos.workflow_status (completed_at) where completed_at is not null;
create index if not exists idx_workflow_status_started_at
  on dbos.workflow_status (started_at_epoch_ms) where started_at_epoch_ms is not null;
create index if not exists idx_workflow_status_delayed
  on dbos.workflow_status (delay_until_epoch_ms) where status = 'DELAYED';
create index if not exists idx_workflow_status_deadline
  on dbos.workflow_status (workflow_deadline_epoch_ms)
    where status in ('ENQUEUED','PENDING','DELAYED') and workflow_deadline_epoch_ms is not null;
create index if not exists idx_workflow_status_attributes
  on dbos.workflow_status using gin (attributes) where attributes is not null;
create index if not exists idx_workflow_status_schedule_name
  on dbos.workflow_status (schedule_name) where schedule_name is not null;
create index if not exists idx_workflow_topic on dbos.notifications (destination_uuid, topic);
create index if not exists idx_workflow_input_retention on dbos.workflow_input (retention_timestamp);
create index if not exists idx_workflow_output_retention on dbos.workflow_output (retention_timestamp);
create index if not exists idx_operation_outputs_retention on dbos.operation_outputs (retention_timestamp);
create index if not exists idx_operation_outputs_completed_at_function_name_v2
  on dbos.operation_outputs (completed_at_epoch_ms, function_name) include (application_name);
create unique index if not exists uq_application_versions_owner_version
  on dbos.application_versions (application_name, version_name) where application_name is not null;
create unique index if not exists uq_application_versions_unclaimed_version
  on dbos.application_versions (version_name) where application_name is null;
create index if not exists idx_application_versions_timestamp on dbos.application_versions (version_timestamp desc);
create index if not exists idx_application_versions_owner_timestamp
  on dbos.application_versions (application_name, version_timestamp desc);
create index if not exists idx_workflow_status_forked_from
  on dbos.workflow_status (forked_from) where forked_from is not null;
create index if not exists idx_workflow_status_parent_workflow_id
  on dbos.workflow_status (parent_workflow_id) where parent_workflow_id is not null;
create or replace function dbos.notifications_function() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as
$$ begin perform pg_notify('dbos_notifications_channel', new.destination_uuid || '::' || new.topic); return new; end $$;
do $$ begin if not exists (select from pg_trigger where tgname = 'dbos_notifications_trigger' and tgrelid = 'dbos.notifications'::regclass) then
  create trigger dbos_notifications_trigger after insert on dbos.notifications for each row execute function dbos.notifications_function(); end if; end $$;
create or replace function dbos.enqueue_workflow(workflow_name text, queue_name text, positional_args json[] default array[]::json[],
  named_args json default '{}'::json, class_name text default null, config_name text default null, workflow_id text default null,
  app_version text default null, timeout_ms bigint default null, deadline_epoch_ms bigint default null, deduplication_id text default null,
  priority int4 default null, queue_partition_key text default null, authenticated_user text default null, authenticated_roles text default null,
  delay_until_epoch_ms bigint default null, application_name text default null) returns text language plpgsql set search_path = pg_catalog, pg_temp as $$
declare id text := coalesce(workflow_id, gen_random_uuid()::text); ms bigint := extract(epoch from now()) * 1000;
begin
  if coalesce(workflow_name, '') = '' then raise exception 'workflow name is required'; end if;
  if coalesce(queue_name, '') = '' then raise exception 'queue name is required'; end if;
  if workflow_id = '' then raise exception 'workflow id is empty'; end if;
  if named_args is not null and json_typeof(named_args) <> 'object' then raise exception 'named args must be a JSON object'; end if;
  if delay_until_epoch_ms < 0 then raise exception 'delay_until_epoch_ms must be >= 0'; end if;
  insert into dbos.workflow_status (workflow_uuid, status, name, class_name, config_name, queue_name, deduplication_id, priority, queue_partition_key,
    application_version, created_at, updated_at, recovery_attempts, workflow_timeout_ms, workflow_deadline_epoch_ms, owner_xid, serialization,
    authenticated_user, authenticated_roles, delay_until_epoch_ms, application_name)
  values (id, case when delay_until_epoch_ms is null then 'ENQUEUED' else 'DELAYED' end, workflow_name, class_name, config_name, queue_name,
    deduplication_id, coalesce(priority, 0), queue_partition_key, app_version, ms, ms, 0, timeout_ms, deadline_epoch_ms, gen_random_uuid()::text,
    'portable_json', authenticated_user, authenticated_roles, delay_until_epoch_ms, application_name)
  on conflict (workflow_uuid) do update set updated_at = excluded.updated_at;
  insert into dbos.workflow_input (workflow_uuid, inputs, retention_timestamp)
  values (id, json_build_object('positionalArgs', positional_args, 'namedArgs', named_args)::text, ms) on conflict (workflow_uuid) do nothing;
  return id;
exception when unique_violation then
  raise exception 'DBOS queue duplicated' using errcode = 'unique_violation',
    detail = format('workflow %s, queue %s, deduplication id %s', id, queue_name, deduplication_id);
end $$;
create or replace function dbos.send_message(destination_id text, message json, topic text default null, message_id text default null)
returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  insert into dbos.notifications (destination_uuid, topic, message, message_uuid, serialization)
  values (destination_id, coalesce(topic, '__null__topic__'), message, coalesce(message_id, gen_random_uuid()::text), 'portable_json')
  on conflict (message_uuid) do nothing;
exception when foreign_key_violation then
  raise exception 'DBOS non-existent workflow' using errcode = 'foreign_key_violation', detail = format('workflow %s', destination_id);
end $$;
insert into dbos.dbos_migrations select 125 where not exists (select from dbos.dbos_migrations);
)sql";

}  // namespace

std::string_view DbosSchemaSql() {
  return kSql;
}

}  // namespace wallaby

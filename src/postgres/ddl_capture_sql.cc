#include "postgres/ddl_capture_sql.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/sql_text.h"

namespace wallaby {
namespace {

// Values must read the same whoever's session runs the trigger.
constexpr char kSettings[] =
    "SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET timezone = 'UTC' "
    "SET extra_float_digits = 3 SET bytea_output = 'hex'";

// One table: its columns, keys and the publications that it is in, each with the columns that it sends.
constexpr char kShapeFunction[] = R"sql(
CREATE OR REPLACE FUNCTION @shape(rel oid) RETURNS jsonb LANGUAGE sql STABLE @settings AS $wallaby$
  SELECT jsonb_build_object(
    'oid', c.oid::bigint, 'schema', n.nspname, 'name', c.relname, 'identity', c.relreplident,
    'pk', (SELECT to_jsonb((i.indkey::int2[])[0:i.indnkeyatts - 1]) FROM pg_index i
           WHERE i.indrelid = c.oid AND i.indisprimary AND i.indimmediate AND i.indisvalid),
    'ri', (SELECT to_jsonb((i.indkey::int2[])[0:i.indnkeyatts - 1]) FROM pg_index i
           WHERE i.indrelid = c.oid AND i.indisreplident),
    'columns', (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'num', a.attnum, 'name', a.attname, 'type', a.atttypid::bigint, 'typmod', a.atttypmod,
        'not_null', a.attnotnull, 'generated', a.attgenerated <> '',
        'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
        'fill', CASE WHEN a.atthasmissing THEN (a.attmissingval::text::text[])[1] END,
        'rewritten', NOT a.atthasmissing AND (a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> ''))
        ORDER BY a.attnum), '[]')
      FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
    'publications', (SELECT coalesce(jsonb_object_agg(p.pubname, @published), '{}')
                     FROM pg_publication_tables p WHERE p.schemaname = n.nspname AND p.tablename = c.relname))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.oid = rel AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
    AND n.nspname NOT IN (@state_schema_text, @trigger_schema_text) AND n.nspname !~ '^pg_'
    AND n.nspname <> 'information_schema'
$wallaby$)sql";

// A command must never fail because of the capture: what goes wrong here is a warning, and the change is still seen
// when the table's next row arrives. Tables are taken in order of oid, so that every reader counts the messages alike.
constexpr char kTriggerFunction[] = R"sql(
CREATE OR REPLACE FUNCTION @trigger() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER @settings AS $wallaby$
DECLARE
  rel oid;
  old_shape jsonb;
  new_shape jsonb;
BEGIN
  IF tg_event = 'sql_drop' THEN
    FOR rel IN SELECT DISTINCT objid FROM pg_event_trigger_dropped_objects()
               WHERE classid = 'pg_class'::regclass AND objsubid = 0 AND object_type = 'table' ORDER BY objid LOOP
      DELETE FROM @state WHERE relid = rel RETURNING shape INTO old_shape;
      IF FOUND AND old_shape -> 'publications' <> '{}' THEN
        PERFORM pg_logical_emit_message(true, @prefix, jsonb_build_object('v', 1, 'server', @major, 'tag', tg_tag,
          'sql', left(current_query(), 65536), 'before', old_shape)::text);
      END IF;
    END LOOP;
    RETURN;
  END IF;
  IF tg_tag IN ('CREATE PUBLICATION', 'ALTER PUBLICATION', 'DROP PUBLICATION') THEN
    UPDATE @state s SET shape = n.shape FROM (SELECT relid, @shape(relid) AS shape FROM @state) n
    WHERE n.relid = s.relid AND n.shape <> s.shape;
    RETURN;
  END IF;
  FOR rel IN
    WITH RECURSIVE named(relid) AS (
      SELECT objid FROM pg_event_trigger_ddl_commands() WHERE classid = 'pg_class'::regclass
      UNION
      SELECT c.oid FROM pg_event_trigger_ddl_commands() d JOIN pg_class c ON c.relnamespace = d.objid
      WHERE d.classid = 'pg_namespace'::regclass
      UNION
      SELECT i.inhrelid FROM named JOIN pg_inherits i ON i.inhparent = named.relid)
    SELECT named.relid FROM named JOIN pg_class c ON c.oid = named.relid
    WHERE c.relkind IN ('r', 'p') ORDER BY named.relid
  LOOP
    new_shape := @shape(rel);
    CONTINUE WHEN new_shape IS NULL;
    old_shape := NULL;
    SELECT shape INTO old_shape FROM @state WHERE relid = rel;
    CONTINUE WHEN old_shape = new_shape;
    INSERT INTO @state (relid, shape) VALUES (rel, new_shape)
    ON CONFLICT (relid) DO UPDATE SET shape = excluded.shape;
    IF coalesce(old_shape -> 'publications', '{}') <> '{}' OR new_shape -> 'publications' <> '{}' THEN
      PERFORM pg_logical_emit_message(true, @prefix, jsonb_build_object('v', 1, 'server', @major, 'tag', tg_tag,
        'sql', left(current_query(), 65536), 'before', old_shape, 'after', new_shape)::text);
    END IF;
  END LOOP;
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'wallaby: the change of a table was not captured: %', SQLERRM;
END
$wallaby$)sql";

constexpr char kInstall[] = R"sql(
BEGIN;
SELECT pg_advisory_xact_lock(hashtextextended('wallaby ddl capture', 0));
@make_schemas;
CREATE TABLE IF NOT EXISTS @state (relid oid PRIMARY KEY, shape jsonb NOT NULL);
@shape_function;
@trigger_function;
REVOKE ALL ON FUNCTION @shape(oid) FROM PUBLIC;
DROP EVENT TRIGGER IF EXISTS @end_name;
DROP EVENT TRIGGER IF EXISTS @drop_name;
CREATE EVENT TRIGGER @end_name ON ddl_command_end EXECUTE FUNCTION @trigger();
CREATE EVENT TRIGGER @drop_name ON sql_drop EXECUTE FUNCTION @trigger();
DELETE FROM @state;
INSERT INTO @state (relid, shape)
  SELECT oid, shape FROM (SELECT c.oid, @shape(c.oid) AS shape FROM pg_catalog.pg_class c
                          WHERE c.relkind IN ('r', 'p')) s WHERE shape IS NOT NULL;
COMMENT ON FUNCTION @trigger() IS @mark;
COMMIT;
)sql";

std::string MakeSchema(const std::string& name) {
  // IF NOT EXISTS would ask for the right to create schemas even where the schema exists.
  return absl::StrCat("DO $do$ BEGIN IF pg_catalog.to_regnamespace(", SqlLiteral(SqlIdentifier(name)),
                      ") IS NULL THEN CREATE SCHEMA ", SqlIdentifier(name), "; END IF; END $do$");
}

}  // namespace

std::string DdlCaptureMark(int server_major) {
  return absl::StrCat("WALlaby DDL capture ", kDdlCaptureVersion, " for PostgreSQL ", server_major);
}

std::string DdlCaptureSql(const SourceOptions& options, int server_major) {
  std::string make_schemas = MakeSchema(options.state_schema);
  if (options.ddl_trigger_schema != options.state_schema) {
    absl::StrAppend(&make_schemas, "; ", MakeSchema(options.ddl_trigger_schema));
  }
  const std::string sql =
      absl::StrReplaceAll(kInstall, {{"@shape_function", kShapeFunction}, {"@trigger_function", kTriggerFunction}});
  return absl::StrReplaceAll(sql,
                             {{"@make_schemas", make_schemas},
                              {"@settings", kSettings},
                              {"@state_schema_text", SqlLiteral(options.state_schema)},
                              {"@trigger_schema_text", SqlLiteral(options.ddl_trigger_schema)},
                              {"@state", SqlTable(options.state_schema, options.state_table)},
                              {"@shape", SqlTable(options.ddl_trigger_schema, options.ddl_trigger_name + "_shape")},
                              {"@trigger", SqlTable(options.ddl_trigger_schema, options.ddl_trigger_name)},
                              {"@end_name", SqlIdentifier(options.ddl_trigger_name)},
                              {"@drop_name", SqlIdentifier(options.ddl_trigger_name + "_drop")},
                              {"@prefix", SqlLiteral(options.ddl_message_prefix)},
                              {"@major", absl::StrCat(server_major)},
                              {"@mark", SqlLiteral(DdlCaptureMark(server_major))},
                              // Before 15 every column is sent; from then on the view names those that are.
                              {"@published", server_major >= 15 ? "to_jsonb(p.attnames)" : "NULL::jsonb"}});
}

}  // namespace wallaby

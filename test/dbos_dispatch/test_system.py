"""The system database itself, its versions, and the admin endpoints."""

import os
import subprocess
import sys
import time

from .stack import DbosTest, ask, environment, free_port, portable, sql, wait_until

CATALOGUE = """
SELECT 'column', table_name, column_name, data_type, character_maximum_length::text, is_nullable,
  replace(replace(column_default, '(1000)::numeric', '1000.0'), '(EXTRACT(epoch FROM now()) * 1000.0)', 'NOWMS')
  FROM information_schema.columns WHERE table_schema = 'dbos' ORDER BY 2, 3;
"""
OTHERS = ("SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = "
          "'dbos'::regnamespace ORDER BY 1, 2",
          "SELECT indexdef FROM pg_indexes WHERE schemaname = 'dbos' ORDER BY 1",
          "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal AND tgrelid::regclass::text LIKE 'dbos.%'",
          "SELECT proname, pg_get_function_arguments(oid), pg_get_function_result(oid), array_to_string(proconfig, ',') "
          "FROM pg_proc WHERE pronamespace = 'dbos'::regnamespace ORDER BY 1",
          "SELECT version::text FROM dbos.dbos_migrations")
# A real application of the SDK, beside us in the same database.
APPLICATION = """
import sys, time
from dbos import DBOS
DBOS(config={"name": "other", "system_database_url": sys.argv[1], "application_version": "other-1"})
@DBOS.workflow()
def hello(n):
    return n + 1
DBOS.launch()
print("RESULT", DBOS.start_workflow(hello, 41).get_result(), flush=True)
time.sleep(3)
DBOS.destroy()
"""


def catalogue(dsn):
    return [sql(dsn, CATALOGUE)] + [sql(dsn, query) for query in OTHERS]


def dbos_migrate(dsn):
    program = os.path.join(os.path.dirname(sys.executable), "dbos")
    subprocess.run([program, "migrate", "-s", dsn], check=True, capture_output=True, text=True, timeout=120)


class SystemTest(DbosTest):
    def refusal(self, **env):
        wallaby = self.server(start=False)
        program = os.path.join(os.environ["WALLABY_BIN_DIR"], "wallaby")
        result = subprocess.run([program], env={**wallaby.env, **env}, capture_output=True, text=True, timeout=30)
        self.assertEqual(result.returncode, 1, result.stderr)
        return result.stderr.splitlines()[-1]

    def test_our_tables_are_those_of_the_sdk(self):
        self.server().close()
        theirs = self.postgres.database("theirs")
        dbos_migrate(theirs)
        for ours, expected in zip(catalogue(self.system), catalogue(theirs)):
            self.assertEqual(ours, expected)
        # And the SDK finds nothing to do on ours.
        before = catalogue(self.system)
        dbos_migrate(self.system)
        self.assertEqual(catalogue(self.system), before)
        # What the SDK made is used as it is.
        wallaby = self.server(WALLABY_POSTGRES_DSN=theirs)
        wait_until(lambda: '"msg":"DBOS executor"' in wallaby.log(), 30, "executor over the SDK's tables")

    def test_an_application_of_the_sdk_beside_us(self):
        wallaby = self.server()
        self.flow(wallaby, start=False)
        other = subprocess.Popen([sys.executable, "-c", APPLICATION, self.system], stdout=subprocess.PIPE, text=True,
                                 stderr=subprocess.DEVNULL)
        self.addCleanup(other.stdout.close)
        self.assertEqual(other.stdout.readline().strip(), "RESULT 42")
        for n in range(10):
            self.client().enqueue(portable(f"ours-{n}"), "shop")
        self.assertEqual(other.wait(30), 0)
        wait_until(lambda: self.runs("count(*)", "application_name = 'wallaby' AND status = 'SUCCESS' AND "
                                     "application_version = 'wallaby-1'") == [("10",)], 15, "ours")
        self.assertEqual(self.runs("count(*)", "application_name = 'other' AND status = 'SUCCESS'"), [("1",)])

    def test_other_versions_are_refused_without_a_write(self):
        dbos_migrate(self.system)
        for version, says in (("124", "run `dbos migrate"), ("126", "run a newer WALlaby")):
            sql(self.system, f"UPDATE dbos.dbos_migrations SET version = {version}")
            before = catalogue(self.system)
            line = self.refusal()
            self.assertIn(f"is at migration {version}, and this program knows 125. Nothing was changed", line)
            self.assertIn(says, line)
            self.assertEqual(catalogue(self.system), before)
            self.assertEqual(sql(self.system, "SELECT (SELECT count(*) FROM dbos.queues) + (SELECT count(*) FROM "
                                              "dbos.application_versions)"), [["0"]])

    def test_other_refusals(self):
        self.assertIn("needs WALLABY_POSTGRES_DSN", self.refusal(WALLABY_POSTGRES_DSN=""))
        self.assertIn("setting WALLABY_DBOS_SCHEDULE: cron field second",
                      self.refusal(WALLABY_DBOS_SCHEDULE="61 * * * * *"))
        # What another application has registered is its own.
        sql(self.system, "UPDATE dbos.queues SET application_name = 'other'")
        self.assertIn("queue 'wallaby' is already registered by application 'other'", self.refusal())
        self.assertIn("version 'wallaby-1' is already registered by application 'wallaby'",
                      self.refusal(WALLABY_DBOS_APP="third", WALLABY_DBOS_QUEUE="third"))

    def test_admin_endpoints(self):
        port = free_port()
        wallaby = self.server(WALLABY_DBOS_ADMIN_PORT=str(port))
        self.flow(wallaby, start=False)
        self.client().enqueue(portable("w-1"), {"flow_id": "shop", "max_empty_reads": 1}).get_result()
        self.assertEqual(ask(wallaby, "GET", "/healthz")[0], 200)
        self.assertEqual(ask(wallaby, "GET", "/dbos-healthz"), (200, {"status": "healthy"}))
        self.assertEqual(ask(wallaby, "GET", "/conductor"), (200, {"status": True}))
        self.assertEqual(ask(wallaby, "GET", "/dbos-workflow-queues-metadata"),
                         (200, [{"name": "_dbos_internal_queue"}, {"name": "wallaby"}]))
        status, found = ask(wallaby, "GET", "/workflows/w-1")
        self.assertEqual((status, found["Status"], found["Output"], found["ApplicationName"], found["Attempts"]),
                         (200, "SUCCESS", '"ok"', "wallaby", 1))
        self.assertEqual(ask(wallaby, "GET", "/workflows/none"), (404, {"error": "Workflow none not found"}))
        self.assertEqual([s["function_name"] for s in ask(wallaby, "GET", "/workflows/w-1/steps")[1]],
                         ["check_generation", "run"])
        self.assertEqual(ask(wallaby, "GET", "/workflows/none/steps"), (200, []))
        for body, ids in (({}, ["w-1"]), ({"status": ["ERROR"]}, []), ({"workflow_id_prefix": "w-", "limit": 1}, ["w-1"]),
                          ({"workflow_name": "wallaby.run_flow", "start_time": "2020-01-01T00:00:00Z"}, ["w-1"])):
            status, found = ask(wallaby, "POST", "/workflows", body)
            self.assertEqual((status, [w["WorkflowUUID"] for w in found]), (200, ids), body)
        self.assertEqual(ask(wallaby, "POST", "/queues", {}), (200, []))
        self.assertEqual(ask(wallaby, "POST", "/workflows", '{"limit":"x"}')[0], 400)
        for action in ("cancel", "resume", "fork", "restart", "rewind"):
            self.assertEqual(ask(wallaby, "POST", f"/workflows/none/{action}")[0], 404, action)
        self.assertEqual(ask(wallaby, "POST", "/workflows/w-1/cancel"), (204, ""))
        self.assertEqual(ask(wallaby, "POST", "/workflows/w-1/resume"), (204, ""))
        self.assertEqual(self.row("w-1"), "SUCCESS")
        self.assertEqual(ask(wallaby, "POST", "/workflows/w-1/fork", {"start_step": 1, "new_workflow_id": "w-2"}),
                         (200, {"workflow_id": "w-2"}))
        restarted = ask(wallaby, "POST", "/workflows/w-1/restart")[1]["workflow_id"]
        for workflow_id in ("w-2", restarted):
            wait_until(lambda: self.row(workflow_id) == "SUCCESS", 30, "the end of a fork")
        self.assertEqual(ask(wallaby, "POST", "/workflows/w-1/rewind", {"start_step": 1}), (204, ""))
        wait_until(lambda: self.row("w-1") == "SUCCESS", 30, "the end of the rewound one")
        self.assertEqual(ask(wallaby, "PUT", "/dbos-workflow-recovery", [])[0], 405)
        self.assertEqual(ask(wallaby, "GET", "/nope")[0], 404)
        # The other port, for this machine alone.
        wallaby.address = f"127.0.0.1:{port}"
        self.assertEqual(ask(wallaby, "GET", "/dbos-healthz"), (200, {"status": "healthy"}))
        now = int(time.time() * 1000) + 1000
        self.assertEqual(ask(wallaby, "POST", "/dbos-global-timeout", {"cutoff_epoch_timestamp_ms": now}), (204, ""))
        self.assertEqual(ask(wallaby, "POST", "/dbos-garbage-collect", {"rows_threshold": 2}), (204, ""))
        self.assertEqual(self.runs("count(*)"), [("2",)])
        self.assertEqual(ask(wallaby, "POST", "/dbos-garbage-collect", {"cutoff_epoch_timestamp_ms": now}), (204, ""))
        self.assertEqual(sql(self.system, "SELECT (SELECT count(*) FROM dbos.workflow_status) + (SELECT count(*) FROM "
                                          "dbos.operation_outputs) + (SELECT count(*) FROM dbos.workflow_input)"), [["0"]])
        self.assertEqual(ask(wallaby, "GET", "/deactivate"), (200, "deactivated\n"))

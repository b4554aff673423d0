"""wallaby-admin doctor: on a source, a flow and a flow file; what it prints is given to psql as it is, and mends."""

import functools
import json
import os
import subprocess
import tempfile
import unittest

from e2e.harness import BIN_DIR, SOURCE_DIR, Postgres, PostgresTest, Wallaby, free_port, source_endpoint, sql, wait_until

PASSWORD = "s3cret-never-shown"
DEPS_DIR = os.environ.get("WALLABY_DEPS_DIR") or os.path.join(SOURCE_DIR, ".deps")


def doctor(*args, env=None):
    """Exit status, standard output, standard error."""
    result = subprocess.run([os.path.join(BIN_DIR, "wallaby-admin"), "doctor", *args], capture_output=True, text=True,
                            env={**os.environ, **(env or {})})
    return result.returncode, result.stdout, result.stderr


def checks(*args, env=None):
    """(exit status, {check: its worst entry})."""
    status, out, err = doctor(*args, "-json", env=env)
    report = json.loads(out or "null")
    assert report, err
    weight = {"ok": 0, "warning": 1, "problem": 2}
    worst = {}
    for check in report["checks"]:
        if check["check"] not in worst or weight[check["status"]] > weight[worst[check["check"]]["status"]]:
            worst[check["check"]] = check
    assert report["status"] == max((c["status"] for c in report["checks"]), key=weight.get)
    assert status == (1 if report["status"] == "problem" else 0), err
    return status, worst


def script_of(out):
    """All that stands below the table."""
    return out[out.index("\n-- "):]


class DoctorTest(PostgresTest):
    def setUp(self):
        name = self.id().rsplit(".", 1)[1][:40]
        self.name = "d" + name[4:]
        self.source = self.postgres.database("s" + name)
        self.target = self.postgres.database("t" + name)

    def test_printed_sql_given_to_psql_mends_a_source(self):
        sql(self.source, "CREATE TABLE keyless (a int); CREATE UNLOGGED TABLE fleeting (a int PRIMARY KEY);"
                         "CREATE TABLE \"odd\n\"\"name; DROP TABLE keyless\" (a int);"
                         f"CREATE ROLE least_{self.name} LOGIN; GRANT SELECT ON fleeting TO least_{self.name};"
                         "CREATE PUBLICATION p FOR ALL TABLES")
        dsn = self.source.replace("postgres@", f"least_{self.name}@")
        status, out, err = doctor("-dsn", dsn)
        self.assertEqual(status, 1)
        self.assertRegex(out, r"(?m)^STATUS +CHECK +OBJECT +WHAT$")
        self.assertRegex(out, r"(?m)^problem +replica_identity +table public.keyless +has no primary key")
        self.assertRegex(out, r"(?m)^-- 3 problems, \d+ warnings?\.$")
        self.assertIn("3 problems; the first: role", err)
        self.assertEqual(len(err.strip().splitlines()), 1)
        sql(self.source, script_of(out))
        self.assertEqual(sql(self.source, "SELECT count(*) FROM keyless"), [["0"]])  # it is still there
        status, worst = checks("-dsn", dsn)
        self.assertEqual(status, 0, worst)
        self.assertEqual({c["check"] for c in worst.values() if c["status"] != "ok"}, set())
        sql(self.source, "INSERT INTO keyless VALUES (1); UPDATE keyless SET a = 2")

    def test_flow(self):
        sql(self.source, f"CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE keyless (a int);"
                         f"CREATE ROLE flow_{self.name} LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
        dsn = self.source.replace("postgres@", f"flow_{self.name}:{PASSWORD}@")
        flow = {"name": self.name,
                "source": source_endpoint(dsn, slot=self.name, publication=self.name, publication_tables="public.t"),
                "destinations": [{"name": "copy", "type": "postgres",
                                  "options": {"dsn": self.target.replace("postgres@", f"postgres:{PASSWORD}@")}},
                                 {"name": "duck", "type": "duckdb", "options": {"dsn": "/tmp/never-made.duckdb"}}]}
        wallaby = Wallaby({"WALLABY_DDL_GATE": "true"}).start()
        try:
            path = os.path.join(wallaby.folder, "flow.json")

            def of_file(**source):
                changed = {**flow, "source": {**flow["source"], "options": {**flow["source"]["options"], **source}}}
                with open(path, "w", encoding="utf-8") as f:
                    json.dump(changed, f)
                return checks("-file", path, env=wallaby.env)

            # Before there is a flow.
            status, worst = of_file()
            self.assertEqual(status, 0, worst)
            self.assertEqual(worst["slot"]["status"], "ok")
            self.assertEqual(worst["destination"]["status"], "ok")
            status, worst = of_file(ensure_publication="false")
            self.assertEqual(status, 1)
            self.assertIn("CREATE PUBLICATION", worst["publication"]["sql"])
            status, worst = of_file(publication_tables="public.t,public.keyless")
            self.assertEqual(worst["replica_identity"]["object"], "table public.keyless")
            self.assertEqual(status, 1)
            self.assertEqual(doctor("-file", path + ".no", env=wallaby.env)[0], 1)

            flow["destinations"].pop()
            flow_id = wallaby.create(flow)
            wallaby.await_delivery(flow_id, self.source, self.name)
            status, out, err = doctor("-flow-id", self.name, env=wallaby.env)
            self.assertEqual(status, 0, out + err)
            self.assertIn("it can be reached: PostgreSQL 15", out)
            self.assertRegex(out, r"(?m)^ok +event_trigger +- +the capture of schema changes is installed")
            for text in (out, err, doctor("-flow-id", flow_id, "-json", env=wallaby.env)[1], wallaby.log()):
                self.assertNotIn(PASSWORD, text)

            # A destination and a source that are gone.
            sql(self.postgres.dsn, f'DROP DATABASE "{self.target.rsplit("/", 1)[1]}" WITH (FORCE)')
            status, worst = checks("-flow-id", flow_id, env=wallaby.env)
            self.assertEqual((status, worst["destination"]["status"]), (1, "problem"))
            self.assertEqual(worst["destination"]["object"], "destination copy")
            wallaby.admin("flow", "stop", "-flow-id", flow_id)
            wait_until(lambda: not wallaby.worker_pids(flow_id), 60, "the worker's end")
            sql(self.source, f"ALTER ROLE flow_{self.name} NOLOGIN")
            status, out, err = doctor("-flow-id", flow_id, env=wallaby.env)
            self.assertEqual(status, 1)
            self.assertRegex(out, r"(?m)^problem +connection +connection ")
            self.assertNotIn(PASSWORD, out + err)
            self.assertEqual(doctor("-flow-id", "nobody", env=wallaby.env)[0], 1)
        finally:
            wallaby.close()
            sql(self.postgres.dsn, f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{self.name}'")

    def test_usage(self):
        for args in ([], ["-dsn", "x", "-flow-id", "y"], ["-flow-id", "y", "-slot", "s"], ["-dsn", "x", "more"]):
            self.assertEqual(doctor(*args)[0], 2, args)

    def test_pooler(self):
        head, _, database = self.source.rpartition("/")
        server = head.rpartition(":")[2]
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            for ignored in ("", "ignore_startup_parameters = options, extra_float_digits, replication\n"):
                port = free_port()
                path = os.path.join(folder, "pgbouncer.ini")
                with open(path, "w", encoding="utf-8") as f:
                    f.write(f"[databases]\n* = host=127.0.0.1 port={server} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
                            f"listen_port = {port}\nauth_type = any\npool_mode = transaction\nunix_socket_dir =\n{ignored}")
                command = [os.path.join(DEPS_DIR, "tools/pgbouncer"), path]
                if os.geteuid() == 0:  # it does not run as root
                    command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *command]
                pooler = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                try:
                    lines = []
                    while not any("process up" in line for line in lines):
                        line = pooler.stderr.readline()
                        self.assertTrue(line, lines)
                        lines.append(line)
                    status, worst = checks("-dsn", f"postgres://postgres@127.0.0.1:{port}/{database}?sslmode=disable")
                    self.assertEqual(status, 1)
                    self.assertEqual(worst["pooler"]["status"], "problem", worst)
                    self.assertIn("a connection pooler stands between", worst["pooler"]["sentence"])
                finally:
                    pooler.terminate()
                    pooler.communicate()

    def test_standby(self):
        for major, expected in ((15, "problem"), (17, "ok")):
            primary = Postgres(major)
            standby = primary.standby(["hot_standby_feedback=on"])
            try:
                status, worst = checks("-dsn", standby.dsn)
                self.assertEqual(worst["standby"]["status"], expected, worst)
                self.assertEqual(status, 1 if expected == "problem" else 0)
                self.assertIn("this server is a standby", worst["standby"]["sentence"])
            finally:
                standby.stop()
                primary.stop()


def on_each_major(test):
    @functools.wraps(test)
    def run(self):
        for major in self.servers:
            with self.subTest(major=major):
                self.begin(major)
                test(self)
    return run


class ApplicationTest(unittest.TestCase):
    """What is printed, run as it stands, never makes the application's statements fail, and in the end none fails."""

    @classmethod
    def setUpClass(cls):
        cls.servers = {major: Postgres(major) for major in (17, 18)}

    @classmethod
    def tearDownClass(cls):
        for server in cls.servers.values():
            server.stop()

    def begin(self, major):
        self.major, self.postgres = major, self.servers[major]
        self.source = self.postgres.database(self.id().rsplit(".", 1)[1][5:40])

    def mends(self, application, *args, fails_before, check="replica_identity", runs=1):
        """Runs all that doctor prints, `runs` times until it finds no problem and offers nothing that matters here."""
        def works():
            try:
                sql(self.source, "BEGIN; " + application + "; ROLLBACK")
                return True
            except AssertionError:
                return False
        self.assertEqual(works(), not fails_before)
        status, worst = checks("-dsn", self.source, *args)
        self.assertNotEqual(worst[check]["status"], "ok")
        self.assertTrue(not fails_before or status == 1)
        for _ in range(runs):
            out = doctor("-dsn", self.source, *args)[1]
            script = "".join(f"{block}\n" for block in script_of(out).split("\n\n") if "ALTER SYSTEM" not in block)
            sql(self.source, script)
            self.assertTrue(works(), script)
        status, worst = checks("-dsn", self.source, *args)
        self.assertEqual(status, 0, worst)
        self.assertEqual({c: worst[c] for c in (check, "replica_identity", "publication") if worst[c]["status"] != "ok"}, {})

    @on_each_major
    def test_row_filter(self):
        sql(self.source, "CREATE TABLE rf (id int PRIMARY KEY, n int); INSERT INTO rf VALUES (1, 9);"
                         "CREATE PUBLICATION p FOR TABLE rf WHERE (n > 5)")
        self.mends("UPDATE rf SET n = 7; DELETE FROM rf", fails_before=True)

    @on_each_major
    def test_column_list(self):
        sql(self.source, "CREATE TABLE cl (id int PRIMARY KEY, n int, \"odd \"\"x\" int); INSERT INTO cl VALUES (1, 9);"
                         "CREATE PUBLICATION \"p;q\" FOR TABLE cl (n, \"odd \"\"x\") WHERE (id <> 5)")
        self.mends("UPDATE cl SET n = 7; DELETE FROM cl", fails_before=True)

    @on_each_major
    def test_generated_key(self):
        sql(self.source, "CREATE TABLE g (b int, id int GENERATED ALWAYS AS (b) STORED PRIMARY KEY); INSERT INTO g VALUES (1);"
                         "CREATE PUBLICATION p FOR TABLE g")
        self.mends("UPDATE g SET b = 7; DELETE FROM g", fails_before=self.major >= 18)

    @on_each_major
    def test_publication_of_inserts(self):
        sql(self.source, "CREATE TABLE log (a int); INSERT INTO log VALUES (1);"
                         "CREATE PUBLICATION ins FOR TABLE log WITH (publish = 'insert')")
        self.mends("UPDATE log SET a = 2; DELETE FROM log", fails_before=False, check="publication", runs=2)

    @on_each_major
    def test_publication_that_is_missing(self):
        sql(self.source, "CREATE TABLE nopk (a int); INSERT INTO nopk VALUES (1); CREATE TABLE t (id int PRIMARY KEY)")
        self.mends("UPDATE nopk SET a = 2; DELETE FROM nopk; UPDATE t SET id = 2", "-publication", "new", fails_before=False,
                   check="publication", runs=2)

    @on_each_major
    def test_two_publications_tell_of_a_table_once(self):
        sql(self.source, "CREATE TABLE nopk (a int); CREATE TABLE u (id int PRIMARY KEY, n int);"
                         "CREATE PUBLICATION one FOR TABLE nopk, u (id); CREATE PUBLICATION two FOR TABLE nopk, u")
        out = doctor("-dsn", self.source)[1]
        self.assertEqual(out.count("\nproblem"), 1, out)
        self.assertIn("would identify the row (publications one, two)", out)
        self.assertIn("column list leaves out: n (publication one)", out)
        self.assertIn("-- 1 problem, ", out)

    @on_each_major
    def test_slot_that_cannot_be(self):
        out = doctor("-dsn", self.source, "-slot", "Böse Slot")[1]
        self.assertRegex(out, r"(?m)^problem +slot +slot Böse Slot +no slot can have this name")
        self.assertNotIn("pg_create_logical_replication_slot", out)

    def test_flow_that_failed_for_it_goes_on(self):
        """The flow says what is wrong and what to do; that done, it delivers."""
        self.begin(17)
        sql(self.source, "CREATE TABLE g (b int, id int GENERATED ALWAYS AS (b) STORED PRIMARY KEY, v text);"
                         "INSERT INTO g (b, v) SELECT i, 'old' FROM generate_series(1, 3) i; CREATE PUBLICATION p FOR TABLE g")
        target = self.postgres.database("t17flow")
        rows = "SELECT string_agg(b || v, ' ' ORDER BY b) FROM g"
        wallaby = Wallaby({}).start()
        try:
            flow_id = wallaby.create({"name": "g", "source": source_endpoint(self.source, slot="g", publication="p"),
                                      "destinations": [{"name": "copy", "type": "postgres", "options": {"dsn": target}}]})
            wallaby.await_delivery(flow_id, self.source, "g")
            sql(self.source, "UPDATE g SET v = 'new' WHERE b = 2")
            flow = wait_until(lambda: (f := wallaby.get(flow_id)) and "FAILED" in f["state"] and f, 60, "the failure")
            for part in ("table public.g", "generated", "wallaby-admin doctor", "REPLICA IDENTITY FULL", "-mode backfill -tables public.g"):
                self.assertIn(part, flow["reason"])
            wait_until(lambda: not wallaby.worker_pids(flow_id), 30, "the worker's end")
            self.mends("UPDATE g SET b = 7 WHERE b = 1; DELETE FROM g", fails_before=False)
            wallaby.worker(flow_id, "-mode", "backfill", "-tables", "public.g")
            wallaby.admin("flow", "start", "-flow-id", flow_id)
            sql(self.source, "UPDATE g SET v = 'newer' WHERE b = 3; DELETE FROM g WHERE b = 1")
            wait_until(lambda: sql(target, rows) == [["2new 3newer"]], 60, lambda: str(sql(target, rows)))
        finally:
            wallaby.close()
            sql(self.source, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'g'")


if __name__ == "__main__":
    unittest.main()

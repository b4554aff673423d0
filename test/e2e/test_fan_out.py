"""Several destinations on one flow with ack_policy primary: the source is acknowledged by what the primary and the spool have, and
each of the others goes at its own pace."""

import glob
import json
import os
import random
import signal
import tempfile
import time
import unittest

import duckdb

from e2e.harness import Postgres, Wallaby, duckdb_rows, source_endpoint, sql, wait_until
from e2e.load import SEED, SETUP, Load, compare, text_rows

SLOT = "fan_out"
TABLES = """
  CREATE TABLE orders (id int PRIMARY KEY, note text);
  CREATE TABLE users (id int PRIMARY KEY, name text);
  INSERT INTO orders SELECT n, 'order ' || n FROM generate_series(1, 100) n;
  INSERT INTO users SELECT n, 'user ' || n FROM generate_series(1, 10) n;
"""


class FanOutTest(unittest.TestCase):
    """The primary is a database beside the source; `far` is one on a server that can be taken away."""

    @classmethod
    def setUpClass(cls):
        cls.postgres, cls.far_server = Postgres(15), Postgres(15)

    @classmethod
    def tearDownClass(cls):
        cls.postgres.stop()
        cls.far_server.stop()

    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1][5:40]
        self.source = self.postgres.database("s_" + self.name)
        self.target = self.postgres.database("t_" + self.name)
        self.far = self.far_server.database("f_" + self.name)
        self.folder = tempfile.mkdtemp(prefix="wallaby-fan-out-")
        self.duck, self.lake = os.path.join(self.folder, "copy.duckdb"), os.path.join(self.folder, "lake")
        self.far_is_down = False

    def tearDown(self):
        self.wallaby.close()
        if self.far_is_down:
            self.far_server.restart()
        sql(self.postgres.dsn, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active")

    # ---- the flow ----

    def destinations(self, *names):
        every = {"near": {"name": "near", "type": "postgres", "options": {"dsn": self.target}},
                 "far": {"name": "far", "type": "postgres", "options": {"dsn": self.far}},
                 "duck": {"name": "duck", "type": "duckdb", "options": {"dsn": self.duck}},
                 "lake": {"name": "lake", "type": "parquet",
                          "options": {"path": self.lake, "write_mode": "append", "roll_interval": "300ms"}}}
        every["late"] = {**every["lake"], "name": "late", "options": {**every["lake"]["options"], "snapshot": "never"}}
        return [every[name] for name in names]

    def flow(self, *names, config=None, **options):
        return {"name": "fan", "id": "fan", "source": source_endpoint(self.source, slot=SLOT, publication="p", **options),
                "destinations": self.destinations(*names),
                "config": {"ack_policy": "primary", "primary_destination": names[0], **(config or {})}}

    def serve(self, **env):
        spool = os.path.join(self.folder, "spool")
        self.wallaby = Wallaby({"WALLABY_SPOOL_DIR": spool, **env}, folder=self.folder).start()

    def begin(self, *names, setup=TABLES, env=None, **more):
        sql(self.source, setup)
        self.serve(**(env or {}))
        self.wallaby.create(self.flow(*names, **more))
        wait_until(lambda: self.live(names), 90, lambda: self.seen())

    def update(self, *names, **more):
        path = os.path.join(self.folder, "flow.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(self.flow(*names, **more), f)
        if "FAILED" not in self.wallaby.get("fan")["state"]:
            self.wallaby.stop_flow("fan")
        self.wallaby.admin("flow", "update", "-file", path)
        self.wallaby.admin("flow", "start", "-flow-id", "fan")

    def status(self):
        return {one["name"]: one for one in self.wallaby.get("fan").get("destination_status", [])}

    def live(self, names):
        status = self.status()
        return all(status.get(name, {}).get("state") == "live" for name in names)

    def state(self, name, state):
        return wait_until(lambda: (lambda one: one if one.get("state") == state else None)(self.status()[name]), 90,
                          lambda: f"{name} {state}: {self.seen()}")

    def flow_state(self, state):
        return wait_until(lambda: (lambda f: f if f["state"].lower().endswith(state) else None)(self.wallaby.get("fan")), 60,
                          lambda: f"{state}: {self.seen()}")

    def seen(self):
        return f"{json.dumps(self.status(), indent=1)}\n{self.wallaby.log()[-6000:]}"

    # ---- the source ----

    def position(self):
        return sql(self.source, "SELECT pg_current_wal_lsn()")[0][0]

    def slot_passes(self, lsn):
        wait_until(lambda: sql(self.source, f"SELECT confirmed_flush_lsn >= '{lsn}' FROM pg_replication_slots WHERE slot_name = "
                               f"'{SLOT}'") == [["t"]], 60, lambda: f"the slot's move to {lsn}: {self.seen()}")

    def retained(self):
        return int(sql(self.source, "SELECT pg_current_wal_lsn() - restart_lsn FROM pg_replication_slots WHERE slot_name = "
                       f"'{SLOT}'")[0][0])

    def fill(self, mib, first):
        for n in range(mib):
            sql(self.source, f"INSERT INTO orders SELECT n, repeat(md5(n::text), 32) FROM "
                f"generate_series({first + 1000 * n}, {first + 1000 * n + 999}) n")

    def all_deliver(self, *names, timeout=120):
        """Waits until each destination has what is committed now."""
        target = self.position()

        def delivered():
            status = self.status()
            at = [status[name].get("lsn") or "0/0" for name in names]
            return sql(self.source, "SELECT " + " AND ".join(f"'{lsn}'::pg_lsn >= '{target}'" for lsn in at)) == [["t"]]

        wait_until(delivered, timeout, lambda: f"delivery up to {target}: {self.seen()}", interval=0.2)

    def same(self, *dsns, tables=("orders", "users")):
        for dsn in dsns:
            for table in tables:
                query = f"SELECT * FROM {table} ORDER BY id"
                self.assertEqual(sql(dsn, query), sql(self.source, query), f"{table} in {dsn}")

    def take_far_away(self):
        self.far_server.kill()
        self.far_is_down = True

    def bring_far_back(self):
        self.far_server.restart()
        self.far_is_down = False

    # ---- one of them is slow, down or gives up ----

    def test_down(self):
        self.begin("near", "far", "duck", "lake")
        self.take_far_away()
        self.fill(8, 1000)
        sql(self.source, "UPDATE users SET name = upper(name) WHERE id % 2 = 0; DELETE FROM orders WHERE id % 7 = 0")
        self.all_deliver("near", "duck", "lake")
        self.same(self.target)
        self.slot_passes(self.position())
        far = self.state("far", "failing")
        self.assertIn("destination far", far["error"])
        self.assertIn("failing_since", far)
        self.assertGreater(int(far["lag"]["bytes"]), 4 << 20)
        self.assertEqual(self.status()["near"]["role"], "primary")
        self.assertEqual(far["role"], "secondary")
        self.assertTrue(self.wallaby.get("fan")["state"].lower().endswith("running"))
        why = json.loads(self.wallaby.admin("why", "-flow-id", "fan", "-json").stdout)
        self.assertEqual([why["where"], why["object"]], ["destination", "far"], why)
        self.assertRegex(self.wallaby.admin("flow", "get", "-flow-id", "fan").stdout, r"(?m)^to far: +secondary, failing, for ")
        # Also over a worker that has never seen it.
        for pid in self.wallaby.worker_pids("fan"):
            os.kill(pid, signal.SIGKILL)
        self.fill(2, 20000)
        self.all_deliver("near")
        self.bring_far_back()
        self.all_deliver("near", "far", "duck", "lake")
        self.same(self.target, self.far)
        self.state("far", "live")
        self.wallaby.stop_flow("fan")
        query = "SELECT * FROM orders ORDER BY id"
        self.assertEqual(text_rows(duckdb_rows(self.duck, query)), sql(self.source, query))

    def test_slow(self):
        """A destination that is blocked keeps nobody else, until it holds as much of the spool as it may."""
        self.begin("near", "far", spool_limit="8MiB")
        blocked = sql_in_background(self.far, "BEGIN; LOCK TABLE orders; SELECT pg_sleep(600)")
        try:
            self.fill(4, 1000)
            self.all_deliver("near")
            self.same(self.target)
            self.slot_passes(self.position())
            self.fill(20, 20000)
            wait_until(lambda: "destination far of flow fan holds" in self.wallaby.get("fan").get("activity", ""), 60,
                       lambda: self.seen())
        finally:
            sql(self.far_server.dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND "
                "pid <> pg_backend_pid()")
            blocked.wait()
        self.all_deliver("near", "far")
        self.same(self.target, self.far)

    def test_give_up(self):
        self.begin("near", "far", config={"give_up_policy": "on_retry_exhaustion"},
                   env={"WALLABY_METRICS_LISTEN": "127.0.0.1:0"})
        sql(self.far, "ALTER TABLE users ADD CHECK (id < 1000)")
        sql(self.source, "INSERT INTO users VALUES (5000, 'far refuses')")
        self.assertIn("users", self.state("far", "failed")["error"])
        sql(self.source, "INSERT INTO users VALUES (20, 'goes on')")
        self.all_deliver("near")
        self.same(self.target)
        self.assertTrue(self.wallaby.get("fan")["state"].lower().endswith("running"))
        sql(self.far, "ALTER TABLE users DROP CONSTRAINT users_id_check")
        self.wallaby.admin("flow", "pause", "-flow-id", "fan")
        self.flow_state("paused")
        self.wallaby.admin("flow", "resume", "-flow-id", "fan")
        self.all_deliver("near", "far")
        self.same(self.target, self.far)

    def test_never_give_up(self):
        self.begin("near", "far")
        sql(self.far, "ALTER TABLE users ADD CHECK (id < 1000)")
        sql(self.source, "INSERT INTO users VALUES (5000, 'far refuses')")
        self.state("far", "failing")
        sql(self.far, "ALTER TABLE users DROP CONSTRAINT users_id_check")
        self.all_deliver("near", "far")
        self.same(self.target, self.far)

    # ---- schema changes ----

    def test_gate_with_one_behind(self):
        self.begin("near", "far", "duck", env={"WALLABY_DDL_GATE": "true"})
        self.take_far_away()
        self.fill(2, 1000)
        sql(self.source, "BEGIN; INSERT INTO users VALUES (400000, 'before'); ALTER TABLE orders ADD COLUMN place text DEFAULT 'here';"
            "ALTER TABLE users RENAME name TO title; INSERT INTO orders VALUES (500000, 'new', 'there');"
            "UPDATE users SET title = upper(title); COMMIT")
        self.assertEqual(self.flow_state("paused")["reason"], "ddl_pending")
        self.approve()
        self.all_deliver("near", "duck")
        self.same(self.target)
        # Another, which is rejected, while one is still before the first.
        sql(self.source, "ALTER TABLE users ADD COLUMN secret text; INSERT INTO users VALUES (77, 'with', 'secret')")
        self.flow_state("paused")
        for event in self.events("pending"):
            self.wallaby.admin("ddl", "reject", "-id", str(event["id"]))
        self.wallaby.admin("flow", "resume", "-flow-id", "fan")
        self.all_deliver("near", "duck")
        applied = self.events("applied")
        self.assertTrue(applied)
        self.assertTrue(all({r["destination"] for r in event["receipts"]} == {"near", "duck"} for event in applied), applied)
        plan = next(value for key, value in applied[0].items() if key.lower().replace("_", "") in ("plan", "planjson"))
        plan = json.loads(plan) if isinstance(plan, str) else plan
        self.assertIn("ALTER TABLE", json.dumps(plan["destinations"]["far"]))
        self.bring_far_back()
        self.all_deliver("near", "far", "duck")
        self.same(self.target, self.far, tables=["orders"])
        query = "SELECT id, title FROM users ORDER BY id"
        self.assertEqual(sql(self.far, query), sql(self.source, query))
        self.assertEqual(sql(self.far, "SELECT * FROM users WHERE id = 77"), [["77", "with"]])
        self.assertTrue(all("far" in {r["destination"] for r in event["receipts"]} for event in self.events("applied")))
        self.wallaby.stop_flow("fan")
        self.assertEqual(text_rows(duckdb_rows(self.duck, query)), sql(self.source, query))

    def test_copies_wait_for_the_slowest(self):
        """A change that rewrites a table, applied by itself: the copy comes when every destination has passed the change."""
        self.begin("near", "far", "duck")
        self.take_far_away()
        sql(self.source, "ALTER TABLE orders ADD COLUMN at timestamptz DEFAULT clock_timestamp(); INSERT INTO orders VALUES (900, 'x');"
            "INSERT INTO users VALUES (900, 'y')")
        self.all_deliver("near", "duck")
        self.same(self.target, tables=["users"])
        self.bring_far_back()
        wait_until(lambda: all(table["state"] == "done" for table in self.wallaby.get("fan")["tables"]), 90, lambda: self.seen())
        sql(self.source, "INSERT INTO orders VALUES (901, 'behind the copy')")
        self.all_deliver("near", "far", "duck")
        self.same(self.target, self.far)

    def events(self, status):
        return json.loads(self.wallaby.admin("ddl", "list", "-status", status, "-flow-id", "fan", "-json").stdout).get("events", [])

    def approve(self):
        for event in self.events("pending"):
            self.wallaby.admin("ddl", "approve", "-id", str(event["id"]))
            self.wallaby.admin("ddl", "apply", "-id", str(event["id"]))
        self.wallaby.admin("flow", "resume", "-flow-id", "fan")

    # ---- kills ----

    def test_kills(self):
        """kill -9 of worker, server and a destination's server at random moments, with a schema change in between."""
        kills = int(os.environ.get("WALLABY_KILLS", "10"))
        print(f"kills {kills}, WALLABY_SEED={SEED}", flush=True)
        rng = random.Random(SEED)
        sql(self.source, SETUP)
        self.serve()
        names = ("near", "far", "duck", "lake")
        self.wallaby.create(self.flow(*names))
        load = Load(self.source)
        try:
            for n in range(kills):
                time.sleep(rng.choice([0.05, 0.3, 1.0, 2.5]) * rng.random() + 0.05)
                kind = rng.random()
                if kind < 0.2:
                    self.wallaby.kill()
                    self.wallaby.start()
                elif kind < 0.4 and not self.far_is_down:
                    self.take_far_away()
                elif self.far_is_down and kind < 0.6:
                    self.bring_far_back()
                else:
                    for pid in self.wallaby.worker_pids("fan"):
                        try:
                            os.kill(pid, signal.SIGKILL)
                        except ProcessLookupError:
                            pass
                if n == kills // 2:
                    sql(self.source, "ALTER TABLE accounts ADD COLUMN colour text")
        finally:
            load.stop()
        if self.far_is_down:
            self.bring_far_back()
        self.all_deliver(*names, timeout=300)
        self.wallaby.stop_flow("fan")
        compare(self, self.source, self.target, self.duck, self.lake)
        compare(self, self.source, self.far)

    # ---- an operator changes things ----

    def test_updates(self):
        self.begin("near", "far")
        self.fill(1, 1000)
        # The other one becomes the primary, while the first is away.
        self.take_far_away()
        self.fill(1, 5000)
        self.all_deliver("near")
        self.bring_far_back()
        self.update("far", "near")
        self.fill(1, 10000)
        self.all_deliver("far", "near")
        self.same(self.target, self.far)
        self.assertEqual(self.status()["far"]["role"], "primary")
        # One more, which lacks what was before.
        self.update("far", "near", "duck")
        self.assertIn("destination duck is new", self.state("duck", "failing")["error"])
        self.fill(1, 15000)
        self.all_deliver("far", "near")
        self.wallaby.stop_flow("fan")
        self.wallaby.worker("fan", "-mode", "backfill")
        self.wallaby.admin("flow", "start", "-flow-id", "fan")
        self.fill(1, 20000)
        self.all_deliver("far", "near", "duck")
        # Back to all of them together, one without the rest.
        self.update("near", "duck", "far", config={"ack_policy": "all", "primary_destination": ""})
        self.fill(1, 25000)
        self.wallaby.await_delivery("fan", self.source, SLOT)
        self.same(self.target, self.far)
        # Removed, and added again: it has missed something.
        self.update("near", "far")
        self.fill(1, 30000)
        self.all_deliver("near", "far")
        self.update("near", "far", "duck")
        self.assertIn("destination duck is new", self.state("duck", "failing")["error"])
        self.same(self.target, self.far)

    def late_rows(self):
        files = glob.glob(os.path.join(self.lake, "public/orders/**/*.parquet"), recursive=True)
        return [row[0] for row in duckdb.execute("SELECT id FROM read_parquet($1) ORDER BY id", [files]).fetchall()] if files else []

    def begins_with_changes(self, **config):
        """One that is added gets what changes from then on, if it says so; also after the next starts, and whatever is copied."""
        self.begin("near", setup=TABLES, config=config)
        self.update("near", "lake", config=config)
        if config:
            reason = self.flow_state("failed")["reason"]
        else:
            reason = self.state("lake", "failing")["error"]
            self.assertIn("wallaby-admin flow stop -flow-id fan; wallaby-worker", reason)
        self.assertIn("destination lake is new", reason)
        self.assertIn("snapshot: never", reason)
        self.assertFalse(self.status()["lake"].get("lsn"))
        self.update("near", "late", config=config)
        wait_until(lambda: self.live(["near", "late"]), 90, self.seen)
        for number in (201, 202):
            sql(self.source, f"INSERT INTO orders VALUES ({number}, 'new')")
            wait_until(lambda: number in self.late_rows(), 60, lambda: f"{self.late_rows()} {self.seen()}")
            self.wallaby.stop_flow("fan")
            if number == 202:
                self.wallaby.worker("fan", "-mode", "backfill")
            self.wallaby.admin("flow", "start", "-flow-id", "fan")
        sql(self.source, "INSERT INTO orders VALUES (203, 'new')")
        wait_until(lambda: 203 in self.late_rows(), 60, lambda: f"{self.late_rows()} {self.seen()}")
        self.assertEqual(self.late_rows(), [201, 202, 203])
        query = "SELECT * FROM orders ORDER BY id"
        wait_until(lambda: sql(self.target, query) == sql(self.source, query), 60, self.seen)

    def test_a_secondary_that_begins_with_changes(self):
        self.begins_with_changes()

    def test_a_destination_that_begins_with_changes(self):
        self.begins_with_changes(ack_policy="all", primary_destination="")

    def test_run_once(self):
        self.begin("near", "far", "duck")
        self.wallaby.stop_flow("fan")
        self.fill(2, 1000)
        sql(self.source, "ALTER TABLE users ADD COLUMN place text; INSERT INTO users VALUES (70, 'x', 'y')")
        self.wallaby.worker("fan", "-max-empty-reads", "1")
        self.same(self.target, self.far)
        query = "SELECT * FROM users ORDER BY id"
        self.assertEqual(text_rows(duckdb_rows(self.duck, query)), sql(self.source, query))
        self.take_far_away()
        result = self.wallaby.worker("fan", "-max-empty-reads", "1", check=False)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("destination far", result.stderr)

    def test_needs_a_spool(self):
        self.wallaby = Wallaby(folder=self.folder).start()
        with self.assertRaisesRegex(AssertionError, "config.ack_policy: primary with several destinations needs a spool"):
            self.wallaby.create(self.flow("near", "far"))


def sql_in_background(dsn, text):
    import subprocess
    return subprocess.Popen(["psql", "-Xq", "-d", dsn, "-c", text], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    unittest.main()

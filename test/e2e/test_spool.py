"""The spool: a slot that moves on while its flows wait, several flows on one slot, and what happens when there is no room."""

import glob
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from e2e.harness import BIN_DIR, Postgres, PostgresTest, Wallaby, source_endpoint, sql, wait_until

MIB = 1 << 20


class SpoolTest(PostgresTest):
    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1][5:40]
        self.slot = "slot_" + self.name
        self.source = self.postgres.database("s_" + self.name)
        sql(self.source, "CREATE TABLE orders (id int PRIMARY KEY, note text);"
            "CREATE TABLE users (id int PRIMARY KEY, name text);"
            "INSERT INTO orders SELECT n, 'order ' || n FROM generate_series(1, 100) n;"
            "INSERT INTO users SELECT n, 'user ' || n FROM generate_series(1, 10) n")
        self.targets = {}

    def tearDown(self):
        self.wallaby.close()
        sql(self.postgres.dsn, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active")

    def serve(self, **env):
        folder = tempfile.mkdtemp(prefix="wallaby-spool-")
        self.spool = os.path.join(folder, "spool")
        self.wallaby = Wallaby({"WALLABY_SPOOL_DIR": self.spool, "WALLABY_DDL_GATE": "true", **env}, folder=folder).start()

    def definition(self, flow_id="flow", destinations=None, **options):
        """A flow into a PostgreSQL database of its own."""
        target = self.targets[flow_id] = self.postgres.database(f"t_{self.name}_{flow_id}")
        return {
            "name": flow_id, "id": flow_id,
            "source": source_endpoint(**{"dsn": self.source, "slot": self.slot, "publication": "p", **options}),
            "destinations": destinations or [{"name": "copy", "type": "postgres", "options": {"dsn": target}}]}

    def begin(self, flow_id="flow", destinations=None, wait=True, start=True, **options):
        """Creates a flow and waits until it streams."""
        self.wallaby.create(self.definition(flow_id, destinations, **options), start=start)
        if wait and start:
            wait_until(lambda: self.activity(flow_id).startswith("streaming"), 60, lambda: self.wallaby.log()[-3000:])

    def activity(self, flow_id="flow"):
        return self.wallaby.get(flow_id).get("activity", "")

    def state(self, state, flow_id="flow"):
        return wait_until(lambda: (lambda f: f if f["state"].lower().endswith(state) else None)(self.wallaby.get(flow_id)),
                          60, lambda: f"state {state}\n{self.wallaby.log()[-3000:]}")

    def pause(self, flow_id="flow"):
        self.wallaby.admin("flow", "pause", "-flow-id", flow_id)
        self.state("paused", flow_id)

    def leave_changes_in_the_spool(self):
        """A stopped flow whose changes the slot has given to the spool, and no server."""
        self.serve()
        self.begin()
        self.pause()
        self.fill(2, 1000)
        self.slot_passes(self.position())
        self.wallaby.stop_flow("flow")
        self.wallaby.kill()

    def fill(self, mib, first):
        """So much WAL of orders, in transactions of about a megabyte."""
        for n in range(mib):
            sql(self.source, f"INSERT INTO orders SELECT n, repeat(md5(n::text), 32) FROM "
                f"generate_series({first + 1000 * n}, {first + 1000 * n + 999}) n")

    def position(self):
        return sql(self.source, "SELECT pg_current_wal_lsn()")[0][0]

    def slot_passes(self, lsn, timeout=60):
        """Waits until the source may forget what is before `lsn`."""
        wait_until(lambda: sql(self.source, f"SELECT confirmed_flush_lsn >= '{lsn}' FROM pg_replication_slots WHERE "
                               f"slot_name = '{self.slot}'") == [["t"]], timeout,
                   lambda: f"the slot's move to {lsn}\n{self.wallaby.log()[-3000:]}")

    def spool_bytes(self):
        return sum(os.path.getsize(path) for path in glob.glob(self.spool + "/*/*.segment"))

    def same(self, flow_id="flow", tables=("orders", "users")):
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        for table in tables:
            query = f"SELECT * FROM {table} ORDER BY id"
            self.assertEqual(sql(self.targets[flow_id], query), sql(self.source, query), f"{table} of {flow_id}")

    def approve_all(self, flow_id="flow"):
        for event in json.loads(self.wallaby.admin("ddl", "list", "-status", "pending", "-flow-id", flow_id, "-json").stdout)["events"]:
            self.wallaby.admin("ddl", "approve", "-id", str(event["id"]))
            self.wallaby.admin("ddl", "apply", "-id", str(event["id"]))
        self.wallaby.admin("flow", "resume", "-flow-id", flow_id)

    def test_gate_costs_the_source_nothing(self):
        self.serve()
        self.begin()
        sql(self.source, "ALTER TABLE orders ADD COLUMN place text DEFAULT 'here'")
        self.assertEqual(self.state("paused")["reason"], "ddl_pending")
        self.fill(40, 1000)
        sql(self.source, "UPDATE orders SET place = 'there' WHERE id % 7 = 0; DELETE FROM users WHERE id = 3")
        self.slot_passes(self.position())
        self.assertEqual(sql(self.targets["flow"], "SELECT count(*) FROM orders"), [["100"]])
        self.assertGreater(self.spool_bytes(), 20 * MIB)
        # The server may now drop the WAL, and does at its next checkpoints.
        sql(self.source, "SELECT pg_logical_emit_message(false, 'x', 'y'); CHECKPOINT")
        kept = lambda: int(sql(self.source, "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) FROM "
                               f"pg_replication_slots WHERE slot_name = '{self.slot}'")[0][0])
        wait_until(lambda: sql(self.source, "SELECT pg_log_standby_snapshot()" if self.postgres.major >= 16 else
                               "CHECKPOINT") is not None and kept() < 2 * MIB, 60, lambda: f"{kept()} bytes of WAL kept")
        self.approve_all()
        self.same()
        # What every flow is past goes, but for the segment that is being written.
        wait_until(lambda: self.spool_bytes() < 70 * MIB, 30, "the removal of segments")

    def test_rejected_column_stays_out_of_spooled_rows(self):
        self.serve()
        self.begin()
        sql(self.source, "ALTER TABLE orders ADD COLUMN secret text")
        self.state("paused")
        sql(self.source, "INSERT INTO orders VALUES (200, 'after', 'hidden'); UPDATE orders SET note = 'new' WHERE id = 5")
        self.slot_passes(self.position())
        event = json.loads(self.wallaby.admin("ddl", "list", "-status", "pending", "-json").stdout)["events"][0]
        self.wallaby.admin("ddl", "reject", "-id", str(event["id"]))
        self.wallaby.admin("flow", "resume", "-flow-id", "flow")
        self.wallaby.await_delivery("flow", self.source, self.slot)
        self.assertEqual(sql(self.targets["flow"], "SELECT * FROM orders WHERE id IN (5, 200) ORDER BY id"),
                         [["5", "new"], ["200", "after"]])

    def test_pause_by_an_operator(self):
        self.serve()
        self.pause_and_go_on()

    def test_pause_under_dbos(self):
        """A paused flow has no workflow; its slot is read all the same."""
        self.serve(WALLABY_DBOS_ENABLED="true", WALLABY_SECRET_KEY="5" * 64,
                   WALLABY_POSTGRES_DSN=self.postgres.database("c_" + self.name))
        self.pause_and_go_on()

    def pause_and_go_on(self):
        self.begin()
        self.pause()
        self.fill(3, 1000)
        self.slot_passes(self.position())
        self.assertEqual(sql(self.targets["flow"], "SELECT count(*) FROM orders"), [["100"]])
        self.assertIn("read into the spool", wait_until(self.activity, 30, "the activity"))
        self.wallaby.admin("flow", "resume", "-flow-id", "flow")
        self.same()

    def test_destination_that_is_down(self):
        target = Postgres(15)
        self.addCleanup(target.stop)
        self.serve()
        self.begin(destinations=[{"name": "copy", "type": "postgres", "options": {"dsn": target.dsn}}])
        self.targets["flow"] = target.dsn
        target.kill()
        self.fill(5, 1000)
        self.slot_passes(self.position())
        # Also for a worker that has never reached its destination.
        for pid in self.wallaby.worker_pids("flow"):
            os.kill(pid, signal.SIGKILL)
        self.fill(5, 10000)
        self.slot_passes(self.position())
        target.restart()
        self.same()

    def test_three_flows_on_one_slot(self):
        self.serve()
        self.begin("one")
        self.begin("two")
        self.begin("three", tables="public.users")
        for flow_id in ("one", "two"):
            self.same(flow_id)
        self.wallaby.stop_flow("two")
        self.fill(4, 1000)
        sql(self.source, "UPDATE users SET name = upper(name)")
        self.slot_passes(self.position())
        self.same("one")
        self.same("three", tables=["users"])
        self.assertEqual(sql(self.targets["three"], "SELECT to_regclass('orders')"), [[None]])
        self.assertEqual(sql(self.targets["two"], "SELECT count(*) FROM orders"), [["100"]])
        self.assertEqual(sql(self.source, "SELECT count(*) FROM pg_stat_replication WHERE application_name LIKE 'wallaby%'"),
                         [["1"]])
        self.wallaby.admin("flow", "start", "-flow-id", "two")
        self.same("two")
        # A gate of one is none of the others' business.
        self.wallaby.stop_flow("one")
        sql(self.source, "ALTER TABLE orders ADD COLUMN place text; INSERT INTO users VALUES (50, 'fifty')")
        self.state("paused", "two")
        self.same("three", tables=["users"])
        self.approve_all("two")
        self.same("two")

    def test_flows_that_start_at_once(self):
        self.serve()
        flows = ("one", "two", "three")
        for flow_id in flows:
            self.begin(flow_id, start=False)
        starts = [threading.Thread(target=self.wallaby.admin, args=("flow", "start", "-flow-id", flow_id)) for flow_id in flows]
        for start in starts:
            start.start()
        for start in starts:
            start.join()
        sql(self.source, "INSERT INTO users VALUES (50, 'fifty')")
        for flow_id in flows:
            self.same(flow_id)
        self.assertEqual(self.wallaby.log().count("slot created"), 1, self.wallaby.log()[-3000:])

    def test_flow_that_joins_while_the_slot_is_made(self):
        self.serve()
        with subprocess.Popen(["psql", "-XAtq", "-d", self.source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as psql:
            psql.stdin.write("BEGIN; INSERT INTO users VALUES (60, 'late') RETURNING id;\n")
            psql.stdin.flush()
            self.assertEqual(psql.stdout.readline(), "60\n")
            self.begin("one", wait=False)
            wait_until(lambda: "creating the slot" in self.activity("one"), 60, lambda: self.activity("one"))
            self.begin("two", wait=False)
            wait_until(lambda: "is being made" in self.activity("two"), 60, lambda: self.activity("two"))
            self.assertEqual(self.wallaby.get("two").get("checkpoint"), None)
            psql.stdin.write("COMMIT;\n")
        for flow_id in ("one", "two"):
            self.same(flow_id)
        # Waiting was no error.
        self.assertEqual(self.wallaby.get("two")["error"], "")

    def test_another_publication_is_refused(self):
        self.serve()
        self.begin("one")
        refused = self.definition("two", publication="q")
        path = os.path.join(self.wallaby.folder, "two.json")
        for command in ("create", "validate"):
            with open(path, "w", encoding="utf-8") as f:
                json.dump(refused, f)
            ran = self.wallaby.admin("flow", command, "-file", path, check=False)
            self.assertEqual(ran.returncode, 1)
            self.assertIn("flow 'one' reads slot " + self.slot, ran.stderr + ran.stdout)
        # The same server by another name: its worker finds out.
        socket = glob.glob(self.postgres.directory + "/.s.PGSQL.*[0-9]")[0]
        database = self.source.partition("?")[0].rpartition("/")[2]
        self.begin("three", wait=False, publication="q",
                   dsn=f"host={self.postgres.directory} port={socket.rpartition('.')[2]} dbname={database} user=postgres")
        self.assertIn("holds what publication 'p' sent, not 'q'", self.state("failed", "three")["reason"])
        sql(self.source, "INSERT INTO users VALUES (50, 'fifty')")
        self.same("one")

    def test_slot_that_others_need(self):
        self.serve()
        self.begin("one")
        self.begin("two")
        self.wallaby.stop_flow("two")
        drop = lambda *args: self.wallaby.admin("slot", "drop", "-flow-id", "two", *args, check=False)
        self.assertIn("every table of 'one' must be copied again", drop().stderr)
        self.assertIn("flow 'one', which shares it, is running", drop("-shared").stderr)
        self.wallaby.stop_flow("one")
        self.assertIn("every table of 'one' must be copied again", drop().stderr)
        self.assertEqual(drop("-shared").returncode, 0)
        self.wallaby.admin("flow", "start", "-flow-id", "one")
        self.assertIn("-mode backfill", self.state("failed", "one")["reason"])
        deleted = self.wallaby.admin("flow", "delete", "-flow-id", "two").stdout
        self.assertIn("stays, as other flows share it: one", deleted)
        # The remedy as it is written.
        self.wallaby.worker("one", "-mode", "backfill")
        self.wallaby.admin("flow", "start", "-flow-id", "one")
        self.same("one")
        self.wallaby.stop_flow("one")
        self.wallaby.admin("slot", "drop", "-flow-id", "one")

    def test_one_leads_and_the_others_follow(self):
        self.serve()
        self.begin("one")
        for flow_id in ("two", "three"):
            self.begin(flow_id)
            self.same(flow_id)
        following = lambda: all(self.activity(flow_id) == "streaming" for flow_id in ("two", "three"))
        wait_until(following, 30, lambda: (self.activity("two"), self.activity("three")))
        path = os.path.join(self.wallaby.folder, "four.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(self.definition("four"), f)
        self.assertNotIn("in use", self.wallaby.admin("flow", "validate", "-file", path).stdout)
        # Whoever led: the next one takes the slot.
        for leader in ("one", "two"):
            self.wallaby.stop_flow(leader)
            sql(self.source, "INSERT INTO users SELECT max(id) + 1, 'more' FROM users")
            self.slot_passes(self.position())
        self.same("three")
        self.assertEqual(self.activity("three"), "streaming")
        for text in ("spooling failed", "in use by"):
            self.assertNotIn(text, self.wallaby.log())

    def test_who_follows_is_told_of_a_full_spool(self):
        self.serve(WALLABY_SPOOL_LIMIT="16MiB")
        self.begin("quick")
        self.begin("slow")
        self.pause("slow")
        self.fill(40, 1000)
        for flow_id in ("quick", "slow"):
            wait_until(lambda: "the spool is full: flow slow holds" in self.activity(flow_id), 60, lambda: self.activity(flow_id))
        self.wallaby.admin("flow", "resume", "-flow-id", "slow")
        self.same("slow")
        self.same("quick")
        wait_until(lambda: self.activity("quick") == self.activity("slow") == "streaming", 60,
                   lambda: (self.activity("quick"), self.activity("slow")))

    def test_nothing_behind_is_told(self):
        self.serve(WALLABY_SPOOL_LIMIT="1GiB")
        self.begin()
        sql(self.source, "UPDATE orders SET note = upper(note)")
        self.same()
        shown = lambda: [line for line in self.wallaby.admin("flow", "get", "-flow-id", "flow").stdout.splitlines()
                         if line.startswith("spool:")]
        caught_up = lambda: shown() and " nothing behind, " in shown()[0] and "full in" not in shown()[0]
        wait_until(caught_up, 60, shown)
        self.pause()
        sql(self.source, "UPDATE orders SET note = lower(note)")
        wait_until(lambda: shown() and "nothing behind" not in shown()[0], 60, shown)

    def test_folder_that_cannot_be(self):
        for folder, why in (("/proc/nope", "/proc/nope"), ("spool", "an absolute path")):
            self.wallaby = Wallaby({"WALLABY_SPOOL_DIR": folder})
            ran = subprocess.run([os.path.join(BIN_DIR, "wallaby")], env=self.wallaby.env, capture_output=True, text=True, timeout=600)
            self.assertEqual(ran.returncode, 1, ran.stderr)
            self.assertIn("WALLABY_SPOOL_DIR", ran.stderr)
            self.assertIn(why, ran.stderr)

    def test_kills(self):
        """Workers die at any moment: while they deliver, while they only spool, while one takes the spool from another."""
        self.serve(WALLABY_SPOOL_LIMIT="1GiB")
        self.begin("one")
        self.begin("two", tables="public.orders")
        seed = int(os.environ.get("WALLABY_SEED") or 0) or time.time_ns() % 100000
        chance = random.Random(seed)
        print(f"WALLABY_SEED={seed}", flush=True)
        for n in range(int(os.environ.get("WALLABY_KILLS") or 15)):
            if n % 5 == 1:
                self.wallaby.admin("flow", "pause", "-flow-id", "one")
            if n % 5 == 4:
                self.wallaby.admin("flow", "resume", "-flow-id", "one")
            self.fill(int(os.environ.get("WALLABY_FILL") or 1), 10000 + 100000 * n)
            sql(self.source, f"UPDATE orders SET note = 'round {n}' WHERE id % 10 = {n % 10} AND id > {10000 + 100000 * n}")
            if n % 3 == 0:
                sql(self.source, "CHECKPOINT")
            time.sleep(chance.uniform(0, 1.5))
            for pid in self.wallaby.worker_pids():
                if chance.random() < 0.7:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
        if self.wallaby.get("one")["state"].lower().endswith("paused"):
            self.wallaby.admin("flow", "resume", "-flow-id", "one")
        self.same("one")
        self.same("two", tables=["orders"])

    def test_full_holds_the_slot(self):
        self.serve(WALLABY_SPOOL_LIMIT="16MiB")
        self.begin()
        self.pause()
        self.fill(40, 1000)
        wait_until(lambda: "the spool is full" in self.activity(), 60, lambda: self.activity())
        self.assertIn("flow flow holds", self.activity())
        self.assertLess(self.spool_bytes(), 20 * MIB)
        self.wallaby.admin("flow", "resume", "-flow-id", "flow")
        self.same()

    def test_full_fails_the_flow_that_holds_most(self):
        self.serve(WALLABY_SPOOL_LIMIT="16MiB", WALLABY_SPOOL_POLICY="fail")
        self.begin("slow")
        self.begin("quick")
        self.pause("slow")
        self.fill(40, 1000)
        self.assertIn("the spool is full", self.state("failed", "slow")["reason"])
        self.same("quick")
        self.wallaby.admin("flow", "start", "-flow-id", "slow")
        self.assertIn("-mode backfill", self.state("failed", "slow")["reason"])
        self.wallaby.worker("slow", "-mode", "backfill")
        self.wallaby.admin("flow", "start", "-flow-id", "slow")
        self.same("slow")

    def test_own_limit_of_a_flow(self):
        self.serve()
        self.begin(spool_limit="8MiB")
        self.pause()
        self.fill(30, 1000)
        wait_until(lambda: "its spool_limit is 8.0 MiB" in self.activity(), 60, lambda: self.activity())
        self.wallaby.admin("flow", "resume", "-flow-id", "flow")
        self.same()

    def test_spool_that_is_lost(self):
        self.leave_changes_in_the_spool()
        moved = self.spool + ".moved"
        os.rename(self.spool, moved)
        self.wallaby.start()
        self.wallaby.admin("flow", "start", "-flow-id", "flow")
        reason = self.state("failed")["reason"]
        self.assertIn("there is no spool " + self.spool, reason)
        self.assertIn("wallaby-worker -flow-id flow -mode backfill", reason)
        # It was not lost. A failed flow has a worker that spools, or is about to get one.
        self.wallaby.kill()
        for pid in self.wallaby.worker_pids("flow"):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self.wallaby.worker_pids("flow"), 30, "the worker's end")
        shutil.rmtree(self.spool, ignore_errors=True)
        os.rename(moved, self.spool)
        self.wallaby.start()
        self.wallaby.admin("flow", "start", "-flow-id", "flow")
        self.same()

    def test_spool_setting_that_is_forgotten(self):
        self.leave_changes_in_the_spool()
        del self.wallaby.env["WALLABY_SPOOL_DIR"]
        self.wallaby.start()
        self.wallaby.admin("flow", "start", "-flow-id", "flow")
        self.assertIn("set WALLABY_SPOOL_DIR as it was", self.state("failed")["reason"])
        self.wallaby.kill()
        self.wallaby.env["WALLABY_SPOOL_DIR"] = self.spool
        self.wallaby.start()
        self.wallaby.admin("flow", "start", "-flow-id", "flow")
        self.same()

    def test_encrypted(self):
        self.serve(WALLABY_SPOOL_KEY="ab" * 32)
        self.begin()
        self.pause()
        sql(self.source, "INSERT INTO orders VALUES (500, 'a text that nobody shall read')")
        self.slot_passes(self.position())
        content = b"".join(open(path, "rb").read() for path in glob.glob(self.spool + "/*/*.segment"))
        self.assertTrue(content)
        self.assertNotIn(b"nobody shall read", content)
        self.wallaby.stop_flow("flow")
        self.wallaby.kill()
        self.wallaby.env["WALLABY_SPOOL_KEY"] = "cd" * 32
        self.wallaby.start()
        self.wallaby.admin("flow", "start", "-flow-id", "flow")
        self.assertIn("WALLABY_SPOOL_KEY", self.state("failed")["reason"])
        self.wallaby.kill()
        self.wallaby.env["WALLABY_SPOOL_KEY"] = "ab" * 32
        self.wallaby.start()
        self.wallaby.admin("flow", "start", "-flow-id", "flow")
        self.same()

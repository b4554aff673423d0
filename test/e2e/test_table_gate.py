"""Gates of single tables: the altered table waits in the spool, the others flow, and in the end all is as at the source."""

import json
import os
import random
import signal
import tempfile
import threading
import time

from e2e.harness import PostgresTest, Wallaby, duckdb_rows, source_endpoint, sql, wait_until

TABLES = ("orders", "items", "users")


class TableGateTest(PostgresTest):
    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1][5:35]
        self.slot = "slot_" + self.name
        self.source = self.postgres.database("s_" + self.name)
        self.copy = self.postgres.database("t_" + self.name)
        self.log = self.postgres.database("l_" + self.name)
        sql(self.source, "CREATE TABLE orders (id int PRIMARY KEY, note text);"
            "CREATE TABLE items (id int PRIMARY KEY, order_id int REFERENCES orders, what text);"
            "CREATE TABLE users (id int PRIMARY KEY, name text);"
            "INSERT INTO orders SELECT n, 'order ' || n FROM generate_series(1, 100) n;"
            "INSERT INTO items SELECT n, n, 'item ' || n FROM generate_series(1, 50) n;"
            "INSERT INTO users SELECT n, 'user ' || n FROM generate_series(1, 10) n")

    def tearDown(self):
        self.wallaby.close()
        sql(self.postgres.dsn, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active")

    def serve(self, **env):
        self.folder = tempfile.mkdtemp(prefix="wallaby-gate-")
        self.wallaby = Wallaby({"WALLABY_SPOOL_DIR": os.path.join(self.folder, "spool"), **env}, folder=self.folder).start()

    def definition(self, scope, **ddl):
        self.lake = os.path.join(self.folder, "lake.duckdb")
        self.files = os.path.join(self.folder, "files")
        return {"name": "flow", "id": "flow", "source": source_endpoint(self.source, slot=self.slot, publication="p"),
                "destinations": [{"name": "copy", "type": "postgres", "options": {"dsn": self.copy}},
                                 {"name": "log", "type": "postgres", "options": {"dsn": self.log, "write_mode": "append"}},
                                 {"name": "lake", "type": "duckdb", "options": {"dsn": self.lake}},
                                 {"name": "files", "type": "parquet", "options": {
                                     "path": self.files, "write_mode": "append", "roll_interval": "500ms"}}],
                "config": {"ddl": {"gate": True, "scope": scope, **ddl}}}

    def begin(self, scope="table", **ddl):
        self.serve()
        self.wallaby.create(self.definition(scope, **ddl))
        wait_until(lambda: self.get().get("activity", "").startswith("streaming"), 60, self.told)

    def told(self):
        return f"{json.dumps(self.get())}\n{self.wallaby.log()[-4000:]}"

    def get(self):
        return self.wallaby.get("flow")

    def state(self):
        return self.get()["state"].lower().removeprefix("flow_state_")

    def held(self):
        return sorted(table["table"].removeprefix("public.") for table in self.get().get("held_tables", []))

    def holds(self, *tables):
        wait_until(lambda: self.held() == sorted(tables), 60, lambda: f"hold of {tables}, not {self.held()}\n{self.told()}")

    def events(self, *status):
        """Ids of the events in one of these states, in the order of the source."""
        events = json.loads(self.wallaby.admin("ddl", "list", "-flow-id", "flow", "-json").stdout)["events"]
        return [str(event["id"]) for event in events if event["status"] in status]

    def apply(self, event):
        self.wallaby.admin("ddl", "approve", "-id", event)
        return self.wallaby.admin("ddl", "apply", "-id", event).stdout

    def arrives(self, query, rows):
        """Waits until the copy answers so."""
        wait_until(lambda: sql(self.copy, query) == rows, 60, lambda: f"{query}: {sql(self.copy, query)}\n{self.told()}")

    def same(self, tables=TABLES, columns="*", logged=True):
        """Nothing waits any more; copy, lake, and what the log says of each key are as the source."""
        self.holds()
        self.wallaby.await_delivery("flow", self.source, self.slot)
        self.assertEqual(self.state(), "running")
        wanted = {table: sql(self.source, f"SELECT {columns} FROM {table} ORDER BY id") for table in tables}
        for table in tables:
            self.assertEqual(sql(self.copy, f"SELECT {columns} FROM {table} ORDER BY id"), wanted[table], table)
            if not logged:
                continue
            # Rows that were there before have no value for a new column's default in a log.
            names = columns if columns != "*" else ", ".join(row[0] for row in sql(
                self.source, f"SELECT attname FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0 AND "
                             "NOT attisdropped AND NOT atthasdef ORDER BY attnum"))
            self.assertEqual(sql(self.log, f"SELECT {names} FROM (SELECT DISTINCT ON (id) * FROM {table} ORDER BY id, "
                                           "_wallaby_lsn DESC, _wallaby_seq DESC) t WHERE _wallaby_op <> 'd' ORDER BY id"),
                             sql(self.source, f"SELECT {names} FROM {table} ORDER BY id"), f"log of {table}")
            self.assertEqual(sql(self.log, f"SELECT id, count(*) FROM {table} WHERE _wallaby_op <> 'r' GROUP BY id, "
                                           "_wallaby_lsn, _wallaby_seq HAVING count(*) > 1"), [], f"{table}: delivered twice")
        self.wallaby.stop_flow("flow")
        for table in tables:
            rows = duckdb_rows(self.lake, f"SELECT {columns} FROM {table} ORDER BY id")
            self.assertEqual([[None if v is None else str(v) for v in row] for row in rows], wanted[table], f"lake's {table}")
            if logged:
                files = f"read_parquet('{self.files}/public/{table}/**/*.parquet', union_by_name=true)"
                log = "SELECT _wallaby_op, id::text, _wallaby_lsn::text, _wallaby_seq::text FROM"
                self.assertEqual(sorted(list(row) for row in duckdb_rows(self.lake, f"{log} {files}")),
                                 sorted(sql(self.log, f"{log} {table}")),
                                 f"files of {table}")

    def test_only_the_altered_table_waits(self):
        self.begin()
        sql(self.source, "ALTER TABLE orders ADD COLUMN place text DEFAULT 'here'")
        sql(self.source, "INSERT INTO users VALUES (50, 'fifty'); INSERT INTO orders VALUES (200, 'after', 'there');"
            "UPDATE orders SET place = 'moved' WHERE id = 7; DELETE FROM orders WHERE id = 99")
        # One transaction over both is split: half of it is there, the other half waits.
        sql(self.source, "BEGIN; INSERT INTO orders VALUES (201, 'both', 'x'); INSERT INTO users VALUES (51, 'both');"
            "INSERT INTO items VALUES (60, 201, 'both'); COMMIT")
        self.arrives("SELECT id FROM users WHERE id >= 50 ORDER BY id", [["50"], ["51"]])
        self.arrives("SELECT id FROM items WHERE id = 60", [["60"]])
        flow = self.get()
        self.assertEqual([flow["held_tables"][0]["table"], flow["pending_ddl"]], ["public.orders", 1])
        self.assertEqual(self.state(), "running")
        self.assertEqual(sql(self.copy, "SELECT count(*), max(id) FROM orders"), [["100", "100"]])
        self.assertIn("public.orders from ", self.wallaby.admin("flow", "get", "-flow-id", "flow").stdout)
        self.assertIn("ddl_pending", self.wallaby.log())
        target = sql(self.source, "SELECT pg_current_wal_lsn()")[0][0]
        wait_until(lambda: sql(self.source, f"SELECT confirmed_flush_lsn >= '{target}' FROM pg_replication_slots") == [["t"]], 60,
                   "the slot's move past the gate")
        [event] = self.events("pending")
        self.assertIn(f"event {event} applied at copy, log, lake, files; flow flow is running", self.apply(event))
        self.same()
        self.assertNotIn("flow paused", self.wallaby.log())

    def test_rejected_column_stays_out(self):
        self.begin()
        sql(self.source, "ALTER TABLE orders ADD COLUMN secret text")
        sql(self.source, "INSERT INTO orders VALUES (200, 'after', 'hidden'); UPDATE orders SET note = 'new' WHERE id = 5;"
            "INSERT INTO users VALUES (50, 'fifty')")
        self.arrives("SELECT id FROM users WHERE id = 50", [["50"]])
        self.holds("orders")
        self.wallaby.admin("ddl", "reject", "-id", self.events("pending")[0])
        self.holds()
        sql(self.source, "INSERT INTO orders VALUES (201, 'later', 'hidden')")
        self.same(["orders"], "id, note")
        self.assertEqual(sql(self.copy, "SELECT count(*) FROM pg_attribute WHERE attrelid = 'orders'::regclass AND "
                                        "attname = 'secret'"), [["0"]])

    def test_linked_tables_wait_too(self):
        self.begin("linked")
        sql(self.source, "ALTER TABLE orders ADD COLUMN place text")
        sql(self.source, "INSERT INTO orders VALUES (200, 'after', 'there'); INSERT INTO items VALUES (60, 200, 'of it');"
            "INSERT INTO users VALUES (50, 'fifty')")
        self.holds("orders", "items")
        self.arrives("SELECT id FROM users WHERE id = 50", [["50"]])
        self.assertEqual(sql(self.copy, "SELECT count(*) FROM items"), [["50"]])
        self.apply(self.events("pending")[0])
        self.same()

    def test_one_change_after_the_other(self):
        self.begin()
        sql(self.source, "ALTER TABLE orders ADD COLUMN a int; INSERT INTO orders VALUES (200, 'one', 1)")
        sql(self.source, "ALTER TABLE orders ADD COLUMN b int; INSERT INTO orders VALUES (201, 'two', 2, 2)")
        sql(self.source, "ALTER TABLE orders DROP COLUMN note; UPDATE orders SET a = 3 WHERE id < 5")
        sql(self.source, "ALTER TABLE users ADD COLUMN mail text; INSERT INTO users VALUES (50, 'fifty', '@')")
        self.holds("orders", "users")
        first, other = self.events("pending")  # of orders, and of users
        self.apply(other)
        self.arrives("SELECT mail FROM users WHERE id = 50", [["@"]])
        self.holds("orders")
        for n in range(3):
            event = wait_until(lambda: self.events("pending"), 60, self.told)[0]
            self.assertGreaterEqual(int(event), int(first))
            sql(self.source, f"INSERT INTO orders (id, a, b) VALUES ({300 + n}, {n}, {n}); INSERT INTO users VALUES ({60 + n})")
            self.apply(event)
        self.same()

    def test_table_that_is_copied_again(self):
        self.begin()
        sql(self.source, "ALTER TABLE orders ADD COLUMN code uuid DEFAULT gen_random_uuid();"
            "INSERT INTO orders VALUES (200, 'after'); INSERT INTO users VALUES (50, 'fifty')")
        self.arrives("SELECT id FROM users WHERE id = 50", [["50"]])
        self.holds("orders")
        sql(self.source, "DELETE FROM orders WHERE id = 77; UPDATE orders SET note = 'new' WHERE id = 78")
        self.assertIn("public.orders is copied again", self.apply(self.events("pending")[0]))
        self.same(logged=False)

    def test_new_table_and_dropped_table(self):
        self.begin()
        sql(self.source, "CREATE TABLE notes (id int PRIMARY KEY, text text); ALTER TABLE notes REPLICA IDENTITY FULL;"
            "INSERT INTO notes VALUES (1, 'one')")
        sql(self.source, "INSERT INTO notes VALUES (2, 'two'); DROP TABLE items; INSERT INTO users VALUES (50, 'fifty')")
        self.arrives("SELECT id FROM users WHERE id = 50", [["50"]])
        while True:
            wait_until(lambda: self.events("pending") or not self.held(), 60, self.told)
            if not self.events("pending"):
                break
            self.apply(self.events("pending")[0])
        self.same(["orders", "users", "notes"])
        self.assertEqual(sql(self.copy, "SELECT to_regclass('items')"), [[None]])

    def test_flow_at_rest(self):
        """A flow that is stopped, or paused by somebody, keeps its held tables, and starts with them."""
        self.begin()
        sql(self.source, "ALTER TABLE orders ADD COLUMN place text; INSERT INTO orders VALUES (200, 'after', 'there')")
        self.holds("orders")
        self.wallaby.stop_flow("flow")
        self.wallaby.admin("flow", "start", "-flow-id", "flow")
        sql(self.source, "INSERT INTO users VALUES (50, 'fifty'); INSERT INTO orders VALUES (201, 'later', 'there')")
        self.arrives("SELECT id FROM users WHERE id = 50", [["50"]])
        self.assertEqual(sql(self.copy, "SELECT count(*) FROM orders"), [["100"]])
        self.wallaby.stop_flow("flow")
        [event] = self.events("pending")
        self.apply(event)
        self.assertEqual(self.held(), ["orders"])
        self.wallaby.admin("flow", "start", "-flow-id", "flow")
        self.same()

    def test_backfill_lets_a_table_go(self):
        self.begin()
        sql(self.source, "ALTER TABLE orders ADD COLUMN place text; INSERT INTO orders VALUES (200, 'after', 'there')")
        self.holds("orders")
        self.wallaby.stop_flow("flow")
        self.wallaby.worker("flow", "-mode", "backfill", "-tables", "public.orders")
        self.assertEqual(self.held(), [])
        self.apply(self.events("pending")[0])
        self.wallaby.admin("flow", "start", "-flow-id", "flow")
        sql(self.source, "INSERT INTO orders VALUES (201, 'later', 'there')")
        self.same(logged=False)

    def test_failure_of_a_destination(self):
        """The table waits on, the flow goes on, and what has followed is not altered again."""
        self.begin()
        sql(self.source, "ALTER TABLE orders RENAME COLUMN note TO remark; INSERT INTO orders VALUES (200, 'after')")
        self.holds("orders")
        sql(self.log, "CREATE VIEW on_it AS SELECT note FROM orders; ALTER TABLE orders ADD COLUMN remark int")
        [event] = self.events("pending")
        self.wallaby.admin("ddl", "approve", "-id", event)
        failed = self.wallaby.admin("ddl", "apply", "-id", event, check=False)
        self.assertEqual(failed.returncode, 1)
        self.assertIn("destination log", failed.stderr)
        self.assertEqual(self.events("failed"), [event])
        sql(self.source, "INSERT INTO users VALUES (50, 'fifty')")
        self.arrives("SELECT id FROM users WHERE id = 50", [["50"]])
        sql(self.log, "DROP VIEW on_it; ALTER TABLE orders DROP COLUMN remark")
        self.wallaby.admin("ddl", "apply", "-id", event)
        self.same()

    def test_refusals(self):
        self.serve()

        def refused(said, **changes):
            path = os.path.join(self.folder, "flow.json")
            with open(path, "w", encoding="utf-8") as f:
                json.dump({**self.definition("table"), **changes}, f)
            result = self.wallaby.admin("flow", "create", "-file", path, check=False)
            self.assertEqual(result.returncode, 1)
            self.assertIn(said, result.stderr)

        refused("the gate is off", config={"ddl": {"scope": "table"}})
        refused("allowed: flow, table or linked", config={"ddl": {"scope": "tables", "gate": True}})
        self.wallaby.create({**self.definition("table"), "destinations": [{"name": "nowhere", "type": "null", "options": {}}]})
        wait_until(lambda: self.state() == "failed", 60, self.told)
        self.assertIn("destination nowhere does not keep how far it is", self.get()["reason"])
        self.wallaby.close()
        self.serve(WALLABY_SPOOL_DIR="")
        refused("needs a spool")

    def test_kills(self):
        """The worker dies at any moment: at the gate, while it applies, while it catches up."""
        self.begin()
        seed = int(os.environ.get("WALLABY_SEED") or 0) or time.time_ns() % 100000
        chance = random.Random(seed)
        print(f"WALLABY_SEED={seed}", flush=True)
        done = threading.Event()
        killed = []
        wanted = [0]  # deaths that are due; without a bound a slow machine would not get on

        def kill():
            while not done.wait(chance.uniform(0.1, 3)):
                for pid in self.wallaby.worker_pids("flow") if len(killed) < wanted[0] else []:
                    try:
                        os.kill(pid, signal.SIGKILL)
                        killed.append(pid)
                    except ProcessLookupError:
                        pass

        killer = threading.Thread(target=kill)
        killer.start()
        self.addCleanup(killer.join)
        self.addCleanup(done.set)
        for n in range(int(os.environ.get("WALLABY_ROUNDS") or 3)):
            table = ("orders", "users")[n % 2]
            wanted[0] += 3
            sql(self.source, f"ALTER TABLE {table} ADD COLUMN c{n} text DEFAULT 'c{n}'")
            for part in range(5):
                first = 1000 + 10000 * n + 1000 * part
                sql(self.source, f"INSERT INTO orders (id, note) SELECT n, repeat(md5(n::text), 20) FROM generate_series({first}, "
                    f"{first + 499}) n; INSERT INTO items SELECT n, n, 'x' FROM generate_series({first}, {first + 99}) n;"
                    f"INSERT INTO users (id, name) SELECT n, 'u' FROM generate_series({first}, {first + 499}) n;"
                    f"UPDATE {table} SET c{n} = '{part}' WHERE id % 7 = {part}; DELETE FROM users WHERE id = {first}")
            wait_until(lambda: len(killed) >= 2 * (n + 1), 60, self.told)  # whatever the machine's pace
            wait_until(lambda: self.events("pending", "approved", "applying", "failed"), 120, self.told)
            while (events := self.events("pending", "approved", "applying", "failed")):
                for event in events:
                    wanted[0] = max(wanted[0], len(killed) + 1)
                    self.wallaby.admin("ddl", "approve", "-id", event, check=False)
                    self.wallaby.admin("ddl", "apply", "-id", event, check=False)
                wanted[0] = max(wanted[0], len(killed) + 1)  # while it catches up
            if n % 2 == 0:  # now and then two wait at once
                wait_until(lambda: not self.held(), 120, self.told)
        done.set()
        killer.join()
        while (events := wait_until(lambda: self.events("pending", "approved", "applying", "failed") or
                                    (not self.held() and ["none"]), 120, self.told)) != ["none"]:
            self.wallaby.admin("ddl", "approve", "-id", events[0], check=False)
            self.wallaby.admin("ddl", "apply", "-id", events[0], check=False)
        self.same()

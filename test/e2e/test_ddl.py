"""Schema changes on real servers: the gate, what an operator does about it, and that rows follow in the right shape."""

import json
import os
import unittest

from e2e.harness import PostgresTest, Wallaby, duckdb_rows, source_endpoint, sql, wait_until


def parquet_rows(query):
    import duckdb
    with duckdb.connect() as connection:
        return connection.execute(query).fetchall()


class DdlTest(PostgresTest):
    GATE = {"WALLABY_DDL_GATE": "true"}

    def begin(self, env=None, config=None, options=None, tables="public.orders", create=None):
        name = self.id().rsplit(".", 1)[1]
        self.wallaby = Wallaby(env).start()
        self.addCleanup(self.wallaby.close)
        self.source = self.postgres.database("s_" + name)
        self.target = self.postgres.database("t_" + name)
        self.slot = "slot_" + name[:40]
        self.duck = os.path.join(self.wallaby.folder, "copy.duckdb")
        sql(self.source, create or "CREATE TABLE orders (id int PRIMARY KEY, note text, amount numeric(10,2));"
            "INSERT INTO orders SELECT n, 'note ' || n, n FROM generate_series(1, 100) n")
        self.flow = self.wallaby.create({
            "name": name, "id": "flow",
            "source": source_endpoint(self.source, slot=self.slot, publication="p",
                                      **({"publication_tables": tables} if tables else {}), **(options or {})),
            "destinations": [
                {"name": "lake", "type": "duckdb", "options": {"dsn": self.duck}},
                {"name": "copy", "type": "postgres", "options": {"dsn": self.target}},
                {"name": "files", "type": "parquet",
                 "options": {"path": os.path.join(self.wallaby.folder, "files"), "write_mode": "append",
                             "roll_interval": "200ms"}}],
            "config": config or {}})
        wait_until(lambda: self.wallaby.get(self.flow).get("activity") == "streaming", 60, "the snapshot's end")

    def delivered(self):
        self.wallaby.await_delivery(self.flow, self.source, self.slot)

    def paused(self, reason="ddl_pending"):
        flow = wait_until(lambda: (lambda f: f if f["state"].lower().endswith("paused") else None)(
            self.wallaby.get(self.flow)), 60, "the pause\n" + self.wallaby.log()[-2000:])
        self.assertEqual(flow["reason"], reason)
        wait_until(lambda: not self.wallaby.worker_pids(self.flow), 30, "the worker's end")

    def ddl(self, *args, check=True):
        out = self.wallaby.admin("ddl", *args, "-json", check=check)
        return json.loads(out.stdout) if out.returncode == 0 else out

    def pending(self):
        return self.ddl("list", "-status", "pending")["events"]

    def approve_all(self):
        """What an operator does; the events' ids."""
        ids = [event["id"] for event in self.pending()]
        for event_id in ids:
            self.wallaby.admin("ddl", "approve", "-id", str(event_id))
            self.wallaby.admin("ddl", "apply", "-id", str(event_id))
        self.wallaby.admin("flow", "resume", "-flow-id", self.flow)
        return ids

    def operate(self):
        """An operator who approves whatever pauses the flow, until everything that is committed now is delivered."""
        target = sql(self.source, "SELECT pg_current_wal_lsn()")[0][0]

        def step():
            if sql(self.source, f"SELECT confirmed_flush_lsn >= '{target}' FROM pg_replication_slots WHERE slot_name = "
                   f"'{self.slot}'") == [["t"]]:
                return True
            if self.wallaby.get(self.flow)["state"].lower().endswith("paused"):
                self.approve_all()
            return False

        wait_until(step, 120, "delivery\n" + self.wallaby.log()[-3000:], interval=0.2)

    def same(self, *tables):
        """Stops the flow and compares tables: names and rows at the source, in DuckDB and in PostgreSQL."""
        self.delivered()
        self.wallaby.stop_flow(self.flow)
        for table in tables or ("public.orders",):
            schema, name = table.split(".")
            columns = [row[0] for row in sql(self.source, "SELECT attname FROM pg_attribute WHERE attrelid = "
                                             f"'{table}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY 1")]
            there = [row[0] for row in sql(self.target, "SELECT column_name FROM information_schema.columns WHERE "
                                           f"table_schema = '{schema}' AND table_name = '{name}' ORDER BY 1")]
            self.assertEqual(sorted(there), sorted(columns), "columns at PostgreSQL")
            duck = [row[0] for row in duckdb_rows(self.duck, "SELECT column_name FROM information_schema.columns WHERE "
                                                  f"table_schema = '{schema}' AND table_name = '{name}'")]
            self.assertEqual(sorted(duck), sorted(columns), "columns in DuckDB")
            select = "SELECT " + ", ".join(f'"{c}"::text' for c in columns) + f" FROM {table}"
            source = sorted(sql(self.source, select), key=str)
            self.assertEqual(sorted(sql(self.target, select), key=str), source, f"rows of {table} at PostgreSQL")
            self.assertEqual(sorted(([None if v is None else str(v) for v in row] for row in
                                     duckdb_rows(self.duck, select)), key=str), source, f"rows of {table} in DuckDB")

    def test_gate_approve_apply_resume(self):
        self.begin(self.GATE)
        sql(self.source, "INSERT INTO orders VALUES (200, 'before', 1)")
        sql(self.source, "ALTER TABLE orders ADD COLUMN place text DEFAULT 'here'")
        sql(self.source, "INSERT INTO orders VALUES (201, 'after', 2, 'there')")
        self.paused()
        # What came before is delivered, what comes after is not.
        self.assertEqual(sql(self.target, "SELECT count(*) FROM orders WHERE id >= 200"), [["1"]])
        events = self.pending()
        self.assertEqual(len(events), 1)
        event = events[0]
        self.assertIn("ADD COLUMN place", event["ddl"])
        self.assertEqual(event["table"], "public.orders")
        shown = self.wallaby.admin("ddl", "get", "-id", str(event["id"])).stdout
        self.assertIn("add column place", shown)
        for name in ("lake", "copy", "files"):
            self.assertIn(name, shown)
        self.assertIn("ddl_pending", self.wallaby.log())
        self.assertEqual(self.wallaby.get(self.flow).get("pending_ddl"), 1)
        refused = self.wallaby.admin("flow", "resume", "-flow-id", self.flow, check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn(f"DDL event {event['id']}", refused.stderr)
        refused = self.wallaby.admin("ddl", "apply", "-id", str(event["id"]), check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("pending", refused.stderr)
        self.approve_all()
        self.delivered()
        self.assertEqual(sql(self.target, "SELECT place, count(*) FROM orders GROUP BY 1 ORDER BY 1"),
                         [["here", "101"], ["there", "1"]])
        # The files from there on have the column; those before do not.
        files = os.path.join(self.wallaby.folder, "files/**/*.parquet")
        rows = "SELECT DISTINCT id, place FROM read_parquet('" + files + "', union_by_name = true) WHERE id >= 200 ORDER BY 1"
        wait_until(lambda: parquet_rows(rows) == [(200, None), (201, "there")], 30, "the rows in Parquet")
        # Never again, also after a restart and a replay.
        self.wallaby.stop_flow(self.flow)
        sql(self.source, "UPDATE orders SET place = 'else' WHERE id = 1")
        self.wallaby.admin("flow", "start", "-flow-id", self.flow)
        self.same()
        self.assertEqual(len(self.ddl("list")["events"]), 1)
        self.assertEqual(self.ddl("list")["events"][0]["status"], "applied")

    def test_every_kind_of_change_is_gated_once(self):
        self.begin(self.GATE)
        changes = ["ALTER TABLE orders RENAME note TO remark",
                   "ALTER TABLE orders ALTER amount TYPE numeric(14,2)",
                   "ALTER TABLE orders ALTER amount TYPE text USING 'about ' || amount",
                   "ALTER TABLE orders ADD n bigserial",
                   "ALTER TABLE orders ALTER remark SET NOT NULL",
                   "ALTER TABLE orders ALTER remark DROP NOT NULL",
                   "ALTER TABLE orders ALTER remark SET DEFAULT 'x'",
                   "ALTER TABLE orders DROP amount",
                   "ALTER TABLE orders DROP CONSTRAINT orders_pkey, ADD PRIMARY KEY (n)",
                   "ALTER TABLE orders ALTER id TYPE bigint"]
        for number, change in enumerate(changes):
            sql(self.source, change + ";")
            key = 1000 + number
            sql(self.source, f"INSERT INTO orders (id, remark) VALUES ({key}, 'r')")
            self.paused()
            self.assertEqual([event["ddl"] for event in self.pending()], [change + ";"])
            self.approve_all()
            self.delivered()
        self.same()
        self.assertEqual(len(self.ddl("list")["events"]), len(changes))

    def test_changes_and_rows_in_one_transaction(self):
        self.begin(self.GATE)
        sql(self.source, """
            BEGIN;
            INSERT INTO orders VALUES (300, 'old shape', 3);
            UPDATE orders SET note = 'old shape too' WHERE id = 5;
            ALTER TABLE orders ADD extra int DEFAULT 7;
            INSERT INTO orders VALUES (301, 'middle', 3, 8);
            ALTER TABLE orders RENAME note TO remark;
            ALTER TABLE orders DROP amount;
            UPDATE orders SET extra = 9 WHERE id = 6;
            INSERT INTO orders VALUES (302, 'new shape', 10);
            COMMIT;""")
        self.paused()
        self.assertEqual(len(self.pending()), 3)
        self.approve_all()
        self.same()

    def test_tables_come_go_and_move(self):
        self.begin(self.GATE, tables=None, options={})
        sql(self.source, "CREATE TABLE made AS SELECT n AS id, 'row' || n AS b FROM generate_series(1, 50) n;"
                         "ALTER TABLE made ADD PRIMARY KEY (id)")
        self.operate()
        sql(self.source, "ALTER TABLE made RENAME TO renamed; CREATE SCHEMA shop; ALTER TABLE renamed SET SCHEMA shop;"
                         "INSERT INTO shop.renamed VALUES (51, 'moved')")
        self.operate()
        sql(self.source, "DROP TABLE orders")
        self.operate()
        self.same("shop.renamed")
        self.assertEqual(sql(self.target, "SELECT to_regclass('public.orders'), to_regclass('public.made')"),
                         [[None, None]])
        self.assertEqual(duckdb_rows(self.duck, "SELECT table_schema || '.' || table_name FROM "
                                     "information_schema.tables WHERE table_schema NOT LIKE 'wallaby%'"),
                         [("shop.renamed",)])

    def test_rejected_column_stays_out(self):
        self.begin(self.GATE)
        sql(self.source, "ALTER TABLE orders ADD secret text; UPDATE orders SET secret = 'x', note = 'y' WHERE id = 1;"
                         "INSERT INTO orders VALUES (300, 'n', 1, 's')")
        self.paused()
        self.wallaby.admin("ddl", "reject", "-id", str(self.pending()[0]["id"]))
        self.wallaby.admin("flow", "resume", "-flow-id", self.flow)
        self.delivered()
        sql(self.source, "UPDATE orders SET secret = 'z', note = 'w' WHERE id = 2")
        self.delivered()
        self.assertEqual(sql(self.target, "SELECT id, note FROM orders WHERE id IN (1, 2, 300) ORDER BY 1"),
                         [["1", "y"], ["2", "w"], ["300", "n"]])
        self.assertEqual(sql(self.target, "SELECT count(*) FROM information_schema.columns WHERE column_name = 'secret'"),
                         [["0"]])
        # What happens to it concerns nobody.
        sql(self.source, "ALTER TABLE orders RENAME secret TO hidden; ALTER TABLE orders ALTER hidden TYPE varchar(10);"
                         "ALTER TABLE orders DROP hidden; UPDATE orders SET note = 'v' WHERE id = 2")
        self.same()
        # Any other change that is rejected holds the flow, and says what to do.
        self.wallaby.admin("flow", "start", "-flow-id", self.flow)
        sql(self.source, "ALTER TABLE orders DROP amount")
        self.paused()
        event = str(self.pending()[0]["id"])
        self.wallaby.admin("ddl", "reject", "-id", event)
        refused = self.wallaby.admin("flow", "resume", "-flow-id", self.flow, check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn(f"ddl approve -id {event}", refused.stderr)
        self.wallaby.admin("ddl", "approve", "-id", event)
        self.wallaby.admin("ddl", "apply", "-id", event)
        self.wallaby.admin("flow", "resume", "-flow-id", self.flow)
        self.same()

    def test_without_the_gate_nothing_pauses(self):
        self.begin()
        sql(self.source, "ALTER TABLE orders ADD extra int DEFAULT 3; ALTER TABLE orders RENAME note TO remark;"
                         "INSERT INTO orders VALUES (300, 'n', 1, 2)")
        self.same()
        self.assertNotIn("ddl_pending", self.wallaby.log())
        self.assertEqual(sql(self.source, "SELECT count(*) FROM pg_event_trigger"), [["0"]])

    def test_both_autos_never_pause(self):
        self.begin({**self.GATE, "WALLABY_DDL_AUTO_APPROVE": "true", "WALLABY_DDL_AUTO_APPLY": "true"})
        sql(self.source, "ALTER TABLE orders ADD extra int DEFAULT 3; ALTER TABLE orders RENAME note TO remark;"
                         "INSERT INTO orders VALUES (300, 'n', 1, 2); ALTER TABLE orders DROP amount")
        self.same()
        self.assertNotIn("ddl_pending", self.wallaby.log())
        self.assertEqual({event["status"] for event in self.ddl("list")["events"]}, {"applied"})

    def test_a_flows_own_policy_wins(self):
        self.begin(self.GATE, config={"ddl": {"gate": False}})
        sql(self.source, "ALTER TABLE orders ADD extra int; INSERT INTO orders VALUES (300, 'n', 1, 2)")
        self.same()
        self.assertNotIn("ddl_pending", self.wallaby.log())

    def test_gate_without_an_event_trigger(self):
        self.begin(self.GATE, options={"capture_ddl": "false"})
        sql(self.source, "ALTER TABLE orders RENAME note TO remark; ALTER TABLE orders ADD extra int DEFAULT 5")
        self.delivered()
        sql(self.source, "INSERT INTO orders VALUES (300, 'n', 1, 2)")
        self.paused()
        events = self.pending()
        self.assertEqual(len(events), 1)
        self.assertRegex(events[0]["ddl"], "rename column note to remark, add column extra")
        self.approve_all()
        self.delivered()
        # Seen once, also after a restart.
        self.wallaby.stop_flow(self.flow)
        self.wallaby.admin("flow", "start", "-flow-id", self.flow)
        sql(self.source, "UPDATE orders SET extra = 6 WHERE id = 1")
        self.same()
        self.assertEqual(len(self.ddl("list")["events"]), 1)

    def test_tables_outside_the_publication_are_not_gated(self):
        self.begin(self.GATE)
        sql(self.source, "CREATE TABLE other (id int); ALTER TABLE other ADD x int; DROP TABLE other;"
                         "CREATE INDEX ON orders (note); CREATE EXTENSION hstore; UPDATE orders SET note = 'z' WHERE id = 1")
        self.same()
        self.assertEqual(self.ddl("list")["events"], [])

    def test_ddl_while_the_worker_is_away(self):
        self.begin(self.GATE)
        self.wallaby.stop_flow(self.flow)
        sql(self.source, "INSERT INTO orders VALUES (300, 'old', 1); ALTER TABLE orders ALTER amount TYPE text;"
                         "INSERT INTO orders VALUES (301, 'new', 'text'); ALTER TABLE orders RENAME note TO remark;"
                         "INSERT INTO orders VALUES (302, 'newer', 'text')")
        self.wallaby.admin("flow", "start", "-flow-id", self.flow)
        self.paused()
        self.assertEqual(sql(self.target, "SELECT count(*) FROM orders WHERE id >= 300"), [["1"]])
        self.operate()
        self.same()

    def test_ddl_during_the_snapshot(self):
        self.begin(self.GATE)
        self.wallaby.stop_flow(self.flow)
        # A backfill whose table changes before the stream has come so far takes the table as it is.
        sql(self.source, "INSERT INTO orders VALUES (300, 'old', 1); ALTER TABLE orders RENAME note TO remark;"
                         "ALTER TABLE orders DROP amount; INSERT INTO orders VALUES (301, 'new')")
        self.wallaby.worker(self.flow, "-mode", "backfill")
        self.wallaby.admin("flow", "start", "-flow-id", self.flow)
        self.same()
        self.assertEqual(self.ddl("list")["events"], [])

    def test_a_failed_apply_is_finished_later(self):
        self.begin(self.GATE)
        sql(self.target, "CREATE VIEW holds AS SELECT note FROM orders")
        sql(self.source, "ALTER TABLE orders DROP note; INSERT INTO orders VALUES (300, 1)")
        self.paused()
        event = str(self.pending()[0]["id"])
        self.wallaby.admin("ddl", "approve", "-id", event)
        failed = self.wallaby.admin("ddl", "apply", "-id", event, check=False)
        self.assertEqual(failed.returncode, 1)
        self.assertIn("copy", failed.stderr)
        shown = self.ddl("get", "-id", event)
        shown = shown.get("event", shown)
        self.assertEqual(shown["status"], "failed")
        self.assertEqual([r["destination"] for r in shown["receipts"]], ["lake"])
        sql(self.target, "DROP VIEW holds")
        self.wallaby.admin("ddl", "apply", "-id", event)
        self.wallaby.admin("flow", "resume", "-flow-id", self.flow)
        self.same()


if __name__ == "__main__":
    unittest.main()

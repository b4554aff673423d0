"""A flow's ordinary life, on real servers: create, copy, stream, pause, resume, stop, start again, compare."""

import json
import os
import unittest

from e2e.harness import Postgres, PostgresTest, Wallaby, duckdb_rows, source_endpoint, sql, wait_until

TABLES = """
  CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, balance numeric(12,2) NOT NULL, note text);
  CREATE SCHEMA sales;
  CREATE TABLE sales.orders (customer bigint, number int, placed timestamptz NOT NULL, items jsonb, PRIMARY KEY (customer, number));
  CREATE TABLE keyless (a int, b text);
  ALTER TABLE keyless REPLICA IDENTITY FULL;
  CREATE TABLE parted (id int, region text, amount int, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
  CREATE TABLE parted_north PARTITION OF parted FOR VALUES IN ('north');
  CREATE TABLE parted_south PARTITION OF parted FOR VALUES IN ('south');
  CREATE TABLE computed (id int PRIMARY KEY, price int, doubled int GENERATED ALWAYS AS (price * 2) STORED);
  CREATE TABLE "Odd ""Name" ("Key" text PRIMARY KEY, "select" int);
  CREATE TABLE big (id int PRIMARY KEY, filler text, counter int);
"""
ROWS = """
  INSERT INTO customers SELECT n, 'customer ' || n, n * 1.5, repeat('note ', n % 40) FROM generate_series({0} + 1, {0} + 1000) n;
  INSERT INTO sales.orders SELECT n, n % 7, '2024-01-01'::timestamptz + n * interval '1 hour', jsonb_build_object('n', n)
    FROM generate_series({0} + 1, {0} + 500) n;
  INSERT INTO keyless SELECT n % 5, 'same' FROM generate_series(1, 50) n;
  INSERT INTO parted SELECT n, CASE WHEN n % 2 = 0 THEN 'north' ELSE 'south' END, n FROM generate_series({0} + 1, {0} + 100) n;
  INSERT INTO computed (id, price) SELECT n, n FROM generate_series({0} + 1, {0} + 20) n;
  INSERT INTO "Odd ""Name" VALUES ('k{0}', 1), ('K{0}', 2);
  INSERT INTO big SELECT n, (SELECT string_agg(md5(n::text || i), '') FROM generate_series(1, 300) i), 0
    FROM generate_series({0} + 1, {0} + 20) n;
"""
CHANGES = """
  BEGIN;
  UPDATE customers SET balance = balance + 1 WHERE id % 3 = 0;
  DELETE FROM customers WHERE id % 11 = 0;
  UPDATE customers SET id = id + 1000000 WHERE id % 13 = 0;
  UPDATE sales.orders SET items = '{"changed": true}' WHERE number = 3;
  COMMIT;
  UPDATE big SET counter = counter + 1;
  UPDATE big SET id = id + 5000 WHERE id % 4 = 0;
  DELETE FROM keyless WHERE ctid IN (SELECT ctid FROM keyless WHERE a = 2 LIMIT 3);
  UPDATE keyless SET b = 'other' WHERE ctid IN (SELECT ctid FROM keyless WHERE a = 3 LIMIT 2);
  UPDATE parted SET region = 'south' WHERE id = 2;
  UPDATE computed SET price = 77 WHERE id = 5;
  UPDATE "Odd ""Name" SET "Key" = 'moved' WHERE "Key" = 'k0';
  BEGIN; DELETE FROM customers WHERE id = 1; INSERT INTO customers VALUES (1, 'again', 0, NULL); COMMIT;
  BEGIN; INSERT INTO customers VALUES (-1, 'never', 0, NULL); ROLLBACK;
"""
QUERIES = [
    ("customers", "id, name, balance, note", "1"),
    ("sales.orders", "customer, number, {micros:placed}, {json:items}", "1, 2"),
    ("keyless", "a, b", "1, 2"),
    ("parted", "id, region, amount", "1"),
    ("computed", "id, price", "1"),
    ('"Odd ""Name"', '"Key", "select"', "1"),
    ("big", "id, md5(filler), counter", "1"),
]


def expression(text, engine):
    while "{" in text:
        head, rest = text.split("{", 1)
        inner, tail = rest.split("}", 1)
        kind, column = inner.split(":")
        if kind == "micros":
            value = (f"(extract(epoch from {column}) * 1000000)::bigint" if engine == "postgres"
                     else f"epoch_us({column})")
        else:
            value = f"{column}::text"
        text = head + value + tail
    return text


class DeliveryTest(PostgresTest):
    def setUp(self):
        self.wallaby = Wallaby().start()
        name = self.id().rsplit(".", 1)[1]
        self.source = self.postgres.database("s_" + name)
        self.target = self.postgres.database("t_" + name)
        self.slot = "slot_" + name
        self.duck = os.path.join(self.wallaby.folder, "copy.duckdb")
        self.lake = os.path.join(self.wallaby.folder, "lake")

    def tearDown(self):
        self.wallaby.close()
        sql(self.postgres.dsn, f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
                               f"WHERE slot_name = '{self.slot}' AND NOT active")

    def flow(self, *destinations, **options):
        return {"name": self.slot, "source": source_endpoint(self.source, slot=self.slot, publication=self.slot, **options),
                "destinations": list(destinations)}

    def duckdb(self, **options):
        return {"name": "duck", "type": "duckdb", "options": {"dsn": self.duck, **options}}

    def pg(self, **options):
        return {"name": "pg", "type": "postgres", "options": {"dsn": self.target, **options}}

    def parquet(self, **options):
        return {"name": "lake", "type": "parquet",
                "options": {"path": self.lake, "write_mode": "append", "roll_interval": "500ms", **options}}

    def compare_all(self):
        for table, columns, order in QUERIES:
            with self.subTest(table=table):
                query = f"SELECT {expression(columns, 'postgres')} FROM {table} ORDER BY {order}"
                expected = sql(self.source, query)
                self.assertGreater(len(expected), 0)
                self.assertEqual(expected, sql(self.target, query), f"postgres: {table}")
                query = f"SELECT {expression(columns, 'duckdb')} FROM {table} ORDER BY {order}"
                got = [[None if v is None else str(v) for v in row] for row in duckdb_rows(self.duck, query)]
                self.assertEqual(sorted(expected, key=repr), sorted(got, key=repr), f"duckdb: {table}")

    def compare_lake(self):
        """The log in Parquet, replayed by position, gives the table; no change stands in it twice."""
        files = f"read_parquet('{self.lake}/public/customers/**/*.parquet', union_by_name=true)"
        doubled = duckdb_rows(self.duck, f"SELECT _wallaby_lsn, _wallaby_seq, id, count(*) FROM {files} GROUP BY ALL HAVING count(*) > 1")
        self.assertEqual(doubled, [])
        log = duckdb_rows(self.duck, f"SELECT _wallaby_op, id, name FROM {files} ORDER BY _wallaby_lsn, _wallaby_seq")
        self.assertGreater(len(log), 1000)
        operations = {row[0] for row in log}
        self.assertLessEqual({"r", "c", "u", "d"}, operations)

    def test_copy_stream_and_all_kinds_of_change(self):
        sql(self.source, TABLES + ROWS.format(0))
        flow_id = self.wallaby.create(self.flow(self.duckdb(), self.pg(), self.parquet()))
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        sql(self.source, ROWS.format(100000) + CHANGES)
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        self.wallaby.stop_flow(flow_id)
        self.compare_all()
        self.compare_lake()
        # What is changed while nothing runs arrives after the start.
        sql(self.source, CHANGES + "TRUNCATE sales.orders; INSERT INTO sales.orders VALUES (1, 1, now(), NULL);")
        self.wallaby.admin("flow", "start", "-flow-id", flow_id)
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        self.wallaby.stop_flow(flow_id)
        self.compare_all()

    def test_unchanged_toasted_values_in_a_log(self):
        """In append mode an unchanged large value is named as unchanged, or fetched, as toast_fetch says."""
        sql(self.source, "CREATE TABLE big (id int PRIMARY KEY, filler text, counter int); INSERT INTO big SELECT n, "
                         "(SELECT string_agg(md5(n::text || i), '') FROM generate_series(1, 300) i), 0 FROM generate_series(1, 3) n")
        for mode in ("off", "source", "cache", "full"):
            with self.subTest(toast_fetch=mode):
                if mode == "full":
                    sql(self.source, "ALTER TABLE big REPLICA IDENTITY FULL")
                flow = self.flow(self.pg(write_mode="append", schema=f"log_{mode}"), toast_fetch=mode)
                flow["name"] = flow["source"]["options"]["slot"] = slot = f"{self.slot[:40]}_{mode}"
                flow["source"]["options"]["snapshot"] = "never"
                flow_id = self.wallaby.create(flow)
                wait_until(lambda: "streaming" in (self.wallaby.get(flow_id).get("activity") or ""), 30, "the stream")
                # The cache knows what went by: the first update brings the value, the second does not.
                sql(self.source, "UPDATE big SET filler = filler || 'x', counter = 1; UPDATE big SET counter = 2;")
                self.wallaby.await_delivery(flow_id, self.source, slot)
                rows = sql(self.target, f"SELECT _wallaby_unchanged, md5(filler), counter FROM log_{mode}.big "
                                        "WHERE counter = 2 ORDER BY id")
                values = sql(self.source, "SELECT NULL, md5(filler), counter FROM big ORDER BY id")
                self.assertEqual(rows, [["filler", None, "2"]] * 3 if mode == "off" else values)
                self.wallaby.stop_flow(flow_id)
                sql(self.source, f"SELECT pg_drop_replication_slot('{slot}')")

    def test_column_lists_and_row_filters_of_the_publication(self):
        sql(self.source, f"CREATE TABLE t (id int PRIMARY KEY, seen text, hidden text); INSERT INTO t SELECT n, 's' || n, 'h' FROM "
                         f"generate_series(1, 100) n; CREATE PUBLICATION {self.slot} FOR TABLE t (id, seen) WHERE (id > 50)")
        flow_id = self.wallaby.create(self.flow(self.pg()))
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        sql(self.source, "INSERT INTO t VALUES (10000, 'new', 'h'), (-1, 'filtered', 'h'); UPDATE t SET seen = 'changed' WHERE id IN (10, 60);"
                         "DELETE FROM t WHERE id IN (11, 61)")
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        self.assertEqual(sql(self.source, "SELECT id, seen FROM t WHERE id > 50 ORDER BY id"),
                         sql(self.target, "SELECT * FROM t ORDER BY id"))

    def test_two_workers_never_both_write(self):
        sql(self.source, TABLES + ROWS.format(0))
        flow_id = self.wallaby.create(self.flow(self.pg()))
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        second = self.wallaby.worker(flow_id, check=False)
        self.assertEqual(second.returncode, 1)
        self.assertIn("lease", second.stderr)
        self.assertIn("RUNNING", self.wallaby.get(flow_id)["state"])

    def test_source_restarts(self):
        own = Postgres(15)
        try:
            self.source = own.database("restarts")
            sql(self.source, TABLES + ROWS.format(0))
            flow_id = self.wallaby.create(self.flow(self.pg(), self.duckdb()))
            self.wallaby.await_delivery(flow_id, self.source, self.slot)
            for mode in ("fast", "immediate"):
                sql(self.source, f"UPDATE customers SET note = '{mode}'")
                own.restart(mode)
                sql(self.source, f"INSERT INTO customers VALUES ({len(mode)} + 5000000, 'after', 1, NULL)")
            self.wallaby.await_delivery(flow_id, self.source, self.slot)
            self.assertIn("RUNNING", self.wallaby.get(flow_id)["state"])
            self.wallaby.stop_flow(flow_id)
            sql(self.source, CHANGES)
            self.wallaby.admin("flow", "start", "-flow-id", flow_id)
            self.wallaby.await_delivery(flow_id, self.source, self.slot)
            self.wallaby.stop_flow(flow_id)
            self.compare_all()
        finally:
            self.wallaby.close()
            own.stop()

    def test_states_and_reports(self):
        sql(self.source, TABLES + ROWS.format(0))
        flow_id = self.wallaby.create(self.flow(self.pg()), start=False)
        self.assertIn("CREATED", self.wallaby.get(flow_id)["state"])
        self.wallaby.admin("flow", "start", "-flow-id", flow_id)
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        flow = wait_until(lambda: (f := self.wallaby.get(flow_id)).get("slot", {}).get("active") and f, 30, "an active slot")
        self.assertTrue(flow["checkpoint"]["lsn"])
        self.assertNotIn("postgres@127", json.dumps(flow).replace("postgres://postgres@127", ""))
        self.wallaby.admin("flow", "pause", "-flow-id", flow_id)
        wait_until(lambda: not self.wallaby.worker_pids(flow_id), 30, "the worker's end")
        self.assertIn("PAUSED", self.wallaby.get(flow_id)["state"])
        refused = self.wallaby.admin("flow", "start", "-flow-id", flow_id, check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("resume", refused.stderr)
        sql(self.source, "INSERT INTO customers VALUES (7777777, 'while paused', 1, NULL)")
        self.wallaby.admin("flow", "resume", "-flow-id", flow_id)
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        self.assertEqual(sql(self.target, "SELECT name FROM customers WHERE id = 7777777"), [["while paused"]])
        self.wallaby.stop_flow(flow_id)
        self.wallaby.admin("slot", "drop", "-flow-id", flow_id)
        self.wallaby.admin("flow", "delete", "-flow-id", flow_id)
        self.wallaby.flows.remove(flow_id)
        self.assertEqual(self.wallaby.admin("flow", "get", "-flow-id", flow_id, check=False).returncode, 1)

    def test_existing_slot_continues_at_its_confirmed_position(self):
        sql(self.source, f"CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION {self.slot} FOR TABLE t; "
                         "INSERT INTO t VALUES (1);")
        sql(self.source, f"SELECT pg_create_logical_replication_slot('{self.slot}', 'pgoutput')")
        sql(self.source, "INSERT INTO t VALUES (2)")
        flow_id = self.wallaby.create(self.flow(self.pg()))
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        self.assertEqual(sql(self.target, "SELECT id FROM t ORDER BY 1"), [["2"]])

    def test_probe_drains_and_tells(self):
        sql(self.source, TABLES + ROWS.format(0))
        flow_id = self.wallaby.create(self.flow(self.pg()), start=False)
        result = self.wallaby.worker(flow_id, "-max-empty-reads=1")
        self.assertIn("changes delivered", result.stderr)
        sql(self.source, "UPDATE customers SET note = 'probe'")
        result = self.wallaby.worker(flow_id, "--max-empty-reads", "1")
        self.assertIn("1000 changes delivered", result.stderr)
        self.assertEqual(sql(self.target, "SELECT count(*) FROM customers WHERE note = 'probe'"), [["1000"]])
        # Nothing is sent again, and nothing is left.
        result = self.wallaby.worker(flow_id, "-max-empty-reads=1")
        self.assertIn("worker ended: 0 changes delivered", result.stderr)

    def test_large_transaction_in_little_memory(self):
        sql(self.source, "CREATE TABLE wide (id int PRIMARY KEY, v text)")
        self.wallaby.close()
        self.wallaby = Wallaby(env={"WALLABY_MEMORY_LIMIT": "32MiB"}).start()
        self.duck = os.path.join(self.wallaby.folder, "copy.duckdb")
        flow_id = self.wallaby.create(self.flow(self.pg(), self.duckdb()))
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        sql(self.source, "INSERT INTO wide SELECT n, repeat(md5(n::text), 10) FROM generate_series(1, 300000) n")
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        self.wallaby.stop_flow(flow_id)
        digest = "SELECT count(*), sum(id), count(DISTINCT v) FROM wide"
        expected = sql(self.source, digest)
        self.assertEqual(expected, sql(self.target, digest))
        self.assertEqual(expected, [[str(v) for v in row] for row in duckdb_rows(self.duck, digest)])

    def test_quiet_table_beside_a_busy_one_holds_no_wal(self):
        sql(self.source, f"CREATE TABLE quiet (id int PRIMARY KEY); CREATE TABLE busy (id int, v text); "
                         f"CREATE PUBLICATION {self.slot} FOR TABLE quiet;")
        flow_id = self.wallaby.create(self.flow(self.pg()))
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        for _ in range(3):
            sql(self.source, "INSERT INTO busy SELECT n, repeat('x', 1000) FROM generate_series(1, 5000) n")
            self.wallaby.await_delivery(flow_id, self.source, self.slot, timeout=30)

    def test_table_added_later_with_its_rows(self):
        sql(self.source, "CREATE TABLE first (id int PRIMARY KEY); CREATE TABLE later (id int PRIMARY KEY, v text);"
                         "INSERT INTO first VALUES (1); INSERT INTO later SELECT n, 'v' || n FROM generate_series(1, 1000) n")
        flow_id = self.wallaby.create(self.flow(self.pg(), self.duckdb(), publication_tables="public.first"))
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        self.wallaby.admin("publication", "sync", "-flow-id", flow_id, "-tables", "public.later", "-snapshot")
        sql(self.source, "UPDATE later SET v = 'changed' WHERE id % 2 = 0; DELETE FROM later WHERE id % 10 = 0; INSERT INTO later VALUES (5000, 'new')")
        wait_until(lambda: sql(self.target, "SELECT to_regclass('later')")[0][0], 60, "the table at the destination")
        wait_until(lambda: sql(self.target, "SELECT count(*) FROM later") == sql(self.source, "SELECT count(*) FROM later"), 60, "the rows")
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        self.wallaby.stop_flow(flow_id)
        query = "SELECT id, v FROM later ORDER BY id"
        expected = sql(self.source, query)
        self.assertEqual(expected, sql(self.target, query))
        self.assertEqual(expected, [[str(v) for v in row] for row in duckdb_rows(self.duck, query)])

    def update(self, flow_id, **options):
        path = os.path.join(self.wallaby.folder, "update.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(self.flow(self.pg(), **options), f)
        self.wallaby.stop_flow(flow_id)
        self.wallaby.admin("flow", "update", "-flow-id", flow_id, "-file", path)
        self.wallaby.admin("flow", "start", "-flow-id", flow_id)

    def compare_table(self, flow_id, table):
        query = f"SELECT id, v FROM {table} ORDER BY id"
        wait_until(lambda: sql(self.target, f"SELECT to_regclass('{table}')")[0][0], 60, "the table at the destination")
        wait_until(lambda: sql(self.target, query) == sql(self.source, query), 60,
                   lambda: f"{table}: {sql(self.target, query)}\n{self.wallaby.log()[-3000:]}")

    def test_a_flow_that_carries_more_tables_than_before(self):
        """Their rows are copied, also those of a table that was left out for a time; a table that is carried all along is not."""
        for table in ("kept", "more"):
            sql(self.source, f"CREATE TABLE {table} (id int PRIMARY KEY, v text); INSERT INTO {table} VALUES (1, 'a'), (2, 'b')")
        sql(self.source, f"CREATE PUBLICATION {self.slot} FOR ALL TABLES")
        flow_id = self.wallaby.create(self.flow(self.pg(), tables="public.kept,public.absent"))
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        self.assertIn("a table that is not in the publication", self.wallaby.log())
        self.assertEqual(sql(self.target, "SELECT to_regclass('more')"), [[None]])
        copied = "the flow carries a table more"
        for change in ("INSERT INTO more VALUES (3, 'c')", "UPDATE more SET v = 'd' WHERE id = 1; DELETE FROM more WHERE id = 2"):
            sql(self.source, change)
            since = len(self.wallaby.log())
            self.update(flow_id, tables="public.kept,public.more")
            self.compare_table(flow_id, "more")
            sql(self.source, "INSERT INTO kept SELECT max(id) + 1, 'e' FROM kept; INSERT INTO more SELECT max(id) + 1, 'f' FROM more")
            self.compare_table(flow_id, "more")
            self.compare_table(flow_id, "kept")
            self.assertEqual([line for line in self.wallaby.log()[since:].splitlines() if copied in line and "public.kept" in line], [])
            self.update(flow_id, tables="public.kept")
            self.wallaby.await_delivery(flow_id, self.source, self.slot)

    def test_a_publication_that_is_made_to_carry_more_tables(self):
        for table in ("first", "later"):
            sql(self.source, f"CREATE TABLE {table} (id int PRIMARY KEY, v text); INSERT INTO {table} VALUES (1, 'a'), (2, 'b')")
        flow_id = self.wallaby.create(self.flow(self.pg(), publication_tables="public.first"))
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        self.update(flow_id, publication_tables="public.first,public.later", sync_publication="true")
        self.compare_table(flow_id, "later")
        sql(self.source, "UPDATE later SET v = 'c'")
        self.compare_table(flow_id, "later")


class MajorsTest(unittest.TestCase):
    """The same life on every other major version."""

    def on(self, major):
        DeliveryTest.postgres = Postgres(major)
        try:
            case = DeliveryTest("test_copy_stream_and_all_kinds_of_change")
            case.setUp()
            try:
                case.test_copy_stream_and_all_kinds_of_change()
            finally:
                case.tearDown()
        finally:
            DeliveryTest.postgres.stop()

    def test_postgresql_14(self):
        self.on(14)

    def test_postgresql_16(self):
        self.on(16)

    def test_postgresql_17(self):
        self.on(17)

    def test_postgresql_18(self):
        self.on(18)


if __name__ == "__main__":
    unittest.main()

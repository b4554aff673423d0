"""Mapping on real servers: what arrives is a view over the source, through snapshot, stream, kills and schema changes; what is masked
or left out is nowhere at the destinations."""

import glob
import json
import os
import random
import signal
import subprocess

from e2e.harness import PostgresTest, Wallaby, duckdb_rows, source_endpoint, sql, wait_until

SECRET = "a secret for the tests of masks"
SETUP = """
CREATE EXTENSION pgcrypto;
CREATE TABLE orders (id int PRIMARY KEY, region text, email text, ssn bigint, secret text, note text, amount numeric(10,2));
CREATE TABLE plain (id int PRIMARY KEY, v text);
CREATE TABLE audit_1 (id int PRIMARY KEY, v text);
INSERT INTO orders SELECT n, (ARRAY['eu', 'us', 'asia', NULL])[1 + n % 4], 'topsecret' || n || '@mail', 900000000 + n,
  'topsecret' || n, 'note ' || n, n FROM generate_series(1, 400) n;
INSERT INTO plain SELECT n, 'v' || n FROM generate_series(1, 50) n;
INSERT INTO audit_1 VALUES (1, 'topsecret');
"""
HASHED = f"encode(hmac(email, '{SECRET}', 'sha256'), 'hex')"
COLUMNS = {"email": {"mask": "hash"}, "ssn": {"mask": "redact"}, "secret": {"drop": True}, "note": {"to": "comment"},
           "amount": {"type": "text"}}
MAPPING = {"tables": {"public.orders": {"to": "sales.orders_v2", "rows": "amount > 100 and region in ('eu', 'us')",
                                        "columns": COLUMNS},
                      "public.audit_*": {"drop": True}}}
EXPECTED = (f"SELECT id, region, {HASHED} AS email, '[redacted]' AS ssn, note AS comment, amount::text AS amount FROM orders "
            "WHERE amount > 100 AND region IN ('eu', 'us')")
MAPPED = "SELECT id::text, region, email, ssn, comment, amount FROM sales.orders_v2"


def text(rows):
    return sorted(([None if v is None else str(v) for v in row] for row in rows), key=str)


class MappingTest(PostgresTest):
    def begin(self, destinations, env=None, options=None):
        name = self.id().rsplit(".", 1)[1]
        self.wallaby = Wallaby(env).start()
        self.addCleanup(self.wallaby.close)
        self.source = self.postgres.database("s_" + name)
        self.target = self.postgres.database("t_" + name)
        self.slot = "slot_" + name[:40]
        self.duck = os.path.join(self.wallaby.folder, "copy.duckdb")
        self.files = os.path.join(self.wallaby.folder, "files")
        sql(self.source, SETUP)
        own = {"duckdb": {"dsn": self.duck}, "postgres": {"dsn": self.target},
               "parquet": {"path": self.files, "write_mode": "append", "roll_interval": "200ms"}}
        self.definition = {
            "name": name, "id": "flow",
            "source": source_endpoint(self.source, slot=self.slot, publication="p",
                                      publication_tables="public.orders,public.plain,public.audit_1", **(options or {})),
            "destinations": [{"name": kind, "type": kind, "mapping": mapping,
                              "options": {**own[kind], "mask_secret": SECRET, **more}} for kind, mapping, more in destinations]}
        self.flow = self.wallaby.create(self.definition)

    def delivered(self):
        self.wallaby.await_delivery(self.flow, self.source, self.slot)

    def update(self, check=True):
        """Sends the definition again."""
        path = os.path.join(self.wallaby.folder, "update.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(self.definition, f)
        return self.wallaby.admin("flow", "update", "-file", path, check=check)

    def change_rows(self, rng, steps):
        for _ in range(steps):
            key, other = rng.randint(1, 450), rng.randint(1, 450)
            sql(self.source, rng.choice([
                f"INSERT INTO orders VALUES ({key}, 'eu', 'topsecret{key}@mail', {key}, 'topsecret', 'n', {other}) "
                f"ON CONFLICT (id) DO UPDATE SET region = (ARRAY['eu', 'us', 'asia'])[1 + {other} % 3], amount = {other}",
                f"UPDATE orders SET amount = {other}, email = email || 'x' WHERE id % 40 = {key} % 40",
                f"UPDATE orders SET region = CASE region WHEN 'eu' THEN 'asia' ELSE 'eu' END WHERE id % 30 = {key} % 30",
                f"DELETE FROM orders WHERE id = {key}",
                f"UPDATE orders SET id = {1000 + key} WHERE id = {key} AND NOT EXISTS (SELECT FROM orders WHERE id = {1000 + key})",
                f"UPDATE plain SET v = 'w{other}' WHERE id = {key} % 50",
                f"INSERT INTO audit_1 VALUES ({key}, 'topsecret') ON CONFLICT DO NOTHING",
                "BEGIN; DELETE FROM orders WHERE id > 1000; ROLLBACK"]))

    def test_equals_a_view_through_kills(self):
        masks = {"tables": {"public.orders": {"columns": {**COLUMNS, "id": {"mask": "hash"}}}, "public.audit_*": {"drop": True}},
                 "metadata": ["table"]}
        self.begin([("duckdb", MAPPING, {}), ("postgres", MAPPING, {}), ("parquet", masks, {})])
        seed = int(os.environ.get("WALLABY_SEED") or random.randrange(1 << 30))
        print(f"WALLABY_SEED={seed}", flush=True)
        rng = random.Random(seed)
        for _ in range(4):
            self.change_rows(rng, 12)
            for pid in wait_until(lambda: self.wallaby.worker_pids(self.flow), 60, "a worker"):
                os.kill(pid, signal.SIGKILL)
        self.change_rows(rng, 12)
        self.delivered()
        self.wallaby.stop_flow(self.flow)
        expected = text(sql(self.source, EXPECTED))
        self.assertGreater(len(expected), 10)
        self.assertEqual(text(sql(self.target, MAPPED)), expected, "PostgreSQL")
        self.assertEqual(text(duckdb_rows(self.duck, MAPPED)), expected, "DuckDB")
        plain = text(sql(self.source, "SELECT * FROM plain"))
        self.assertEqual(text(sql(self.target, "SELECT * FROM plain")), plain)
        self.assertEqual(text(duckdb_rows(self.duck, "SELECT * FROM plain")), plain)
        for rows in (sql(self.target, "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'audit%'"),
                     duckdb_rows(self.duck, "SELECT count(*) FROM information_schema.tables WHERE table_name LIKE 'audit%'")):
            self.assertEqual(text(rows), [["0"]])
        self.check_files()
        self.check_nothing_shows()

    def check_files(self):
        """The log's last row of each key is the table."""
        import duckdb
        with duckdb.connect() as connection:
            rows = connection.execute(
                "SELECT id, email, ssn, _wallaby_table FROM (SELECT *, row_number() OVER (PARTITION BY id ORDER BY _wallaby_lsn DESC, "
                "_wallaby_seq DESC, CASE _wallaby_op WHEN 'd' THEN 0 ELSE 1 END DESC) n FROM "
                f"read_parquet('{self.files}/public/orders/**/*.parquet', union_by_name = true)) WHERE n = 1 AND "
                "_wallaby_op <> 'd'").fetchall()
        self.assertEqual(text(rows), text(sql(
            self.source, f"SELECT encode(hmac(id::text, '{SECRET}', 'sha256'), 'hex'), {HASHED}, '[redacted]', 'orders' FROM orders")))
        self.assertEqual(glob.glob(f"{self.files}/public/audit*"), [])

    def check_nothing_shows(self):
        dump = subprocess.run(["/usr/lib/postgresql/15/bin/pg_dump", "--inserts", self.target], check=True, capture_output=True)
        self.assertNotIn(b"topsecret", dump.stdout)
        self.assertIn(b"[redacted]", dump.stdout)
        places = [self.duck] + glob.glob(f"{self.files}/**/*", recursive=True)
        for path in filter(os.path.isfile, places):
            with open(path, "rb") as f:
                self.assertNotIn(b"topsecret", f.read(), path)
        self.assertNotIn("topsecret", self.wallaby.log())
        self.assertNotIn(SECRET, self.wallaby.log())
        self.assertNotIn(SECRET, self.wallaby.admin("flow", "get", "-flow-id", self.flow, "-json").stdout)

    def test_soft_delete(self):
        mapping = {"tables": {"public.audit_1": {"drop": True}, "public.plain": {"soft_delete": False}}, "metadata": {"op": "last_op"}}
        self.begin([("duckdb", mapping, {"soft_delete": "true"}), ("postgres", mapping, {"soft_delete": "true"})])
        self.delivered()
        sql(self.source, "DELETE FROM orders WHERE id <= 10; DELETE FROM plain WHERE id <= 10")
        sql(self.source, "INSERT INTO orders (id, note) VALUES (5, 'again')")
        sql(self.source, "BEGIN; INSERT INTO orders (id, note) VALUES (2000, 'short'); DELETE FROM orders WHERE id = 2000; COMMIT")
        sql(self.source, "UPDATE orders SET id = 2001 WHERE id = 20")
        self.delivered()
        self.wallaby.stop_flow(self.flow)
        living = text(sql(self.source, "SELECT id, region, email, ssn, secret, note, amount FROM orders"))
        select = "SELECT id, region, email, ssn, secret, note, amount FROM orders WHERE NOT _wallaby_deleted"
        deleted = ("SELECT id, region, note, last_op, _wallaby_deleted_at IS NOT NULL AND _wallaby_deleted_at > timestamptz "
                   "'2020-01-01 00:00:00+00' FROM orders WHERE _wallaby_deleted")
        for where, rows in (("PostgreSQL", lambda query: sql(self.target, query)),
                            ("DuckDB", lambda query: duckdb_rows(self.duck, query))):
            self.assertEqual(text(rows(select)), living, where)
            gone = [[row[0], row[1], row[2], row[3], str(row[4]).lower()[0]] for row in text(rows(deleted))]
            expected = [[str(n), ["eu", "us", "asia", None][n % 4], f"note {n}", "d", "t"] for n in (1, 2, 3, 4, 6, 7, 8, 9, 10)]
            # Its values came and went in one transaction.
            self.assertEqual(gone, text(expected + [["2000", None, "short", "d", "t"]]), where)
            self.assertEqual(text(rows("SELECT count(*) FROM plain")), [["40"]], where)

    def test_a_schema_change_that_would_show_what_is_hidden(self):
        self.begin([("duckdb", MAPPING, {}), ("postgres", MAPPING, {})], {"WALLABY_DDL_GATE": "true"})
        self.delivered()
        sql(self.source, "INSERT INTO orders VALUES (500, 'eu', 'topsecret@mail', 1, 'topsecret', 'before', 500)")
        sql(self.source, "BEGIN; ALTER TABLE orders RENAME email TO mail; ALTER TABLE orders ADD COLUMN place text DEFAULT 'here'; COMMIT")
        sql(self.source, "INSERT INTO orders VALUES (501, 'eu', 'topsecret2@mail', 1, 'topsecret', 'after', 501, 'there')")
        wait_until(lambda: self.wallaby.get(self.flow)["state"].lower().endswith("paused"), 60, "the pause")
        wait_until(lambda: not self.wallaby.worker_pids(self.flow), 30, "the worker's end")
        events = json.loads(self.wallaby.admin("ddl", "list", "-status", "pending", "-json").stdout)["events"]
        shown = json.dumps(events)
        self.assertIn("cannot be followed: mapping of table public.orders: column email has a rule and was renamed to mail", shown)
        for event in events:
            self.wallaby.admin("ddl", "approve", "-id", str(event["id"]))
        out = self.wallaby.admin("ddl", "apply", "-id", str(events[0]["id"]), check=False)
        self.assertEqual(out.returncode, 1)
        self.assertIn("write the rule for mail", out.stderr)
        # The rule moves to the new name, under which nothing else was ever shown.
        for destination in self.definition["destinations"]:
            columns = dict(COLUMNS)
            columns["mail"] = columns.pop("email")
            destination["mapping"] = {"tables": {**MAPPING["tables"],
                                                 "public.orders": {**MAPPING["tables"]["public.orders"], "columns": columns}}}
        self.update()
        for event in events:
            self.wallaby.admin("ddl", "apply", "-id", str(event["id"]))
        self.wallaby.admin("flow", "resume", "-flow-id", self.flow)
        self.delivered()
        self.wallaby.stop_flow(self.flow)
        expected = text(sql(self.source, EXPECTED.replace("email", "mail").replace("FROM orders", ", place FROM orders")))
        mapped = MAPPED.replace("email", "mail").replace(" FROM", ", place FROM")
        self.assertEqual(text(sql(self.target, mapped)), expected)
        self.assertEqual(text(duckdb_rows(self.duck, mapped)), expected)
        self.check_nothing_shows()

    def test_mistakes_are_named_before_anything_starts(self):
        self.begin([("postgres", MAPPING, {})])
        path = os.path.join(self.wallaby.folder, "flow.yaml")
        with open(os.path.join(self.wallaby.folder, "rules.yaml"), "w", encoding="utf-8") as f:
            f.write("tables:\n  public.orders:\n    rows: amount > 'much'\n    columns: {emial: {mask: hash}}\n"
                    "  public.planes: {drop: true}\n")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"""
name: other
source: {{name: s, type: postgres, options: {{dsn: "{self.source}", slot: other, publication: other,
  publication_tables: "public.orders,public.plain"}}}}
destinations:
  - {{name: d, type: postgres, options: {{dsn: "{self.target}", mapping_file: rules.yaml, mask_secret: {SECRET}}}}}
""")
        out = self.wallaby.admin("flow", "validate", "-file", path, check=False)
        self.assertEqual(out.returncode, 1)
        for problem in ("the table has no column emial", "no published table follows the rule 'public.planes'"):
            self.assertIn(problem, out.stdout + out.stderr)
        out = self.wallaby.admin("flow", "create", "-file", path, check=False)
        self.assertEqual(out.returncode, 1)
        self.assertIn("the table has no column emial", out.stderr)
        with open(os.path.join(self.wallaby.folder, "rules.yaml"), "w", encoding="utf-8") as f:
            f.write("tables: {public.orders: {rows: amount > 'much'}}")
        out = self.wallaby.admin("flow", "validate", "-file", path, check=False)
        self.assertIn("rows: column amount is numeric, and is compared with a number", out.stdout + out.stderr)
        with open(os.path.join(self.wallaby.folder, "rules.yaml"), "w", encoding="utf-8") as f:
            f.write("tables: {public.orders: {rows: amount >}}")
        out = self.wallaby.admin("flow", "validate", "-file", path, check=False)
        self.assertIn("tables.public.orders.rows: at character 9", out.stdout + out.stderr)
        with open(os.path.join(self.wallaby.folder, "rules.yaml"), "w", encoding="utf-8") as f:
            f.write("tables: {public.orders: {rows: amount > 5}}")
        self.wallaby.admin("flow", "validate", "-file", path)

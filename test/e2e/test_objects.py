"""Flows into a real bucket, read back by DuckDB, pyarrow and fastavro through the manifest: every change once, whatever was killed.

WALLABY_KILLS sets how many kills (default 8). The seed is printed; WALLABY_SEED repeats its choices, though not the timing.
"""

import collections
import datetime
import gzip
import io
import json
import os
import random
import re
import signal
import time
import unittest

from e2e.bucket import AzureContainer, Bucket, GcsBucket, files_of
from e2e.harness import Postgres, Wallaby, source_endpoint, sql, wait_until
from e2e.load import SEED, SETUP, Load

KILLS = int(os.environ.get("WALLABY_KILLS", "8"))
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


class FlowIntoBucket(unittest.TestCase):
    bucket_type = Bucket

    @classmethod
    def setUpClass(cls):
        cls.postgres, cls.bucket = Postgres(15), cls.bucket_type()

    @classmethod
    def tearDownClass(cls):
        cls.bucket.stop()
        cls.postgres.stop()

    def start(self, tables, destinations):
        """Source with these tables, server and flow, which are gone after the test."""
        name = self.id().rsplit(".", 1)[1]
        self.source = self.postgres.database(name)
        sql(self.source, tables)
        self.wallaby = Wallaby().start()
        self.addCleanup(self.wallaby.close)
        self.slot = name[:60]
        return self.wallaby.create({"name": name, "source": source_endpoint(self.source, slot=self.slot, publication=self.slot),
                                    "destinations": destinations})

    # ---- kills ----

    def kill_and_compare(self):
        """Under load, until there were KILLS; then every change has come once, and nothing else is left."""
        print(f"kills {KILLS}, WALLABY_SEED={SEED}", flush=True)
        rng = random.Random(SEED)
        flow_id = self.start(SETUP, [{"name": "lake", "type": self.bucket.type, "options": self.bucket.options(
            prefix="kills", roll_interval="300ms")}])
        killed = collections.Counter()
        # The first ones hit the start and the copy; then come changes, each of which the second slot sees, too.
        self.kill_once(rng, flow_id, killed)
        wait_until(lambda: self.copied(flow_id, 2), 120, "the first copy")
        sql(self.source, "SELECT pg_create_logical_replication_slot('reference', 'test_decoding')")
        load = Load(self.source, pause=0.1)
        try:
            while killed.total() < KILLS:
                self.kill_once(rng, flow_id, killed)
                if killed.total() % 2:  # else it might never get as far as a commit
                    self.await_commit(flow_id)
        finally:
            load.stop()
        print(f"killed {dict(killed)}, {load.steps} transactions", flush=True)
        self.wallaby.await_delivery(flow_id, self.source, self.slot, timeout=300)
        self.wallaby.stop_flow(flow_id)
        for table, columns in (("accounts", "id, balance, note"), ("ledger", "id, account, amount")):
            self.compare_state(flow_id, table, columns)
            self.compare_changes(flow_id, table)
        self.check_objects(flow_id)

    def kill_once(self, rng, flow_id, killed):
        time.sleep(rng.choice([0.05, 0.3, 1.0, 2.5]) * rng.random() + 0.05)
        if rng.random() < 0.6 or not self.bucket.keeps_objects:
            for pid in self.wallaby.worker_pids(flow_id):
                try:
                    os.kill(pid, signal.SIGKILL)
                    killed["worker"] += 1
                except ProcessLookupError:
                    pass
        else:
            self.bucket.kill()
            time.sleep(rng.random())
            self.bucket.restart()
            killed["bucket"] += 1

    def await_commit(self, flow_id):
        def commit():
            return self.bucket.manifest("kills", flow_id, "lake")["commit_lsn"]
        before = commit()
        wait_until(lambda: commit() != before, 120, "the next commit")

    def copied(self, flow_id, count):
        tables = self.wallaby.get(flow_id).get("tables", [])
        return len(tables) == count and all(table["state"] == "done" for table in tables)

    def compare_state(self, flow_id, table, columns):
        """The last row of each key is the table."""
        expected = sql(self.source, f"SELECT {columns} FROM {table} ORDER BY id")
        self.assertGreater(len(expected), 0)
        found = self.bucket.duckdb("kills", flow_id, "lake", f"""
          SELECT {columns} FROM read_parquet(getvariable('files'), union_by_name = true)
          QUALIFY row_number() OVER (PARTITION BY id ORDER BY _wallaby_lsn DESC, _wallaby_seq DESC, _wallaby_op DESC) = 1
              AND _wallaby_op <> 'd'
          ORDER BY id""", [files_of(f"public/{table}")])
        self.assertEqual(expected, found, table)
        print(f"{table}: {len(expected)} rows equal", flush=True)

    def compare_changes(self, flow_id, table):
        """As many changes of each transaction as PostgreSQL's own decoding tells, and none of them twice."""
        expected, waiting = collections.Counter(), 0
        for (line,) in sql(self.source, "SELECT data FROM pg_logical_slot_peek_changes('reference', NULL, NULL, 'include-timestamp', 'on')"):
            if line.startswith("BEGIN"):
                waiting = 0
            elif line.startswith(f"table public.{table}:"):
                waiting += 1
            elif line.startswith("COMMIT") and waiting:
                at = datetime.datetime.fromisoformat(re.search(r"at ([^)]*)", line).group(1))
                expected[round((at - EPOCH) / datetime.timedelta(microseconds=1))] += waiting
        rows = self.bucket.duckdb("kills", flow_id, "lake", """
          SELECT epoch_us(_wallaby_commit_time) AS at, count(DISTINCT (_wallaby_lsn, _wallaby_seq)), count(*),
                 count(DISTINCT (_wallaby_lsn, _wallaby_seq, _wallaby_op))
          FROM read_parquet(getvariable('files'), union_by_name = true) WHERE _wallaby_op <> 'r' GROUP BY ALL""",
                                  [files_of(f"public/{table}")])
        found = collections.Counter({int(at): int(count) for at, count, _, _ in rows})
        self.assertEqual([row for row in rows if row[2] != row[3]], [], f"{table}: changes that stand twice")
        self.assertEqual(expected, found, table)
        print(f"{table}: {expected.total()} changes of {len(expected)} transactions stand once", flush=True)

    def check_objects(self, flow_id):
        """Nothing is left of what was killed, once a worker has opened the place again."""
        self.wallaby.admin("flow", "start", "-flow-id", flow_id)
        sql(self.source, "INSERT INTO ledger (account, amount) VALUES (1, 1)")
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        self.wallaby.stop_flow(flow_id)
        named = sorted("kills/" + file["path"] for file in self.bucket.named("kills", flow_id, "lake"))
        there = sorted(key for key in self.bucket.keys("kills") if not key.startswith("kills/_wallaby/"))
        self.assertEqual(there, named)
        manifest = self.bucket.manifest("kills", flow_id, "lake")
        print(f"{len(named)} objects, all of them named; opened {manifest['epoch']} times, written {manifest['version']} times", flush=True)


class ObjectsTest(FlowIntoBucket):
    def test_every_change_once_over_kill_9_of_worker_and_bucket(self):
        self.kill_and_compare()

    # ---- formats ----

    TABLE = """
      CREATE TABLE things (id bigint PRIMARY KEY, day date, total numeric(12,2), at timestamptz, note text, doc jsonb, raw bytea);
      INSERT INTO things SELECT n, '2024-05-01'::date + n % 3, n * 1.5, '2024-05-01 10:00+00'::timestamptz + n * interval '1 min',
        CASE WHEN n % 7 <> 0 THEN 'note ' || n END, jsonb_build_object('n', n), decode(md5(n::text), 'hex')
        FROM generate_series(1, 300) n;
    """
    CHANGES = """
      UPDATE things SET note = 'changed' WHERE id % 10 = 0;
      DELETE FROM things WHERE id % 11 = 0;
      UPDATE things SET id = id + 1000 WHERE id % 13 = 0;
      INSERT INTO things (id, day, note) VALUES (2000, NULL, 'ü');
    """

    def test_all_formats_are_read_by_their_own_libraries(self):
        formats = {"parquet": {}, "arrow": {}, "avro": {}, "json": {}, "plain": {"format": "json", "compression": "none"}}
        flow_id = self.start(self.TABLE, [
            {"name": name, "type": "parquet" if name == "parquet" else "s3", "options": self.bucket.options(
                prefix=f"formats/{name}", roll_interval="200ms", partition_by="day:month", **{"format": name, **options})}
            for name, options in formats.items()])
        wait_until(lambda: self.copied(flow_id, 1), 120, "the first copy")
        sql(self.source, self.CHANGES)
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        self.wallaby.stop_flow(flow_id)
        expected = [tuple(row) for row in sql(self.source, "SELECT id, day, total, note, encode(raw, 'hex') FROM things ORDER BY id")]
        for name in formats:
            files = self.bucket.named(f"formats/{name}", flow_id, name)
            self.assertTrue(all("/day_month=" in file["path"] for file in files), name)
            state = {}
            rows = [row for file in files for row in self.rows_of(name, file, self.bucket.read(f"formats/{name}/{file['path']}"))]
            for _, _, gone, row in sorted(rows, key=lambda row: row[:2] + (not row[2],)):
                if gone:
                    state.pop(row[0], None)
                else:
                    state[row[0]] = row
            self.assertEqual(expected, sorted(state.values(), key=lambda row: int(row[0])), name)
            self.assertEqual(len(rows), sum(file["rows"] for file in files), name)
            # What the copy and the changes make: 300, 30 updates, 27 deletes, two for each of 21 new keys, one insert.
            self.assertEqual(len(rows), 300 + 30 + 27 + 2 * 21 + 1, name)
            print(f"{name}: {len(files)} objects, {len(rows)} rows, {len(state)} left", flush=True)
        self.read_all_by_duckdb(flow_id, len(expected))

    def rows_of(self, name, file, content):
        """(lsn, seq, whether it is a delete, the row as text) of each record of an object."""
        if name in ("parquet", "arrow"):
            import pyarrow.ipc
            import pyarrow.parquet
            table = (pyarrow.parquet.read_table(io.BytesIO(content)) if name == "parquet"
                     else pyarrow.ipc.open_stream(content).read_all())
            for r in table.to_pylist():
                yield r["_wallaby_lsn"], r["_wallaby_seq"], r["_wallaby_op"] == "d", self.as_text(r)
            return
        if name == "avro":
            import fastavro
            records = list(fastavro.reader(io.BytesIO(content)))
        else:
            self.assertTrue(file["path"].endswith(".jsonl.gz" if name == "json" else ".jsonl"))
            text = gzip.decompress(content) if name == "json" else content
            records = [json.loads(line) for line in text.splitlines()]
        for r in records:
            gone = r["operation"] == "delete"
            yield r["lsn"], r["seq"], gone, (str(r["key"]["id"]),) if gone else self.as_text(r["after"])

    @staticmethod
    def as_text(row):
        import base64
        raw = row["raw"]
        if isinstance(raw, str):
            raw = base64.b64decode(raw)
        return (str(row["id"]), None if row["day"] is None else str(row["day"]),
                None if row["total"] is None else str(row["total"]), row["note"], None if raw is None else raw.hex())

    def read_all_by_duckdb(self, flow_id, expected):
        last = "QUALIFY row_number() OVER (PARTITION BY {0} ORDER BY {1} DESC, {2} DESC, {3} DESC) = 1 AND {3} <> {4}"
        flat = last.format("id", "_wallaby_lsn", "_wallaby_seq", "_wallaby_op", "'d'")
        nested = last.format("id", "lsn", "seq", "operation", "'delete'")
        readers = {
            "parquet": f"SELECT id FROM read_parquet(getvariable('files'), hive_partitioning = true) {flat}",
            "json": f"SELECT key.id AS id FROM read_json(getvariable('files'), format = 'newline_delimited') {nested}",
            "avro": f"SELECT key.id AS id FROM read_avro(getvariable('files')) {nested}"}
        for name, query in readers.items():
            rows = self.bucket.duckdb(f"formats/{name}", flow_id, name, f"SELECT count(*) FROM ({query})",
                                      [files_of("public/things")])
            self.assertEqual(rows, [[str(expected)]], name)


class AzureTest(FlowIntoBucket):
    bucket_type = AzureContainer

    def test_every_change_once_in_azure_over_kill_9_of_the_worker(self):
        self.kill_and_compare()

    def test_a_token_with_the_rights_of_the_page_is_enough_and_is_not_shown(self):
        token = self.bucket.sas_token("rwdl")
        flow_id = self.start("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 1000)", [
            {"name": "lake", "type": "azure", "options": {
                "container": "test", "endpoint": self.bucket.endpoint(), "sas_token": token, "prefix": "token",
                "format": "json", "roll_interval": "200ms"}}])
        sql(self.source, "DELETE FROM t WHERE id > 400")
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        self.wallaby.stop_flow(flow_id)
        self.assertEqual([["1600"]], self.bucket.duckdb("token", flow_id, "lake", """
          SELECT count(*) FROM read_json(getvariable('files'), format = 'newline_delimited')""", [files_of("public/t")]))
        self.assertNotIn("sig=", json.dumps(self.wallaby.get(flow_id)))


class GcsTest(FlowIntoBucket):
    bucket_type = GcsBucket

    def test_every_change_once_in_google_over_kill_9_of_the_worker(self):
        self.kill_and_compare()


if __name__ == "__main__":
    unittest.main()

"""kill -9 of workers and of the server at random moments under load, then a comparison row by row.

WALLABY_KILLS sets how many (default 8; `./dev crash` runs 100). The seed is printed; WALLABY_SEED repeats its choices, though not the
timing.
"""

import os
import random
import signal
import threading
import time
import unittest

from e2e.harness import Postgres, Wallaby, duckdb_rows, source_endpoint, sql, wait_until

KILLS = int(os.environ.get("WALLABY_KILLS", "8"))
SEED = int(os.environ.get("WALLABY_SEED", str(random.randrange(1 << 30))))
SLOT = "crash"

SETUP = """
  CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL, note text, big text);
  CREATE TABLE ledger (id bigserial PRIMARY KEY, account bigint NOT NULL, amount bigint NOT NULL, at timestamptz DEFAULT now());
  INSERT INTO accounts SELECT n, 0, 'new', (SELECT string_agg(md5(n::text || i), '') FROM generate_series(1, 200) i)
    FROM generate_series(1, 500) n;
"""


def step(rng):
    """One random transaction: some rows of both tables, sometimes a large one, a key change, or delete and insert."""
    kind = rng.randrange(10)
    account, amount = rng.randrange(1, 500), rng.randrange(-1000, 1000)
    if kind < 6:
        return (f"BEGIN; UPDATE accounts SET balance = balance + {amount}, note = '{amount}' WHERE id = {account};"
                f"INSERT INTO ledger (account, amount) VALUES ({account}, {amount}); COMMIT;")
    if kind == 6:
        return f"INSERT INTO ledger (account, amount) SELECT {account}, n FROM generate_series(1, {rng.randrange(1, 5000)}) n;"
    if kind == 7:
        return f"UPDATE accounts SET id = id + 100000 WHERE id = {account}; UPDATE accounts SET id = id - 100000 WHERE id > 100000;"
    if kind == 8:
        return f"DELETE FROM ledger WHERE id % 97 = {rng.randrange(97)};"
    return (f"BEGIN; DELETE FROM accounts WHERE id = {account}; INSERT INTO accounts VALUES ({account}, {amount}, 'again', "
            f"repeat('{account}', 2000)); COMMIT;")


class Load:
    """Two connections that keep changing rows until stopped."""

    def __init__(self, dsn):
        self.dsn, self.stopping, self.steps, self.errors = dsn, threading.Event(), 0, []
        self.threads = [threading.Thread(target=self._run, args=(SEED + i,)) for i in range(2)]
        for thread in self.threads:
            thread.start()

    def _run(self, seed):
        rng = random.Random(seed)
        while not self.stopping.is_set():
            try:
                sql(self.dsn, "".join(step(rng) for _ in range(20)))
                self.steps += 20
            except AssertionError as error:
                if "deadlock" not in str(error):
                    self.errors.append(error)
                    return

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        if self.errors:
            raise self.errors[0]


class CrashTest(unittest.TestCase):
    def test_kill_9_of_worker_and_server(self):
        print(f"kills {KILLS}, WALLABY_SEED={SEED}", flush=True)
        rng = random.Random(SEED)
        postgres = Postgres(15)
        source, target = postgres.database("source"), postgres.database("target")
        sql(source, SETUP)
        wallaby = Wallaby().start()
        duck, lake = os.path.join(wallaby.folder, "copy.duckdb"), os.path.join(wallaby.folder, "lake")
        load = None
        try:
            flow_id = wallaby.create({
                "name": "crash", "source": source_endpoint(source, slot=SLOT, publication=SLOT, catch_up="256KiB"),
                "destinations": [
                    {"name": "duck", "type": "duckdb", "options": {"dsn": duck}},
                    {"name": "pg", "type": "postgres", "options": {"dsn": target}},
                    {"name": "lake", "type": "parquet",
                     "options": {"path": lake, "write_mode": "append", "roll_interval": "300ms"}}]})
            load = Load(source)
            killed = {"worker": 0, "server": 0}
            while sum(killed.values()) < KILLS:
                # Short waits hit the start and the snapshot, longer ones the stream.
                time.sleep(rng.choice([0.05, 0.3, 1.0, 2.5]) * rng.random() + 0.05)
                if rng.random() < 0.8 and (pids := self.worker_soon(wallaby, flow_id)):
                    for pid in pids:
                        try:
                            os.kill(pid, signal.SIGKILL)
                        except ProcessLookupError:
                            continue
                    killed["worker"] += 1
                else:
                    wallaby.kill()
                    killed["server"] += 1
                    wallaby.start()
            load.stop()
            print(f"killed {killed}, {load.steps} transactions", flush=True)
            wallaby.await_delivery(flow_id, source, SLOT, timeout=300)
            wallaby.stop_flow(flow_id)
            caught_up = wallaby.log().count("catching up: reading through SQL")
            print(f"a backlog was read through SQL {caught_up} times", flush=True)
            self.assertGreater(caught_up, 0, "the kills leave backlogs of more than catch_up")
            self.compare(source, target, duck, lake)
        finally:
            if load is not None:
                load.stopping.set()
            wallaby.close()
            postgres.stop()

    def worker_soon(self, wallaby, flow_id):
        """The worker's pid; none while the server holds its restart back, and then the server is killed instead."""
        deadline = time.monotonic() + 2
        while not (pids := wallaby.worker_pids(flow_id)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return pids

    def compare(self, source, target, duck, lake):
        queries = {"accounts": "SELECT id, balance, note, md5(big) FROM accounts ORDER BY id",
                   "ledger": "SELECT id, account, amount FROM ledger ORDER BY id"}
        for table, query in queries.items():
            expected = sql(source, query)
            self.assertEqual(expected, sql(target, query), f"postgres {table}")
            self.assertEqual(expected, text_rows(duckdb_rows(duck, query)), f"duckdb {table}")
            self.compare_lake(table, query, expected, duck, lake)
            print(f"{table}: {len(expected)} rows equal at all destinations", flush=True)

    def compare_lake(self, table, query, expected, duck, lake):
        files = f"read_parquet('{lake}/public/{table}/**/*.parquet', union_by_name=true)"
        doubled = duckdb_rows(duck, f"SELECT _wallaby_lsn, _wallaby_seq, id, count(*) FROM {files} GROUP BY ALL HAVING count(*) > 1")
        self.assertEqual(doubled, [], f"parquet {table}: changes that stand twice")
        columns = query.split("FROM")[0].replace("SELECT", "").replace("md5(big)", "id").strip()
        # The last word on each key is the table. big is left out: an unchanged value is not in the log.
        columns = query.split("FROM")[0].replace("SELECT", "").replace(", md5(big)", "").strip()
        last = f"""SELECT {columns} FROM (SELECT *, row_number() OVER (PARTITION BY id ORDER BY
                   CASE WHEN _wallaby_op = 'r' THEN 0 ELSE 1 END DESC, _wallaby_lsn DESC, _wallaby_seq DESC) AS nth FROM {files})
                   WHERE nth = 1 AND _wallaby_op <> 'd' ORDER BY id"""
        self.assertEqual([row[:3] for row in expected], text_rows(duckdb_rows(duck, last)), f"parquet {table}")


def text_rows(rows):
    return [[None if value is None else str(value) for value in row] for row in rows]


class PgbenchTest(unittest.TestCase):
    """TPC-B for a while (WALLABY_PGBENCH_SECONDS, default 10): the balances are equal at the end."""

    def test_tpcb_balances(self):
        import subprocess
        seconds = os.environ.get("WALLABY_PGBENCH_SECONDS", "10")
        postgres = Postgres(15)
        source, target = postgres.database("source"), postgres.database("target")
        bindir = "/usr/lib/postgresql/15/bin"
        subprocess.run([f"{bindir}/pgbench", "-i", "-q", "-s", "2", source], check=True, capture_output=True)
        sql(source, "ALTER TABLE pgbench_history REPLICA IDENTITY FULL")
        wallaby = Wallaby().start()
        duck = os.path.join(wallaby.folder, "copy.duckdb")
        try:
            flow_id = wallaby.create({
                "name": "pgbench", "source": source_endpoint(source, slot="pgbench", publication="pgbench"),
                "destinations": [{"name": "duck", "type": "duckdb", "options": {"dsn": duck}},
                                 {"name": "pg", "type": "postgres", "options": {"dsn": target}}]})
            bench = subprocess.run([f"{bindir}/pgbench", "-n", "-c", "4", "-T", seconds, source], check=True,
                                   capture_output=True, text=True)
            wallaby.await_delivery(flow_id, source, "pgbench", timeout=300)
            wallaby.stop_flow(flow_id)
            print([line for line in bench.stdout.splitlines() if "processed" in line], flush=True)
            for table, column in (("accounts", "abalance"), ("branches", "bbalance"), ("tellers", "tbalance"),
                                  ("history", "delta")):
                query = f"SELECT count(*), sum({column}) FROM pgbench_{table}"
                expected = sql(source, query)
                self.assertEqual(expected, sql(target, query), table)
                self.assertEqual(expected, text_rows(duckdb_rows(duck, query)), table)
            total = sql(target, "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history)")
            self.assertEqual(total, [["t"]])
        finally:
            wallaby.close()
            postgres.stop()


if __name__ == "__main__":
    unittest.main()

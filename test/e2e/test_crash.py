"""kill -9 of workers and of the server at random moments under load, then a comparison row by row.

WALLABY_KILLS sets how many (default 8; `./dev crash` runs 100). The seed is printed; WALLABY_SEED repeats its choices, though not the
timing.
"""

import os
import random
import signal
import time
import unittest

from e2e.harness import Postgres, Wallaby, duckdb_rows, source_endpoint, sql
from e2e.load import SEED, SETUP, Load, compare, text_rows

KILLS = int(os.environ.get("WALLABY_KILLS", "8"))
SLOT = "crash"


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
            compare(self, source, target, duck, lake)
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

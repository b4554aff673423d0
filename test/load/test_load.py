"""Many flows and many clients at once: no error, no leak, bounded threads and connections, every row delivered.

The size is that of WALLABY_LOAD="FLOWS RUNNING CLIENTS SECONDS"; `./dev load` runs the full one and prints its figures.
"""

import json
import os
import subprocess
import threading
import unittest

from e2e.harness import Postgres, Wallaby, duckdb_rows, source_endpoint, sql, wait_until

FLOWS, RUNNING, CLIENTS, SECONDS = map(int, os.environ.get("WALLABY_LOAD", "40 6 40 15").split())
CLIENT_PROGRAM = os.environ["WALLABY_LOAD_CLIENTS"]
# What a worker may have open at the source: the stream, its look-ups, the pulse, and what a reconnect leaves for a moment.
CONNECTIONS_PER_FLOW = 5
# And at a PostgreSQL store; the server has a few of its own.
CONNECTIONS_TO_STORE = 2


def status_of(pid, field):
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field + ":"))


class Sampler(threading.Thread):
    """Memory (KiB) and threads of the server and the memory of its workers, each second, and the source's sessions."""

    def __init__(self, wallaby, source):
        super().__init__(daemon=True)
        self.wallaby, self.source = wallaby, source
        self.ended = threading.Event()
        self.samples = []

    def run(self):
        while not self.ended.wait(1):
            server = self.wallaby.process.pid
            workers = {}
            for pid in self.wallaby.worker_pids():
                try:
                    workers[pid] = status_of(pid, "VmRSS")
                except (OSError, StopIteration):
                    pass  # it has just ended
            sessions, store = map(int, sql(self.source, "SELECT count(*) FILTER (WHERE datname = 'source'), count(*) FILTER ("
                                           "WHERE datname = 'store') FROM pg_stat_activity WHERE application_name LIKE 'wallaby%'")[0])
            self.samples.append({"rss": status_of(server, "VmRSS"), "threads": status_of(server, "Threads"),
                                 "workers": workers, "sessions": sessions, "store": store,
                                 "files": len(os.listdir(f"/proc/{server}/fd"))})

    def stop(self):
        self.ended.set()
        self.join()
        return self.samples


def growth(values):
    """From the mean of the second quarter to that of the last, in KiB."""
    quarter = len(values) // 4
    middle, last = values[quarter:2 * quarter], values[-quarter:]
    return sum(last) / len(last) - sum(middle) / len(middle)


class LoadTest(unittest.TestCase):
    def setUp(self):
        slots = RUNNING + 10
        self.postgres = Postgres(15, [f"max_replication_slots={slots}", f"max_wal_senders={slots}",
                                      f"max_connections={RUNNING * CONNECTIONS_PER_FLOW + 40}"])
        self.addCleanup(self.postgres.stop)
        self.store = self.postgres.database("store")
        self.source = self.postgres.database("source")
        sql(self.source, "CREATE TABLE t (id bigint PRIMARY KEY, v text); CREATE PUBLICATION load FOR TABLE t; "
                         "INSERT INTO t SELECT n, 'v' || n FROM generate_series(1, 1000) n")

    def flow(self, name, number):
        return {"id": name, "name": name,
                "source": source_endpoint(self.source, slot=name.replace("-", "_"), publication="load"),
                "destinations": [{"name": "lake", "type": "duckdb",
                                  "options": {"dsn": os.path.join(self.wallaby.folder, f"{number}.duckdb")}}]}

    def test_with_sqlite(self):
        self.run_load({})

    def test_with_postgres(self):
        self.run_load({"WALLABY_POSTGRES_DSN": self.store})

    def run_load(self, env):
        self.wallaby = Wallaby({"WALLABY_MEMORY_LIMIT": "64MiB", **env}).start()
        self.addCleanup(self.wallaby.close)
        for number in range(FLOWS):
            running = number < RUNNING
            self.wallaby.create(self.flow(f"running-{number}" if running else f"idle-{number}", number), start=running)
        wait_until(lambda: all(self.wallaby.get(f"running-{n}").get("activity") == "streaming" for n in range(RUNNING)),
                   300, "all flows' streams\n" + self.wallaby.log()[-2000:], interval=1)

        sampler = Sampler(self.wallaby, self.source)
        sampler.start()
        writing = threading.Event()
        writer = threading.Thread(target=self.write, args=(writing,))
        writer.start()
        out = subprocess.run([CLIENT_PROGRAM, f"127.0.0.1:{self.wallaby.port}", str(CLIENTS), str(SECONDS), str(RUNNING)],
                             check=True, capture_output=True, text=True, timeout=SECONDS + 120).stdout
        writing.set()
        writer.join()
        samples = sampler.stop()
        figures = json.loads(out)
        self.report(figures, samples)

        self.assertEqual({method: figure["errors"] for method, figure in figures.items() if figure["errors"]}, {})
        self.assertEqual(len(figures), 10, figures.keys())
        # A leak of 1 KiB a call would show; what the allocator keeps would not.
        calls = sum(figure["calls"] for figure in figures.values())
        self.assertLess(growth([s["rss"] for s in samples]), 8192 + calls // 4)
        self.assertLess(max(s["threads"] for s in samples), CLIENTS + 64)
        self.assertLess(max(s["files"] for s in samples), 2 * CLIENTS + 128)
        self.assertLessEqual(max(s["sessions"] for s in samples), RUNNING * CONNECTIONS_PER_FLOW + 4)
        self.assertLessEqual(max(s["store"] for s in samples), RUNNING * CONNECTIONS_TO_STORE + 8)
        self.assertLess(max(rss for s in samples for rss in s["workers"].values()), 300 * 1024)
        self.compare()

    def write(self, ended):
        number = 1000
        while not ended.wait(0.05):
            sql(self.source, f"INSERT INTO t SELECT n, 'v' || n FROM generate_series({number + 1}, {number + 20}) n; "
                             f"UPDATE t SET v = v || 'x' WHERE id % 97 = {number % 97}; DELETE FROM t WHERE id = {number - 500}")
            number += 20

    def compare(self):
        expected = sql(self.source, "SELECT count(*), sum(id), sum(length(v)) FROM t")[0]
        for number in range(RUNNING):
            name = f"running-{number}"
            self.wallaby.await_delivery(name, self.source, name.replace("-", "_"), timeout=300)
        for number in range(RUNNING):
            self.wallaby.stop_flow(f"running-{number}")
            rows = duckdb_rows(os.path.join(self.wallaby.folder, f"{number}.duckdb"),
                               "SELECT count(*), sum(id), sum(length(v)) FROM t")[0]
            self.assertEqual([str(v) for v in rows], expected, f"running-{number}")

    def report(self, figures, samples):
        calls = sum(figure["calls"] for figure in figures.values())
        print(f"{FLOWS} flows, {RUNNING} running, {CLIENTS} clients, {SECONDS} s: {calls} calls; server "
              f"{samples[0]['rss'] // 1024} MiB at the start, {samples[-1]['rss'] // 1024} at the end, grown by "
              f"{growth([s['rss'] for s in samples]) / 1024:.1f} from the second to the last quarter; at most "
              f"{max(s['threads'] for s in samples)} threads, {max(s['files'] for s in samples)} files, "
              f"{max(s['sessions'] for s in samples)} sessions at the source, {max(s['store'] for s in samples)} at the store; workers at most "
              f"{max(rss for s in samples for rss in s['workers'].values()) // 1024} MiB")
        for method, figure in sorted(figures.items()):
            print(f"  {method:16} {figure['calls']:8} calls, p50 {figure['p50_ms']:8.2f} ms, p99 {figure['p99_ms']:8.2f} ms")

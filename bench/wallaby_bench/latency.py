"""How soon a committed row is visible in PostgreSQL, in milliseconds.

From the moment before COMMIT is sent to the source until a second session sees the row at the target. So the source's own
write to its disk is part of it, for all clients alike. A writer keeps to its times whatever the reader does; another thread
looks at the target as long as something is on its way.
"""

import statistics
import subprocess
import threading
import time

from wallaby_bench import data
from wallaby_bench.clients import Subscription
from wallaby_bench.libpq import Connection
from wallaby_bench.live import await_streaming
from wallaby_bench.measure import percentile
from wallaby_bench.source import MASTER, Backlog

RATE = 50  # rows a second
LOAD_RATE = 1000  # transactions a second of pgbench
TICKS = "CREATE TABLE ticks (id bigint PRIMARY KEY, note text);\n"


def run(scenario, session, repeat, tell, load=False):
    backlog = Backlog(session, ticks_dataset())
    seconds = max(2, 10 * min(1, scenario.scale))
    found = {client.name: [] for client in scenario.clients}
    backlog.make_master()
    for turn in range(repeat):
        for client in scenario.clients:
            tell(f"  {scenario.name}: {client.name}, run {turn + 1} of {repeat}")
            found[client.name].append(one_run(session, backlog, client(), seconds, load))
    backlog.close()
    return {"kind": "latency", "clients": {name: summary(runs) for name, runs in found.items()}}


def run_loaded(scenario, session, repeat, tell):
    return run(scenario, session, repeat, tell, load=True)


def ticks_dataset():
    """The table of the rows that are timed, and pgbench's for the load beside it."""
    tpcb = data.tpcb(0, scale=1)
    return data.Dataset("ticks", ["ticks", *tpcb.tables], TICKS + tpcb.schema, "", [], None, seed=tpcb.seed)


def summary(runs):
    """Medians of the runs' percentiles; each run is a list of milliseconds."""
    return {"p50": statistics.median(percentile(r, 50) for r in runs), "p99": statistics.median(percentile(r, 99) for r in runs),
            "max": max(max(r) for r in runs), "rows": sum(len(r) for r in runs)}


def one_run(session, backlog, client, seconds, load):
    name = session.next_name()
    backlog.copy_slot(name)
    client.prepare(backlog, name)
    process = client.start(drain=False)
    await_streaming(session, name)
    first = int(backlog.connection.value("SELECT coalesce(max(id), 0) + 1 FROM ticks"))
    beside = start_load(backlog.dsn, seconds + 2) if load else None
    try:
        with Connection(backlog.dsn) as source, Connection(client.target_dsn) as target:
            await_row(source, target, first)  # also everything that waited from runs before
            took = Ticker(source, target, first + 1, int(seconds * RATE)).run()
    finally:
        if beside:
            beside.wait()
    if isinstance(client, Subscription):
        client.stop()
    else:
        process.child.terminate()
        process.wait()
    client.clean()
    # The next run begins after this one's changes.
    backlog.connection.rows(f"SELECT pg_replication_slot_advance('{MASTER}', pg_current_wal_lsn())")
    return took


def start_load(dsn, seconds):
    return subprocess.Popen(["pgbench", "-n", "-c", "4", "-s", "1", "-R", str(LOAD_RATE), "-T", str(int(seconds)), dsn],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def await_row(source, target, row, timeout=60):
    source.rows(f"INSERT INTO ticks VALUES ({row})")
    deadline = time.monotonic() + timeout
    while int(target.value("SELECT coalesce(max(id), 0) FROM ticks")) < row:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the first row did not arrive within {timeout} s")
        time.sleep(0.01)


class Ticker:
    """Writes `count` rows at RATE and notes for each how long it took to be seen."""

    def __init__(self, source, target, first, count):
        self.source, self.target = source, target
        self.first, self.count = first, count
        self.sent = {}  # row -> when COMMIT was sent
        self.changed = threading.Condition()
        self.failure = None

    def run(self):
        writer = threading.Thread(target=self.write, daemon=True)
        writer.start()
        took = self.watch()
        writer.join()
        return took

    def write(self):
        began = time.monotonic()
        try:
            for k in range(self.count):
                time.sleep(max(0, began + k / RATE - time.monotonic()))
                row = self.first + k
                self.source.rows(f"BEGIN; INSERT INTO ticks VALUES ({row}, 'a note')")
                with self.changed:
                    self.sent[row] = time.monotonic()
                    self.changed.notify()
                self.source.rows("COMMIT")
        except RuntimeError as error:
            self.failure = error

    def watch(self, timeout=60):
        took, row, last = [], self.first, self.first + self.count - 1
        while row <= last:
            with self.changed:
                if not self.changed.wait_for(lambda: row in self.sent, timeout):
                    raise RuntimeError(f"nothing was written for {timeout} s: {self.failure}")
            seen = int(self.target.value("SELECT max(id) FROM ticks"))
            now = time.monotonic()
            while row <= seen:
                took.append((now - self.sent[row]) * 1000)
                row += 1
            if row in self.sent and now - self.sent[row] > timeout:
                raise RuntimeError(f"row {row} did not arrive within {timeout} s")
            time.sleep(0.0002)
        return took


def run_start(scenario, session, repeat, tell):
    """One row waits in the slot; from the start of the worker's process until it is seen."""
    backlog = Backlog(session, ticks_dataset())
    found = {client.name: [] for client in scenario.clients}
    backlog.make_master()
    backlog.connection.rows("INSERT INTO ticks VALUES (1, 'waits')")
    for turn in range(repeat):
        for client in scenario.clients:
            tell(f"  {scenario.name}: {client.name}, run {turn + 1} of {repeat}")
            found[client.name].append(first_row(session, backlog, client()))
    backlog.close()
    return {"kind": "start", "clients": {name: summary([values]) for name, values in found.items()}}


def first_row(session, backlog, client):
    name = session.next_name()
    backlog.copy_slot(name)
    client.prepare(backlog, name)
    with Connection(client.target_dsn) as target:
        process = client.start(drain=True)
        while target.value("SELECT 1 FROM ticks") is None:
            if time.monotonic() - process.started > 60:
                raise RuntimeError("the row did not arrive within 60 s")
            time.sleep(0.0005)
        took = (time.monotonic() - process.started) * 1000
    process.wait()
    client.clean()
    return took

"""The servers of a session: PostgreSQL as source, a second one as target, and a `wallaby` that keeps the flows.

Also what they cost: CPU seconds of a server with all its processes, those that have ended included.
"""

import functools
import os
import time
import urllib.request

from e2e.bucket import Bucket
from e2e.harness import Postgres, Wallaby, free_port
from wallaby_bench.libpq import Connection

SETTINGS = [
    "shared_buffers=256MB",
    "wal_level=logical",
    "max_wal_size=16GB",
    "checkpoint_timeout=1h",
    "max_replication_slots=20",
    "fsync=on",
    "full_page_writes=on",
    "synchronous_commit=on",
    # Work of its own in the middle of a run would be counted as the reader's.
    "autovacuum=off",
    "max_logical_replication_workers=20",
    # Else a subscription waits up to 5 s before it begins, when another one began shortly before.
    "wal_retrieve_retry_interval=10ms",
]
_TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """A PostgreSQL server; `control` is a connection to it that stays open."""

    def __init__(self, major):
        self.postgres = Postgres(major, SETTINGS)
        self.dsn = self.postgres.dsn
        with open(os.path.join(self.postgres.directory, "data/postmaster.pid"), encoding="utf-8") as f:
            self.postmaster = int(f.readline())
        self.control = Connection(self.dsn)
        self.version = self.control.value("SHOW server_version")

    def database_dsn(self, name):
        return self.dsn.rsplit("/", 1)[0] + "/" + name

    def create_database(self, name, template=None):
        self.control.rows(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        return self.database_dsn(name)

    def drop_database(self, name):
        self.control.rows(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def drop_slot(self, name):
        """Drops a slot when its reader has gone; waits for that."""
        self.await_inactive(name)
        self.control.rows(f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{name}'")

    def await_inactive(self, slot, timeout=30):
        deadline = time.monotonic() + timeout
        while self.control.value(f"SELECT active FROM pg_replication_slots WHERE slot_name = '{slot}'") == "t":
            if time.monotonic() > deadline:
                raise RuntimeError(f"slot {slot} is still in use after {timeout} s")
            time.sleep(0.005)

    def cpu_seconds(self):
        """CPU time of all processes of the server since its start."""
        own = _stat(self.postmaster)
        ticks = sum(own[11:15])  # utime, stime and the same of children that have ended
        for pid in _children(self.postmaster):
            try:
                ticks += sum(_stat(pid)[11:13])
            except OSError:
                pass  # ended just now
        return ticks / _TICKS


def _stat(pid):
    """The numbers of /proc/PID/stat behind the program's name; [11] is utime."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        fields = f.read().rpartition(")")[2].split()
    return [fields[0], *map(int, fields[1:])]


def _children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(child) for child in f.read().split()]


class Session:
    """All servers of a run of the benchmark, and a folder for files."""

    def __init__(self, major):
        self.source = Server(major)
        self.target = Server(major)
        self.metrics_port = free_port()
        self.wallaby = Wallaby(env={"WALLABY_METRICS_LISTEN": f"127.0.0.1:{self.metrics_port}"}).start()
        self.folder = self.wallaby.folder
        self.count = 0

    @functools.cached_property
    def bucket(self):
        """An S3 server, for those who need one."""
        return Bucket()

    def next_name(self):
        """A name for a slot, database or flow that nothing else has."""
        self.count += 1
        return f"run_{self.count}"

    def records_processed(self, flow):
        """How many changes the flow's worker says it handed to its destinations."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as answer:
            page = answer.read().decode()
        for line in page.splitlines():
            if line.startswith("wallaby_records_processed_total") and f'flow_id="{flow}"' in line:
                return int(float(line.rsplit(" ", 1)[1]))
        return 0

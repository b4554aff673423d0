"""What the end-to-end tests share: throwaway servers, the three programs, and ways to compare source and destination.

Everything is real: PostgreSQL of the wanted major, the release binaries, DuckDB files, Parquet files. WALLABY_SOURCE_DIR and
WALLABY_BIN_DIR are set by ctest; by hand, after ./dev build, in test/: WALLABY_BIN_DIR=$PWD/../build/bin ../.deps/venv/bin/python -m unittest
e2e.test_delivery
"""

import atexit
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

SOURCE_DIR = os.environ.get("WALLABY_SOURCE_DIR") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
BIN_DIR = os.environ.get("WALLABY_BIN_DIR") or os.path.join(SOURCE_DIR, "build/bin")
# How much slower than release programs those of this run may be (sanitizers).
TIME_SCALE = int(os.environ.get("WALLABY_TIME_SCALE") or 1)
FIELD, RECORD = "\x1f", "\x1e"


def wait_until(condition, timeout=60, what="the condition", interval=0.05):
    """The first true value of condition(); fails with the last value after `timeout` seconds of release programs. `what` may be
    a function."""
    timeout *= TIME_SCALE
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            text = what() if callable(what) else what
            raise AssertionError(f"{text} did not come within {timeout} s; last seen: {value!r}")
        time.sleep(interval)


class Postgres:
    """A throwaway PostgreSQL server. Stops at exit."""

    def __init__(self, major=15, settings=()):
        command = [os.path.join(SOURCE_DIR, "test/servers/postgres"), "start", str(major)]
        for setting in settings:
            command += ["-c", setting]
        line = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().splitlines()[-1]
        self.dsn, self.directory = line.split("\t")
        self.major = major
        atexit.register(self.stop)

    def stop(self):
        if self.directory:
            subprocess.run([os.path.join(SOURCE_DIR, "test/servers/postgres"), "stop", self.directory], check=False,
                           capture_output=True)
            self.directory = None

    def standby(self, settings=()):
        """A standby of this server, which is stopped for a moment."""
        command = [os.path.join(SOURCE_DIR, "test/servers/postgres"), "standby", self.directory]
        for setting in settings:
            command += ["-c", setting]
        standby = Postgres.__new__(Postgres)
        line = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().splitlines()[-1]
        standby.dsn, standby.directory = line.split("\t")
        standby.major = self.major
        atexit.register(standby.stop)
        return standby

    def promote(self):
        subprocess.run([os.path.join(SOURCE_DIR, "test/servers/postgres"), "promote", self.directory], check=True,
                       capture_output=True)

    def kill(self):
        """kill -9 of the postmaster and all its children, at once; restart() brings it back through crash recovery."""
        with open(os.path.join(self.directory, "data/postmaster.pid"), encoding="utf-8") as f:
            postmaster = int(f.readline())
        os.kill(postmaster, signal.SIGSTOP)  # it starts nobody any more
        pids = [postmaster, *children_of(postmaster)]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: all(is_gone(pid) for pid in pids), 30, "the end of the server's processes")
        # Nobody may have waited for them: a pid that still exists would look to the next server like a running one.
        for path in [os.path.join(self.directory, "data/postmaster.pid"), *glob.glob(os.path.join(self.directory, ".s.PGSQL.*"))]:
            os.remove(path)

    def restart(self, mode="fast"):
        subprocess.run([os.path.join(SOURCE_DIR, "test/servers/postgres"), "restart", self.directory, mode], check=True,
                       capture_output=True)

    def database(self, name):
        """Makes a database and gives its DSN."""
        self.sql(f'CREATE DATABASE "{name}"')
        head, _, query = self.dsn.partition("?")
        return head.rsplit("/", 1)[0] + "/" + name + ("?" + query if query else "")

    def sql(self, text, dsn=None):
        return sql(dsn or self.dsn, text)


def process_fields(pid):
    """State and parent of a process; None when there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            state, parent = f.read().rpartition(")")[2].split()[:2]
            return state, int(parent)
    except (OSError, ValueError):
        return None


def is_gone(pid):
    fields = process_fields(pid)
    return fields is None or fields[0] in "ZX"


def children_of(parent):
    pids = [int(path.split("/")[2]) for path in glob.glob("/proc/[0-9]*/stat")]
    return [pid for pid in pids if (fields := process_fields(pid)) and fields[1] == parent and fields[0] not in "ZX"]


class PostgresTest(unittest.TestCase):
    """A test class whose cases share one server."""

    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres(15)

    @classmethod
    def tearDownClass(cls):
        cls.postgres.stop()


def sql(dsn, text):
    """Runs SQL by psql and gives the last statement's rows as lists of text (None for null)."""
    result = subprocess.run(
        ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-P", "null=\x1d", "-F", FIELD, "-R", RECORD, "-d", dsn, "-f", "-"],
        input=text, capture_output=True, text=True)
    if result.returncode != 0:
        raise AssertionError(f"SQL failed: {result.stderr.strip()}\n{text[:300]}")
    out = result.stdout.rstrip("\n")
    if not out:
        return []
    return [[None if v == "\x1d" else v for v in line.split(FIELD)] for line in out.split(RECORD)]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Wallaby:
    """A `wallaby` server with its own data folder, and the CLI against it. Stops server and workers at close()."""

    def __init__(self, env=None, folder=None):
        self.folder = folder or tempfile.mkdtemp(prefix="wallaby-e2e-")
        self.port = free_port()
        self.env = {**os.environ, "WALLABY_DATA_DIR": os.path.join(self.folder, "data"),
                    "WALLABY_GRPC_LISTEN": f"127.0.0.1:{self.port}", "WALLABY_ENDPOINT": f"127.0.0.1:{self.port}", **(env or {})}
        self.log_path = os.path.join(self.folder, "log")
        self.process = None
        self.flows = []
        atexit.register(self.close)

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([os.path.join(BIN_DIR, "wallaby")], env=self.env, stderr=log, stdout=log)
        wait_until(self._answers, 30, "the server's answer")
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}: {self.log()[-2000:]}")
        return self.admin("flow", "list", check=False).returncode == 0

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        for flow_id in self.flows:
            if self.process is not None and self.process.poll() is None:
                self.admin("flow", "stop", "-flow-id", flow_id, check=False)
        for pid in self.worker_pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def admin(self, *args, check=True):
        result = subprocess.run([os.path.join(BIN_DIR, "wallaby-admin"), *args], env=self.env, capture_output=True,
                                text=True, timeout=120 * TIME_SCALE)
        if check and result.returncode != 0:
            raise AssertionError(f"wallaby-admin {' '.join(args)}: exit {result.returncode}: {result.stderr}\n"
                                 f"{self.log()[-3000:]}")
        return result

    def worker(self, flow_id, *args, check=True, timeout=120):
        result = subprocess.run([os.path.join(BIN_DIR, "wallaby-worker"), "-flow-id", flow_id, *args], env=self.env,
                                capture_output=True, text=True, timeout=timeout * TIME_SCALE)
        if check and result.returncode != 0:
            raise AssertionError(f"worker: exit {result.returncode}: {result.stderr[-3000:]}")
        return result

    def worker_pids(self, flow_id=None):
        """Processes of this server's workers: found by their environment's data folder."""
        pids = []
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                with open(path, "rb") as f:
                    argv = f.read().split(b"\0")
                if not argv[0].endswith(b"wallaby-worker"):
                    continue
                if flow_id is not None and flow_id.encode() not in argv:
                    continue
                pid = int(path.split("/")[2])
                with open(f"/proc/{pid}/environ", "rb") as f:
                    if f"WALLABY_DATA_DIR={self.env['WALLABY_DATA_DIR']}".encode() in f.read().split(b"\0"):
                        pids.append(pid)
            except (OSError, ValueError):
                continue
        return pids

    def create(self, flow, start=True):
        """Creates a flow from a dictionary, and gives its id."""
        path = os.path.join(self.folder, "flow.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(flow, f)
        out = self.admin("flow", "create", "-file", path, *(["-start"] if start else []), "-json").stdout
        flow_id = json.loads(out)["id"]
        self.flows.append(flow_id)
        return flow_id

    def get(self, flow_id):
        return json.loads(self.admin("flow", "get", "-flow-id", flow_id, "-json").stdout)

    def stop_flow(self, flow_id):
        """Stops a flow and waits until its worker is gone, so that a DuckDB file can be read."""
        self.admin("flow", "stop", "-flow-id", flow_id)
        self.admin("flow", "wait", "-flow-id", flow_id, "-state", "stopped", "-timeout", "60s")
        wait_until(lambda: not self.worker_pids(flow_id), 30, "the worker's end")

    def await_delivery(self, flow_id, source_dsn, slot, timeout=120):
        """Waits until the slot has confirmed everything that is committed now; with a spool, until the flow has."""
        target = sql(source_dsn, "SELECT pg_current_wal_lsn()")[0][0]
        spools = "WALLABY_SPOOL_DIR" in self.env

        def confirmed():
            rows = sql(source_dsn, "SELECT confirmed_flush_lsn, confirmed_flush_lsn >= "
                                   f"'{target}'::pg_lsn FROM pg_replication_slots WHERE slot_name = '{slot}'")
            flow = self.get(flow_id)
            # A slot that was just made has confirmed its own position before the first row is copied.
            if spools:
                rows = sql(source_dsn, f"SELECT 1, '{flow.get('checkpoint', {}).get('lsn', '0/0')}' >= '{target}'::pg_lsn")
            if rows and rows[0][1] == "t":
                return all(table.get("state") == "done" for table in flow.get("tables", []))
            if flow.get("state") in ("failed", "FLOW_STATE_FAILED"):
                raise AssertionError(f"flow failed: {flow.get('reason')}\n{self.log()[-3000:]}")
            return False

        wait_until(confirmed, timeout, lambda: f"delivery up to {target}\n{self.log()[-3000:]}", interval=0.2)


def source_endpoint(dsn, slot="wallaby_test", publication="wallaby_test", **options):
    return {"name": "source", "type": "postgres",
            "options": {"dsn": dsn, "slot": slot, "publication": publication, "status_interval": "1s", **options}}


def duckdb_rows(path, query):
    """Rows of a query on a DuckDB file that no worker holds."""
    import duckdb
    with duckdb.connect(path, read_only=True) as connection:
        connection.execute("SET search_path = 'public'")
        return connection.execute(query).fetchall()

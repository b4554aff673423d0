"""The stage of a fault: real servers, one flow from a source under load to its destinations, and the end: equal rows."""

import os
import signal
import time
import unittest

from e2e.harness import BIN_DIR, Postgres, Wallaby, source_endpoint, sql, wait_until
from e2e.load import SETUP, Load, compare


class FaultTest(unittest.TestCase):
    """A case with a source of the class, and whatever it starts itself; all of it ends with the case."""

    MAJOR = 15

    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres(cls.MAJOR)

    @classmethod
    def tearDownClass(cls):
        cls.postgres.stop()

    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1][5:50]
        self.servers, self.load, self.wallaby = [], None, None

    def tearDown(self):
        if self.load is not None:
            self.load.stopping.set()
        if self.wallaby is not None:
            self.wallaby.close()
        for server in self.servers:
            server.stop()
        sql(self.postgres.dsn, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active")

    def server(self, major=15, settings=()):
        server = Postgres(major, settings=settings)
        self.servers.append(server)
        return server

    def begin(self, source=None, target=None, duck=True, env=None, **options):
        """Source with rows, the server, and a running flow that has copied them. `target` None: a database beside the source."""
        self.source = source or self.postgres.database("s_" + self.name)
        self.target = target or self.postgres.database("t_" + self.name)
        self.slot = self.name
        sql(self.source, SETUP + "INSERT INTO ledger (account, amount) SELECT n, n FROM generate_series(1, 100) n")
        self.wallaby = Wallaby(env=env).start()
        self.duck = os.path.join(self.wallaby.folder, "copy.duckdb") if duck else None
        self.flow_id = self.wallaby.create(self.flow(**options))
        self.wallaby.await_delivery(self.flow_id, self.source, self.slot)

    def flow(self, source=None, target=None, **options):
        destinations = [{"name": "pg", "type": "postgres", "options": {"dsn": target or self.target}}]
        if self.duck:
            destinations.append({"name": "duck", "type": "duckdb", "options": {"dsn": self.duck}})
        endpoint = source_endpoint(source or self.source, slot=self.slot, publication=self.slot, **options)
        return {"name": self.slot, "source": endpoint, "destinations": destinations}

    def end(self, timeout=180):
        """No more load; everything arrives by itself, and the rows are equal."""
        if self.load is not None:
            self.load.stop()
        self.wallaby.await_delivery(self.flow_id, self.source, self.slot, timeout=timeout)
        self.wallaby.stop_flow(self.flow_id)
        compare(self, self.source, self.target, self.duck)

    def begin_load(self, connections=1, survives=False, pause=0.05):
        self.load = Load(self.source, connections, survives, pause)

    def rows_go_on(self, what, timeout=90):
        """One more row at the source arrives at the destination, whatever else is on its way."""
        mark = f"mark {time.monotonic_ns()}"
        sql(self.source, f"INSERT INTO accounts VALUES ({time.monotonic_ns()}, 0, '{mark}', '')")
        wait_until(lambda: sql(self.target, f"SELECT 1 FROM accounts WHERE note = '{mark}'"), timeout,
                   lambda: f"delivery after {what}\n{self.wallaby.log()[-3000:]}")

    def says(self, *expected, timeout=60):
        """Waits until `flow get` says all of this in its reason, error or activity."""
        def seen():
            flow = self.wallaby.get(self.flow_id)
            text = " ".join(str(flow.get(key) or "") for key in ("reason", "error", "activity"))
            return all(part in text for part in expected) and flow
        return wait_until(seen, timeout, lambda: f"{expected} in flow get: {self.wallaby.get(self.flow_id)}\n{self.wallaby.log()[-3000:]}")

    def fails(self, *expected, timeout=60):
        """Waits until the flow has failed; its reason has all of this."""
        flow = wait_until(lambda: (f := self.wallaby.get(self.flow_id)) and "FAILED" in f["state"] and f, timeout,
                          lambda: f"state failed {expected}\n{self.wallaby.log()[-3000:]}")
        for text in expected:
            self.assertIn(text, flow["reason"])
        if "WALLABY_SPOOL_DIR" not in self.wallaby.env:  # else the next one only spools
            wait_until(lambda: not self.wallaby.worker_pids(self.flow_id), 30, "the worker's end")
        return flow

    def heals_by_backfill(self, *expected, timeout=60):
        """The flow has failed with these words; the remedy that it names makes the rows equal."""
        reason = self.fails(self.slot, "-mode backfill", *expected, timeout=timeout)["reason"]
        print(reason, flush=True)
        self.wallaby.worker(self.flow_id, "-mode", "backfill")
        self.wallaby.admin("flow", "start", "-flow-id", self.flow_id)
        self.rows_go_on("the copy")
        self.end()

    def kill_all(self):
        """kill -9 of the server and its workers."""
        pids = self.wallaby.worker_pids()
        if self.wallaby.process.poll() is None:
            self.wallaby.kill()
        for pid in {*pids, *self.wallaby.worker_pids()}:
            kill(pid)

    def worker_wrapper(self, text):
        """A program that the server starts as its worker: shell text, then the worker. For Wallaby(env=...)."""
        path = os.path.join(self.folder(), "worker")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f'#!/bin/sh\n{text}\nexec {BIN_DIR}/wallaby-worker "$@"\n')
        os.chmod(path, 0o755)
        return path

    def folder(self):
        """A folder of this case that outlives its server's."""
        if not hasattr(self, "_folder"):
            import tempfile
            holder = tempfile.TemporaryDirectory(prefix="wallaby-faults-")
            self.addCleanup(holder.cleanup)
            self._folder = holder.name
        return self._folder


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass

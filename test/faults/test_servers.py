"""kill -9 of PostgreSQL with all its processes: the source, the destination, the control store; and of everything at once."""

import os
import unittest

from e2e.harness import sql, wait_until
from faults.stage import FaultTest

# Each kill comes at another moment of the load.
KILLS = int(os.environ.get("WALLABY_FAULT_ROUNDS", "1"))


class KilledServersTest(FaultTest):
    def begin_on(self, env=None, store=False):
        self.origin, self.sink = self.server(), self.server()
        if store:
            self.control = self.server()
            env = {**(env or {}), "WALLABY_POSTGRES_DSN": self.control.database("store")}
        self.begin(self.origin.database("source"), self.sink.database("target"), env=env)
        self.begin_load(survives=True, pause=0.2)

    def kill_and_restart(self, server):
        for number in range(KILLS):
            self.rows_go_on("the load")
            server.kill()
            server.restart()
            wait_until(lambda: server.sql("SELECT 1"), 60, "crash recovery")
            self.rows_go_on(f"kill -9 of PostgreSQL, number {number + 1}")
        self.assertIn("RUNNING", self.wallaby.get(self.flow_id)["state"])
        self.end()

    def test_source(self):
        self.begin_on()
        self.kill_and_restart(self.origin)

    def test_destination(self):
        self.begin_on()
        self.kill_and_restart(self.sink)

    def test_store(self):
        """Delivery goes on while the store is away; then it is back, and worker and server are as before."""
        self.begin_on(store=True)
        for _ in range(KILLS):
            self.rows_go_on("the load")
            workers = self.wallaby.worker_pids(self.flow_id)
            self.control.kill()
            self.rows_go_on("the end of the store, while it is away")
            self.assertEqual(self.wallaby.admin("flow", "get", "-flow-id", self.flow_id, check=False).returncode, 1)
            self.control.restart()
            wait_until(lambda: self.wallaby.admin("flow", "get", "-flow-id", self.flow_id, check=False).returncode == 0, 60,
                       "the store's answer")
            self.assertIn("RUNNING", self.wallaby.get(self.flow_id)["state"])
            self.assertEqual(self.wallaby.worker_pids(self.flow_id), workers, "the worker has lived on")
        self.end()

    def test_everything_at_once(self):
        """As when the machine goes down, but for what the kernel had not written: all are killed, all come back."""
        self.begin_on(store=True)
        for _ in range(KILLS):
            self.rows_go_on("the load")
            for server in (self.origin, self.sink, self.control):
                server.kill()
            self.kill_all()
            for server in (self.origin, self.sink, self.control):
                server.restart()
            self.wallaby.start()
            self.rows_go_on("the end of everything")
        self.end()


if __name__ == "__main__":
    unittest.main()

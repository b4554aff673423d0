"""Every failpoint, as a crash and as an error, in the real programs; each must have fired, and the rows are equal at the end.

WALLABY_FAULT_ROUNDS (default 1; `./dev faults` runs more) repeats all of it, with other counts and with errors that need a person.
"""

import os
import random
import re
import signal
import subprocess
import time
import unittest

from e2e.harness import BIN_DIR, Wallaby, sql, wait_until
from e2e.load import SEED, SETUP, compare
from faults.stage import FaultTest, kill

ROUNDS = int(os.environ.get("WALLABY_FAULT_ROUNDS", "1"))
STREAM = ["destination.open", "destination.write", "destination.commit.before", "destination.commit.after",
          "checkpoint.put.before", "checkpoint.put.after", "source.feedback", "lease.acquire", "lease.renew",
          "store.commit.before", "store.commit.after", "catchup.open", "catchup.handover"]
SPAWN = ["worker.spawn.before", "worker.spawn.after"]
COPY = ["slot.create.before", "slot.create.after", "snapshot.part.read", "snapshot.part.done", "snapshot.done"]
DDL = ["ddl.record", "ddl.apply", "ddl.receipt", "ddl.settle"]
GATE = ["ddl.pause"]
SPOOL = ["spool.write", "spool.sync", "spool.segment", "spool.remove"]  # test_spool.py goes through them
# Reached once in a life.
ONCE = {"destination.open", "lease.acquire", "catchup.open", "catchup.handover", "spool.segment", "spool.remove", *SPAWN, *COPY, *DDL, *GATE}


def actions(name, rng, round_number):
    """Settings to go through for this failpoint."""
    chosen = ["crash", "error:unavailable"]
    if round_number > 0:
        chosen += ["error:internal", f"delay:{rng.randrange(20, 300)}ms"]
    for action in chosen:
        yield f"{name}={action}@{1 if name in ONCE else rng.randrange(1, 4)}"


class ArmedTest(FaultTest):
    """Cases that arm the next worker that starts."""

    def setUp(self):
        super().setUp()
        print(f"WALLABY_SEED={SEED}", flush=True)
        self.rng = random.Random(SEED)
        # The next worker that starts is armed by this file, the one after it is not.
        self.armed = os.path.join(self.folder(), "armed")
        self.env = {"WALLABY_WORKER_BIN": self.worker_wrapper(
            f'unset WALLABY_FAILPOINTS\nif mv "{self.armed}" "{self.armed}.$$" 2>/dev/null; then\n'
            f'  WALLABY_FAILPOINTS=$(cat "{self.armed}.$$")\n  export WALLABY_FAILPOINTS\nfi')}

    def arm_worker(self, setting):
        with open(self.armed + ".new", "w", encoding="utf-8") as f:
            f.write(setting)
        os.replace(self.armed + ".new", self.armed)

    def has_fired(self, setting, since):
        name, action = setting.split("@")[0].split("=")
        return f"{name}: {action}, reached" in self.wallaby.log()[since:]

    def fired(self, setting, since, timeout=60):
        """Waits for the log line of this failpoint behind `since`."""
        wait_until(lambda: self.has_fired(setting, since), timeout,
                   lambda: f"failpoint {setting}\n{self.wallaby.log()[-3000:]}")

    def restart(self):
        self.kill_all()
        self.wallaby.start()
        # An error that needs a person has failed the flow.
        if "FAILED" in self.wallaby.get(self.flow_id)["state"]:
            self.wallaby.admin("flow", "start", "-flow-id", self.flow_id)


class FailpointsTest(ArmedTest):
    def test_a_wrong_setting_is_refused_with_the_list(self):
        names = {*STREAM, *SPAWN, *COPY, *DDL, *GATE, *SPOOL}
        for program in ("wallaby", "wallaby-worker"):
            for setting in ("checkpoint.putt=crash", "checkpoint.put.after=explode"):
                result = subprocess.run([f"{BIN_DIR}/{program}", *(["-flow-id", "x"] if "worker" in program else [])],
                                        env=dict(os.environ, WALLABY_FAILPOINTS=setting, WALLABY_DATA_DIR=self.folder()),
                                        capture_output=True, text=True, timeout=60)
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertIn("WALLABY_FAILPOINTS", result.stderr)
        result = subprocess.run([f"{BIN_DIR}/wallaby"], env=dict(os.environ, WALLABY_FAILPOINTS="x=crash"), capture_output=True,
                                text=True, timeout=60)
        listed = set(re.search(r"there are: ([a-z., ]+)", result.stderr).group(1).split(", "))
        self.assertEqual(listed, names, "the cases of this file go through every failpoint")

    def test_stream(self):
        self.begin(env=self.env, catch_up="256KiB")
        self.begin_load(pause=0.4)
        for round_number in range(ROUNDS):
            for name in STREAM:
                for setting in actions(name, self.rng, round_number):
                    self.arm_worker(setting)
                    since = len(self.wallaby.log())
                    self.kill_all()
                    if name.startswith("catchup"):  # needs a backlog
                        sql(self.source, "INSERT INTO ledger (account, amount) SELECT 1, n FROM generate_series(1, 20000) n")
                    self.restart()
                    self.fired(setting, since)
        self.rows_go_on("all failpoints of the stream", timeout=180)
        self.end()

    def test_spawn(self):
        """In the server: it dies around the start of a worker, or the start fails."""
        self.begin(duck=False)
        self.begin_load(pause=0.4)
        for round_number in range(ROUNDS):
            for name in SPAWN:
                for setting in actions(name, self.rng, round_number):
                    since = len(self.wallaby.log())
                    self.kill_all()
                    self.wallaby.env["WALLABY_FAILPOINTS"] = setting
                    with open(self.wallaby.log_path, "ab") as log:
                        self.wallaby.process = subprocess.Popen([f"{BIN_DIR}/wallaby"], env=self.wallaby.env, stderr=log, stdout=log)
                    self.fired(setting, since)
                    if "crash" in setting:
                        self.assertEqual(self.wallaby.process.wait(30), -signal.SIGKILL)
                        del self.wallaby.env["WALLABY_FAILPOINTS"]
                        self.wallaby.start()
                    self.wallaby.env.pop("WALLABY_FAILPOINTS", None)
                    self.rows_go_on(setting)
                    self.assertEqual(len(self.wallaby.worker_pids(self.flow_id)), 1)
        self.restart()
        self.end()

    def test_copy(self):
        """A new flow each time: the slot is made and the tables are copied in several parts."""
        self.source, self.duck = self.postgres.database("s_copy"), None
        sql(self.source, SETUP + "INSERT INTO ledger (account, amount) SELECT n % 500, n FROM generate_series(1, 20000) n")
        self.wallaby = Wallaby(env=self.env).start()
        self.target = None
        for round_number in range(ROUNDS):
            for name in COPY:
                for setting in actions(name, self.rng, round_number):
                    number = len(self.wallaby.flows)
                    self.slot, self.target = f"copy_{number}", self.postgres.database(f"t_copy_{number}")
                    self.flow_id = self.wallaby.create(self.flow(), start=False)
                    self.arm_worker(setting)
                    since = len(self.wallaby.log())
                    self.wallaby.admin("flow", "start", "-flow-id", self.flow_id)
                    self.fired(setting, since)
                    if "internal" in setting:
                        self.fails("failpoint")
                        self.wallaby.admin("flow", "start", "-flow-id", self.flow_id)
                    sql(self.source, "UPDATE accounts SET balance = balance + 1; INSERT INTO ledger (account, amount) VALUES (1, 1)")
                    self.end()

    def test_ddl(self):
        """Without the gate, the worker applies each change by itself at two destinations."""
        self.begin(env=self.env, capture_ddl="true")
        columns = 0
        for round_number in range(ROUNDS):
            for name in DDL:
                for setting in actions(name, self.rng, round_number):
                    self.arm_worker(setting)
                    since = len(self.wallaby.log())
                    self.restart()
                    columns += 1
                    sql(self.source, f"UPDATE accounts SET balance = balance + 1 WHERE id < 50; ALTER TABLE accounts ADD COLUMN c{columns} bigint; "
                                     f"UPDATE accounts SET c{columns} = id WHERE id % 7 = 0; INSERT INTO ledger (account, amount) VALUES (1, 1)")
                    self.fired(setting, since)
                    if "internal" in setting:
                        self.restart_failed()
                    self.rows_go_on(setting)
        self.end()
        added = ", ".join(f"c{n}" for n in range(1, columns + 1))
        query = f"SELECT id, {added} FROM accounts ORDER BY id"
        self.assertEqual(sql(self.source, query), sql(self.target, query))

    def restart_failed(self):
        self.fails("failpoint")
        self.wallaby.admin("flow", "start", "-flow-id", self.flow_id)

    def test_gate(self):
        """With the gate: the worker dies before the pause, the server around an apply."""
        self.begin(env=dict(self.env, WALLABY_DDL_GATE="true"), capture_ddl="true")
        for number, setting in enumerate([*actions("ddl.pause", self.rng, 0), "ddl.receipt=crash@1", "ddl.settle=crash@1"]):
            in_server = not setting.startswith("ddl.pause")
            since = len(self.wallaby.log())
            if in_server:
                self.wallaby.env["WALLABY_FAILPOINTS"] = setting
            else:
                self.arm_worker(setting)
            self.restart()
            sql(self.source, f"ALTER TABLE accounts ADD COLUMN g{number} bigint; UPDATE accounts SET g{number} = id WHERE id % 7 = 0")
            if not in_server:
                self.fired(setting, since)
            wait_until(lambda: "PAUSED" in self.wallaby.get(self.flow_id)["state"], 60, "the pause")
            self.wallaby.env.pop("WALLABY_FAILPOINTS", None)
            event = max(int(e) for e in re.findall(r'"id": ?"?(\d+)', self.wallaby.admin("ddl", "list", "-status", "pending", "-json").stdout))
            self.wallaby.admin("ddl", "approve", "-id", str(event))
            applied = self.wallaby.admin("ddl", "apply", "-id", str(event), check=False)
            if in_server:
                self.assertEqual(applied.returncode, 1)
                self.fired(setting, since)
                self.wallaby.process.wait(30)
                self.wallaby.start()
                self.wallaby.admin("ddl", "apply", "-id", str(event))
            else:
                self.assertEqual(applied.returncode, 0, applied.stderr)
            self.wallaby.admin("flow", "resume", "-flow-id", self.flow_id)
            self.rows_go_on(setting)
        sql(self.source, "INSERT INTO ledger (account, amount) VALUES (1, 1)")
        self.end()
        query = "SELECT id, g0, g1, g2, g3 FROM accounts ORDER BY id"
        self.assertEqual(sql(self.source, query), sql(self.target, query))

    def test_a_worker_that_stood_still_is_fenced(self):
        """SIGSTOP before a write until the lease has run out and another worker has gone on: the first can change nothing more."""
        self.begin(env=self.env, duck=False)
        self.arm_worker("destination.write=pause@1")
        since = len(self.wallaby.log())
        self.restart()
        for balance in range(5):
            sql(self.source, f"UPDATE accounts SET balance = {balance}, note = 'first'")
        self.fired("destination.write=pause@1", since)
        stopped = self.wallaby.worker_pids(self.flow_id)
        self.assertEqual(len(stopped), 1)
        # The source's walsender serves the one that stands still; nobody but an operator can know that it is one.
        sql(self.source, f"SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '{self.slot}' AND active")

        def probe():
            result = self.wallaby.worker(self.flow_id, "-max-empty-reads=1", check=False)
            return result.returncode == 0 or (self.assertTrue("lease" in result.stderr or "in use" in result.stderr, result.stderr), None)[1]

        wait_until(probe, 60, "a second worker", interval=1)
        sql(self.source, "UPDATE accounts SET note = 'second'")
        self.wallaby.worker(self.flow_id, "-max-empty-reads=1")
        kill(stopped[0], signal.SIGCONT)
        wait_until(lambda: stopped[0] not in self.wallaby.worker_pids(), 60, "the end of the first worker")
        self.assertIn("fenced", self.wallaby.log()[since:])
        sql(self.source, "INSERT INTO ledger (account, amount) VALUES (1, 1)")
        self.restart()
        self.end()


if __name__ == "__main__":
    unittest.main()

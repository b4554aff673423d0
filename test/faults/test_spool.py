"""Faults under a flow with a spool: every failpoint of it, dead processes with a gate in between, a full disk, damaged and missing files."""

import glob
import json
import os
import random
import shutil
import subprocess
import unittest

from e2e.harness import sql, wait_until
from e2e.load import SEED
from faults.stage import FaultTest
from faults.test_failpoints import ROUNDS, SPOOL, ArmedTest, actions
from faults.test_resources import small_disk


class Spooled:
    """What a flow with a spool has beside the others."""

    def begin_spooled(self, spool=None, env=None, **options):
        self.spool = spool or os.path.join(self.folder(), "spool")
        self.begin(env={"WALLABY_SPOOL_DIR": self.spool, **(env or {})}, **options)

    def slot_passes(self, timeout=120):
        """Waits until the source may forget what it has now."""
        end = sql(self.source, "SELECT pg_current_wal_lsn()")[0][0]
        passed = f"SELECT confirmed_flush_lsn >= '{end}' FROM pg_replication_slots WHERE slot_name = '{self.slot}'"
        wait_until(lambda: sql(self.source, passed) == [["t"]], timeout,
                   lambda: f"the slot's move to {end}\n{self.wallaby.log()[-3000:]}")

    def state(self, state, timeout=60):
        wait_until(lambda: state in self.wallaby.get(self.flow_id)["state"], timeout,
                   lambda: f"state {state}: {self.wallaby.get(self.flow_id)}\n{self.wallaby.log()[-3000:]}")

    def pause(self):
        self.wallaby.admin("flow", "pause", "-flow-id", self.flow_id)
        self.state("PAUSED")

    def resume(self):
        self.wallaby.admin("flow", "resume", "-flow-id", self.flow_id)

    def write_rows(self, count=2000):
        sql(self.source, f"INSERT INTO ledger (account, amount) SELECT 3, n FROM generate_series(1, {count}) n;"
                         "UPDATE accounts SET balance = balance + 3")


class SpoolFailpointsTest(Spooled, ArmedTest):
    def test_failpoints(self):
        """In the same rounds as the others: the process dies there, or the step fails."""
        # Small segments: there are new ones, and delivered ones to remove, all the time.
        self.begin_spooled(env={**self.env, "WALLABY_SPOOL_LIMIT": "16MiB"})
        self.begin_load(pause=0.4)
        for round_number in range(ROUNDS):
            for name in SPOOL:
                for setting in actions(name, self.rng, round_number):
                    self.arm_worker(setting)
                    since = len(self.wallaby.log())
                    self.kill_all()
                    self.restart()

                    def reached():
                        # More than a segment, and time for it to be delivered.
                        sql(self.source, "INSERT INTO ledger (account, amount) SELECT 1, n FROM generate_series(1, 8000) n")
                        return self.has_fired(setting, since)

                    wait_until(reached, 90, lambda: f"failpoint {setting}\n{self.wallaby.log()[-3000:]}", interval=1)
        self.rows_go_on("all failpoints of the spool", timeout=180)
        self.end()


class KilledTest(Spooled, FaultTest):
    def approve_all(self):
        listed = self.wallaby.admin("ddl", "list", "-status", "pending", "-flow-id", self.flow_id, "-json").stdout
        for event in json.loads(listed)["events"]:
            self.wallaby.admin("ddl", "approve", "-id", str(event["id"]))
            self.wallaby.admin("ddl", "apply", "-id", str(event["id"]))

    def test_everything_with_a_gate_in_between(self):
        """Worker, server and source are killed under load, before a gate, while it waits and after it."""
        self.origin = self.server()
        self.begin_spooled(source=self.origin.database("source"), env={"WALLABY_DDL_GATE": "true"})
        self.begin_load(survives=True, pause=0.2)
        chance = random.Random(SEED)
        for number in range(ROUNDS):
            self.rows_go_on("the load")
            self.kill_some(chance)
            sql(self.source, f"ALTER TABLE ledger ADD COLUMN extra{number} text DEFAULT 'x'")
            self.state("PAUSED", timeout=120)
            for _ in range(2):
                self.write_rows()
                self.kill_some(chance)
            self.slot_passes()
            self.approve_all()
            self.resume()
            self.kill_some(chance)
            self.rows_go_on("the gate", timeout=180)
        self.end()

    def kill_some(self, chance):
        """kill -9 of one to all three; what is dead comes back."""
        chosen = chance.sample(["worker", "server", "source"], chance.randrange(1, 4))
        print(f"kill -9: {', '.join(chosen)}", flush=True)
        if "source" in chosen:
            self.origin.kill()
        if "worker" in chosen:
            for pid in self.wallaby.worker_pids(self.flow_id):
                try:
                    os.kill(pid, 9)
                except ProcessLookupError:
                    pass
        if "server" in chosen:
            self.wallaby.kill()
            self.wallaby.start()
        if "source" in chosen:
            self.origin.restart()
            wait_until(lambda: self.origin.sql("SELECT 1"), 60, "crash recovery")


class FilesTest(Spooled, FaultTest):
    def test_full_disk(self):
        """The spool's disk has no room: the slot holds, and says why; with more room all goes on, while the flow is paused and after."""
        disk = small_disk(self, "12m")
        self.begin_spooled(spool=os.path.join(disk, "spool"), duck=False)
        self.pause()
        for _ in range(12):
            self.write_rows(20000)
        self.says("No space left on device", "make room on the disk of " + self.spool, timeout=120)
        self.assertIn("PAUSED", self.wallaby.get(self.flow_id)["state"])
        subprocess.run(["mount", "-o", "remount,size=512m", disk], check=True)
        self.slot_passes()
        self.resume()
        self.rows_go_on("room again")
        self.end()

    def waiting(self):
        """A flow that is at rest, and its spool has what it has not delivered."""
        self.begin_spooled(duck=False)
        self.rows_go_on("the start")
        self.pause()
        self.write_rows()
        self.slot_passes()
        self.wallaby.stop_flow(self.flow_id)

    def start(self):
        self.wallaby.admin("flow", "start", "-flow-id", self.flow_id)

    def test_folder_gone(self):
        self.waiting()
        shutil.rmtree(self.spool)
        self.start()
        self.heals_by_backfill("there is no spool " + self.spool)

    def test_damaged_segment(self):
        """Refused by the file's name and the place, in `flow get`; nothing behind it is delivered."""
        self.waiting()
        segment = max(glob.glob(self.spool + "/*/*.segment"))
        with open(segment, "r+b") as f:
            f.seek(0, os.SEEK_END)
            place = f.tell() // 2
            f.seek(place)
            byte = f.read(1)
            f.seek(place)
            f.write(bytes([byte[0] ^ 0x55]))
        before = sql(self.target, "SELECT count(*) FROM ledger WHERE account = 3")
        self.start()
        reason = self.fails("segment " + segment + " is damaged", "the block at byte")["reason"]
        print(reason, flush=True)
        self.assertEqual(sql(self.target, "SELECT count(*) FROM ledger WHERE account = 3"), before)
        # As it was, it is taken.
        with open(segment, "r+b") as f:
            f.seek(place)
            f.write(byte)
        self.start()
        self.rows_go_on("the repair")
        self.end()


if __name__ == "__main__":
    unittest.main()

"""A source whose slot has gone back: by a crash, with the same history behind it; or restored from an image of its disk, with another."""

import json
import os
import shutil
import subprocess
import unittest

from e2e.harness import sql, wait_until
from e2e.load import SETUP
from faults.stage import FaultTest

SAME = "the source's history is the one that was read"
OTHER = "the source's history is not the one"


class HistoryTest(FaultTest):
    def begin_on(self, spool=False, **options):
        self.origin = self.server()
        env = {"WALLABY_SPOOL_DIR": os.path.join(self.folder(), "spool")} if spool else None
        self.begin(self.origin.database("source"), duck=False, env=env, **options)
        self.rows_go_on("the start")

    def confirmed(self):
        return sql(self.source, f"SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '{self.slot}'")[0][0]

    def is_past(self, lsn):
        return sql(self.source, f"SELECT pg_current_wal_lsn() > '{lsn}'") == [["t"]]

    def checkpoint(self):
        return self.wallaby.get(self.flow_id)["checkpoint"]["lsn"]

    def stop_and_crash(self):
        """The flow ends cleanly, then the source dies before it has written down what it was told."""
        self.wallaby.stop_flow(self.flow_id)
        told = self.confirmed()
        self.origin.kill()
        return told

    def crash_that_forgets(self):
        # The source writes the slot down when it is told that its note of running transactions is read. That of the
        # checkpoint is behind here; one that it makes by itself may come in between.
        for _ in range(5):
            mark = sql(self.source, "CHECKPOINT; SELECT pg_current_wal_lsn()")[-1][0]
            self.rows_go_on("a checkpoint of the source")
            wait_until(lambda: sql(self.source, f"SELECT '{self.confirmed()}'::pg_lsn > '{mark}'") == [["t"]], 60, "the slot to move")
            sql(self.source, "UPDATE accounts SET balance = balance + 1; INSERT INTO ledger (account, amount) VALUES (1, 2)")
            self.rows_go_on("rows behind it")
            told = self.stop_and_crash()
            self.origin.restart()
            wait_until(lambda: self.origin.sql("SELECT 1"), 60, "crash recovery")
            if sql(self.source, f"SELECT '{self.confirmed()}'::pg_lsn < '{told}'") == [["t"]]:
                break
            self.wallaby.admin("flow", "start", "-flow-id", self.flow_id)
        else:
            self.fail("the slot has never gone back")
        sql(self.source, "UPDATE accounts SET balance = balance + 1 WHERE id % 2 = 0")
        since = len(self.wallaby.log())
        self.wallaby.admin("flow", "start", "-flow-id", self.flow_id)
        wait_until(lambda: SAME in self.wallaby.log()[since:], 60, lambda: f"the proof\n{self.wallaby.log()[-3000:]}")
        self.rows_go_on("the crash")
        self.end()

    def test_a_crash_that_forgets(self):
        self.begin_on()
        self.crash_that_forgets()

    def test_a_crash_that_forgets_under_a_spool(self):
        self.begin_on(spool=True)
        self.crash_that_forgets()

    def take_image(self):
        """A copy of the source's disk, as the machine would leave it without power."""
        sql(self.source, "CHECKPOINT")
        self.image = os.path.join(self.origin.directory, "image")
        self.origin.kill()
        subprocess.run(["cp", "-a", os.path.join(self.origin.directory, "data"), self.image], check=True)
        self.origin.restart()
        wait_until(lambda: self.origin.sql("SELECT 1"), 60, "crash recovery")

    def put_image_back(self):
        """The source goes on from the image, and writes other rows until it is past all that it ever had."""
        reached = sql(self.source, "SELECT pg_current_wal_lsn()")[0][0]
        self.origin.kill()
        shutil.rmtree(os.path.join(self.origin.directory, "data"))
        os.rename(self.image, os.path.join(self.origin.directory, "data"))
        self.origin.restart()
        wait_until(lambda: self.origin.sql("SELECT 1"), 60, "crash recovery")
        self.assertFalse(self.is_past(reached))

        def write():
            sql(self.source, "INSERT INTO ledger (account, amount) SELECT 7, n FROM generate_series(1, 2000) n;"
                             "UPDATE accounts SET balance = balance - 1 WHERE id % 3 = 0")
            return self.is_past(reached)

        wait_until(write, 60, "a source that is past what it had")

    def write_rows(self):
        sql(self.source, "INSERT INTO ledger (account, amount) SELECT 5, n FROM generate_series(1, 3000) n;"
                         "UPDATE accounts SET balance = balance + 5")

    def test_a_restored_image(self):
        """All that the flow remembers is a position, which the restored source reaches again: refused, and healed as it says."""
        self.begin_on()
        self.take_image()
        self.write_rows()
        self.rows_go_on("the image")
        self.wallaby.stop_flow(self.flow_id)
        self.put_image_back()
        self.wallaby.admin("flow", "start", "-flow-id", self.flow_id)
        self.fails(OTHER, self.slot, "(xid ", "restored")
        self.wallaby.admin("flow", "start", "-flow-id", self.flow_id)
        self.heals_by_backfill(OTHER)

    def test_a_restored_image_while_it_runs(self):
        self.begin_on()
        self.take_image()
        self.write_rows()
        self.rows_go_on("the image")
        worker = self.wallaby.worker_pids(self.flow_id)
        self.assertTrue(worker)
        self.put_image_back()  # the worker may look in between, while the source is shorter than what was delivered
        self.fails()
        self.wallaby.admin("flow", "start", "-flow-id", self.flow_id)
        self.heals_by_backfill(OTHER)

    def test_a_restored_image_with_nothing_in_it_that_was_read(self):
        """Nothing of the flow's was written after the image; only its position had moved on."""
        self.begin_on()
        self.take_image()
        sql(self.source, "CREATE TABLE unpublished AS SELECT n, repeat('x', 500) AS x FROM generate_series(1, 3000) n")
        self.wallaby.await_delivery(self.flow_id, self.source, self.slot)
        self.wallaby.stop_flow(self.flow_id)
        self.put_image_back()
        self.wallaby.admin("flow", "start", "-flow-id", self.flow_id)
        self.heals_by_backfill(OTHER)

    def test_another_server(self):
        """The DSN leads to a server that has the slot and has written more, and is another one all the same."""
        self.begin_on()
        self.wallaby.stop_flow(self.flow_id)
        reached = sql(self.source, "SELECT pg_current_wal_lsn()")[0][0]
        other = self.server()
        source = other.database("source")
        sql(source, SETUP + f"SELECT pg_create_logical_replication_slot('{self.slot}', 'pgoutput')")
        wait_until(lambda: sql(source, "UPDATE accounts SET balance = balance + 1; DO $$ BEGIN PERFORM pg_switch_wal(); END $$; "
                                       f"SELECT pg_current_wal_lsn() > '{reached}'") == [["t"]], 60, "WAL")
        path = os.path.join(self.folder(), "flow.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(self.flow(source=source), f)
        self.wallaby.admin("flow", "update", "-flow-id", self.flow_id, "-file", path)
        self.wallaby.admin("flow", "start", "-flow-id", self.flow_id)
        self.fails("another server than before", "system identifier", "-mode backfill")

    def test_a_flow_of_the_same_id_over_another_server(self):
        """The flow is gone and made anew over a server that has written less. What it delivered is still there, under positions
        that the new server has yet to give out: refused, before anything is left out."""
        self.begin_on()
        self.wallaby.stop_flow(self.flow_id)
        self.wallaby.admin("slot", "drop", "-flow-id", self.flow_id)
        self.wallaby.admin("flow", "delete", "-flow-id", self.flow_id)
        old, self.source = self.source, self.server().database("source")
        sql(self.source, SETUP + "INSERT INTO ledger (account, amount) VALUES (1, 1)")
        self.assertEqual(sql(old, f"SELECT pg_current_wal_lsn() > '{sql(self.source, 'SELECT pg_current_wal_lsn()')[0][0]}'"), [["t"]])
        self.flow_id = self.wallaby.create({"id": self.flow_id, **self.flow()})
        reason = self.fails("a flow of this id has delivered", "another server", "flow delete -flow-id " + self.flow_id)["reason"]
        print(reason, flush=True)
        self.assertEqual(sql(self.source, "SELECT count(*) FROM pg_replication_slots"), [["0"]])
        # The remedy, as it is written.
        self.wallaby.admin("flow", "delete", "-flow-id", self.flow_id)
        self.flow_id = self.wallaby.create({"id": "another", **self.flow(), "name": "another"})
        self.rows_go_on("the copy")
        self.end()

    def begin_spooled(self):
        """A paused flow: the spool has what the destination has not."""
        self.wallaby.admin("flow", "pause", "-flow-id", self.flow_id)
        wait_until(lambda: "PAUSED" in self.wallaby.get(self.flow_id)["state"], 30, "the pause")
        self.write_rows()
        end = sql(self.source, "SELECT pg_current_wal_lsn()")[0][0]
        wait_until(lambda: sql(self.source, f"SELECT '{self.confirmed()}'::pg_lsn >= '{end}'") == [["t"]], 60,
                   lambda: f"the spool\n{self.wallaby.log()[-3000:]}")

    def test_a_restored_image_under_a_spool(self):
        self.begin_on(spool=True)
        self.take_image()
        self.rows_go_on("the image")
        self.begin_spooled()
        self.wallaby.stop_flow(self.flow_id)
        self.put_image_back()
        self.wallaby.admin("flow", "start", "-flow-id", self.flow_id)
        reason = self.fails(OTHER, "spool", "slot drop -flow-id " + self.flow_id, "-mode backfill")["reason"]
        print(reason, flush=True)
        # The remedy, as it is written.
        self.wallaby.admin("slot", "drop", "-flow-id", self.flow_id)
        self.wallaby.worker(self.flow_id, "-mode", "backfill")
        self.wallaby.admin("flow", "start", "-flow-id", self.flow_id)
        self.rows_go_on("the copy")
        self.end()

    def test_a_restored_image_before_the_first_spool(self):
        """A flow that ran without a spool is given one after the source was restored."""
        self.begin_on()
        self.take_image()
        self.write_rows()
        self.rows_go_on("the image")
        self.wallaby.stop_flow(self.flow_id)
        self.put_image_back()
        self.wallaby.kill()
        self.wallaby.env["WALLABY_SPOOL_DIR"] = os.path.join(self.folder(), "spool")
        self.wallaby.start()
        self.wallaby.admin("flow", "start", "-flow-id", self.flow_id)
        self.heals_by_backfill(OTHER)


if __name__ == "__main__":
    unittest.main()

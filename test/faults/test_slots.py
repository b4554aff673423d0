"""The slot and what happens to it: dropped, taken, invalidated; and a source that fails over to a standby."""

import os
import signal
import subprocess
import unittest

from e2e.harness import sql, wait_until
from faults.stage import FaultTest


class SlotTest(FaultTest):
    def end_walsender(self, then):
        """Ends what reads the slot, and does something with the slot before the worker is back."""
        sql(self.source, f"""DO $$ BEGIN
            PERFORM pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots WHERE slot_name = '{self.slot}' AND active;
            {then}; END $$""")

    def test_dropped_while_it_streams(self):
        self.begin(duck=False)
        self.begin_load()
        self.rows_go_on("the start")
        self.end_walsender(f"PERFORM pg_drop_replication_slot('{self.slot}')")
        self.heals_by_backfill("gone")

    def test_taken_while_it_streams(self):
        """Somebody else reads the slot, though takes nothing from it: the worker says who, waits, and goes on after him."""
        self.begin(duck=False)
        self.begin_load()
        self.rows_go_on("the start")
        self.wallaby.admin("flow", "stop", "-flow-id", self.flow_id)
        wait_until(lambda: not self.wallaby.worker_pids(self.flow_id), 30, "the worker's end")
        thief = subprocess.Popen(["/usr/lib/postgresql/15/bin/pg_recvlogical", "-d", self.source, "-S", self.slot, "--start", "-f", "/dev/null",
                                  "-F", "0", "-s", "0", "-o", "proto_version=1", "-o", f"publication_names={self.slot}"],
                                 stderr=subprocess.DEVNULL)
        try:
            pid = wait_until(lambda: sql(self.source, f"SELECT active_pid FROM pg_replication_slots WHERE slot_name = '{self.slot}' AND active"),
                             20, "an active slot")[0][0]
            self.wallaby.admin("flow", "start", "-flow-id", self.flow_id)
            self.says(f"pid {pid}", "pg_terminate_backend")
            self.assertIn("RUNNING", self.wallaby.get(self.flow_id)["state"])
        finally:
            thief.kill()
            thief.wait()
        self.rows_go_on("the thief")
        self.end()

    def test_invalidated_while_it_streams(self):
        """max_slot_wal_keep_size: the worker stands still, the source goes on writing, and the slot is lost under it."""
        own = self.server(settings=["max_slot_wal_keep_size=16MB", "min_wal_size=32MB", "max_wal_size=32MB"])
        self.begin(own.database("source"), own.database("target"), duck=False)
        self.rows_go_on("the start")
        worker = self.wallaby.worker_pids(self.flow_id)[0]
        os.kill(worker, signal.SIGSTOP)
        try:
            lost = f"SELECT wal_status FROM pg_replication_slots WHERE slot_name = '{self.slot}'"

            def fill():
                sql(self.source, "CREATE TEMP TABLE filler AS SELECT 1; INSERT INTO ledger (account, amount) SELECT -n, n FROM generate_series(1, 30000) n;"
                                 "DELETE FROM ledger WHERE account < 0; SELECT pg_switch_wal(); CHECKPOINT")
                return sql(self.source, lost) == [["lost"]]

            wait_until(fill, 120, "a lost slot")
        finally:
            os.kill(worker, signal.SIGCONT)
        self.heals_by_backfill("max_slot_wal_keep_size")


class IdleSlotTest(FaultTest):
    MAJOR = 18

    def test_invalidated_by_its_idleness(self):
        """idle_replication_slot_timeout (PostgreSQL 18): a flow that was stopped for too long."""
        own = self.server(18, settings=["idle_replication_slot_timeout=1s"])
        self.begin(own.database("source"), own.database("target"), duck=False)
        self.rows_go_on("the start")
        self.wallaby.stop_flow(self.flow_id)
        reason = f"SELECT invalidation_reason FROM pg_replication_slots WHERE slot_name = '{self.slot}'"
        wait_until(lambda: sql(self.source, "CHECKPOINT; " + reason) == [["idle_timeout"]], 60, "an invalidated slot", interval=0.5)
        sql(self.source, "UPDATE accounts SET balance = 5")
        self.wallaby.admin("flow", "start", "-flow-id", self.flow_id)
        self.heals_by_backfill("idle_timeout")


class FailoverTest(FaultTest):
    MAJOR = 17
    STANDBY = ["sync_replication_slots=on", "hot_standby_feedback=on", "wal_receiver_status_interval=1s"]

    def pair(self, failover, **options):
        """A primary, a standby that keeps up, and a flow whose DSN names both."""
        self.primary = self.server(17)
        self.standby = self.primary.standby(self.STANDBY)
        self.servers.append(self.standby)
        self.primary.sql("ALTER SYSTEM SET synchronized_standby_slots = 'standby'; SELECT pg_reload_conf()")
        source = self.primary.database("source")
        target = self.postgres.database("t_" + self.name)
        ports = [server.dsn.rsplit(":", 1)[1].split("/")[0] for server in (self.primary, self.standby)]
        self.both = f"postgres://postgres@127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}/source?target_session_attrs=read-write"
        plain = self.flow
        self.flow = lambda **o: plain(source=self.both, **o)
        self.begin(source, target, failover=str(failover).lower(), **options)

    def promote(self):
        """The primary dies, the standby takes over; from now on it is the source."""
        self.primary.kill()
        self.standby.promote()
        head, _, tail = self.standby.dsn.rpartition("/")
        self.source = f"{head}/source"
        wait_until(lambda: sql(self.source, "SELECT pg_is_in_recovery()") == [["f"]], 60, "the promotion")

    def test_a_synchronised_slot(self):
        """Under load the primary dies and the standby is promoted: the flow goes on there by itself, nothing is lost or doubled."""
        self.pair(failover=True)
        self.begin_load(survives=True)
        self.rows_go_on("the start")
        synced = f"SELECT 1 FROM pg_replication_slots WHERE slot_name = '{self.slot}' AND synced AND NOT temporary"
        wait_until(lambda: sql(self.standby.dsn, synced), 120, "the slot on the standby")
        self.rows_go_on("the standby has the slot")
        self.load.stopping.set()
        for thread in self.load.threads:
            thread.join()
        sql(self.source, "UPDATE accounts SET balance = balance + 1 WHERE id % 3 = 0")  # perhaps not yet delivered
        flushed = sql(self.source, "SELECT pg_current_wal_lsn()")[0][0]
        wait_until(lambda: sql(self.standby.dsn, f"SELECT pg_last_wal_replay_lsn() >= '{flushed}'") == [["t"]], 60, "the standby")
        self.promote()
        self.begin_load()
        self.rows_go_on("the failover", timeout=120)
        self.assertIn("RUNNING", self.wallaby.get(self.flow_id)["state"])
        self.end()

    def test_a_slot_that_was_not_synchronised(self):
        self.pair(failover=False)
        self.rows_go_on("the start")
        self.promote()
        self.heals_by_backfill("gone", timeout=120)

    def test_a_standby_that_lacked_what_was_delivered(self):
        """Without synchronized_standby_slots: the destination has rows that the new primary never had. Refused, never skipped over."""
        self.pair(failover=True)
        self.primary.sql("ALTER SYSTEM RESET synchronized_standby_slots; SELECT pg_reload_conf()")
        self.rows_go_on("the start")
        synced = f"SELECT 1 FROM pg_replication_slots WHERE slot_name = '{self.slot}' AND synced AND NOT temporary"
        wait_until(lambda: sql(self.standby.dsn, synced), 120, "the slot on the standby")
        # The standby hears nothing any more.
        sql(self.standby.dsn, "ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=1'; SELECT pg_reload_conf()")
        wait_until(lambda: self.primary.sql("SELECT 1 FROM pg_stat_replication WHERE application_name = 'walreceiver'") == [], 60, "the cut")
        sql(self.source, "INSERT INTO ledger (account, amount) SELECT n, n FROM generate_series(1, 1000) n")
        self.rows_go_on("the cut")
        self.promote()
        reason = self.fails("delivered", "under another id", timeout=120)["reason"]
        print(reason, flush=True)
        # Later the new primary has written more than the old one: the history still tells.
        sql(self.source, "INSERT INTO ledger (account, amount) SELECT n, n FROM generate_series(1, 50000) n")
        self.wallaby.admin("flow", "start", "-flow-id", self.flow_id)
        self.fails("delivered", "under another id")
        # The remedy, as it is written.
        self.wallaby.admin("slot", "drop", "-flow-id", self.flow_id)
        self.wallaby.admin("flow", "delete", "-flow-id", self.flow_id)
        self.wallaby.flows.remove(self.flow_id)
        self.flow_id = self.wallaby.create(self.flow(failover="true"))
        self.rows_go_on("the new flow", timeout=120)
        self.end()

    def test_a_standby_that_lacked_what_the_spool_has(self):
        """The flow is paused, its spool alone is ahead of the standby: whoever reads the new primary into it, refuses."""
        self.pair(failover=True, env={"WALLABY_SPOOL_DIR": os.path.join(self.folder(), "spool")}, duck=False)
        self.primary.sql("ALTER SYSTEM RESET synchronized_standby_slots; SELECT pg_reload_conf()")
        self.rows_go_on("the start")
        synced = f"SELECT 1 FROM pg_replication_slots WHERE slot_name = '{self.slot}' AND synced AND NOT temporary"
        wait_until(lambda: sql(self.standby.dsn, synced), 120, "the slot on the standby")
        self.wallaby.admin("flow", "pause", "-flow-id", self.flow_id)
        wait_until(lambda: "PAUSED" in self.wallaby.get(self.flow_id)["state"], 30, "the pause")
        paused_at = self.wallaby.get(self.flow_id)["checkpoint"]["lsn"]
        reached = f"SELECT pg_last_wal_replay_lsn() >= '{paused_at}'"
        wait_until(lambda: sql(self.standby.dsn, reached) == [["t"]], 60, "the standby has what was delivered")
        sql(self.standby.dsn, "ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=1'; SELECT pg_reload_conf()")
        wait_until(lambda: self.primary.sql("SELECT 1 FROM pg_stat_replication WHERE application_name = 'walreceiver'") == [], 60, "the cut")
        sql(self.source, "INSERT INTO ledger (account, amount) SELECT n, n FROM generate_series(1, 1000) n")
        end = sql(self.source, "SELECT pg_current_wal_lsn()")[0][0]
        passed = f"SELECT confirmed_flush_lsn >= '{end}' FROM pg_replication_slots WHERE slot_name = '{self.slot}'"
        wait_until(lambda: sql(self.source, passed) == [["t"]], 60, lambda: f"the spool\n{self.wallaby.log()[-3000:]}")
        for pid in self.wallaby.worker_pids(self.flow_id):
            os.kill(pid, signal.SIGSTOP)  # whatever comes, it looks when the new primary has written more than the old one
        self.promote()
        sql(self.source, "INSERT INTO ledger (account, amount) SELECT n, n FROM generate_series(1, 50000) n")
        self.assertEqual(sql(self.source, f"SELECT pg_current_wal_lsn() > '{end}'"), [["t"]])
        for pid in self.wallaby.worker_pids(self.flow_id):
            os.kill(pid, signal.SIGCONT)
        self.says("the source's history is not the one that the spool", timeout=120)
        self.wallaby.admin("flow", "resume", "-flow-id", self.flow_id, check=False)
        self.fails("the source's history", timeout=120)


if __name__ == "__main__":
    unittest.main()

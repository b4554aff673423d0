"""./dev bench --pause MINUTES: what a pause costs the source when the flow has a spool.

A flow under load is gated by a schema change, and then has its destination killed, for so many minutes each. All the while the WAL
that the slot keeps at the source is looked at. Then the flow goes on, and every row of source and destination is compared.
"""

import glob
import json
import os
import time
import unittest

from e2e.harness import Postgres, Wallaby, source_endpoint, sql, wait_until
from e2e.load import SETUP, Load, compare
from wallaby_bench import plot

INTERVAL = 2.0  # seconds between looks
RUN_UP = 20.0  # seconds of load before and after the pause
SETTINGS = ["checkpoint_timeout=30s", "max_wal_size=1GB"]
MIB = 1 << 20


class Stage:
    """Source, destination, a server with a spool and a gate, one flow, and what was seen of it."""

    def __init__(self, kind, major):
        self.kind = kind
        self.origin, self.sink = Postgres(major, SETTINGS), Postgres(major)
        self.source, self.target = self.origin.database("source"), self.sink.database("target")
        sql(self.source, SETUP)
        self.wallaby = Wallaby(env={"WALLABY_DDL_GATE": "true"})
        self.spool = self.wallaby.env["WALLABY_SPOOL_DIR"] = os.path.join(self.wallaby.folder, "spool")
        self.wallaby.start()
        self.flow = self.wallaby.create({
            "name": kind, "source": source_endpoint(self.source, slot=kind, publication=kind),
            "destinations": [{"name": "copy", "type": "postgres", "options": {"dsn": self.target}}]})
        self.wallaby.await_delivery(self.flow, self.source, kind)
        self.load = Load(self.source, connections=2, pause=0.02)
        self.began, self.first, self.seen = time.monotonic(), None, []

    def close(self):
        self.load.stopping.set()
        self.wallaby.close()
        for server in (self.origin, self.sink):
            server.stop()

    def look(self):
        """Seconds, and MiB: of WAL that was written, that the slot keeps, that lies on the source's disk; of the spool."""
        row = sql(self.source, "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0'), pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), "
                               f"(SELECT sum(size) FROM pg_ls_waldir()) FROM pg_replication_slots WHERE slot_name = '{self.kind}'")[0]
        written, kept, disk = (int(value) / MIB for value in row)
        self.first = written if self.first is None else self.first
        spool = sum(os.path.getsize(path) for path in glob.glob(self.spool + "/*/*.segment")) / MIB
        self.seen.append((time.monotonic() - self.began, written - self.first, kept, disk, spool))

    def watch(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.look()
            time.sleep(INTERVAL)
        return self.seen[-1][0]

    def stop(self):
        """Ends what the flow is waited for by."""
        if self.kind == "gate":
            sql(self.source, "ALTER TABLE ledger ADD COLUMN place text DEFAULT 'here'")
            wait_until(lambda: "PAUSED" in self.wallaby.get(self.flow)["state"], 120, "the gate")
        else:
            self.sink.kill()

    def go_on(self):
        if self.kind != "gate":
            return self.sink.restart()
        listed = json.loads(self.wallaby.admin("ddl", "list", "-status", "pending", "-flow-id", self.flow, "-json").stdout)
        for event in listed["events"]:
            self.wallaby.admin("ddl", "approve", "-id", str(event["id"]))
            self.wallaby.admin("ddl", "apply", "-id", str(event["id"]))
        self.wallaby.admin("flow", "resume", "-flow-id", self.flow)

    def run(self, minutes):
        self.watch(RUN_UP)
        self.stop()
        paused = self.watch(0.1)
        resumed = self.watch(minutes * 60)
        self.go_on()
        self.watch(RUN_UP)
        self.load.stop()
        began, end = time.monotonic(), sql(self.source, "SELECT pg_current_wal_lsn()")[0][0]
        while not self.has_delivered(end):
            self.look()
            time.sleep(INTERVAL)
        caught_up = time.monotonic() - began
        self.wallaby.stop_flow(self.flow)
        compare(unittest.TestCase(), self.source, self.target)
        rows = sum(int(sql(self.source, f"SELECT count(*) FROM {table}")[0][0]) for table in ("accounts", "ledger"))
        while_paused = [look for look in self.seen if paused <= look[0] <= resumed]
        return {"kind": self.kind, "seconds": resumed - paused, "paused": paused, "resumed": resumed, "seen": self.seen, "rows": rows,
                "transactions": self.load.steps, "caught_up": caught_up, "written": while_paused[-1][1] - while_paused[0][1],
                "kept": max(look[2] for look in while_paused), "kept_before": max(look[2] for look in self.seen if look[0] < paused),
                "spool": max(look[4] for look in self.seen)}

    def has_delivered(self, end):
        flow = self.wallaby.get(self.flow)
        if "FAILED" in flow["state"]:
            raise AssertionError(f"the flow failed: {flow['reason']}")
        return sql(self.source, f"SELECT '{flow['checkpoint']['lsn']}'::pg_lsn >= '{end}'") == [["t"]]


TITLES = {"gate": "a schema change waits for approval", "destination": "the destination is down"}


def run(minutes, major, folder, json_path, tell):
    """Both kinds of pause, one after the other; pause.svg goes to `folder`, all that was seen to `json_path` if there is one."""
    results = []
    for kind in TITLES:
        stage = Stage(kind, major)
        try:
            result = stage.run(minutes)
        finally:
            stage.close()
        results.append(result)
        print("{kind}: paused for {seconds:.0f} s, {written:.0f} MiB of WAL written meanwhile, at most {kept:.1f} MiB kept by the slot "
              "({kept_before:.1f} before), spool at most {spool:.0f} MiB; {transactions} transactions, {rows} rows equal, caught up "
              "{caught_up:.0f} s after the load's end".format(**result), flush=True)
    charts = [(f"{TITLES[r['kind']]}: WAL at the source, MiB", (r["paused"], r["resumed"]),
               [("written since the start", "other", [(s[0], s[1]) for s in r["seen"]]),
                ("kept by the slot", "ours", [(s[0], s[2]) for s in r["seen"]])]) for r in results]
    with open(os.path.join(folder, "pause.svg"), "w", encoding="utf-8") as f:
        f.write(plot.lines(charts))
    tell(f"wrote pause.svg to {folder}")
    if json_path:
        with open(json_path, "w", encoding="utf-8") as f:
            json.dump(results, f)

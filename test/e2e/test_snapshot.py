"""A snapshot that is cut off again and again goes on by part, while the source is being changed, and ends equal.

WALLABY_KILLS sets how many times the worker is killed in mid snapshot (default 4).
"""

import os
import random
import re
import signal
import subprocess
import threading
import time
import unittest

from e2e.harness import BIN_DIR, Postgres, Wallaby, duckdb_rows, source_endpoint, sql, wait_until

KILLS = int(os.environ.get("WALLABY_KILLS", "4"))
SEED = int(os.environ.get("WALLABY_SEED", str(random.randrange(1 << 30))))
ROWS, PARTS = 400_000, 60
SLOT = "snapshot"

# Every 2000th row has a large value that is stored out of line. `whole` sends old rows whole, so that such rows can move.
SETUP = f"""
  CREATE TABLE items (id bigint PRIMARY KEY, amount int NOT NULL, note text, big text);
  INSERT INTO items SELECT n, 0, md5(n::text), CASE WHEN n % 2000 = 0 THEN
    (SELECT string_agg(md5(n::text || i), '') FROM generate_series(1, 200) i) END FROM generate_series(1, {ROWS}) n;
  CREATE TABLE whole (LIKE items INCLUDING ALL);
  INSERT INTO whole SELECT * FROM items WHERE id % 10 = 0;
  ALTER TABLE whole REPLICA IDENTITY FULL;
  CREATE TABLE small (id int PRIMARY KEY, note text);
  INSERT INTO small SELECT n, 'a' FROM generate_series(1, 1000) n;
  ANALYZE;
"""


def step(rng, fresh):
    """One transaction that touches all ranges: updates, inserts at both ends and between, deletes, moves between ranges."""
    near, far = rng.randrange(1, ROWS), rng.randrange(1, ROWS)
    large = rng.randrange(1, ROWS // 2000) * 2000
    kind = rng.randrange(8)
    if kind == 0:
        return f"UPDATE items SET amount = amount + 1 WHERE id BETWEEN {near} AND {near + 200};"
    if kind == 1:  # the large value is not sent
        return f"UPDATE items SET amount = amount + 1 WHERE id = {large}; UPDATE whole SET amount = amount + 1 WHERE id = {large};"
    if kind == 2:
        return f"INSERT INTO items VALUES ({-fresh}, {fresh}, 'below', NULL), ({10 * ROWS + fresh}, {fresh}, 'above', repeat('x', 5000));"
    if kind == 3:
        return f"DELETE FROM items WHERE id BETWEEN {near} AND {near + 3}; DELETE FROM small WHERE id = {near % 1000};"
    if kind == 4:  # rows with no large value change their range
        return (f"UPDATE items SET id = {2 * ROWS + fresh * 10} + id % 10, note = 'moved' WHERE id BETWEEN {near} AND {near + 5}"
                f" AND id % 2000 > 0 AND id <= {ROWS};")
    if kind == 5:  # and back into some range, where there is room
        return (f"UPDATE items SET id = {far}, note = 'back' WHERE id = (SELECT min(id) FROM items WHERE id > {2 * ROWS} AND id < {10 * ROWS})"
                f" AND NOT EXISTS (FROM items WHERE id = {far});".replace("(FROM", "(SELECT FROM"))
    if kind == 6:  # large values move, as the old row tells them
        return (f"UPDATE whole SET id = {far * 10 + 5} WHERE id = {large};"
                f"UPDATE whole SET id = {-fresh} WHERE id = (SELECT max(id) FROM whole WHERE id % 10 = 5);")
    return f"INSERT INTO small VALUES ({1000 + fresh}, 'b'); UPDATE small SET note = note || 'c' WHERE id = {far % 1000 + 1};"


class Load(threading.Thread):
    """Changes rows until stopped."""

    def __init__(self, dsn):
        super().__init__()
        self.dsn, self.stopping, self.steps, self.error = dsn, threading.Event(), 0, None
        self.start()

    def run(self):
        rng = random.Random(SEED)
        try:
            while not self.stopping.is_set():
                sql(self.dsn, "".join(f"BEGIN; {step(rng, self.steps + i + 1)} COMMIT;" for i in range(10)))
                self.steps += 10
                time.sleep(0.02)
        except AssertionError as error:
            self.error = error

    def stop(self):
        self.stopping.set()
        self.join()
        if self.error:
            raise self.error


class SnapshotTest(unittest.TestCase):
    def test_goes_on_by_part_after_kill_9(self):
        print(f"kills {KILLS}, WALLABY_SEED={SEED}", flush=True)
        postgres = Postgres(15)
        source, target = postgres.database("source"), postgres.database("target")
        sql(source, SETUP)
        wallaby = Wallaby().start()
        duck = os.path.join(wallaby.folder, "copy.duckdb")
        load = Load(source)
        try:
            flow_id = wallaby.create({
                "name": "snapshot", "source": source_endpoint(source, slot=SLOT, publication=SLOT, snapshot_workers="1"),
                "destinations": [{"name": "duck", "type": "duckdb", "options": {"dsn": duck}},
                                 {"name": "pg", "type": "postgres", "options": {"dsn": target}}]}, start=False)
            self.cut_off(wallaby, flow_id)
            wallaby.admin("flow", "start", "-flow-id", flow_id)
            time.sleep(2)
            load.stop()
            print(f"{load.steps} transactions", flush=True)
            wallaby.await_delivery(flow_id, source, SLOT, timeout=300)
            wallaby.stop_flow(flow_id)
            done = progress(wallaby, flow_id)
            self.assertEqual((done["state"], done["parts_done"], done["parts_total"]), ("done", PARTS, PARTS))
            for table in ("items", "whole", "small"):
                self.compare(table, source, target, duck)
        finally:
            load.stopping.set()
            wallaby.close()
            postgres.stop()

    def cut_off(self, wallaby, flow_id):
        """Kills the worker in mid snapshot, at most KILLS times and once, each time after at least one more part of items is durable."""
        kept = []
        for i in range(KILLS + 1):
            log_path = os.path.join(wallaby.folder, f"worker{i}.log")
            worker = start_worker(wallaby, flow_id, log_path)
            try:
                # What stood there before is cleared, or kept, by then.
                wait_until(lambda: "snapshot begins" in read(log_path), 120, f"the snapshot's begin in {log_path}")
                before = sum(number(line, "kept") for line in goes_on(log_path))
                self.run_in_slices(wallaby, flow_id, worker, before)
                self.assertGreaterEqual(progress(wallaby, flow_id)["rows_copied"], before * ROWS // PARTS // 2)
            finally:
                worker.kill()
                worker.wait()
            text, lines = read(log_path), goes_on(log_path)
            print(f"try {i}: {lines}", flush=True)
            if i > 0:
                self.assertEqual(len(lines), 1, text[-3000:])
                kept.append(number(lines[0], "kept"))
                self.assertEqual(number(lines[0], "kept") + number(lines[0], "left"), PARTS)
                self.assertGreater(kept[-1], 0)
            self.assertNotIn("snapshot is complete", text, "the worker was killed too late")
            if progress(wallaby, flow_id)["parts_done"] > PARTS * 9 // 10:
                break
        self.assertGreater(len(kept), 1, "the copy was too quick to be cut off twice")
        self.assertEqual(kept, sorted(kept))
        self.assertGreater(kept[-1], kept[0])

    def run_in_slices(self, wallaby, flow_id, worker, before):
        """Lets the worker run for moments until one more part is durable: however fast the machine, it is stopped in time."""
        deadline = time.monotonic() + 120
        while True:
            worker.send_signal(signal.SIGSTOP)
            if progress(wallaby, flow_id)["parts_done"] > before:
                return
            self.assertLess(time.monotonic(), deadline, "another part did not come")
            worker.send_signal(signal.SIGCONT)
            time.sleep(0.03)

    def compare(self, table, source, target, duck):
        columns = "id, note" if table == "small" else "id, amount, note, md5(big)"
        query = f"SELECT {columns} FROM {table} ORDER BY id"
        expected = sql(source, query)
        for name, rows in (("postgres", sql(target, query)), ("duckdb", text_rows(duckdb_rows(duck, query)))):
            if rows != expected:
                there, wanted = {tuple(row) for row in rows}, {tuple(row) for row in expected}
                self.fail(f"{name} {table}: {len(rows)} rows for {len(expected)}; too much {sorted(there - wanted)[:5]}, "
                          f"missing {sorted(wanted - there)[:5]}")
        print(f"{table}: {len(expected)} rows equal", flush=True)


def start_worker(wallaby, flow_id, log_path):
    """Starts a worker by hand, because only there the number of parts can be said, as soon as the lease of the killed one ends."""
    command = [os.path.join(BIN_DIR, "wallaby-worker"), "-flow-id", flow_id, "-partition-count", str(PARTS), "-snapshot-workers", "1"]

    def started():
        with open(log_path, "wb") as log:
            worker = subprocess.Popen(command, env=wallaby.env, stdout=log, stderr=log)
        wait_until(lambda: worker.poll() is not None or "worker started" in read(log_path), 30, "the worker's start")
        if worker.poll() is None:
            return worker
        if "lease" not in read(log_path):
            raise AssertionError(read(log_path)[-3000:])
        return None

    return wait_until(started, 30, "the lease", interval=0.5)


def goes_on(log_path):
    return [line for line in read(log_path).splitlines() if "snapshot goes on" in line and "public.items" in line]


def progress(wallaby, flow_id):
    """What `flow get` shows of the copy of items: parts that are durable at both destinations."""
    table, = [t for t in wallaby.get(flow_id)["tables"] if t["table"] == "public.items"]
    return {"state": table.get("state"), **{key: int(table.get(key, 0)) for key in ("parts_done", "parts_total", "rows_copied")}}


def number(line, key):
    """Of a field of a log line, in either of its forms."""
    return int(re.search(rf'{key}"?[=:]"?(\d+)', line).group(1))


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def text_rows(rows):
    return [[None if value is None else str(value) for value in row] for row in rows]


if __name__ == "__main__":
    unittest.main()

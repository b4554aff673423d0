"""A flow into a stream, with kill -9 of worker and server at random moments and consumers that die between pull and ack.

At the end every change stands once in the messages, in order, and each group has had every message. WALLABY_KILLS sets how many kills
(default 6); the seed is printed, and WALLABY_SEED repeats its choices, though not the timing.
"""

import base64
import json
import os
import random
import signal
import threading
import time
import unittest

from e2e.harness import Postgres, Wallaby, source_endpoint, sql, wait_until
from e2e.load import SEED

KILLS = int(os.environ.get("WALLABY_KILLS", "6"))
SLOT = "stream"
SETUP = """
  CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL, big text);
  CREATE TABLE ledger (id bigserial PRIMARY KEY, account bigint NOT NULL, amount bigint NOT NULL);
  INSERT INTO accounts SELECT n, 0, (SELECT string_agg(md5(n::text || i), '') FROM generate_series(1, 100) i)
    FROM generate_series(1, 2000) n;
"""


def transaction(rng):
    account, amount = rng.randrange(1, 2000), rng.randrange(1, 1000)
    kind = rng.randrange(8)
    if kind == 0:
        return f"UPDATE accounts SET id = id + 100000 WHERE id = {account}; UPDATE accounts SET id = id - 100000 WHERE id > 100000;"
    if kind == 1:
        return f"INSERT INTO ledger (account, amount) SELECT {account}, n FROM generate_series(1, {rng.randrange(1, 300)}) n;"
    if kind == 2:
        return f"DELETE FROM ledger WHERE id % 97 = {rng.randrange(97)};"
    return (f"BEGIN; UPDATE accounts SET balance = balance + {amount} WHERE id = {account};"
            f"INSERT INTO ledger (account, amount) VALUES ({account}, {amount}); COMMIT;")


class Load(threading.Thread):
    def __init__(self, dsn):
        super().__init__()
        self.dsn, self.ended, self.rng = dsn, threading.Event(), random.Random(SEED)
        self.start()

    def run(self):
        while not self.ended.wait(0.05):
            sql(self.dsn, "".join(transaction(self.rng) for _ in range(10)))

    def end(self):
        self.ended.set()
        self.join()


class Consumer(threading.Thread):
    """Pulls and acknowledges by the command line, and now and then dies between the two."""

    def __init__(self, wallaby, group, number):
        super().__init__()
        self.wallaby, self.group, self.rng = wallaby, group, random.Random(SEED + number)
        self.ended, self.seen, self.deaths, self.errors = threading.Event(), {}, 0, []
        self.start()

    def admin(self, *args):
        """The answer; None while the server is away."""
        result = self.wallaby.admin("stream", *args, "-stream", "changes", "-group", self.group, "-json", check=False)
        return json.loads(result.stdout) if result.returncode == 0 else None

    def run(self):
        while not self.ended.is_set():
            pulled = self.admin("pull", "-max", str(self.rng.choice((1, 50, 3000))), "-visibility", "3", "-wait", "500ms")
            if pulled is None:
                time.sleep(0.1)
                continue
            ids = [int(message["id"]) for message in pulled["messages"]]
            if ids != sorted(set(ids)):
                self.errors.append(f"an answer out of order: {ids[:20]}")
            for message in pulled["messages"]:
                self.seen[int(message["id"])] = message
            if self.rng.random() < 0.15:
                self.deaths += 1
                continue
            self.rng.shuffle(ids)
            for begin in range(0, len(ids), 1000):
                # An answer that is lost with the server is asked for again: it counts once.
                while self.admin("ack", "-ids", ",".join(map(str, ids[begin:begin + 1000]))) is None:
                    time.sleep(0.1)

    def end(self):
        self.ended.set()
        self.join()


def apply(messages):
    """The tables that the messages make, one after the other."""
    tables, before, moved = {"accounts": {}, "ledger": {}}, None, {}
    for message in messages:
        row = json.loads(base64.b64decode(message["payload"]))
        table, key, position = tables[row["table"]], row["key"]["id"], (row["lsn"], row["seq"])
        if row["operation"] == "delete":
            before, moved = position, table.pop(key, {})
        else:
            # A row that got another key keeps what was not sent.
            table[key] = {**(moved if position == before else table.get(key, {})), **row["after"]}
    return tables


class StreamTest(unittest.TestCase):
    def test_kill_9_and_consumers_that_die(self):
        print(f"kills {KILLS}, WALLABY_SEED={SEED}", flush=True)
        rng = random.Random(SEED)
        postgres = Postgres(15)
        source, target = postgres.database("source"), postgres.database("target")
        sql(source, SETUP)
        wallaby = Wallaby().start()
        load, consumers = None, []
        try:
            flow_id = wallaby.create({
                "name": "stream", "source": source_endpoint(source, slot=SLOT, publication=SLOT),
                "destinations": [{"name": "out", "type": "pgstream", "options": {"dsn": target, "stream": "changes"}}]})
            load = Load(source)
            consumers = [Consumer(wallaby, group, i) for i, group in enumerate(("billing", "billing", "search"))]
            for _ in range(KILLS):
                time.sleep(rng.choice([0.1, 0.7, 2]) * rng.random() + 0.1)
                pids = wallaby.worker_pids(flow_id)
                if rng.random() < 0.7 and pids:
                    for pid in pids:
                        try:
                            os.kill(pid, signal.SIGKILL)
                        except ProcessLookupError:
                            continue
                else:
                    wallaby.kill()
                    wallaby.start()
            load.end()
            wallaby.await_delivery(flow_id, source, SLOT, timeout=300)
            wait_until(lambda: self.lags(wallaby) == {"billing": 0, "search": 0}, 300, lambda: f"the groups: {self.lags(wallaby)}",
                       interval=0.5)
            for consumer in consumers:
                consumer.end()
            self.check(source, target, consumers)
        finally:
            if load is not None:
                load.ended.set()
            for consumer in consumers:
                consumer.ended.set()
            wallaby.close()
            postgres.stop()

    def test_old_messages_go_though_nothing_arrives(self):
        """The shortest retention, and a worker that looks once a minute. Until then the flow tells who has not read them."""
        postgres = Postgres(15)
        source, target = postgres.database("source"), postgres.database("target")
        sql(source, "CREATE TABLE notes (id bigint PRIMARY KEY)")
        wallaby = Wallaby().start()
        try:
            flow_id = wallaby.create({
                "name": "idle", "source": source_endpoint(source, slot="idle", publication="idle"),
                "destinations": [{"name": "out", "type": "pgstream", "options": {
                    "dsn": target, "stream": "changes", "retention": "1m", "retention_unread": "drop"}}]})
            wallaby.await_delivery(flow_id, source, "idle")
            sql(source, "INSERT INTO notes SELECT generate_series(1, 10)")
            wallaby.await_delivery(flow_id, source, "idle")
            wallaby.admin("stream", "pull", "-stream", "changes", "-group", "billing", "-max", "4")
            readers = wait_until(lambda: wallaby.get(flow_id).get("stream_readers"), 60, "the flow's readers", interval=1)
            self.assertEqual([(r["consumer_group"], int(r["lag_messages"]), int(r["in_flight"])) for r in readers], [("billing", 10, 4)])
            self.assertIn("read by billing: stream changes, 10 behind", wallaby.admin("flow", "get", "-flow-id", flow_id).stdout)
            wait_until(lambda: sql(target, "SELECT count(*) FROM wallaby.stream_1") == [["0"]], 300, "the end of all messages",
                       interval=1)
            pids = wallaby.worker_pids(flow_id)
            sql(source, "INSERT INTO notes VALUES (11)")
            wallaby.await_delivery(flow_id, source, "idle")
            self.assertEqual(wallaby.worker_pids(flow_id), pids, "no error ended the worker")
            self.assertEqual(sql(target, "SELECT id FROM wallaby.stream_1"), [["11"]])
        finally:
            wallaby.close()
            postgres.stop()

    def lags(self, wallaby):
        answer = json.loads(wallaby.admin("stream", "groups", "-stream", "changes", "-json").stdout)
        return {group["consumer_group"]: int(group["lag_messages"]) for group in answer["groups"]}

    def check(self, source, target, consumers):
        messages = sql(target, "SELECT id, lsn - '0/0', seq, operation, namespace, table_name, convert_from(key, 'UTF8') "
                               "FROM wallaby.stream_1 ORDER BY id")
        ids = [int(row[0]) for row in messages]
        self.assertEqual(len(ids), len(set(ids)), "ids are unique")
        streamed = [(int(row[1]), int(row[2])) for row in messages if row[3] != "snapshot"]
        self.assertEqual(streamed, sorted(streamed), "the order is that of the commits")
        named = [tuple(row[1:]) for row in messages]
        self.assertEqual(len(named), len(set(named)), "each record stands once")
        # The log makes the tables what they are at the source.
        by_group = {}
        for consumer in consumers:
            self.assertEqual(consumer.errors, [])
            by_group.setdefault(consumer.group, {}).update(consumer.seen)
        for group, seen in by_group.items():
            # Rows of a first copy that was interrupted were taken back, also where a group had them.
            self.assertEqual([id for id in ids if id not in seen], [], f"group {group} has had every message")
            tables = apply([seen[id] for id in ids])
            self.assertEqual(sql(source, "SELECT id, balance, md5(big) FROM accounts ORDER BY id"),
                             sorted(([str(row["id"]), str(row["balance"]), self.md5(row["big"])]
                                     for row in tables["accounts"].values()), key=lambda row: int(row[0])), group)
            self.assertEqual(sql(source, "SELECT id, account, amount FROM ledger ORDER BY id"),
                             sorted(([str(row["id"]), str(row["account"]), str(row["amount"])]
                                     for row in tables["ledger"].values()), key=lambda row: int(row[0])), group)
        print(f"{len(ids)} messages, {sum(consumer.deaths for consumer in consumers)} deaths of consumers", flush=True)

    @staticmethod
    def md5(text):
        import hashlib
        return hashlib.md5(text.encode()).hexdigest()


if __name__ == "__main__":
    unittest.main()

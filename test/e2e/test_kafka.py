"""Flows into a real Kafka: kill -9 of workers and of the broker, then every message compared with the source.

WALLABY_KILLS sets how many (default 8). The seed is printed; WALLABY_SEED repeats its choices, though not the timing.
"""

import json
import os
import random
import signal
import time
import unittest

from e2e.harness import Postgres, Wallaby, source_endpoint, sql, wait_until
from e2e.kafka_broker import Kafka, headers, value
from e2e.load import SEED, SETUP, Load

KILLS = int(os.environ.get("WALLABY_KILLS", "8"))
# Every change as the source's own decoder tells it, from the flow's first position on: what must arrive, once.
DECODED = "SELECT data FROM pg_logical_slot_get_changes('witness', NULL, NULL, 'skip-empty-xacts', '1')"


class KafkaTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres, cls.kafka = Postgres(15), Kafka()

    @classmethod
    def tearDownClass(cls):
        cls.kafka.stop()
        cls.postgres.stop()

    def destination(self, name="k", **options):
        return {"name": name, "type": "kafka", "options": {"brokers": self.kafka.brokers, **options}}

    def test_each_change_once_through_kills(self):
        print(f"kills {KILLS}, WALLABY_SEED={SEED}", flush=True)
        rng = random.Random(SEED)
        source = self.postgres.database("kills")
        sql(source, SETUP)
        wallaby = Wallaby().start()
        load = None
        try:
            # batch is the other mode, of the same stream.
            flow_id = wallaby.create({
                "name": "kills", "source": source_endpoint(source, slot="kills", publication="kills"),
                "destinations": [
                    self.destination("records", topic="kills.{table}", message_mode="record", key_mode="raw",
                                     topic_partitions="3"),
                    self.destination("batches", topic="kills.batches", message_mode="batch")]})
            # Behind the copy, so that what is compared are changes; the copy itself has another test.
            wallaby.await_delivery(flow_id, source, "kills")
            sql(source, "SELECT pg_create_logical_replication_slot('witness', 'test_decoding')")
            load = Load(source)
            killed = {"worker": 0, "broker": 0}
            while sum(killed.values()) < KILLS:
                time.sleep(rng.choice([0.05, 0.3, 1.0, 2.5]) * rng.random() + 0.05)
                if rng.random() < 0.7 and (pids := wallaby.worker_pids(flow_id)):
                    for pid in pids:
                        try:
                            os.kill(pid, signal.SIGKILL)
                        except ProcessLookupError:
                            continue
                    killed["worker"] += 1
                elif killed["broker"] * 3 < KILLS:
                    self.kafka.kill()
                    time.sleep(rng.random())
                    self.kafka.restart()
                    killed["broker"] += 1
            load.stop()
            print(f"killed {killed}, {load.steps} transactions", flush=True)
            wallaby.await_delivery(flow_id, source, "kills", timeout=300)
            wallaby.stop_flow(flow_id)
            self.compare(source)
        finally:
            if load is not None:
                load.stopping.set()
            wallaby.close()

    def compare(self, source):
        decoded = [row[0] for row in sql(source, DECODED)]
        rows = {table: sql(source, f"SELECT {columns} FROM {table} ORDER BY id")
                for table, columns in (("accounts", "id, balance, note"), ("ledger", "id, account, amount"))}
        for table in rows:
            messages = self.kafka.read(f"kills.{table}")
            self.assertEqual(len({m.partition() for m in messages}), 3)
            records = [value(m) for m in messages]
            partition_of = {}
            for message, record in zip(messages, records):
                key = json.dumps(record["key"])
                self.assertEqual(partition_of.setdefault(key, message.partition()), message.partition(), "one key, one partition")
                self.assertEqual(headers(message)["wallaby-lsn"], str(record["lsn"]))
            self.check_records(table, records, decoded, rows[table])
        batches = [json.loads(line) for m in self.kafka.read("kills.batches") for line in m.value().splitlines()]
        for table in rows:
            self.check_records(table, [r for r in batches if r["table"] == table], decoded, rows[table])

    def check_records(self, table, records, decoded, rows):
        """Each change once, in the order of the source for each key, and together they are the table."""
        changes = [r for r in records if r["operation"] != "snapshot"]
        names = [(r["lsn"], r["seq"], r["operation"]) for r in changes]
        self.assertEqual(len(names), len(set(names)), f"{table}: a change stands twice")
        # An update of the key is two records and one line.
        lines = sum(line.startswith(f"table public.{table}: ") for line in decoded)
        self.assertEqual(len({(lsn, seq) for lsn, seq, _ in names}), lines, f"{table}: changes that are missing")
        last, state = {}, {}
        for record in records:
            key = json.dumps(record["key"])
            position = (record["lsn"], record["seq"]) if record["operation"] != "snapshot" else (0, 0)
            self.assertGreaterEqual(position, last.get(key, (0, 0)), f"{table} {key}: out of order")
            last[key] = position
            if record["operation"] == "delete":
                state.pop(key, None)
            else:
                state[key] = {**state.get(key, {}), **record["after"]} if record["unchanged"] else record["after"]
        columns = ("id", "balance", "note") if table == "accounts" else ("id", "account", "amount")
        found = sorted(([str(row[c]) for c in columns] for row in state.values()), key=lambda row: int(row[0]))
        self.assertEqual(rows, found, table)
        print(f"{table}: {len(changes)} changes, {len(rows)} rows equal", flush=True)

    def test_a_schema_that_the_registry_refuses_waits_at_the_gate(self):
        source = self.postgres.database("gate")
        sql(source, "CREATE TABLE orders (id bigint PRIMARY KEY, total integer); INSERT INTO orders VALUES (1, 10)")
        wallaby = Wallaby().start()
        registry = os.path.join(wallaby.folder, "schemas")
        try:
            flow_id = wallaby.create({
                "name": "gate", "source": source_endpoint(source, slot="gate", publication="gate"),
                "config": {"ddl": {"gate": True}},
                "destinations": [self.destination(topic="gate.{table}", format="avro", message_mode="record",
                                                  schema_registry="local", schema_registry_url=registry)]})
            wallaby.await_delivery(flow_id, source, "gate")
            sql(source, "ALTER TABLE orders ALTER COLUMN total TYPE boolean USING total > 0; INSERT INTO orders VALUES (2, true)")
            wallaby.admin("flow", "wait", "-flow-id", flow_id, "-state", "paused", "-timeout", "60s")
            event = json.loads(wallaby.admin("ddl", "list", "-flow-id", flow_id, "-json").stdout)
            event = event["events"] if isinstance(event, dict) else event
            event_id = str(event[0]["id"])
            wallaby.admin("ddl", "approve", "-id", event_id)
            refused = wallaby.admin("ddl", "apply", "-id", event_id, check=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn("gate.orders-value", refused.stderr)
            self.assertIn("incompatible", refused.stderr)
            # The cause is gone: the subject begins anew.
            for name in os.listdir(os.path.join(registry, "gate.orders-value")):
                os.remove(os.path.join(registry, "gate.orders-value", name))
            wallaby.admin("ddl", "apply", "-id", event_id)
            wallaby.admin("flow", "resume", "-flow-id", flow_id)
            wallaby.await_delivery(flow_id, source, "gate")
            operations = [headers(m)["wallaby-operation"] for m in self.kafka.read("gate.orders")]
            self.assertIn("insert", operations)
        finally:
            wallaby.close()

    def test_what_is_left_out_is_counted(self):
        source = self.postgres.database("drop")
        sql(source, "CREATE TABLE notes (id bigint PRIMARY KEY, body text)")
        wallaby = Wallaby(env={"WALLABY_METRICS_LISTEN": "127.0.0.1:0"}).start()
        try:
            flow_id = wallaby.create({
                "name": "drop", "source": source_endpoint(source, slot="drop", publication="drop"),
                "destinations": [self.destination(topic="drop.{table}", message_mode="record", max_message_bytes="10KB",
                                                  oversize_policy="drop")]})
            wallaby.await_delivery(flow_id, source, "drop")
            sql(source, "INSERT INTO notes VALUES (1, 'a'), (2, repeat('x', 20000)), (3, 'c')")
            wallaby.await_delivery(flow_id, source, "drop")
            self.assertEqual([value(m)["key"]["id"] for m in self.kafka.read("drop.notes")], [1, 3])
            wait_until(lambda: "change left out" in wallaby.log(), 30, "the line about the change")
        finally:
            wallaby.close()

    def test_debezium_envelope_as_its_consumers_read_it(self):
        source = self.postgres.database("debezium")
        sql(source, "CREATE TABLE orders (id bigint PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'old')")
        wallaby = Wallaby().start()
        try:
            flow_id = wallaby.create({
                "id": "dbz", "name": "debezium", "source": source_endpoint(source, slot="debezium", publication="debezium"),
                "destinations": [self.destination(topic="dbz.{schema}.{table}", json_envelope="debezium", topic_partitions="1")]})
            wallaby.await_delivery(flow_id, source, "debezium")
            sql(source, "INSERT INTO orders VALUES (2, 'new'); UPDATE orders SET note = 'newer' WHERE id = 2; DELETE FROM orders WHERE id = 1")
            wallaby.await_delivery(flow_id, source, "debezium")
            messages = self.kafka.read("dbz.public.orders")
            self.assertEqual([(json.loads(m.key())["id"], value(m)["op"] if m.value() else None) for m in messages],
                             [(1, "r"), (2, "c"), (2, "u"), (1, "d"), (1, None)])
            self.assertEqual(value(messages[2])["after"], {"id": 2, "note": "newer"})
            self.assertEqual(value(messages[2])["source"]["name"], "dbz")
        finally:
            wallaby.close()


if __name__ == "__main__":
    unittest.main()

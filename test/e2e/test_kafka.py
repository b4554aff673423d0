"""Flows into a real Kafka: kill -9 of workers and of the broker, then every message compared with the source.

WALLABY_KILLS sets how many (default 6). The seed is printed; WALLABY_SEED repeats its choices, though not the timing.
"""

import hashlib
import io
import json
import os
import random
import signal
import tempfile
import time
import unittest

from e2e.bucket import BUCKET, Bucket
from e2e.harness import Postgres, Wallaby, source_endpoint, sql, wait_until
from e2e.kafka_broker import Kafka, headers, value
from e2e.load import SEED, SETUP, Load

KILLS = int(os.environ.get("WALLABY_KILLS", "6"))
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
            flow_id = wallaby.create({
                "name": "kills", "source": source_endpoint(source, slot="kills", publication="kills"),
                "destinations": [
                    self.destination("records", topic="kills.{table}", message_mode="record", key_mode="raw",
                                     topic_partitions="3"),
                    self.destination("batches", topic="kills.batches", message_mode="batch")]})
            # Behind the copy, so that what is compared are changes; the copy itself has another test.
            wallaby.await_delivery(flow_id, source, "kills")
            sql(source, "SELECT pg_create_logical_replication_slot('witness', 'test_decoding')")
            load = Load(source, connections=1, pause=0.05, most=200)
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

    def test_the_schema_version_rises_and_lasts(self):
        """Over changes of the table, restarts of the worker, and ways to run a flow."""
        spool = {"WALLABY_SPOOL_DIR": tempfile.mkdtemp(prefix="wallaby-spool-")}
        unseen = {"config": {"ddl": {"gate": False, "auto_apply": False}}, "capture_ddl": "false"}
        for number, (env, ways) in enumerate([({}, {}), (spool, {}), ({}, unseen)]):
            with self.subTest(env=env, ways=ways):
                self.alter_and_restart(f"versions{number}", env, **ways)

    def test_who_is_shut_out_says_so_and_goes_on(self):
        """A program outside has the same transactional.id."""
        from confluent_kafka import Producer
        source = self.postgres.database("shut_out")
        sql(source, "CREATE TABLE orders (id integer PRIMARY KEY)")
        wallaby = Wallaby().start()
        try:
            flow_id = wallaby.create({
                "name": "shut out", "source": source_endpoint(source, slot="shut_out", publication="shut_out"),
                "destinations": [self.destination(topic="shut_out", message_mode="record", transactional_id="ours")]})
            wallaby.await_delivery(flow_id, source, "shut_out")
            Producer({"bootstrap.servers": self.kafka.brokers, "transactional.id": "ours"}).init_transactions(60)
            sql(source, "INSERT INTO orders VALUES (1)")
            flow = wait_until(lambda: (f := wallaby.get(flow_id)) and "fenced" in f.get("error", "") and f, 60, "the last error")
            self.assertIn("give each its own by option transactional_id", flow["error"])
            self.assertEqual(flow["state"], "FLOW_STATE_RUNNING")
            wallaby.await_delivery(flow_id, source, "shut_out")
            self.assertEqual([value(m)["after"]["id"] for m in self.kafka.read("shut_out")], [1])
        finally:
            wallaby.close()

    def test_a_stop_does_not_lose_what_an_absent_broker_did_not_take(self):
        source = self.postgres.database("absent")
        sql(source, "CREATE TABLE orders (id integer PRIMARY KEY)")
        wallaby = Wallaby().start()
        try:
            flow_id = wallaby.create({
                "name": "absent", "source": source_endpoint(source, slot="absent", publication="absent"),
                "destinations": [self.destination(topic="absent", message_mode="record")]})
            wallaby.await_delivery(flow_id, source, "absent")
            self.kafka.kill()
            try:
                sql(source, "INSERT INTO orders VALUES (1)")
                wallaby.stop_flow(flow_id)
            finally:
                self.kafka.restart()
            wallaby.admin("flow", "start", "-flow-id", flow_id)
            wallaby.await_delivery(flow_id, source, "absent")
            self.assertEqual([value(m)["after"]["id"] for m in self.kafka.read("absent")], [1])
        finally:
            wallaby.close()

    def alter_and_restart(self, name, env, config=None, **source_options):
        source = self.postgres.database(name)
        sql(source, "CREATE TABLE orders (id integer PRIMARY KEY, v text)")
        wallaby = Wallaby(env).start()
        try:
            flow_id = wallaby.create({
                "name": name, "source": source_endpoint(source, slot=name, publication=name, **source_options),
                "destinations": [self.destination(topic=name, message_mode="record", format="json")],
                **({"config": config} if config else {})})
            # A copy shows the table as it is by then, so it is over before the table changes.
            wait_until(lambda: wallaby.get(flow_id).get("activity", "").startswith("streaming"), 60, "the first copy's end")
            steps = [(None, 1), ("ADD n integer", 2), ("ADD o integer", 3), ("RENAME o TO p", 4), ("restart", 4), ("DROP n", 5),
                     # Values that are only read as text: the stream begins again.
                     ("ADD box box", 6), ("restart", 6), ("DROP box", 7), ("again", 7)]
            for number, (step, _) in enumerate(steps):
                if step == "restart":
                    wallaby.stop_flow(flow_id)
                    wallaby.admin("flow", "start", "-flow-id", flow_id)
                elif step == "again":
                    sql(source, "DROP TABLE orders; CREATE TABLE orders (id integer PRIMARY KEY, v text, p integer)")
                elif step:
                    sql(source, f"ALTER TABLE orders {step}")
                sql(source, f"INSERT INTO orders (id, v) VALUES ({number}, 'x')")
                # A source that is several changes ahead may have the table copied again, as it is by then.
                wallaby.await_delivery(flow_id, source, name)
            messages = self.kafka.read(name)
            versions = {record["after"]["id"]: record["schema_version"] for m in messages
                        if (record := value(m)) and record["operation"] in ("insert", "snapshot")}
            self.assertEqual(versions, dict(enumerate(version for _, version in steps)))
            for message in messages:
                if value(message):
                    self.assertEqual(headers(message)["wallaby-schema-version"], str(value(message)["schema_version"]))
        finally:
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
                                                  topic_partitions="1", schema_registry="local", schema_registry_url=registry)]})
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
            # The rewrite makes a new copy, and what stood there before is called off.
            operations = [headers(m)["wallaby-operation"] for m in self.kafka.read("gate.orders")]
            self.assertEqual(operations, ["snapshot", "truncate", "snapshot", "snapshot"])
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

    def test_large_rows_are_claimed_from_the_bucket(self):
        """Kills between objects and commits: each row once, as it was in the source, wherever its payload is."""
        source, bucket, rng = self.postgres.database("claims"), Bucket(), random.Random(SEED)
        self.addCleanup(bucket.stop)
        sql(source, "CREATE TABLE notes (id bigint PRIMARY KEY, body text)")
        wallaby = Wallaby().start()
        try:
            claims = {f"claim_check_{name}": value for name, value in bucket.options(prefix="claims").items()}
            flow_id = wallaby.create({
                "name": "claims", "source": source_endpoint(source, slot="claims", publication="claims"),
                "destinations": [
                    self.destination(mode, topic=f"claims.{mode}", message_mode=mode, max_message_bytes="20KB",
                                     oversize_policy="claim_check", **claims) for mode in ("record", "batch")]})
            wallaby.await_delivery(flow_id, source, "claims")
            for first in range(1, 200, 20):
                sql(source, f"INSERT INTO notes SELECT n, repeat(md5(n::text), CASE WHEN n % 3 = 0 THEN 1500 ELSE 1 END) "
                            f"FROM generate_series({first}, {first + 19}) n")
                time.sleep(rng.random())
                for pid in wallaby.worker_pids(flow_id):
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        continue
            wallaby.await_delivery(flow_id, source, "claims", timeout=300)
            wallaby.stop_flow(flow_id)
            rows = sql(source, "SELECT id, body FROM notes ORDER BY id")
            for mode in ("record", "batch"):
                messages = self.kafka.read(f"claims.{mode}")
                payloads = [self.payload(m, bucket) for m in messages]
                records = [json.loads(line) for payload in payloads for line in payload.splitlines()]
                found = sorted(([str(r["after"]["id"]), r["after"]["body"]] for r in records), key=lambda row: int(row[0]))
                self.assertEqual(rows, found, mode)
                claimed = {headers(m)["wallaby-claim-check"] for m in messages if "wallaby-claim-check" in headers(m)}
                self.assertEqual(len(claimed), 66, mode)
                self.assertEqual(claimed, {f"s3://{BUCKET}/{key}" for key in bucket.keys(f"claims/{flow_id}-{mode}")
                                           if not key.endswith("/check")}, "no object that nothing refers to")
        finally:
            wallaby.close()

    @staticmethod
    def payload(message, bucket):
        """As docs/destinations/kafka.md shows it."""
        claim = headers(message)
        if "wallaby-claim-check" not in claim:
            return message.value()
        place, key = claim["wallaby-claim-check"].removeprefix("s3://").split("/", 1)
        assert place == BUCKET
        body = bucket.read(key)
        assert hashlib.sha256(body).hexdigest() == claim["wallaby-claim-check-sha256"]
        assert str(len(body)) == claim["wallaby-claim-check-bytes"]
        return body

    def test_columnar_payloads_are_read_by_pyarrow(self):
        import pyarrow.ipc
        import pyarrow.parquet
        source = self.postgres.database("columnar")
        sql(source, """
            CREATE TABLE things (id bigint PRIMARY KEY, day date, total numeric(12,2), note text, raw bytea, at timestamptz);
            INSERT INTO things SELECT n, date '2024-01-01' + n % 60, n / 4.0, CASE WHEN n % 7 <> 0 THEN 'note ' || n END,
              decode(md5(n::text), 'hex'), timestamptz '2024-05-01 12:00:00.123456+00' + n * interval '1s'
            FROM generate_series(1, 300) n""")
        readers = {"arrow": lambda data: pyarrow.ipc.open_stream(data).read_all(),
                   "parquet": lambda data: pyarrow.parquet.read_table(io.BytesIO(data))}
        forms = {"arrow": {"message_mode": "batch"}, "parquet": {"message_mode": "batch"},
                 "one": {"format": "arrow", "message_mode": "record"}}
        wallaby = Wallaby().start()
        try:
            flow_id = wallaby.create({
                "name": "columnar", "source": source_endpoint(source, slot="columnar", publication="columnar"),
                "destinations": [self.destination(name, **{"topic": f"columnar.{name}", "topic_partitions": "1", "format": name,
                                                           "max_batch_bytes": "8KB", **options})
                                 for name, options in forms.items()]})
            wallaby.await_delivery(flow_id, source, "columnar")
            sql(source, """
                UPDATE things SET note = 'changed' WHERE id % 10 = 0;
                DELETE FROM things WHERE id % 11 = 0;
                UPDATE things SET id = id + 1000 WHERE id % 13 = 0;
                INSERT INTO things (id, note) VALUES (2000, 'ü')""")
            wallaby.await_delivery(flow_id, source, "columnar")
            wallaby.stop_flow(flow_id)
            expected = sql(source, "SELECT id, day, total, note, encode(raw, 'hex'), extract(epoch FROM at) FROM things ORDER BY id")
            for name in forms:
                rows = []
                for message in self.kafka.read(f"columnar.{name}"):
                    told = headers(message)
                    self.assertEqual(told["wallaby-format"], "arrow" if name == "one" else name)
                    table = readers[told["wallaby-format"]](message.value())
                    self.assertEqual(table.schema.metadata[b"wallaby.table"], b"public.things")
                    # An update of the key is one change and two rows.
                    self.assertEqual(len({(r["_wallaby_lsn"], r["_wallaby_seq"]) for r in table.to_pylist()}),
                                     int(told.get("wallaby-changes", "1")))
                    last = table.slice(table.num_rows - 1).to_pylist()[0]
                    self.assertEqual((str(last["_wallaby_lsn"]), str(last["_wallaby_seq"])),
                                     (told["wallaby-lsn"], told["wallaby-seq"]))
                    rows += table.to_pylist()
                state = {}
                for row in rows:
                    state.pop(row["id"], None)
                    if row["_wallaby_op"] != "d":
                        state[row["id"]] = row
                self.assertEqual(expected, [self.as_text(state[key]) for key in sorted(state)], name)
                # What the copy and the changes make: 300, 30 updates, 27 deletes, two for each of 21 new keys, one insert.
                self.assertEqual(len(rows), 300 + 30 + 27 + 2 * 21 + 1, name)
        finally:
            wallaby.close()

    @staticmethod
    def as_text(row):
        at = row["at"]
        return [None if value is None else str(value) for value in (
            row["id"], row["day"], row["total"], row["note"], row["raw"] and row["raw"].hex(),
            at and f"{int(at.timestamp())}.{at.microsecond:06d}")]

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

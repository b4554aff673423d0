"""Destinations http and grpc against receivers that fail, wait, cut connections, lose answers and die.

WALLABY_KILLS sets how many processes are killed (default 8); WALLABY_SEED repeats the choices, though not the timing.
"""

import base64
import json
import os
import random
import threading
import time
import unittest

from e2e.certificates import Authority
from e2e.harness import PostgresTest, Wallaby, is_gone, source_endpoint, sql, wait_until
from e2e.load import SEED
from e2e.receiver_process import Receiver

KILLS = int(os.environ.get("WALLABY_KILLS", "8"))
SECRET = "whsec_" + base64.b64encode(b"the test's own signing secret 01").decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"the test's own signing secret 00").decode()


class WebhooksTest(PostgresTest):
    def begin(self, destinations, rows=20, config=None):
        """Starts a flow of the table items. `destinations`: {name: (receiver, options)}."""
        self.source = self.postgres.database(self._testMethodName)
        self.slot = self._testMethodName[:40]
        sql(self.source, "CREATE TABLE items (id int PRIMARY KEY, version int NOT NULL, note text);"
                         f"INSERT INTO items SELECT n, 0, 'new' FROM generate_series(1, {rows}) n")
        endpoints = []
        for name, (receiver, options) in destinations.items():
            address = {"url": f"http://127.0.0.1:{receiver.port}/{{schema}}/{{table}}"} if receiver.kind == "http" else {
                "endpoint": f"127.0.0.1:{receiver.port}", "insecure": "true"}
            quick = {"backoff_base": "20ms", "backoff_max": "200ms", "timeout": "5s"}
            endpoints.append({"name": name, "type": receiver.kind, "options": {**address, **quick, **options}})
        self.definition = {"name": self._testMethodName, "id": "flow",
                           "source": source_endpoint(self.source, slot=self.slot, publication="p"),
                           "destinations": endpoints, "config": config or {}}
        self.flow = self.wallaby.create(self.definition)

    def setUp(self):
        self.wallaby = Wallaby().start()
        self.addCleanup(self.wallaby.close)

    def receiver(self, name, kind="http", **settings):
        receiver = Receiver(self.wallaby.folder, name, kind, **settings)
        self.addCleanup(receiver.kill)
        return receiver

    def delivered(self, timeout=120):
        self.wallaby.await_delivery(self.flow, self.source, self.slot, timeout=timeout)

    def failed(self, text):
        flow = wait_until(lambda: (lambda f: f if f["state"] == "FLOW_STATE_FAILED" else None)(self.wallaby.get(self.flow)),
                          60, "the failure\n" + self.wallaby.log()[-2000:])
        self.assertIn(text, flow["error"])
        return flow

    # ---- nothing is lost ----

    def test_kill_9_of_workers_and_receivers(self):
        print(f"kills {KILLS}, WALLABY_SEED={SEED}", flush=True)
        rng = random.Random(SEED)
        records = self.receiver("records", trouble=0.1)
        calls = self.receiver("calls", "grpc", trouble=0.1)
        batches = self.receiver("batches", trouble=0.1)
        record = {"payload_mode": "record_json", "parallelism": "4"}
        self.begin({"records": (records, {**record, "signing_secret": f"{SECRET} {OLD_SECRET}"}),
                    "calls": (calls, record), "batches": (batches, {"batch_records": "50"})}, rows=40)
        stopping = threading.Event()
        changes = threading.Thread(target=self.change, args=(random.Random(SEED + 1), stopping))
        changes.start()
        try:
            killed = {"worker": 0, "receiver": 0}
            while sum(killed.values()) < KILLS:
                # Some get on between two deaths, others are struck while they begin.
                if rng.random() < 0.8:
                    before = len(records.taken())
                    wait_until(lambda: len(records.taken()) > before + 50, 120, "fifty records more")
                time.sleep(0.5 * rng.random())
                if rng.random() < 0.6:
                    pids = wait_until(lambda: self.wallaby.worker_pids(self.flow), 60, "a worker")
                    for pid in pids:
                        os.kill(pid, 9)
                    wait_until(lambda: all(is_gone(pid) for pid in pids), 30, "the worker's end")
                    killed["worker"] += 1
                else:
                    receiver = rng.choice([records, calls, batches])
                    receiver.kill()
                    time.sleep(0.5 * rng.random())
                    receiver.start()
                    killed["receiver"] += 1
        finally:
            stopping.set()
            changes.join()
        self.delivered(300)
        self.wallaby.stop_flow(self.flow)
        print(f"killed {killed}", flush=True)
        for name, seen in (("records", records.records()), ("calls", calls.records()), ("batches", batches.batched_records())):
            with self.subTest(destination=name):
                self.check_changes(seen)
        duplicates = len(records.taken()) - len(records.once())
        print(f"{len(records.once())} records and {duplicates} duplicates", flush=True)
        self.check_signatures(records)

    def change(self, rng, stopping):
        """Every change of a row raises its version by one."""
        while not stopping.wait(0.2):
            text = ""
            for _ in range(rng.randrange(1, 20)):
                item = rng.randrange(1, 41)
                if rng.random() < 0.8:
                    text += f"UPDATE items SET version = version + 1, note = 'n{item}' WHERE id = {item};"
                else:
                    text += (f"WITH gone AS (DELETE FROM items WHERE id = {item} RETURNING *) SELECT set_config('my.v', version::text, false)"
                             f" FROM gone; INSERT INTO items VALUES ({item}, current_setting('my.v')::int + 1, 'again');")
            sql(self.source, f"BEGIN; {text} COMMIT;")

    def check_changes(self, records):
        by_item = {}
        for record in records:
            by_item.setdefault(record["key"]["id"], []).append(record)
        expected = {int(row[0]): (int(row[1]), row[2]) for row in sql(self.source, "SELECT * FROM items")}
        self.assertEqual(set(by_item), set(expected))
        for item, seen in by_item.items():
            streamed = [record for record in seen if record["operation"] != "snapshot"]
            places = [(record["lsn"], record["seq"]) for record in streamed]
            self.assertEqual(places, sorted(places), f"item {item}: in the order of the source")
            # A delete is followed by an insert in the same transaction, and there are no other inserts.
            operations = "".join(record["operation"][0] for record in streamed)
            self.assertEqual(operations.replace("di", "").strip("u"), "", f"item {item}")
            versions = [record["after"]["version"] for record in streamed if record["after"]]
            last_copy = max((record["after"]["version"] for record in seen if record["operation"] == "snapshot"), default=-1)
            first = versions[0] if versions else last_copy + 1
            self.assertLessEqual(first, last_copy + 1, f"item {item}: nothing is missing behind the copy")
            self.assertEqual(versions, list(range(first, first + len(versions))), f"item {item}: each version once")
            self.assertEqual(max([last_copy, *versions]), expected[item][0])

    def check_signatures(self, receiver):
        from standardwebhooks.webhooks import Webhook, WebhookVerificationError
        taken = receiver.taken()[-50:]  # the library takes none that are older than five minutes
        for secret in (SECRET, OLD_SECRET):
            for request in taken:
                headers = {name.lower(): value for name, value in request["headers"].items()}
                self.assertEqual(headers["webhook-id"], request["key"])
                Webhook(secret).verify(base64.b64decode(request["body"]), headers)
        with self.assertRaises(WebhookVerificationError):
            Webhook(SECRET).verify(b"something else", headers)

    # ---- what receivers do not take ----

    def letters(self, *args):
        return json.loads(self.wallaby.admin("dead-letter", "list", "-flow-id", self.flow, "-json", *args).stdout).get("letters", [])

    def test_dead_letters(self):
        hook = self.receiver("hook", reject="bad")
        calls = self.receiver("calls", "grpc", reject="bad")
        options = {"payload_mode": "record_json", "on_reject": "dead_letter", "parallelism": "2"}
        self.begin({"hook": (hook, options), "calls": (calls, options)})
        self.delivered()
        sql(self.source, "UPDATE items SET version = 1, note = 'bad' WHERE id <= 3; UPDATE items SET version = 2, note = 'good'")
        self.delivered()
        # Behind them the flow went on; a worker that dies does not lose them.
        for pid in self.wallaby.worker_pids(self.flow):
            os.kill(pid, 9)
        sql(self.source, "UPDATE items SET version = 3")
        self.delivered()
        for receiver in (hook, calls):
            records = receiver.records()
            self.assertEqual(sum(record["after"]["version"] == 3 for record in records), 20)
            self.assertFalse([record for record in records if record["after"]["version"] == 1])
        letters = self.letters()
        self.assertEqual(sorted((letter["destination"], letter["operation"]) for letter in letters),
                         [("calls", "update")] * 3 + [("hook", "update")] * 3)
        self.assertEqual(len(self.letters("-destination", "hook")), 3)
        self.assertEqual(self.wallaby.get(self.flow)["dead_letters"], "6")
        reasons = {letter["destination"]: letter["reason"] for letter in letters}
        self.assertIn("answered 422: the test rejects it", reasons["hook"])
        self.assertIn("accepted=false: the test rejects it", reasons["calls"])
        text = self.wallaby.admin("dead-letter", "get", "-flow-id", self.flow, "-id", letters[0]["id"]).stdout
        self.assertIn('"note":"bad"', text)

        for command in (("replay",), ("drop", "-all")):
            mistyped = self.wallaby.admin("dead-letter", *command, "-flow-id", self.flow, "-destination", "hok", check=False)
            self.assertEqual(mistyped.returncode, 1, mistyped)
            self.assertIn("has no destination 'hok'", mistyped.stderr)

        # Still rejected: they stay.
        again = self.wallaby.admin("dead-letter", "replay", "-flow-id", self.flow, check=False)
        self.assertEqual(again.returncode, 1, again)
        self.assertIn("0 taken and removed, 6 kept", again.stdout)
        self.assertIn("the test rejects it", again.stderr)
        for receiver in (hook, calls):
            receiver.behave()
        one = letters[0]["id"]
        self.assertIn("1 taken and removed, 0 kept", self.wallaby.admin("dead-letter", "replay", "-flow-id", self.flow, "-id", one).stdout)
        self.assertIn("5 taken and removed, 0 kept", self.wallaby.admin("dead-letter", "replay", "-flow-id", self.flow).stdout)
        self.assertEqual(self.letters(), [])
        for receiver, name in ((hook, "hook"), (calls, "calls")):
            came = {request["key"]: json.loads(body) for body, request in receiver.once()}
            for letter in letters:
                if letter["destination"] == name:
                    self.assertEqual(came[letter["key"]]["after"]["note"], "bad")

        # Dropped for good.
        hook.behave(reject="worse")
        sql(self.source, "UPDATE items SET note = 'worse' WHERE id = 1")
        self.delivered()
        self.assertEqual(len(self.letters()), 1)
        self.assertIn("1 dropped", self.wallaby.admin("dead-letter", "drop", "-flow-id", self.flow, "-all").stdout)
        self.assertEqual(self.letters(), [])

    def test_exhausted_tries(self):
        hook = self.receiver("hook")
        options = {"payload_mode": "record_json", "max_retries": "2", "backoff_max": "20ms", "on_retry_exhaustion": "dead_letter"}
        self.begin({"hook": (hook, options)}, rows=1)
        self.delivered()
        hook.behave(status=503)
        sql(self.source, "UPDATE items SET version = 1")
        self.delivered()
        letter, = self.letters()
        self.assertIn("answered 503: as the test wants (after 3 tries)", letter["reason"])
        hook.kill()
        away = self.wallaby.admin("dead-letter", "replay", "-flow-id", self.flow, check=False)
        self.assertEqual((away.returncode, away.stdout), (1, "0 taken and removed, 1 kept.\n"), away.stderr)
        hook.behave()
        hook.start()
        wait_until(hook.listens, 30, "the receiver")
        self.wallaby.admin("dead-letter", "replay", "-flow-id", self.flow)
        self.assertEqual(hook.records()[-1]["after"]["version"], 1)

    def test_a_receiver_that_is_away_holds_the_flow_and_loses_nothing(self):
        hook = self.receiver("hook")
        self.begin({"hook": (hook, {"payload_mode": "record_json", "max_retries": "1", "backoff_max": "20ms"})}, rows=1)
        self.delivered()
        hook.kill()
        sql(self.source, "UPDATE items SET version = 1; UPDATE items SET version = 2")
        wait_until(lambda: "position" in self.wallaby.get(self.flow).get("activity", ""), 60, "the worker's word for it")
        hook.start()
        self.delivered()
        self.assertEqual([record["after"]["version"] for record in hook.records()], [0, 1, 2])

    def test_retry_after_is_kept_also_by_the_next_attempt(self):
        hook = self.receiver("hook")
        self.begin({"hook": (hook, {"payload_mode": "record_json", "max_retries": "1", "backoff_max": "20ms"})}, rows=1)
        self.delivered()
        hook.behave(status=503, retry_after=3)
        sql(self.source, "UPDATE items SET version = 1")

        def refusals():
            return [request["refused"] for request in hook.taken() if "refused" in request]

        # Two tries make an attempt.
        seen = wait_until(lambda: (r := refusals()) and len(r) >= 4 and r, 60, "four tries")
        for before, after in zip(seen, seen[1:]):
            self.assertGreaterEqual(after - before, 2.9, f"not before Retry-After: {seen}")
        hook.behave()
        self.delivered()

    def test_a_stop_does_not_wait_for_a_receiver_that_says_nothing(self):
        for kind in ("http", "grpc"):
            with self.subTest(kind=kind):
                silent = self.receiver("silent-" + kind, kind)
                self._testMethodName = "stop_" + kind  # names the database and the slot
                self.begin({"hook": (silent, {"payload_mode": "record_json", "timeout": "10m"})}, rows=1)
                self.delivered()
                silent.behave(hang=900)
                sql(self.source, "UPDATE items SET version = 1")
                wait_until(lambda: "busy" in self.wallaby.admin("why", "-flow-id", self.flow, check=False).stdout
                           or self.wallaby.get(self.flow).get("lag", {}).get("bytes", "0") != "0", 60, "the change on its way")
                self.wallaby.stop_flow(self.flow)
                # It comes once the receiver is well.
                silent.kill()
                silent.behave()
                silent.start()
                wait_until(silent.listens, 30, "the receiver")
                self.wallaby.admin("flow", "start", "-flow-id", self.flow)
                self.delivered()
                self.assertEqual(silent.records()[-1]["after"]["version"], 1)
                self.wallaby.stop_flow(self.flow)
                self.wallaby.admin("flow", "delete", "-flow-id", self.flow)

    def test_rejection_fails_the_flow_by_default(self):
        hook = self.receiver("hook", reject="bad")
        self.begin({"hook": (hook, {"payload_mode": "record_json"})}, rows=1)
        self.delivered()
        sql(self.source, "UPDATE items SET note = 'bad'")
        flow = self.failed("answered 422: the test rejects it")
        self.assertIn("table public.items, position", flow["error"])
        hook.behave()
        self.wallaby.admin("flow", "start", "-flow-id", self.flow)
        self.delivered()
        self.assertEqual(hook.records()[-1]["after"]["note"], "bad")

    def test_a_receiver_that_wants_nothing_fails_the_flow(self):
        hook = self.receiver("hook")
        self.begin({"hook": (hook, {"on_reject": "dead_letter"})}, rows=1)
        self.delivered()
        hook.behave(status=410)
        sql(self.source, "UPDATE items SET version = 1")
        self.failed("it wants no more requests")
        hook.behave()
        self.wallaby.admin("flow", "start", "-flow-id", self.flow)
        self.delivered()
        self.assertEqual(hook.batched_records()[-1]["after"]["version"], 1)

    # ---- payloads ----

    def test_a_mapping_stands_before_the_receiver(self):
        hook = self.receiver("hook")
        table = {"to": "lake.things", "rows": "id > 10", "columns": {"note": {"mask": "hash"}, "version": {"to": "v"}}}
        self.begin({"hook": (hook, {"payload_mode": "record_json", "mask_secret": "a secret of the test's own",
                                    "mapping": json.dumps({"tables": {"public.items": table}})})})
        self.delivered()
        sql(self.source, "UPDATE items SET version = 1 WHERE id IN (5, 15); DELETE FROM items WHERE id IN (6, 15)")
        self.delivered()
        records = hook.records()
        self.assertEqual({(r["namespace"], r["table"]) for r in records}, {("lake", "things")})
        seen = [(r["operation"], r["key"]["id"], (r["after"] or {}).get("v")) for r in records]
        self.assertEqual(sorted(seen[:10]), [("snapshot", n, 0) for n in range(11, 21)])
        self.assertEqual(seen[10:], [("update", 15, 1), ("delete", 15, None)])
        for request in hook.taken():
            self.assertNotIn(b"new", base64.b64decode(request["body"]), "a masked value got through")

    def test_payload_modes(self):
        wal, debezium = self.receiver("wal"), self.receiver("debezium")
        self.begin({"wal": (wal, {"payload_mode": "wal"}),
                    "debezium": (debezium, {"payload_mode": "record_json", "json_envelope": "debezium"})}, rows=1)
        self.delivered()
        sql(self.source, "UPDATE items SET version = 1; DELETE FROM items")
        self.delivered()
        seen = [base64.b64decode(request["body"]) for request in wal.taken()]
        self.assertEqual([body[:1] for body in seen], [b"R"] * 3)
        self.assertIn(b"\0items\0", seen[0])
        kinds = [request["headers"]["X-Wallaby-Operation"] for request in wal.taken()]
        self.assertEqual(kinds, ["snapshot", "update", "delete"])
        self.assertEqual(wal.taken()[0]["headers"]["Content-Type"], "application/vnd.postgresql.pgoutput")
        self.assertEqual([record["op"] for record in debezium.records()], ["r", "u", "d"])
        self.assertEqual(wal.taken()[0]["path"], "/public/items")

    def test_a_registry_that_refuses_shows_at_the_gate(self):
        hook = self.receiver("hook")
        registry = os.path.join(self.wallaby.folder, "registry")
        os.mkdir(registry)
        self.begin({"hook": (hook, {"format": "avro", "schema_registry": "local", "schema_registry_url": registry})},
                   config={"ddl": {"gate": True}})
        self.delivered()
        sql(self.source, "ALTER TABLE items ALTER note TYPE int USING 5; UPDATE items SET version = 1")
        wait_until(lambda: self.wallaby.get(self.flow)["state"] == "FLOW_STATE_PAUSED", 60, "the gate")
        event = json.loads(self.wallaby.admin("ddl", "list", "-status", "pending", "-json").stdout)["events"][0]
        self.wallaby.admin("ddl", "approve", "-id", event["id"])
        wait_until(lambda: not self.wallaby.worker_pids(self.flow), 30, "the worker's end")
        applied = self.wallaby.admin("ddl", "apply", "-id", event["id"], check=False)
        self.assertEqual(applied.returncode, 1)
        self.assertIn("incompatible with the last one of subject public.items-value", applied.stderr)
        shown = json.loads(self.wallaby.admin("ddl", "get", "-id", event["id"], "-json").stdout)
        self.assertEqual(shown["status"], "failed")

    # ---- transport ----

    def test_tls_on_both_sides(self):
        authority, other = Authority(), Authority("others")
        certificate, key = authority.issue("receiver")
        client, client_key = authority.issue("worker")
        tls = {"certificate": certificate, "key": key, "authority": authority.certificate}
        hook, calls = self.receiver("hook", **tls), self.receiver("calls", "grpc", **tls)
        mine = {"tls_ca_file": authority.certificate, "tls_cert_file": client, "tls_key_file": client_key,
                "payload_mode": "record_json"}
        self.begin({"hook": (hook, {**mine, "url": f"https://127.0.0.1:{hook.port}/"}),
                    "calls": (calls, {**mine, "insecure": "false", "tls_server_name": "localhost", "headers": "X-Team:data"})}, rows=3)
        self.delivered()
        self.assertEqual(len(hook.records()), 3)
        self.assertEqual(len(calls.records()), 3)
        self.assertEqual(calls.taken()[0]["headers"]["x-team"], "data")
        self.assertEqual(calls.taken()[0]["flow"], "flow")
        # Somebody else's authority.
        self.wallaby.stop_flow(self.flow)
        self.definition["destinations"][0]["options"]["tls_ca_file"] = other.certificate
        path = os.path.join(self.wallaby.folder, "update.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(self.definition, f)
        self.wallaby.admin("flow", "update", "-file", path)
        self.wallaby.admin("flow", "start", "-flow-id", self.flow)
        sql(self.source, "UPDATE items SET version = 1")
        self.failed("its certificate is not trusted")


if __name__ == "__main__":
    unittest.main()

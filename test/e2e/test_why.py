"""wallaby-admin why: one sentence that names the place where the lag is, over real servers; and what `flow get` and the metrics
say of the slot meanwhile."""

import json
import os
import re
import signal
import subprocess
import unittest
import urllib.request

from e2e.harness import Postgres, PostgresTest, Wallaby, free_port, source_endpoint, sql, wait_until


class WhyTest(PostgresTest):
    def setUp(self):
        name = self.id().rsplit(".", 1)[1][:40]
        self.name = "y" + name[4:]
        self.metrics_port = free_port()
        self.wallaby = Wallaby({"WALLABY_METRICS_LISTEN": f"127.0.0.1:{self.metrics_port}"}).start()
        self.source = self.postgres.database("s" + name)
        self.target = self.postgres.database("t" + name)
        sql(self.source, "CREATE TABLE t (id bigserial PRIMARY KEY, v text); INSERT INTO t (v) VALUES ('one')")
        self.sessions = []

    def tearDown(self):
        for session in self.sessions:
            session.stdin.close()
            session.wait()
        self.wallaby.close()
        sql(self.postgres.dsn, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
                               f"WHERE slot_name = '{self.name}' AND NOT active")

    def start(self, target=None, **config):
        flow_id = self.wallaby.create({
            "name": self.name, "config": config,
            "source": source_endpoint(self.source, slot=self.name, publication=self.name, publication_tables="public.t"),
            "destinations": [{"name": "copy", "type": "postgres", "options": {"dsn": target or self.target}}]})
        self.wallaby.await_delivery(flow_id, self.source, self.name)
        return flow_id

    def why(self, flow_id):
        return json.loads(self.wallaby.admin("why", "-flow-id", flow_id, "-json").stdout)

    def waits_for(self, flow_id, where, timeout=90):
        last = {}

        def said():
            last.update(self.why(flow_id))
            return last["where"] == where and last
        answer = wait_until(said, timeout, lambda: f"where={where}, not {last.get('where')}: {last.get('sentence')}", interval=0.3)
        # The text is that sentence, and what to do.
        self.assertNotIn("\n", answer["sentence"])
        self.assertTrue(answer["sentence"].endswith(".") or answer["error"], answer["sentence"])
        return answer

    def write_wal(self, segments=3):
        """More WAL than is kept in any case, and what makes the slot move where nothing holds it."""
        for _ in range(segments):
            sql(self.source, "INSERT INTO t (v) VALUES ('x'); SELECT pg_switch_wal()")
        sql(self.source, "CHECKPOINT")

    def held(self, flow_id, where="transaction"):
        def said():
            self.write_wal(1)
            answer = self.why(flow_id)
            return answer["where"] == where and answer
        return wait_until(said, 90, lambda: f"{where}, not {self.why(flow_id)}", interval=0.5)

    def session(self, text):
        psql = subprocess.Popen(["psql", "-XAtq", "-d", self.source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.sessions.append(psql)
        psql.stdin.write(text + "\nSELECT pg_backend_pid();\n")
        psql.stdin.flush()
        return psql.stdout.readline().strip()

    def test_open_transaction(self):
        flow_id = self.start()
        self.assertIn("Nothing lags", self.waits_for(flow_id, "nothing")["sentence"])
        pid = self.session("BEGIN; INSERT INTO t (v) VALUES ('held');")
        answer = self.held(flow_id)
        self.assertEqual(answer["object"], f"pid {pid}")
        self.assertRegex(answer["sentence"], rf"pid {pid} \(idle in transaction, .*\) of role postgres in database s")
        self.assertEqual(answer["remedy"], f"SELECT pg_terminate_backend({pid});")
        self.assertRegex(self.wallaby.admin("flow", "get", "-flow-id", flow_id).stdout, rf"(?m)^held by: +pid {pid} ")
        sql(self.source, answer["remedy"])
        self.held(flow_id, "nothing")

    def test_prepared_transaction(self):
        flow_id = self.start()
        sql(self.source, "BEGIN; INSERT INTO t (v) VALUES ('prepared'); PREPARE TRANSACTION 'left behind'")
        answer = self.held(flow_id)
        self.assertEqual(answer["object"], "left behind")
        self.assertIn("prepared transaction 'left behind'", answer["sentence"])
        sql(self.source, answer["remedy"])
        self.held(flow_id, "nothing")

    def test_gate(self):
        flow_id = self.start(ddl={"gate": True})
        sql(self.source, "ALTER TABLE t ADD w text; INSERT INTO t (v) VALUES ('behind the gate')")
        answer = self.waits_for(flow_id, "gate")
        event = json.loads(self.wallaby.admin("ddl", "list", "-flow-id", flow_id, "-json").stdout)["events"][0]["id"]
        self.assertEqual((answer["object"], answer["remedy"]), (event, f"wallaby-admin ddl approve -id {event}"))
        self.assertIn("of table public.t is pending", answer["sentence"])
        self.wallaby.admin("ddl", "approve", "-id", event)
        self.assertEqual(self.why(flow_id)["remedy"], f"wallaby-admin ddl apply -id {event}")
        self.wallaby.admin("ddl", "apply", "-id", event)
        answer = self.waits_for(flow_id, "paused")
        self.assertIn("the flow is paused", answer["sentence"])
        subprocess.run([os.path.join(os.path.dirname(self.wallaby.process.args[0]), *answer["remedy"].split()[:1]),
                        *answer["remedy"].split()[1:]], env=self.wallaby.env, check=True, capture_output=True)
        self.waits_for(flow_id, "nothing")

    def test_destination_that_is_down(self):
        server = Postgres(15)
        try:
            flow_id = self.start(target=server.dsn)
            server.stop()
            sql(self.source, "INSERT INTO t (v) VALUES ('late')")
            answer = self.waits_for(flow_id, "destination")
            self.assertEqual(answer["object"], "copy")
            self.assertRegex(answer["sentence"], r"^Destination copy does not take what arrives: attempts fail for ")
            self.assertNotEqual(answer["error"], "")
        finally:
            server.stop()

    def test_destination_that_is_stuck(self):
        flow_id = self.start()
        blocker = subprocess.Popen(["psql", "-XAtq", "-d", self.target], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.sessions.append(blocker)
        blocker.stdin.write("BEGIN; LOCK TABLE t; SELECT 1;\n")
        blocker.stdin.flush()
        blocker.stdout.readline()
        sql(self.source, "INSERT INTO t (v) VALUES ('waits')")
        answer = self.waits_for(flow_id, "destination")
        self.assertRegex(answer["sentence"], r"^Destination copy has been at one write for ")
        self.assertGreaterEqual(answer["destinations"][0]["busy_seconds"], 5)
        blocker.stdin.write("ROLLBACK;\n")
        blocker.stdin.flush()
        self.waits_for(flow_id, "nothing")

    def test_no_worker(self):
        flow_id = self.start()
        self.wallaby.stop_flow(flow_id)
        self.write_wal()
        answer = self.waits_for(flow_id, "no_worker")
        self.assertRegex(answer["sentence"], r"^No worker runs, because the flow is stopped; its slot keeps \d+ MiB of WAL\.$")
        self.assertEqual(answer["remedy"], f"wallaby-admin flow start -flow-id {flow_id}")
        text = self.wallaby.admin("why", "-flow-id", self.name).stdout
        self.assertRegex(text, r"^No worker runs.*\nNext: wallaby-admin flow start .*\n$")
        sql(self.source, f"SELECT pg_drop_replication_slot('{self.name}')")
        answer = self.waits_for(flow_id, "slot_missing")
        self.assertIn("-mode backfill", answer["remedy"])

    def test_source_that_decodes(self):
        flow_id = self.start()
        pid = int(sql(self.source, f"SELECT active_pid FROM pg_replication_slots WHERE slot_name = '{self.name}'")[0][0])
        os.kill(pid, signal.SIGSTOP)
        try:
            sql(self.source, "INSERT INTO t (v) SELECT repeat(md5(n::text), 100) FROM generate_series(1, 20000) n;"
                             "SELECT pg_switch_wal()")
            answer = self.waits_for(flow_id, "decoding")
            self.assertEqual(answer["object"], f"pid {pid}")
            self.assertGreater(int(answer["slot"]["sender"]["unsent_bytes"]), 1 << 20)
        finally:
            os.kill(pid, signal.SIGCONT)
        self.waits_for(flow_id, "nothing")

    def test_slot_that_grows_towards_its_limit(self):
        sql(self.postgres.dsn, "ALTER SYSTEM SET max_slot_wal_keep_size = '4GB'; SELECT pg_reload_conf()")
        try:
            flow_id = self.start()
            self.wallaby.stop_flow(flow_id)

            def growing():
                self.write_wal(1)
                slot = self.wallaby.get(flow_id)["slot"]
                return slot.get("growth", 0) > 0 and slot["seconds_to_limit"] > 0 and slot
            slot = wait_until(growing, 120, "growth, by two looks of the server", interval=2)
            self.assertEqual(int(slot["keep_limit_bytes"]), 4 << 30)
            self.assertGreater(int(slot["safe_wal_bytes"]), 0)
            self.assertIn("not shown by SQL", slot["disk"])
            text = self.wallaby.admin("flow", "get", "-flow-id", flow_id).stdout
            self.assertRegex(text, r"(?m)^WAL limit: +4.0 GiB, .* left, growing by .*/s, reached in ")

            def page():
                with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=30) as answer:
                    text = answer.read().decode()
                values = {}
                for short in ("growth", "safe_wal", "time_to_limit", "holder_age", "lost"):
                    found = re.search(rf'(?m)^wallaby_source_slot_{short}{{[^}}]*slot="{self.name}"[^}}]*}} (\S+)$', text)
                    if not found:
                        return None
                    values[short] = float(found.group(1))
                return values
            values = wait_until(page, 60, "all metrics of the slot")
            self.assertGreater(values["growth"], 0)
            self.assertGreater(values["time_to_limit"], 0)
            self.assertEqual(values["lost"], 0)
        finally:
            sql(self.postgres.dsn, "ALTER SYSTEM RESET max_slot_wal_keep_size; SELECT pg_reload_conf()")


if __name__ == "__main__":
    unittest.main()

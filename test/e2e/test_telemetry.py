"""What an operator sees of a real flow: the pages, the runtime trace, and that the trace keeps to the model."""

import http.server
import json
import os
import tempfile
import threading
import unittest
import urllib.request

from e2e.harness import Postgres, Wallaby, free_port, source_endpoint, sql, wait_until


def samples(page, name):
    """{labels: value} of one metric of a Prometheus page."""
    found = {}
    for line in page.splitlines():
        if line.startswith(name + "{") or line.startswith(name + " "):
            series, value = line.rsplit(" ", 1)
            found[series[len(name):]] = float(value)
    return found


class TelemetryTest(unittest.TestCase):
    def setUp(self):
        self.postgres = Postgres(15)
        self.addCleanup(self.postgres.stop)
        self.source = self.postgres.database("shop")
        sql(self.source, "CREATE TABLE orders (id int PRIMARY KEY, note text);"
                         "INSERT INTO orders SELECT n, 'copied' FROM generate_series(1, 50) n;")
        self.port = free_port()

    def start(self, **env):
        wallaby = Wallaby(env={"WALLABY_METRICS_LISTEN": f"127.0.0.1:{self.port}", **env})
        self.addCleanup(wallaby.close)
        wallaby.start()
        return wallaby

    def trace_file(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return os.path.join(folder.name, "trace.jsonl")

    def page(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def flow(self, wallaby, **config):
        return wallaby.create({
            "name": "shop", "config": config,
            "source": source_endpoint(self.source),
            "destinations": [{"name": name, "type": "duckdb", "options": {"dsn": os.path.join(wallaby.folder, name + ".db")}}
                             for name in ("lake", "copy")]})

    def test_pages_and_trace_of_a_flow_with_a_crash(self):
        trace = self.trace_file()
        wallaby = self.start(WALLABY_TRACE_PATH=trace)
        flow = self.flow(wallaby)
        label = f'{{flow_id="{flow}"}}'
        wait_until(lambda: samples(self.page(), "wallaby_records_processed_total").get(label, 0) >= 50, what="the copied rows")
        sql(self.source, "INSERT INTO orders SELECT n, 'streamed' FROM generate_series(51, 80) n")
        wait_until(lambda: samples(self.page(), "wallaby_records_processed_total").get(label, 0) >= 80, what="the streamed rows")
        page = self.page()
        self.assertEqual(samples(page, "wallaby_flows_active"), {"": 1})
        self.assertEqual(samples(page, "wallaby_ddl_gated_total"), {f'{{flow_id="{flow}",ddl_status="pending"}}': 0})
        for destination in ("lake", "copy"):
            self.assertGreater(samples(page, "wallaby_destination_write_total")[f'{{destination="{destination}",flow_id="{flow}"}}'], 0)
        self.assertIn(f'{{error_type="unavailable",flow_id="{flow}"}}', samples(page, "wallaby_errors_total"))
        self.assertEqual(len(samples(page, "wallaby_source_replication_lag")), 1)
        wait_until(lambda: samples(self.page(), "wallaby_checkpoints_commits_total").get(label, 0) >= 1, what="a checkpoint")

        for pid in wallaby.worker_pids(flow):
            os.kill(pid, 9)
        sql(self.source, "INSERT INTO orders SELECT n, 'after' FROM generate_series(81, 90) n")
        wallaby.await_delivery(flow, self.source, "wallaby_test")
        wallaby.stop_flow(flow)
        with open(trace) as lines:
            events = [json.loads(line) for line in lines]
        actions = [event["spec_action"] for event in events]
        for action in ("Start", "CrashRestore", "ReadBatch", "Deliver", "Checkpoint", "Acknowledge", "Stop"):
            self.assertIn(action, actions)
        self.assertEqual(len({event["generation"] for event in events if event["spec_action"] == "CrashRestore"}), 2)
        self.assertIn("keeps to the model", wallaby.admin("trace", "check", "-file", trace).stdout)
        # The checker really reads what is written: an acknowledgement that was never checkpointed is found.
        last = max(i for i, event in enumerate(events) if event["spec_action"] == "Checkpoint")
        broken = os.path.join(os.path.dirname(trace), "broken.jsonl")
        with open(broken, "w") as out:
            for event in events[:last] + [dict(events[last], spec_action="Acknowledge", lsn="FFFF/0")]:
                out.write(json.dumps(event) + "\n")
        self.assertIn(f"line {last + 1}:", wallaby.admin("trace", "check", "-file", broken, check=False).stderr)

    def test_server_and_worker_send_through_otlp(self):
        received = {}

        class Collector(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                received[self.path] = received.get(self.path, b"") + self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args):
                pass

        collector = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
        self.addCleanup(collector.server_close)
        self.addCleanup(collector.shutdown)
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        wallaby = self.start(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.server_port}",
                             WALLABY_OTEL_METRICS_INTERVAL="200ms")
        flow = self.flow(wallaby)
        wait_until(lambda: wallaby.get(flow).get("activity") == "streaming", what="streaming")
        sql(self.source, "INSERT INTO orders VALUES (200, 'sent')")
        wallaby.await_delivery(flow, self.source, "wallaby_test")
        metrics = lambda name: name in received.get("/v1/metrics", b"")
        for name in (b"wallaby.ddl.gated_total", b"wallaby.flows.active", b"wallaby.records.processed", b"wallaby-worker"):
            wait_until(lambda: metrics(name), what=str(name))
        wallaby.stop_flow(flow)
        for span in (b"stream.batch", b"source.read", b"source.process", b"destination.write"):
            self.assertIn(span, received["/v1/traces"])
        self.assertIn(b"worker started", received["/v1/logs"])

    def test_a_gate_is_counted_and_traced(self):
        trace = self.trace_file()
        wallaby = self.start(WALLABY_TRACE_PATH=trace, WALLABY_DDL_GATE="true")
        flow = self.flow(wallaby)
        series = f'{{flow_id="{flow}",ddl_status="pending"}}'
        wait_until(lambda: wallaby.get(flow).get("activity") == "streaming", what="streaming")
        self.assertEqual(samples(self.page(), "wallaby_ddl_gated_total")[series], 0)
        sql(self.source, "ALTER TABLE orders ADD COLUMN size int; INSERT INTO orders VALUES (100, 'new', 7)")
        wait_until(lambda: samples(self.page(), "wallaby_ddl_gated_total")[series] == 1, what="the gate's count")
        wait_until(lambda: samples(self.page(), "wallaby_flow_state")[f'{{flow_id="{flow}",state="paused"}}'] == 1, what="paused")
        wallaby.admin("ddl", "approve", "-id", "1")
        wallaby.admin("ddl", "apply", "-id", "1")
        wallaby.admin("flow", "resume", "-flow-id", flow)
        wallaby.await_delivery(flow, self.source, "wallaby_test")
        self.assertEqual(samples(self.page(), "wallaby_ddl_gated_total")[series], 1)
        wallaby.stop_flow(flow)
        with open(trace) as lines:
            events = [json.loads(line) for line in lines]
        gates = [event for event in events if event["spec_action"] == "ReadDDL"]
        self.assertEqual(len(gates), 1)
        self.assertEqual(gates[0]["flow_state"], "Paused")
        self.assertEqual(gates[0]["flow_id"], flow)
        self.assertIn("ADD COLUMN size", gates[0]["ddl"])
        self.assertIn("keeps to the model", wallaby.admin("trace", "check", "-file", trace).stdout)


if __name__ == "__main__":
    unittest.main()

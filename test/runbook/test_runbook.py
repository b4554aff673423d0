"""Executes the operator's page, docs/runbook.md: its commands as they are printed, against a live system, and looks for what
it says. Real PostgreSQL, server, worker, grpcurl, Prometheus. A command or a statement that does not hold fails the test.

What the page prints is taken from the page; only <id> and <admin-host> are filled in. Ports are the page's own, so the test
runs in a network of its own (private_network.py).
"""

import json
import os
import re
import socket
import ssl
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request

from e2e.harness import BIN_DIR, SOURCE_DIR, Postgres, Wallaby, duckdb_rows, source_endpoint, sql, wait_until

DEPS = os.environ.get("WALLABY_DEPS_DIR") or os.path.join(SOURCE_DIR, ".deps")
METRICS, ADMIN, PROMETHEUS = "127.0.0.1:9108", "127.0.0.1:8081", "127.0.0.1:9090"


def program(name):
    """A test server's program: of the project's own folder, else of the machine."""
    own = os.path.join(DEPS, "tools", name)
    return own if os.path.exists(own) else name


class Page:
    """The page, by section."""

    def __init__(self):
        with open(os.path.join(SOURCE_DIR, "docs/runbook.md"), encoding="utf-8") as f:
            self.text = f.read()
        self.sections = {}
        for part in re.split(r"^(?=#{2,3} )", self.text, flags=re.M)[1:]:
            title, _, body = part.partition("\n")
            self.sections[title.lstrip("# ")] = body

    def blocks(self, section, language):
        return [block.strip() for block in re.findall(rf"^```{language}\n(.*?)^```$", self.sections[section],
                                                      flags=re.M | re.S)]

    def commands(self, section):
        return [line for block in self.blocks(section, "bash") for line in block.splitlines() if line.strip()]

    def has(self, section, text):
        if text not in self.sections[section]:
            raise AssertionError(f"section {section} of the page does not say: {text}")


class RunbookTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.page = Page()
        cls.postgres = Postgres(15)
        cls.prometheus = None

    @classmethod
    def tearDownClass(cls):
        cls.postgres.stop()

    def begin(self, folder=None, **env):
        name = self.id().rsplit(".", 1)[1]
        self.trace = os.path.join(tempfile.mkdtemp(prefix="wallaby-runbook-"), "trace.jsonl")
        self.wallaby = Wallaby({"WALLABY_METRICS_LISTEN": METRICS, "WALLABY_ADMIN_LISTEN": ADMIN,
                                "WALLABY_TRACE_PATH": self.trace, **env}, folder)
        self.addCleanup(self.wallaby.close)
        # The page's port.
        self.wallaby.env.update(WALLABY_GRPC_LISTEN="127.0.0.1:8080")
        self.wallaby.env.pop("WALLABY_ENDPOINT")
        self.wallaby.env["PATH"] = ":".join([BIN_DIR, os.path.join(DEPS, "tools"), os.environ["PATH"]])
        self.wallaby.start()
        self.source = self.postgres.database("s_" + name)
        self.slot = "slot_" + name
        self.duck = os.path.join(self.wallaby.folder, "copy.duckdb")
        sql(self.source, "CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'one')")
        self.flow = self.wallaby.create({
            "name": name, "id": "shop",
            "source": source_endpoint(self.source, slot=self.slot, publication="p", publication_tables="public.orders"),
            "destinations": [{"name": "lake", "type": "duckdb", "options": {"dsn": self.duck}}]})
        wait_until(lambda: self.get().get("activity") == "streaming", 60, "the snapshot's end")

    def get(self):
        return self.wallaby.get(self.flow)

    def state(self):
        return self.get()["state"].lower().removeprefix("flow_state_")

    def run_printed(self, command, replacements, check=True):
        for name, value in replacements.items():
            command = command.replace(name, str(value))
        self.assertNotIn("<", command, "a placeholder of the page was not filled in")
        result = subprocess.run(["bash", "-c", command], env=self.wallaby.env, capture_output=True, text=True, timeout=120)
        if check and result.returncode != 0:
            raise AssertionError(f"{command}\nexit {result.returncode}\n{result.stdout}{result.stderr}\n"
                                 f"{self.wallaby.log()[-3000:]}")
        return result

    @staticmethod
    def listens(address):
        host, port = address.split(":")
        with socket.socket() as s:
            return s.connect_ex((host, int(port))) == 0

    def metric(self, name, labels=""):
        with urllib.request.urlopen(f"http://{METRICS}/metrics", timeout=10) as answer:
            page = answer.read().decode()
        found = [line for line in page.splitlines() if line.startswith(name + "{") and labels in line]
        return float(found[0].rsplit(" ", 1)[1]) if found else None

    def gate(self, ddl):
        sql(self.source, ddl)
        wait_until(lambda: self.state() == "paused", 60, "the gate\n" + self.wallaby.log()[-2000:])
        wait_until(lambda: not self.wallaby.worker_pids(self.flow), 30, "the worker's end")

    def start_prometheus(self):
        """Prometheus with the page's own rule, its times shortened, in front of the server."""
        import yaml
        rule = yaml.safe_load(self.page.blocks("Alerting example (OTEL → Prometheus)", "yaml")[0])
        self.assertEqual(rule["kind"], "PrometheusRule")
        with open(os.path.join(SOURCE_DIR, "deploy/prometheus/wallaby-ddl-gates.yaml"), encoding="utf-8") as f:
            self.assertEqual(yaml.safe_load(f), rule, "deploy/prometheus has another rule than the page")
        alert = rule["spec"]["groups"][0]["rules"][0]
        self.assertEqual(alert["alert"], "WallabyDDLGated")
        self.assertEqual(alert["expr"], "increase(wallaby_ddl_gated_total[5m]) > 0")
        self.assertEqual(alert["for"], "1m")
        alert["expr"] = alert["expr"].replace("5m", "15s")
        alert["for"] = "1s"
        folder = tempfile.mkdtemp(prefix="wallaby-prometheus-")
        with open(f"{folder}/rules.yml", "w", encoding="utf-8") as f:
            yaml.safe_dump({"groups": rule["spec"]["groups"]}, f)
        with open(f"{folder}/prometheus.yml", "w", encoding="utf-8") as f:
            yaml.safe_dump({"global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                            "rule_files": ["rules.yml"],
                            "scrape_configs": [{"job_name": "wallaby", "static_configs": [{"targets": [METRICS]}]}]}, f)
        log = open(f"{folder}/log", "wb")  # noqa: SIM115: lives as long as the process
        process = subprocess.Popen([program("prometheus"), f"--config.file={folder}/prometheus.yml",
                                    f"--storage.tsdb.path={folder}/data", f"--web.listen-address={PROMETHEUS}"],
                                   stdout=log, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        wait_until(lambda: self.ask_prometheus("query?query=wallaby_ddl_gated_total")["result"], 60,
                   "the metric in Prometheus")

    def ask_prometheus(self, path):
        try:
            with urllib.request.urlopen(f"http://{PROMETHEUS}/api/v1/{path}", timeout=10) as answer:
                return json.load(answer)["data"]
        except (urllib.error.URLError, ConnectionError):
            return {"result": [], "groups": []}

    def alert_state(self):
        groups = self.ask_prometheus("rules?type=alert")["groups"]
        return groups[0]["rules"][0]["state"] if groups else None

    def trace_events(self):
        with open(self.trace, encoding="utf-8") as f:
            return [json.loads(line) for line in f]

    # ---- DDL Gating ----

    def test_ddl_gating(self):
        self.begin(WALLABY_DDL_GATE="true")
        self.start_prometheus()
        self.assertEqual(self.metric("wallaby_ddl_gated_total"), 0)
        wait_until(lambda: self.alert_state() == "inactive", 30, "the rule's first evaluation")

        # "WALlaby pauses the flow on DDL events until they are approved."
        self.gate("ALTER TABLE orders ADD COLUMN place text; INSERT INTO orders VALUES (2, 'two', 'here')")
        self.detecting_a_gate()
        wait_until(lambda: self.alert_state() == "firing", 60, "the alert")
        self.log_to_alert()
        event = self.approve_and_apply()
        self.resume_flow()
        # "inactive" again once the window has passed, though the counter stays.
        wait_until(lambda: self.alert_state() == "inactive", 60, "the end of the alert")
        self.assertEqual(self.metric("wallaby_ddl_gated_total"), 1)
        self.never_again(event)
        result = self.wallaby.admin("trace", "check", "-file", self.trace, check=False)
        self.assertEqual(result.returncode, 0, result.stderr + result.stdout)

    def detecting_a_gate(self):
        section = "Detecting a gate"
        self.page.has(section, "Flow state transitions to `paused` with reason `ddl_pending`.")
        flow = self.get()
        self.assertEqual((self.state(), flow["reason"]), ("paused", "ddl_pending"))
        self.page.has(section, "Metric: `wallaby.ddl.gated_total` increments per gated event.")
        wait_until(lambda: self.metric("wallaby_ddl_gated_total", 'flow_id="shop"') == 1, 30, "the metric")
        self.page.has(section, "Trace events contain `spec_action=ReadDDL` and `flow_state=Paused`.")
        gates = [e for e in self.trace_events() if e["spec_action"] == "ReadDDL"]
        self.assertEqual([e["flow_state"] for e in gates], ["Paused"])

    def log_to_alert(self):
        section = "Log-to-alert example"
        selector, wanted = re.fullmatch(r'\{app="(\w+)"\} \|= "(\w+)"', self.page.blocks(section, "")[0]).groups()
        lines = [json.loads(line) for line in self.wallaby.log().splitlines() if line.startswith("{") and wanted in line]
        self.assertEqual([line["app"] for line in lines], [selector])
        self.assertEqual(lines[0]["flow_id"], "shop")

    def approve_and_apply(self):
        section = "Approve + apply DDL"
        listing, approve, apply, grpcurl = self.page.commands(section)
        # The grpcurl line first: it asks for what is pending.
        answer = json.loads(self.run_printed(grpcurl, {}).stdout)
        self.assertEqual([e["ddl"] for e in answer["events"]],
                         ["ALTER TABLE orders ADD COLUMN place text;"])
        event = int(answer["events"][0]["id"])
        refused = self.run_printed(self.page.commands("Resume flow")[0], {"<id>": self.flow}, check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn(f"DDL event {event}", refused.stderr)
        out = self.run_printed(listing, {}).stdout
        self.assertRegex(out, rf"(?m)^ *{event} .*pending.*ALTER TABLE orders ADD COLUMN place text")
        self.run_printed(approve, {"<id>": event})
        self.run_printed(apply, {"<id>": event})
        self.assertEqual(json.loads(self.run_printed(grpcurl, {}).stdout or "{}").get("events", []), [])
        return event

    def resume_flow(self):
        (resume,) = self.page.commands("Resume flow")
        self.run_printed(resume, {"<id>": self.flow})
        self.wallaby.await_delivery(self.flow, self.source, self.slot)
        self.assertEqual(self.state(), "running")

    def never_again(self, event):
        """After a restart of worker and server the same DDL does not gate again, and the rows behind it are there."""
        self.wallaby.stop_flow(self.flow)
        self.wallaby.kill()
        self.wallaby.start()
        # The server answers calls before its pages are up.
        wait_until(lambda: self.listens(METRICS), 30, "the metrics page")
        self.assertEqual(self.metric("wallaby_ddl_gated_total"), 1)
        sql(self.source, "UPDATE orders SET place = 'there' WHERE id = 1")
        self.wallaby.admin("flow", "start", "-flow-id", self.flow)
        self.wallaby.await_delivery(self.flow, self.source, self.slot)
        self.wallaby.stop_flow(self.flow)
        self.assertEqual(duckdb_rows(self.duck, "SELECT id, note, place FROM orders ORDER BY 1"),
                         [(1, "one", "there"), (2, "two", "here")])
        events = json.loads(self.wallaby.admin("ddl", "list", "-json").stdout)["events"]
        self.assertEqual([(int(e["id"]), e["status"]) for e in events], [(event, "applied")])

    def test_both_autos_never_pause(self):
        self.page.has("Resume flow", "If `WALLABY_DDL_AUTO_APPROVE=true` and `WALLABY_DDL_AUTO_APPLY=true`, "
                                     "WALlaby will not pause.")
        self.begin(WALLABY_DDL_GATE="true", WALLABY_DDL_AUTO_APPROVE="true", WALLABY_DDL_AUTO_APPLY="true")
        sql(self.source, "ALTER TABLE orders ADD COLUMN place text; INSERT INTO orders VALUES (2, 'two', 'here')")
        self.wallaby.await_delivery(self.flow, self.source, self.slot)
        self.assertEqual(self.state(), "running")
        self.assertEqual(self.metric("wallaby_ddl_gated_total"), 0)
        self.wallaby.stop_flow(self.flow)
        self.assertEqual(duckdb_rows(self.duck, "SELECT id, place FROM orders ORDER BY 1"), [(1, None), (2, "here")])

    # ---- Recovery Playbook ----

    def test_flow_worker_stalled(self):
        section = "Flow worker stalled"
        self.begin()
        # "Check last checkpoint (`wallaby-admin flow get` ...)."
        self.page.has(section, "`wallaby-admin flow get`")
        out = self.run_printed("wallaby-admin flow get -flow-id <id>", {"<id>": self.flow}).stdout
        for wanted in ("checkpoint", "lag", "slot", "last error", "pending DDL"):
            self.assertIn(wanted, out)
        # "Verify replication slot status in Postgres (`pg_replication_slots`)."
        self.page.has(section, "`pg_replication_slots`")
        self.assertEqual(sql(self.source, f"SELECT active FROM pg_replication_slots WHERE slot_name = '{self.slot}'"),
                         [["t"]])
        # "If the slot is stuck, restart the flow worker with `-max-empty-reads=1` for a quick probe run."
        self.page.has(section, "`-max-empty-reads=1`")
        probe = "wallaby-worker -flow-id <id> -max-empty-reads=1"
        self.wallaby.stop_flow(self.flow)
        sql(self.source, "INSERT INTO orders SELECT n, 'probe' FROM generate_series(10, 19) n")
        result = self.run_printed(probe, {"<id>": self.flow})
        self.assertRegex(result.stderr, r"worker ended: 10 changes delivered, position [0-9A-F]+/[0-9A-F]+, slot "
                         rf"{self.slot} reserved, confirmed")
        self.assertEqual(duckdb_rows(self.duck, "SELECT count(*) FROM orders"), [(11,)])
        # Also while somebody else holds the slot: a clear line with the pid, and exit 1.
        holder = subprocess.Popen(["pg_recvlogical", "-d", self.source, "--slot", self.slot, "--start", "-f", "/dev/null",
                                   "-o", "proto_version=1", "-o", "publication_names=p"], stderr=subprocess.DEVNULL)
        self.addCleanup(holder.wait)
        self.addCleanup(holder.kill)
        pid = wait_until(lambda: sql(self.source, "SELECT active_pid FROM pg_replication_slots WHERE slot_name = "
                                     f"'{self.slot}'")[0][0], 30, "the holder of the slot")
        result = self.run_printed(probe, {"<id>": self.flow}, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"pid {pid}", result.stderr)

    def test_kubernetes_dispatch_recovery(self):
        """The line as printed, with local dispatch: what the page says of jobs holds for worker processes, too."""
        section = "Kubernetes dispatch recovery"
        (line,) = self.page.commands(section)
        self.begin()
        # "If a job is already active it will return success; if the last job finished, it launches a new attempt."
        before = self.wallaby.worker_pids(self.flow)
        self.assertEqual(json.loads(self.run_printed(line, {"<id>": self.flow}).stdout), {"dispatched": True})
        self.assertEqual(self.wallaby.worker_pids(self.flow), before)
        self.wallaby.stop_flow(self.flow)
        sql(self.source, "INSERT INTO orders VALUES (2, 'two')")
        self.assertEqual(json.loads(self.run_printed(line, {"<id>": self.flow}).stdout), {"dispatched": True})
        self.wallaby.await_delivery(self.flow, self.source, self.slot)

    def test_kubernetes_dispatch_recovery_makes_jobs(self):
        """The same line, with a real API server and Job controller."""
        script = os.path.join(SOURCE_DIR, "test/servers/kubernetes")
        if os.environ.get("WALLABY_TEST_KUBERNETES") != "1" and subprocess.run([script, "available"]).returncode != 0:
            self.skipTest("there is no Kubernetes API server here; WALLABY_TEST_KUBERNETES=1 builds one on first use "
                          "(about 8 minutes), as does test/servers/kubernetes fetch")
        url, cluster = subprocess.run([script, "start", "--owner", str(os.getpid())], check=True, capture_output=True,
                                      text=True).stdout.strip().split("\t")
        self.addCleanup(subprocess.run, [script, "stop", cluster])
        with open(f"{cluster}/token", encoding="utf-8") as f:
            token = f.read().strip()

        def jobs():
            request = urllib.request.Request(f"{url}/apis/batch/v1/namespaces/default/jobs?labelSelector=app%3Dwallaby",
                                             headers={"Authorization": f"Bearer {token}"})
            opener = urllib.request.build_opener(urllib.request.HTTPSHandler(
                context=ssl.create_default_context(cafile=f"{cluster}/ca.crt")))
            with opener.open(request, timeout=10) as answer:
                return {job["metadata"]["name"]: job for job in json.load(answer)["items"]}

        (line,) = self.page.commands("Kubernetes dispatch recovery")
        folder = tempfile.mkdtemp(prefix="wallaby-runbook-")
        self.begin(folder, WALLABY_K8S_ENABLED="true", WALLABY_K8S_API_SERVER=url, WALLABY_K8S_TOKEN=token,
                   WALLABY_K8S_CA_FILE=f"{cluster}/ca.crt", WALLABY_K8S_JOB_IMAGE="wallaby:test",
                   WALLABY_K8S_JOB_COMMAND=os.path.join(BIN_DIR, "wallaby-worker"),
                   WALLABY_K8S_JOB_ENV=f"WALLABY_DATA_DIR={folder}/data")
        first = jobs()
        self.assertEqual(len(first), 1)
        # "if a job is already active it will return success"
        self.assertEqual(json.loads(self.run_printed(line, {"<id>": self.flow}).stdout), {"dispatched": True})
        self.assertEqual(jobs().keys(), first.keys())
        # "if the last job finished, it launches a new attempt"
        self.wallaby.stop_flow(self.flow)
        for number in (2, 3):
            sql(self.source, f"INSERT INTO orders VALUES ({number}, 'more')")
            before = jobs()
            self.assertEqual(json.loads(self.run_printed(line, {"<id>": self.flow}).stdout), {"dispatched": True})
            (new,) = jobs().keys() - before.keys()
            wait_until(lambda name=new: any(c["type"] == "Complete" for c in jobs()[name]["status"].get("conditions", [])),
                       60, "the Job's end\n" + self.wallaby.log()[-2000:])
        self.assertEqual(duckdb_rows(self.duck, "SELECT count(*) FROM orders"), [(3,)])

    def test_dbos_recovery(self):
        """The line as printed, at one server, brings back what another that was killed left behind."""
        section = "DBOS recovery"
        self.page.has(section, "Use the admin recovery endpoint (if enabled) to re-run failed workflows")
        (line,) = self.page.commands(section)
        system = self.postgres.database("dbos")
        dispatch = {"WALLABY_POSTGRES_DSN": system, "WALLABY_DBOS_ENABLED": "true", "WALLABY_SECRET_KEY": "5" * 64}
        self.begin(DBOS__VMID="server-1", **dispatch)
        other = Wallaby({"WALLABY_ADMIN_LISTEN": "127.0.0.1:8082", "DBOS__VMID": "server-2", **dispatch})
        self.addCleanup(other.close)
        other.start()
        self.assertEqual(self.run_printed(line, {"<admin-host>": ADMIN}).stdout, "[]\n")  # all live
        ((run, executor),) = sql(system, "SELECT workflow_uuid, executor_id FROM dbos.workflow_status WHERE status = 'PENDING'")
        self.assertEqual(executor, "server-1")
        self.wallaby.kill()
        wait_until(lambda: not self.wallaby.worker_pids(), 30, "the end of the killed server's worker")
        self.assertEqual(json.loads(self.run_printed(line, {"<admin-host>": "127.0.0.1:8082"}).stdout), [run])
        wait_until(lambda: other.worker_pids(self.flow), 30, "the worker at the other server\n" + other.log()[-2000:])
        sql(self.source, "INSERT INTO orders VALUES (2, 'two')")
        other.await_delivery(self.flow, self.source, self.slot)
        self.assertEqual(sql(system, "SELECT status, executor_id, recovery_attempts FROM dbos.workflow_status"),
                         [["PENDING", "server-2", "2"]])
        for path in ("healthz", "readyz", "metrics", "dbos-healthz"):
            with urllib.request.urlopen(f"http://127.0.0.1:8082/{path}", timeout=10) as answer:
                self.assertEqual(answer.status, 200)
        other.stop_flow(self.flow)
        self.assertEqual(duckdb_rows(self.duck, "SELECT id FROM orders ORDER BY 1"), [(1,), (2,)])

    def test_dbos_recovery_says_when_dbos_is_off(self):
        (line,) = self.page.commands("DBOS recovery")
        self.begin()
        self.assertIn("DBOS is not enabled", self.run_printed(line, {"<admin-host>": ADMIN}).stdout)

    def test_ddl_gating_recovery(self):
        """The three steps, for several events of one transaction, and a second one behind it."""
        self.page.has("DDL gating recovery", "1) List pending DDL events.\n2) Approve/apply the event.\n3) Resume the flow.")
        self.begin(WALLABY_DDL_GATE="true")
        self.gate("BEGIN; ALTER TABLE orders ADD a int; ALTER TABLE orders RENAME note TO remark; COMMIT;"
                  "ALTER TABLE orders ADD b int; INSERT INTO orders VALUES (2, 'two', 3, 4)")
        _, approve, apply, grpcurl = self.page.commands("Approve + apply DDL")
        (resume,) = self.page.commands("Resume flow")
        for expected in (2, 1):
            wait_until(lambda: self.state() == "paused", 60, "the gate")
            events = json.loads(self.run_printed(grpcurl, {}).stdout)["events"]
            self.assertEqual(len(events), expected)
            for event in events:
                self.run_printed(approve, {"<id>": event["id"]})
                self.run_printed(apply, {"<id>": event["id"]})
            self.run_printed(resume, {"<id>": self.flow})
        self.wallaby.await_delivery(self.flow, self.source, self.slot)
        wait_until(lambda: self.metric("wallaby_ddl_gated_total", 'flow_id="shop"') == 3, 30, "the metric")
        self.wallaby.stop_flow(self.flow)
        self.assertEqual(duckdb_rows(self.duck, "SELECT id, remark, a, b FROM orders ORDER BY 1"),
                         [(1, "one", None, None), (2, "two", 3, 4)])

    def test_the_page_holds_no_command_that_is_not_run_here(self):
        run = {"Approve + apply DDL": 4, "Resume flow": 1, "Kubernetes dispatch recovery": 1, "DBOS recovery": 1}
        for section in self.page.sections:
            self.assertEqual(len(self.page.commands(section)), run.get(section, 0), section)


if __name__ == "__main__":
    unittest.main()

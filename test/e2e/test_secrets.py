"""Secrets of flows: references, what the store and the log hold, and the least role that a flow can do with at its source."""

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
import unittest
import urllib.request

import yaml

from e2e.harness import BIN_DIR, SOURCE_DIR, Postgres, PostgresTest, Wallaby, free_port, sql, wait_until
from e2e.receiver_process import Receiver

PASSWORD = "Sup3r'Secret\\ pw"
KEY = "5" * 64


class SecretsTest(PostgresTest):
    def setUp(self):
        name = self.id().rsplit(".", 1)[1][5:][:30]
        self.slot = "s_" + name
        self.source = self.postgres.database("source_" + name)
        self.target = self.postgres.database("target_" + name)
        self.store = self.postgres.database("store_" + name)
        sql(self.source, "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one')")
        self.folder = tempfile.mkdtemp(prefix="wallaby-secrets-")
        self.addCleanup(shutil.rmtree, self.folder)

    def begin(self, **env):
        self.wallaby = Wallaby(env)
        self.addCleanup(self.wallaby.close)
        return self.wallaby.start()

    def pairs(self, dsn, password):
        """The same server as key=value pairs, with a password, which trusting servers ignore."""
        host, port, database = re.search(r"@([^:/]+):(\d+)/([^?]+)", dsn).groups()
        return f"host={host} port={port} dbname={database} user=postgres password={password}"

    def flow(self, source_dsn, target_dsn):
        return {"name": self.slot, "source": {"name": "shop", "type": "postgres", "options": {
            "dsn": source_dsn, "slot": self.slot, "publication": self.slot, "status_interval": "1s"}},
            "destinations": [{"name": "copy", "type": "postgres", "options": {"dsn": target_dsn}}]}

    def secret_file(self, text):
        path = os.path.join(self.folder, "dsn")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text + "\n")
        return path

    def delivers(self, flow_id):
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        self.assertEqual(sql(self.target, "SELECT * FROM t"), [["1", "one"]])

    def dump(self):
        return subprocess.run(["pg_dump", "-d", self.store], check=True, capture_output=True, text=True).stdout

    def test_references_are_followed_and_shown_as_they_are(self):
        file = self.secret_file(self.pairs(self.target, PASSWORD.replace("\\", "\\\\").replace("'", "\\'").replace(" ", "\\ ")))
        # A shared store without a key takes references.
        self.begin(WALLABY_POSTGRES_DSN=self.store, SHOP_PASSWORD=PASSWORD)
        flow_id = self.wallaby.create(self.flow(self.pairs(self.source, "env:SHOP_PASSWORD"), "file:" + file))
        self.delivers(flow_id)
        shown = self.wallaby.get(flow_id)
        self.assertIn("password=env:SHOP_PASSWORD", shown["source"]["options"]["dsn"])
        self.assertEqual(shown["destinations"][0]["options"]["dsn"], "file:" + file)
        # The server follows them too.
        self.assertEqual(shown["slot"]["active"], True, shown)
        self.wallaby.stop_flow(flow_id)
        self.assertIn("env:SHOP_PASSWORD", self.dump())
        for text in (self.dump(), self.wallaby.log(), json.dumps(shown)):
            self.assertNotIn("Sup3r", text)

    def test_a_missing_reference_fails_the_flow_by_name(self):
        self.begin()
        for dsn, says in (("env:NOBODY_SET_THIS", "NOBODY_SET_THIS"), ("file:/nowhere/dsn", "/nowhere/dsn")):
            flow = self.flow(dsn, self.target)
            path = os.path.join(self.folder, "flow.json")
            with open(path, "w", encoding="utf-8") as f:
                json.dump(flow, f)
            found = self.wallaby.admin("flow", "validate", "-file", path)
            self.assertIn("warning", found.stdout)
            self.assertIn(says, found.stdout)
            flow_id = self.wallaby.create(flow)
            failed = wait_until(lambda flow_id=flow_id: (f := self.wallaby.get(flow_id)) and "FAILED" in f["state"] and f, 60,
                                "state failed\n" + self.wallaby.log()[-2000:])
            self.assertIn(says, failed["reason"])
            self.assertIn("option dsn of source 'shop'", failed["reason"])
            wait_until(lambda flow_id=flow_id: not self.wallaby.worker_pids(flow_id), 30, "the worker's end")
            self.wallaby.admin("flow", "delete", "-flow-id", flow_id)

    def test_a_reference_that_is_mended(self):
        self.begin()
        file = os.path.join(self.folder, "dsn")
        flow_id = self.wallaby.create(self.flow(self.source, "file:" + file))
        failed = wait_until(lambda: (f := self.wallaby.get(flow_id)) and "FAILED" in f["state"] and f, 60, "state failed")
        self.assertIn("option dsn of destination 'copy'", failed["reason"])
        wait_until(lambda: not self.wallaby.worker_pids(flow_id), 30, "the worker's end")
        self.secret_file(self.target)
        self.wallaby.admin("flow", "start", "-flow-id", flow_id)
        self.delivers(flow_id)

    def test_bad_references_are_refused_at_create(self):
        self.begin()
        for dsn, says in (("env:SHOP-DSN", "env:NAME"), ("file:dsn", "absolute path"), ("env:WALLABY_SECRET_KEY", "of WALlaby itself")):
            with self.assertRaises(AssertionError) as caught:
                self.wallaby.create(self.flow(dsn, self.target), start=False)
            self.assertIn(says, str(caught.exception))

    def put(self, command, flow, says=None):
        """flow create or update; `says`: it is refused with this text."""
        path = os.path.join(self.folder, "flow.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(flow, f)
        done = self.wallaby.admin("flow", command, "-file", path, check=False)
        if says is None:
            self.assertEqual(done.returncode, 0, done.stderr)
        else:
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn(says, done.stderr)
        return done.stdout + done.stderr

    def test_a_mask_does_not_follow_to_another_server(self):
        self.begin()
        kafka = {"security_protocol": "sasl_plaintext", "sasl_mechanism": "PLAIN", "sasl_username": "u", "topic": "x",
                 "sasl_password": "Sup3rSecret"}
        for name, kind, options, move in (
                ("hook", "http", {"url": "https://good.example/in", "headers": "Authorization:Bearer Sup3rSecret"},
                 {"url": "http://evil.example/in"}),
                ("queue", "kafka", {"brokers": "good:9092", **kafka}, {"brokers": "evil:9092"})):
            flow = {**self.flow(self.source, self.target), "id": name, "name": name}
            flow["destinations"] = [{"name": "d", "type": kind, "options": options}]
            self.put("create", flow)
            shown = self.wallaby.get(name)["destinations"][0]["options"]
            self.assertNotIn("Sup3r", json.dumps(shown))
            flow["destinations"][0]["options"] = {**shown, **move}
            self.put("update", flow, says="give the secret itself")
            self.assertEqual(self.wallaby.get(name)["destinations"][0]["options"], shown)
            # With its own server it stays.
            flow["destinations"][0]["options"] = {**shown, "write_mode": "append"}
            self.put("update", flow)

    def test_urls_of_webhooks(self):
        secrets = ("SECRETPW", "SECRETTOK", "SECRETSIG", "SECRETPATH")
        self.begin(WALLABY_POSTGRES_DSN=self.store)

        def hook(url, **options):
            flow = {**self.flow(self.source, self.target), "id": "hook", "name": "hook"}
            return {**flow, "destinations": [{"name": "h", "type": "http", "options": {"url": url, **options}}]}

        self.put("create", hook("http://u:SECRETPW@127.0.0.1:1/SECRETPATH?access_token=SECRETTOK"), says="belong into headers")
        self.put("create", hook("https://127.0.0.1:1/in?sig=SECRETSIG"), says="WALLABY_SECRET_KEY")
        self.put("create", {**hook(""), "destinations": [{"name": "s", "type": "s3", "options": {
            "bucket": "b", "endpoint": "https://AK:SECRETPW@s3.example"}}]}, says="AK:******@s3.example")
        self.put("create", hook("https://127.0.0.1:1/in?version=SECRETSIG"))
        self.assertEqual(self.wallaby.get("hook")["destinations"][0]["options"]["url"], "https://127.0.0.1:1/in?version=******")
        self.assertNotIn("SECRETTOK", self.dump())
        for secret in secrets:
            self.assertNotIn(secret, self.wallaby.log())

    def test_a_url_by_reference(self):
        receiver = Receiver(self.folder, "hook")
        self.addCleanup(receiver.kill)
        wait_until(receiver.listens, 60, "the receiver")
        self.begin(WALLABY_POSTGRES_DSN=self.store, HOOK_URL=f"http://127.0.0.1:{receiver.port}/services/SECRETPATH/{{table}}",
                   BAD_URL="127.0.0.1/services/SECRETPATH")
        flow = self.flow(self.source, self.target)
        flow["destinations"] = [{"name": "h", "type": "http", "options": {"url": "env:HOOK_URL", "payload_mode": "record_json"}}]
        flow_id = self.wallaby.create(flow)
        wait_until(receiver.taken, 60, "a request\n" + self.wallaby.log()[-2000:])
        self.assertEqual(self.wallaby.get(flow_id)["destinations"][0]["options"]["url"], "env:HOOK_URL")
        self.wallaby.stop_flow(flow_id)
        # One that is wrong is not told.
        flow["id"] = flow_id
        flow["destinations"][0]["options"]["url"] = "env:BAD_URL"
        self.put("update", flow)
        self.wallaby.admin("flow", "start", "-flow-id", flow_id)
        failed = wait_until(lambda: (f := self.wallaby.get(flow_id)) and "FAILED" in f["state"] and f, 60,
                            "state failed\n" + self.wallaby.log()[-2000:])
        self.assertIn("option url of destination 'h'", failed["reason"])
        for text in (self.dump(), self.wallaby.log(), json.dumps(failed)):
            self.assertNotIn("SECRETPATH", text)

    def test_a_shared_store_takes_no_secret_in_clear(self):
        self.begin(WALLABY_POSTGRES_DSN=self.store)
        for flow in (self.flow(self.pairs(self.source, "Sup3rSecret"), self.target),
                     self.flow(self.source, self.pairs(self.target, "Sup3rSecret"))):
            with self.assertRaises(AssertionError) as caught:
                self.wallaby.create(flow, start=False)
            self.assertIn("WALLABY_SECRET_KEY", str(caught.exception))
            self.assertIn("env:NAME", str(caught.exception))
        self.assertNotIn("Sup3rSecret", self.dump() + self.wallaby.log())

    def test_a_shared_store_with_a_key_holds_no_secret(self):
        """Nor do its rows from before: they are sealed when the server first has a key."""
        self.begin(WALLABY_POSTGRES_DSN=self.store)
        flow_id = self.wallaby.create(self.flow(self.source, self.target), start=False)
        self.assertIn('"publication"', self.dump())
        self.wallaby.close()
        self.begin(WALLABY_POSTGRES_DSN=self.store, WALLABY_SECRET_KEY=KEY)
        self.assertEqual(self.wallaby.get(flow_id)["id"], flow_id)
        self.assertNotIn('"publication"', self.dump())
        self.assertIn("are sealed with WALLABY_SECRET_KEY now", self.wallaby.log())
        path = os.path.join(self.folder, "flow.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump({**self.flow(self.pairs(self.source, "Sup3rSecret"), self.pairs(self.target, "Sup3rSecret")), "id": flow_id}, f)
        self.wallaby.admin("flow", "update", "-file", path)
        self.wallaby.flows.append(flow_id)
        self.wallaby.admin("flow", "start", "-flow-id", flow_id)
        self.delivers(flow_id)
        shown = self.wallaby.admin("flow", "get", "-flow-id", flow_id, "-json").stdout
        self.wallaby.stop_flow(flow_id)
        for text in (self.dump(), self.wallaby.log(), shown):
            self.assertNotIn("Sup3rSecret", text)

    # ---- keys that change, and rows that others changed ----

    def store_sql(self, statement, *values):
        """As somebody who may write to the store."""
        with contextlib.closing(sqlite3.connect(os.path.join(self.wallaby.folder, "data", "wallaby.db"), timeout=60)) as db, db:
            return db.execute(statement, values).fetchall()

    def restart(self, **env):
        self.wallaby.process.terminate()
        self.wallaby.process.wait()
        self.wallaby.env.update(env)
        return self.wallaby.start()

    def fails(self, *args, says):
        done = self.wallaby.admin(*args, check=False)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn(says, done.stderr)

    def listed(self):
        return {flow["id"]: flow for flow in json.loads(self.wallaby.admin("flow", "list", "-json").stdout)["flows"]}

    def ready(self, port):
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=60).status

    def test_one_damaged_flow_leaves_the_others_alone(self):
        port = free_port()
        self.begin(WALLABY_SECRET_KEY=KEY, WALLABY_ADMIN_LISTEN=f"127.0.0.1:{port}")
        damaged = self.wallaby.create({**self.flow(self.source, self.target), "id": "a", "name": "a"}, start=False)
        self.store_sql("UPDATE flows SET definition = 'wallaby-sealed:1:AAAA' WHERE id = ?", damaged)
        # The others begin, deliver, and are seen.
        good = self.wallaby.create({**self.flow(self.source, self.target), "id": "b"})
        self.delivers(good)
        self.restart()
        self.assertEqual(self.ready(port), 200)
        flows = self.listed()
        self.assertEqual(sorted(flows), ["a", "b"])
        self.assertIn("cannot be decrypted", flows["a"]["error"])
        self.assertIn("CREATED", flows["a"]["state"])
        self.assertIn("RUNNING", flows["b"]["state"])
        self.assertIn("a", self.wallaby.admin("flow", "list").stdout)
        self.assertIn("cannot be decrypted", self.wallaby.get("a")["error"])
        sql(self.source, "INSERT INTO t VALUES (2, 'two')")
        self.wallaby.await_delivery(good, self.source, self.slot)
        self.assertNotIn("the flows cannot be reviewed", self.wallaby.log())
        self.fails("flow", "start", "-flow-id", "a", says="flow update with its whole file")
        # One that should run, and cannot be read, can be stopped.
        self.store_sql("UPDATE flows SET state = 'running' WHERE id = 'a'")
        self.restart()
        self.wallaby.stop_flow("a")
        self.wallaby.admin("flow", "delete", "-flow-id", "a")
        self.assertEqual(sorted(self.listed()), ["b"])

    def test_a_lost_key(self):
        self.begin(WALLABY_SECRET_KEY=KEY)
        flow = {**self.flow(self.source, self.target), "id": "a", "name": "a"}
        self.wallaby.create(flow)
        self.delivers("a")
        self.wallaby.stop_flow("a")
        self.wallaby.create({**self.flow(self.source, self.target), "id": "b", "name": "b"}, start=False)
        for key in ("6" * 64, ""):
            with self.assertRaisesRegex(AssertionError, "WALLABY_SECRET_KEY_LOST=true"):
                self.restart(WALLABY_SECRET_KEY=key)
        with self.assertRaisesRegex(AssertionError, "is not the key that its flows are sealed with"):
            self.restart(WALLABY_SECRET_KEY="6" * 64)
        # The page's way out.
        self.restart(WALLABY_SECRET_KEY_LOST="true")
        self.restart(WALLABY_SECRET_KEY_LOST="")
        self.assertTrue(all("cannot be decrypted" in f["error"] for f in self.listed().values()), self.listed())
        flow["destinations"][0]["options"]["dsn"] = "postgres://u:******@127.0.0.1:1/x"
        self.put("update", flow, says="give the secret itself")
        flow["destinations"][0]["options"]["dsn"] = self.target
        self.put("update", flow)
        sql(self.source, "INSERT INTO t VALUES (2, 'two')")
        self.wallaby.admin("flow", "start", "-flow-id", "a")
        self.wallaby.await_delivery("a", self.source, self.slot)
        # From where it was: nothing was copied again.
        self.assertEqual(sql(self.target, "SELECT * FROM t ORDER BY id"), [["1", "one"], ["2", "two"]])
        self.wallaby.admin("flow", "delete", "-flow-id", "b")
        with self.assertRaisesRegex(AssertionError, "is not the key"):
            self.restart(WALLABY_SECRET_KEY=KEY)
        self.restart(WALLABY_SECRET_KEY="6" * 64)
        self.assertFalse(self.listed()["a"].get("error"))

    def test_a_sealed_definition_is_not_replaced_by_a_clear_one(self):
        self.begin(WALLABY_SECRET_KEY=KEY)
        flow = {**self.flow(self.source, self.target), "id": "a", "name": "a"}
        self.wallaby.create(flow, start=False)
        flow["destinations"] = [{"name": "h", "type": "http", "options": {"url": "http://evil.example/in"}}]
        self.store_sql("UPDATE flows SET definition = ? WHERE id = 'a'", json.dumps(flow))
        for _ in range(2):
            self.assertIn("somebody else may have written it", self.wallaby.get("a")["error"])
            self.fails("flow", "start", "-flow-id", "a", says="is not sealed with WALLABY_SECRET_KEY")
            self.assertNotIn("evil", self.wallaby.admin("flow", "get", "-flow-id", "a", "-json").stdout)
            self.store_sql("UPDATE flows SET state = 'running' WHERE id = 'a'")
            worker = self.wallaby.worker("a", check=False)
            self.assertNotEqual(worker.returncode, 0)
            self.assertIn("is not sealed with WALLABY_SECRET_KEY", worker.stderr)
            self.store_sql("UPDATE flows SET state = 'stopped' WHERE id = 'a'")
            self.restart()


class LeastRoleTest(unittest.TestCase):
    """The role of docs/sources/postgres.md, with the page's own SQL and flow."""

    def blocks(self, title, language):
        with open(os.path.join(SOURCE_DIR, "docs/sources/postgres.md"), encoding="utf-8") as f:
            (section,) = re.findall(rf"^##+ {re.escape(title)}\n(.*?)(?=^## )", f.read(), flags=re.M | re.S)
        return re.findall(rf"^```{language}\n(.*?)^```$", section, flags=re.M | re.S)

    def least_role(self, major):
        postgres = Postgres(major)
        self.addCleanup(postgres.stop)
        source, target = postgres.database("shop"), postgres.database("copy")
        sql(source, "CREATE SCHEMA shop; CREATE TABLE shop.orders (id int PRIMARY KEY, v text);"
                    "CREATE TABLE shop.items (id int PRIMARY KEY); CREATE TABLE shop.secrets (id int PRIMARY KEY);"
                    "INSERT INTO shop.orders VALUES (1, 'one'); INSERT INTO shop.items VALUES (1)")
        (roles,) = self.blocks("The role: least rights", "sql")
        sql(source, roles)
        replicator = source.replace("postgres@", "replicator@")
        # It can read what it should, and no more.
        self.assertEqual(sql(replicator, "SELECT v FROM shop.orders"), [["one"]])
        for forbidden in ("INSERT INTO shop.orders VALUES (2, 'two')", "SELECT * FROM shop.secrets", "CREATE TABLE shop.x ()",
                          "CREATE SCHEMA x", "CREATE PUBLICATION x", "CREATE ROLE x", "TRUNCATE shop.orders",
                          "ALTER TABLE shop.orders ADD x int"):
            with self.assertRaises(AssertionError, msg=forbidden) as caught:
                sql(replicator, forbidden)
            self.assertRegex(str(caught.exception), "permission denied|must be owner", forbidden)

        (text,) = self.blocks("The role: least rights", "yaml")
        flow = {**yaml.safe_load(text), "name": "shop", "id": "shop",
                "destinations": [{"name": "copy", "type": "postgres", "options": {"dsn": target}}]}
        wallaby = Wallaby({"SHOP_DSN": replicator})
        self.addCleanup(wallaby.close)
        wallaby.start()
        path = os.path.join(wallaby.folder, "shop.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(flow, f)
        found = wallaby.admin("flow", "validate", "-file", path).stdout
        self.assertNotIn("warning", found)
        wallaby.create(flow)
        wallaby.await_delivery("shop", source, "shop")
        sql(source, "INSERT INTO shop.orders VALUES (2, 'two'); UPDATE shop.orders SET v = 'uno' WHERE id = 1; DELETE FROM shop.items")
        wallaby.await_delivery("shop", source, "shop")
        self.assertEqual(sql(target, "SELECT * FROM shop.orders ORDER BY id"), [["1", "uno"], ["2", "two"]])
        self.assertEqual(sql(target, "SELECT * FROM shop.items"), [])
        wallaby.stop_flow("shop")
        # Nothing but the slot is at the source.
        self.assertEqual(sql(source, "SELECT nspname FROM pg_namespace WHERE nspname = 'wallaby'"), [])
        self.assertEqual(sql(source, "SELECT slot_name FROM pg_replication_slots"), [["shop"]])

        # The capture, installed by a superuser with the page's own line.
        (line,) = self.blocks("The capture without a superuser", "bash")
        flow["source"]["options"].update(capture_ddl="true", ensure_state="false")
        flow["config"] = {"ddl": {"gate": True}}
        with open(path, "w", encoding="utf-8") as f:
            json.dump(flow, f)
        wallaby.admin("flow", "update", "-file", path)
        wallaby.admin("flow", "start", "-flow-id", "shop")
        failed = wait_until(lambda: (f := wallaby.get("shop")) and "FAILED" in f["state"] and f, 60, "state failed")
        self.assertIn("capture is not installed", failed["reason"])
        wait_until(lambda: not wallaby.worker_pids("shop"), 30, "the worker's end")
        shutil.copy(path, os.path.join(wallaby.folder, "shop.yaml"))
        subprocess.run(["bash", "-e", "-o", "pipefail", "-c", line], check=True, capture_output=True, cwd=wallaby.folder, env={
            **wallaby.env, "PATH": f"{BIN_DIR}:{os.environ['PATH']}", "MAJOR": str(major), "DATABASE": source})
        wallaby.admin("flow", "start", "-flow-id", "shop")
        wallaby.await_delivery("shop", source, "shop")
        sql(source, "ALTER TABLE shop.orders ADD note text DEFAULT 'none'")
        gated = wait_until(lambda: (f := wallaby.get("shop")) and "PAUSED" in f["state"] and f, 60,
                           "the gate\n" + wallaby.log()[-2000:])
        self.assertEqual(gated["reason"], "ddl_pending")
        (event,) = json.loads(wallaby.admin("ddl", "list", "-json").stdout)["events"]
        # The command itself: only the trigger knows it.
        self.assertIn("ALTER TABLE shop.orders ADD note", event["ddl"])

    def test_least_role_on_15(self):
        self.least_role(15)

    def test_least_role_on_18(self):
        self.least_role(18)


class PageTest(unittest.TestCase):
    """docs/security.md: its commands as they are printed."""

    def test_security_page(self):
        with open(os.path.join(SOURCE_DIR, "docs/security.md"), encoding="utf-8") as f:
            text = f.read()
        begin = text.index("## TLS and tokens in five minutes")
        page = text[begin:text.index("## Roles")]
        blocks = re.findall(r"^```bash\n(.*?)^```$", page, flags=re.M | re.S)
        self.assertEqual(len(blocks), 4)
        authority, tokens, server, clients = blocks
        (own,) = re.findall(r"^```bash\n(.*?)^```$", text[text.index("## Client certificates"):], flags=re.M | re.S)
        folder = tempfile.mkdtemp(prefix="wallaby-page-")
        self.addCleanup(shutil.rmtree, folder)
        path = ":".join([BIN_DIR, os.path.join(os.environ.get("WALLABY_DEPS_DIR", os.path.join(SOURCE_DIR, ".deps")), "tools"),
                         os.environ["PATH"]])
        wait = ("n=0; until curl -sS --cacert ca.pem https://localhost:8081/readyz >/dev/null 2>&1; do n=$((n+1)); "
                "[ $n -lt 300 ] || exit 9; sleep 0.1; done\n")
        # In one shell, as somebody would type it.
        script = "\n".join(["set -e", authority, tokens, "umask 022", server.rstrip(), "server=$!", "trap 'kill $server' EXIT", wait,
                            clients, "echo over", "wallaby-admin flow list -tls-ca ca.pem -token '' >refused 2>&1 || echo refused",
                            own, "openssl verify -CAfile ca.pem ci.pem"])
        done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, timeout=120, check=False, env={
            **{k: v for k, v in os.environ.items() if not k.startswith("WALLABY_")}, "PATH": path,
            "WALLABY_DATA_DIR": os.path.join(folder, "data")})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for text in ("wallaby_control_store_up 1", "over\nrefused", "ci.pem: OK"):
            self.assertIn(text, done.stdout)

    def test_every_test_that_the_page_names_exists(self):
        with open(os.path.join(SOURCE_DIR, "docs/security.md"), encoding="utf-8") as f:
            text = f.read()
        table = text[text.index("### Defended"):text.index("### Not defended")]
        sources = ""
        for folder, _, files in os.walk(os.path.join(SOURCE_DIR, "src")):
            for file in files:
                if file.endswith("_test.cc"):
                    with open(os.path.join(folder, file), encoding="utf-8") as f:
                        sources += f.read()
        names = set(re.findall(r"`(\w+(?:\.\w+)?)`", table)) - {"max_slot_wal_keep_size"}
        self.assertGreater(len(names), 5)
        for name in names:
            if name.startswith("e2e."):
                self.assertTrue(os.path.exists(os.path.join(SOURCE_DIR, f"test/e2e/test_{name[4:]}.py")), name)
            else:
                self.assertRegex(sources, rf"TEST(_F)?\({name}(Test)?, ", name)


if __name__ == "__main__":
    unittest.main()

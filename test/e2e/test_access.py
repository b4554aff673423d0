"""Who may reach the server, and what they may do there: TLS, tokens, client certificates, limits, the audit log. Real
certificates, and other people's clients: grpcurl, curl, openssl."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest

import grpc

from e2e.certificates import Authority
from e2e.half_request import HalfRequest
from e2e.harness import BIN_DIR, SOURCE_DIR, Wallaby, free_port, wait_until

DEPS = os.environ.get("WALLABY_DEPS_DIR") or os.path.join(SOURCE_DIR, ".deps")
TOKENS = {role: f"{role}-token-0123456789abcdef" for role in ("viewer", "operator", "admin")}
RECOVERY = "dbos-workflow-recovery"
FLOW = {"id": "shop", "name": "shop",
        "source": {"name": "db", "type": "postgres", "options": {
            "dsn": "postgres://app:Sup3rSecret@127.0.0.1:1/shop", "slot": "shop", "publication": "shop"}},
        "destinations": [{"name": "copy", "type": "postgres", "options": {"dsn": "postgres://127.0.0.1:1/copy"}}]}


def program(name):
    own = os.path.join(DEPS, "tools", name)
    return own if os.path.exists(own) else name


class AccessTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.authority, cls.stranger = Authority("tests"), Authority("strangers")
        cls.certificate, cls.key = cls.authority.issue("server")

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="wallaby-access-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.http = free_port()

    def tls(self, **env):
        return {"WALLABY_TLS_CERT_FILE": self.certificate, "WALLABY_TLS_KEY_FILE": self.key, **env}

    def tokens_file(self, text=None):
        path = os.path.join(self.folder, "tokens")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text or "".join(f"{role} {role}-of-tests {token}\n" for role, token in TOKENS.items()))
        os.chmod(path, 0o600)
        return path

    def begin(self, client=None, **env):
        """A server with these settings, seen by an admin who has `client`."""
        self.wallaby = Wallaby({"WALLABY_ADMIN_LISTEN": f"127.0.0.1:{self.http}", **env,
                                **(client or {"WALLABY_TOKEN": TOKENS["admin"]})})
        self.addCleanup(self.wallaby.close)
        return self.wallaby.start()

    def begin_with_tls_and_tokens(self, **env):
        return self.begin({"WALLABY_TOKEN": TOKENS["admin"], "WALLABY_ADMIN_TLS_CA": self.authority.certificate},
                          **self.tls(WALLABY_TOKENS_FILE=self.tokens_file()), **env)

    def admin(self, *args, says=None, **env):
        """Runs wallaby-admin with these variables instead of the admin's. `says`: it fails, with these texts."""
        ours = {k: v for k, v in self.wallaby.env.items() if not k.startswith(("WALLABY_TOKEN", "WALLABY_ADMIN_TLS"))}
        result = subprocess.run([os.path.join(BIN_DIR, "wallaby-admin"), *args], env={**ours, **env}, capture_output=True,
                                text=True, timeout=120)
        if says is None:
            self.assertEqual(result.returncode, 0, result.stderr)
        else:
            self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
            for text in says:
                self.assertIn(text, result.stderr)
            self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        return result

    def grpcurl(self, method, *flags, token=None, request="{}"):
        header = ["-H", f"authorization: Bearer {token}"] if token else []
        return subprocess.run([program("grpcurl"), *flags, *header, "-d", request, f"localhost:{self.wallaby.port}", method],
                              capture_output=True, text=True, timeout=60)

    def curl(self, path, *flags, token=None, scheme="https"):
        """(status, body)"""
        header = ["-H", f"Authorization: Bearer {token}"] if token else []
        done = subprocess.run(["curl", "-sS", "-o", "-", "-w", "\n%{http_code}", *flags, *header,
                               f"{scheme}://localhost:{self.http}/{path}"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    def audit(self, **fields):
        """The audit lines that have these fields."""
        lines = [json.loads(line) for line in self.wallaby.log().splitlines() if '"audit"' in line]
        return [line for line in lines if all(line.get(k) == v for k, v in fields.items())]

    def refuses_to_start(self, *says, **env):
        wallaby = Wallaby(env)
        self.addCleanup(wallaby.close)
        done = subprocess.run([os.path.join(BIN_DIR, "wallaby")], env=wallaby.env, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1, done.stderr)
        for text in says:
            self.assertIn(text, done.stderr)
        return done.stderr

    # ---- listeners ----

    def test_an_open_listener_is_refused(self):
        out = ("WALLABY_TLS_CERT_FILE", "WALLABY_TOKENS_FILE", "WALLABY_ALLOW_INSECURE_LISTEN=true")
        for setting in ("WALLABY_GRPC_LISTEN", "WALLABY_ADMIN_LISTEN", "WALLABY_METRICS_LISTEN"):
            for address in (f":{free_port()}", f"0.0.0.0:{free_port()}"):
                env = {"WALLABY_GRPC_LISTEN": f"127.0.0.1:{free_port()}", setting: address}
                wallaby = Wallaby()
                wallaby.env.update(env)
                self.addCleanup(wallaby.close)
                done = subprocess.run([os.path.join(BIN_DIR, "wallaby")], env=wallaby.env, capture_output=True, text=True,
                                      timeout=60)
                self.assertEqual(done.returncode, 1, done.stderr)
                for text in (setting, *out):
                    self.assertIn(text, done.stderr)

    def test_each_half_of_the_protection_alone_is_refused(self):
        wallaby = Wallaby({"WALLABY_TOKENS_FILE": self.tokens_file()})
        self.addCleanup(wallaby.close)
        for env, says in (({"WALLABY_TOKENS_FILE": self.tokens_file()}, "WALLABY_TLS_CERT_FILE"),
                          (self.tls(), "WALLABY_TOKENS_FILE")):
            wallaby = Wallaby(env)
            self.addCleanup(wallaby.close)
            wallaby.env["WALLABY_GRPC_LISTEN"] = f":{wallaby.port}"
            done = subprocess.run([os.path.join(BIN_DIR, "wallaby")], env=wallaby.env, capture_output=True, text=True,
                                  timeout=60)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn(says, done.stderr)

    def test_an_open_listener_that_was_asked_for(self):
        self.wallaby = Wallaby({"WALLABY_ALLOW_INSECURE_LISTEN": "true", "WALLABY_ADMIN_LISTEN": f":{self.http}"})
        self.wallaby.env["WALLABY_GRPC_LISTEN"] = f":{self.wallaby.port}"
        self.addCleanup(self.wallaby.close)
        self.wallaby.start()
        self.assertIn("WALLABY_ALLOW_INSECURE_LISTEN", self.wallaby.log())
        self.admin("flow", "list")

    def test_bad_files_are_refused_by_name(self):
        other_key = self.authority.issue("other")[1]
        expired = self.authority.issue("server", expired=True)
        open_key = os.path.join(self.folder, "open.key")
        shutil.copy(self.key, open_key)
        os.chmod(open_key, 0o644)
        text = os.path.join(self.folder, "text")
        with open(text, "w", encoding="utf-8") as f:
            f.write("not a certificate\n")
        open_tokens = self.tokens_file()
        os.chmod(open_tokens, 0o644)
        for env, *says in ((self.tls(WALLABY_TLS_KEY_FILE=other_key), "WALLABY_TLS_KEY_FILE", "is not the key of"),
                           (self.tls(WALLABY_TLS_KEY_FILE=open_key), "chmod o="),
                           (self.tls(WALLABY_TLS_CERT_FILE=text), "WALLABY_TLS_CERT_FILE", "no certificate"),
                           (self.tls(WALLABY_TLS_CERT_FILE="/nowhere"), "WALLABY_TLS_CERT_FILE", "cannot be read"),
                           (self.tls(WALLABY_TLS_CLIENT_CA_FILE=text), "WALLABY_TLS_CLIENT_CA_FILE"),
                           ({"WALLABY_TLS_CERT_FILE": expired[0], "WALLABY_TLS_KEY_FILE": expired[1]}, "has expired"),
                           ({"WALLABY_TOKENS_FILE": open_tokens}, "WALLABY_TOKENS_FILE", "defaultMode"),
                           ({"WALLABY_TOKENS": "admin ops short"}, "WALLABY_TOKENS, line 1", "16"),
                           ({"WALLABY_TOKENS": "x"}, "ROLE NAME TOKEN")):
            self.refuses_to_start(*says, **env)

    # ---- tokens ----

    def test_tls_and_tokens(self):
        self.begin_with_tls_and_tokens(WALLABY_AUDIT="all")
        ca = {"WALLABY_ADMIN_TLS_CA": self.authority.certificate}
        for role in TOKENS:
            self.admin("flow", "list", WALLABY_TOKEN=TOKENS[role], **ca)
        self.admin("flow", "list", "-tls-ca", self.authority.certificate, "-token", TOKENS["viewer"])
        path = os.path.join(self.folder, "flow.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(FLOW, f)
        create = ("flow", "create", "-file", path)
        self.admin(*create, WALLABY_TOKEN=TOKENS["operator"], says=("needs the role admin", "has the role operator"), **ca)
        self.admin(*create, WALLABY_TOKEN=TOKENS["admin"], **ca)
        self.admin("flow", "pause", "-flow-id", "shop", WALLABY_TOKEN=TOKENS["viewer"],
                   says=("needs the role operator", "viewer-of-tests has the role viewer"), **ca)
        # It may, and is refused for another reason.
        self.admin("flow", "resume", "-flow-id", "shop", WALLABY_TOKEN=TOKENS["operator"], says=("created",), **ca)
        self.admin("slot", "drop", "-flow-id", "shop", WALLABY_TOKEN=TOKENS["operator"], says=("needs the role admin",), **ca)
        self.admin("flow", "list", says=("needs the role viewer", "WALLABY_TOKEN"), **ca)
        self.admin("flow", "list", WALLABY_TOKEN="wrong-wrong-wrong-wrong", says=("not one that this server knows",), **ca)
        # The log says who did what, and holds no secret.
        (made,) = self.audit(method="/wallaby.v1.FlowService/CreateFlow", status="ok")
        self.assertEqual((made["who"], made["role"], made["flow_id"], made["level"]), ("admin-of-tests", "admin", "shop", "info"))
        self.assertTrue(made["peer"].startswith("ipv4:127.0.0.1:") or made["peer"].startswith("ipv6:"), made)
        (low,) = self.audit(method="/wallaby.v1.FlowService/CreateFlow", status="permission_denied")
        self.assertEqual((low["who"], low["level"]), ("operator-of-tests", "warn"))
        self.assertTrue(self.audit(who="anonymous", status="unauthenticated"))
        self.assertTrue(self.audit(who="viewer-of-tests", method="/wallaby.v1.FlowService/ListFlows"))
        for secret in [*TOKENS.values(), "wrong-wrong", "Sup3rSecret"]:
            self.assertNotIn(secret, self.wallaby.log())

    def test_reads_are_not_in_the_audit_log_unless_asked_for(self):
        self.begin_with_tls_and_tokens()
        self.wallaby.create(FLOW, start=False)
        self.assertEqual([line["method"] for line in self.audit(status="ok")], ["/wallaby.v1.FlowService/CreateFlow"])

    def test_strangers_cannot_fill_the_log(self):
        self.begin_with_tls_and_tokens()
        with open(self.authority.certificate, "rb") as f:
            channel = grpc.secure_channel(f"localhost:{self.wallaby.port}", grpc.ssl_channel_credentials(f.read()))
        self.addCleanup(channel.close)
        delete = channel.unary_unary("/wallaby.v1.FlowService/DeleteFlow")

        def denied(flow_id):
            size = len(flow_id)
            with self.assertRaises(grpc.RpcError) as caught:
                delete(b"\x0a" + bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14 & 127 | 128, size >> 21]) + flow_id,
                       timeout=60)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAUTHENTICATED)

        denied(b"A" * 3_000_000)
        for _ in range(1000):
            denied(b"shop")
        told = wait_until(lambda: [line for line in self.wallaby.log().splitlines() if '"left_out"' in line], 60,
                          "the count of what was left out")
        self.assertGreater(int(json.loads(told[0])["left_out"]), 0)
        self.assertLess(max(map(len, self.wallaby.log().splitlines())), 1000)
        lines = self.audit(who="anonymous", status="unauthenticated")
        self.assertLess(len(lines), 1001)
        self.assertEqual([line["flow_id"] for line in lines[:2]], ["A" * 63 + "...", "shop"])
        # Theirs do not hide those of somebody who is known.
        self.admin("flow", "delete", "-flow-id", "shop", WALLABY_TOKEN=TOKENS["viewer"], says=("needs the role admin",),
                   WALLABY_ADMIN_TLS_CA=self.authority.certificate)
        self.assertTrue(self.audit(who="viewer-of-tests", status="permission_denied"))

    def test_grpcurl(self):
        self.begin_with_tls_and_tokens()
        ca = ("-cacert", self.authority.certificate)
        listed = self.grpcurl("wallaby.v1.FlowService/ListFlows", *ca, token=TOKENS["viewer"])
        self.assertEqual((listed.returncode, json.loads(listed.stdout or "null")), (0, {}), listed.stderr)
        # Without reflection, with the project's own files.
        proto = ("-import-path", os.path.join(SOURCE_DIR, "proto"), "-proto", "wallaby/v1/services.proto")
        nobody = self.grpcurl("wallaby.v1.FlowService/ListFlows", *ca, *proto)
        self.assertIn("Unauthenticated", nobody.stderr)
        low = self.grpcurl("wallaby.v1.FlowService/DeleteFlow", *ca, *proto, token=TOKENS["viewer"], request='{"flow_id":"x"}')
        self.assertIn("PermissionDenied", low.stderr)
        self.assertIn("needs the role admin", low.stderr)
        # Reflection tells what there is, to those who may look.
        reflect = [program("grpcurl"), *ca, f"localhost:{self.wallaby.port}", "list"]
        refused = subprocess.run(reflect, capture_output=True, text=True, timeout=60)
        self.assertNotEqual(refused.returncode, 0)
        self.assertNotIn("wallaby.v1", refused.stdout)
        self.assertIn("needs the role viewer", refused.stderr)
        reflect[1:1] = ["-H", f"authorization: Bearer {TOKENS['viewer']}"]
        self.assertIn("wallaby.v1.FlowService", subprocess.run(reflect, capture_output=True, text=True, timeout=60).stdout)
        # Probes have no token.
        with open(os.path.join(self.folder, "health.proto"), "w", encoding="utf-8") as f:
            f.write('syntax = "proto3"; package grpc.health.v1; message HealthCheckRequest { string service = 1; }'
                    "message HealthCheckResponse { int32 status = 1; }"
                    "service Health { rpc Check(HealthCheckRequest) returns (HealthCheckResponse); }")
        health = self.grpcurl("grpc.health.v1.Health/Check", *ca, "-import-path", self.folder, "-proto", "health.proto")
        self.assertEqual((health.returncode, json.loads(health.stdout or "null")), (0, {"status": 1}), health.stderr)

    def test_every_method_is_served_and_closed(self):
        """A method that is missing in the server's list would be Unimplemented, one that is not guarded would answer."""
        self.begin_with_tls_and_tokens()
        with open(os.path.join(SOURCE_DIR, "proto/wallaby/v1/services.proto"), encoding="utf-8") as f:
            service, methods = "", []
            for line in f:
                words = line.replace("(", " ").split()
                if words[:1] == ["service"]:
                    service = words[1]
                elif words[:1] == ["rpc"] and service != "IngestService":  # that is what receivers serve
                    methods.append(f"wallaby.v1.{service}/{words[1]}")
        self.assertGreaterEqual(len(methods), 26)
        flags = ("-cacert", self.authority.certificate, "-import-path", os.path.join(SOURCE_DIR, "proto"), "-proto",
                 "wallaby/v1/services.proto")
        for method in methods:
            self.assertIn("Unauthenticated", self.grpcurl(method, *flags).stderr, method)

    def test_tokens_without_tls_on_loopback(self):
        self.begin(WALLABY_TOKENS="".join(f"{role} {role} {token};" for role, token in TOKENS.items()))
        self.admin("flow", "list", WALLABY_TOKEN=TOKENS["viewer"])
        self.admin("flow", "list", says=("needs the role viewer",))
        done = self.grpcurl("wallaby.v1.FlowService/ListFlows", "-plaintext", token=TOKENS["viewer"])
        self.assertEqual(done.returncode, 0, done.stderr)

    # ---- what clients are told ----

    def test_certificates_that_do_not_fit(self):
        self.begin_with_tls_and_tokens()
        port = self.wallaby.port
        token = {"WALLABY_TOKEN": TOKENS["viewer"]}
        self.admin("flow", "list", "-tls-ca", self.stranger.certificate, says=("does not come from an authority", "-tls-ca"), **token)
        self.admin("flow", "list", "-insecure=false", says=("does not come from an authority of this machine",), **token)
        self.admin("flow", "list", "-tls-ca", self.authority.certificate, "-tls-server-name", "other.example",
                   says=("is for localhost, 127.0.0.1, not for other.example", "-tls-server-name"), **token)
        self.admin("flow", "list", "-tls-ca", self.authority.certificate, "-tls-server-name", "localhost", **token)
        self.admin("flow", "list", says=("-tls-ca",), **token)
        self.admin("flow", "list", "-tls-ca", os.path.join(self.folder, "nothing"), says=("cannot read",), **token)
        plain = free_port()
        with subprocess.Popen([os.path.join(BIN_DIR, "wallaby")], env={
                **self.wallaby.env, "WALLABY_TLS_CERT_FILE": "", "WALLABY_TLS_KEY_FILE": "", "WALLABY_ADMIN_LISTEN": "",
                "WALLABY_GRPC_LISTEN": f"127.0.0.1:{plain}", "WALLABY_DATA_DIR": os.path.join(self.folder, "plain")},
                stderr=subprocess.DEVNULL) as server:
            try:
                wait_until(lambda: socket.create_connection(("127.0.0.1", plain)).close() is None if self.listens(plain) else False,
                           20, "the plain server")
                self.admin("flow", "list", "-endpoint", f"localhost:{plain}", "-tls-ca", self.authority.certificate,
                           says=("does not speak TLS",), **token)
            finally:
                server.terminate()
        self.assertNotEqual(port, plain)

    @staticmethod
    def listens(port):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    def test_a_servers_certificate_that_has_expired(self):
        """Our server refuses to start with one, so another one shows it."""
        self.begin_with_tls_and_tokens()
        certificate, key = self.authority.issue("server", expired=True)
        port = free_port()
        with subprocess.Popen(["openssl", "s_server", "-accept", str(port), "-cert", certificate, "-key", key, "-alpn", "h2",
                               "-quiet"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            try:
                wait_until(lambda: self.listens(port), 30, "openssl")
                self.admin("flow", "list", "-endpoint", f"localhost:{port}", "-tls-ca", self.authority.certificate,
                           says=("the server's certificate has expired, on Feb  1 00:00:00 2020 GMT",))
            finally:
                server.kill()

    # ---- client certificates ----

    def mutual(self, **env):
        certificate, key = self.authority.issue("ops")
        self.ops = {"WALLABY_ADMIN_TLS_CA": self.authority.certificate, "WALLABY_ADMIN_TLS_CERT": certificate,
                    "WALLABY_ADMIN_TLS_KEY": key}
        return self.begin(self.ops, **self.tls(WALLABY_TLS_CLIENT_CA_FILE=self.authority.certificate), **env)

    def test_mutual_tls(self):
        self.mutual()
        self.wallaby.create(FLOW, start=False)
        (made,) = self.audit(method="/wallaby.v1.FlowService/CreateFlow")
        self.assertEqual((made["who"], made["role"]), ("certificate:ops", "admin"))
        ca = {"WALLABY_ADMIN_TLS_CA": self.authority.certificate}
        self.admin("flow", "list", says=("asks for a client certificate; give -tls-cert and -tls-key",), **ca)
        for issuer, expired, says in ((self.stranger, False, "does not accept -tls-cert"), (self.authority, True, "expired")):
            certificate, key = issuer.issue("ops", expired=expired)
            self.admin("flow", "list", "-tls-cert", certificate, "-tls-key", key, says=(says,), **ca)
        done = self.grpcurl("wallaby.v1.FlowService/ListFlows", "-cacert", self.authority.certificate, "-cert",
                            self.ops["WALLABY_ADMIN_TLS_CERT"], "-key", self.ops["WALLABY_ADMIN_TLS_KEY"])
        self.assertEqual(done.returncode, 0, done.stderr)
        done = self.grpcurl("wallaby.v1.FlowService/ListFlows", "-cacert", self.authority.certificate)
        self.assertNotEqual(done.returncode, 0)
        # HTTP lets everybody in as far as health, and looks at the certificate for the rest.
        own = ("--cacert", self.authority.certificate)
        self.assertEqual(self.curl("healthz", *own)[0], 200)
        self.assertEqual(self.curl(RECOVERY, *own, "-X", "POST")[0], 401)
        shown = ("--cert", self.ops["WALLABY_ADMIN_TLS_CERT"], "--key", self.ops["WALLABY_ADMIN_TLS_KEY"])
        self.assertEqual(self.curl(RECOVERY, *own, *shown, "-X", "POST")[0], 503)  # DBOS is off: it was let through
        strange = self.stranger.issue("ops")
        refused = subprocess.run(["curl", "-sS", *own, "--cert", strange[0], "--key", strange[1],
                                  f"https://localhost:{self.http}/healthz"], capture_output=True, text=True, timeout=60)
        self.assertNotEqual(refused.returncode, 0)

    def test_roles_of_certificates(self):
        self.mutual(WALLABY_TLS_CLIENT_ROLES="ops=admin,eye=viewer")
        for name, says in (("eye", "certificate:eye has the role viewer"), ("nobody", "WALLABY_TLS_CLIENT_ROLES does not name it")):
            certificate, key = self.authority.issue(name)
            client = {**self.ops, "WALLABY_ADMIN_TLS_CERT": certificate, "WALLABY_ADMIN_TLS_KEY": key}
            self.admin("flow", "delete", "-flow-id", "x", says=("needs the role admin", says), **client)
        self.admin("flow", "list", **self.ops)

    def test_tokens_behind_client_certificates(self):
        self.mutual(WALLABY_TOKENS_FILE=self.tokens_file(), WALLABY_TOKEN=TOKENS["admin"])
        self.admin("flow", "list", WALLABY_TOKEN=TOKENS["viewer"], **self.ops)
        self.admin("flow", "list", says=("send a token",), **self.ops)
        self.admin("flow", "list", WALLABY_TOKEN=TOKENS["viewer"], WALLABY_ADMIN_TLS_CA=self.authority.certificate,
                   says=("asks for a client certificate",))

    def test_certificates_are_renewed_without_a_restart(self):
        folder = tempfile.mkdtemp(prefix="wallaby-renew-", dir=self.folder)
        certificate, key = self.authority.issue("server", folder=folder)
        self.begin({"WALLABY_TOKEN": TOKENS["admin"], "WALLABY_ADMIN_TLS_CA": self.authority.certificate},
                   WALLABY_TLS_CERT_FILE=certificate, WALLABY_TLS_KEY_FILE=key, WALLABY_TOKENS_FILE=self.tokens_file())
        new = self.stranger.issue("server")
        # As Kubernetes and certbot do: each file by a rename.
        for old, file in zip((certificate, key), new):
            shutil.copy(file, old + ".new")
            shutil.copystat(file, old + ".new")
            os.chmod(old + ".new", 0o600)
            os.rename(old + ".new", old)

        def shown(port):
            with socket.create_connection(("localhost", port), 10) as plain:
                context = ssl.create_default_context(cafile=self.stranger.certificate)
                context.set_alpn_protocols(["h2"])
                try:
                    with context.wrap_socket(plain, server_hostname="localhost"):
                        return True
                except ssl.SSLCertVerificationError:
                    return False

        for port in (self.wallaby.port, self.http):
            wait_until(lambda port=port: shown(port), 60, f"the new certificate at port {port}")
        self.admin("flow", "list", WALLABY_TOKEN=TOKENS["viewer"], WALLABY_ADMIN_TLS_CA=self.stranger.certificate)

    def test_tokens_are_renewed_without_a_restart(self):
        self.begin_with_tls_and_tokens()
        ca = {"WALLABY_ADMIN_TLS_CA": self.authority.certificate}
        self.tokens_file("viewer other other-token-0123456789abcdef\n")
        wait_until(lambda: self.wallaby.admin("flow", "list", check=False).returncode != 0, 60, "the old token's end")
        self.admin("flow", "list", WALLABY_TOKEN="other-token-0123456789abcdef", **ca)

    # ---- HTTP ----

    def test_http(self):
        metrics = free_port()
        self.begin_with_tls_and_tokens(WALLABY_METRICS_LISTEN=f"127.0.0.1:{metrics}")
        own = ("--cacert", self.authority.certificate)
        self.assertEqual(self.curl("healthz", *own)[0], 200)
        self.assertEqual(self.curl("readyz", *own)[0], 200)
        self.assertEqual(self.curl("metrics", *own)[0], 200)  # on loopback
        status, body = self.curl(RECOVERY, *own, "-X", "POST")
        self.assertEqual((status, "needs the role operator" in body), (401, True), body)
        status, body = self.curl(RECOVERY, *own, "-X", "POST", token=TOKENS["viewer"])
        self.assertEqual((status, "needs the role operator; viewer-of-tests has the role viewer" in body), (403, True), body)
        self.assertEqual(self.curl(RECOVERY, *own, "-X", "POST", token="wrong-wrong-wrong-wrong")[0], 401)
        self.assertEqual(self.curl(RECOVERY, *own, "-X", "POST", token=TOKENS["operator"])[0], 503)  # DBOS is off
        self.assertEqual(self.curl("dbos-garbage-collect", *own, "-X", "POST", "-d", "{}", token=TOKENS["operator"])[0], 403)
        # A refusal arrives although the body was not read.
        self.assertEqual(self.curl(RECOVERY, *own, "-X", "POST", "-d", "[" + "1" * 60_000 + "]")[0], 401)
        self.assertEqual(self.curl("healthz", *own, "-I")[0], 200)
        self.assertEqual(self.curl("nowhere", *own)[0], 401)
        self.assertEqual(self.curl("nowhere", *own, token=TOKENS["admin"])[0], 404)
        (recovery,) = self.audit(method=f"POST /{RECOVERY}", status="503")
        self.assertEqual((recovery["who"], recovery["level"]), ("operator-of-tests", "info"))
        self.assertTrue(self.audit(method=f"POST /{RECOVERY}", status="403", who="viewer-of-tests", level="warn"))
        # Nobody without TLS.
        plain = subprocess.run(["curl", "-sS", f"http://localhost:{self.http}/healthz"], capture_output=True, text=True, timeout=60)
        self.assertNotEqual(plain.returncode, 0)

    def test_metrics_from_other_machines(self):
        for flag, without, scheme in (("false", 401, "https"), ("true", 200, "http")):
            self.http = free_port()
            metrics = free_port()
            self.begin_with_tls_and_tokens(WALLABY_METRICS_LISTEN=f":{metrics}", WALLABY_METRICS_OPEN=flag)
            self.http = metrics
            own = ("--cacert", self.authority.certificate)
            self.assertEqual(self.curl("metrics", *own, scheme=scheme)[0], without)
            self.assertEqual(self.curl("metrics", *own, scheme=scheme, token=TOKENS["viewer"])[0], 200)

    # ---- limits ----

    def test_limits_of_grpc(self):
        self.begin_with_tls_and_tokens(WALLABY_MAX_MESSAGE="64KiB", WALLABY_MAX_CALLS="1", WALLABY_MAX_PAGE="2")
        flags = ("-cacert", self.authority.certificate)
        large = json.dumps({"flow": {"name": "x" * 100_000}})
        done = self.grpcurl("wallaby.v1.FlowService/CreateFlow", *flags, token=TOKENS["admin"], request=large)
        self.assertIn("ResourceExhausted", done.stderr)
        for name in ("a", "b", "c"):
            self.wallaby.create({**FLOW, "id": name, "name": name}, start=False)
        page = json.loads(self.grpcurl("wallaby.v1.FlowService/ListFlows", *flags, token=TOKENS["viewer"],
                                       request='{"page_size": 1000}').stdout)
        self.assertEqual(([flow["id"] for flow in page["flows"]], page["next_page_token"]), (["a", "b"], "b"))
        # A source that accepts connections and never says a word keeps a call busy.
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            flow = json.loads(json.dumps(FLOW))
            flow["source"]["options"]["dsn"] = f"postgres://127.0.0.1:{silent.getsockname()[1]}/x"
            path = os.path.join(self.folder, "slow.json")
            with open(path, "w", encoding="utf-8") as f:
                json.dump(flow, f)
            slow = threading.Thread(target=self.wallaby.admin, args=("flow", "validate", "-file", path), kwargs={"check": False})
            slow.start()
            held, _ = silent.accept()
            done = self.grpcurl("wallaby.v1.FlowService/ListFlows", *flags, "-import-path", os.path.join(SOURCE_DIR, "proto"),
                                "-proto", "wallaby/v1/services.proto", token=TOKENS["viewer"])
            self.assertIn("ResourceExhausted", done.stderr)
            self.assertIn("WALLABY_MAX_CALLS", done.stderr)
            held.close()
        slow.join()
        self.admin("flow", "list", WALLABY_TOKEN=TOKENS["viewer"], WALLABY_ADMIN_TLS_CA=self.authority.certificate)

    def resident(self):
        with open(f"/proc/{self.wallaby.process.pid}/status", encoding="utf-8") as f:
            return next(int(line.split()[1]) << 10 for line in f if line.startswith("VmRSS"))

    def test_memory_of_requests_that_never_end(self):
        """From strangers: what they send is kept before anybody knows who they are."""
        self.begin_with_tls_and_tokens()
        before, most = self.resident(), 0
        requests = []
        for _ in range(40):
            request = HalfRequest(self.wallaby.port, self.authority.certificate)
            self.addCleanup(request.close)
            request.begin("/wallaby.v1.FlowService/DeleteFlow", 15_000_000)
            requests.append(request)
            request.send(14_500_000)
            most = max(most, self.resident() - before)
        sent = sum(request.sent for request in requests)
        self.assertLess(most, 300 << 20, f"{sent} bytes were sent")
        # Enough was sent to see that; the server let go of those that held too much.
        self.assertGreater(sent, 300 << 20)
        for request in requests:
            while request.read(0.1):
                pass
        self.assertLess(sum(request.sent for request in requests if not request.ended), 300 << 20)
        for request in requests:
            request.close()
        # It serves others all the same.
        self.admin("flow", "list", WALLABY_TOKEN=TOKENS["viewer"], WALLABY_ADMIN_TLS_CA=self.authority.certificate)

    def test_limits_of_http(self):
        self.begin(WALLABY_HTTP_TIMEOUT="1s", WALLABY_HTTP_MAX_BODY="1KiB", client={"WALLABY_TOKEN": ""})
        self.assertEqual(self.curl(RECOVERY, "-X", "POST", "-d", "x" * 2000, scheme="http")[0], 413)

        def ends(connection, send):
            """Whether the server ends the connection while it is fed."""
            connection.settimeout(0.2)
            for _ in range(300):
                try:
                    connection.sendall(send)
                    if connection.recv(100) == b"":
                        return True
                except TimeoutError:
                    continue
                except OSError:
                    return True
            return False

        # Byte by byte, from more clients than the server has threads; others are answered all the same afterwards.
        slow = [socket.create_connection(("127.0.0.1", self.http)) for _ in range(20)]
        for connection in slow:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: ")
        for connection in slow:
            self.assertTrue(ends(connection, b"y"))
            connection.close()
        # Headers without an end.
        with socket.create_connection(("127.0.0.1", self.http)) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\n")
            self.assertTrue(ends(connection, b"X-A: " + b"y" * 2000 + b"\r\n"))
        self.assertEqual(self.curl("healthz", scheme="http")[0], 200)


if __name__ == "__main__":
    unittest.main()

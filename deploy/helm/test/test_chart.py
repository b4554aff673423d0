"""What must be true of everything that the chart renders, whatever the values."""

import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import textwrap
import unittest

import yaml

from chart import CHART, DEPS, EVERYTHING, INSECURE, NAMESPACE, SETS, SOURCE, environment, helm, of_kind, one, pod_templates, render


def rights(role):
    for rule in role["rules"]:
        assert not set(rule) - {"apiGroups", "resources", "verbs"}, rule
    return {(group, resource, verb) for rule in role["rules"] for group in rule["apiGroups"]
            for resource in rule["resources"] for verb in rule["verbs"]}


class RbacTest(unittest.TestCase):
    """The page for those who install without Helm."""

    def test_same_rights_as_without_helm(self):
        plain = SOURCE / "deploy/kubernetes/rbac.yaml"
        if not plain.exists():
            self.skipTest("deploy/kubernetes/rbac.yaml is not there to be compared with")
        roles = of_kind([d for d in yaml.safe_load_all(plain.read_text()) if d], "Role")
        self.assertEqual(rights(one(render(SETS["defaults"]), "Role")), set().union(*map(rights, roles)))


class ChartTest(unittest.TestCase):
    @staticmethod
    def each():
        return map(render, SETS.values())

    def test_lint(self):
        for name, values in SETS.items():
            done = helm("lint", "--strict", "--kube-version", "1.34.0", CHART, values=values)
            self.assertEqual(done.returncode, 0, name + done.stdout + done.stderr)

    def test_versions(self):
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        version = re.search(r"project\(wallaby VERSION ([\d.]+)", (SOURCE / "CMakeLists.txt").read_text()).group(1)
        self.assertEqual(chart["appVersion"], version)
        server = one(render(SETS["defaults"]), "Deployment")
        self.assertEqual(server["spec"]["template"]["spec"]["containers"][0]["image"], f"wallaby:{version}")

    def test_every_pod_is_found_by_its_app(self):
        for documents in self.each():
            for document, template in pod_templates(documents):
                self.assertEqual(template["metadata"]["labels"]["app"], "wallaby", document["metadata"]["name"])
                selector = document["spec"].get("selector", {}).get("matchLabels", {})
                self.assertLessEqual(selector.items(), template["metadata"]["labels"].items())

    def test_every_pod_is_restricted(self):
        # The Pod Security Standard "restricted", and a read-only root on top.
        for documents in self.each():
            self.assertTrue(list(pod_templates(documents)))
            for _, template in pod_templates(documents):
                spec = template["spec"]
                self.assertIs(spec["securityContext"]["runAsNonRoot"], True)
                self.assertEqual(spec["securityContext"]["runAsUser"], 10001)
                self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
                for field in ("hostNetwork", "hostPID", "hostIPC", "initContainers"):
                    self.assertNotIn(field, spec)
                for container in spec["containers"]:
                    rights = container["securityContext"]
                    self.assertIs(rights["readOnlyRootFilesystem"], True)
                    self.assertIs(rights["allowPrivilegeEscalation"], False)
                    self.assertEqual(rights["capabilities"], {"drop": ["ALL"]})
                    self.assertIn("memory", container["resources"]["limits"])
                    self.assertIn("memory", container["resources"]["requests"])
                    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
                    self.assertLessEqual({"/tmp", "/var/lib/wallaby"}, mounted)

    def test_mounts_have_volumes(self):
        for documents in self.each():
            for document, template in pod_templates(documents):
                volumes = {volume["name"] for volume in template["spec"]["volumes"]}
                volumes |= {claim["metadata"]["name"] for claim in document["spec"].get("volumeClaimTemplates", [])}
                for container in template["spec"]["containers"]:
                    self.assertEqual({mount["name"] for mount in container["volumeMounts"]} - volumes, set())

    def test_no_secret_in_clear(self):
        for documents in self.each():
            self.assertEqual(of_kind(documents, "Secret"), [])
            for _, template in pod_templates(documents):
                for container in template["spec"]["containers"]:
                    for name in environment(documents, container):
                        self.assertNotRegex(name.removesuffix("TOKENS_FILE"), r"DSN|SECRET|TOKEN|PASSWORD|HEADERS")

    def test_only_who_makes_jobs_has_a_token(self):
        for name, values in SETS.items():
            documents = render(values)
            makes_jobs = values.get("dispatch", {}).get("kind", "kubernetes") == "kubernetes"
            for document, template in pod_templates(documents):
                server = template["metadata"]["labels"]["app.kubernetes.io/component"] == "server"
                self.assertIs(template["spec"]["automountServiceAccountToken"], server and makes_jobs, name)
            self.assertEqual(len(of_kind(documents, "Role")), int(makes_jobs))
            self.assertEqual(len(of_kind(documents, "RoleBinding")), int(makes_jobs))

    def test_rights(self):
        documents = render(EVERYTHING)
        role, binding = one(documents, "Role"), one(documents, "RoleBinding")
        self.assertEqual(binding["roleRef"]["name"], role["metadata"]["name"])
        self.assertEqual(binding["subjects"], [{"kind": "ServiceAccount", "name": "server", "namespace": NAMESPACE}])
        spec = one(documents, "Deployment")["spec"]["template"]["spec"]
        self.assertEqual(spec["serviceAccountName"], "server")
        self.assertEqual(rights(role), {
            ("batch", "jobs", verb) for verb in ("create", "list", "watch", "delete")} | {
            ("", "pods", verb) for verb in ("list", "watch")})
        self.assertEqual(of_kind(documents, "ClusterRole"), [])

    def test_probes_ask_where_the_server_listens(self):
        for documents in self.each():
            server = next(t for _, t in pod_templates(documents) if t["metadata"]["labels"][
                "app.kubernetes.io/component"] == "server")["spec"]["containers"][0]
            ports = {port["name"]: port["containerPort"] for port in server["ports"]}
            seen = environment(documents, server)
            for name in ("grpc", "admin", "metrics"):
                self.assertEqual(seen[f"WALLABY_{name.upper()}_LISTEN"], f":{ports[name]}")
            # Kubernetes' own gRPC probe speaks no TLS.
            tls = {"scheme": "HTTPS"} if "WALLABY_TLS_CERT_FILE" in seen else {}
            if tls:
                self.assertEqual(server["startupProbe"]["httpGet"], {"path": "/healthz", "port": "admin", **tls})
            else:
                self.assertEqual(server["startupProbe"]["grpc"]["port"], ports["grpc"])
            self.assertEqual(server["livenessProbe"]["httpGet"], {"path": "/healthz", "port": "admin", **tls})
            self.assertEqual(server["readinessProbe"]["httpGet"], {"path": "/readyz", "port": "admin", **tls})
            service = one(documents, "Service")["spec"]
            self.assertEqual({p["name"]: p["port"] for p in service["ports"]}, ports)
            self.assertEqual({p["targetPort"] for p in service["ports"]}, set(ports))

    def test_access(self):
        """What the server is told, and that the files are where it is told, for it alone."""
        for name, wanted in (("defaults", {"WALLABY_ALLOW_INSECURE_LISTEN": "true", "WALLABY_METRICS_OPEN": "true"}),
                             ("protected", {"WALLABY_TLS_CERT_FILE": "/etc/wallaby/tls/tls.crt",
                                            "WALLABY_TLS_KEY_FILE": "/etc/wallaby/tls/tls.key",
                                            "WALLABY_TOKENS_FILE": "/etc/wallaby/tokens/tokens", "WALLABY_METRICS_OPEN": "true"}),
                             ("everything", {"WALLABY_TLS_CERT_FILE": "/etc/wallaby/tls/tls.crt",
                                             "WALLABY_TLS_KEY_FILE": "/etc/wallaby/tls/tls.key",
                                             "WALLABY_TLS_CLIENT_CA_FILE": "/etc/wallaby/tls/ca.crt",
                                             "WALLABY_TOKENS_FILE": "/etc/wallaby/tokens/tokens"})):
            documents = render(SETS[name])
            server = one(documents, "Deployment")["spec"]["template"]["spec"]
            seen = environment(documents, server["containers"][0])
            self.assertEqual({key: value for key, value in seen.items() if key.startswith((
                "WALLABY_TLS", "WALLABY_TOKEN", "WALLABY_ALLOW", "WALLABY_METRICS_OPEN"))}, wanted, name)
            mounted = {m["mountPath"]: m["name"] for m in server["containers"][0]["volumeMounts"]}
            volumes = {v["name"]: v for v in server["volumes"]}
            for key, path in wanted.items():
                if key.endswith("_FILE"):
                    # Files that every user may read are refused by the server.
                    self.assertEqual(volumes[mounted[path.rsplit("/", 1)[0]]]["secret"]["defaultMode"], 0o440, path)

    def test_workers_that_ask_the_server(self):
        documents = render(SETS["protected workers"])
        for document, template in pod_templates(documents):
            if template["metadata"]["labels"]["app.kubernetes.io/component"] != "worker":
                continue
            (container,) = template["spec"]["containers"]
            seen = {entry["name"]: entry for entry in container["env"]}
            secrets = [v["secret"] for v in template["spec"]["volumes"] if "secret" in v]
            if document["kind"] != "Deployment":
                self.assertEqual(secrets, [])
                continue
            self.assertEqual(seen["WALLABY_TOKEN"]["valueFrom"]["secretKeyRef"]["name"], "follower")
            self.assertEqual(seen["WALLABY_ADMIN_TLS_CA"]["value"], "/etc/wallaby/tls/ca.crt")
            self.assertEqual(seen["WALLABY_ADMIN_TLS_CERT"]["value"], "/etc/wallaby/worker/tls.crt")
            # The server's key is the server's.
            self.assertEqual([s.get("items") for s in secrets if s["secretName"] == "wallaby-tls"],
                             [[{"key": "ca.crt", "path": "ca.crt"}]])

    def test_probes_can_be_replaced(self):
        probe = {"tcpSocket": {"port": "grpc"}}
        server = one(render({"existingSecret": "x", **INSECURE, "server": {"livenessProbe": probe}}), "Deployment")
        self.assertEqual(server["spec"]["template"]["spec"]["containers"][0]["livenessProbe"], probe)

    def test_the_service_reaches_the_server_alone(self):
        for documents in self.each():
            selector = one(documents, "Service")["spec"]["selector"]
            reached = [t for _, t in pod_templates(documents) if selector.items() <= t["metadata"]["labels"].items()]
            self.assertEqual([t["metadata"]["labels"]["app.kubernetes.io/component"] for t in reached], ["server"])

    def test_network_policy(self):
        policies = {d["metadata"]["name"]: d["spec"] for d in of_kind(render(SETS["defaults"]), "NetworkPolicy")}
        self.assertEqual(set(policies), {"shop-wallaby-server", "shop-wallaby-worker"})
        server = policies["shop-wallaby-server"]["ingress"]
        self.assertEqual([rule["ports"] for rule in server], [[{"port": 8080}], [{"port": 9108}]])
        # A rule without peers would let everybody in.
        for documents in self.each():
            for policy in of_kind(documents, "NetworkPolicy"):
                for rule in policy["spec"].get("ingress", []):
                    self.assertTrue(rule["from"])
        self.assertEqual(policies["shop-wallaby-worker"]["ingress"], [])
        policies = {d["metadata"]["name"]: d["spec"] for d in of_kind(render(EVERYTHING), "NetworkPolicy")}
        self.assertEqual([rule["ports"] for rule in policies["cdc-server"]["ingress"]], [[{"port": 9000}], [{"port": 9001}]])
        self.assertEqual(policies["cdc-egress"]["policyTypes"], ["Egress"])
        self.assertEqual(policies["cdc-egress"]["egress"][-1], {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]})
        self.assertEqual(of_kind(render(SETS["local"]), "NetworkPolicy"), [])

    def test_disruption_budgets_count_pods_that_there_are(self):
        for documents in self.each():
            for budget in of_kind(documents, "PodDisruptionBudget"):
                selector = budget["spec"]["selector"]["matchLabels"]
                kinds = {d["kind"] for d, t in pod_templates(documents) if selector.items() <= t["metadata"]["labels"].items()}
                # maxUnavailable of a Job's pods is an error of the controller.
                self.assertTrue(kinds and kinds <= {"Deployment", "StatefulSet"}, kinds)

    def test_rules_are_those_of_prometheus(self):
        groups = one(render(EVERYTHING), "PrometheusRule")["spec"]["groups"]
        plain = [group for file in sorted((SOURCE / "deploy/prometheus/rules").glob("*.yaml"))
                 for group in yaml.safe_load(file.read_text())["groups"]]
        self.assertEqual(groups, plain)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump({"groups": groups}, file)
            file.flush()
            done = subprocess.run([DEPS / "tools/promtool", "check", "rules", file.name], capture_output=True, text=True,
                                  check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_package_holds_the_rules(self):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([DEPS / "tools/helm", "package", CHART, "-d", folder], capture_output=True, text=True,
                                  check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            names = subprocess.run(["tar", "tzf", done.stdout.split()[-1]], capture_output=True, text=True, check=True).stdout
        for file in (SOURCE / "deploy/prometheus/rules").glob("*.yaml"):
            self.assertIn(f"wallaby/rules/{file.name}", names)

    def test_service_monitor_finds_the_metrics(self):
        documents = render(EVERYTHING)
        monitor, service = one(documents, "ServiceMonitor")["spec"], one(documents, "Service")
        self.assertLessEqual(monitor["selector"]["matchLabels"].items(), service["metadata"]["labels"].items())
        self.assertEqual(monitor["namespaceSelector"], {"matchNames": [NAMESPACE]})
        self.assertIn(monitor["endpoints"][0]["port"], [port["name"] for port in service["spec"]["ports"]])
        for documents in map(render, (SETS["defaults"], SETS["workers"])):
            self.assertEqual(of_kind(documents, "ServiceMonitor") + of_kind(documents, "PrometheusRule"), [])

    def test_values_are_in_the_schema(self):
        # A value that the schema does not know could not be set.
        def compare(values, schema, path):
            for key, value in values.items():
                self.assertIn(key, schema["properties"], f"{path}{key}")
                if isinstance(value, dict) and "properties" in schema["properties"][key]:
                    compare(value, schema["properties"][key], f"{path}{key}.")

        compare(yaml.safe_load((CHART / "values.yaml").read_text()), json.loads((CHART / "values.schema.json").read_text()), "")

    def test_notes(self):
        # `helm template` leaves the notes out, so they are made a document of a copy. The dot is what they begin behind.
        with tempfile.TemporaryDirectory() as folder:
            chart = pathlib.Path(folder, "wallaby")
            shutil.copytree(CHART, chart)
            notes = (chart / "templates/NOTES.txt").read_text()
            (chart / "templates/notes.yaml").write_text("kind: Notes\ntext: |\n  .\n" + textwrap.indent(notes, "  "))
            for name, values in SETS.items():
                text = one(render(values, chart=chart), "Notes")["text"]
                self.assertIn("wallaby-admin flow list", text)
                self.assertIn("statefulset/" if name == "sqlite" else "deployment/", text)
                self.assertNotIn("<no value>", text)


if __name__ == "__main__":
    unittest.main()

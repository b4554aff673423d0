"""Settings of the programs and values of the chart."""

import json
import re
import unittest

import yaml

from chart import CHART, EVERYTHING, INSECURE, SETS, SOURCE, environment, one, pod_templates, render


def server(values):
    documents = render(values)
    _, template = next(pod_templates(documents))
    return environment(documents, template["spec"]["containers"][0]), template


class SettingsTest(unittest.TestCase):
    def refused(self, values, *words):
        with self.assertRaises(ValueError) as raised:
            render({"existingSecret": "x", **INSECURE, **values})
        for word in words:
            self.assertIn(word, str(raised.exception))

    def test_every_setting_can_be_set(self):
        known = set()
        for file in (SOURCE / "src/flow").glob("*settings.cc"):
            for table in re.findall(r"^constexpr std::array<\w*Setting, .*?^}};", file.read_text(), re.M | re.S):
                known.update(re.findall(r'^\s*\{"(\w+)",', table, re.M))
        self.assertGreater(len(known), 15)
        schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["settings"]
        (elsewhere,) = schema["patternProperties"]
        self.assertEqual({name for name in known if name not in schema["properties"] and not re.match(elsewhere, name)}, set())

    def test_what_has_another_place_is_named(self):
        schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["settings"]
        text = (CHART / "templates/_settings.tpl").read_text()
        secret = re.search(r'secretSettings" -}}\n(.*)\n', text).group(1).split()
        own = yaml.safe_load(re.search(r'ownSettings" -}}\n(.*?)\n{{', text, re.S).group(1))
        (elsewhere,) = schema["patternProperties"]
        for name in secret:
            self.assertRegex(name, elsewhere)
            self.refused({"settings": {name: "x"}}, f"WALLABY_{name.upper()}", "existingSecret")
        for name, value in own.items():
            self.assertRegex(name, elsewhere)
            self.refused({"settings": {name: "x"}}, f"settings.{name}", value)
        self.refused({"otel": {"OTEL_EXPORTER_OTLP_HEADERS": "key=1"}}, "existingSecret")

    def test_mistakes_are_refused(self):
        self.refused({"settings": {"memory_limits": "1GiB"}}, "memory_limits")
        self.refused({"settings": {"ddl_gate": "yes please"}}, "ddl_gate")
        self.refused({"otel": {"WALLABY_DDL_GATE": "true"}}, "OTEL_")
        self.refused({"existingSecret": ""}, "existingSecret", "WALLABY_POSTGRES_DSN")
        self.refused({"store": {"kind": "sqlite"}}, "dispatch.kind local")
        self.refused({"store": {"kind": "sqlite"}, "dispatch": {"kind": "none"},
                      "workers": [{"flowId": "a", "kind": "Deployment"}]}, "store.kind postgres")
        self.refused({"servers": {}}, "servers")
        self.refused({"service": {"ports": {"grpc": 0}}}, "grpc")
        self.refused({"image": {"digest": "latest"}}, "digest")
        self.refused({"access": {}}, "access.tlsSecret", "access.allowInsecureListen=true")
        self.refused({"access": {"tlsSecret": "t"}}, "access.tokensSecret")
        self.refused({"access": {"tokensSecret": "t"}}, "access.tlsSecret")
        self.refused({"access": {"clientCertificates": True}}, "needs access.tlsSecret")
        self.refused({"access": {"tls": "t"}}, "tls")

    def test_values_arrive_as_written(self):
        seen, _ = server(EVERYTHING)
        self.assertEqual(seen["WALLABY_DDL_GATE"], "true")
        self.assertEqual(seen["WALLABY_MEMORY_LIMIT"], "1073741824")  # not 1.073741824e+09
        self.assertEqual(seen["WALLABY_OTEL_METRICS_INTERVAL"], "15s")
        self.assertNotIn("WALLABY_WIRE_FORMAT", seen)
        self.assertEqual(seen["OTEL_EXPORTER_OTLP_ENDPOINT"], "http://collector:4318")
        self.assertEqual(seen["TZ"], "UTC")
        seen, _ = server({"existingSecret": "x", **INSECURE, "settings": {"ddl_gate": False}})
        self.assertEqual(seen["WALLABY_DDL_GATE"], "false")

    def test_dispatch_to_kubernetes(self):
        documents = render(EVERYTHING)
        seen, template = server(EVERYTHING)
        self.assertEqual(seen["WALLABY_K8S_ENABLED"], "true")
        self.assertEqual(seen["WALLABY_K8S_NAMESPACE"], "cdc")
        self.assertEqual(seen["WALLABY_K8S_JOB_IMAGE"], template["spec"]["containers"][0]["image"])
        self.assertEqual(seen["WALLABY_K8S_JOB_IMAGE_PULL_POLICY"], "Always")
        self.assertEqual(seen["WALLABY_K8S_JOB_SERVICE_ACCOUNT"], "workers")
        self.assertEqual(seen["WALLABY_K8S_JOB_TTL_SECONDS"], "3600")
        labels = json.loads(seen["WALLABY_K8S_JOB_LABELS"])
        self.assertEqual(labels["team"], "data")
        # Refused by the server, which sets them itself.
        self.assertEqual([key for key in labels if key == "app" or key.startswith("wallaby/") or key.endswith(
            ("/instance", "/managed-by"))], [])
        # So that the policies for workers hold for the server's Jobs.
        for name in ("cdc-worker", "cdc-egress"):
            selector = one(documents, "NetworkPolicy", name)["spec"]["podSelector"]["matchLabels"]
            self.assertLessEqual(selector.items(), {**labels, "app": "wallaby"}.items())
        self.assertEqual(seen["WALLABY_K8S_JOB_NAME_PREFIX"], "cdc")
        # Jobs get the settings and the Secret, and nothing that only the server should have.
        sources = seen["WALLABY_K8S_JOB_ENV_FROM"].split(",")
        self.assertEqual(sources, ["configmap:cdc-settings", "secret:wallaby"])
        shared = one(documents, "ConfigMap", "cdc-settings")["data"]
        self.assertEqual([name for name in shared if "K8S" in name or "LISTEN" in name], [])

    def test_job_prefixes(self):
        prefixes = set()
        for name in ("a" * 20, "a" * 21, "a" * 52, "a" * 10 + "-" * 9 + "bc"):
            prefix = server({"existingSecret": "x", **INSECURE, "fullnameOverride": name})[0]["WALLABY_K8S_JOB_NAME_PREFIX"]
            self.assertRegex(prefix, r"^[a-z0-9][-a-z0-9]{0,18}[a-z0-9]$")
            prefixes.add(prefix)
        self.assertEqual(len(prefixes), 4)

    def test_other_dispatch(self):
        for name in ("local", "workers", "sqlite"):
            seen, _ = server(SETS[name])
            self.assertEqual([key for key in seen if "K8S" in key], [])
            self.assertEqual(seen.get("WALLABY_WORKER_BIN"), "/usr/bin/true" if name == "workers" else None)

    def test_store(self):
        _, template = server(SETS["defaults"])
        entry = {e["name"]: e for e in template["spec"]["containers"][0]["env"]}["WALLABY_POSTGRES_DSN"]
        # Not optional: a Secret without it must not lead to an empty SQLite store.
        self.assertEqual(entry["valueFrom"], {"secretKeyRef": {"name": "wallaby", "key": "WALLABY_POSTGRES_DSN"}})
        documents = render(SETS["sqlite"])
        state = one(documents, "StatefulSet")
        claim = state["spec"]["volumeClaimTemplates"][0]
        self.assertEqual(claim["spec"]["resources"]["requests"]["storage"], "2Gi")
        self.assertEqual(claim["spec"]["storageClassName"], "fast")
        seen, template = server(SETS["sqlite"])
        mounts = {m["mountPath"]: m["name"] for m in template["spec"]["containers"][0]["volumeMounts"]}
        self.assertEqual(mounts[seen["WALLABY_DATA_DIR"]], claim["metadata"]["name"])

    def test_new_settings_make_new_pods(self):
        def mark(values):
            return server(values)[1]["metadata"]["annotations"]["wallaby/settings"]

        before = {"existingSecret": "x", **INSECURE}
        self.assertEqual(mark(before), mark(dict(before)))
        self.assertNotEqual(mark(before), mark({**before, "settings": {"ddl_gate": True}}))


if __name__ == "__main__":
    unittest.main()

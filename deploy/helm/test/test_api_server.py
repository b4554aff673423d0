"""Everything that the chart renders is accepted by a real API server, which is asked without storing it."""

import json
import os
import pathlib
import ssl
import subprocess
import unittest
import urllib.error
import urllib.request

from chart import NAMESPACE, SETS, SOURCE, render

KUBERNETES = SOURCE / "test/servers/kubernetes"
# Of the Prometheus operator: no server knows them without its definitions. promtool has seen the rules.
CUSTOM = {"PrometheusRule", "ServiceMonitor"}
# API version and kind -> path; the namespace in it.
PATHS = {
    "v1 ConfigMap": "api/v1/namespaces/{}/configmaps",
    "v1 Service": "api/v1/namespaces/{}/services",
    "v1 ServiceAccount": "api/v1/namespaces/{}/serviceaccounts",
    "apps/v1 Deployment": "apis/apps/v1/namespaces/{}/deployments",
    "apps/v1 StatefulSet": "apis/apps/v1/namespaces/{}/statefulsets",
    "batch/v1 Job": "apis/batch/v1/namespaces/{}/jobs",
    "batch/v1 CronJob": "apis/batch/v1/namespaces/{}/cronjobs",
    "networking.k8s.io/v1 NetworkPolicy": "apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "policy/v1 PodDisruptionBudget": "apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "rbac.authorization.k8s.io/v1 Role": "apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "rbac.authorization.k8s.io/v1 RoleBinding": "apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
}


def unavailable():
    if not KUBERNETES.exists():
        return "test/servers/kubernetes is not there"
    if subprocess.run([KUBERNETES, "available"], capture_output=True, check=False).returncode != 0:
        return "no API server has been built: test/servers/kubernetes fetch"
    return ""


WHY_NOT = unavailable()


@unittest.skipIf(WHY_NOT, WHY_NOT)
class ApiServerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        started = subprocess.run([KUBERNETES, "start", "--owner", str(os.getpid())], capture_output=True, text=True, check=True)
        cls.url, folder = started.stdout.strip().split("\t")
        cls.addClassCleanup(subprocess.run, [KUBERNETES, "stop", folder], check=False)
        cls.token = pathlib.Path(folder, "token").read_text().strip()
        cls.tls = ssl.create_default_context(cafile=f"{folder}/ca.crt")
        # Pods that the standard "restricted" forbids are told by a warning.
        cls.post("api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {
            "name": NAMESPACE, "labels": {f"pod-security.kubernetes.io/{what}": "restricted" for what in ("enforce", "warn")}}})

    @classmethod
    def post(cls, path, document):
        """(what is wrong or "", warnings)"""
        request = urllib.request.Request(f"{cls.url}/{path}", json.dumps(document).encode(), method="POST", headers={
            "Authorization": f"Bearer {cls.token}", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, context=cls.tls, timeout=30) as answer:
                return "", answer.headers.get_all("Warning") or []
        except urllib.error.HTTPError as error:
            return json.load(error).get("message", str(error)), []

    def test_every_document_is_accepted(self):
        count = 0
        for name, values in SETS.items():
            for document in render(values):
                if document["kind"] in CUSTOM:
                    continue
                path = PATHS[f"{document['apiVersion']} {document['kind']}"].format(NAMESPACE)
                what = f"{name}: {document['kind']} {document['metadata']['name']}"
                with self.subTest(what):
                    wrong, warnings = self.post(f"{path}?dryRun=All&fieldValidation=Strict", document)
                    self.assertEqual((wrong, warnings), ("", []))
                    count += 1
        self.assertGreater(count, 40)

    def test_a_mistake_is_seen(self):
        document = next(d for d in render(SETS["defaults"]) if d["kind"] == "Deployment")
        path = PATHS["apps/v1 Deployment"].format(NAMESPACE) + "?dryRun=All&fieldValidation=Strict"
        document["spec"]["template"]["spec"]["containers"][0]["imagePolicy"] = "Always"
        self.assertIn("imagePolicy", self.post(path, document)[0])
        del document["spec"]["template"]["spec"]["containers"][0]["imagePolicy"]
        document["spec"]["template"]["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
        self.assertIn("PodSecurity", str(self.post(path, document)[1]))


if __name__ == "__main__":
    unittest.main()

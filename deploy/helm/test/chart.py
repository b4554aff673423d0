"""Renders the chart, and what is true of everything that it renders."""

import os
import pathlib
import subprocess
import tempfile

import yaml

SOURCE = pathlib.Path(__file__).parents[3]
CHART = SOURCE / "deploy/helm/wallaby"
DEPS = pathlib.Path(os.environ.get("WALLABY_DEPS_DIR", SOURCE / ".deps"))
HELM = DEPS / "tools/helm"
RELEASE, NAMESPACE = "shop", "cdc"

# What people set together. Each is rendered, checked and sent to an API server.
INSECURE = {"access": {"allowInsecureListen": True}}
EVERYTHING = {
    "existingSecret": "wallaby",
    "access": {"tlsSecret": "wallaby-tls", "clientCertificates": True, "tokensSecret": "wallaby-tokens", "metricsOpen": False},
    "fullnameOverride": "cdc",
    "commonLabels": {"team": "data", "app": "other"},
    "image": {"repository": "registry.example/wallaby", "digest": "sha256:" + "0" * 64, "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "registry"}],
    "settings": {"ddl_gate": True, "memory_limit": 1073741824, "otel_metrics_interval": "15s", "k8s_job_ttl_seconds": 3600,
                 "wire_format": None},
    "otel": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"},
    "server": {"resources": {"limits": {"memory": "1Gi"}}, "podLabels": {"app": "other", "tier": "back"},
               "podAnnotations": {"note": "1"}, "nodeSelector": {"disk": "fast"}, "priorityClassName": "high",
               "tolerations": [{"key": "cdc", "operator": "Exists"}], "env": [{"name": "TZ", "value": "UTC"}],
               "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                   {"matchExpressions": [{"key": "arch", "operator": "In", "values": ["amd64"]}]}]}}},
               "volumes": [{"name": "pki", "secret": {"secretName": "pki"}}],
               "volumeMounts": [{"name": "pki", "mountPath": "/pki", "readOnly": True}]},
    "service": {"type": "LoadBalancer", "annotations": {"internal": "true"},
                "ports": {"grpc": 9000, "admin": 9001, "metrics": 9002}},
    "serviceAccount": {"name": "server", "workerName": "workers", "annotations": {"role": "a"},
                       "workerAnnotations": {"role": "b"}},
    "networkPolicy": {"grpcFrom": [], "adminFrom": [{"podSelector": {"matchLabels": {"ops": "true"}}}], "metricsFrom": [],
                      "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]},
    "podDisruptionBudget": {"maxUnavailable": "50%"},
    "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}, "namespace": "monitoring"},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
}
WORKERS = {
    "existingSecret": "wallaby",
    **INSECURE,
    "dispatch": {"kind": "none"},
    "workers": [
        {"flowId": "orders", "kind": "Deployment", "resources": {"limits": {"memory": "2Gi"}}, "podLabels": {"app": "x"}},
        {"flowId": "orders", "kind": "Job", "mode": "backfill", "tables": ["public.orders", "public.lines"],
         "partitionColumn": "id", "partitionCount": 8, "snapshotWorkers": 4, "backoffLimit": 0, "activeDeadlineSeconds": 3600},
        {"flowId": "Rechnungen/Österreich, all of them since 1999", "kind": "CronJob", "schedule": "*/15 * * * *",
         "timeZone": "Europe/Vienna", "maxEmptyReads": 3, "suspend": True, "failedJobsHistoryLimit": 0},
        {"flowId": "rechnungen-osterreich--all-of-them-since-1999", "kind": "Deployment",
         "volumes": [{"name": "lake", "persistentVolumeClaim": {"claimName": "lake"}}],
         "volumeMounts": [{"name": "lake", "mountPath": "/lake"}]},
    ],
}
SETS = {
    "defaults": {"existingSecret": "wallaby", **INSECURE},
    "protected": {"existingSecret": "wallaby", "access": {"tlsSecret": "wallaby-tls", "tokensSecret": "wallaby-tokens"}},
    "protected workers": {**WORKERS, "access": {"tlsSecret": "wallaby-tls", "clientCertificates": True, "workerSecret": "follower"}},
    "everything": EVERYTHING,
    "workers": WORKERS,
    "local": {"existingSecret": "wallaby", **INSECURE, "dispatch": {"kind": "local"}, "networkPolicy": {"enabled": False},
              "podDisruptionBudget": {"enabled": False}, "serviceAccount": {"create": False}},
    "sqlite": {"store": {"kind": "sqlite", "volume": {"size": "2Gi", "storageClassName": "fast", "annotations": {"a": "b"}}},
               "dispatch": {"kind": "local"}, **INSECURE},
}


def helm(*arguments, values=None):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(values or {}, file)
        file.flush()
        return subprocess.run([HELM, *arguments, "--values", file.name], capture_output=True, text=True, check=False,
                              env={"PATH": os.environ["PATH"], "HOME": tempfile.gettempdir()})


def render(values, chart=CHART):
    done = helm("template", RELEASE, chart, "--namespace", NAMESPACE, "--kube-version", "1.34.0", values=values)
    if done.returncode != 0:
        raise ValueError(done.stderr)
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def of_kind(documents, kind, name=None):
    return [d for d in documents if d["kind"] == kind and (name is None or d["metadata"]["name"] == name)]


def one(documents, kind, name=None):
    found = of_kind(documents, kind, name)
    assert len(found) == 1, f"{len(found)} of {kind} {name}"
    return found[0]


def pod_templates(documents):
    """(document, pod template) of everything that makes pods."""
    for document in documents:
        if document["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield document, document["spec"]["template"]
        elif document["kind"] == "CronJob":
            yield document, document["spec"]["jobTemplate"]["spec"]["template"]


def environment(documents, container):
    """What the container sees of ConfigMaps and plain values."""
    result = {}
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            result.update(one(documents, "ConfigMap", source["configMapRef"]["name"])["data"] or {})
    result.update({entry["name"]: entry["value"] for entry in container.get("env", []) if "value" in entry})
    return result

#!/usr/bin/env python3
"""A stand-in for the kubelet, for tests: runs each pod's command as a process of this machine.

    kubelet.py URL CA_FILE TOKEN_FILE LOG_DIR

It assigns pods to a node, as the scheduler would, and tells the pod's status through the API, so that the real Job controller sees pods run, succeed and fail. A deleted pod's
process gets SIGTERM, and SIGKILL when the pod's grace period has passed; only then is the pod gone. An image whose name
contains "unpullable" waits in ImagePullBackOff for ever. Environment comes from `env` and from `envFrom` (Secrets and
ConfigMaps). Images, volumes, probes and limits are not looked at.
"""

import base64
import datetime
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request

INTERVAL = 0.2


class Api:
    def __init__(self, url, ca_file, token_file):
        self.url = url
        self.context = ssl.create_default_context(cafile=ca_file)
        with open(token_file, encoding="utf-8") as f:
            self.token = f.read().strip()
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}),
                                                  urllib.request.HTTPSHandler(context=self.context))

    def call(self, method, path, body=None, content_type="application/json"):
        request = urllib.request.Request(
            self.url + path, method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": "Bearer " + self.token, "Content-Type": content_type})
        with self.opener.open(request, timeout=10) as answer:
            return json.load(answer)


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def path_of(pod):
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


class Kubelet:
    def __init__(self, api, log_dir):
        self.api = api
        self.log_dir = log_dir
        self.processes = {}  # by the pod's uid: (process, started)
        self.kill_at = {}

    def report(self, pod, phase, state, ready=False):
        container = pod["spec"]["containers"][0]
        started = self.processes.get(pod["metadata"]["uid"], (None, now()))[1]
        status = {"phase": phase, "startTime": started, "containerStatuses": [
            {"name": container["name"], "image": container["image"], "imageID": "", "restartCount": 0, "ready": ready,
             "started": ready, "state": state}]}
        self.api.call("PATCH", path_of(pod) + "/status", {"status": status}, "application/strategic-merge-patch+json")

    def environment(self, pod, container):
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
        for source in container.get("envFrom", []):
            kind = "secrets" if "secretRef" in source else "configmaps"
            name = (source.get("secretRef") or source.get("configMapRef"))["name"]
            data = self.api.call("GET", f"/api/v1/namespaces/{pod['metadata']['namespace']}/{kind}/{name}").get("data", {})
            env.update({k: base64.b64decode(v).decode() if kind == "secrets" else v for k, v in data.items()})
        env.update({e["name"]: e.get("value", "") for e in container.get("env", [])})
        return env

    def start(self, pod):
        container = pod["spec"]["containers"][0]
        if "unpullable" in container["image"]:
            waiting = {"reason": "ImagePullBackOff", "message": f"Back-off pulling image \"{container['image']}\""}
            if pod["status"].get("containerStatuses", [{}])[0].get("state", {}).get("waiting") != waiting:
                self.report(pod, "Pending", {"waiting": waiting})
            return
        command = container.get("command", []) + container.get("args", [])
        with open(os.path.join(self.log_dir, pod["metadata"]["name"] + ".log"), "ab") as log:
            try:
                process = subprocess.Popen(command, env=self.environment(pod, container), stdin=subprocess.DEVNULL,
                                           stdout=log, stderr=log)
            except OSError as error:
                log.write(f"{error}\n".encode())
                process = subprocess.Popen(["/bin/sh", "-c", "exit 128"])
        self.processes[pod["metadata"]["uid"]] = (process, now())
        self.report(pod, "Running", {"running": {"startedAt": now()}}, ready=True)

    def finish(self, pod, process):
        code = process.returncode if process.returncode >= 0 else 128 - process.returncode
        self.report(pod, "Failed" if code else "Succeeded", {"terminated": {
            "exitCode": code, "reason": "Error" if code else "Completed", "startedAt": self.processes[pod["metadata"]["uid"]][1],
            "finishedAt": now()}})

    def remove(self, pod):
        uid = pod["metadata"]["uid"]
        process, _ = self.processes.get(uid, (None, None))
        if process is not None and process.poll() is None:
            if uid not in self.kill_at:
                grace = pod["metadata"].get("deletionGracePeriodSeconds", 30)
                self.kill_at[uid] = time.monotonic() + grace
                process.terminate()
            elif time.monotonic() > self.kill_at[uid]:
                process.kill()
            return
        if process is not None and pod["status"].get("phase") == "Running":
            self.finish(pod, process)
        self.api.call("DELETE", path_of(pod), {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0})
        self.processes.pop(uid, None)

    def look_at(self, pod):
        phase = pod["status"].get("phase")
        process, _ = self.processes.get(pod["metadata"]["uid"], (None, None))
        if pod["metadata"].get("deletionTimestamp"):
            self.remove(pod)
        elif not pod["spec"].get("nodeName"):
            # A pod without a node is deleted at once instead of being asked to end.
            self.api.call("POST", path_of(pod) + "/binding", {
                "apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod["metadata"]["name"]},
                "target": {"apiVersion": "v1", "kind": "Node", "name": "test"}})
            pod["spec"]["nodeName"] = "test"
            self.look_at(pod)
        elif phase == "Pending" and process is None:
            self.start(pod)
        elif phase == "Running" and process is not None and process.poll() is not None:
            self.finish(pod, process)
        elif phase == "Failed" and process is not None and process.poll() is None:
            process.kill()  # evicted

    def run(self):
        while True:
            try:
                pods = self.api.call("GET", "/api/v1/pods")["items"]
            except (OSError, ValueError):
                time.sleep(INTERVAL)
                continue
            self.end({pod["metadata"]["uid"] for pod in pods})  # those that were deleted by force
            for pod in pods:
                try:
                    self.look_at(pod)
                except (OSError, ValueError) as error:  # gone meanwhile, or a server that is away
                    if getattr(error, "code", 0) not in (404, 409):
                        print(f"{pod['metadata']['name']}: {error}", file=sys.stderr, flush=True)
            time.sleep(INTERVAL)

    def end(self, but=()):
        for uid, (process, _) in self.processes.items():
            if uid not in but and process.poll() is None:
                process.kill()


def main():
    url, ca_file, token_file, log_dir = sys.argv[1:]
    kubelet = Kubelet(Api(url, ca_file, token_file), log_dir)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        kubelet.run()
    finally:
        kubelet.end()


if __name__ == "__main__":
    main()

"""receiver.py as tests drive it."""

import base64
import json
import os
import socket
import subprocess
import sys

from e2e.harness import SOURCE_DIR, free_port


class Receiver:
    """receiver.py in a process; what it took stays when it is killed."""

    def __init__(self, folder, name, kind="http", **settings):
        self.kind, self.port = kind, free_port()
        self.log, self.control = os.path.join(folder, name + ".log"), os.path.join(folder, name + ".json")
        open(self.log, "w", encoding="utf-8").close()
        self.process = None
        self.behave(**settings)
        self.start()

    def behave(self, **settings):
        with open(self.control + ".new", "w", encoding="utf-8") as f:
            json.dump(settings, f)
        os.replace(self.control + ".new", self.control)

    def start(self):
        script = os.path.join(os.path.dirname(__file__), "receiver.py")
        self.process = subprocess.Popen([sys.executable, script, self.kind, str(self.port), self.log, self.control],
                                        env={**os.environ, "WALLABY_SOURCE_DIR": SOURCE_DIR}, stderr=subprocess.DEVNULL)

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self):
        self.process.kill()
        self.process.wait()

    def taken(self):
        with open(self.log, encoding="utf-8") as f:
            lines = f.read().split("\n")
        # A process that is killed may leave half a line, which the next one then ends.
        return [json.loads(line) for line in lines if line.endswith("}")]

    def once(self):
        """What was taken, each key once, with the body that came first; a key with two bodies fails."""
        first = {}
        for request in self.taken():
            body = base64.b64decode(request["body"])
            if request["key"] in first and first[request["key"]][0] != body:
                raise AssertionError(f"two bodies for {request['key']}: {first[request['key']][0]} and {body}")
            first.setdefault(request["key"], (body, request))
        return [(body, request) for body, request in first.values()]

    def records(self):
        """JSON records in the order in which they came first: by idempotency key where a request is a record."""
        return [json.loads(body) for body, _ in self.once()]

    def batched_records(self):
        """Likewise of batches, by what names a record inside."""
        first = {}
        for request in self.taken():
            for line in base64.b64decode(request["body"]).splitlines():
                record = json.loads(line)
                name = (record["lsn"], json.dumps(record["key"])) if record["operation"] == "snapshot" else (
                    record["lsn"], record["seq"], record["operation"])
                first.setdefault(name, record)
        return list(first.values())

"""Destinations http and grpc, against their client libraries alone: the same payloads, to the same receiver, in the same session.

The receiver (bench/push) answers at once and does nothing else. It takes its share of the processors, on both sides alike.
"""

import dataclasses
import os
import signal
import socket
import subprocess
import time

from e2e.harness import BIN_DIR, free_port
from wallaby_bench.clients import Worker, expect
from wallaby_bench.measure import Process, median
from wallaby_bench.source import Backlog

PROGRAM = os.environ.get("WALLABY_PUSH_BENCH") or os.path.join(BIN_DIR, "../release/bench/push_bench")


@dataclasses.dataclass
class Way:
    """How a destination sends."""
    kind: str
    mode: str
    parallel: int

    def name(self):
        return f"{self.kind} {self.mode} x{self.parallel}"


WAYS = [Way(kind, mode, parallel) for kind in ("http", "grpc") for mode, parallel in (("record_json", 1), ("record_json", 8), ("wire", 1))]


class Receiver:
    def __init__(self, kind, keep=None):
        self.port = free_port()
        self.process = subprocess.Popen([PROGRAM, "receive", kind, str(self.port), *([keep] if keep else [])], stdout=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the receiver does not listen")
            time.sleep(0.01)

    def end(self):
        """How many requests there were."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=30)
        return int(out)


class Pushing(Worker):
    """Our worker, into a receiver."""

    def __init__(self, way, port):
        self.name, self.type, self.way, self.port = way.name(), way.kind, way, port

    def options(self):
        address = {"url": f"http://127.0.0.1:{self.port}/"} if self.type == "http" else {"endpoint": f"127.0.0.1:{self.port}", "insecure": "true"}
        return {**address, "payload_mode": self.way.mode, "parallelism": str(self.way.parallel)}


def worker_run(session, backlog, way, keep=None):
    """(sample, requests)"""
    receiver = Receiver(way.kind, keep)
    run_name = session.next_name()
    backlog.copy_slot(run_name)
    client = Pushing(way, receiver.port)
    client.prepare(backlog, run_name)
    sample = client.drain()
    session.source.await_inactive(run_name)
    client.check()
    client.clean()
    return sample, receiver.end()


def alone_run(session, way, payloads, requests):
    receiver = Receiver(way.kind)
    sample = Process([PROGRAM, "send", way.kind, str(receiver.port), payloads, str(way.parallel)], dict(os.environ),
                     os.path.join(session.folder, "send.log")).wait()
    expect(Pushing(way, 0), "requests of the client alone", requests, receiver.end())
    return sample


def run(scenario, session, repeat, tell):
    backlog = Backlog(session, scenario.dataset())
    backlog.generate()
    ways = {}
    for way in WAYS:
        payloads = os.path.join(session.folder, "payloads")
        _, requests = worker_run(session, backlog, way, payloads)  # not measured: it keeps what the client alone sends
        ours, alone = [], []
        for turn in range(repeat):
            tell(f"  {scenario.name}: {way.name()}, run {turn + 1} of {repeat}")
            sample, again = worker_run(session, backlog, way)
            if way.mode != "wire":
                expect(Pushing(way, 0), "requests", requests, again)
            ours.append(sample)
            alone.append(alone_run(session, way, payloads, requests))
        os.unlink(payloads)
        ways[way.name()] = {"requests": requests, "ours": vars(median(ours)), "alone": vars(median(alone))}
    backlog.close()
    return {"kind": "push", "changes": backlog.changes, "ways": ways}

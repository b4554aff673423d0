"""A flow into a stream, and consumers that pull from it and acknowledge.

write    a backlog into a pgstream destination
copy     the same messages by COPY (binary), from their table into another one with the same key
pull     consumers of one group take and acknowledge everything that is there
live     the same while the flow writes: the clock runs from the first commit at the source to the last acknowledgement
"""

import json
import os
import statistics
import subprocess
import time

from e2e.harness import SOURCE_DIR
from wallaby_bench.clients import InTargetServer, Worker, expect
from wallaby_bench.libpq import Connection
from wallaby_bench.live import await_streaming
from wallaby_bench.source import Backlog

CONSUMERS = 4
MAX = 500  # messages a pull
PROGRAM = os.path.join(SOURCE_DIR, "build/release/bench/stream_consumers")
COLUMNS = "id, lsn, seq, committed_at, created_at, operation, namespace, table_name, key, payload"


class Stream(InTargetServer, Worker):
    name, type = "pgstream", "pgstream"

    def make_destination(self):
        self.target_dsn = self.session.target.create_database(self.run)

    def options(self):
        return {"dsn": self.target_dsn, "stream": self.run}

    def check_destination(self):
        with Connection(self.target_dsn) as connection:
            expect(self, "messages", str(self.backlog.changes), connection.value("SELECT count(*) FROM wallaby.stream_1"))

    def consume(self, group):
        """Seconds, messages, pulls and bytes of the consumers, which end when they have everything."""
        return subprocess.Popen([PROGRAM, self.session.wallaby.env["WALLABY_ENDPOINT"], self.run, group, str(CONSUMERS), str(MAX),
                                 str(self.backlog.dataset.changes)], stdout=subprocess.PIPE, text=True)

    def clear_destination(self):
        self.session.target.drop_database(self.run)


def finished(consumers):
    out, _ = consumers.communicate()
    if consumers.returncode != 0:
        raise RuntimeError(f"consumers ended with {consumers.returncode}")
    return json.loads(out)


def copy_again(client):
    """Seconds in which COPY moves the messages into another table."""
    with Connection(client.target_dsn) as connection:
        connection.rows("CREATE TABLE again (LIKE wallaby.stream_1, PRIMARY KEY (id))")
    pipe = f"""psql -XAtq -d '{client.target_dsn}' -c 'COPY (SELECT {COLUMNS} FROM wallaby.stream_1) TO STDOUT (FORMAT binary)' |
               psql -XAtq -d '{client.target_dsn}' -c 'COPY again ({COLUMNS}) FROM STDIN (FORMAT binary)'"""
    began = time.monotonic()
    subprocess.run(["bash", "-o", "pipefail", "-c", pipe], check=True)
    return time.monotonic() - began


def run(scenario, session, repeat, tell):
    walls = {"write": [], "copy": [], "pull": [], "live": []}
    payload = 0
    for turn in range(repeat):
        tell(f"  {scenario.name}: run {turn + 1} of {repeat}")
        backlog = Backlog(session, scenario.dataset())
        backlog.generate()
        name = session.next_name()
        backlog.copy_slot(name)
        client = Stream()
        client.prepare(backlog, name)
        session.target.control.rows("CHECKPOINT")
        walls["write"].append(client.drain().wall)
        session.source.await_inactive(name)
        client.check()
        walls["copy"].append(copy_again(client))
        pulled = finished(client.consume("waiting"))
        walls["pull"].append(pulled["seconds"])
        payload = pulled["bytes"]
        client.clean()
        backlog.close()
        walls["live"].append(live(session, scenario.dataset()))
    return {"kind": "stream", "changes": scenario.dataset().changes, "payload": payload, "consumers": CONSUMERS, "max": MAX,
            "clients": {way: {"wall": statistics.median(of_way)} for way, of_way in walls.items()}, "walls": walls}


def live(session, dataset):
    backlog = Backlog(session, dataset)
    backlog.make_master()
    name = session.next_name()
    backlog.copy_slot(name)
    client = Stream()
    client.prepare(backlog, name)
    process = client.start(drain=False)
    await_streaming(session, name)
    consumers = client.consume("live")
    began = time.monotonic()
    backlog.dataset.run(backlog.dsn, durable=True)
    finished(consumers)
    took = time.monotonic() - began
    process.child.terminate()
    process.wait()
    session.source.await_inactive(name)
    client.clean()
    backlog.close()
    return took

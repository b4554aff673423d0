"""Reading while it is written: the client is connected before the first commit, and the clock runs from there until it has all.

A reader has all when the walsender has sent everything and nothing is left in the sockets between the two; a copy in
PostgreSQL, when its last row is visible.
"""

import signal
import time

from wallaby_bench.clients import Subscription
from wallaby_bench.libpq import Connection
from wallaby_bench.measure import ServerCpu, Sample, median
from wallaby_bench.source import Backlog


def run(scenario, session, repeat, tell):
    dataset = scenario.dataset()
    samples = {client.name: [] for client in scenario.clients}
    payload = None  # every run makes the same data: counted once
    for turn in range(repeat):
        for client in scenario.clients:
            tell(f"  {scenario.name}: {client.name}, run {turn + 1} of {repeat}")
            backlog = Backlog(session, dataset)
            samples[client.name].append(one_run(session, backlog, client()))
            if payload is None:
                backlog.count()
                payload = backlog.payload
            backlog.close()
    return {"kind": "live", "changes": dataset.changes, "payload": payload,
            "clients": {name: vars(median(of_client)) for name, of_client in samples.items()}}


def one_run(session, backlog, client):
    name = session.next_name()
    backlog.make_master()
    backlog.copy_slot(name)
    client.prepare(backlog, name)
    cpu = ServerCpu(session)
    process = client.start(drain=False)
    await_streaming(session, name)
    began = time.monotonic()
    backlog.dataset.run(backlog.dsn, durable=True)
    await_all(session, backlog, client)
    wall = time.monotonic() - began
    if isinstance(client, Subscription):
        client.stop()
        sample = Sample(wall)
    else:
        process.signal(signal.SIGINT)
        # Told to stop, pg_recvlogical ends with 0 as our worker does.
        sample = process.wait()
        sample.wall = wall
        session.source.await_inactive(name)
    cpu.add_to(sample)
    backlog.take_sums()
    client.check()
    client.clean()
    return sample


def await_streaming(session, slot):
    streaming = f"""SELECT 1 FROM pg_replication_slots s JOIN pg_stat_replication r ON r.pid = s.active_pid
                      WHERE s.slot_name = '{slot}' AND r.state = 'streaming'"""
    wait(lambda: session.source.control.value(streaming), "the stream's begin", 30)


def await_all(session, backlog, client):
    if hasattr(client, "target_dsn"):
        with Connection(client.target_dsn) as target:
            wait(lambda: target.value("SELECT max(id) FROM narrow") == str(backlog.changes), "the last row")
        return
    end = session.source.control.value("SELECT pg_current_wal_lsn()")
    sent = f"""SELECT r.client_port FROM pg_replication_slots s JOIN pg_stat_replication r ON r.pid = s.active_pid
                 WHERE s.slot_name = '{client.run}' AND r.sent_lsn >= '{end}'"""
    port = wait(lambda: session.source.control.value(sent), "the last byte")
    wait(lambda: not bytes_waiting(int(port)), "the last byte's arrival")


def bytes_waiting(port):
    """Bytes in the buffers of the connections that have this port at one end."""
    total = 0
    with open("/proc/net/tcp", encoding="ascii") as f:
        for line in list(f)[1:]:
            fields = line.split()
            if port in (int(fields[1].split(":")[1], 16), int(fields[2].split(":")[1], 16)):
                total += sum(int(part, 16) for part in fields[4].split(":"))
    return total


def wait(condition, what, timeout=1800):
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not come within {timeout} s")
        time.sleep(0.005)
    return value

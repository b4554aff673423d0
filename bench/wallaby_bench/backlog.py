"""Scenarios where everything waits already: each client reads it from start to end, by turns."""

from wallaby_bench.measure import ServerCpu, median
from wallaby_bench.source import Backlog
from wallaby_bench.clients import DuckDbTarget


def run(scenario, session, repeat, tell):
    """Gives the scenario's result; tells each row as soon as its median is known."""
    backlog = Backlog(session, scenario.dataset())
    if DuckDbTarget in scenario.clients:
        backlog.make_duckdb_seed()
    backlog.generate()
    samples = {client.name: [] for client in scenario.clients}
    for turn in range(repeat):
        for client in scenario.clients:
            tell(f"  {scenario.name}: {client.name}, run {turn + 1} of {repeat}")
            samples[client.name].append(one_run(session, backlog, client()))
    backlog.close()
    return {"kind": "backlog", "changes": backlog.changes, "payload": backlog.payload,
            "clients": {name: vars(median(of_client)) for name, of_client in samples.items()},
            "walls": {name: [s.wall for s in of_client] for name, of_client in samples.items()}}


def one_run(session, backlog, client):
    run_name = session.next_name()
    backlog.copy_slot(run_name)
    client.prepare(backlog, run_name)
    session.target.control.rows("CHECKPOINT")
    cpu = ServerCpu(session)
    sample = client.drain()
    session.source.await_inactive(run_name)
    cpu.add_to(sample)
    client.check()
    client.clean()
    return sample

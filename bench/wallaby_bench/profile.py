"""Flame graphs of the worker, for ./dev bench --profile.

Each client of `PROFILED` reads its backlog once under `perf record`. perf must be installed and allowed.
"""

import os
import shutil
import subprocess
import sys

from wallaby_bench import flame
from wallaby_bench.backlog import Backlog
from wallaby_bench.clients import DuckDbAppend, DuckDbTarget, Null, Parquet, PostgresTarget
from wallaby_bench.scenarios import all_scenarios
from wallaby_bench.servers import Session


class NullByStreaming(Null):
    """The reader as it works near the end of the WAL: from the walsender alone."""
    source_options = {"catch_up": "off"}


# file name: (scenario, client)
PROFILED = {
    "reader-sql": ("backlog-narrow", Null),
    "reader-stream": ("backlog-narrow", NullByStreaming),
    "duckdb-append": ("backlog-narrow", DuckDbAppend),
    "duckdb-target": ("mix", DuckDbTarget),
    "postgres-target": ("mix", PostgresTarget),
    "parquet": ("backlog-narrow", Parquet),
}


def profile(session, backlog, client):
    data = os.path.join(session.folder, "perf.data")
    client.under = ("perf", "record", "-q", "-F", "1999", "--call-graph", "dwarf,8192", "-o", data, "--")
    run = session.next_name()
    backlog.copy_slot(run)
    client.prepare(backlog, run)
    client.drain()
    session.source.await_inactive(run)
    client.clean()
    text = subprocess.run(["perf", "script", "-i", data, "-F", "comm,ip,sym", "--no-inline"], check=True, capture_output=True, text=True).stdout
    return flame.folded(text)


def run(folder, major):
    if shutil.which("perf") is None:
        sys.exit("profile: perf is not installed (package linux-perf)")
    os.makedirs(folder, exist_ok=True)
    session = Session(major)
    for scenario in all_scenarios():
        wanted = {name: client for name, (of, client) in PROFILED.items() if of == scenario.name}
        if not wanted:
            continue
        backlog = Backlog(session, scenario.dataset())
        backlog.make_duckdb_seed()
        backlog.generate()
        for name, client in wanted.items():
            print(name, file=sys.stderr, flush=True)
            stacks = profile(session, backlog, client())
            with open(os.path.join(folder, name + ".svg"), "w", encoding="utf-8") as f:
                f.write(flame.svg(stacks, f"{name}: {scenario.title()}"))
        backlog.close()

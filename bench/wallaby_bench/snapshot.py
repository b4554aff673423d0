"""The first copy of a table, against COPY (binary) from one server piped into COPY of the other."""

import os

from wallaby_bench.clients import DuckDbTarget, PostgresTarget
from wallaby_bench.measure import Process, ServerCpu, median
from wallaby_bench.source import Backlog


class Copy:
    """psql COPY TO | psql COPY FROM, into a table that has its primary key, as a flow's has."""
    name = "copy"

    def prepare(self, backlog, run):
        self.backlog, self.run, self.session = backlog, run, backlog.session
        self.target_dsn = self.session.target.create_database(run, backlog.template)

    def drain(self):
        pipe = f"""psql -XAtq -d '{self.backlog.dsn}' -c 'COPY narrow TO STDOUT (FORMAT binary)' |
                   psql -XAtq -d '{self.target_dsn}' -c 'COPY narrow FROM STDIN (FORMAT binary)'"""
        sample = Process(["bash", "-o", "pipefail", "-c", pipe], dict(os.environ), os.path.join(self.session.folder, "copy.log")).wait()
        sample.peak_rss = None  # of bash
        return sample

    check = PostgresTarget.check_tables

    def clean(self):
        self.session.target.drop_database(self.run)


class CopyToPostgres(PostgresTarget):
    source_options = {"snapshot": "initial", "create_slot": "true"}


class CopyToDuckDb(DuckDbTarget):
    source_options = {"snapshot": "initial", "create_slot": "true"}


WAYS = (Copy, CopyToPostgres, CopyToDuckDb)


def run(scenario, session, repeat, tell):
    dataset = scenario.dataset()
    backlog = Backlog(session, dataset)
    samples = {way.name: [] for way in WAYS}
    dataset.run(backlog.dsn)
    backlog.connection.rows("VACUUM ANALYZE")
    backlog.take_sums()
    for turn in range(repeat):
        for way in WAYS:
            tell(f"  {scenario.name}: {way.name}, run {turn + 1} of {repeat}")
            samples[way.name].append(one_run(session, backlog, way()))
    backlog.close()
    return {"kind": "snapshot", "changes": dataset.changes, "clients": {name: vars(median(of_way)) for name, of_way in samples.items()}}


def one_run(session, backlog, way):
    way.prepare(backlog, session.next_name())
    for server in (session.source, session.target):
        server.control.rows("CHECKPOINT")
    cpu = ServerCpu(session)
    sample = way.drain()
    cpu.add_to(sample)
    way.check()
    way.clean()
    return sample

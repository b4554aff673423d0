"""One flow into three destinations, and beside it three flows at once, with a slot and a reader each."""

from wallaby_bench.clients import Client, DuckDbAppend, Parquet, PostgresTarget, Worker
from wallaby_bench.measure import Sample

DESTINATIONS = (DuckDbAppend, PostgresTarget, Parquet)


class OneFlow(Worker):
    name = "one flow into three"

    def make_destinations(self):
        self.parts = [destination() for destination in DESTINATIONS]
        return [part.at(self.backlog, self.run).destination() for part in self.parts]

    def check(self):
        super().check()
        for part in self.parts:
            part.check_destination()

    def clean(self):
        super().clean()
        for part in self.parts:
            part.clear_destination()


class ThreeFlows(Client):
    name = "three flows"

    def prepare(self, backlog, run):
        super().prepare(backlog, run)
        self.parts = [destination() for destination in DESTINATIONS]
        for number, part in enumerate(self.parts):
            backlog.copy_slot(f"{run}_{number}")
            part.prepare(backlog, f"{run}_{number}")

    def drain(self):
        samples = [process.wait() for process in [part.start(drain=True) for part in self.parts]]
        return Sample(max(s.wall for s in samples), sum(s.client_cpu for s in samples), peak_rss=sum(s.peak_rss for s in samples))

    def check(self):
        for part in self.parts:
            part.check()

    def clean(self):
        for part in self.parts:
            part.clean()
        super().clean()

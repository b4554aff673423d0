"""A database at the source with a dataset in it, and a slot that stands before the dataset's changes.

Each run reads from a copy of that slot, so all readers get the same WAL. What pgoutput makes of it is counted once.
"""

import os

from wallaby_bench.libpq import Connection

PUBLICATION = "bench"
MASTER = "bench_master"


class Backlog:
    """Waiting changes. `changes`, `payload` (bytes of pgoutput) and `end` (LSN of the last commit) hold for every reader."""

    def __init__(self, session, dataset):
        self.session, self.dataset = session, dataset
        self.database = "bench_source"
        self.dsn = session.source.create_database(self.database)
        self.template = "bench_template"  # at the target: schema and seed
        self.duckdb_seed = None
        dataset.prepare(self.dsn)
        dataset.prepare(session.target.create_database(self.template))
        self.connection = Connection(self.dsn)
        self.connection.rows(f"CREATE PUBLICATION {PUBLICATION} FOR TABLE {', '.join(dataset.tables)}")
        self.changes = self.dataset.changes
        self.payload = self.end = self.sums = None

    def make_duckdb_seed(self):
        """A DuckDB file with the rows that are there already, in the types that WALlaby gives them."""
        import duckdb
        if not self.dataset.seed:
            return
        path = os.path.join(self.session.folder, "seed.duckdb")
        flow = self.session.wallaby.create({
            "name": "seed", "source": self.endpoint("bench_seed", snapshot="initial", create_slot="true"),
            "destinations": [{"name": "copy", "type": "duckdb", "options": {"dsn": path}}]}, start=False)
        self.session.wallaby.worker(flow, "-max-empty-reads", "1", timeout=600)
        self.session.source.drop_slot("bench_seed")
        self.session.wallaby.admin("flow", "delete", "-flow-id", flow)
        with duckdb.connect(path) as connection:
            connection.execute("DROP SCHEMA wallaby CASCADE")
        self.duckdb_seed = path

    def generate(self):
        """Makes the changes, and counts what a reader gets."""
        self.make_master()
        self.dataset.run(self.dsn)
        self.connection.rows("VACUUM ANALYZE")
        self.connection.rows("CHECKPOINT")
        self.count()

    def make_master(self):
        self.connection.rows(f"SELECT pg_create_logical_replication_slot('{MASTER}', 'pgoutput')")

    def count(self):
        changes, payload, self.end = self.connection.rows(f"""
          SELECT count(*) FILTER (WHERE get_byte(data, 0) IN (ascii('I'), ascii('U'), ascii('D'))), sum(length(data)), max(lsn)
            FROM pg_logical_slot_peek_binary_changes('{MASTER}', NULL, NULL,
                                                     'proto_version', '1', 'publication_names', '{PUBLICATION}')""")[0]
        self.changes, self.payload = int(changes), int(payload)
        if self.dataset.changes not in (None, self.changes):
            raise RuntimeError(f"{self.dataset.name}: {self.changes} changes in the stream, {self.dataset.changes} were made")
        self.take_sums()

    def take_sums(self):
        """What a copy is compared with."""
        self.sums = self.aggregates(self.connection)

    def aggregates(self, connection):
        return [normal(connection.rows(query)[0]) for query in self.dataset.aggregates]

    def copy_slot(self, name):
        self.connection.rows(f"SELECT pg_copy_logical_replication_slot('{MASTER}', '{name}')")

    def endpoint(self, slot, **options):
        """The source of a flow file."""
        return {"name": "source", "type": "postgres",
                "options": {"dsn": self.dsn, "slot": slot, "publication": PUBLICATION, "create_slot": "false",
                            "ensure_publication": "false", "snapshot": "never", **options}}

    def close(self):
        self.connection.close()
        self.session.source.drop_slot(MASTER)
        self.session.source.drop_database(self.database)
        self.session.target.drop_database(self.template)
        if self.duckdb_seed:
            os.unlink(self.duckdb_seed)
        for server in (self.session.source, self.session.target):
            server.control.rows("CHECKPOINT")


def normal(row):
    """Numbers of PostgreSQL (text) and DuckDB (int, Decimal) in one form."""
    return [None if value is None else format(float(value), ".2f") for value in row]

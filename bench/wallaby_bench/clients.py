"""The readers that are compared: pg_recvlogical, PostgreSQL's own subscription, and our worker into each destination.

A client makes ready (prepare), reads everything that waits (drain, which alone is measured), is checked (check) and
cleared away (clean). Those that are programs can also be started to read what is being written (start).
"""

import os
import shutil
import time

from e2e.bucket import BUCKET
from e2e.harness import BIN_DIR
from wallaby_bench.libpq import Connection
from wallaby_bench.measure import Process, Sample
from wallaby_bench.source import PUBLICATION, normal


class WrongResult(RuntimeError):
    """A client did not deliver what it should have."""


def expect(client, what, wanted, got):
    if wanted != got:
        raise WrongResult(f"{client.name}: {what}: wanted {wanted}, got {got}")


class Client:
    name = ""

    def at(self, backlog, run):
        """`run` is the name of slot, flow and database."""
        self.backlog, self.run, self.session = backlog, run, backlog.session
        return self

    def prepare(self, backlog, run):
        self.at(backlog, run)

    def drain(self):
        return self.start(drain=True).wait()

    def log(self):
        return os.path.join(self.session.folder, self.run + ".log")

    def clean(self):
        self.session.source.drop_slot(self.run)
        if os.path.exists(self.log()):
            os.unlink(self.log())


class RecvLogical(Client):
    """pg_recvlogical, which writes what comes to /dev/null without looking at it."""
    name = "pg_recvlogical"

    def start(self, drain):
        self.has_end = drain
        end = ["--endpos", self.backlog.end] if drain else []
        return Process(["pg_recvlogical", "-d", self.backlog.dsn, "-S", self.run, "--start", "--no-loop", "-f", "/dev/null", *end,
                        "-o", "proto_version=1", "-o", f"publication_names={PUBLICATION}"], dict(os.environ), self.log())

    def check(self):
        """The stream is counted by Backlog.count; here: that all of it was read. One that was stopped does not confirm it."""
        if not self.has_end:
            return
        reached = self.session.source.control.value(
            f"SELECT confirmed_flush_lsn >= '{self.backlog.end}' FROM pg_replication_slots WHERE slot_name = '{self.run}'")
        expect(self, "end reached", "t", reached)


class Worker(Client):
    """Our worker into one destination; a subclass for each. It has its place made, looks at what came, and clears it away."""
    source_options = {}
    under = ()  # a command that runs it, such as a profiler

    def prepare(self, backlog, run):
        super().prepare(backlog, run)
        self.flow = self.session.wallaby.create({
            "id": run, "name": run, "source": backlog.endpoint(run, **self.source_options),
            "destinations": self.make_destinations()}, start=False)

    def start(self, drain):
        end = ["-max-empty-reads", "1"] if drain else []
        return Process([*self.under, os.path.join(BIN_DIR, "wallaby-worker"), "-flow-id", self.flow, *end], self.session.wallaby.env, self.log())

    def check(self):
        expect(self, "changes read", self.backlog.changes, self.session.records_processed(self.flow))
        self.check_destination()

    def make_destinations(self):
        return [self.destination()]

    def destination(self):
        """Made, and as the flow has it."""
        self.make_destination()
        return {"name": self.type, "type": self.type, "options": self.options()}

    def make_destination(self):
        pass

    def options(self):
        return {}

    def check_destination(self):
        pass

    def clear_destination(self):
        pass

    def clean(self):
        super().clean()
        self.session.wallaby.admin("flow", "delete", "-flow-id", self.flow)
        self.session.wallaby.flows.remove(self.flow)
        self.clear_destination()


class Null(Worker):
    name, type = "null", "null"


class DuckDb(Worker):
    type = "duckdb"

    def path(self):
        return os.path.join(self.session.folder, self.run + ".duckdb")

    def options(self):
        return {"dsn": self.path(), "write_mode": self.mode}

    def check_destination(self):
        import duckdb
        with duckdb.connect(self.path(), read_only=True) as connection:
            connection.execute("SET search_path = 'public'")
            self.check_tables(connection)

    def clear_destination(self):
        for path in (self.path(), self.path() + ".wal"):
            if os.path.exists(path):
                os.unlink(path)


class DuckDbAppend(DuckDb):
    name, mode = "duckdb append", "append"

    def check_tables(self, connection):
        tables = [row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'public'").fetchall()]
        rows = sum(connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in tables)
        expect(self, "rows", self.backlog.changes, rows)


class DuckDbTarget(DuckDb):
    name, mode = "duckdb target", "target"

    def make_destination(self):
        if self.backlog.duckdb_seed:
            shutil.copyfile(self.backlog.duckdb_seed, self.path())

    def check_tables(self, connection):
        got = [normal(connection.execute(query).fetchone()) for query in self.backlog.dataset.aggregates]
        expect(self, "sums of the tables", self.backlog.sums, got)


class Parquet(Worker):
    name, type = "parquet", "parquet"

    def path(self):
        return os.path.join(self.session.folder, self.run + ".parquet")

    def options(self):
        return {"path": self.path()}

    def check_destination(self):
        import duckdb
        rows = duckdb.execute(f"SELECT count(*) FROM read_parquet('{self.path()}/public/*/*.parquet', union_by_name = true)").fetchone()[0]
        expect(self, "rows", self.backlog.changes, rows)

    def clear_destination(self):
        shutil.rmtree(self.path(), ignore_errors=True)


class S3(Worker):
    """Parquet objects in a bucket of a server on this machine."""
    name, type = "s3", "s3"

    def options(self):
        return self.session.bucket.options(prefix=self.run)

    def check_destination(self):
        bucket = self.session.bucket
        files = bucket.named(self.run, self.run, self.type)
        expect(self, "rows", self.backlog.changes, sum(file["rows"] for file in files))
        # The plain client puts the same bytes.
        self.session.objects = [bucket.read(f"{self.run}/{file['path']}") for file in files]


class PlainPut(Client):
    """What the server takes from a client that does nothing else: pyarrow puts the objects of the last run of s3, from memory."""
    name = "pyarrow put"

    def prepare(self, backlog, run):
        super().prepare(backlog, run)
        self.store = self.session.bucket.store()

    def drain(self):
        wall, cpu = time.monotonic(), time.process_time()
        for number, content in enumerate(self.session.objects):
            with self.store.open_output_stream(f"{BUCKET}/{self.run}/{number}", compression=None) as stream:
                stream.write(content)
        return Sample(time.monotonic() - wall, client_cpu=time.process_time() - cpu)

    def check(self):
        expect(self, "objects", len(self.session.objects), len(self.session.bucket.keys(self.run)))


class InTargetServer:
    """What the two clients share that end in a database of the target server."""

    def make_destination(self):
        self.target_dsn = self.session.target.create_database(self.run, self.backlog.template)

    def check_tables(self):
        with Connection(self.target_dsn) as connection:
            expect(self, "sums of the tables", self.backlog.sums, self.backlog.aggregates(connection))


class PostgresTarget(InTargetServer, Worker):
    name, type = "postgres target", "postgres"

    def options(self):
        return {"dsn": self.target_dsn, "write_mode": "target"}

    def check_destination(self):
        self.check_tables()

    def clear_destination(self):
        self.session.target.drop_database(self.run)


class Subscription(InTargetServer, Client):
    """PostgreSQL's own logical replication as it comes. It is part of the server: time is from ENABLE until all is applied."""
    name = "subscription"
    synchronous_commit = "off"  # its default: what it commits may be lost with the server, and then comes again

    def prepare(self, backlog, run):
        super().prepare(backlog, run)
        self.make_destination()
        self.connection = Connection(self.target_dsn)
        self.connection.rows(f"""CREATE SUBSCRIPTION {run} CONNECTION '{backlog.dsn}' PUBLICATION {PUBLICATION}
          WITH (create_slot = false, slot_name = '{run}', copy_data = false, enabled = false,
                synchronous_commit = '{self.synchronous_commit}')""")

    def start(self, drain):
        self.connection.rows(f"ALTER SUBSCRIPTION {self.run} ENABLE")

    def stop(self):
        self.connection.rows(f"ALTER SUBSCRIPTION {self.run} DISABLE")
        self.session.source.await_inactive(self.run)

    def drain(self, timeout=1800):
        began = time.monotonic()
        self.start(True)
        applied = f"""SELECT s.remote_lsn >= '{self.backlog.end}' FROM pg_replication_origin_status s JOIN pg_subscription u
                        ON s.external_id = 'pg_' || u.oid WHERE u.subname = '{self.run}'"""
        while self.connection.value(applied) != "t":
            if time.monotonic() - began > timeout:
                raise WrongResult(f"{self.name}: not done after {timeout} s")
            time.sleep(0.005)
        sample = Sample(time.monotonic() - began)
        self.stop()
        return sample

    def check(self):
        self.check_tables()

    def clean(self):
        self.connection.rows(f"ALTER SUBSCRIPTION {self.run} DISABLE; ALTER SUBSCRIPTION {self.run} SET (slot_name = NONE)")
        self.connection.rows(f"DROP SUBSCRIPTION {self.run}")
        self.connection.close()
        self.session.target.drop_database(self.run)
        super().clean()


class DurableSubscription(Subscription):
    """The same, where a row that is seen is on the disk, as with our target."""
    synchronous_commit = "on"


ALL = (RecvLogical, Null, DuckDbAppend, DuckDbTarget, PostgresTarget, Parquet, Subscription)

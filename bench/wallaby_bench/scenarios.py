"""All scenarios: which data, which clients, how often. Sizes are those of --scale 1."""

import dataclasses
from typing import Callable

from wallaby_bench import backlog, data, latency, live, push, snapshot, stream
from wallaby_bench.clients import (ALL, DuckDbAppend, DuckDbTarget, DurableSubscription, Null, Parquet, PlainPut, PostgresTarget,
                                   RecvLogical, S3, Subscription)
from wallaby_bench.fan_out import OneFlow, ThreeFlows
from wallaby_bench.kafka import KafkaBatches, KafkaRecords, Librdkafka

READERS = (RecvLogical, Null)
TARGETS = (RecvLogical, Null, DuckDbTarget, PostgresTarget, Subscription)


@dataclasses.dataclass
class Scenario:
    name: str
    what: str
    run: Callable  # (scenario, session, repeat, tell) -> result
    make_data: Callable | None = None  # (scale) -> Dataset
    clients: tuple = ()
    most_repeats: int = 1000
    scale: float = 1

    def dataset(self):
        return self.make_data(self.scale)

    def title(self):
        return self.what if self.scale == 1 else f"{self.what} (x {self.scale:g})"


def thousands(number, scale, per=1000):
    """A scaled number of changes, in whole transactions."""
    return max(1, round(number * scale / per)) * per


def narrow(number, per):
    """Fewer changes than a transaction's size make one transaction."""
    return lambda scale: data.narrow(thousands(number, scale, min(per, 1000)), per)


def all_scenarios():
    return [
        # First those that a disk busy with others' data would disturb most.
        Scenario("latency-idle", "50 inserts a second, 10 s: from COMMIT to visible in PostgreSQL", latency.run,
                 clients=(PostgresTarget, DurableSubscription), most_repeats=3),
        Scenario("latency-load", "the same beside pgbench (4 clients, 1,000 transactions a second)", latency.run_loaded,
                 clients=(PostgresTarget, DurableSubscription), most_repeats=3),
        Scenario("start", "a row waits: from the worker's start until it is visible in PostgreSQL", latency.run_start,
                 clients=(PostgresTarget,)),
        Scenario("backlog-narrow", "1,000,000 inserts of 100 bytes, transactions of 1,000", backlog.run, narrow(1_000_000, 1000), ALL),
        Scenario("backlog-tx-1", "200,000 inserts of 100 bytes, a transaction each", backlog.run, narrow(200_000, 1),
                 (RecvLogical, Null, DuckDbAppend, PostgresTarget, Subscription)),
        Scenario("backlog-tx-10", "1,000,000 inserts of 100 bytes, transactions of 10", backlog.run, narrow(1_000_000, 10),
                 (RecvLogical, Null, DuckDbAppend, PostgresTarget, Subscription)),
        Scenario("backlog-tx-100000", "1,000,000 inserts of 100 bytes, transactions of 100,000", backlog.run, narrow(1_000_000, 100_000),
                 (RecvLogical, Null, DuckDbAppend, PostgresTarget, Subscription)),
        Scenario("backlog-wide", "200,000 inserts of 1 KB, transactions of 1,000", backlog.run,
                 lambda scale: data.wide(thousands(200_000, scale), 1000), ALL),
        Scenario("backlog-json", "10,000 inserts of 20 KB of jsonb, transactions of 100", backlog.run,
                 lambda scale: data.json(thousands(10_000, scale, 100), 100), ALL),
        Scenario("mix", "1,000,000 changes, 70/20/10 % updates/inserts/deletes, transactions of 1,000", backlog.run,
                 lambda scale: data.mix(thousands(1_000_000, scale), 1000), ALL),
        Scenario("fan-out", "1,000,000 inserts of 100 bytes, transactions of 1,000, into DuckDB, PostgreSQL and Parquet", backlog.run,
                 narrow(1_000_000, 1000), (RecvLogical, DuckDbAppend, PostgresTarget, Parquet, OneFlow, ThreeFlows)),
        Scenario("kafka", "500,000 inserts of 100 bytes into Kafka, transactions of 1,000", backlog.run, narrow(500_000, 1000),
                 (RecvLogical, Null, KafkaRecords, KafkaBatches, Librdkafka)),
        Scenario("tpcc", "like TPC-C: new orders and payments, 500,000 changes over 5 tables", backlog.run,
                 lambda scale: data.tpcc(500_000 * scale), TARGETS),
        Scenario("tpcb", "pgbench's TPC-B, 200,000 changes", backlog.run, lambda scale: data.tpcb(int(200_000 * scale)), TARGETS),
        Scenario("s3", "1,000,000 inserts of 100 bytes, transactions of 1,000, into a bucket (SeaweedFS)", backlog.run,
                 narrow(1_000_000, 1000), (RecvLogical, Parquet, S3, PlainPut)),
        Scenario("s3-wide", "200,000 inserts of 1 KB, transactions of 1,000, into a bucket (SeaweedFS)", backlog.run,
                 lambda scale: data.wide(thousands(200_000, scale), 1000), (RecvLogical, Parquet, S3, PlainPut)),
        Scenario("memory", "one transaction of 5,000,000 inserts", backlog.run,
                 lambda scale: data.narrow(thousands(5_000_000, scale), 5_000_000), (RecvLogical, Null, DuckDbAppend, PostgresTarget), 1),
        *[Scenario(f"tables-{n}", f"200,000 inserts over {n:,} tables, transactions of 1,000", backlog.run,
                   lambda scale, n=n: data.many_tables(n, thousands(200_000, scale)), (RecvLogical, Null, PostgresTarget), 3)
          for n in (1, 10, 100, 1000)],
        *[Scenario(f"columns-{n}", f"{count:,} inserts into a table of {n} columns: 2,000,000 values", backlog.run,
                   lambda scale, n=n, count=count: data.many_columns(n, thousands(count, scale)), (RecvLogical, Null, PostgresTarget), 3)
          for n, count in ((10, 200_000), (500, 4_000))],
        Scenario("live", "read while 1,000,000 inserts are written, transactions of 1,000 at full speed", live.run,
                 narrow(1_000_000, 1000), (RecvLogical, Null, PostgresTarget, Subscription)),
        Scenario("push", "100,000 inserts of 100 bytes into receivers, beside libcurl and gRPC alone with the same payloads", push.run,
                 narrow(100_000, 1000), most_repeats=3),
        Scenario("stream", f"500,000 inserts of 100 bytes into a stream, and {stream.CONSUMERS} consumers of one group that pull and acknowledge",
                 stream.run, narrow(500_000, 1000), most_repeats=3),
        Scenario("snapshot", "first copy of 10,000,000 rows of 100 bytes", snapshot.run,
                 lambda scale: data.narrow(thousands(10_000_000, scale), 1000), most_repeats=3),
    ]

"""Our worker into Kafka, and beside it librdkafka alone: the same number of messages, of the same size, on the same broker."""

import os

from e2e.harness import SOURCE_DIR
from e2e.kafka_broker import Kafka, headers
from wallaby_bench.clients import Client, Worker, expect
from wallaby_bench.measure import Process

PRODUCE = os.path.join(SOURCE_DIR, "build/release/bench/produce_messages")
# As the worker commits under load: by 32 MiB of the source's bytes.
PER_TRANSACTION = 100_000


def broker(session):
    """The session's one broker, started when first asked for."""
    if not hasattr(session, "kafka"):
        session.kafka = Kafka()
    return session.kafka


class KafkaRecords(Worker):
    name, type = "kafka records", "kafka"

    def options(self):
        return {"brokers": broker(self.session).brokers, "topic": self.run, "message_mode": "record", "key_mode": "raw"}

    def check_destination(self):
        expect(self, "messages", self.backlog.changes, len(broker(self.session).read(self.run)))


class KafkaBatches(Worker):
    name, type = "kafka batches", "kafka"

    def options(self):
        return {"brokers": broker(self.session).brokers, "topic": self.run}

    def check_destination(self):
        messages = broker(self.session).read(self.run)
        expect(self, "changes in messages", self.backlog.changes, sum(int(headers(m)["wallaby-changes"]) for m in messages))


class Librdkafka(Client):
    """Messages that are made, not read: what the client library and the broker can do."""
    name = "librdkafka alone"

    def prepare(self, backlog, run):
        super().prepare(backlog, run)
        broker(self.session).make_topic(run)

    def start(self, drain):
        return Process([PRODUCE, broker(self.session).brokers, self.run, str(self.backlog.changes), str(PER_TRANSACTION)],
                       dict(os.environ), self.log())

    def check(self):
        expect(self, "messages", self.backlog.changes, len(broker(self.session).read(self.run)))

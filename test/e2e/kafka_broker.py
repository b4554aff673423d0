"""A throwaway Kafka broker for end-to-end tests, and topics read as a read-committed consumer reads them."""

import atexit
import json
import os
import subprocess

from e2e.harness import SOURCE_DIR, TIME_SCALE

SCRIPT = os.path.join(SOURCE_DIR, "test/servers/kafka")


class Kafka:
    """Stops at exit, and when this process dies."""

    def __init__(self, settings=()):
        command = [SCRIPT, "start", "--owner", str(os.getpid())]
        for setting in settings:
            command += ["-c", setting]
        line = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().splitlines()[-1]
        self.brokers, self.directory = line.split("\t")
        atexit.register(self.stop)

    def stop(self):
        if self.directory:
            subprocess.run([SCRIPT, "stop", self.directory], check=False, capture_output=True)
            self.directory = None

    def kill(self):
        """kill -9; restart() brings it back with its data."""
        subprocess.run([SCRIPT, "kill", self.directory], check=True, capture_output=True)

    def restart(self):
        subprocess.run([SCRIPT, "restart", self.directory], check=True, capture_output=True)

    def make_topic(self, topic):
        from confluent_kafka.admin import AdminClient, NewTopic
        admin = AdminClient({"bootstrap.servers": self.brokers})
        for made in admin.create_topics([NewTopic(topic, 1)]).values():
            made.result(60 * TIME_SCALE)

    def read(self, topic):
        """All messages as a read-committed consumer has them, up to where each partition ends now, partition by partition. A
        commit that was answered may become visible a moment later: what is neither committed nor aborted is waited for."""
        from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition
        consumer, uncommitted = self.consumer("read_committed"), self.consumer("read_uncommitted")
        messages = []
        try:
            partitions = consumer.list_topics(topic, timeout=60 * TIME_SCALE).topics[topic].partitions
            for partition in sorted(partitions):
                end = uncommitted.get_watermark_offsets(TopicPartition(topic, partition), timeout=60 * TIME_SCALE)[1]
                consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
                while True:
                    message = consumer.poll(60 * TIME_SCALE)
                    if message is None:
                        raise AssertionError(f"{topic}/{partition} does not come to its end {end}")
                    if message.error() is None:
                        messages.append(message)
                    elif message.error().code() != KafkaError._PARTITION_EOF:
                        raise KafkaException(message.error())
                    elif message.offset() >= end:
                        break
        finally:
            consumer.close()
            uncommitted.close()
        return messages

    def consumer(self, isolation):
        from confluent_kafka import Consumer
        return Consumer({"bootstrap.servers": self.brokers, "group.id": "test", "enable.auto.commit": False,
                         "isolation.level": isolation, "enable.partition.eof": True})


def headers(message):
    return {name: value.decode() for name, value in message.headers() or []}


def value(message):
    return None if message.value() is None else json.loads(message.value())

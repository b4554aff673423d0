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

    def read(self, topic, isolation="read_committed"):
        """All messages up to where each partition ends now, partition by partition."""
        from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
        consumer = Consumer({"bootstrap.servers": self.brokers, "group.id": "test", "enable.auto.commit": False,
                             "isolation.level": isolation, "enable.partition.eof": True})
        messages = []
        try:
            partitions = consumer.list_topics(topic, timeout=60 * TIME_SCALE).topics[topic].partitions
            for partition in sorted(partitions):
                consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
                while True:
                    message = consumer.poll(60 * TIME_SCALE)
                    if message is None:
                        raise AssertionError(f"no end of {topic}/{partition} in sight")
                    if message.error() is None:
                        messages.append(message)
                    elif message.error().code() == KafkaError._PARTITION_EOF:
                        break
                    else:
                        raise KafkaException(message.error())
        finally:
            consumer.close()
        return messages


def headers(message):
    return {name: value.decode() for name, value in message.headers() or []}


def value(message):
    return None if message.value() is None else json.loads(message.value())

"""What the codecs write, read by the clients that people use: json, fastavro, protobuf, pyarrow, and Confluent's own
deserializers against a real registry. Every type, its extremes too, compared value by value."""

import base64
import io
import json
import os
import subprocess
import tempfile
import unittest
import uuid
from decimal import Decimal

import fastavro
import pyarrow
import pyarrow.ipc
import pyarrow.parquet
from codec.payloads import (JSON_RULES, TABLES, Payloads, Refused, Source, as_text, decimal_of, number_rules, same_float,
                            INFINITE_DAYS, INFINITE_MICROS)
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from e2e.harness import SOURCE_DIR, sql
from e2e.test_types import columns_of
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

LSN = 0x16B3748
COMMIT_MICROS = 1714566896789012


def without_logical_types(schema):
    """The schema as numbers and bytes: Python's own dates know neither infinity nor 44 BC."""
    if isinstance(schema, list):
        return [without_logical_types(branch) for branch in schema]
    if isinstance(schema, dict):
        return {k: without_logical_types(v) for k, v in schema.items() if k not in ("logicalType", "precision", "scale")}
    return schema


def scales(schema):
    """{column: scale} of the decimals of the row of a record's schema."""
    row = next(f["type"][1] for f in schema["fields"] if f["name"] == "before")
    found = {}
    for field in row["fields"]:
        kind = field["type"][1]
        if isinstance(kind, dict) and kind.get("logicalType") == "decimal":
            found[field["name"]] = kind["scale"]
    return found


def plain_values(column):
    """An Arrow column as numbers, bytes and text: Python's own dates know neither infinity nor 44 BC."""
    kind = column.type
    if pyarrow.types.is_date32(kind):
        column = column.cast(pyarrow.int32())
    elif pyarrow.types.is_time64(kind) or pyarrow.types.is_timestamp(kind):
        column = column.cast(pyarrow.int64())
    return [str(v) if isinstance(v, uuid.UUID) else v for v in column.to_pylist()]


def descriptors(folder, name):
    """FileDescriptorProtos of a .proto file and those that it imports."""
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(["protoc", "--include_imports", f"--descriptor_set_out={out}/set", f"-I{folder}", name], check=True)
        with open(os.path.join(out, "set"), "rb") as f:
            return descriptor_pb2.FileDescriptorSet.FromString(f.read()).file


def proto_messages():
    """The messages of types.proto, from the file itself."""
    pool = descriptor_pool.DescriptorPool()
    for file in descriptors(f"{SOURCE_DIR}/proto", "wallaby/v1/types.proto"):
        pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName("wallaby.v1." + name))
            for name in ("Record", "Batch")}


class CodecTest(unittest.TestCase):
    maxDiff = 4000

    @classmethod
    def setUpClass(cls):
        cls.source = Source()
        cls.addClassCleanup(cls.source.stop)

    def registry(self):
        fetched = subprocess.run([f"{SOURCE_DIR}/test/servers/registry", "fetch"], capture_output=True, text=True)
        if fetched.returncode != 0:
            self.skipTest("the schema registry cannot be fetched: " + fetched.stderr.strip()[-200:])
        line = subprocess.run([f"{SOURCE_DIR}/test/servers/registry", "start", "--owner", str(os.getpid())], check=True,
                              capture_output=True, text=True).stdout.strip()
        url, folder = line.split("\t")
        self.addCleanup(subprocess.run, [f"{SOURCE_DIR}/test/servers/registry", "stop", folder], check=False)
        return url

    def rows(self, table):
        return int(sql(self.source.dsn, f"SELECT count(*) FROM {table}")[0][0])

    def second_key(self, table):
        """Of the row that is deleted."""
        return {"id": int(sql(self.source.dsn, f"SELECT id FROM {table} ORDER BY id OFFSET 1 LIMIT 1")[0][0])}

    # ---- JSON ----

    def check_json_values(self, table, rows):
        expected = self.source.values(table, JSON_RULES if table != "infinite_type" else {None: JSON_RULES["micros"]})
        for column, rule in columns_of(table):
            for text, row in zip(expected[column], rows, strict=True):
                value = row[column]
                if rule == "float" and text is not None:
                    single = column in ("c_float4", "j")
                    self.assertTrue(same_float(text, value, single), f"{table}.{column}: {text} {value}")
                else:
                    self.assertEqual(text, as_text(value), f"{table}.{column}")

    def check_envelopes(self, table, envelopes):
        """Inserts, an update, a delete; the rows of the inserts."""
        count = self.rows(table)
        self.assertEqual([e["operation"] for e in envelopes], ["insert"] * count + ["update", "delete"])
        self.assertEqual([e["seq"] for e in envelopes], list(range(count + 2)))
        for e in envelopes:
            self.assertEqual((e["namespace"], e["table"], e["schema_version"], e["lsn"], e["transaction_id"]),
                             ("public", table, 1, LSN, 700))
        self.assertIsNone(envelopes[-1]["after"])
        return [e["after"] for e in envelopes[:count]]

    def test_json(self):
        for table in TABLES:
            payloads = Payloads(self.source.dsn, f"public.{table}", "json")
            lines = payloads.batch.decode().splitlines()
            envelopes = [json.loads(line) for line in lines]
            self.assertEqual([json.loads(r["value"]) for r in payloads.records], envelopes)
            self.assertEqual([json.loads(r["key"]) for r in payloads.records], [e["key"] for e in envelopes])
            rows = self.check_envelopes(table, envelopes)
            self.assertEqual(envelopes[0]["commit_time"], "2024-05-01T12:34:56.789012+00:00")
            self.check_json_values(table, rows)

    # ---- Avro ----

    def check_typed_rows(self, table, scale, rows):
        """Rows whose values are numbers, bytes and text; decimals are bytes, or decimals where there is no scale."""
        rules = number_rules(table)
        if rules is None:
            expected = {**self.source.values(table, {None: INFINITE_MICROS}),
                        "c_date": self.source.values(table, {None: INFINITE_DAYS})["c_date"]}
        else:
            expected = self.source.values(table, rules)
        for column, rule in columns_of(table):
            for text, row in zip(expected[column], rows, strict=True):
                value, what = row[column], f"{table}.{column}"
                if text is None or value is None:
                    self.assertEqual(text, value, what)
                elif rule == "float":
                    self.assertTrue(same_float(text, value, column in ("c_float4", "j")), f"{what}: {text} {value}")
                elif isinstance(value, Decimal):
                    self.assertEqual(Decimal(text), value, what)
                elif column in scale:
                    self.assertEqual(Decimal(text), decimal_of(value, scale[column]), what)
                elif isinstance(value, bytes):
                    self.assertEqual(text, value.hex(), what)
                else:
                    self.assertEqual(text, as_text(value), what)

    def test_avro(self):
        for table in TABLES:
            payloads = Payloads(self.source.dsn, f"public.{table}", "avro")
            schema = json.loads(payloads.schema["text"])
            self.assertEqual(json.loads(fastavro.block_reader(io.BytesIO(payloads.batch)).metadata["avro.schema"]), schema)
            plain = fastavro.parse_schema(without_logical_types(schema))
            envelopes = self.read_container(payloads.batch, plain)
            rows = self.check_envelopes(table, envelopes)
            self.check_typed_rows(table, scales(schema), rows)
            self.assertEqual(envelopes[0]["commit_time"], COMMIT_MICROS)
            self.assertEqual(envelopes[-1]["key"], self.second_key(table))
            self.assertIsNone(envelopes[-1]["before"])
            # One by one: two bytes, the fingerprint, the datum.
            canonical = fastavro.schema.to_parsing_canonical_form(schema)
            fingerprint = bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))
            for record, envelope in zip(payloads.records, envelopes, strict=True):
                self.assertEqual(record["value"][:2], b"\xc3\x01")
                self.assertIn(record["value"][2:10], (fingerprint, fingerprint[::-1]))
                datum = fastavro.schemaless_reader(io.BytesIO(record["value"][10:]), plain)
                self.assertEqual(repr(datum), repr(envelope))

    def read_container(self, data, schema):
        """All records of an object container file, read without the schema that is in it."""
        blocks = fastavro.block_reader(io.BytesIO(data))
        records = []
        for block in blocks:
            body = io.BytesIO(block.bytes_.getvalue())
            records += [fastavro.schemaless_reader(body, schema) for _ in range(block.num_records)]
            self.assertEqual(body.read(), b"", "nothing is left of the block")
        return records

    def test_avro_in_types_of_python(self):
        """As people read it: dates, decimals, and UUIDs."""
        payloads = Payloads(self.source.dsn, "public.plain_type", "avro")
        envelopes = list(fastavro.reader(io.BytesIO(payloads.batch)))
        row = envelopes[6]["after"]  # n = 7
        self.assertEqual(row["c"], Decimal("1.00"))
        self.assertEqual(row["d"].isoformat(), "2024-01-01T00:00:07.000007+00:00")
        self.assertEqual(row["i"].isoformat(), "1999-12-25")
        self.assertEqual(row["m"].isoformat(), "00:07:01")
        self.assertEqual(row["n"].isoformat(), "1999-12-24T23:59:59.999999")
        self.assertEqual(str(row["g"]), "8f14e45f-ceea-167a-5a36-dedd4bea2543")

    # ---- protobuf ----

    def test_proto(self):
        messages = proto_messages()
        for table in TABLES:
            payloads = Payloads(self.source.dsn, f"public.{table}", "proto")
            batch = messages["Batch"].FromString(payloads.batch)
            self.assertEqual((batch.schema.name, batch.schema.namespace, batch.schema.version), (table, "public", 1))
            self.assertEqual([c.name for c in batch.schema.columns], ["id"] + [c for c, _ in columns_of(table)])
            self.assertEqual((batch.checkpoint.lsn, batch.wire_format), ("0/16B3748", 3))
            self.assertEqual([messages["Record"].FromString(r["value"]) for r in payloads.records], list(batch.records))
            self.check_proto_records(table, batch.records)

    def test_the_registered_proto_file(self):
        """What a registry is told is what types.proto says of the same messages."""
        text = Payloads(self.source.dsn, "public.infinite_type", "proto").schema["text"]
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "record.proto"), "w", encoding="utf-8") as f:
                f.write(text)
            registered, = descriptors(folder, "record.proto")
        contract = next(f for f in descriptors(f"{SOURCE_DIR}/proto", "wallaby/v1/types.proto") if f.package == "wallaby.v1")
        self.assertEqual(registered.package, contract.package)
        for kind in ("message_type", "enum_type"):
            ours = {m.name: m for m in getattr(registered, kind)}
            theirs = {m.name: m for m in getattr(contract, kind) if m.name in ours}
            self.assertEqual(ours, theirs)

    def check_proto_records(self, table, records):
        envelopes = [{"operation": r.operation, "namespace": r.namespace, "table": r.table, "lsn": r.lsn, "seq": r.seq,
                      "schema_version": r.schema_version, "transaction_id": r.transaction_id,
                      "after": json.loads(r.after_json) if r.after_json else None} for r in records]
        self.check_json_values(table, self.check_envelopes(table, envelopes))
        self.assertEqual(json.loads(records[-1].key), self.second_key(table))
        self.assertEqual(records[0].commit_time_unix_micros, COMMIT_MICROS)
        self.assertEqual(records[0].timestamp_unix_millis, COMMIT_MICROS // 1000)

    # ---- Arrow and Parquet ----

    def test_columnar(self):
        for wire_format, read in (("arrow", lambda data: pyarrow.ipc.open_stream(data).read_all()),
                                  ("parquet", lambda data: pyarrow.parquet.read_table(io.BytesIO(data)))):
            for table in TABLES:
                with self.subTest(wire_format, table=table):
                    payloads = Payloads(self.source.dsn, f"public.{table}", wire_format)
                    self.check_columns(table, read(payloads.batch))
                    if wire_format == "arrow":
                        rows = [read(r["value"]) for r in payloads.records]
                        self.check_columns(table, pyarrow.concat_tables(rows))
                        self.assertEqual(json.loads(payloads.records[-1]["key"]), self.second_key(table))

    def check_columns(self, table, data):
        count = self.rows(table)
        self.assertEqual(data.schema.metadata[b"wallaby.table"].decode(), f"public.{table}")
        self.assertEqual(data["_wallaby_op"].to_pylist(), ["c"] * count + ["u", "d"])
        self.assertEqual(set(data["_wallaby_lsn"].to_pylist()), {LSN})
        self.assertEqual(data["_wallaby_seq"].to_pylist(), list(range(count + 2)))
        self.assertEqual(data["id"].to_pylist()[-1], self.second_key(table)["id"])
        columns = {name: plain_values(data[name].slice(0, count)) for name in data.column_names}
        rows = [{name: values[i] for name, values in columns.items()} for i in range(count)]
        self.check_typed_rows(table, {}, rows)

    # ---- registries ----

    def test_confluents_clients_and_registry(self):
        url = self.registry() + "/apis/ccompat/v7"
        client = SchemaRegistryClient({"url": url})
        registry = {"registry": "csr", "url": url}
        payloads = Payloads(self.source.dsn, "public.plain_type", "avro", **registry)
        self.assertEqual(payloads.schema["subject"], "public.plain_type-value")
        self.assertEqual(payloads.schema["registry_version"], 1)
        plain = Payloads(self.source.dsn, "public.plain_type", "avro")
        expected = list(fastavro.reader(io.BytesIO(plain.batch)))
        values, keys = AvroDeserializer(client), AvroDeserializer(client)
        for record, envelope in zip(payloads.records, expected, strict=True):
            value = values(record["value"], SerializationContext("public.plain_type", MessageField.VALUE))
            self.assertEqual(repr(value), repr(envelope))
            key = keys(record["key"], SerializationContext("public.plain_type", MessageField.KEY))
            self.assertEqual(key, envelope["key"])
        # The same again registers nothing.
        self.assertEqual(Payloads(self.source.dsn, "public.plain_type", "avro", **registry).schema, payloads.schema)
        self.assertEqual(client.get_versions("public.plain_type-value"), [1])
        self.evolution(client, registry)
        self.confluents_protobuf(client, registry)

    def evolution(self, client, registry):
        sql(self.source.dsn, "CREATE TABLE grows (id int PRIMARY KEY, a int); INSERT INTO grows VALUES (1, 2), (2, 3)")
        client.set_compatibility(level="BACKWARD")
        old = Payloads(self.source.dsn, "public.grows", "avro", version=1, **registry)
        sql(self.source.dsn, "ALTER TABLE grows ADD COLUMN b text; UPDATE grows SET b = 'x'")
        new = Payloads(self.source.dsn, "public.grows", "avro", version=2, **registry)
        self.assertEqual(new.schema["registry_version"], 2)
        self.assertNotEqual(new.schema["id"], old.schema["id"])
        # One reader, with the new schema, reads both.
        reader = AvroDeserializer(client, Schema(new.schema["text"], "AVRO"))
        context = SerializationContext("public.grows", MessageField.VALUE)
        self.assertEqual(reader(old.records[0]["value"], context)["after"], {"id": 1, "a": 2, "b": None})
        self.assertEqual(reader(new.records[0]["value"], context)["after"], {"id": 1, "a": 2, "b": "x"})
        sql(self.source.dsn, "ALTER TABLE grows ALTER COLUMN a TYPE boolean USING a > 0")
        with self.assertRaises(Refused) as refused:
            Payloads(self.source.dsn, "public.grows", "avro", version=3, **registry)
        self.assertRegex(str(refused.exception), "(?s)FAILED_PRECONDITION.*public.grows-value.*(?i:incompatible)")
        self.assertEqual(client.get_versions("public.grows-value"), [1, 2])
        sql(self.source.dsn, "DROP TABLE grows")

    def compiled(self, number, client):
        """The schema with this number as the base64 of a FileDescriptorProto."""
        text = SchemaRegistryClient.get_schema(client, number).schema_str
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "schema.proto"), "w", encoding="utf-8") as f:
                f.write(text)
            file, = descriptors(folder, "schema.proto")
        return base64.b64encode(file.SerializeToString()).decode()

    def confluents_protobuf(self, client, registry):
        messages = proto_messages()
        payloads = Payloads(self.source.dsn, "public.infinite_type", "proto", **registry)
        # Confluent's Python client asks for the schema compiled, which Apicurio does not give.
        client.get_schema = lambda number, *_, **__: Schema(self.compiled(number, client), "PROTOBUF")
        read = ProtobufDeserializer(messages["Record"], {"use.deprecated.format": False}, client)
        records = [read(r["value"], SerializationContext("t", MessageField.VALUE)) for r in payloads.records]
        self.check_proto_records("infinite_type", records)
        read = ProtobufDeserializer(messages["Batch"], {"use.deprecated.format": False}, client)
        batch = read(payloads.batch, SerializationContext("t", MessageField.VALUE))
        self.assertEqual(list(batch.records), records)

    def test_other_registries(self):
        url = self.registry()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        target = self.source.postgres.database("registry")
        for registry in ({"registry": "apicurio", "url": url}, {"registry": "postgres", "registry_dsn": target},
                         {"registry": "local", "url": folder.name}):
            with self.subTest(registry["registry"]):
                self.other_registry(registry, url, target, folder.name)

    def schema_of(self, kind, number, url, target, folder):
        """The schema's text by its number, as a reader finds it."""
        if kind == "postgres":
            return sql(target, f"SELECT schema FROM wallaby.schemas WHERE id = {number}")[0][0]
        if kind == "local":
            paths = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names
                     if name.endswith(f"-{number}.avsc")]
            self.assertEqual(len(paths), 1, paths)
            with open(paths[0], encoding="utf-8") as f:
                return f.read()
        command = ["python3", "-c", "import sys, urllib.request as u; "
                   "print(u.build_opener(u.ProxyHandler({})).open(sys.argv[1]).read().decode(), end='')",
                   f"{url}/apis/registry/v3/ids/contentIds/{number}"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def other_registry(self, registry, url, target, folder):
        kind = registry["registry"]
        sql(self.source.dsn, "DROP TABLE IF EXISTS grows; CREATE TABLE grows (id int PRIMARY KEY, a int); "
                             "INSERT INTO grows VALUES (1, 2), (2, 3)")
        if kind == "apicurio":
            SchemaRegistryClient({"url": url + "/apis/ccompat/v7"}).set_compatibility(level="BACKWARD")
        first = Payloads(self.source.dsn, "public.grows", "avro", **registry)
        sql(self.source.dsn, "ALTER TABLE grows ADD COLUMN b bigint")
        second = Payloads(self.source.dsn, "public.grows", "avro", version=2, **registry)
        self.assertEqual((first.schema["registry_version"], second.schema["registry_version"]), (1, 2))
        self.assertEqual(Payloads(self.source.dsn, "public.grows", "avro", version=2, **registry).schema, second.schema)
        for payloads, row in ((first, {"id": 1, "a": 2}), (second, {"id": 1, "a": 2, "b": None})):
            value = payloads.records[0]["value"]
            number = int.from_bytes(value[1:5], "big")
            self.assertEqual((value[0], str(number)), (0, payloads.schema["id"]))
            schema = json.loads(self.schema_of(kind, number, url, target, folder))
            self.assertEqual(schema, json.loads(payloads.schema["text"]))
            self.assertEqual(fastavro.schemaless_reader(io.BytesIO(value[5:]), schema)["after"], row)
        sql(self.source.dsn, "ALTER TABLE grows ALTER COLUMN a TYPE text")
        with self.assertRaises(Refused) as refused:
            Payloads(self.source.dsn, "public.grows", "avro", version=3, **registry)
        self.assertRegex(str(refused.exception), "(?s)FAILED_PRECONDITION.*public.grows-(key|value)")
        proto = Payloads(self.source.dsn, "public.infinite_type", "proto", **registry)
        self.assertEqual(proto.records[0]["value"][:6], b"\0" + int(proto.schema["id"]).to_bytes(4, "big") + b"\0")


if __name__ == "__main__":
    unittest.main()

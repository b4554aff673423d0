"""Payloads of the codecs for a table of every type, and what PostgreSQL says its values are."""

import json
import os
import struct
import subprocess
import tempfile
from decimal import Context, Decimal

from e2e.harness import Postgres, sql
from e2e.test_types import columns_of, insert_sql, setup_sql

WRITE_PAYLOADS = os.environ["WALLABY_WRITE_PAYLOADS"]
# As PostgreSQL prints it; a cast to text would take the spaces off char(n).
PRINTED = "CASE WHEN {0} IS DISTINCT FROM NULL THEN format('%s', {0}) END"
TABLES = ("every_type", "infinite_type", "plain_type")


class Refused(Exception):
    """The program's own words."""


class Payloads:
    """What one run of write_payloads made: batch, records (dicts with bytes) and schema."""

    def __init__(self, dsn, table, wire_format, **named):
        with tempfile.TemporaryDirectory() as folder:
            command = [WRITE_PAYLOADS, dsn, table, wire_format, folder, *(f"{k}={v}" for k, v in named.items())]
            run = subprocess.run(command, capture_output=True, text=True, check=False)
            if run.returncode != 0:
                raise Refused(run.stderr.strip())
            with open(os.path.join(folder, "batch"), "rb") as f:
                self.batch = f.read()
            with open(os.path.join(folder, "records"), encoding="utf-8") as f:
                self.records = [json.loads(line) for line in f]
            with open(os.path.join(folder, "schema.json"), encoding="utf-8") as f:
                self.schema = json.load(f)
        for record in self.records:
            record["key"] = bytes.fromhex(record["key"]) if record["has_key"] else None
            record["value"] = bytes.fromhex(record["value"])


class Source:
    """A database that holds a table of every type."""

    def __init__(self):
        self.postgres = Postgres(15)
        self.dsn = self.postgres.database("source")
        sql(self.dsn, setup_sql() + insert_sql(1))

    def stop(self):
        self.postgres.stop()

    def values(self, table, rules):
        """{column: [text of each row]} in order of id; `rules` maps a rule of columns_of() to SQL."""
        result = {}
        for column, rule in columns_of(table):
            expression = rules.get(rule, PRINTED).format(column)
            result[column] = [row[0] for row in sql(self.dsn, f"SELECT {expression}, id FROM {table} ORDER BY id")]
        return result


# In JSON: what is not PostgreSQL's own text.
JSON_RULES = {"bytes": "replace(encode({0}, 'base64'), E'\\n', '')", "micros": "to_json({0}) #>> '{{}}'"}
# In Avro, Arrow and Parquet: numbers.
INFINITE_DAYS = "CASE WHEN isfinite({0}) THEN ({0} - DATE '1970-01-01')::text WHEN {0} > '2000-01-01' THEN '2147483647' " \
                "WHEN {0} < '2000-01-01' THEN '-2147483647' END"
INFINITE_MICROS = "CASE WHEN isfinite({0}) THEN (extract(epoch FROM {0}) * 1000000)::numeric(30,0)::text " \
                  "WHEN {0} > '2000-01-01' THEN '9223372036854775807' " \
                  "WHEN {0} < '2000-01-01' THEN '-9223372036854775807' END"
NUMBER_RULES = {"bytes": "encode({0}, 'hex')", "micros": INFINITE_MICROS, "days": INFINITE_DAYS,
                "time": "(extract(epoch FROM {0}) * 1000000)::numeric(30,0)::text"}


def number_rules(table):
    """infinite_type has no rules of its own."""
    return NUMBER_RULES if table != "infinite_type" else None


def same_float(text, value, single):
    """PostgreSQL's text and a float read back are the same bits; NaNs are equal."""
    form = "<f" if single else "<d"
    expected, value = float(text), float(value)  # NaN is text in JSON
    if expected != expected:
        return value != value
    return struct.pack(form, expected) == struct.pack(form, value)


def as_text(value):
    """A value out of JSON as PostgreSQL's text; floats stay."""
    if value is True or value is False:
        return "t" if value else "f"
    if isinstance(value, int):
        return str(value)
    return value


def decimal_of(raw, scale):
    return Decimal(int.from_bytes(raw, "big", signed=True)).scaleb(-scale, Context(prec=40))


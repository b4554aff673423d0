"""Compares tables of the source with what arrived: a DuckDB file and, when asked, a second PostgreSQL database.

  compare.py --source DSN --duckdb FILE [--postgres DSN] SCHEMA.TABLE...

Every value of every row counts. A row's hash is made of its values as PostgreSQL prints them; a table's hash is the sum of
its rows' hashes, so that order does not matter. Prints one line a table. Exit status 0 when all are equal, 1 when not.
"""

import argparse
import hashlib
import re
import struct
import subprocess
import sys

import duckdb

SESSION = ("SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC'; SET extra_float_digits = 3;"
           " SET bytea_output = 'hex'; SET client_encoding = 'UTF8'; SET search_path = ''")
ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def quoted(*names):
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def plain(field):
    """A field of COPY's text format as its value."""
    if field == "\\N":
        return None
    if "\\" not in field:
        return field
    return re.sub(r"\\(.)", lambda match: ESCAPES.get(match[1], match[1]), field, flags=re.DOTALL)


def postgres_rows(dsn, table, columns):
    statement = f"COPY (SELECT {', '.join(map(quoted, columns))} FROM {quoted(*table)}) TO STDOUT"
    command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", dsn, "-c", SESSION, "-c", statement]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as psql:
        for line in psql.stdout:
            yield [plain(field) for field in line[:-1].decode().split("\t")]
    if psql.returncode != 0:
        sys.exit(f"compare: {'.'.join(table)} could not be read by psql")


def duckdb_rows(connection, table, columns):
    def select(name, kind):
        if kind in ("BLOB", "FLOAT", "DOUBLE"):
            return quoted(name)
        return f"CAST({quoted(name)} AS VARCHAR)"

    connection.execute(f"SELECT {', '.join(select(*column) for column in columns)} FROM {quoted(*table)}")
    while rows := connection.fetchmany(10000):
        yield from rows


def canonical(value, kind):
    """One text for a value, however a database prints it. `kind` is the column's type in DuckDB."""
    if value is None:
        return None
    if kind == "BOOLEAN":
        return value[0]
    if kind == "DOUBLE":
        return repr(float(value))
    if kind == "FLOAT":
        return repr(struct.unpack("f", struct.pack("f", float(value)))[0])
    if kind == "BLOB" and isinstance(value, (bytes, bytearray)):
        return "\\x" + value.hex()
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return value.replace("(BC)", "BC")
    return value


def digest(rows, kinds):
    count = total = 0
    for row in rows:
        hasher = hashlib.blake2b(digest_size=8)
        for value, kind in zip(row, kinds, strict=True):
            text = canonical(value, kind)
            hasher.update(b"\0" if text is None else b"%d:" % len(text) + text.encode())
        total += int.from_bytes(hasher.digest(), "big")
        count += 1
    return count, f"{total % 2**64:016x}"


def duckdb_columns(connection, table):
    return connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = current_database()"
        " AND schema_name = ? AND table_name = ? ORDER BY column_index", table).fetchall()


def source_columns(dsn, table):
    """Names of the columns that replication carries."""
    name = quoted(*table).replace("'", "''")
    query = (f"SELECT attname FROM pg_attribute WHERE attrelid = '{name}'::regclass AND attnum > 0 AND NOT attisdropped"
             " AND attgenerated = '' ORDER BY attnum")
    result = subprocess.run(["psql", "-XAtq", "-d", dsn, "-c", query], check=True, capture_output=True, text=True)
    return result.stdout.splitlines()


def compare(table, options, connection):
    """The line to print, and whether all are equal."""
    columns = duckdb_columns(connection, list(table))
    missing = sorted(set(source_columns(options.source, table)) - {name for name, _ in columns})
    if missing:
        return ["?", "", "", "", "missing in DuckDB: " + ", ".join(missing)], False
    names, kinds = [name for name, _ in columns], [kind for _, kind in columns]
    source = digest(postgres_rows(options.source, table, names), kinds)
    sides = [digest(duckdb_rows(connection, table, columns), kinds)]
    if options.postgres:
        sides.append(digest(postgres_rows(options.postgres, table, names), kinds))
    equal = all(side == source for side in sides)
    rows = "/".join(str(count) for count in dict.fromkeys([source[0]] + [side[0] for side in sides]))
    return [rows, source[1]] + [side[1] for side in sides] + ["equal" if equal else "DIFFERENT"], equal


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", required=True)
    parser.add_argument("--duckdb", required=True)
    parser.add_argument("--postgres")
    parser.add_argument("tables", nargs="+")
    options = parser.parse_args()

    connection = duckdb.connect(options.duckdb, read_only=True)
    connection.execute("SET TimeZone = 'UTC'")
    lines = [["table", "rows", "hash at the source", "in the DuckDB file"] +
             (["in the second server"] if options.postgres else []) + [""]]
    all_equal = True
    for name in options.tables:
        line, equal = compare(tuple(name.split(".", 1)), options, connection)
        lines.append([name] + line)
        all_equal &= equal
    widths = [max(len(line[i]) for line in lines if i < len(line)) for i in range(len(lines[0]))]
    for line in lines:
        print("  " + "  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())
    return 0 if all_equal else 1


if __name__ == "__main__":
    sys.exit(main())

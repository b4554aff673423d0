"""Every built-in type, its extremes too, compared value by value in all three destinations: snapshot and streaming.

The written rule for each type is docs/types.md. Each case gives the type, values as SQL, and how the destination's value is turned
into the text that PostgreSQL prints; where nothing is given the value is carried as that very text.
"""

import os
import unittest

from e2e.harness import Postgres, Wallaby, duckdb_rows, source_endpoint, sql

# What DuckDB must print for a value of the logical type, given the column's name; else CAST AS VARCHAR.
DUCKDB = {
    "bool": "CASE WHEN {0} THEN 't' WHEN NOT {0} THEN 'f' END",
    "bytes": "'\\x' || lower(hex({0}))",
    "micros": "CAST(epoch_us({0}) AS VARCHAR)",
    "days": "CAST(datediff('day', DATE '1970-01-01', {0}) AS VARCHAR)",
    "time": "CAST(epoch_us({0}) AS VARCHAR)",
    "float": "printf('%a', CAST({0} AS DOUBLE))",
    "uuid": "CAST({0} AS VARCHAR)",
    "json": "CAST({0} AS VARCHAR)",
}
# The same of PostgreSQL's value.
POSTGRES = {
    "micros": "(extract(epoch FROM {0}) * 1000000)::numeric(30,0)::text",
    "days": "({0} - DATE '1970-01-01')::text",
    "time": "(extract(epoch FROM {0}) * 1000000)::numeric(30,0)::text",
}

LONG = "repeat('0123456789abcdef', 65536)"  # 1 MiB
CASES = [
    # column, type, values, rule
    ("c_bool", "boolean", ["true", "false"], "bool"),
    ("c_int2", "smallint", ["-32768", "32767", "0"], None),
    ("c_int4", "integer", ["-2147483648", "2147483647"], None),
    ("c_int8", "bigint", ["-9223372036854775808", "9223372036854775807"], None),
    ("c_oid", "oid", ["0", "4294967295"], None),
    ("c_numeric", "numeric", ["'NaN'", "repeat('9', 1000)::numeric", "-0.00000000000000000000000000000000000000000001",
                              "1.10", "0", "'1e-1000'", "123456789012345678901234567890123456789012.5"], None),
    ("c_numeric_38_10", "numeric(38,10)", ["9999999999999999999999999999.9999999999", "-0.0000000001", "0", "42"], None),
    ("c_numeric_5_0", "numeric(5)", ["99999", "-1"], None),
    ("c_money", "money", ["'$1,234.56'", "'-$0.01'"], None),
    ("c_text", "text", ["''", "'zażółć gęślą 🦘 émoji'", "E'tab\\tline\\nquote\\'\"backslash\\\\ x'", LONG], None),
    ("c_varchar", "varchar(20)", ["'abc'", "'  spaced  '"], None),
    ("c_char", "char(5)", ["'ab'", "'abcde'"], None),
    ("c_name", "name", ["'pg_class'"], None),
    ("c_qchar", "\"char\"", ["'x'"], None),
    ("c_bytea", "bytea", ["'\\x00ff10'", "''", "decode(repeat('00', 1000), 'hex')"], "bytes"),
    ("c_date", "date", ["'2024-02-29'", "'0044-03-15 BC'", "'5874897-12-31'", "'1970-01-01'"], "days"),
    ("c_time", "time", ["'00:00:00'", "'23:59:59.999999'", "'24:00:00'"], "time"),
    ("c_timetz", "timetz", ["'12:34:56.789+05:30'", "'24:00:00-15:59:59'"], None),
    ("c_timestamp", "timestamp", ["'2024-02-29 12:34:56.789012'", "'0044-03-15 12:00:00 BC'", "'1969-12-31 23:59:59'"],
     "micros"),
    ("c_timestamptz", "timestamptz", ["'2024-02-29 12:34:56.789012+02'", "'1900-01-01 00:00:00-05'"], "micros"),
    ("c_interval", "interval", ["'1 year 2 months 3 days 04:05:06.789'", "'-1 day'", "'178000000 years'"], None),
    ("c_uuid", "uuid", ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "'00000000-0000-0000-0000-000000000000'"], "uuid"),
    ("c_json", "json", ["'{\"b\": 1, \"a\":  [1, 2.50, null]}'", "'\"text\"'"], "json"),
    ("c_jsonb", "jsonb", ["'{\"b\": 1, \"a\": [1, 2.50, null, \"é🦘\"]}'", "'null'"], "json"),
    ("c_xml", "xml", ["'<a b=\"c\">d</a>'"], None),
    ("c_inet", "inet", ["'192.168.0.1'", "'2001:db8::1/64'"], None),
    ("c_cidr", "cidr", ["'10.0.0.0/8'"], None),
    ("c_macaddr", "macaddr", ["'08:00:2b:01:02:03'"], None),
    ("c_macaddr8", "macaddr8", ["'08:00:2b:01:02:03:04:05'"], None),
    ("c_bit", "bit(4)", ["B'1010'"], None),
    ("c_varbit", "varbit", ["B'10101'", "B''"], None),
    ("c_point", "point", ["'(1.5,-2)'"], None),
    ("c_line", "line", ["'{1,2,3}'"], None),
    ("c_lseg", "lseg", ["'[(0,0),(1,1)]'"], None),
    ("c_box", "box", ["'(1,1),(0,0)'"], None),
    ("c_path", "path", ["'((0,0),(1,1),(2,0))'"], None),
    ("c_polygon", "polygon", ["'((0,0),(1,1),(2,0))'"], None),
    ("c_circle", "circle", ["'<(0,0),5>'"], None),
    ("c_tsvector", "tsvector", ["'a fat cat'::tsvector"], None),
    ("c_tsquery", "tsquery", ["'fat & (rat | cat)'::tsquery"], None),
    ("c_pg_lsn", "pg_lsn", ["'16/B374D848'"], None),
    ("c_xid", "xid", ["'4294967295'"], None),
    ("c_tid", "tid", ["'(1,2)'"], None),
    ("c_int4range", "int4range", ["'[1,10)'", "'empty'"], None),
    ("c_numrange", "numrange", ["'[1.5,)'"], None),
    ("c_tstzrange", "tstzrange", ["'[2024-01-01 00:00:00+00,2024-02-01 00:00:00+00)'"], None),
    ("c_daterange", "daterange", ["'[2024-01-01,2024-02-01)'"], None),
    ("c_int4multirange", "int4multirange", ["'{[1,3),[5,7)}'"], None),
    ("c_int4_array", "integer[]", ["'{1,2,NULL,-3}'", "'{{1,2},{3,4}}'", "'[0:1]={5,6}'", "'{}'"], None),
    ("c_text_array", "text[]", ["ARRAY['a,b', 'c\"d', NULL, 'NULL', '', E'e\\\\f', '🦘']"], None),
    ("c_tstz_array", "timestamptz[]", ["ARRAY['2024-01-01 00:00:00+00'::timestamptz]"], None),
    ("c_enum", "mood", ["'happy'", "'very sad'"], None),
    ("c_enum_array", "mood[]", ["'{happy,\"very sad\"}'::mood[]"], None),
    ("c_domain", "positive", ["7"], None),
    ("c_composite", "pair", ["ROW(1, 'a b')", "ROW(NULL, NULL)"], None),
    ("c_hstore", "hstore", ["'a=>1, b=>NULL'"], None),
    ("c_ltree", "ltree", ["'a.b.c'"], None),
    ("c_citext", "citext", ["'MiXed'"], None),
]
INFINITE = [("c_date", "date", "days"), ("c_timestamp", "timestamp", "micros"), ("c_timestamptz", "timestamptz", "micros")]


def setup_sql():
    columns = ", ".join(f"{name} {kind}" for name, kind, _, _ in CASES)
    return f"""
      CREATE EXTENSION IF NOT EXISTS hstore; CREATE EXTENSION IF NOT EXISTS ltree; CREATE EXTENSION IF NOT EXISTS citext;
      CREATE TYPE mood AS ENUM ('happy', 'very sad');
      CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
      CREATE TYPE pair AS (n integer, t text);
      CREATE TABLE every_type (id integer PRIMARY KEY, {columns}, c_float4 real, c_float8 double precision);
      CREATE TABLE plain_type (id integer PRIMARY KEY, a bigint, b text, c numeric(12,2), d timestamptz, e jsonb, f bytea,
                               g uuid, h double precision, i date, j real, k boolean, l mood, m time, n timestamp, o numeric,
                               p varchar(10), q oid, r smallint);
      CREATE TABLE infinite_type (id integer PRIMARY KEY, c_date date, c_timestamp timestamp, c_timestamptz timestamptz);
    """


FLOATS = ["0", "'-0'", "1.5", "'NaN'", "'Infinity'", "'-Infinity'", "1e-30", "3.4028235e38", "0.1"]


def insert_sql(first_id):
    """Rows of all tables; those with a value of a case stand at first_id and above. The last row is all null."""
    depth = max(max(len(values) for _, _, values, _ in CASES), len(FLOATS))
    rows = []
    for i in range(depth + 1):
        cells = [str(first_id + i)]
        for _, kind, values, _ in CASES:
            cells.append(f"({values[i % len(values)]})::{kind}" if i < depth else "NULL")
        for kind in ("real", "double precision"):
            cells.append(f"({FLOATS[i % len(FLOATS)]})::{kind}" if i < depth else "NULL")
        rows.append("(" + ", ".join(cells) + ")")
    plain = f"""INSERT INTO plain_type SELECT {first_id} + n, n::bigint * 1000000007, repeat('x🦘', n), n / 7.0,
      '2024-01-01'::timestamptz + n * interval '1.000001 seconds', jsonb_build_object('n', n), sha256(n::text::bytea),
      md5(n::text)::uuid, n / 3.0, '2000-01-01'::date - n, n / 3.0, n % 2 = 0, 'happy', '00:00:01'::time * 1,
      '1999-12-31 23:59:59.999999'::timestamp - n * interval '1 day', n / 3.0, left(md5(n::text), 10), n, n
      FROM generate_series(1, 50) n;""".replace("'00:00:01'::time * 1", "'00:00:01'::time + n * interval '1 minute'")
    infinite = (f"INSERT INTO infinite_type VALUES ({first_id}, 'infinity', 'infinity', 'infinity'), "
                f"({first_id + 1}, '-infinity', '-infinity', '-infinity');")
    return "INSERT INTO every_type VALUES " + ",\n".join(rows) + ";" + plain + infinite


def columns_of(table):
    if table == "every_type":
        return [(name, rule) for name, _, _, rule in CASES] + [("c_float4", "float"), ("c_float8", "float")]
    if table == "infinite_type":
        return [(name, None) for name, _, _ in INFINITE]
    return [("a", None), ("b", None), ("c", None), ("d", "micros"), ("e", "json"), ("f", "bytes"), ("g", "uuid"),
            ("h", "float"), ("i", "days"), ("j", "float"), ("k", "bool"), ("l", None), ("m", "time"), ("n", "micros"),
            ("o", None), ("p", None), ("q", None), ("r", None)]


def hexfloat(text):
    if text is None:
        return None
    value = float(text)
    return "nan" if value != value else value.hex()


class TypesTest(unittest.TestCase):
    def run_on(self, major):
        postgres = Postgres(major)
        try:
            self.round_trip(postgres)
        finally:
            postgres.stop()

    def round_trip(self, postgres):
        source, target = postgres.database("source"), postgres.database("target")
        sql(source, setup_sql() + insert_sql(1))
        sql(target, "CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE EXTENSION citext")
        wallaby = Wallaby().start()
        try:
            lake = os.path.join(wallaby.folder, "lake")
            ducks = {name: os.path.join(wallaby.folder, name + ".duckdb") for name in ("all", "plain")}
            # Two flows: one with types that are read as text, one whose types all have a binary form.
            for name, tables in (("all", "public.every_type,public.infinite_type"), ("plain", "public.plain_type")):
                slot = f"types_{name}"
                flow_id = wallaby.create({
                    "name": name,
                    "source": source_endpoint(source, slot=slot, publication=slot, publication_tables=tables),
                    "destinations": [
                        {"name": "duck", "type": "duckdb", "options": {"dsn": ducks[name]}},
                        {"name": "pg", "type": "postgres", "options": {"dsn": target}},
                        {"name": "lake", "type": "parquet",
                         "options": {"path": lake, "write_mode": "append", "roll_interval": "500ms"}}]})
                wallaby.await_delivery(flow_id, source, slot)
            sql(source, insert_sql(1001))
            for name in ("all", "plain"):
                wallaby.await_delivery(wallaby.flows[0 if name == "all" else 1], source, f"types_{name}")
            for flow_id in wallaby.flows:
                wallaby.stop_flow(flow_id)
            for table in ("every_type", "infinite_type", "plain_type"):
                duck = ducks["plain" if table == "plain_type" else "all"]
                self.compare_duckdb(source, table, lambda q, d=duck: duckdb_rows(d, q), f"public.{table}")
                files = f"read_parquet('{lake}/public/{table}/**/*.parquet', union_by_name=true)"
                self.compare_duckdb(source, table, lambda q, d=duck: duckdb_rows(d, q), files)
                self.compare_postgres(source, target, table)
        finally:
            wallaby.close()

    def compare_duckdb(self, source, table, query, relation):
        columns = columns_of(table)
        for column, rule in columns:
            expected = sql(source, f"SELECT id, {POSTGRES.get(rule, '{0}').format(column)} FROM {table} ORDER BY id")
            text = DUCKDB.get(rule, "CAST({0} AS VARCHAR)").format(column)
            if rule == "float":
                text = f"CAST(CAST({column} AS DOUBLE) AS VARCHAR)"
            got = [[str(row[0]), row[1]] for row in query(f"SELECT id, {text} FROM {relation} ORDER BY id")]
            if rule == "float":
                if column in ("c_float4", "j"):  # the destination's float is printed as a double
                    expected = sql(source, f"SELECT id, {column}::float8 FROM {table} ORDER BY id")
                expected = [[i, hexfloat(v)] for i, v in expected]
                got = [[i, hexfloat(v)] for i, v in got]
            self.same(f"{relation} {column}", expected, got)

    def compare_postgres(self, source, target, table):
        for column, _ in columns_of(table):
            query = f"SELECT id, {column} FROM {table} ORDER BY id"
            self.same(f"postgres {table}.{column}", sql(source, query), sql(target, query))

    def same(self, what, expected, got):
        self.assertEqual(len(expected), len(got), f"{what}: {len(expected)} rows expected, {len(got)} found")
        self.assertGreater(len(got), 0)
        for want, have in zip(expected, got):
            if want != have:
                self.fail(f"{what}: row {want[0]}: expected {str(want[1])[:200]!r}, found {str(have[1])[:200]!r}")

    def test_postgresql_15(self):
        self.run_on(15)

    def test_postgresql_18(self):
        self.run_on(18)


if __name__ == "__main__":
    unittest.main()

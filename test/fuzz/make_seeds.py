"""Makes the first inputs of the fuzz targets from real bytes: a real server's replication stream, COPY and DDL messages, and
what a worker and its control store wrote while it read them.

  WALLABY_BIN_DIR=build/bin .deps/venv/bin/python test/fuzz/make_seeds.py FOLDER

FOLDER gets a folder for each target; `./dev fuzz` merges what is new in them into test/fuzz/corpus.
"""

import base64
import glob
import json
import os
import re
import sqlite3
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from e2e.harness import SOURCE_DIR, Postgres, Wallaby, source_endpoint, wait_until  # noqa: E402

ROOT = sys.argv[1]

# (index in values_fuzz.cc, SQL type, values)
TYPES = [
    (0, "boolean", ["true", "false"]),
    (1, "bytea", ["'\\x'", "'\\x00ff10'"]),
    (2, "name", ["'pg_class'"]),
    (3, "bigint", ["0", "-9223372036854775808", "9223372036854775807"]),
    (4, "smallint", ["-32768", "7"]),
    (5, "integer", ["2147483647", "-1"]),
    (6, "text", ["''", "E'tab\\t and ünïcode'", "repeat('x', 300)"]),
    (7, "oid", ["4294967295", "1"]),
    (8, "json", ["'{\"a\": [1, null]}'"]),
    (9, "real", ["1.5", "'NaN'", "'-Infinity'", "3.4e38", "1e-40"]),
    (10, "double precision", ["0.1", "'Infinity'", "1e300", "-0", "5e-324", "123456789012345680"]),
    (11, "character(5)", ["'ab'"]),
    (12, "varchar(9)", ["'abc'"]),
    (13, "date", ["'2024-02-29'", "'infinity'", "'-infinity'", "'0044-03-15 BC'", "'5874897-12-31'", "'1999-12-31'"]),
    (14, "time", ["'00:00:00'", "'24:00:00'", "'12:34:56.789012'"]),
    (15, "timestamp", ["'2024-02-29 12:34:56.789'", "'infinity'", "'4713-01-01 BC'", "'294276-12-31 23:59:59.999999'"]),
    (16, "timestamptz", ["'2024-02-29 12:34:56+02'", "'-infinity'"]),
    (17, "numeric", ["0", "'NaN'", "'Infinity'", "123456789.000100", "1e-20", "-12345678901234567890.5"]),
    (18, "numeric(10,2)", ["99999999.99", "-0.01"]),
    (19, "numeric(38,0)", ["99999999999999999999999999999999999999", "10000"]),
    (20, "numeric(38,38)", ["0.00000000000000000000000000000000000001"]),
    (21, "numeric(5,5)", ["0.12345"]),
    (22, "numeric(20,9)", ["12345678901.123456789"]),
    (23, "uuid", ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"]),
    (24, "jsonb", ["'{\"b\": 1, \"a\": \"x\"}'"]),
    (26, "interval", ["'1 year 2 days 03:04:05.6'"]),
]


def write(target, name, content):
    folder = os.path.join(ROOT, target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(content if isinstance(content, bytes) else content.encode())


def copy_out(dsn, query, binary):
    form = "binary" if binary else "text"
    return subprocess.run(["psql", "-Xq", "-d", dsn, "-c", f"COPY ({query}) TO STDOUT (FORMAT {form})"], check=True,
                          capture_output=True).stdout


def binary_fields(content):
    """The rows of COPY in binary form, each a list of bytes or None."""
    at, rows = 19, []
    while True:
        count = struct.unpack_from(">h", content, at)[0]
        at += 2
        if count < 0:
            return rows
        row = []
        for _ in range(count):
            length = struct.unpack_from(">i", content, at)[0]
            at += 4
            row.append(None if length < 0 else content[at:at + length])
            at += max(length, 0)
        rows.append(row)


def values(dsn):
    for index, sql_type, texts in TYPES:
        for i, text in enumerate(texts):
            query = f"SELECT CAST({text} AS {sql_type})"
            write("values", f"b{index}_{i}", bytes([index, 1]) + binary_fields(copy_out(dsn, query, True))[0][0])
            write("values", f"t{index}_{i}", bytes([index, 0]) + copy_out(dsn, query, False)[:-1])
    # A row with each column of the table in arrow_rows_fuzz.cc.
    columns = [("boolean", "true"), ("bytea", "'\\x0102'"), ("bigint", "1"), ("smallint", "2"), ("integer", "3"),
               ("text", "'four'"), ("oid", "5"), ("json", "'{}'"), ("real", "1.5"), ("double precision", "2.5"),
               ("date", "'2024-01-01'"), ("time", "'12:00'"), ("timestamp", "'2024-01-01'"), ("timestamptz", "'2024-01-01+00'"),
               ("numeric", "1.25"), ("numeric(12,3)", "1.125"), ("uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"),
               ("jsonb", "'[]'")]
    query = "SELECT " + ", ".join(f"{text}::{sql_type}" for sql_type, text in columns)
    binary = b"".join(bytes([3, len(f)]) + f for f in binary_fields(copy_out(dsn, query, True))[0]) + b"\x00"
    plain = b"".join(bytes([2, len(f)]) + f for f in copy_out(dsn, query, False)[:-1].split(b"\t")) + b"\x01"
    for name, content in (("binary", binary), ("text", plain), ("both", binary + plain + binary), ("nulls", b"\0\1" * 9 + b"\0")):
        write("arrow_rows", name, content)
    for binary_form in (False, True):
        for columns_count, rows in ((1, "SELECT g FROM generate_series(1, 5) g"),
                                    (3, "SELECT NULL, E'a\\tb\\\\c', 'x' UNION ALL SELECT '1', '', NULL")):
            content = copy_out(dsn, rows, binary_form)
            for piece in (0, 6, 200):
                write("copy_rows", f"{binary_form}_{columns_count}_{piece}",
                      bytes([columns_count << 1 | binary_form, piece]) + content)


def stream(dsn, options):
    rows = copy_out(dsn, "SELECT data FROM pg_logical_slot_peek_binary_changes('fuzz', NULL, NULL, 'proto_version', '1', "
                         f"'publication_names', 'pub', 'messages', 'true'{options})", True)
    return [row[0] for row in binary_fields(rows)]


def blocks(messages):
    return b"".join(struct.pack(">H", len(m)) + m for m in messages if len(m) < 65536)


def replication(postgres):
    dsn = postgres.database("stream")
    postgres.sql("""
      CREATE TABLE t (id int PRIMARY KEY, note text, big text);
      CREATE TABLE u (id bigint PRIMARY KEY, n numeric, ts timestamptz);
      CREATE TABLE f (a int, b text); ALTER TABLE f REPLICA IDENTITY FULL;
      CREATE TABLE k (id int PRIMARY KEY, a int NOT NULL); CREATE UNIQUE INDEX k_a ON k (a);
      ALTER TABLE k REPLICA IDENTITY USING INDEX k_a;
      ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
      CREATE PUBLICATION pub FOR ALL TABLES;
      SELECT pg_create_logical_replication_slot('fuzz', 'pgoutput');
      INSERT INTO t VALUES (1, 'a', repeat('x', 3000)), (2, NULL, NULL);
      UPDATE t SET note = 'b' WHERE id = 1; UPDATE t SET id = 3 WHERE id = 1; DELETE FROM t WHERE id = 2;
      BEGIN; INSERT INTO u SELECT g, g / 7.0, now() FROM generate_series(1, 4) g; DELETE FROM u WHERE id > 2;
      INSERT INTO f VALUES (1, 'x'), (1, 'x'); UPDATE f SET b = 'y'; DELETE FROM f; COMMIT;
      BEGIN; INSERT INTO k VALUES (1, 1); UPDATE k SET a = 2; TRUNCATE k, u; COMMIT;
      SELECT pg_logical_emit_message(true, 'hold', 'x'); SELECT pg_logical_emit_message(false, 'p', 'x');
      BEGIN; ALTER TABLE t ADD COLUMN extra date DEFAULT '2024-01-01'; INSERT INTO t VALUES (9, 'n', 'b'); COMMIT;
      """, dsn)
    for form, options in ((0, ""), (1, ", 'binary', 'true'")):
        messages = stream(dsn, options)
        write("pgoutput", f"all_{form}", bytes([form]) + blocks(messages))
        for parts in (2, 4, 8, 14, 16, 32, 62):
            write("pgoutput", f"all_{form}_{parts}", bytes([form | parts]) + blocks(m for m in messages if len(m) < 500))
        transaction, count = [], 0
        for message in messages:
            transaction.append(message)
            if message[:1] == b"C":
                if len(transaction) > 2:
                    write("pgoutput", f"one_{form}_{count}", bytes([form]) + blocks(transaction))
                    count += 1
                transaction = []
    postgres.sql("SELECT pg_drop_replication_slot('fuzz')", dsn)


def worker(postgres):
    """A flow with the gate on: its DDL messages, plans, snapshot plans, metrics and trace."""
    dsn = postgres.database("worker")
    postgres.sql("CREATE TABLE orders (id int PRIMARY KEY, note varchar(10), price numeric(10,2) DEFAULT 1);"
                 "INSERT INTO orders SELECT g, 'n' FROM generate_series(1, 20000) g;", dsn)
    trace = os.path.join(tempfile.mkdtemp(), "trace")
    wallaby = Wallaby({"WALLABY_DDL_GATE": "true", "WALLABY_TRACE_PATH": trace}).start()
    flow = {"name": "seeds", "source": source_endpoint(dsn, publication="pub", slot="seeds"),
            "destinations": [{"name": "none", "type": "null", "options": {}}]}
    flow_id = wallaby.create(flow)
    wallaby.await_delivery(flow_id, dsn, "seeds")
    postgres.sql("SELECT pg_create_logical_replication_slot('fuzz', 'pgoutput')", dsn)
    commands = ["ADD COLUMN extra timestamptz DEFAULT now()", "RENAME note TO remark", "ALTER remark TYPE text",
                "DROP COLUMN price", "ALTER remark SET NOT NULL", "RENAME TO purchases"]
    postgres.sql("".join(f"ALTER TABLE orders {c};" for c in commands) +
                 "CREATE TABLE fresh (a int, b int[]);" + "DROP TABLE fresh;", dsn)
    messages = [m for m in stream(dsn, "") if m[:1] == b"M"]
    for i, message in enumerate(messages):
        content = message[9 + 1:].split(b"\0", 1)[1][4:]
        write("ddl_message", f"m{i}", content.replace(b'"wallaby_test"', b'"pub"'))
    wait_until(lambda: "paused" in json.dumps(wallaby.get(flow_id)).lower(), 60, "the gate")
    database = sqlite3.connect(glob.glob(os.path.join(wallaby.folder, "data", "*.db"))[0])
    tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        for row_number, row in enumerate(database.execute(f"SELECT * FROM {table}")):
            for column, value in enumerate(row):
                if isinstance(value, str) and value.startswith("{"):
                    write("flow_file" if table.endswith("flows") else "stored_json", f"{table}_{row_number}_{column}", value)
    database.close()
    wallaby.close()
    with open(trace, encoding="utf-8") as f:
        lines = f.readlines()
    write("trace", "start", "".join(lines[:12]))
    write("trace", "end", "".join(lines[-12:]))
    for action in {json.loads(line)["spec_action"] for line in lines}:
        write("trace", action, next(line for line in lines if json.loads(line)["spec_action"] == action))


def pages():
    """Examples in the documentation."""
    for path in glob.glob(os.path.join(SOURCE_DIR, "docs/**/*.md"), recursive=True) + [os.path.join(SOURCE_DIR, "README.md")]:
        with open(path, encoding="utf-8") as f:
            text = f.read()
        for i, (kind, block) in enumerate(re.findall(r"```(yaml|json)\n(.*?)```", text, re.S)):
            name = f"{os.path.basename(path)}_{i}"
            write("flow_file", name, block)
            if kind == "yaml":
                write("settings", name, block)
                write("kubeconfig", name, block)
        for i, dsn in enumerate(sorted(set(re.findall(r"postgres(?:ql)?://[^\s`'\"]+|host=[^`\"]+", text)))):
            write("dsn", f"{os.path.basename(path)}_{i}", b"\0" + dsn.encode())
    for i, line in enumerate(["postgres://u:p%40ss@h:5432/d?sslmode=require&password=x", "host=h password='a b' user=u",
                              "md:sales?motherduck_token=abc", "u:pw@h/db", "ducklake:postgres:password=x host=h",
                              "postgresql:///d?host=/tmp&sslpassword=q", "Server=h;Password=x;Port=1"]):
        write("dsn", f"s{i}", b"\0" + line.encode())
        write("dsn", f"p{i}", bytes([i % 3 + 1, 8]) + b"secret/@" + line.encode())


AVRO = ('{"name":"a.R","type":"record","fields":[{"name":"id","type":"int"},{"name":"n","type":["null",{"type":"bytes","logicalType":"decimal",'
        '"scale":2}],"default":null},{"name":"next","type":["null","R"]}]}')
SMALL = {
    "units": ["16/B374D848", "0/0", "200ms", "1h30m5.25s", "64MiB", "12KB", "yes", "FFFFFFFF/FFFFFFFF"],
    "stream": ["\1" "3 17 wallaby", "\0\3\1\5\1\2\6\1\0\7\2\0\2\0\3\0\4\0\7\1\0\0\0\0\0\0\0\5"],
    "cron": ["\0*/10 * * * * *", "\1" "0 0 8 * * mon-fri", "\2@hourly", "\3TZ=Europe/Berlin 0 30 2 * * *", "\4@every 90s",
             "\5" "0 0 0 29 feb *", "\6" "5/20,10-14/2 0 ? * 1-5 7"],
    "flags": ["-text\0value\0--number=5", "-flag\0-list\0a,b\0-list=c\0pos", "-duration\0" "5s\0--\0-x", "-help", "-small=-3\0-flag=false"],
    "options": ["\0dsn=postgres://h/d\nslot=s\npublication=p\nbatch_size=10\nstatus_interval=5s",
                "\0dsn=host=h\nslot=s\npublication=p\npublication_tables=a.b,c\ntoast_fetch=cache\ntoast_cache_size=1MiB\ncatch_up=0",
                "\1dsn=/x.duckdb\nwrite_mode=append\nmemory_limit=1GiB\nthreads=2\ntype_mappings=money=text",
                "\2dsn=postgres://h/d\nschema=s\nmeta_schema=m", "\3path=/x\ncompression=zstd\npartition_by=a:day,b\nroll_interval=5s",
                "\5url=https://h/{schema}/{table}\npayload_mode=record_json\nheaders=A:b, C:d\nbackoff_factor=1.5\non_reject=dead_letter",
                "\6endpoint=h:1\ninsecure=true\nmax_message_bytes=64KiB\nbatch_bytes=1MiB\ntimeout=2s"],
    "sealed": ["\0\0wallaby-sealed:1:AAAA", "\1\0" + "ab" * 32, "\1\0" + base64.b64encode(b"k" * 32).decode(), "\2\5some text"],
    "dbos_input": ['\1{"positionalArgs":[{"flow_id":"f","generation":2}],"namedArgs":{}}', '\0["f", 3, 1]', '\0{"args":["f"],"kwargs":{}}',
                   "\2" + base64.b64encode(b'{"flow_id":"f"}').decode(), '\3{"json":["f"],"meta":{}}', '\1{"positionalArgs":[],"namedArgs":{"flow_id":"f","max_empty_reads":"4"}}'],
    "dbos_admin": ["POST\n/workflows\n{\"workflow_uuids\":[\"a\"],\"limit\":3,\"sort_desc\":true}", "POST\n/queues\n{\"status\":\"PENDING\"}",
                   "GET\n/workflows/abc\n", "GET\n/workflows/abc/steps\n", "POST\n/workflows/abc/fork\n{\"start_step\":2}",
                   "POST\n/dbos-workflow-recovery\n[\"local\"]", "POST\n/dbos-workflow-recovery\n", "GET\n/dbos-healthz\n", "GET\n/deactivate\n",
                   "POST\n/dbos-global-timeout\n{\"cutoff_epoch_timestamp_ms\":1}", "POST\n/dbos-garbage-collect\n{\"rows_threshold\":5}"],
    "admin_http": ["GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "POST /echo HTTP/1.1\r\nHost: x\r\n\r\n",
                   "POST /workflows/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "GET /nothing?x=%41 HTTP/1.0\r\n\r\n",
                   "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /echo HTTP/1.1\r\n\r\n", "POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx"],
    "settings": ["data_dir: /x\nwallaby_grpc_listen: :8080\nmemory_limit: 64MiB\nddl_gate: true\n",
                 "k8s_enabled: true\nk8s_job_image: x:1\nk8s_job_labels: a=b,c=d\nk8s_job_env_from: secret:a,configmap:b\nk8s_job_command: [a, b]\n",
                 "dbos_schedule: '0 */5 * * * *'\ndbos_admin_port: 3001\notel_metrics_interval: 15s\nwire_format: arrow\n"],
    "kubeconfig": ["apiVersion: v1\ncurrent-context: prod\ncontexts:\n- name: prod\n  context: {cluster: c, user: u, namespace: n}\nclusters:\n- name: c\n"
                   "  cluster: {server: 'https://h:6443', certificate-authority-data: QUJD}\nusers:\n- name: u\n  user: {token: t}\n",
                   "current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: s, insecure-skip-tls-verify: true}}]\n"
                   "users: [{name: u, user: {exec: {command: aws, args: [eks], env: [{name: A, value: B}], apiVersion: client.authentication.k8s.io/v1}}}]\n"],
    "schema_registry": ['{"id":7,"version":3}', '{"count":1,"versions":[{"contentId":5,"version":"2"}]}', '"long"\0"int"',
                        AVRO + "\0" + AVRO.replace('"int"', '"long"'), '{"type":"enum","name":"E","symbols":["a"]}\0{"type":"map","values":"E"}'],
    "bucket": ['{"format":1,"id":"i","generation":1,"epoch":2,"version":3,"next_file":4,"commit_lsn":"0/A","end_lsn":"0/B","snapshot_parts":["p"],'
               '"files":[{"path":"a/b.parquet","table":"a","format":"parquet","rows":1,"bytes":2,"first_lsn":3,"last_lsn":4,"snapshot":false}],'
               '"lists":[{"path":"l","files":9,"merged":true}],"removed":["r"],"replaced":[]}',
               '{"path":"a","table":"t","format":"json","rows":1,"bytes":2,"first_lsn":3,"last_lsn":4,"snapshot":true}',
               "<L><IsTruncated>true</IsTruncated><Contents><Key>a &amp; b&#x2F;</Key></Contents></L>", "<Error><Code>SlowDown</Code></Error>"],
    "kube_objects": ['{"metadata":{"name":"j","uid":"u","annotations":{"wallaby/flow-id":"f"},"labels":{},"creationTimestamp":"2026-01-01T00:00:00Z","resourceVersion":"5"},'
                     '"status":{"conditions":[{"type":"Failed","status":"True","reason":"BackoffLimitExceeded","message":"m"}]}}',
                     '{"metadata":{"name":"p","uid":"u","annotations":{"wallaby/flow-id":"f"},"ownerReferences":[{"kind":"Job","uid":"j"}]},'
                     '"spec":{"containers":[{"image":"i"}]},"status":{"phase":"Pending","containerStatuses":[{"state":{"waiting":{"reason":"ErrImagePull"}}}]}}',
                     "orders", "My Flow/ünd so"],
}

# Values of the columns of codec_rows_fuzz.cc in text form.
CODEC_ROW = ["7", "t", "\\x00ff", "-3", "4", "a \"text\" ünd\n🦘", "4294967295", '{"a": 1}', "1.5", "1e+300", "2024-05-01", "12:34:56.789012",
             "12:34:56.789", "2024-05-01 12:34:56.789012", "0044-03-15 12:00:00 BC", "2024-05-01 12:34:56+00",
             "-1234567890123456789012345678901234567890.50", "123456789.123", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "null",
             "1 year 2 mons -3 days 04:05:06.789", "12:34:56.789+05:30", "-$1,234.56", "1", "10101", "(1.5,-2)", "{1,NULL,3}",
             '{"a b",NULL,"c\\"d"}', "{1.5,-2}", '{"2024-05-01 12:34:56+00"}']
INFINITE_ROW = [*CODEC_ROW[:8], "NaN", "-Infinity", "infinity", *CODEC_ROW[11:13], "-infinity", "infinity", "infinity", *CODEC_ROW[16:]]


def codec_rows():
    def field(value):
        raw = value.encode()
        return bytes([2, len(raw)]) + raw

    def row(values, absent=()):
        return b"".join(b"\1" if i in absent else field(v) for i, v in enumerate(values))

    head = struct.pack(">QQI", 0x16B3748, 1714566896789012, 700)
    moved = ["8", *CODEC_ROW[1:]]
    write("codec_rows", "seed0", head + b"\0" + row(CODEC_ROW) + b"\4" + row(INFINITE_ROW))
    write("codec_rows", "seed1", head + b"\1" + row(CODEC_ROW, range(2, 30)) + b"\x81" + row(moved) + row(CODEC_ROW))
    write("codec_rows", "seed2", head + b"\x42" + row(CODEC_ROW[:2]) + b"\0" * 28 + b"\3" + b"\xc6" + row(moved) + row(CODEC_ROW))


# Rows of mapping_fuzz.cc.
MAPPING_ROW = ["7", "eu", "12.5", "t", "ab  ", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "\\x00ff", "2024-05-01", "12:34:56", "2024-05-01 12:34:56",
               "2024-05-01 12:34:56+00", "1.5", "-Infinity", "42", "{}"]
FILTERS = ["a > 3 and b in ('eu', 'us')", "not (c between 1 and 20.5) or d", "e = 'ab' and f = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
           "g <> '\\x00' and h >= '2024-01-01' and i < '23:00:00'", "j > '2024-05-01' and k <= '2024-05-01 14:00:00+02'",
           "l = 1.5 or m < 0 or n in (42, 7)", "b like 'e_%' and o is not null", "b collate \"C\" > 'a' and d is not false", "c = 'NaN' or 3 < a"]
MAPPINGS = ["tables:\n  public.orders:\n    to: lake.{table}\n    rows: b = 'eu'\n    columns: {a: {mask: hash}, b: {mask: redact, with: x}, c: {type: 'numeric(12,2)'}, "
            "n: {drop: true}, m: {mask: null}, e: {to: z}}\nmetadata: [lsn, commit_time, op, table]\n",
            '{"tables": {"public.*": {"only": ["a", "b"], "truncate": "ignore"}, "*": {"drop": true}}, "soft_delete": true}',
            "tables: {public.orders: {columns: {a: {type: text}, l: {type: text}, f: {mask: hash}}, soft_delete: true}}"]


def mappings():
    row = b"".join(bytes([0, len(v)]) + v.encode() for v in MAPPING_ROW)
    for i, text in enumerate(FILTERS):
        write("mapping", f"filter{i}", b"\0" + struct.pack(">H", len(text)) + text.encode() + row)
    for i, text in enumerate(MAPPINGS):
        for kind in range(3):
            write("mapping", f"mapping{i}_{kind}", b"\1" + struct.pack(">H", len(text)) + text.encode() + bytes([0, kind]) + row + row)


def main():
    codec_rows()
    mappings()
    for target, texts in SMALL.items():
        for i, text in enumerate(texts):
            write(target, f"seed{i}", text.encode("latin-1") if target in ("cron", "stream", "sealed", "dbos_input", "options", "flags") else text)
    pages()
    postgres = Postgres(15)
    values(postgres.dsn)
    replication(postgres)
    worker(postgres)
    postgres.stop()


main()

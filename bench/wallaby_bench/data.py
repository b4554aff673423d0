"""The data: made by SQL from row numbers alone, so that every session has the same.

A Dataset has a schema, rows that are there before anybody reads (`seed`), and changes that the readers then get
(`generate`). `aggregates` are queries whose answer must be the same at the source and in a copy; they run in PostgreSQL and
DuckDB alike.
"""

import dataclasses
import os
import subprocess


@dataclasses.dataclass
class Dataset:
    name: str
    tables: list
    schema: str
    generate: str
    aggregates: list
    changes: int | None  # None: known only when they have been counted
    seed: str = ""
    pgbench: tuple = ()  # pgbench's arguments in place of `generate`

    def prepare(self, dsn):
        """Makes tables and seed."""
        _run([*_PSQL, dsn], self.schema + self.seed)

    def run(self, dsn, durable=False):
        """Makes the changes. Commits wait for the disk only when they shall be `durable`."""
        if self.pgbench:
            _run(["pgbench", "-n", "--random-seed=1", *self.pgbench, dsn], durable=durable)
        else:
            _run([*_PSQL, dsn], self.generate, durable)


_PSQL = ["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-f", "-", "-d"]


def _run(argv, text=None, durable=False):
    commit = "on" if durable else "off"
    environment = dict(os.environ, PGOPTIONS=f"-c synchronous_commit={commit} -c client_min_messages=warning")
    result = subprocess.run(argv, input=text, env=environment, capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"{argv[0]}: {result.stderr.strip()[-2000:]}")


def inserts(table, select):
    """A procedure insert_rows(n, per) that adds rows 1..n, `per` in a transaction. `select` makes row i."""
    return f"""
CREATE PROCEDURE insert_rows(n bigint, per bigint) LANGUAGE plpgsql AS $$
BEGIN
  FOR first_row IN 1..n BY per LOOP
    INSERT INTO {table} SELECT {select} FROM generate_series(first_row, least(first_row + per - 1, n)) i;
    COMMIT;
  END LOOP;
END $$;
"""


NARROW_TABLE = """
CREATE TABLE narrow (id bigint PRIMARY KEY, quantity int NOT NULL, placed timestamptz NOT NULL, amount numeric(12,2) NOT NULL,
                     note text NOT NULL, paid boolean NOT NULL, status text NOT NULL);
"""
NARROW_ROW = """i, (i * 7919 % 1000)::int, timestamptz '2024-01-01 00:00:00+00' + i * interval '1 second', (i * 31 % 1000000) / 100.0,
  md5(i::text) || ' a note', i % 3 = 0, (ARRAY['new', 'paid', 'sent', 'returned'])[i % 4 + 1]"""
NARROW_SUMS = "SELECT count(*), sum(id), sum(quantity), sum(amount), sum(length(note)) FROM narrow"


def narrow(rows, per):
    """7 columns, about 100 bytes a row."""
    return Dataset("narrow", ["narrow"], NARROW_TABLE + inserts("narrow", NARROW_ROW), f"CALL insert_rows({rows}, {per})",
                   [NARROW_SUMS], rows)


def wide(rows, per):
    """1 KB a row: a key, nine numbers and ten texts of 90 bytes."""
    columns = [f"n{k} bigint" for k in range(9)] + [f"t{k} text" for k in range(10)]
    values = [f"i * {k + 3}" for k in range(9)] + [f"repeat(md5((i + {k})::text), 3)" for k in range(10)]
    return Dataset("wide", ["wide"],
                   f"CREATE TABLE wide (id bigint PRIMARY KEY, {', '.join(columns)});" + inserts("wide", f"i, {', '.join(values)}"),
                   f"CALL insert_rows({rows}, {per})", ["SELECT count(*), sum(id), sum(n8), sum(length(t9)) FROM wide"], rows)


def json(rows, per):
    """A key and a jsonb of 20 KB: 100 members of 200 bytes each."""
    document = """(SELECT jsonb_object_agg('member ' || k, repeat(md5((i * 100 + k)::text), 6)) FROM generate_series(1, 100) k)"""
    return Dataset("json", ["documents"],
                   "CREATE TABLE documents (id bigint PRIMARY KEY, body jsonb NOT NULL);" + inserts("documents", f"i, {document}"),
                   f"CALL insert_rows({rows}, {per})", ["SELECT count(*), sum(id) FROM documents"], rows)


def mix(changes, per):
    """70 % updates, 20 % inserts, 10 % deletes of narrow rows, one after the other in a scattered order."""
    schema = NARROW_TABLE + f"""
CREATE PROCEDURE mix(n bigint, per bigint, rows bigint) LANGUAGE plpgsql AS $$
DECLARE lowest bigint := 1; highest bigint := rows;
BEGIN
  FOR step IN 1..n LOOP
    IF step % 10 < 7 THEN
      UPDATE narrow SET quantity = quantity + 1, amount = (step % 1000000) / 100.0, status = 'changed'
        WHERE id = lowest + (step * 2654435761) % (highest - lowest + 1);
    ELSIF step % 10 < 9 THEN
      highest := highest + 1;
      INSERT INTO narrow SELECT {NARROW_ROW} FROM (SELECT highest) AS one (i);
    ELSE
      DELETE FROM narrow WHERE id = lowest;
      lowest := lowest + 1;
    END IF;
    IF step % per = 0 THEN COMMIT; END IF;
  END LOOP;
END $$;
"""
    return Dataset("mix", ["narrow"], schema, f"CALL mix({changes}, {per}, {changes})", [NARROW_SUMS], changes,
                   seed=f"INSERT INTO narrow SELECT {NARROW_ROW} FROM generate_series(1::bigint, {changes}) i")


TPCC_SCHEMA = """
CREATE TABLE warehouse (w_id int PRIMARY KEY, name text, ytd numeric(12,2));
CREATE TABLE district (w_id int, d_id int, ytd numeric(12,2), next_o_id int, PRIMARY KEY (w_id, d_id));
CREATE TABLE customer (w_id int, d_id int, c_id int, name text, balance numeric(12,2), data text, PRIMARY KEY (w_id, d_id, c_id));
CREATE TABLE orders (w_id int, d_id int, o_id int, c_id int, entered timestamptz, PRIMARY KEY (w_id, d_id, o_id));
CREATE TABLE order_line (w_id int, d_id int, o_id int, number int, item int, quantity int, amount numeric(8,2), info text,
                         PRIMARY KEY (w_id, d_id, o_id, number));
CREATE PROCEDURE shop(n int) LANGUAGE plpgsql AS $$
DECLARE w int; d int; c int; o int;
BEGIN
  FOR i IN 1..n LOOP
    w := i % 4 + 1; d := i % 10 + 1; c := i * 7919 % 300 + 1;
    IF i % 2 = 0 THEN -- new order
      UPDATE district SET next_o_id = next_o_id + 1 WHERE w_id = w AND d_id = d RETURNING next_o_id INTO o;
      INSERT INTO orders VALUES (w, d, o, c, timestamptz '2024-01-01 00:00:00+00' + i * interval '1 second');
      INSERT INTO order_line SELECT w, d, o, k, (i + k) * 31 % 10000, k, (i + k) % 10000 / 100.0, left(md5((i + k)::text), 24)
        FROM generate_series(1, 10) k;
    ELSE -- payment
      UPDATE warehouse SET ytd = ytd + 1 WHERE w_id = w;
      UPDATE district SET ytd = ytd + 1 WHERE w_id = w AND d_id = d;
      UPDATE customer SET balance = balance - 1 WHERE w_id = w AND d_id = d AND c_id = c;
    END IF;
    COMMIT;
  END LOOP;
END $$;
"""
TPCC_SEED = """
INSERT INTO warehouse SELECT w, 'warehouse ' || w, 0 FROM generate_series(1, 4) w;
INSERT INTO district SELECT w, d, 0, 0 FROM generate_series(1, 4) w, generate_series(1, 10) d;
INSERT INTO customer SELECT w, d, c, md5(c::text), 0, repeat(md5(c::text), 10)
  FROM generate_series(1, 4) w, generate_series(1, 10) d, generate_series(1, 300) c;
"""


def tpcc(changes):
    """Like TPC-C: new orders (12 changes) and payments (3 changes) in turn, over five tables."""
    transactions = max(2, int(changes / 7.5) // 2 * 2)
    return Dataset("tpcc", ["warehouse", "district", "customer", "orders", "order_line"], TPCC_SCHEMA, f"CALL shop({transactions})",
                   ["SELECT sum(ytd) FROM warehouse", "SELECT sum(ytd), sum(next_o_id) FROM district", "SELECT sum(balance) FROM customer",
                    "SELECT count(*), sum(o_id) FROM orders", "SELECT count(*), sum(amount), sum(quantity) FROM order_line"],
                   transactions // 2 * 15, seed=TPCC_SEED)


PGBENCH_SCHEMA = """
CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88));
CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84));
CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84));
CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
"""


def pgbench_seed(scale):
    """What pgbench -i -s SCALE makes, as SQL that source and target can run alike."""
    return f"""
INSERT INTO pgbench_branches SELECT b, 0 FROM generate_series(1, {scale}) b;
INSERT INTO pgbench_tellers SELECT t, (t - 1) / 10 + 1, 0 FROM generate_series(1, {scale * 10}) t;
INSERT INTO pgbench_accounts SELECT a, (a - 1) / 100000 + 1, 0, '' FROM generate_series(1, {scale * 100000}) a;
"""


def tpcb(changes, scale=5):
    """pgbench's TPC-B: three updates and an insert in each transaction."""
    transactions = max(1, changes // 4)
    sums = [f"SELECT count(*), sum({column}) FROM {table}"
            for table, column in (("pgbench_branches", "bbalance"), ("pgbench_tellers", "tbalance"), ("pgbench_accounts", "abalance"),
                                  ("pgbench_history", "delta"))]
    return Dataset("tpcb", ["pgbench_branches", "pgbench_tellers", "pgbench_accounts", "pgbench_history"], PGBENCH_SCHEMA, "", sums,
                   transactions * 4, seed=pgbench_seed(scale), pgbench=("-s", str(scale), "-c", "1", "-t", str(transactions)))


def many_tables(tables, changes, per=1000):
    """The same number of rows over 1 to 1,000 tables: each transaction goes through the tables in turn."""
    schema = "".join(f"CREATE TABLE t{k} (id bigint PRIMARY KEY, amount int NOT NULL, note text NOT NULL);\n" for k in range(tables))
    schema += f"""
CREATE PROCEDURE spread(n bigint, per bigint) LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1..n LOOP
    EXECUTE format('INSERT INTO t%s VALUES (%s, %s, %L)', i % {tables}, i, i % 1000, 'a note of some length');
    IF i % per = 0 THEN COMMIT; END IF;
  END LOOP;
END $$;
"""
    return Dataset(f"tables-{tables}", [f"t{k}" for k in range(tables)], schema, f"CALL spread({changes}, {per})",
                   [f"SELECT count(*), sum(id) FROM t{k}" for k in sorted({0, tables // 2, tables - 1})], changes)


def many_columns(columns, changes, per=1000):
    names = [f"c{k} int" for k in range(columns - 1)]
    values = [f"i + {k}" for k in range(columns - 1)]
    return Dataset(f"columns-{columns}", ["broad"], f"CREATE TABLE broad (id bigint PRIMARY KEY, {', '.join(names)});" +
                   inserts("broad", f"i, {', '.join(values)}"), f"CALL insert_rows({changes}, {per})",
                   [f"SELECT count(*), sum(id), sum(c{columns - 2}) FROM broad"], changes)

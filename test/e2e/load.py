"""Rows that change all the time, and the comparison of source and destinations at the end.

The seed is WALLABY_SEED, or by chance; it repeats the choices, though not the timing.
"""

import os
import random
import threading

from e2e.harness import duckdb_rows, sql

SEED = int(os.environ.get("WALLABY_SEED", str(random.randrange(1 << 30))))
# What a connection says when its server goes away or comes back.
CUT = ("server closed the connection", "could not connect", "Connection refused", "connection to server",
       "terminating connection", "the database system is", "Connection reset", "SSL SYSCALL")

SETUP = """
  CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL, note text, big text);
  CREATE TABLE ledger (id bigserial PRIMARY KEY, account bigint NOT NULL, amount bigint NOT NULL, at timestamptz DEFAULT now());
  INSERT INTO accounts SELECT n, 0, 'new', (SELECT string_agg(md5(n::text || i), '') FROM generate_series(1, 200) i)
    FROM generate_series(1, 500) n;
"""


def step(rng, most=5000):
    """One random transaction: some rows of both tables, sometimes a large one of up to `most`, a key change, or delete and insert."""
    kind = rng.randrange(10)
    account, amount = rng.randrange(1, 500), rng.randrange(-1000, 1000)
    if kind < 6:
        return (f"BEGIN; UPDATE accounts SET balance = balance + {amount}, note = '{amount}' WHERE id = {account};"
                f"INSERT INTO ledger (account, amount) VALUES ({account}, {amount}); COMMIT;")
    if kind == 6:
        return f"INSERT INTO ledger (account, amount) SELECT {account}, n FROM generate_series(1, {rng.randrange(1, most)}) n;"
    if kind == 7:
        return f"UPDATE accounts SET id = id + 100000 WHERE id = {account}; UPDATE accounts SET id = id - 100000 WHERE id > 100000;"
    if kind == 8:
        return f"DELETE FROM ledger WHERE id % 97 = {rng.randrange(97)};"
    return (f"BEGIN; DELETE FROM accounts WHERE id = {account}; INSERT INTO accounts VALUES ({account}, {amount}, 'again', "
            f"repeat('{account}', 2000)); COMMIT;")


class Load:
    """Connections that keep changing rows until stopped. With `survives`, also over a source that goes away meanwhile."""

    def __init__(self, dsn, connections=2, survives=False, pause=0, most=5000):
        self.dsn, self.stopping, self.steps, self.errors = dsn, threading.Event(), 0, []
        self.survives, self.pause, self.most = survives, pause, most
        self.threads = [threading.Thread(target=self._run, args=(SEED + i,)) for i in range(connections)]
        for thread in self.threads:
            thread.start()

    def _run(self, seed):
        rng = random.Random(seed)
        while not self.stopping.is_set():
            try:
                sql(self.dsn, "".join(step(rng, self.most) for _ in range(20)))
                self.steps += 20
            except AssertionError as error:
                if self.survives and any(text in str(error) for text in CUT):
                    self.stopping.wait(0.1)
                elif "deadlock" not in str(error):
                    self.errors.append(error)
                    return
            self.stopping.wait(self.pause)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        if self.errors:
            raise self.errors[0]


def compare(test, source, target=None, duck=None, lake=None):
    """Fails where a destination differs: tables in PostgreSQL and DuckDB, the log in Parquet (which needs duck, to query it)."""
    queries = {"accounts": "SELECT id, balance, note, md5(big) FROM accounts ORDER BY id",
               "ledger": "SELECT id, account, amount FROM ledger ORDER BY id"}
    for table, query in queries.items():
        expected = sql(source, query)
        test.assertGreater(len(expected), 0, table)
        if target:
            test.assertEqual(expected, sql(target, query), f"postgres {table}")
        if duck:
            test.assertEqual(expected, text_rows(duckdb_rows(duck, query)), f"duckdb {table}")
        if lake:
            compare_lake(test, table, query, expected, duck, lake)
        print(f"{table}: {len(expected)} rows equal at all destinations", flush=True)

def compare_lake(test, table, query, expected, duck, lake):
    files = f"read_parquet('{lake}/public/{table}/**/*.parquet', union_by_name=true)"
    doubled = duckdb_rows(duck, f"SELECT _wallaby_lsn, _wallaby_seq, id, count(*) FROM {files} GROUP BY ALL HAVING count(*) > 1")
    test.assertEqual(doubled, [], f"parquet {table}: changes that stand twice")
    # The last word on each key is the table. big is left out: an unchanged value is not in the log.
    columns = query.split("FROM")[0].replace("SELECT", "").replace(", md5(big)", "").strip()
    last = f"""SELECT {columns} FROM (SELECT *, row_number() OVER (PARTITION BY id ORDER BY
               CASE WHEN _wallaby_op = 'r' THEN 0 ELSE 1 END DESC, _wallaby_lsn DESC, _wallaby_seq DESC) AS nth FROM {files})
               WHERE nth = 1 AND _wallaby_op <> 'd' ORDER BY id"""
    test.assertEqual([row[:3] for row in expected], text_rows(duckdb_rows(duck, last)), f"parquet {table}")


def text_rows(rows):
    return [[None if value is None else str(value) for value in row] for row in rows]

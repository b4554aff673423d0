"""A storm of schema changes mixed with rows from four connections, the gate on, and an operator who approves, applies and
resumes. At the end schema and rows of the destinations are the source's. WALLABY_STORM sets the number of DDL commands, and
WALLABY_SEED repeats a run."""

import os
import random
import signal
import subprocess
import threading
import time
import unittest

from e2e.harness import Postgres, Wallaby, duckdb_rows, source_endpoint, sql, wait_until

COMMANDS = int(os.environ.get("WALLABY_STORM", "40"))
SEED = int(os.environ.get("WALLABY_SEED") or random.SystemRandom().randrange(1 << 30))
TYPES = {"int": "{n}", "bigint": "{n}", "text": "'t{n}'", "varchar(40)": "'v{n}'", "numeric(10,2)": "{n}.25", "boolean": "true"}
WIDER = {"int": ["bigint", "text", "numeric(10,2)"], "bigint": ["text"], "varchar(40)": ["text", "varchar(80)"],
         "text": ["varchar(80)"], "numeric(10,2)": ["text", "numeric(12,2)"]}
TYPES["varchar(80)"], TYPES["numeric(12,2)"] = "'w{n}'", "{n}.75"


class Author:
    """Writes SQL for one table, and knows how the table looks after it."""

    def __init__(self, rng, number):
        self.rng, self.number = rng, number
        self.serial = 0
        self.key = 0
        self.fresh_table()

    def fresh_table(self):
        self.serial += 1
        self.schema, self.name = "public", f"t{self.number}_{self.serial}"
        self.columns = {"a": "int", "b": "text"}

    @property
    def table(self):
        return f'{self.schema}.{self.name}'

    def create(self):
        return f"CREATE TABLE {self.table} (id int PRIMARY KEY, a int, b text)"

    def value(self, kind):
        return "NULL" if self.rng.random() < 0.2 else TYPES[kind].format(n=self.rng.randrange(1000))

    def rows(self):
        kind = self.rng.random()
        if kind < 0.5 or self.key < 3:
            self.key += 1
            names = ["id", *self.columns]
            values = [str(self.key), *(self.value(t) for t in self.columns.values())]
            return f"INSERT INTO {self.table} ({', '.join(names)}) VALUES ({', '.join(values)})"
        key = self.rng.randrange(1, self.key + 1)
        if kind < 0.85 and self.columns:
            column = self.rng.choice(list(self.columns))
            return f"UPDATE {self.table} SET {column} = {self.value(self.columns[column])} WHERE id >= {key}"
        if kind < 0.93:
            return f"UPDATE {self.table} SET id = id + 100000 WHERE id = {key}"
        return f"DELETE FROM {self.table} WHERE id = {key}"

    def ddl(self):
        self.serial += 1
        choice = self.rng.choices(["add", "add", "drop", "rename", "retype", "default", "null", "table", "move", "again"],
                                  [5, 5, 4, 5, 4, 2, 2, 2, 1, 1])[0]
        if choice in ("drop", "rename", "retype", "default", "null") and not self.columns:
            choice = "add"
        column = self.rng.choice(list(self.columns)) if self.columns else None
        alter = f"ALTER TABLE {self.table}"
        if choice == "add":
            name, kind = f"c{self.serial}", self.rng.choice(["int", "text", "numeric(10,2)", "boolean", "varchar(40)"])
            self.columns[name] = kind
            default = self.rng.choice(["", f" DEFAULT {TYPES[kind].format(n=7)}",
                                       f" NOT NULL DEFAULT {TYPES[kind].format(n=8)}",
                                       " DEFAULT (random() * 100)::int" if kind == "int" else ""])
            if "NOT NULL" in default:  # Its values are never null.
                return f"{alter} ADD {name} {kind}{default};\n{alter} ALTER {name} DROP NOT NULL"
            return f"{alter} ADD {name} {kind}{default}"
        if choice == "drop":
            del self.columns[column]
            return f"{alter} DROP {column}"
        if choice == "rename":
            name = f"c{self.serial}"
            self.columns = {name if c == column else c: t for c, t in self.columns.items()}
            return f"{alter} RENAME {column} TO {name}"
        if choice == "retype" and self.columns[column] in WIDER:
            kind = self.rng.choice(WIDER[self.columns[column]])
            self.columns[column] = kind
            return f"{alter} ALTER {column} DROP DEFAULT, ALTER {column} TYPE {kind}"
        if choice == "table":
            old, self.name = self.table, f"t{self.number}_{self.serial}"
            return f"ALTER TABLE {old} RENAME TO {self.name}"
        if choice == "move":
            old = self.table
            self.schema = "other" if self.schema == "public" else "public"
            return f"ALTER TABLE {old} SET SCHEMA {self.schema}"
        if choice == "again":
            old = self.table
            self.fresh_table()
            self.key = 0
            return f"DROP TABLE {old}; {self.create()}"
        return f"{alter} ALTER {column} SET DEFAULT {TYPES[self.columns[column]].format(n=9)}"

    def transaction(self, with_ddl):
        statements = [self.rows() for _ in range(self.rng.randrange(1, 4))]
        if with_ddl:
            statements.append(self.ddl())
            statements += [self.rows() for _ in range(self.rng.randrange(3))]
        statements.append(f"INSERT INTO shared (who, what) VALUES ({self.number}, 'x{self.serial}')")
        if self.rng.random() < 0.3:
            return ";\n".join(statements) + ";\n"
        return "BEGIN;\n" + ";\n".join(statements) + ";\nCOMMIT;\n"


class StormTest(unittest.TestCase):
    def setUp(self):
        print(f"WALLABY_SEED={SEED} WALLABY_STORM={COMMANDS}", flush=True)
        self.rng = random.Random(SEED)
        self.postgres = Postgres(15)
        self.addCleanup(self.postgres.stop)
        self.wallaby = Wallaby({"WALLABY_DDL_GATE": "true"}).start()
        self.addCleanup(self.wallaby.close)
        self.source, self.target = self.postgres.database("source"), self.postgres.database("target")
        self.duck = os.path.join(self.wallaby.folder, "copy.duckdb")
        self.authors = [Author(random.Random(self.rng.randrange(1 << 30)), n) for n in range(4)]
        sql(self.source, "CREATE SCHEMA other; CREATE TABLE shared (id serial PRIMARY KEY, who int, what text);"
            + ";".join(author.create() for author in self.authors))
        self.flow = self.wallaby.create({
            "name": "storm", "id": "storm", "source": source_endpoint(self.source, slot="storm", publication="p"),
            "destinations": [{"name": "lake", "type": "duckdb", "options": {"dsn": self.duck}},
                             {"name": "copy", "type": "postgres", "options": {"dsn": self.target}}]})
        wait_until(lambda: self.wallaby.get(self.flow).get("activity") == "streaming", 60, "the snapshot's end")
        self.writing = True

    def write(self, author):
        """One connection: its share of the DDL among many more transactions of rows."""
        share = COMMANDS // len(self.authors)
        script = "".join(author.transaction(with_ddl=n % 4 == 0) + "SELECT pg_sleep(0.02);\n" for n in range(share * 4))
        result = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", self.source, "-f", "-"], input=script,
                                capture_output=True, text=True, check=False)
        if result.returncode != 0:
            self.errors.append(result.stderr)

    def operate(self, kill):
        """Approves whatever pauses the flow until all that was written is delivered; kills now and then when asked to."""
        deadline = time.monotonic() + 1200
        target, killed, next_kill = None, 0, 0.0
        while time.monotonic() < deadline:
            flow = self.wallaby.get(self.flow)
            state = flow["state"].lower().removeprefix("flow_state_")
            self.assertNotEqual(state, "failed", f"{flow.get('reason')}\n{self.wallaby.log()[-3000:]}")
            if state == "paused":
                self.approve()
            # Not so often that the worker's restarts are all there is.
            if kill and time.monotonic() > next_kill:
                killed += self.kill_something()
                next_kill = time.monotonic() + self.rng.random() * 3
            if not self.writing and target is None:
                target = sql(self.source, "SELECT pg_current_wal_lsn()")[0][0]
            if target and sql(self.source, f"SELECT confirmed_flush_lsn >= '{target}' FROM pg_replication_slots") == [["t"]]:
                return killed
            time.sleep(0.05)
        raise AssertionError("the storm was not delivered in time\n" + self.wallaby.log()[-3000:])

    def approve(self):
        for event in self.events():
            if event["status"] == "pending":
                self.wallaby.admin("ddl", "approve", "-id", str(event["id"]), check=False)
            if event["status"] not in ("applied", "rejected"):
                self.wallaby.admin("ddl", "apply", "-id", str(event["id"]), check=False)
        self.wallaby.admin("flow", "resume", "-flow-id", self.flow, check=False)

    def events(self):
        import json
        return json.loads(self.wallaby.admin("ddl", "list", "-flow-id", self.flow, "-json").stdout)["events"]

    def kill_something(self):
        pids = self.wallaby.worker_pids(self.flow)
        if pids and self.rng.random() < 0.7:
            os.kill(pids[0], signal.SIGKILL)
            return 1
        if self.rng.random() < 0.5:
            # In the midst of an apply, as it happens.
            events = [e for e in self.events() if e["status"] in ("approved", "failed", "applying")]
            apply = None
            if events:
                apply = subprocess.Popen([os.path.join(os.path.dirname(self.wallaby.process.args[0]), "wallaby-admin"), "ddl",
                                          "apply", "-id", str(events[0]["id"])], env=self.wallaby.env,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                time.sleep(self.rng.random() * 0.3)
            self.wallaby.kill()
            if apply is not None:
                apply.wait()
            self.wallaby.start()
            return 1
        return 0

    def storm(self, kill):
        self.errors = []
        threads = [threading.Thread(target=self.write, args=(author,)) for author in self.authors]
        for thread in threads:
            thread.start()

        def watch():
            for thread in threads:
                thread.join()
            self.writing = False

        watcher = threading.Thread(target=watch)
        watcher.start()
        killed = self.operate(kill)
        watcher.join()
        self.assertEqual(self.errors, [])
        self.wallaby.stop_flow(self.flow)
        tables = [row[0] for row in sql(self.source, "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname "
                                        "IN ('public', 'other') ORDER BY 1")]
        try:
            self.compare(tables)
        except AssertionError:
            for event in self.events():
                print(event["id"], event["lsn"], event["status"], event["ddl"][:150].replace("\n", " "))
            print(self.wallaby.log()[-60000:])
            raise
        events = self.events()
        self.assertEqual({event["status"] for event in events}, {"applied"})
        rows = sum(int(sql(self.source, f"SELECT count(*) FROM {table}")[0][0]) for table in tables)
        print(f"{len(events)} events, {killed} kills, {len(tables)} tables, {rows} rows: equal", flush=True)

    def compare(self, tables):
        there = [row[0] for row in sql(self.target, "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname "
                                       "IN ('public', 'other') ORDER BY 1")]
        self.assertEqual(there, tables, "tables at PostgreSQL")
        duck = [row[0] for row in duckdb_rows(self.duck, "SELECT table_schema || '.' || table_name FROM "
                                              "information_schema.tables WHERE table_schema IN ('public', 'other') ORDER BY 1")]
        self.assertEqual(duck, tables, "tables in DuckDB")
        for table in tables:
            schema, name = table.split(".")
            query = ("SELECT column_name FROM information_schema.columns WHERE "
                     f"table_schema = '{schema}' AND table_name = '{name}'")
            columns = sorted(row[0] for row in sql(self.source, query))
            self.assertEqual(sorted(row[0] for row in sql(self.target, query)), columns, f"{table} at PostgreSQL")
            self.assertEqual(sorted(row[0] for row in duckdb_rows(self.duck, query)), columns, f"{table} in DuckDB")
            select = f"SELECT {', '.join(f'{c}::text' for c in columns)} FROM {table}"
            source = sorted(sql(self.source, select), key=str)
            self.assertEqual(sorted(sql(self.target, select), key=str), source, f"rows of {table} at PostgreSQL")
            duck = [[None if v is None else str(v) for v in row] for row in duckdb_rows(self.duck, select)]
            self.assertEqual(sorted(duck, key=str), source, f"rows of {table} in DuckDB")

    def test_operator_approves(self):
        self.storm(kill=False)

    def test_operator_approves_and_everything_is_killed(self):
        self.storm(kill=True)


if __name__ == "__main__":
    unittest.main()

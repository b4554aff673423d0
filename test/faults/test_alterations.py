"""Somebody alters a destination's tables behind the flow's back: a clear failure with the remedy, and equal rows after it."""

import unittest

from e2e.harness import duckdb_rows, sql
from faults.stage import FaultTest

TABLE = "accounts"


class AlteredDestinationTest(FaultTest):
    def altered(self, alteration, *expected, undo=None, backfill=False, found_at_start=False):
        self.begin(duck=False)
        self.rows_go_on("the start")
        sql(self.target, alteration)
        sql(self.source, "UPDATE accounts SET balance = balance + 1, note = 'changed', big = 'changed' WHERE id < 100; "
                         "DELETE FROM accounts WHERE id = 100; INSERT INTO ledger (account, amount) VALUES (1, 1)")
        reason = self.fails(*expected)["reason"]
        print(f"{alteration}: {reason}", flush=True)
        # A start without the remedy finds it out before the first row, and makes nothing anew.
        if found_at_start:
            self.wallaby.admin("flow", "start", "-flow-id", self.flow_id)
            reason = self.fails(*expected, "-mode backfill", "-tables public.accounts")["reason"]
            print(f"at the start: {reason}", flush=True)
        if undo:
            sql(self.target, undo)
        if backfill:
            self.assertIn("-mode backfill", reason)
            self.wallaby.worker(self.flow_id, "-mode", "backfill", "-tables", TABLE)
        self.wallaby.admin("flow", "start", "-flow-id", self.flow_id)
        self.end()

    def test_column_dropped(self):
        self.altered("ALTER TABLE accounts DROP COLUMN note", "accounts", "note", backfill=True, found_at_start=True)

    def test_column_renamed(self):
        self.altered("ALTER TABLE accounts RENAME COLUMN note TO remark", "accounts", "note",
                     undo="ALTER TABLE accounts RENAME COLUMN remark TO note", found_at_start=True)

    def test_column_type_changed(self):
        self.altered("ALTER TABLE accounts ALTER COLUMN note TYPE int USING length(note)", "accounts", "note",
                     undo="ALTER TABLE accounts ALTER COLUMN note TYPE text", backfill=True)

    def test_table_dropped(self):
        self.altered("DROP TABLE accounts", "accounts", backfill=True, found_at_start=True)

    def test_table_renamed(self):
        self.altered("ALTER TABLE accounts RENAME TO others", "accounts", undo="ALTER TABLE others RENAME TO accounts",
                     found_at_start=True)

    def test_unique_index_added(self):
        self.altered("CREATE UNIQUE INDEX once ON accounts (note) WHERE note = 'changed'", "accounts", "once",
                     undo="DROP INDEX once")

    def test_primary_key_dropped(self):
        self.altered("ALTER TABLE accounts DROP CONSTRAINT accounts_pkey", "accounts",
                     undo="ALTER TABLE accounts ADD PRIMARY KEY (id)")

    def test_duckdb_table_dropped_and_altered_while_the_flow_is_stopped(self):
        import duckdb
        self.begin()
        for alteration, words in (("DROP TABLE public.accounts", ["accounts"]),
                                  ("ALTER TABLE public.accounts DROP COLUMN note", ["accounts", "note"])):
            self.rows_go_on("the start")
            self.wallaby.stop_flow(self.flow_id)
            with duckdb.connect(self.duck) as connection:
                connection.execute(alteration)
            sql(self.source, "UPDATE accounts SET balance = balance + 1; INSERT INTO ledger (account, amount) VALUES (1, 1)")
            self.wallaby.admin("flow", "start", "-flow-id", self.flow_id)
            reason = self.fails("duck", *words)["reason"]
            print(f"{alteration}: {reason}", flush=True)
            self.assertIn("-mode backfill", reason)
            self.wallaby.worker(self.flow_id, "-mode", "backfill", "-tables", TABLE)
            self.wallaby.admin("flow", "start", "-flow-id", self.flow_id)
        self.end()
        self.assertGreater(len(duckdb_rows(self.duck, "SELECT note FROM accounts")), 0)


if __name__ == "__main__":
    unittest.main()

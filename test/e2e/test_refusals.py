"""What is wrong ends in a clear error with the remedy, and nothing that was committed is lost."""

import os
import subprocess
import unittest

from e2e.harness import Postgres, PostgresTest, Wallaby, duckdb_rows, source_endpoint, sql, wait_until

SLOT = "refusals"


class RefusalsTest(PostgresTest):
    def setUp(self):
        self.wallaby = Wallaby().start()
        name = self.id().rsplit(".", 1)[1][:40]
        self.slot = "r_" + name[5:]
        self.source = self.postgres.database("s" + name)
        self.target = self.postgres.database("t" + name)
        sql(self.source, "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one')")

    def tearDown(self):
        self.wallaby.close()
        sql(self.postgres.dsn, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
                               f"WHERE slot_name = '{self.slot}' AND NOT active")

    def flow(self, destination=None, source=None, **options):
        endpoint = source_endpoint(source or self.source, slot=self.slot, publication=self.slot, **options)
        return {"name": self.slot, "source": endpoint,
                "destinations": [destination or {"name": "pg", "type": "postgres", "options": {"dsn": self.target}}]}

    def refused_at_create(self, flow, *expected):
        with self.assertRaises(AssertionError) as caught:
            self.wallaby.create(flow, start=False)
        for text in expected:
            self.assertIn(text, str(caught.exception))

    def fails(self, flow_id, *expected, timeout=60):
        flow = wait_until(lambda: (f := self.wallaby.get(flow_id)) and "FAILED" in f["state"] and f, timeout,
                          "state failed: " + str(expected))
        for text in expected:
            self.assertIn(text, flow["reason"])
        wait_until(lambda: not self.wallaby.worker_pids(flow_id), 30, "the worker's end")
        return flow

    def waits_with(self, flow_id, *expected, timeout=60):
        def seen():
            flow = self.wallaby.get(flow_id)
            return all(text in (flow.get("error") or "") + (flow.get("activity") or "") for text in expected) and flow
        return wait_until(seen, timeout, f"an error with {expected}")

    def test_unknown_option(self):
        self.refused_at_create(self.flow(slott="x"), "slott")

    def test_wrong_option_value(self):
        self.refused_at_create(self.flow(toast_fetch="sometimes"), "toast_fetch", "off", "cache")
        self.refused_at_create(self.flow({"name": "d", "type": "duckdb", "options": {"dsn": "/tmp/x", "write_mode": "merge"}}),
                               "write_mode", "target", "append")

    def test_missing_option(self):
        self.refused_at_create(self.flow({"name": "d", "type": "duckdb", "options": {}}), "dsn")

    def test_half_of_a_buckets_keys(self):
        self.refused_at_create(self.flow({"name": "lake", "type": "s3", "options": {"bucket": "b", "access_key": "hidden"}}),
                               "option secret_key of destination 'lake': is missing")
        self.refused_at_create(self.flow({"name": "k", "type": "kafka", "options": {
            "brokers": "b:9092", "oversize_policy": "claim_check", "claim_check_bucket": "b",
            "claim_check_secret_key": "hidden"}}), "option claim_check_access_key of destination 'k': is missing")

    def test_options_that_only_a_library_or_the_source_knows(self):
        def destination(kind, **options):
            base = {"kafka": {"brokers": "127.0.0.1:1"}, "http": {"url": "http://127.0.0.1:1/"}, "parquet": {"path": "/tmp/x"}}
            return self.flow({"name": "d", "type": kind, "options": {**base[kind], **options}})

        self.refused_at_create(destination("kafka", client_config="nosuch.property=1"),
                               "option client_config of destination 'd'", "nosuch.property")
        self.refused_at_create(destination("kafka", client_config="socket.keepalive.enable=Sup3rSecret"), "socket.keepalive.enable")
        self.assertNotIn("Sup3rSecret", self.wallaby.log())
        self.refused_at_create(destination("kafka", format="avro", schema_registry="csr"), "schema_registry_url")
        self.refused_at_create(destination("http", transaction_header="x-wallaby-lsn"), "transaction_header")
        self.refused_at_create(destination("parquet", format="json"), "option format of destination 'd'")
        self.refused_at_create(destination("parquet", partition_by="nosuch:day"), "no table of the flow has a column nosuch")
        self.refused_at_create(destination("http", type_mappings="numerik=text"), "the source has no type numerik")
        self.refused_at_create(destination("http", type_mappings="public.t.vv=text"), "table public.t has no column vv; columns: id, v")
        types = "numeric=text,timestamp(3) with time zone=text,int4[]=text,public.t.v=text,public.later.x=text"
        self.wallaby.create(destination("http", type_mappings=types, format="json"), start=False)

    def test_unknown_destination_type(self):
        self.refused_at_create(self.flow({"name": "d", "type": "duckbd", "options": {}}), "duckbd", "duckdb")

    def test_wrong_password_is_not_shown(self):
        dsn = self.source.replace("postgres@", "nobody:Sup3rSecret@")
        flow_id = self.wallaby.create(self.flow(source=dsn))
        self.fails(flow_id, "nobody")
        everything = self.wallaby.log() + self.wallaby.admin("flow", "get", "-flow-id", flow_id, "-json").stdout
        self.assertNotIn("Sup3rSecret", everything)

    def test_server_away_then_back(self):
        port = self.source.rsplit(":", 1)[1].split("/")[0]
        flow_id = self.wallaby.create(self.flow(source=self.source.replace(port, "1")))
        self.waits_with(flow_id, "127.0.0.1")
        self.assertIn("RUNNING", self.wallaby.get(flow_id)["state"])

    def test_role_without_replication(self):
        sql(self.source, "DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN; GRANT SELECT ON t TO plain; "
                         f"CREATE PUBLICATION {self.slot} FOR TABLE t")
        flow_id = self.wallaby.create(self.flow(source=self.source.replace("postgres@", "plain@")))
        self.fails(flow_id, "REPLICATION")

    def test_wal_level_not_logical(self):
        server = Postgres(15, settings=["wal_level=replica"])
        try:
            flow_id = self.wallaby.create(self.flow(source=server.database("x")))
            self.fails(flow_id, "wal_level", "logical")
        finally:
            server.stop()

    def test_publication_missing_and_not_to_be_made(self):
        flow_id = self.wallaby.create(self.flow(ensure_publication="false"))
        self.fails(flow_id, self.slot, "publication")

    def test_publication_of_a_table_that_does_not_exist(self):
        flow_id = self.wallaby.create(self.flow(publication_tables="public.t,public.nothere"))
        self.fails(flow_id, "nothere")

    def test_slot_in_use_names_the_pid(self):
        sql(self.source, f"CREATE PUBLICATION {self.slot} FOR TABLE t; "
                         f"SELECT pg_create_logical_replication_slot('{self.slot}', 'pgoutput')")
        other = subprocess.Popen(["/usr/lib/postgresql/15/bin/pg_recvlogical", "-d", self.source, "-S", self.slot, "--start",
                                  "-f", "/dev/null", "-o", "proto_version=1", "-o", f"publication_names={self.slot}"],
                                 stderr=subprocess.DEVNULL)
        try:
            query = f"SELECT active_pid FROM pg_replication_slots WHERE slot_name = '{self.slot}' AND active"
            pid = wait_until(lambda: sql(self.source, query), 30, "an active slot")[0][0]
            flow_id = self.wallaby.create(self.flow(), start=False)
            probe = self.wallaby.worker(flow_id, "-max-empty-reads=1", check=False)
            self.assertEqual(probe.returncode, 1)
            self.assertIn(f"pid {pid}", probe.stderr)
            self.wallaby.admin("flow", "start", "-flow-id", flow_id)
            self.waits_with(flow_id, f"pid {pid}")
        finally:
            other.kill()
            other.wait()
        sql(self.source, "INSERT INTO t VALUES (2, 'two')")
        self.wallaby.await_delivery(flow_id, self.source, self.slot)

    def test_lost_slot_and_the_way_back(self):
        server = Postgres(15, settings=["max_slot_wal_keep_size=16MB", "min_wal_size=32MB", "max_wal_size=32MB"])
        try:
            source = server.database("x")
            sql(source, "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one')")
            flow_id = self.wallaby.create(self.flow(source=source))
            self.wallaby.await_delivery(flow_id, source, self.slot)
            self.wallaby.stop_flow(flow_id)
            for _ in range(8):
                sql(source, "INSERT INTO t SELECT n, repeat('x', 1000) FROM generate_series(10, 20000) n; DELETE FROM t WHERE id >= 10;"
                            "SELECT pg_switch_wal(); CHECKPOINT;")
            lost = f"SELECT wal_status FROM pg_replication_slots WHERE slot_name = '{self.slot}'"
            wait_until(lambda: sql(source, "CHECKPOINT;" + lost) == [["lost"]], 60, "a lost slot")
            sql(source, "INSERT INTO t VALUES (2, 'after the loss'); DELETE FROM t WHERE id = 1")
            self.wallaby.admin("flow", "start", "-flow-id", flow_id)
            self.fails(flow_id, self.slot, "-mode backfill")
            self.wallaby.worker(flow_id, "-mode", "backfill")
            self.wallaby.admin("flow", "start", "-flow-id", flow_id)
            self.wallaby.await_delivery(flow_id, source, self.slot)
            query = "SELECT id, v FROM t ORDER BY id"
            self.assertEqual(sql(source, query), sql(self.target, query))
        finally:
            self.wallaby.close()
            server.stop()

    def test_slot_moved_by_somebody_else(self):
        flow_id = self.wallaby.create(self.flow())
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        self.wallaby.stop_flow(flow_id)
        sql(self.source, f"INSERT INTO t VALUES (2, 'lost'); SELECT pg_replication_slot_advance('{self.slot}', pg_current_wal_lsn())")
        self.wallaby.admin("flow", "start", "-flow-id", flow_id)
        self.fails(flow_id, "moved", "-mode backfill")
        self.wallaby.worker(flow_id, "-mode", "backfill")
        self.wallaby.admin("flow", "start", "-flow-id", flow_id)
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        query = "SELECT id, v FROM t ORDER BY id"
        self.assertEqual(sql(self.source, query), sql(self.target, query))

    def test_destination_replaced_after_the_snapshot(self):
        self.destination_replaced("SELECT 1")

    def test_destination_replaced_after_changes(self):
        self.destination_replaced("INSERT INTO t VALUES (3, 'three'); DELETE FROM t WHERE id = 3")

    def destination_replaced(self, change):
        path = os.path.join(self.wallaby.folder, "copy.duckdb")
        flow_id = self.wallaby.create(self.flow({"name": "duck", "type": "duckdb", "options": {"dsn": path}}))
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        sql(self.source, change)
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        sql(self.source, "INSERT INTO t VALUES (2, 'two')")
        self.wallaby.stop_flow(flow_id)
        os.remove(path)
        self.wallaby.admin("flow", "start", "-flow-id", flow_id)
        self.fails(flow_id, "duck", "replaced", "-mode backfill")
        self.wallaby.worker(flow_id, "-mode", "backfill")
        self.assertEqual(duckdb_rows(path, "SELECT id, v FROM t ORDER BY id"), [(1, "one"), (2, "two")])

    def test_locked_duckdb_file(self):
        path = os.path.join(self.wallaby.folder, "copy.duckdb")
        holder = subprocess.Popen([os.sys.executable, "-c", f"import duckdb, sys; c = duckdb.connect({path!r}); print('held', flush=True); "
                                                            "sys.stdin.read()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            holder.stdout.readline()
            flow_id = self.wallaby.create(self.flow({"name": "duck", "type": "duckdb", "options": {"dsn": path}}))
            self.waits_with(flow_id, path)
            self.assertIn("RUNNING", self.wallaby.get(flow_id)["state"])
        finally:
            holder.stdin.close()
            holder.wait()
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        self.wallaby.stop_flow(flow_id)
        self.assertEqual(duckdb_rows(path, "SELECT id, v FROM t"), [(1, "one")])

    def test_publishing_a_table_without_key_would_break_its_users(self):
        sql(self.source, "CREATE TABLE nokey (a int)")
        flow_id = self.wallaby.create(self.flow())
        self.fails(flow_id, "public.nokey", "REPLICA IDENTITY FULL", "publication_tables")
        sql(self.source, "UPDATE nokey SET a = 1")
        sql(self.source, "ALTER TABLE nokey REPLICA IDENTITY FULL")
        self.wallaby.admin("flow", "start", "-flow-id", flow_id)
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        sql(self.source, "INSERT INTO nokey VALUES (1), (1), (2); DELETE FROM nokey WHERE a = 2")
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        self.assertEqual(sql(self.target, "SELECT a FROM nokey"), [["1"], ["1"]])

    def test_table_without_key_that_is_named_takes_inserts(self):
        sql(self.source, "CREATE TABLE nokey (a int); INSERT INTO nokey VALUES (1)")
        flow_id = self.wallaby.create(self.flow(publication_tables="public.nokey"))
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        sql(self.source, "INSERT INTO nokey VALUES (1)")
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        self.assertEqual(sql(self.target, "SELECT a FROM nokey"), [["1"], ["1"]])

    def test_value_that_the_destination_refuses(self):
        flow_id = self.wallaby.create(self.flow())
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        sql(self.target, "ALTER TABLE t ADD CONSTRAINT short CHECK (length(v) < 10)")
        sql(self.source, "INSERT INTO t VALUES (2, 'fine'); INSERT INTO t VALUES (3, 'much too long for that')")
        self.fails(flow_id, "pg", "short")
        sql(self.target, "ALTER TABLE t DROP CONSTRAINT short")
        self.wallaby.admin("flow", "start", "-flow-id", flow_id)
        self.wallaby.await_delivery(flow_id, self.source, self.slot)
        query = "SELECT id, v FROM t ORDER BY id"
        self.assertEqual(sql(self.source, query), sql(self.target, query))

    def test_full_disk_at_the_destination(self):
        folder = os.path.join(self.wallaby.folder, "small")
        os.mkdir(folder)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True).returncode != 0:
            self.skipTest("mounting a small tmpfs is not permitted here")
        try:
            flow_id = self.wallaby.create(self.flow({"name": "lake", "type": "parquet", "options": {
                "path": os.path.join(folder, "lake"), "write_mode": "append", "roll_interval": "300ms", "compression": "none"}}))
            self.wallaby.await_delivery(flow_id, self.source, self.slot)
            sql(self.source, "INSERT INTO t SELECT n, md5(n::text) || md5((n + 1)::text) FROM generate_series(10, 100000) n")
            self.waits_with(flow_id, folder)
            subprocess.run(["mount", "-o", "remount,size=64m", folder], check=True)
            self.wallaby.await_delivery(flow_id, self.source, self.slot)
            self.wallaby.stop_flow(flow_id)
            import duckdb
            rows = duckdb.execute(f"SELECT count(*), count(DISTINCT id) FROM read_parquet('{folder}/lake/public/t/**/*.parquet')").fetchall()
            self.assertEqual(rows, [(99992, 99992)])
        finally:
            for pid in self.wallaby.worker_pids():
                os.kill(pid, 9)
            subprocess.run(["umount", "-l", folder], check=False)


if __name__ == "__main__":
    unittest.main()

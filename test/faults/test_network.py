"""The network between the programs and PostgreSQL: cut, reset, half-open, slow; at the source, the destination, the store."""

import random
import socket
import time
import unittest

from e2e.harness import sql, wait_until
from e2e.load import SEED
from faults.proxy import Proxy
from faults.stage import FaultTest

# A peer is taken for gone after so long; the product's own default is a minute.
SOON = "tcp_user_timeout={}&keepalives_idle=1&keepalives_interval=1&keepalives_count=3"


class NetworkTest(FaultTest):
    limit = 4  # seconds after which a peer that says nothing is lost

    def setUp(self):
        super().setUp()
        self.proxies = []

    def tearDown(self):
        super().tearDown()
        for proxy in self.proxies:
            proxy.close()

    def through(self, dsn):
        proxy = Proxy(dsn, SOON.format(1000 * self.limit))
        self.proxies.append(proxy)
        return proxy

    def begin_through(self, source=False, target=False, store=False, **options):
        """As begin(), with a proxy in front of what is named."""
        own = self.server(15, settings=["wal_sender_timeout=5s"])  # what a dead walsender holds, it holds no longer
        self.source_dsn, self.target_dsn = own.database("source"), own.database("target")
        env = {}
        if store:
            self.proxy = self.through(own.database("store"))
            env["WALLABY_POSTGRES_DSN"] = self.proxy.dsn
        # begin() and the comparison use the servers themselves, the flow the proxies.
        if source:
            self.proxy = self.through(self.source_dsn)
        if target:
            self.proxy = self.through(self.target_dsn)
        plain = self.flow
        self.flow = lambda **o: plain(source=self.proxy.dsn if source else None, target=self.proxy.dsn if target else None, **o)
        self.begin(self.source_dsn, self.target_dsn, env=env, **options)

    def cut_often(self):
        rng = random.Random(SEED)
        print(f"WALLABY_SEED={SEED}", flush=True)
        cuts = 0
        for number in range(5):
            time.sleep(rng.random() * 1.5)
            wait_until(lambda: self.proxy.links, 60, "a connection")
            cuts += self.proxy.cut(reset=number % 2 == 1)
        self.assertGreaterEqual(cuts, 5)
        self.rows_go_on(f"{cuts} cut connections")
        self.assertIn("RUNNING", self.wallaby.get(self.flow_id)["state"])
        self.end()

    def test_source_is_cut(self):
        self.begin_through(source=True, catch_up="256KiB")
        self.begin_load()
        self.cut_often()

    def test_destination_is_cut(self):
        self.begin_through(target=True)
        self.begin_load()
        self.cut_often()

    def test_store_is_cut(self):
        self.begin_through(store=True)
        self.begin_load()
        self.cut_often()

    def test_source_is_half_open(self):
        """The source's side of the connection vanishes without a word: noticed, and gone on from by itself."""
        self.begin_through(source=True)
        sql(self.source, "UPDATE accounts SET balance = 1 WHERE id = 1")
        self.rows_go_on("the start")
        since = len(self.wallaby.log())
        self.proxy.half_open()
        sql(self.source, "INSERT INTO ledger (account, amount) VALUES (1, 1)")
        wait_until(lambda: "taken for lost" in self.wallaby.log()[since:], 60, "the silence is noticed")
        self.proxy.heal()
        self.rows_go_on("the half-open connection", timeout=120)
        self.assertIn("RUNNING", self.wallaby.get(self.flow_id)["state"])
        self.end()

    def test_a_silent_host_in_the_list(self):
        """Of the DSN's two hosts the first accepts and says nothing, as a machine that hangs: the second is found."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            own = self.server()
            self.source_dsn = own.database("source")
            port = self.source_dsn.rsplit(":", 1)[1].split("/")[0]
            both = f"postgres://postgres@127.0.0.1:{silent.getsockname()[1]},127.0.0.1:{port}/source?connect_timeout=1"
            plain = self.flow
            self.flow = lambda **o: plain(source=both, **o)
            self.begin(self.source_dsn, own.database("target"), duck=False)
            sql(self.source, "INSERT INTO ledger (account, amount) VALUES (1, 1)")
            self.end()

    def test_a_silent_source_is_no_lost_source(self):
        """Nothing happens at the source for three times the limit: its answers alone keep the connection."""
        self.limit = 8  # a busy machine lets an answer wait, too
        self.begin_through(source=True)
        self.rows_go_on("the start")
        since = len(self.wallaby.log())
        time.sleep(3 * self.limit)
        self.assertNotIn("trying again", self.wallaby.log()[since:])
        self.rows_go_on("the silence")
        self.end()

    def test_store_is_half_open(self):
        """Delivery goes on; what asks the store gets an error in time; with the store back, everything is as before."""
        self.begin_through(store=True)
        self.begin_load(pause=0.3)
        since = len(self.wallaby.log())
        self.proxy.half_open()
        wait_until(lambda: "the lease could not be renewed" in self.wallaby.log()[since:], 60, "the silence is noticed")
        self.rows_go_on("the store's silence, while it lasts")
        answer = self.wallaby.admin("flow", "get", "-flow-id", self.flow_id, check=False)
        self.assertEqual(answer.returncode, 1)
        self.proxy.heal()
        wait_until(lambda: self.wallaby.admin("flow", "get", "-flow-id", self.flow_id, check=False).returncode == 0, 120, "the store's answer")
        self.assertIn("RUNNING", self.wallaby.get(self.flow_id)["state"])
        self.end(timeout=300)

    def test_destination_is_half_open(self):
        """What the flow sends the destination vanishes on a way that confirms every byte: the destination's server knows better. Its
        session is ended, as it has the rows of a transaction that will not go on."""
        self.begin_through(target=True)
        self.rows_go_on("the start")
        self.begin_load(pause=0.3)
        self.rows_go_on("the load")
        since = len(self.wallaby.log())
        self.proxy.half_open()
        self.proxy.heal()
        wait_until(lambda: "waits for its client" in self.wallaby.log()[since:] or "does not have the session" in self.wallaby.log()[since:], 90,
                   lambda: f"the silence is noticed\n{self.wallaby.log()[-3000:]}")
        self.rows_go_on("the half-open connection", timeout=120)
        self.assertIn("RUNNING", self.wallaby.get(self.flow_id)["state"])
        self.end()

    def test_source_is_half_open_while_it_is_copied(self):
        """The same in the middle of a first copy: the source knows that it sends and that nobody takes it."""
        self.begin_through(source=True)
        sql(self.source, "INSERT INTO accounts SELECT n, 0, md5(n::text), (SELECT string_agg(md5(n::text || i), '') FROM "
                         "generate_series(1, 100) i) FROM generate_series(1000, 9000) n")
        self.rows_go_on("the rows")
        target = self.postgres.database("t2_" + self.name)
        flow = self.flow()
        flow["name"] = flow["source"]["options"]["slot"] = "second"
        flow["destinations"] = [{"name": "pg", "type": "postgres", "options": {"dsn": target}}]
        since, self.proxy.rate = len(self.wallaby.log()), 4_000_000
        self.wallaby.create(flow)
        wait_until(lambda: sql(self.source, "SELECT 1 FROM pg_stat_progress_copy WHERE bytes_processed > 4000000"), 90,
                   lambda: f"the copy's begin\n{self.wallaby.log()[-3000:]}")
        self.proxy.half_open()
        self.proxy.heal()
        wait_until(lambda: "something between has lost what was sent" in self.wallaby.log()[since:], 90,
                   lambda: f"the silence is noticed\n{self.wallaby.log()[-3000:]}")
        count = "SELECT count(*) FROM accounts"
        wait_until(lambda: sql(target, "SELECT to_regclass('accounts')")[0][0] and sql(target, count) == sql(self.source, count), 180,
                   lambda: f"the copy, begun again\n{self.wallaby.log()[-3000:]}")
        self.rows_go_on("the copy")
        self.end()

    def test_slow_and_far_source(self):
        """A slow line is no lost line: what the source makes in a burst arrives in one life of the connection."""
        self.begin_through(source=True, catch_up="off")
        since = len(self.wallaby.log())
        self.proxy.rate, self.proxy.latency = 200_000, 0.02
        began = self.proxy.passed
        sql(self.source, "INSERT INTO ledger (account, amount) SELECT n, n FROM generate_series(1, 20000) n;"
                         "UPDATE accounts SET big = repeat(md5(id::text), 50) WHERE id <= 200")
        self.rows_go_on("a burst over a slow line", timeout=180)
        self.assertGreater(self.proxy.passed - began, 500_000)
        self.assertNotIn("trying again", self.wallaby.log()[since:])
        self.end()

    def test_slow_destination(self):
        self.begin_through(target=True)
        since = len(self.wallaby.log())
        self.proxy.rate, self.proxy.latency = 200_000, 0.02
        sql(self.source, "INSERT INTO ledger (account, amount) SELECT n, n FROM generate_series(1, 20000) n;"
                         "UPDATE accounts SET big = repeat(md5(id::text), 50) WHERE id <= 200")
        self.rows_go_on("a burst over a slow line", timeout=180)
        self.assertNotIn("trying again", self.wallaby.log()[since:])
        self.end()


if __name__ == "__main__":
    unittest.main()

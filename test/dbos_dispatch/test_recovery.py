"""Crashes, restarts and rivals: what is recovered, by whom, and how often."""

import subprocess
import time

from .stack import DbosTest, ask, portable, sql, wait_until


class RecoveryTest(DbosTest):
    def curl(self, wallaby, *more):
        """The operator's page prints this command, without a body."""
        return subprocess.run(["curl", "-s", "-S", "-X", "POST", *more, f"http://{wallaby.address}/dbos-workflow-recovery"],
                              capture_output=True, text=True, timeout=30, check=True).stdout.strip()

    def test_another_server_recovers_after_a_kill(self):
        first, second = self.server("exec-a"), None
        self.flow(first)
        self.await_streaming(first)
        run = self.active()
        second = self.server("exec-b")
        # A live run is left alone, whoever asks and however.
        self.assertEqual(self.curl(second), "[]")
        self.assertEqual(self.curl(first), "[]")
        self.assertEqual(ask(first, "POST", "/dbos-workflow-recovery", ["exec-a"]), (200, []))
        self.assertEqual(self.row(run, "status, executor_id, recovery_attempts"), ("PENDING", "exec-a", "1"))

        first.kill()
        wait_until(lambda: not first.worker_pids("shop"), 30, "the end of the worker of the killed server")
        self.assertEqual(self.row(run), "PENDING")
        self.assertEqual(self.curl(second), f'["{run}"]')
        wait_until(lambda: second.worker_pids("shop"), 30, "the worker at the other server\n" + second.log()[-2000:])
        self.assertEqual(self.row(run, "status, executor_id, recovery_attempts"), ("PENDING", "exec-b", "2"))
        self.assertEqual(self.curl(second), "[]")
        for body, answer in (('{bad', 400), ('{"a":1}', 400), ('[1]', 400)):
            self.assertEqual(ask(second, "POST", "/dbos-workflow-recovery", body)[0], answer, body)
        self.assertEqual(ask(second, "POST", "/dbos-workflow-recovery", ["exec-unknown"]), (200, []))
        self.assertEqual(self.curl(second, "-d", '["exec-a"]'), "[]")
        # The run has not ended by all this, and its end is recorded.
        second.stop_flow("shop")
        self.assertEqual(self.row(run), "CANCELLED")

    def test_recovered_by_an_explicit_list_and_a_probe_ends(self):
        wallaby = self.server("exec-b")
        self.flow(wallaby, start=False)
        # As a test of another executor would write it: no token, no serialization, inputs in the old column.
        for workflow_id, inputs, executor in (("by-hand-1", '{"flow_id":"shop","max_empty_reads":1}', "local"),
                                              ("by-hand-2", "eyJmbG93X2lkIjoic2hvcCIsIm1heF9lbXB0eV9yZWFkcyI6MX0=", "exec-b")):
            sql(self.system, "INSERT INTO dbos.workflow_status (workflow_uuid, status, name, inputs, executor_id, "
                f"application_version) VALUES ('{workflow_id}', 'PENDING', 'wallaby.run_flow', '{inputs}', '{executor}', "
                "'wallaby-1')")
        self.assertEqual(self.curl(wallaby), "[]")  # nobody can tell whether their owner lives
        for workflow_id, executor in (("by-hand-1", "local"), ("by-hand-2", "exec-b")):
            self.assertEqual(ask(wallaby, "POST", "/dbos-workflow-recovery", [executor]), (200, [workflow_id]))
            wait_until(lambda: self.row(workflow_id) == "SUCCESS", 30, "its end\n" + wallaby.log()[-1500:])
        self.assertEqual(self.row("by-hand-1", "output, executor_id"), ('"ok"', "exec-b"))

    def test_too_many_recoveries_are_the_end_until_resumed(self):
        wallaby = self.server("exec-a", WALLABY_DBOS_MAX_RETRIES="2")
        self.flow(wallaby)
        run = None
        for attempt in (1, 2, 3):
            run = wait_until(self.active, 30, "the run")
            wait_until(lambda: self.row(run, "status, recovery_attempts") == ("PENDING", str(attempt)), 30, "the claim")
            wallaby.kill()
            wallaby.start()
        wait_until(lambda: self.row(run) == "MAX_RECOVERY_ATTEMPTS_EXCEEDED", 30, "the end\n" + wallaby.log()[-1500:])
        self.assertEqual(self.row(run, "queue_name, deduplication_id, owner_xid"), (None, None, None))
        wait_until(lambda: "recovered too often" in wallaby.get("shop").get("error", ""), 30, "the flow's word")
        self.client().resume_workflow(run)
        wait_until(lambda: wallaby.worker_pids("shop"), 30, "the worker of the resumed run")
        self.assertEqual(self.row(run, "status, recovery_attempts"), ("PENDING", "1"))
        # Clean ends do not count, however many.
        for _ in range(4):
            wallaby.process.terminate()
            self.assertEqual(wallaby.process.wait(20), 0)
            self.assertEqual(self.row(run, "status, recovery_attempts"), ("ENQUEUED", "0"))
            self.assertEqual(wallaby.worker_pids("shop"), [])
            wallaby.start()
            wait_until(lambda: self.row(run) == "PENDING", 30, "the claim after a restart")
        wallaby.stop_flow("shop")

    def test_progress_forgives_earlier_crashes(self):
        wallaby = self.server("exec-a")
        self.flow(wallaby)
        self.await_streaming(wallaby)
        run = self.active()
        wallaby.kill()
        wallaby.start()
        wait_until(lambda: self.row(run, "status, recovery_attempts") == ("PENDING", "2"), 30, "the recovery at the start")

        def moved():
            sql(self.source, "INSERT INTO t SELECT max(id) + 1 FROM t")
            return self.row(run, "recovery_attempts") == "1"
        wait_until(moved, 30, "the reset", interval=0.5)
        wallaby.stop_flow("shop")

    def test_two_servers_run_each_once_and_keep_the_queues_limit(self):
        servers = [self.server("exec-a"), self.server("exec-b")]
        sql(self.system, """
            INSERT INTO dbos.workflow_status (workflow_uuid, status, name, queue_name, serialization, inputs, application_name)
            SELECT 'many-' || n, 'ENQUEUED', 'wallaby.run_flow', 'wallaby', 'portable_json',
                   '{"positionalArgs":["nobody",1],"namedArgs":{}}', 'wallaby' FROM generate_series(1, 600) n""")
        wait_until(lambda: self.runs("count(*)", "status = 'SUCCESS'") == [("600",)], 60, "all\n" + servers[0].log()[-900:])
        self.assertEqual(self.runs("count(*), min(recovery_attempts), max(recovery_attempts)"), [("600", "1", "1")])
        began = sum(server.log().count('"workflow run began"') for server in servers)
        self.assertEqual(began, 600)
        # A limit that a client sets on the queue holds over all servers. These runs wait for a lease that is held.
        self.client().register_queue("wallaby", concurrency=2, on_conflict="always_update")
        for n in range(5):
            self.flow(servers[0], f"f{n}", start=False)
            self.client().enqueue(portable(f"limited-{n}"), {"flow_id": f"f{n}", "max_empty_reads": 1})
        most = 0
        deadline = time.monotonic() + 60
        while self.runs("count(*)", "workflow_uuid LIKE 'limited-%' AND status = 'SUCCESS'") != [("5",)]:
            most = max(most, int(self.runs("count(*)", "status = 'PENDING'")[0][0]))
            self.assertLess(time.monotonic(), deadline, servers[0].log()[-2000:])
        self.assertIn(most, (1, 2))

    def test_the_database_restarts(self):
        wallaby = self.server("exec-a")
        self.flow(wallaby)
        self.await_streaming(wallaby)
        run = self.active()
        self.postgres.restart("immediate")
        # The source is the same server, so the worker streams again when it has come back too.
        wait_until(lambda: wallaby.log().count('"msg":"streaming"') >= 2, 30, "the stream after the restart")
        time.sleep(2)  # several looks at the row
        self.assertEqual(self.row(run, "status, recovery_attempts"), ("PENDING", "1"))
        # It is still the same run, which can be seen to live and be cancelled.
        self.assertEqual(self.curl(wallaby), "[]")
        self.client().cancel_workflow(run)
        wait_until(lambda: not wallaby.worker_pids("shop"), 30, "the worker's end")

    def test_a_held_lease_is_waited_for(self):
        wallaby = self.server("exec-a")
        self.flow(wallaby, start=False)
        sql(self.system, "INSERT INTO wallaby_control.leases (flow_id, holder, generation, expires_at) VALUES ('shop', "
            "'elsewhere:1:2', 1, (extract(epoch from now()) * 1000000)::bigint + 4000000)")
        handle = self.client().enqueue(portable("w-waits"), {"flow_id": "shop", "max_empty_reads": 1})
        wait_until(lambda: self.row("w-waits") == "PENDING", 30, "the claim")
        time.sleep(1)
        self.assertEqual(wallaby.worker_pids("shop"), [])
        self.assertEqual(handle.get_result(), "ok")

"""A worker that follows its flow's state, beside a server that starts nobody: what the chart's dispatch.kind none is."""

import os
import signal
import subprocess
import unittest

from e2e.harness import BIN_DIR, SOURCE_DIR, PostgresTest, Wallaby, source_endpoint, wait_until


class FollowTest(PostgresTest):
    def follow(self, wallaby, flow_id):
        process = subprocess.Popen(
            [os.path.join(SOURCE_DIR, "deploy/docker/wallaby-follow"), "-flow-id", flow_id], stderr=subprocess.DEVNULL,
            env={**wallaby.env, "PATH": f"{BIN_DIR}:{os.environ['PATH']}", "WALLABY_FOLLOW_PAUSE": "0.5"})

        def end():
            if process.poll() is None:
                process.kill()
            process.wait()

        self.addCleanup(end)
        return process

    def test_pause_resume_stop(self):
        source, copy = self.postgres.database("source"), self.postgres.database("copy")
        self.postgres.sql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 100)", source)
        wallaby = Wallaby({"WALLABY_WORKER_BIN": "/usr/bin/true"}).start()
        self.addCleanup(wallaby.close)
        flow = wallaby.create({
            "id": "followed", "name": "followed",
            "source": source_endpoint(source, publication_tables="public.t"),
            "destinations": [{"name": "copy", "type": "postgres", "options": {"dsn": copy}}]}, start=False)

        def copied(count):
            return lambda: self.postgres.sql("SELECT to_regclass('public.t')", copy) != [[None]] and \
                self.postgres.sql("SELECT count(*) FROM t", copy) == [[str(count)]]

        follower = self.follow(wallaby, flow)
        self.assertEqual(wallaby.worker_pids(), [])
        wallaby.admin("flow", "start", "-flow-id", flow)
        wait_until(copied(100), 60, "the copy")
        worker = wallaby.worker_pids()
        self.assertEqual(len(worker), 1)

        wallaby.admin("flow", "pause", "-flow-id", flow)
        wait_until(lambda: not wallaby.worker_pids(), 30, "the worker's end")
        self.postgres.sql("INSERT INTO t SELECT generate_series(101, 200)", source)
        wallaby.admin("flow", "resume", "-flow-id", flow)
        wait_until(copied(200), 60, "what came during the pause")

        # A second one waits for the lease and does no harm.
        second = self.follow(wallaby, flow)
        follower.send_signal(signal.SIGTERM)
        self.assertEqual(follower.wait(60), 0)
        self.postgres.sql("INSERT INTO t SELECT generate_series(201, 300)", source)
        wait_until(copied(300), 60, "what the second one delivers")

        wallaby.admin("flow", "stop", "-flow-id", flow)
        wallaby.admin("flow", "wait", "-flow-id", flow, "-state", "stopped", "-timeout", "60s")
        self.assertIsNone(second.poll())
        wait_until(lambda: not wallaby.worker_pids(), 30, "the worker's end")


if __name__ == "__main__":
    unittest.main()

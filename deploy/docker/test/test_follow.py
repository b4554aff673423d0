"""wallaby-follow with programs that only say what they were asked."""

import os
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

FOLLOW = pathlib.Path(__file__).parent.parent / "wallaby-follow"

# Waits until the file `running` is there, as `flow wait` does; fails when `failed` is.
ADMIN = """#!/bin/sh
echo "admin $*" >>log
while [ ! -e running ]; do
  if [ -e failed ]; then echo "the flow has failed" >&2; exit 1; fi
  sleep 0.05
done
"""
# Runs until `running` is gone, or a signal asks for the end, which takes it a moment.
WORKER = """#!/bin/sh
echo "worker $*" >>log
trap 'sleep 0.3; echo "worker delivered" >>log; exit 0' TERM
while [ -e running ]; do sleep 0.05; done
"""


class FollowTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        for name, text in (("wallaby-admin", ADMIN), ("wallaby-worker", WORKER)):
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o755)
        self.process = None

    def tearDown(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def follow(self, *arguments):
        self.process = subprocess.Popen(
            [FOLLOW, *arguments], cwd=self.folder, stderr=subprocess.PIPE, text=True,
            env={"PATH": f"{self.folder}:{os.environ['PATH']}", "WALLABY_FOLLOW_PAUSE": "0.1"})
        self.addCleanup(self.process.stderr.close)

    def log(self):
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def await_log(self, text, times=1):
        for _ in range(200):
            if self.log().count(text) >= times:
                return
            time.sleep(0.05)
        self.fail(f"{text!r} is not {times} times in the log:\n{self.log()}")

    def set(self, name, there=True):
        (self.folder / name).touch() if there else (self.folder / name).unlink()

    def test_runs_while_the_flow_runs(self):
        self.follow("-flow-id", "orders", "-snapshot-workers", "2")
        self.await_log("admin flow wait -flow-id orders -state running")
        self.assertNotIn("worker", self.log())
        self.set("running")
        self.await_log("worker -flow-id orders -snapshot-workers 2")
        self.set("running", False)  # paused
        self.await_log("admin", times=2)
        self.set("running")
        self.await_log("worker -flow-id", times=2)

    def test_a_signal_ends_the_worker_first(self):
        self.set("running")
        self.follow("-flow-id=orders")
        self.await_log("worker -flow-id=orders")
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(10), 0)
        self.assertTrue(self.log().endswith("worker delivered\n"), self.log())

    def test_a_signal_while_it_waits(self):
        self.follow("-flow-id", "orders")
        self.await_log("admin")
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(10), 0)
        self.assertNotIn("worker", self.log())

    def test_a_failed_flow_is_tried_again(self):
        self.set("failed")
        self.follow("-flow-id", "orders")
        self.await_log("admin", times=3)
        self.assertNotIn("worker", self.log())
        self.set("failed", False)
        self.set("running")
        self.await_log("worker")

    def test_usage(self):
        for arguments in ([], ["-flow-id"], ["-max-empty-reads", "1"]):
            done = subprocess.run([FOLLOW, *arguments], capture_output=True, text=True, timeout=10, check=False)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn("usage", done.stderr)


if __name__ == "__main__":
    unittest.main()

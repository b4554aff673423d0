"""What the machine runs out of, and its clock: full disks, memory, and a wall clock that jumps by a day."""

import os
import subprocess
import time
import unittest

from e2e.harness import BIN_DIR, SOURCE_DIR, sql, wait_until
from faults.stage import FaultTest, kill

DAY = 86400


def small_disk(test, size, within=None):
    """A folder with so much room and no more."""
    folder = os.path.join(within or test.folder(), "disk")
    os.mkdir(folder)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode != 0:
        test.skipTest(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    test.addCleanup(subprocess.run, ["umount", "-l", folder], check=False)
    return folder


class FullDiskTest(FaultTest):
    def test_duckdb(self):
        """The DuckDB file has no room: the worker says so and tries again; with more room everything arrives."""
        disk = small_disk(self, "8m")
        plain = self.flow
        self.flow = lambda **o: {**plain(**o), "destinations": [
            plain()["destinations"][0], {"name": "duck", "type": "duckdb", "options": {"dsn": f"{disk}/copy.duckdb"}}]}
        self.begin()
        self.duck = f"{disk}/copy.duckdb"
        sql(self.source, "INSERT INTO accounts SELECT n, 0, md5(n::text), (SELECT string_agg(md5(n::text || i), '') FROM "
                         "generate_series(1, 30) i) FROM generate_series(1000, 20000) n")
        self.says("duck", timeout=120)
        self.assertIn("RUNNING", self.wallaby.get(self.flow_id)["state"])
        subprocess.run(["mount", "-o", "remount,size=256m", disk], check=True)
        sql(self.source, "INSERT INTO ledger (account, amount) VALUES (1, 1)")
        self.end()

    def test_postgres(self):
        """The destination's tablespace has no room: the flow says so and tries again; with more room everything arrives."""
        own = self.server()
        disk = small_disk(self, "24m", within=own.directory)
        owner = os.stat(os.path.join(own.directory, "data"))
        place = os.path.join(disk, "small")
        os.mkdir(place)
        os.chown(place, owner.st_uid, owner.st_gid)
        own.sql(f"CREATE TABLESPACE small LOCATION '{place}'")
        target = own.database("target")
        own.sql("ALTER DATABASE target SET TABLESPACE small")
        self.begin(target=target, duck=False)
        sql(self.source, "INSERT INTO accounts SELECT n, 0, md5(n::text), (SELECT string_agg(md5(n::text || i), '') FROM "
                         "generate_series(1, 30) i) FROM generate_series(1000, 20000) n")
        self.says("53100", timeout=120)
        self.assertIn("RUNNING", self.wallaby.get(self.flow_id)["state"])
        subprocess.run(["mount", "-o", "remount,size=256m", disk], check=True)
        sql(self.source, "INSERT INTO ledger (account, amount) VALUES (1, 1)")
        self.end()

    def test_data_folder(self):
        """The SQLite store has no room: rows still arrive, nothing is acknowledged; with room all is as before."""
        disk = small_disk(self, "16m")
        self.begin(env={"WALLABY_DATA_DIR": f"{disk}/data"})
        self.begin_load(pause=0.3)
        self.rows_go_on("the start")
        since = len(self.wallaby.log())
        try:
            with open(f"{disk}/filler", "wb") as filler:
                while True:
                    filler.write(b"x" * 4096)
                    filler.flush()
        except OSError as error:
            self.assertEqual(error.errno, 28)
        wait_until(lambda: "the checkpoint could not be stored" in self.wallaby.log()[since:], 60, "a full disk is noticed")
        self.assertIn("full", self.wallaby.log()[since:])
        self.rows_go_on("the disk is full, while it is")
        os.remove(f"{disk}/filler")
        self.rows_go_on("room again")
        self.assertIn("RUNNING", self.wallaby.get(self.flow_id)["state"])
        self.end()


class MemoryTest(FaultTest):
    def limited(self, text, **env):
        """A worker that starts under a limit as long as the file `limit` is there."""
        self.limit = os.path.join(self.folder(), "limit")
        return {"WALLABY_WORKER_BIN": self.worker_wrapper(f'if [ -e "{self.limit}" ]; then {text}; fi'), **env}

    def under_limit(self):
        with open(self.limit, "w", encoding="utf-8"):
            pass
        for pid in self.wallaby.worker_pids(self.flow_id):
            kill(pid)

    def goes_on_without(self, since):
        wait_until(lambda: self.wallaby.log()[since:].count("worker process ended") >= 2, 90, "the worker's end by its limit")
        os.remove(self.limit)
        self.rows_go_on("the limit", timeout=120)
        self.end()

    def test_address_space(self):
        """ulimit -v: too little to start with. Each worker ends, the server starts the next; then there is enough."""
        self.begin(env=self.limited("ulimit -v 30000"), duck=False)
        sql(self.source, "UPDATE accounts SET balance = balance + 1; INSERT INTO ledger (account, amount) VALUES (1, 1)")
        since = len(self.wallaby.log())
        self.under_limit()
        self.goes_on_without(since)

    def test_killed_by_the_kernel(self):
        """A memory cgroup that is too small: the kernel kills the worker in the middle of its work, again and again."""
        group = self.cgroup("64m")
        self.begin(env=self.limited(f'echo $$ > "{group}/cgroup.procs"'))
        sql(self.source, "INSERT INTO accounts SELECT n, 0, md5(n::text), repeat(md5(n::text), 300) FROM generate_series(1000, 9000) n;"
                         "INSERT INTO ledger (account, amount) VALUES (1, 1)")
        since = len(self.wallaby.log())
        self.under_limit()
        wait_until(lambda: "killed by signal 9" in self.wallaby.log()[since:], 90, "a kill")
        self.goes_on_without(since)

    def test_the_stated_limit_holds(self):
        """WALLABY_MEMORY_LIMIT=32MiB, a transaction and rows much larger than that: the worker lives on in a cgroup of 384 MB."""
        group = self.cgroup("384m")
        self.begin(env=self.limited(f'echo $$ > "{group}/cgroup.procs"', WALLABY_MEMORY_LIMIT="32MiB"), duck=False)
        self.under_limit()
        self.rows_go_on("the restart under the limit")
        workers = self.wallaby.worker_pids(self.flow_id)
        sql(self.source, "INSERT INTO accounts SELECT n, 0, md5(n::text), (SELECT string_agg(md5(n::text || i), '') FROM generate_series(1, 100) i) "
                         "FROM generate_series(1000, 60000) n; INSERT INTO ledger (account, amount) VALUES (1, 1)")
        self.rows_go_on("200 MB in one transaction", timeout=240)
        self.assertEqual(self.wallaby.worker_pids(self.flow_id), workers)
        self.end()

    def cgroup(self, size):
        root = next((path for path in ("/sys/fs/cgroup/memory", "/sys/fs/cgroup") if os.path.isdir(path)), None)
        group = os.path.join(root or "", f"wallaby-faults-{os.getpid()}-{self.name[:20]}")
        limit = "memory.limit_in_bytes" if root and root.endswith("memory") else "memory.max"
        try:
            os.mkdir(group)
            self.addCleanup(self.remove_cgroup, group)
            with open(os.path.join(group, limit), "w", encoding="utf-8") as f:
                f.write(size.upper())
        except OSError as error:
            self.skipTest(f"no memory cgroup can be made here: {error}")
        return group

    @staticmethod
    def remove_cgroup(group):
        def removed():
            try:
                os.rmdir(group)
                return True
            except FileNotFoundError:
                return True
            except OSError:
                return False
        wait_until(removed, 30, "the end of the cgroup")


class ClockTest(FaultTest):
    """The clock of worker and server jumps while they run; so does each kind of wait, in the time of the kernel."""

    def shifted(self):
        library, self.clock = os.path.join(self.folder(), "shifted_clock.so"), os.path.join(self.folder(), "clock")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library,
                        os.path.join(SOURCE_DIR, "test/faults/shifted_clock.c"), "-ldl"], check=True)
        self.jump(0)
        return {"LD_PRELOAD": library, "SHIFTED_CLOCK": self.clock}

    def jump(self, seconds):
        with open(self.clock + ".new", "w", encoding="utf-8") as f:
            f.write(str(seconds))
        os.replace(self.clock + ".new", self.clock)

    def goes_through(self, seconds):
        """The clock jumps under load; the worker lives on; a worker that dies then is followed by the next one soon."""
        workers = self.wallaby.worker_pids(self.flow_id)
        self.jump(seconds)
        self.rows_go_on(f"a jump by {seconds} s")
        time.sleep(3)  # the lease is renewed after the jump
        self.rows_go_on(f"the lease after a jump by {seconds} s")
        self.assertEqual(self.wallaby.worker_pids(self.flow_id), workers)
        # Both die: the lease of the dead worker stands in the store, by the clock of before or after.
        self.kill_all()
        self.wallaby.start()
        self.rows_go_on(f"a restart after a jump by {seconds} s")
        self.assertEqual(len(self.wallaby.worker_pids(self.flow_id)), 1)

    def test_sqlite_store(self):
        self.begin(env=self.shifted(), duck=False)
        self.begin_load(pause=0.3)
        for seconds in (DAY, -DAY):
            self.goes_through(seconds)
        self.end()

    def test_a_dead_workers_lease_does_not_outlive_a_jump_back(self):
        """A worker that nobody watches dies, and the clock goes back: its lease ends a day in the future, and holds nobody off."""
        self.begin(env=self.shifted(), duck=False)
        self.wallaby.stop_flow(self.flow_id)
        by_hand = subprocess.Popen([f"{BIN_DIR}/wallaby-worker", "-flow-id", self.flow_id], env=self.wallaby.env, stderr=subprocess.DEVNULL)
        try:
            self.rows_go_on("the start by hand")
        finally:
            by_hand.kill()
            by_hand.wait()
        self.jump(-DAY)
        self.wallaby.admin("flow", "start", "-flow-id", self.flow_id)
        self.rows_go_on("a jump back")
        self.end()

    def test_postgres_store(self):
        """The store's clock is its server's; those of worker and server differ from it by a day."""
        store = self.server()
        self.begin(env={**self.shifted(), "WALLABY_POSTGRES_DSN": store.database("store")}, duck=False)
        self.begin_load(pause=0.3)
        for seconds in (DAY, -DAY):
            self.goes_through(seconds)
        self.end()


if __name__ == "__main__":
    unittest.main()

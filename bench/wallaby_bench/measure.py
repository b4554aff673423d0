"""What is measured of a run, and how a program is run to measure it.

Units: seconds, CPU seconds, bytes. Wall time of a program is from just before its start until it has ended.
"""

import dataclasses
import os
import resource
import statistics
import subprocess
import threading
import time


@dataclasses.dataclass
class Sample:
    """One run of one client. None: does not apply."""
    wall: float
    client_cpu: float | None = None
    source_cpu: float | None = None
    target_cpu: float | None = None
    peak_rss: int | None = None


def median(samples):
    """A sample of the medians of each figure."""
    def middle(field):
        values = [getattr(s, field) for s in samples if getattr(s, field) is not None]
        return statistics.median(values) if values else None
    return Sample(**{field.name: middle(field.name) for field in dataclasses.fields(Sample)})


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


class Process:
    """A program that runs; its output goes to `log`."""

    def __init__(self, argv, env, log):
        self.argv, self.log = argv, log
        self.peak = 0
        with open(log, "wb") as out:
            self.started = time.monotonic()
            self.child = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self._watch = threading.Thread(target=self._watch_memory, daemon=True)
        self._watch.start()

    def _watch_memory(self):
        """ru_maxrss of a child starts with what Python itself had when it forked, so small programs are looked at by hand."""
        while True:
            try:
                with open(f"/proc/{self.child.pid}/status", encoding="ascii", errors="replace") as f:
                    peak = [line for line in f if line.startswith("VmHWM")]
            except OSError:
                return
            if not peak:
                return  # it has ended
            self.peak = int(peak[0].split()[1]) * 1024
            time.sleep(0.01)

    def signal(self, number):
        os.kill(self.child.pid, number)

    def wait(self, expected=(0,)):
        """Waits for the end and gives a sample; fails loudly when the exit status is not an expected one."""
        _, status, usage = os.wait4(self.child.pid, 0)
        wall = time.monotonic() - self.started
        code = self.child.returncode = os.waitstatus_to_exitcode(status)
        self._watch.join()
        if code not in expected:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                raise RuntimeError(f"{' '.join(self.argv)}: exit status {code}\n{f.read()[-3000:]}")
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak = usage.ru_maxrss * 1024 if usage.ru_maxrss > own else self.peak
        return Sample(wall, client_cpu=usage.ru_utime + usage.ru_stime, peak_rss=peak)


class ServerCpu:
    """CPU time that both servers took between the beginning and `add_to`."""

    def __init__(self, session):
        self.session = session
        self.source, self.target = session.source.cpu_seconds(), session.target.cpu_seconds()

    def add_to(self, sample):
        sample.source_cpu = self.session.source.cpu_seconds() - self.source
        sample.target_cpu = self.session.target.cpu_seconds() - self.target
        return sample

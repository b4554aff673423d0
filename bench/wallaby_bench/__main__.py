"""./dev bench [OPTION]...: runs the scenarios one after the other and prints a table for each."""

import argparse
import json
import os
import re
import signal
import sys
import time

from e2e.harness import SOURCE_DIR
from wallaby_bench import goals, pause, profile, report, results
from wallaby_bench.scenarios import all_scenarios
from wallaby_bench.servers import Session


def arguments():
    parser = argparse.ArgumentParser(prog="./dev bench", description="Measures WALlaby against PostgreSQL's own readers.")
    parser.add_argument("--list", action="store_true", help="name the scenarios and end")
    parser.add_argument("--only", metavar="REGEX", default="", help="only scenarios whose whole name matches")
    parser.add_argument("--repeat", metavar="N", type=int, default=5, help="runs of each client, by turns (default 5)")
    parser.add_argument("--scale", metavar="F", type=float, default=1.0, help="amount of data; 0.05 for a quick look (default 1)")
    parser.add_argument("--major", metavar="N", type=int, default=15, help="PostgreSQL 14 to 18 (default 15)")
    parser.add_argument("--also", metavar="FILE", action="append", default=[],
                        help="a --json of an earlier run: what this one leaves out is taken from there")
    parser.add_argument("--json", metavar="FILE", help="write all medians there")
    parser.add_argument("--write", metavar="FOLDER", nargs="?", const=os.path.join(SOURCE_DIR, "bench"),
                        help="write RESULTS.md and throughput.svg, to bench/ unless a folder is given")
    parser.add_argument("--profile", metavar="FOLDER", nargs="?", const=os.path.join(SOURCE_DIR, "bench/profiles"),
                        help="instead of measuring, write flame graphs of the worker there (bench/profiles); needs perf")
    parser.add_argument("--pause", metavar="MINUTES", type=float,
                        help="instead of measuring, show what a gate and a dead destination cost the source of a flow with a spool, each for "
                             "so long; writes pause.svg")
    parser.add_argument("--micro", metavar="FILE", help="JSON of the micro benchmarks (--benchmark_out), for the goals table")
    given = parser.parse_args()
    if given.repeat < 1 or given.scale <= 0:
        parser.error("--repeat and --scale are positive")
    return given


def tell(text):
    print(text, file=sys.stderr, flush=True)


def run(given, scenarios):
    """Gives [(scenario, result)] and the machine's description."""
    session = Session(given.major)
    machine = report.machine(session, given.repeat, given.scale)
    for name, value in machine:
        print(f"{name + ':':14}{value}")
    done = []
    for scenario in scenarios:
        scenario.scale = given.scale
        os.sync()  # no scenario pays for what the one before it wrote
        began = time.monotonic()
        result = scenario.run(scenario, session, min(given.repeat, scenario.most_repeats), tell)
        print(f"\n{scenario.name}: {scenario.title()}")
        print(report.aligned(*report.table(result)), flush=True)
        # The benchmark itself makes about as much load as a machine of two cores has room for.
        result["load"] = os.getloadavg()[0]
        tell(f"  {scenario.name} took {time.monotonic() - began:.0f} s, load at its end {result['load']:.1f}")
        done.append((scenario, result))
    return done, machine


def with_earlier(given, done):
    """`done` and what was measured before, in the order of the scenarios."""
    by_name = {scenario.name: (scenario, result) for scenario, result in done}
    known = {scenario.name: scenario for scenario in all_scenarios()}
    for path in given.also:
        with open(path, encoding="utf-8") as f:
            earlier = json.load(f)
        for name, result in earlier["results"].items():
            known[name].scale = earlier["scale"]
            by_name.setdefault(name, (known[name], result))
    return [by_name[name] for name in known if name in by_name]


def main():
    given = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped
    scenarios = [s for s in all_scenarios() if not given.only or re.fullmatch(given.only, s.name)]
    if not scenarios:
        sys.exit(f"bench: no scenario matches '{given.only}'; --list names them")
    if given.list:
        for scenario in scenarios:
            print(f"{scenario.name:18}{scenario.what}")
        return
    if given.profile:
        profile.run(given.profile, given.major)
        return
    if given.pause:
        pause.run(given.pause, given.major, given.write or os.path.join(SOURCE_DIR, "bench"), given.json, tell)
        return
    done, machine = run(given, scenarios)
    done = with_earlier(given, done)
    by_name = {scenario.name: result for scenario, result in done}
    reached = goals.table(by_name, given.micro)
    print("\nGoals" + ("" if given.scale == 1 else f" (meant for scale 1, this is {given.scale:g})") + "\n" + report.aligned(*reached))
    print("\nCPU is in seconds for a million changes. MB is pgoutput's payload.")
    if given.json:
        with open(given.json, "w", encoding="utf-8") as f:
            json.dump({"machine": dict(machine), "scale": given.scale, "results": by_name}, f, indent=1)
    if given.write:
        results.write(given.write, done, machine, reached)


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, AssertionError) as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit(130)

"""What was promised, beside what was measured. A goal whose scenario did not run shows '-'."""

import json

from wallaby_bench.report import BASE, ratio

APPLY = "subscription"
MIB = 2**20


def table(results, micro=None):
    rows = [[goal, wanted, "-" if value is None else shown.format(value), "-" if value is None else "yes" if reached(value) else "NO"]
            for goal, wanted, value, shown, reached in _goals(results, micro)]
    return ["goal", "wanted", "measured", "reached"], rows


def _goals(results, micro):
    """(goal, what is wanted, value or None, its format, whether a value is good enough)."""
    def times(scenario, client, base=BASE):
        return ratio(results[scenario], client, base) if scenario in results else None

    def figure(scenario, client, name):
        return results[scenario]["clients"][client][name] if scenario in results else None

    def at_least(goal, wanted, value):
        return goal, f">= {wanted:g} x", value, "{:.2f} x", lambda v: v >= wanted

    def at_most(goal, wanted, unit, value):
        return goal, f"<= {wanted:g} {unit}", value, "{:.1f} " + unit, lambda v: v <= wanted

    def cpu(scenario):
        return divided(figure(scenario, BASE, "client_cpu"), figure(scenario, "null", "client_cpu"))

    yield at_least("read a backlog (null) / pg_recvlogical", 2.5, times("backlog-narrow", "null"))
    yield at_least("read live under load (null) / pg_recvlogical", 1.6, times("live", "null"))
    yield at_least("pg_recvlogical's CPU / reader's CPU, backlog", 15, cpu("backlog-narrow"))
    yield at_least("pg_recvlogical's CPU / reader's CPU, live", 15, cpu("live"))
    yield at_least("backlog into duckdb append / pg_recvlogical", 2, times("backlog-narrow", "duckdb append"))
    yield at_least("backlog into parquet / pg_recvlogical", 2, times("backlog-narrow", "parquet"))
    yield at_least("70/20/10 mix into duckdb target / pg_recvlogical", 1.5, times("mix", "duckdb target"))
    yield at_least("70/20/10 mix into postgres target / pg_recvlogical", 1.2, times("mix", "postgres target"))
    yield at_least("backlog into postgres target / subscription", 1.4, times("backlog-narrow", "postgres target", APPLY))
    yield at_least("70/20/10 mix into postgres target / subscription", 1.4, times("mix", "postgres target", APPLY))
    yield "decode in memory, one core", ">= 5 M changes/s", _micro(micro), "{:.2f} M changes/s", lambda v: v >= 5
    yield at_most("idle: commit to visible in PostgreSQL, p99", 10, "ms", figure("latency-idle", "postgres target", "p99"))
    yield "the same / subscription's p99", "< 1 x", divided(figure("latency-idle", "postgres target", "p99"),
                                                            figure("latency-idle", APPLY, "p99")), "{:.2f} x", lambda v: v < 1
    for client in ("null", "duckdb append", "postgres target"):
        yield at_most(f"memory, transaction of 5 M changes, {client}", 256, "MiB", divided(figure("memory", client, "peak_rss"), MIB))
    for client in ("postgres target", "duckdb target"):
        slower = divided(figure("snapshot", client, "wall"), figure("snapshot", "copy", "wall"))
        yield f"first copy into {client} / COPY", "<= 1.2 x", slower, "{:.2f} x", lambda v: v <= 1.2
    yield at_most("worker's start to first change visible", 300, "ms", figure("start", "postgres target", "p50"))


def divided(a, b):
    return a / b if a is not None and b else None


def _micro(path):
    """Million changes a second of BM_Assemble/narrow in a JSON file of Google Benchmark."""
    if not path:
        return None
    with open(path, encoding="utf-8") as f:
        found = [b["items_per_second"] for b in json.load(f)["benchmarks"]
                 if b["name"].startswith("BM_Assemble/narrow") and b.get("aggregate_name", "median") == "median"]
    return found[-1] / 1e6 if found else None

"""Results as tables: aligned for the screen, Markdown for RESULTS.md, JSON for programs."""

import datetime
import os
import platform
import subprocess

from e2e.harness import BIN_DIR, SOURCE_DIR

BASE = "pg_recvlogical"


def table(result):
    """(header, rows) of one scenario's result; every cell is text."""
    return {"backlog": _drained, "live": _drained, "latency": _latency, "start": _latency, "snapshot": _snapshot, "push": _push,
            "stream": _stream}[result["kind"]](result)


def number(value, digits=1):
    return "-" if value is None else f"{value:,.{digits}f}"


def _per_million(seconds, changes):
    return "-" if seconds is None else number(seconds / changes * 1e6, 2)


def ratio(result, client, base=BASE):
    """How many times as fast as the base; None when one of them was not run."""
    walls = result["clients"]
    return walls[base]["wall"] / walls[client]["wall"] if base in walls and client in walls else None


def _drained(result):
    changes = result["changes"]
    header = ["client", "wall s", "changes/s", "MB/s", "x recvlogical", "client CPU", "source CPU", "target CPU", "peak MiB"]
    rows = []
    for name, s in result["clients"].items():
        rows.append([name, number(s["wall"], 2), number(changes / s["wall"], 0), number(result["payload"] / s["wall"] / 1e6),
                     number(ratio(result, name), 2), _per_million(s["client_cpu"], changes), _per_million(s["source_cpu"], changes),
                     _per_million(s["target_cpu"], changes), number(s["peak_rss"] / 2**20 if s["peak_rss"] else None, 0)])
    return header, rows


def _latency(result):
    header = ["client", "p50 ms", "p99 ms", "max ms", "rows"]
    return header, [[name, number(s["p50"]), number(s["p99"]), number(s["max"]), str(s["rows"])] for name, s in result["clients"].items()]


def _snapshot(result):
    header = ["way", "wall s", "rows/s", "x COPY | COPY", "client CPU", "peak MiB"]
    base = result["clients"]["copy"]["wall"]
    return header, [[name, number(s["wall"], 2), number(result["changes"] / s["wall"], 0), number(s["wall"] / base, 2),
                     _per_million(s["client_cpu"], result["changes"]), number(s["peak_rss"] / 2**20 if s["peak_rss"] else None, 0)]
                    for name, s in result["clients"].items()]


def _push(result):
    changes = result["changes"]
    header = ["destination", "wall s", "changes/s", "requests/s", "client alone: requests/s", "x alone", "CPU", "CPU alone", "peak MiB"]
    rows = []
    for name, way in result["ways"].items():
        ours, alone, requests = way["ours"], way["alone"], way["requests"]
        rows.append([name, number(ours["wall"], 2), number(changes / ours["wall"], 0), number(requests / ours["wall"], 0),
                     number(requests / alone["wall"], 0), number(alone["wall"] / ours["wall"], 2), _per_million(ours["client_cpu"], changes),
                     _per_million(alone["client_cpu"], changes), number(ours["peak_rss"] / 2**20, 0)])
    return header, rows


def _stream(result):
    header = ["way", "wall s", "messages/s", "x COPY"]
    base = result["clients"]["copy"]["wall"]
    names = {"write": "flow into the stream", "copy": "COPY of the same messages", "pull": "pull and acknowledge", "live": "the same while the flow writes"}
    return header, [[names[way], number(s["wall"], 2), number(result["changes"] / s["wall"], 0), number(s["wall"] / base, 2)]
                    for way, s in result["clients"].items()]


def aligned(header, rows):
    widths = [max(len(line[k]) for line in [header, *rows]) for k in range(len(header))]
    def padded(line):
        return "  ".join([line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))])
    return "\n".join(padded(line) for line in [header, ["-" * width for width in widths], *rows])


def markdown(header, rows):
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def machine(session, repeat, scale):
    """What a reader must know to compare: (name, value) pairs."""
    def field(path, key):
        with open(path, encoding="utf-8") as f:
            return next((line.split(":", 1)[1].strip() for line in f if line.startswith(key)), "unknown")
    def first_line(*argv):
        lines = subprocess.run(argv, capture_output=True, text=True).stdout.splitlines()
        return lines[0] if lines else "unknown"
    return [
        ("processor", f"{field('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores"),
        ("memory", f"{int(field('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.1f} GiB"),
        ("kernel", platform.release()),
        ("PostgreSQL", session.source.version),
        ("WALlaby", first_line(os.path.join(BIN_DIR, "wallaby"), "-version") + ", commit " +
         first_line("git", "-C", SOURCE_DIR, "describe", "--always", "--dirty", "--exclude=*")),
        ("date", datetime.date.today().isoformat()),
        ("load before", " ".join(f"{value:.1f}" for value in os.getloadavg())),
        ("runs", f"{repeat}, medians shown; scale {scale:g}"),
    ]

"""The demo's live view: what `wallaby-admin flow get` says, and each table at the source and at the destination.

  view.py --admin PROGRAM --flow ID --seconds N --source DSN [--copy DSN] SCHEMA.TABLE...

With --copy rows are counted on both sides. Without it nothing is asked of the source; the snapshot's own progress is shown.
A terminal is redrawn every second; elsewhere four reports are printed. Exit status 1 when the flow has failed.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time


def quoted(table):
    return ".".join('"' + part.replace('"', '""') + '"' for part in table.split(".", 1))


def counts(dsn, tables):
    """Rows by table; None where the table is not there yet."""
    query = "; ".join(f"SELECT count(*) FROM {quoted(table)}" for table in tables)
    result = subprocess.run(["psql", "-XAtq", "-d", dsn, "-c", query], capture_output=True, text=True)
    if result.returncode != 0:
        return dict.fromkeys(tables)
    return dict(zip(tables, result.stdout.split()))


def changes_made(dsn, tables):
    """Rows inserted, updated and deleted, as the source's statistics count them."""
    schemas = ", ".join("'" + schema.replace("'", "''") + "'" for schema in sorted({t.split(".")[0] for t in tables}))
    query = f"SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables WHERE schemaname IN ({schemas})"
    return subprocess.run(["psql", "-XAtq", "-d", dsn, "-c", query], capture_output=True, text=True).stdout.strip()


def amount(number_of_bytes):
    for unit in ("bytes", "kB", "MB", "GB"):
        if number_of_bytes < 1024 or unit == "GB":
            return f"{number_of_bytes:.0f} {unit}" if unit == "bytes" else f"{number_of_bytes:.1f} {unit}"
        number_of_bytes /= 1024


def lag_text(flow):
    lag = flow.get("lag") or {}
    size, seconds = int(lag.get("bytes", -1)), float(lag.get("seconds", -1))
    if size < 0:
        return "not known yet"
    return amount(size) + (f", {seconds:.1f} s" if seconds >= 0 else "")


def headline(flow, started):
    state = flow.get("state", "?").removeprefix("FLOW_STATE_").lower()
    if flow.get("activity"):
        state += f" ({flow['activity']})"
    checkpoint = (flow.get("checkpoint") or {}).get("lsn") or "none yet"
    return f"  {time.monotonic() - started:3.0f} s   flow {state}   lag {lag_text(flow)}   checkpoint {checkpoint}"


def rows_on_both_sides(options):
    # In this order, so that what arrives in between does not show as more than there is.
    copy = counts(options.copy, options.tables)
    source = counts(options.source, options.tables)
    lines = [["table", "rows at the source", "rows delivered"]]
    for table in options.tables:
        lines.append([table, str(source[table] or "-"), str(copy[table] or "-")])
    return lines, f"  {changes_made(options.source, options.tables)} rows inserted, updated or deleted so far"


def snapshot_progress(flow):
    lines = [["table", "rows copied", "of about", "snapshot"]]
    for table in flow.get("tables") or []:
        lines.append([table.get("table", "?"), str(table.get("rows_copied", 0)), str(table.get("rows_estimated", 0)),
                      table.get("state", "?")])
    return lines, ""


def report(options, flow, started):
    lines, remark = rows_on_both_sides(options) if options.copy else snapshot_progress(flow)
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    out = [headline(flow, started)]
    for line in lines:
        cells = [line[0].ljust(widths[0])] + [text.rjust(width) for text, width in zip(line[1:], widths[1:])]
        out.append("    " + "   ".join(cells))
    if remark:
        out.append(remark)
    return out


def get_flow(options):
    result = subprocess.run([options.admin, "flow", "get", "-flow-id", options.flow, "-json"], capture_output=True,
                            text=True)
    if result.returncode != 0:
        return {"state": "unknown: " + result.stderr.strip()}
    return json.loads(result.stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--admin", required=True)
    parser.add_argument("--flow", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--copy")
    parser.add_argument("tables", nargs="+")
    options = parser.parse_args()

    terminal = sys.stdout.isatty()
    step = 1 if terminal else options.seconds / 4
    started = time.monotonic()
    drawn = 0
    while (left := started + options.seconds - time.monotonic()) > 0:
        time.sleep(min(step, left))
        flow = get_flow(options)
        lines = report(options, flow, started)
        if terminal:
            # A line that wraps would spoil the count of lines to go back.
            width = shutil.get_terminal_size().columns - 1
            print((f"\033[{drawn}A\033[J" if drawn else "") + "\n".join(line[:width] for line in lines), flush=True)
            drawn = len(lines)
        else:
            print("\n".join(lines) + "\n", flush=True)
        if flow.get("state", "").lower().endswith("failed"):
            print(f"demo: the flow failed: {flow.get('reason') or flow.get('error')}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

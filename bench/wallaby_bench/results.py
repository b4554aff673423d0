"""Writes RESULTS.md and throughput.svg."""

import os

from wallaby_bench import plot, report

PLOTTED = ("backlog-narrow", "mix")


def write(folder, done, machine, goals):
    """`done` is [(scenario, result)]."""
    by_name = {scenario.name: (scenario, result) for scenario, result in done}
    charts = [(by_name[name][0].title(), bars(by_name[name][1])) for name in PLOTTED if name in by_name]
    lines = ["# Results", "", "Written by `./dev bench --write`. [README.md](README.md) tells how to read it.", "",
             report.markdown(["machine", ""], [list(pair) for pair in machine]), ""]
    if charts:
        with open(os.path.join(folder, "throughput.svg"), "w", encoding="utf-8") as f:
            f.write(plot.svg(charts))
        lines += ["![Changes a second against pg_recvlogical](throughput.svg)", ""]
    lines += ["## Goals", "", report.markdown(*goals), "", "[Profiles](profiles/README.md) show where the time goes, and say why a "
              "goal is missed and what would lift it.", ""]
    for scenario, result in done:
        runs = max((len(walls) for walls in result.get("walls", {}).values()), default=0)
        title = scenario.title()[0].upper() + scenario.title()[1:] + "." + (f" Medians of {runs} runs." if runs > 1 else " One run." if runs else "")
        lines += [f"## {scenario.name}", "", title, "",
                  report.markdown(*report.table(result)), ""]
    with open(os.path.join(folder, "RESULTS.md"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines).rstrip() + "\n")


def bars(result):
    """[(client, changes a second, ratio to pg_recvlogical)]"""
    return [(name, result["changes"] / s["wall"], report.ratio(result, name)) for name, s in result["clients"].items()]

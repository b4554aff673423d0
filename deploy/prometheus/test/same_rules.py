"""The rules for the operator and those for a plain Prometheus are the same, and every metric that a rule uses exists."""

import pathlib
import re
import sys

here = pathlib.Path(__file__).parent


def rules(text, indent):
    """The text from `groups:` on, without its indentation; no YAML library is needed for files that are ours."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip() == "groups:")
    return [line[indent:] for line in lines[start:]]


operator = rules((here / "../wallaby-ddl-gates.yaml").read_text(), 2)
plain = rules((here / "../rules/wallaby.ddl.yaml").read_text(), 0)
if operator != plain:
    sys.exit("wallaby-ddl-gates.yaml and rules/wallaby.ddl.yaml differ")

table = (here / "../../../src/telemetry/metric_table.h").read_text()
known = set()
for name, kind in re.findall(r'"(wallaby\.[a-z._]+)",\s*MetricKind::k(\w+)', table):
    name = name.replace(".", "_")
    known.add(name if kind != "Counter" or name.endswith("_total") else name + "_total")
    if kind == "Histogram":
        known.update(name + end for end in ("_bucket", "_sum", "_count"))
if len(known) < 20:
    sys.exit("the table of metrics was not understood")
used = set()
for file in (here / "../rules").glob("*.yaml"):
    used.update(re.findall(r"\bwallaby_[a-z_]+", file.read_text()))
if not used or used - known:
    sys.exit(f"rules use metrics that do not exist: {sorted(used - known)}")

"""The benchmark: a tiny run over real servers, and what it makes of figures. No assertion about speed."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

from e2e.harness import SOURCE_DIR

sys.path.insert(0, os.path.join(SOURCE_DIR, "bench"))

from wallaby_bench import goals, plot, report  # noqa: E402
from wallaby_bench.clients import ALL, Null, WrongResult, expect  # noqa: E402
from wallaby_bench.measure import Sample, median, percentile  # noqa: E402

RESULT = {"kind": "backlog", "changes": 1_000_000, "payload": 120_000_000, "clients": {
    "pg_recvlogical": vars(Sample(4.0, 2.0, 3.0, 0.0, 8 << 20)),
    "null": vars(Sample(1.0, 0.1, 2.0, 0.0, 16 << 20)),
    "subscription": vars(Sample(8.0, None, 2.0, 3.0, None))}}


class SmokeTest(unittest.TestCase):
    CHANGES = 10_000  # 1,000,000 at this scale

    def test_backlog_at_a_tiny_scale(self):
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "bench.json")
            run = subprocess.run([os.path.join(SOURCE_DIR, "bench/run"), "--only", "backlog-narrow", "--scale", "0.01", "--repeat", "1",
                                  "--json", file, "--write", folder], capture_output=True, text=True)
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
            with open(file, encoding="utf-8") as f:
                result = json.load(f)["results"]["backlog-narrow"]
            with open(os.path.join(folder, "RESULTS.md"), encoding="utf-8") as f:
                written = f.read()
            xml.parse(os.path.join(folder, "throughput.svg"))
        self.assertEqual(result["changes"], self.CHANGES)
        self.assertGreater(result["payload"], 80 * self.CHANGES)
        self.assertEqual(list(result["clients"]), [client.name for client in ALL])
        for name, figures in result["clients"].items():
            with self.subTest(name):
                self.check_figures(name, figures)
                self.assertIn(name, run.stdout)
                self.assertIn(f"| {name} |", written)

    def check_figures(self, name, figures):
        self.assertGreater(figures["wall"], 0)
        self.assertGreaterEqual(figures["source_cpu"], 0)
        self.assertGreaterEqual(figures["target_cpu"], 0)
        # A subscription is part of the server: it has no process of its own to be measured.
        if name != "subscription":
            self.assertGreater(figures["client_cpu"], 0)
            self.assertGreater(figures["peak_rss"], 1 << 20)


class ReportTest(unittest.TestCase):
    def test_table_has_rates_and_ratios(self):
        header, rows = report.table(RESULT)
        self.assertEqual([row[header.index("changes/s")] for row in rows], ["250,000", "1,000,000", "125,000"])
        self.assertEqual([row[header.index("x recvlogical")] for row in rows], ["1.00", "4.00", "0.50"])
        self.assertEqual([row[header.index("client CPU")] for row in rows], ["2.00", "0.10", "-"])
        self.assertEqual(len({len(line) for line in report.aligned(header, [["a"] * len(header)]).splitlines()}), 1)

    def test_goals_are_judged_only_where_they_were_measured(self):
        _, rows = goals.table({"backlog-narrow": {**RESULT, "clients": {**RESULT["clients"], **{
            name: RESULT["clients"]["subscription"] for name in ("duckdb append", "parquet", "postgres target")}}}})
        judged = {row[0]: row[3] for row in rows}
        self.assertEqual(judged["read a backlog (null) / pg_recvlogical"], "yes")
        self.assertEqual(judged["backlog into parquet / pg_recvlogical"], "NO")
        self.assertEqual(judged["read live under load (null) / pg_recvlogical"], "-")

    def test_decoding_is_read_from_the_micro_benchmark(self):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump({"benchmarks": [{"name": "BM_Assemble/narrow", "items_per_second": 6e6}]}, file)
            file.flush()
            _, rows = goals.table({}, file.name)
        self.assertIn(["decode in memory, one core", ">= 5 M changes/s", "6.00 M changes/s", "yes"], rows)

    def test_medians_and_percentiles(self):
        middle = median([Sample(3.0, 1.0), Sample(1.0, 5.0), Sample(2.0, 3.0)])
        self.assertEqual((middle.wall, middle.client_cpu, middle.peak_rss), (2.0, 3.0, None))
        self.assertEqual((percentile(range(100), 50), percentile(range(100), 99), percentile([7], 99)), (50, 99, 7))

    def test_plot_is_a_picture_with_a_bar_each(self):
        drawn = xml.fromstring(plot.svg([("a < b", [("pg_recvlogical", 100.0, 1.0), ("null", 250.0, 2.5)])]))
        self.assertEqual(len(drawn.findall("{http://www.w3.org/2000/svg}rect")), 2)

    def test_a_wrong_count_is_an_error(self):
        with self.assertRaisesRegex(WrongResult, "null: rows: wanted 10, got 9"):
            expect(Null(), "rows", 10, 9)


if __name__ == "__main__":
    unittest.main()

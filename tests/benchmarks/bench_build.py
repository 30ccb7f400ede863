"""From a table of Kuzmin 2018's full size (made-up scores) to a finished cache, process start included."""

import sys
import tempfile
from pathlib import Path

from tests.benchmarks.kuzmin_table import write_full_size_table
from tests.benchmarks.measure import GOCELL, Row, report, run_process
from tests.benchmarks.real_data import real_data

NAMES = ("build_kuzmin_full_seconds", "build_kuzmin_full_peak_mb")
NAIVE_LOOP = "csv.DictReader and a dict, parsing and merging only"
NAIVE = """
import csv, re, sys
merged = {}
with open(sys.argv[1], newline="") as stream:
    for row in csv.DictReader(stream, delimiter="\\t", quoting=csv.QUOTE_NONE):
        genes = {*row["Query strain ID"].split("_")[0].split("+"), row["Array strain ID"].split("_")[0]}
        key = tuple(sorted(genes - {"YDL227C"}))
        merged.setdefault(key, []).append(float(row["Combined mutant fitness"]))
means = {key: sum(values) / len(values) for key, values in merged.items()}
"""


def run() -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory() as folder:
        table, out = Path(folder, "full.tsv"), Path(folder, "cache")
        write_full_size_table(table, real_data() / "kuzmin2018" / "aao1729_data_s1.slice.tsv")
        command = [GOCELL, "build-cache", "--dataset", "kuzmin2018", "--raw", str(table), "--phenotype", "fitness"]
        ours = run_process([*command, "--root", folder, "--out", str(out), "--overwrite"])
        both = run_process([*command, "--root", folder, "--out", str(out), "--overwrite", "--backend", "both"], runs=3)
        naive = run_process([sys.executable, "-c", NAIVE, str(table)], runs=3)
        size_mb = table.stat().st_size / 2**20
    rows = [
        Row(NAMES[0], ours.median_seconds, "s", NAIVE_LOOP, ours.median_seconds / naive.median_seconds),
        Row(NAMES[1], ours.median_peak_mb, "MB", "the table's size", ours.median_peak_mb / size_mb),
    ]
    notes = [
        f"{NAMES[0]} spread {ours.spread()}; both backends {both.median_seconds:.2f} s, {both.median_peak_mb:.0f} MB",
        "501,510 rows, real strain ids, made-up scores",
    ]
    report("build-cache, full size", rows, notes)

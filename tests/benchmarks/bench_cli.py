"""How fast the command line answers: `--help`, and `verify-levels` on a whole go-basic."""

import sys

from tests.benchmarks.measure import GOCELL, Row, report, run_process
from tests.benchmarks.real_data import real_data

NAMES = ("cli_help_seconds", "verify_levels_seconds")
BARE_IMPORT = "a process that imports typer and rich"
OBONET = "obonet and networkx doing the same"
PEER = """
import sys, networkx, obonet
graph = obonet.read_obo(sys.argv[1])
is_a = networkx.DiGraph((p, c) for c, p, k in graph.edges(keys=True) if k == "is_a")
level = {t: i for i, g in enumerate(networkx.topological_generations(is_a)) for t in g}
assert all(level[p] < level[c] for p, c in is_a.edges)
"""


def run() -> None:
    """Measure and report."""
    help_ = run_process([GOCELL, "--help"], runs=15)
    bare = run_process([sys.executable, "-c", "import typer, rich.console, rich.table"], runs=15)
    rows = [
        Row(NAMES[0], help_.median_seconds, "s", BARE_IMPORT, help_.median_seconds / bare.median_seconds),
    ]
    notes = [f"{NAMES[0]} spread {help_.spread()}"]
    obo = real_data() / "go" / "go-basic-2021-12-15.obo.gz"
    if obo.is_file():
        ours = run_process([GOCELL, "verify-levels", "--obo", str(obo)])
        peer = run_process([sys.executable, "-c", PEER, str(obo)], runs=3)
        rows.append(Row(NAMES[1], ours.median_seconds, "s", OBONET, ours.median_seconds / peer.median_seconds))
        notes.append(f"{NAMES[1]} spread {ours.spread()}, whole go-basic 2021-12-15, gzipped")
    else:
        notes.append(f"{NAMES[1]} left out: {obo} is not at hand")
    report("command line", rows, notes)

"""The first step of a fresh installation, a warm start, and how soon help and errors come.

Step: true-path, 256 random triples, forward, loss, backward, AdamW; `cold` with an empty folder of compiled loops,
`warm` with what a cold process left there. With numba: 62 s on two cores of an AMD EPYC (a `parallel=True` loop took
about 5 s whatever it did); then, with explicit vectors and threads of our own, 39 CPU seconds for 33 functions on a
busy machine: 24 in LLVM (each function optimised in its own library and again in each caller), 15 in numba's own types
and lowering. Predicted of a compiler that writes LLVM's code for all that a call needs into one module, arrays as
addresses: 0.3 s of its own and 1.5 s of LLVM's at -O2; measured there 0.38 and 1.6. -O3 and LLVM's search for vectors
had nothing to gain: a step of 2,048 took 182 CPU milliseconds, 204 before (up 47 for 58, down 71 for 81, plan 25
for 31).

Then, on two cores of an Intel Xeon of Sapphire Rapids' kind beside a core of other work: a cold first step 2.1 to 2.3 s
(the same build 5.1 to 6.1 on a slower and busier one), of it LLVM 1.65 CPU s (passes 1.1, instructions 0.55), our own
code's text 0.3, which a warm start needs as well, for its name. Tried, CPU s of LLVM and CPU ms of a step of 2,048
(least of three processes, alternately): -O2 for both 1.6 and 94 to 97; passes at -O1 1.4 and 90 to 99; and no loop
unrolled 0.95 and 94 to 97, of `ma2018` at 512 samples 4.9 s a step where there were 5.2; instructions at -O1 besides
0.85 and the same within the noise; no passes at all 0.25 and 127, so no. Kept: -O1, nothing unrolled: the first step
1.4 to 1.6 s. LLVM in two threads: llvmlite lets one in at a time.

Help and errors, before, same machine, medians of 5: `train --help` 0.52 s, an unknown option 0.42, an unknown --set
setting 4.9, a run or cache that is not there 6 to 7.2 (torch 2.6, torch._dynamo 2.3, torchmetrics and what it loads of
scipy 1.6). Predicted for all of them: 0.40, that is Python 0.04, Typer and rich 0.16, pydantic (Typer's own, for any
value) 0.11, ours 0.1. What won: loading the one command that is asked for (a tree of all takes 0.05, 0.14 where no
bytecode may be written); flags whose default is False and not None, for which Typer loads pydantic (0.11 of `--help`);
a manifest and a run's record as types without NumPy and jaxtyping (0.35). A name of no gene, or a split that the
samples do not allow, needs NumPy, Arrow and jaxtyping besides (0.35), and no torch.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import GOCELL, RUNS, Row, report

NAMES = (
    *("cold_first_step_seconds", "cold_compile_seconds", "warm_first_step_seconds", "second_step_seconds"),
    *("train_help_seconds", "unknown_option_seconds", "unknown_setting_seconds", "no_cache_seconds", "no_run_seconds"),
    "no_gene_seconds",
)
COLD = 3
"""Times that all loops are compiled."""
TYPER = "importing typer and rich"
CHILD = """
import json, time
from tests.benchmarks.hierarchies import bundled_hierarchy
hierarchy, width_by = bundled_hierarchy("true-path")
begun = time.perf_counter()
import numpy as np, torch
from gocell_cli.training.network.delta.compiler.cache import watch
from tests.benchmarks.genotypes import DRAWS
from tests.benchmarks.model_step import DCellConfig, ready, stacked_step
loaded = time.perf_counter()
step, model = stacked_step(hierarchy, DCellConfig(width_by=width_by, form="delta"))
rng, draw, steps = np.random.default_rng(0), DRAWS["all"](hierarchy), []
for _ in range(2):
    genotypes = draw(rng, 256)
    y, since = torch.from_numpy(rng.normal(size=256)).float(), time.perf_counter()
    step(*ready(model, genotypes, y))
    steps.append(time.perf_counter() - since)
print(json.dumps({"load": loaded - begun, "steps": steps, "compile": watch.seconds()}))
"""


def first_step(folder: str) -> dict[str, Any]:
    """Seconds of a process's first two steps, loops kept in a folder."""
    env = {**os.environ, "GOCELL_COMPILED": folder}
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True, env=env)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def answers(command: list[str], code: int, cwd: str) -> list[float]:
    """Wall seconds of a command that ends with `code`, after one to warm up."""
    timed = (
        "import subprocess, sys, time; b = time.perf_counter();"
        " c = subprocess.run(sys.argv[1:], capture_output=True).returncode; print(time.perf_counter() - b, c)"
    )
    found = []
    for _ in range(RUNS + 1):
        words = [sys.executable, "-c", timed, *command]
        seconds, left = subprocess.run(words, capture_output=True, text=True, check=True, cwd=cwd).stdout.split()
        assert int(left) == code, (command, left)
        found.append(float(seconds))
    return found[1:]


def run() -> None:
    """Measure and report."""
    cold, warm = list[dict[str, Any]](), list[dict[str, Any]]()
    for _ in range(COLD):
        with tempfile.TemporaryDirectory() as folder:
            cold.append(first_step(folder))
            warm.append(first_step(folder))
    second = statistics.median(one["steps"][1] for one in warm)
    versus = "a second step, warm"
    rows = [
        Row.of(NAMES[0], [one["steps"][0] for one in cold], "s", versus, second),
        Row.of(NAMES[1], [one["compile"] for one in cold], "s", versus, second),
        Row.of(NAMES[2], [one["steps"][0] for one in warm], "s", versus, second),
        Row.of(NAMES[3], [one["steps"][1] for one in warm], "s", versus, second),
    ]
    notes = [f"loading torch and the network: {statistics.median(one['load'] for one in warm):.2f} s"]
    report("first step", rows, notes)
    _report_answers()


def _report_answers() -> None:
    with tempfile.TemporaryDirectory() as folder:
        cache, made = Path(folder) / "cache", Path(folder) / "run"
        build = [GOCELL, "build-cache", "--dataset", "essentiality", "--out", str(cache), "-q"]
        train = [GOCELL, "train", str(cache), "--out", str(made), "--epochs", "1", "--set", "form=dense", "-q"]
        for command in (build, [*train, "--set", "min_width=2", "--set", "ratio=0.0"]):
            subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
        bare = statistics.median(answers([sys.executable, "-c", "import typer, rich.console, rich.table"], 0, folder))
        asked = (
            (NAMES[4], ["train", "--help"], 0),
            (NAMES[5], ["train", "--nonsense"], 2),
            (NAMES[6], ["train", str(cache), "--set", "nonsense=1"], 2),
            (NAMES[7], ["train", "nowhere"], 6),
            (NAMES[8], ["predict", "nowhere", "--genes", "YFL039C"], 6),
            (NAMES[9], ["predict", str(made), "--genes", "no_such_gene"], 2),
        )
        rows = [Row.of(name, answers([GOCELL, *words], code, folder), "s", TYPER, bare) for name, words, code in asked]
    report("help and errors", rows)

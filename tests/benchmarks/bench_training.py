"""Training runs as a user makes them: does the network beat predictors without an ontology, and what takes the time?

teacher    100,000 simulated triple deletions (half of the signal epistatic, a tenth of the variance noise)
essential  the bundled essentiality data: every sample deletes another gene, of which per-gene weights know nothing
kuzmin     fitness of the digenic controls of Kuzmin 2018, from the real slice of that table, where it is at hand
"""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torchmetrics.functional.classification import binary_auroc

from gocell_cli.storage.reader import Cache
from gocell_cli.training.data.splits.kinds import SPLITS, SplitChoice
from gocell_cli.training.data.splits.split import make_split
from tests.benchmarks.measure import GOCELL, Row, report
from tests.benchmarks.real_data import real_data

NAMES = ("teacher_r", "teacher_epoch", "essential_own", "essential_shared", *(f"kuzmin_{split}" for split in SPLITS))
TEACHER = ("--epochs", "10", "--lr", "0.01", "--set", "min_width=6")
OTHERS = ("--epochs", "10", "--set", "min_width=6", "--set", "population_samples=2048")
SLICE = "kuzmin2018/aao1729_data_s1.slice.tsv"
STRENGTHS = (1e-4, 1e-3, 1e-2)


def gocell(*words: object) -> dict[str, Any]:
    """What a command prints with --json."""
    command = [GOCELL, *map(str, words), "--json"]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return found


def train(cache: Path, out: Path, *words: object) -> dict[str, Any]:
    """Train a run with some settings."""
    return gocell("train", cache, "--out", out, *words)


def epoch_seconds(out: Path) -> dict[str, float]:
    """Median seconds of an epoch by kind of work."""
    lines = [json.loads(line)["seconds"] for line in (out / "metrics.jsonl").read_text("utf-8").splitlines()]
    return {kind: float(np.median([line[kind] for line in lines])) for kind in lines[0]}


def against(found: dict[str, Any], metric: str) -> str:
    """One line: the network beside its baselines."""
    others = {name: values[metric] for name, values in found["baselines"].items()}
    shown = ", ".join(f"{name} {'-' if value is None else f'{value:.3f}'}" for name, value in others.items())
    value = found["metrics"][metric]
    return f"test {metric} {'-' if value is None else f'{value:.3f}'} of {found['n']:,}; {shown}"


def teacher(root: Path) -> tuple[list[Row], list[str]]:
    """100,000 simulated triple deletions."""
    cache = gocell("build-cache", "--dataset", "simulated", "--root", root)["cache"]
    found = train(cache, root / "teacher", *TEACHER)
    pearson, ridge = found["metrics"]["pearson"], found["baselines"]["additive"]["pearson"]
    seconds = epoch_seconds(root / "teacher")
    total = sum(seconds.values())
    shares = ", ".join(f"{kind} {value / total:.1%}" for kind, value in seconds.items())
    rows = [
        Row("teacher_r", pearson, "r", "the noise ceiling", pearson / found["ceiling"]),
        Row("teacher_epoch", total, "s", "an epoch's model alone", total / seconds["model"]),
    ]
    note = f"teacher: ceiling {found['ceiling']:.3f}, ridge {ridge:.3f}; {total:.1f} s an epoch of 80,000 ({shares})"
    return rows, [note]


def annotation_baselines(cache: Cache) -> tuple[float, float]:
    """Test AUROC of the number of annotations, and of logistic regression on term membership, of the same split."""
    hierarchy, samples = cache.hierarchy, cache.columns()
    ptr, terms = hierarchy.closure
    gene = samples.genes.astype(np.int64)  # one a sample
    contains = csr_matrix((np.ones(len(terms), np.float32), terms, ptr))[gene].toarray()
    split = make_split(samples, SplitChoice("random"), hierarchy.gene_names)
    y = torch.from_numpy(samples.value)
    counts = torch.from_numpy(np.diff(hierarchy.gene_ptr)[gene]).double()
    annotated = float(binary_auroc(-counts[split.test], y[split.test].long()))
    x, best = torch.from_numpy(contains).double(), (0.0, 0.0)
    for strength in STRENGTHS:
        weights = logistic(x[split.train], y[split.train], strength)
        scores = [float(binary_auroc(x[p] @ weights, y[p].long())) for p in (split.validation, split.test)]
        best = max(best, (scores[0], scores[1]))
    return annotated, best[1]


def logistic(x: torch.Tensor, y: torch.Tensor, strength: float) -> torch.Tensor:
    """Ridge-penalised logistic regression; every gene is in GO:ROOT, which is the intercept."""
    weights = torch.zeros(x.shape[1], dtype=x.dtype, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        entropy = torch.nn.functional.binary_cross_entropy_with_logits(x @ weights, y)
        value = entropy + strength * weights.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    return weights.detach()


def essential(root: Path) -> tuple[list[Row], list[str]]:
    """Per-gene weights, and one direction a term for all its genes."""
    path = Path(gocell("build-cache", "--root", root)["cache"])
    annotated, membership = annotation_baselines(Cache(path))
    rows, notes = [], [f"essential: annotation count {annotated:.3f}, logistic on membership {membership:.3f}"]
    for kind in ("own", "shared"):
        found = train(path, root / kind, *OTHERS, "--set", f"gene_weights={kind}")
        auroc = found["metrics"]["auroc"]
        rows.append(Row(f"essential_{kind}", auroc, "AUROC", "logistic on membership", auroc / membership))
        notes.append(f"essential_{kind}: {against(found, 'auroc')}")
    return rows, notes


def kuzmin(root: Path) -> tuple[list[Row], list[str]]:
    """Three splits of the real slice; a split that cannot be made is reported with its reason."""
    table = real_data() / SLICE
    if not table.is_file():
        return [], [f"kuzmin: {table} is not here"]
    words = ("--dataset", "kuzmin2018", "--raw", table, "--phenotype", "fitness", "--order", "digenic")
    cache = gocell("build-cache", *words, "--root", root)["cache"]
    rows, notes = [], []
    for split in SPLITS:
        try:
            found = train(cache, root / split, *OTHERS, "--split", split)
        except subprocess.CalledProcessError:
            notes.append(f"kuzmin_{split}: refused, see above")
            continue
        record, pearson = found["record"]["split"], found["metrics"]["pearson"]
        ridge = found["baselines"]["additive"]["pearson"] or float("nan")
        rows.append(Row(f"kuzmin_{split}", pearson or 0.0, "r", "additive ridge", (pearson or 0.0) / ridge))
        notes.append(f"kuzmin_{split}: {against(found, 'pearson')}; {record}")
    return rows, notes


def run() -> None:
    """Train, and report."""
    rows, notes = [], []
    with tempfile.TemporaryDirectory() as folder:
        for part in (essential, kuzmin, teacher):
            more, said = part(Path(folder) / part.__name__)
            rows += more
            notes += said
    report("Training runs", rows, notes)

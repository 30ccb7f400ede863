"""What the benchmark asks of a model: data sets, splits, and how long a network may train on each.

Nothing here is tuned to a test part: RECIPE is one for all, and epochs are what fits the time.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.real_data import real_data

RECIPE = ("--recipe", "default")
"""`gocell train`'s own."""
QUICK_BASELINES = (
    "mean,query_mean,additive,roles,multiplicative,profile_neighbours,go_neighbours,low_rank,baseline_blend"
)
"""Those that take seconds."""
QUICK_SAMPLES = 4_000
"""Training samples of a task in the quick form."""
FULL_KUZMIN = "GOCELL_KUZMIN2018"
"""The variable that names the whole Data S1 of Kuzmin et al. 2018, for whoever has it."""


@dataclass(frozen=True)
class Data:
    """A cache of the benchmark: `build-cache`'s words, or None where its file is not at hand, and what it is."""

    name: str
    title: str
    words: Callable[[], tuple[str, ...] | None]
    missing: str = ""


@dataclass(frozen=True)
class Task:
    """A data set and a split. quick: whether the quick form has it."""

    name: str
    data: Data
    split: str
    question: str
    epochs: int
    metric: str = "pearson"
    controls: tuple[str, ...] = ("genes", "edges", "dag")
    quick: bool = True


def _file(path: str, *words: str) -> Callable[[], tuple[str, ...] | None]:
    def found() -> tuple[str, ...] | None:
        raw = real_data() / path
        return (*words, "--raw", str(raw)) if raw.is_file() else None

    return found


def _full_kuzmin() -> tuple[str, ...] | None:
    given = os.environ.get(FULL_KUZMIN, "")
    found = ("--dataset", "kuzmin2018", "--raw", given, "--phenotype", "tau", "--order", "trigenic")
    return found if given and Path(given).exists() else None


COLLINS = Data(
    "collins2007",
    "Collins et al. 2007, pairs of deletions, S-score",
    _file(
        "collins2007/collins2007_emap.csv.gz",
        *("--dataset", "table", "--phenotype-column", "s_score", "--query-column", "gene_1"),
        *("--allele-column", "mutation_1,mutation_2", "--alleles", "deletion-only"),
    ),
    "collins2007/collins2007_emap.csv.gz of the test data is not here",
)
SLICE = Data(
    "kuzmin2018-slice",
    "Kuzmin et al. 2018, the free slice of Data S1, digenic fitness",
    _file(
        "kuzmin2018/aao1729_data_s1.slice.tsv",
        *("--dataset", "kuzmin2018", "--phenotype", "fitness", "--order", "digenic"),
    ),
    "kuzmin2018/aao1729_data_s1.slice.tsv of the test data is not here",
)
RESCORED = Data(
    "kuzmin2018-rescored",
    "Kuzmin et al. 2018, 10,432 crosses of 9 queries scored again by its authors' code, fitness",
    _file("kuzmin2018/rescored_small.tsv.gz", *("--dataset", "kuzmin2018", "--phenotype", "fitness")),
    "kuzmin2018/rescored_small.tsv.gz of the test data is not here",
)
ESSENTIALITY = Data("essentiality", "essential genes of yeast, bundled", lambda: ("--dataset", "essentiality"))
SIMULATED = Data(
    "simulated",
    "20,000 simulated triple deletions of 200 genes by a DCell of known weights",
    lambda: ("--dataset", "simulated", "--samples", "20000", "--panel", "200"),
)
TAU = Data(
    "kuzmin2018-tau",
    "Kuzmin et al. 2018, the whole of Data S1, trigenic tau",
    _full_kuzmin,
    f"{FULL_KUZMIN}=aao1729_data_s1.tsv names the table, for whoever has it",
)

TASKS = (
    Task("essentiality", ESSENTIALITY, "random", "every strain deletes another gene: all are unseen", 100, "auroc"),
    Task("kuzmin-random", SLICE, "random", "pairs of genes that were both seen", 40, controls=("genes",)),
    Task("kuzmin-query", SLICE, "query", "queries that no training sample has", 40, controls=("genes",)),
    # the slice's own strains again; by its few queries settings are chosen in rounds, 40 % of the quick form's time
    Task(
        "rescored-random", RESCORED, "random", "crosses of queries that were seen", 40, controls=("genes",), quick=False
    ),
    Task(
        "rescored-query", RESCORED, "query", "queries that no training sample has", 40, controls=("genes",), quick=False
    ),
    Task("simulated", SIMULATED, "random", "what can be learnt where DCell is the truth", 30),
    Task("collins-random", COLLINS, "random", "pairs of genes that were both seen", 15, controls=("genes",)),
    # both train on the same samples, a fifth fewer than of random pairs; of genes never seen more epochs teach nothing
    Task("collins-gene", COLLINS, "gene", "pairs of two genes never seen", 8, controls=("genes",)),
    Task("collins-any-gene", COLLINS, "any-gene", "pairs with one gene never seen, or two", 10, controls=("genes",)),
    # torchcell's rule: 80, 10 and 10 percent of the triples at random; the other is the one that means something
    Task("tau-random", TAU, "random", "triples whose query pair was seen", 15, controls=("genes",)),
    Task("tau-query", TAU, "query", "query pairs that no training sample has", 15, controls=("genes",)),
)

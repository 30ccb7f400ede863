"""Made-up screens for the baselines' tests: pairs of a few genes, a small hierarchy, parts of a split."""

import numpy as np

from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.baselines.fitting import FITS
from gocell_cli.training.baselines.samples import Fitted, Genotypes, Known, Labelled, unknown_fitness
from tests.hierarchies import make_network

GENES = 40


def hierarchy(genes: int = GENES, group: int = 4) -> Hierarchy:
    """A root, and a term for every `group` genes that follow one another."""
    terms = genes // group
    return make_network(
        [(term, 0) for term in range(1, terms + 1)],
        [(1 + gene // group, gene) for gene in range(genes)],
        terms=terms + 1,
        genes=genes,
    )


def genotypes(rows: "list[tuple[int, ...]] | np.ndarray", genes: int = GENES, *, arrays: bool = False) -> Genotypes:
    """Samples that delete these genes; with `arrays` the last gene of each is the array's."""
    rows = [tuple(sorted(map(int, row))) for row in rows]
    ptr = np.cumsum([0, *map(len, rows)])
    array = np.full(int(ptr[-1]), np.nan)
    if arrays:
        array = np.concatenate([[0.0] * (len(row) - 1) + [1.0] for row in rows])
    flat = np.array([gene for row in rows for gene in row], dtype=np.int32)
    query = np.full(len(rows), -1, dtype=np.int32)
    return Genotypes(ptr.astype(np.int64), flat, genes, query, array, unknown_fitness(len(rows)))


def all_pairs(genes: int = GENES) -> np.ndarray:
    return np.stack(np.triu_indices(genes, 1), axis=1)


def known(found: Genotypes, value: np.ndarray, parts: np.ndarray, **more: object) -> tuple[Known, Labelled]:
    """What a baseline sees where samples are of part 0 or 1, and those of part 2."""
    train, validation, test = (Labelled(found.take(parts == i), value[parts == i]) for i in range(3))
    return Known(train, validation, hierarchy(found.total_genes), **more), test  # type: ignore[arg-type]


def fit(name: str, seen: Known) -> Fitted:
    """Fit one baseline, and those it reads."""
    return FITS[name](seen, lambda other: fit(other, seen))


def correlation(fitted: Fitted, test: Labelled) -> float:
    return float(np.corrcoef(fitted.predict(test.genotypes), test.value)[0, 1])

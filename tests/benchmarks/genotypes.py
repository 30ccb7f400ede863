"""Batches of triple deletions, [samples, 3] gene indices: of all genes, at random of Kuzmin's, and in his structure."""

import re
from collections.abc import Callable

import numpy as np

from gocell_cli.storage.schema import Hierarchy
from tests.benchmarks.real_data import real_data

SLICE = "kuzmin2018/aao1729_data_s1.slice.tsv"
QUERIES, GENES = 182, 1400
SYSTEMATIC = re.compile(r"Y[A-P][LR]\d{3}[WC](?:-[A-Z])?")

Draw = Callable[[np.random.Generator, int], np.ndarray]


def kuzmin_genes(hierarchy: Hierarchy) -> np.ndarray:
    """The annotated genes of the real slice; where it is not at hand, 1,400 annotated genes of a fixed seed."""
    annotated = np.unique(hierarchy.row_gene).astype(np.int64)
    table = real_data() / SLICE
    if not table.is_file():
        return np.random.default_rng(2018).choice(annotated, GENES, replace=False)
    names = set(SYSTEMATIC.findall(table.read_text("utf-8")))
    return np.array([g for g in annotated.tolist() if hierarchy.gene_names[g] in names])


def of_all(hierarchy: Hierarchy) -> Draw:
    """Triples of all annotated genes."""
    genes = np.unique(hierarchy.row_gene).astype(np.int64)
    return lambda rng, samples: rng.choice(genes, (samples, 3))


def at_random(hierarchy: Hierarchy) -> Draw:
    """Distinct triples of distinct genes of Kuzmin's."""
    genes = kuzmin_genes(hierarchy)

    def draw(rng: np.random.Generator, samples: int) -> np.ndarray:
        drawn = np.sort(rng.integers(0, len(genes), (samples * 2, 3)), axis=1)
        distinct = np.unique(drawn[(np.diff(drawn, axis=1) > 0).all(1)], axis=0)
        return genes[rng.permutation(distinct)[:samples]]

    return draw


def in_structure(hierarchy: Hierarchy) -> Draw:
    """Distinct crosses of 182 query pairs with all other genes of Kuzmin's; all of them where more are asked for."""
    genes = kuzmin_genes(hierarchy)
    queries = np.random.default_rng(7).choice(len(genes), (QUERIES, 2), replace=False)
    arrays = np.setdiff1d(np.arange(len(genes)), queries)

    def draw(rng: np.random.Generator, samples: int) -> np.ndarray:
        crosses = QUERIES * len(arrays)
        query, array = np.divmod(rng.choice(crosses, min(samples, crosses), replace=False), len(arrays))
        return genes[np.column_stack([queries[query], arrays[array]])]

    return draw


DRAWS: dict[str, Callable[[Hierarchy], Draw]] = {"all": of_all, "random": at_random, "kuzmin": in_structure}

"""Which samples train, which validate and which test: a pure function of the samples, the kind and the seed.

random  every sample for itself
query   all samples of a query group (see the cache's provenance) in one part: no query strain is in two
gene    genes are divided first; a sample whose genes lie in different parts is dropped, and counted
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from gocell_cli.errors import UsageError
from gocell_cli.storage.schema import NONE_INDEX, Samples
from gocell_cli.training.data.split_kinds import PARTS, SPLITS


@dataclass(frozen=True)
class Split:
    """Rows of each part, ascending, and what a reader of the results must know of them."""

    kind: str
    seed: int
    train: Int64[np.ndarray, " train"]
    validation: Int64[np.ndarray, " validation"]
    test: Int64[np.ndarray, " test"]
    dropped: int
    test_groups_in_train: float | None
    test_with_new_gene: int

    def rows(self, part: str) -> Int64[np.ndarray, " rows"]:
        """The rows of `train`, `validation` or `test`."""
        found: np.ndarray = getattr(self, part)
        return found

    def report(self) -> dict[str, Any]:
        """Counts for the run's record.

        test_groups_in_train: share of test samples whose query group is in train (None: no groups).
        test_with_new_gene: test samples that delete a gene never deleted in training; DCell knows nothing of it.
        """
        sizes = {part: len(self.rows(part)) for part in PARTS}
        return {
            "kind": self.kind,
            "seed": self.seed,
            **sizes,
            "dropped": self.dropped,
            "test_groups_in_train": self.test_groups_in_train,
            "test_with_new_gene": self.test_with_new_gene,
        }


def make_split(samples: Samples, kind: str, fractions: tuple[float, float, float], seed: int, genes: int) -> Split:
    """Divide samples; `genes` is the hierarchy's number of genes.

    Raises UsageError where fractions do not add up to 1, the samples have no query groups, or a part is empty.
    """
    if kind not in SPLITS:
        raise UsageError(f"no split {kind!r}", hint=f"--split {'|'.join(SPLITS)}")
    # 0.7 + 0.2 + 0.1 is 0.9999999999999999 in floating point
    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
        raise UsageError(f"the parts {fractions} do not add up to 1", hint="--set fractions=[0.8,0.1,0.1]")
    rng = np.random.default_rng(seed)
    part = {"random": _random, "query": _by_query, "gene": _by_gene}[kind](samples, fractions, rng, genes)
    rows = [np.flatnonzero(part == i).astype(np.int64) for i in range(3)]
    if not all(map(len, rows)):
        sizes = ", ".join(f"{name} {len(r):,}" for name, r in zip(PARTS, rows, strict=True))
        raise UsageError(f"a {kind} split of {len(samples):,} samples leaves a part empty: {sizes}", hint=_hint(kind))
    shared, new = _overlap(samples, rows[0], rows[2], genes)
    return Split(kind, seed, rows[0], rows[1], rows[2], int((part < 0).sum()), shared, new)


def _hint(kind: str) -> str:
    if kind == "query":
        return "reciprocal crosses join query groups into one; --split random, or build with --order trigenic"
    return "--split random" if kind == "gene" else "more samples, or --set fractions=[0.6,0.2,0.2]"


def _random(
    samples: Samples, fractions: tuple[float, float, float], rng: np.random.Generator, genes: int
) -> Int64[np.ndarray, " samples"]:
    del genes
    return _cut(rng.permutation(len(samples)), fractions)


def _cut(order: Int64[np.ndarray, " n"], fractions: tuple[float, float, float]) -> Int64[np.ndarray, " n"]:
    """Give each of n things its part: the first fraction of `order` to train, and so on."""
    # the two bounds between the parts: the third part takes what rounding leaves
    ends = np.round(np.cumsum(fractions)[:2] * len(order)).astype(np.int64)
    part = np.empty(len(order), dtype=np.int64)
    part[order] = np.searchsorted(ends, np.arange(len(order)), side="right")
    return part


def _by_query(
    samples: Samples, fractions: tuple[float, float, float], rng: np.random.Generator, genes: int
) -> Int64[np.ndarray, " samples"]:
    """Largest groups first, each to the part that lacks most of what it should hold."""
    del genes
    if (samples.query_group == NONE_INDEX).any():
        raise UsageError("samples without a query group can't be split by it", hint="--split random, or --split gene")
    sizes = np.bincount(samples.query_group)
    order = rng.permutation(len(sizes))
    # stable: groups of one size stay in the seed's order
    order = order[np.argsort(-sizes[order], kind="stable")]
    lacking = np.array(fractions) * len(samples)
    part_of = np.zeros(len(sizes), dtype=np.int64)
    for group in order.tolist():
        part_of[group] = int(lacking.argmax())
        lacking[part_of[group]] -= sizes[group]
    found: np.ndarray = part_of[samples.query_group]
    return found


def _by_gene(
    samples: Samples, fractions: tuple[float, float, float], rng: np.random.Generator, genes: int
) -> Int64[np.ndarray, " samples"]:
    used = np.unique(samples.genes)
    # -1: no sample deletes the gene, so it is in no part and takes no share from those that count
    part_of = np.full(genes, -1, dtype=np.int64)
    part_of[used] = _cut(rng.permutation(len(used)), fractions)
    counts = np.diff(samples.gene_ptr)
    owner = np.repeat(np.arange(len(samples)), counts)
    # beyond all parts (0 to 2) on either side; equal afterwards only if all its genes are of one part
    low, high = np.full(len(samples), 3), np.full(len(samples), -1)
    np.minimum.at(low, owner, part_of[samples.genes])
    np.maximum.at(high, owner, part_of[samples.genes])
    return np.where((low == high) & (counts > 0), high, -1).astype(np.int64)


def _overlap(
    samples: Samples, train: Int64[np.ndarray, " a"], test: Int64[np.ndarray, " b"], genes: int
) -> tuple[float | None, int]:
    known = np.zeros(genes, dtype=bool)
    known[samples.genes[_within(samples, train)]] = True
    new = ~known[samples.genes]
    # reduceat gives an empty range the next one's first, hence the product; the False is there for a last one
    counts = np.add.reduceat(np.append(new, False), samples.gene_ptr[:-1]) * (np.diff(samples.gene_ptr) > 0)
    groups = samples.query_group
    shared = None
    if not (groups == NONE_INDEX).all():
        shared = float(np.isin(groups[test], groups[train][groups[train] != NONE_INDEX]).mean())
    return shared, int((counts[test] > 0).sum())


def _within(samples: Samples, rows: Int64[np.ndarray, " rows"]) -> Bool[np.ndarray, " deletions"]:
    """Which deletions belong to these samples."""
    chosen = np.zeros(len(samples), dtype=bool)
    chosen[rows] = True
    return np.repeat(chosen, np.diff(samples.gene_ptr))

"""What a split's test part has in common with training: whoever reads its results must know."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from gocell_cli.storage.schema import NONE_INDEX, Samples
from gocell_cli.training.data.splits.genotypes import are_distinct, genotype_codes
from gocell_cli.training.data.splits.kinds import FILE, PARTS
from gocell_cli.training.data.splits.split import DROPPED, TEST, TRAIN, UNUSED, Split, fingerprint

MOST_PAIRED = 8
"""Deletions of a sample whose pairs are looked at; cell lines have hundreds, and share some pair with everyone."""
MOST_TABLE = 1 << 28
"""Pairs of genes that are marked in a table of a byte each, which is faster than to look them up in a sorted list."""


@dataclass(frozen=True)
class Overlap:
    """Test samples, by what they have in common with the samples that train.

    new_gene: delete a gene never deleted in training; DCell knows nothing of it. group: have their query group there
    (None: no sample has one). pair: delete a pair of genes that one there deletes, perhaps among others; of those with
    2 to 8 deletions (None: none has three or more, and a pair is a genotype). genotype: are there.
    """

    new_gene: int
    group: int | None
    pair: int | None
    genotype: int


def overlap(samples: Samples, split: Split, genes: int) -> Overlap:
    """Count what the test part has in common with training; `genes` is the hierarchy's number of genes."""
    train, test = split.part == TRAIN, split.part == TEST
    return Overlap(
        new_gene=_new_gene(samples, train, test, genes),
        group=_shared_groups(samples, train, test),
        pair=_shared_pairs(samples, train, test),
        genotype=_shared_genotypes(samples, train, test),
    )


def _new_gene(
    samples: Samples, train: Bool[np.ndarray, " samples"], test: Bool[np.ndarray, " samples"], genes: int
) -> int:
    known = np.zeros(genes, dtype=bool)
    known[samples.genes[np.repeat(train, np.diff(samples.gene_ptr))]] = True
    return int(((unseen_genes(samples, known) > 0) & test).sum())


def unseen_genes(samples: Samples, known: Bool[np.ndarray, " genes"]) -> Int64[np.ndarray, " samples"]:
    """Return how many of each sample's genes are not among the known ones."""
    before = np.concatenate([[0], np.cumsum(~known[samples.genes])])
    found: np.ndarray = before[samples.gene_ptr[1:]] - before[samples.gene_ptr[:-1]]
    return found


def _shared_groups(
    samples: Samples, train: Bool[np.ndarray, " samples"], test: Bool[np.ndarray, " samples"]
) -> int | None:
    group = samples.query_group
    if (group == NONE_INDEX).all():
        return None
    # one entry more, which NONE_INDEX, -1, leads to
    known = np.zeros(int(group.max()) + 2, dtype=bool)
    known[group[train]] = True
    known[NONE_INDEX] = False
    return int(known[group[test]].sum())


def _shared_genotypes(samples: Samples, train: Bool[np.ndarray, " samples"], test: Bool[np.ndarray, " samples"]) -> int:
    codes = genotype_codes(samples.gene_ptr, samples.genes)
    return 0 if are_distinct(codes) else int(np.isin(codes[test], codes[train]).sum())


def _shared_pairs(
    samples: Samples, train: Bool[np.ndarray, " samples"], test: Bool[np.ndarray, " samples"]
) -> int | None:
    counts = np.diff(samples.gene_ptr)
    if not (counts[test] > 2).any():
        return None
    used = np.unique(samples.genes)
    number = np.searchsorted(used, samples.genes).astype(np.int64)
    known = _known_pairs(samples.gene_ptr, number, train, len(used))
    shared = np.zeros(len(samples), dtype=bool)
    for rows, pairs in _pairs(samples.gene_ptr, number, test, len(used)):
        shared[rows] |= known[pairs] if known.dtype == bool else np.isin(pairs, known)
    return int(shared.sum())


def _known_pairs(
    ptr: Int64[np.ndarray, " samples_plus_1"],
    number: Int64[np.ndarray, " deletions"],
    train: Bool[np.ndarray, " samples"],
    used: int,
) -> np.ndarray:
    """The pairs of training, as a table of all pairs, or, of very many genes, as a list."""
    pairs = _pairs(ptr, number, train, used)
    if used * used > MOST_TABLE:
        return np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *(np.unique(p) for _, p in pairs)]))
    table = np.zeros(used * used, dtype=bool)
    for _, found in pairs:
        table[found] = True
    return table


def _pairs(
    ptr: Int64[np.ndarray, " samples_plus_1"],
    number: Int64[np.ndarray, " deletions"],
    chosen: Bool[np.ndarray, " samples"],
    used: int,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (rows, pairs): for each two places of a genotype, that pair of genes of all chosen samples that have it."""
    counts = np.where(chosen, np.diff(ptr), 0)
    for count in range(2, MOST_PAIRED + 1):
        rows = np.flatnonzero(counts == count)
        for second in range(1, count if len(rows) else 0):
            for first in range(second):
                yield rows, number[ptr[rows] + first] * used + number[ptr[rows] + second]


def split_report(samples: Samples, split: Split, names: Sequence[str]) -> dict[str, Any]:
    """Return what a run records of its split: `SplitRecord` says what each entry means."""
    choice, found = split.choice, overlap(samples, split, len(names))
    tested = len(split.test)
    return {
        "kind": choice.kind,
        "seed": choice.seed,
        **{part: len(split.rows(part)) for part in PARTS},
        "dropped": int((split.part == DROPPED).sum()),
        "test_groups_in_train": found.group / tested if found.group is not None else None,
        "test_with_new_gene": found.new_gene,
        "rule": choice.rule,
        "test_with_known_group": found.group,
        "test_with_known_pair": found.pair,
        "test_with_known_genotype": found.genotype,
        "groups": _groups(samples, split) if choice.kind == "query" else None,
        "fractions": choice.fractions if choice.kind != FILE else None,
        "folds": choice.folds or None,
        "fold": choice.fold if choice.folds else None,
        "subset": choice.subset or None,
        "unused": int((split.part == UNUSED).sum()),
        "fingerprint": fingerprint(split, samples, names),
        "file": asdict(split.match) if split.match is not None else None,
    }


def _groups(samples: Samples, split: Split) -> dict[str, int]:
    """How many query groups each part has."""
    return {part: len(np.unique(samples.query_group[split.rows(part)])) for part in PARTS}

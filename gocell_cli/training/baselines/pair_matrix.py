"""The screen as a symmetric matrix: what is left of a pair's phenotype when the additive baseline has been taken off.

Its rows and columns are units. A double deletion is a pair of genes; a triple one, where the screen says which gene
was the array's, a pair of the query (its two genes are a unit of their own) and the array's gene. Other samples are no
pair: the baselines that read this matrix predict of them what the additive one does.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from gocell_cli.training.baselines.samples import (
    Fitted,
    Genotypes,
    Known,
    Labelled,
    NotApplicable,
    Others,
    best_of,
    predicted,
    require_room,
)

NO_UNIT = -1
LEAST_PAIRS = 10
MATRICES = 8
"""Of units x units numbers that fitting holds at once."""


@dataclass(frozen=True)
class PairMatrix:
    """Mean residuals of training pairs [units, units], 0 where none was measured; `seen` is 1 where one was.

    `base` is the additive baseline, with roles where they err less; `queries` numbers the units that are no gene.
    """

    base: Fitted
    residual: Float64[np.ndarray, "units units"]
    seen: Float64[np.ndarray, "units units"]
    unit_of_gene: Int64[np.ndarray, " genes"]
    queries: dict[tuple[int, ...], int]

    def units(
        self, genotypes: Genotypes
    ) -> tuple[Bool[np.ndarray, " n"], Int64[np.ndarray, " paired"], Int64[np.ndarray, " paired"]]:
        """Return which samples are pairs of units that training knows, and both units of each of these."""
        a, b = sample_units(genotypes, self.unit_of_gene, self.queries)
        paired = (a != NO_UNIT) & (b != NO_UNIT)
        return paired, a[paired], b[paired]


def pair_matrix(known: Known, others: Others) -> PairMatrix:
    """Return the training pairs' matrix, made once; raises NotApplicable where they are too few or it is too large."""
    found: PairMatrix = known.once("pair matrix", lambda: _make(known, others))
    return found


def base_of(known: Known, others: Others) -> Fitted:
    """The additive baseline, or that by roles where it errs less on the validation samples."""
    tries = [others("additive")]
    if known.roles:
        tries.append(others("roles"))
    return best_of(tries, known.validation)


def _make(known: Known, others: Others) -> PairMatrix:
    return residuals_of(known.train, base_of(known, others))


def residuals_of(known: Labelled, base: Fitted) -> PairMatrix:
    """Return the matrix of some samples' pairs less what `base` predicts; raises NotApplicable as `pair_matrix`."""
    train = known.genotypes
    unit_of_gene = np.arange(train.total_genes)
    queries: dict[tuple[int, ...], int] = {}
    a, b = sample_units(train, unit_of_gene, queries, new=True)
    paired = (a != NO_UNIT) & (b != NO_UNIT)
    if paired.sum() < LEAST_PAIRS:
        raise NotApplicable(f"{int(paired.sum())} training samples are pairs of genes, or of a known query and a gene")
    used, both = np.unique(np.concatenate([a[paired], b[paired]]), return_inverse=True)
    require_room(8.0 * MATRICES * len(used) ** 2, f"matrices of {len(used):,} x {len(used):,} pairs")
    row, column = np.split(both, 2)
    left = (known.value - predicted(base, train))[paired]
    residual, seen = (_symmetric(row, column, weights, len(used)) for weights in (left, np.ones(len(left))))
    np.divide(residual, seen, out=residual, where=seen > 0)
    place = {int(unit): index for index, unit in enumerate(used.tolist())}
    places = np.full(train.total_genes, NO_UNIT)
    genes = used[used < train.total_genes]
    places[genes] = np.arange(len(genes))
    numbered = {genes: place[unit] for genes, unit in queries.items() if unit in place}
    return PairMatrix(base, residual, np.minimum(seen, 1.0), places, numbered)


def _symmetric(
    row: Int64[np.ndarray, " n"], column: Int64[np.ndarray, " n"], weights: Float64[np.ndarray, " n"], units: int
) -> Float64[np.ndarray, "units units"]:
    flat = np.bincount(row * units + column, weights=weights, minlength=units * units).reshape(units, units)
    found: np.ndarray = flat + flat.T
    return found


def sample_units(
    genotypes: Genotypes,
    unit_of_gene: Int64[np.ndarray, " genes"],
    queries: dict[tuple[int, ...], int],
    *,
    new: bool = False,
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """Both units of each sample, NO_UNIT where it has none; with `new` queries not met before get a number."""
    a, b = np.full(len(genotypes), NO_UNIT), np.full(len(genotypes), NO_UNIT)
    start, order = genotypes.gene_ptr[:-1], genotypes.order
    double = order == 2
    a[double], b[double] = (unit_of_gene[genotypes.genes[start[double] + i]] for i in (0, 1))
    for sample in np.flatnonzero(order > 2).tolist():
        where = slice(*genotypes.gene_ptr[sample : sample + 2].tolist())
        genes, is_array = genotypes.genes[where], genotypes.array[where] == 1.0
        if is_array.sum() != 1:
            continue
        query = tuple(genes[~is_array].tolist())
        if new:
            queries.setdefault(query, genotypes.total_genes + len(queries))
        a[sample], b[sample] = queries.get(query, NO_UNIT), unit_of_gene[genes[is_array][0]]
    return a, b

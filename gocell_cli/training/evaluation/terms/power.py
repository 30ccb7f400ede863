"""How much a term's activations, or its children's, know of the phenotype of samples that nothing was fitted on.

Power (Ma et al. 2018, doi:10.1038/nmeth.4627; DrugCell, Kuenzi et al. 2020, doi:10.1016/j.ccell.2020.09.014): the
phenotype is regressed (ridge) on the activations; power is the Spearman correlation of the predictions with the
phenotype. The regression is fitted on some samples and judged on others that neither it nor the network learnt from:
then predictions and phenotypes are independent where a term knows nothing, and P-values mean what they say (samples
that share genes count for less, `shared_genes.py`). (Fitted on
either half and judged on the other, as it was done here before, both halves' correlations are of one sign: their
mean's P-values came out too small, and a term that no sample touches got the difference of the halves' means.)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from gocell_cli.training.evaluation.terms.shared_genes import SharedGenes
from gocell_cli.training.evaluation.terms.variants import TermVariants
from gocell_cli.training.extra import train_extra

with train_extra():
    from scipy.linalg import solve
    from scipy.sparse import csr_matrix
    from scipy.stats import rankdata
    from scipy.stats import t as student

RIDGE = 1.0
"""Weight of the squared coefficients, on activations standardised over the fitted samples."""
STILL = 1e-6
"""Standard deviation up to which a neuron is taken as constant: what its float32 holds of a change is rounding."""
DIGITS = 6
"""Of predictions in units of their spread."""
LEAST_SAMPLES = 4
"""That judge a correlation: fewer have no P-value of the children's power."""


@dataclass(frozen=True)
class Judged:
    """Samples, of which the first `fitted` fit the regressions and the others judge them; activations of all.

    `h` are the activations, `neurons[t]` the rows of term t's in it, `values` the phenotypes; `deleted` are the genes
    that each sample lacks, 1 in [samples, genes].
    """

    h: Float[np.ndarray, "neurons samples"]
    neurons: Sequence[slice]
    values: Float64[np.ndarray, " samples"]
    variants: TermVariants
    deleted: csr_matrix
    fitted: int

    @property
    def judged(self) -> Float64[np.ndarray, " judged"]:
        """The phenotypes that predictions are held against."""
        return self.values[self.fitted :]

    def predictions(self, term: int, inputs: Sequence[int]) -> Float64[np.ndarray, " judged"] | None:
        """Return the predictions from the activations of the terms `inputs`, all within `term`; None if they are still.

        One row of the regression is a distinct variant of `term`, weighted by its samples.
        """
        rows = VariantRows.of(self.variants.of_term(term), self.fitted)
        x = np.concatenate([self.h[self.neurons[one]][:, rows.first] for one in inputs]).T
        found = rows.predictions(x, self.values[: self.fitted, None])
        return None if found is None else found[:, 0]


@dataclass(frozen=True)
class VariantRows:
    """A row a distinct variant of a term: the sample `first` that has it; `of_sample` is each sample's row.

    The first `fitted` samples fit regressions, the others are predicted.
    """

    first: Int64[np.ndarray, " variants"]
    of_sample: Int64[np.ndarray, " samples"]
    fitted: int

    @classmethod
    def of(cls, variant: Int64[np.ndarray, " samples"], fitted: int) -> "VariantRows":
        """Find the rows of samples of these variants."""
        _, first, rows = np.unique(variant, return_index=True, return_inverse=True)
        return cls(first, rows, fitted)

    def predictions(
        self, x: Float[np.ndarray, "variants features"], y: Float64[np.ndarray, "fitted outputs"]
    ) -> Float64[np.ndarray, "judged outputs"] | None:
        """Regress y on x, and predict the samples that are not fitted, less y's mean; None where no feature differs."""
        rows = self.of_sample[: self.fitted]
        counts = np.bincount(rows, minlength=len(x)).astype(np.float64)
        sums = np.stack([np.bincount(rows, weights=one, minlength=len(x)) for one in (y - y.mean(axis=0)).T], axis=1)
        found = ridge_by_variant(x.astype(np.float64), counts, sums)
        return None if found is None else found[self.of_sample[self.fitted :]]


def ridge_by_variant(
    x: Float64[np.ndarray, "variants features"],
    counts: Float64[np.ndarray, " variants"],
    sums: Float64[np.ndarray, "variants outputs"],
    strength: float = RIDGE,
) -> Float64[np.ndarray, "variants outputs"] | None:
    """Fit ridge on standardised features, each row standing for `counts` samples whose values sum to `sums` (mean 0).

    Returns every row's prediction, those of rows without samples as well; None where no feature differs.
    """
    mean = counts @ x / counts.sum()
    sd = np.sqrt(counts @ np.square(x - mean) / counts.sum())
    moves = sd > STILL
    if not moves.any():
        return None
    x = (x[:, moves] - mean[moves]) / sd[moves]
    used = counts > 0
    root = np.sqrt(counts[used])[:, None]
    a, b = x[used] * root, sums[used] / root
    if a.shape[1] <= a.shape[0]:
        effects = solve(a.T @ a + strength * np.eye(a.shape[1]), a.T @ b, assume_a="pos")
    else:  # the same by the push-through identity (A'A + sI)^-1 A' = A' (AA' + sI)^-1
        effects = a.T @ solve(a @ a.T + strength * np.eye(a.shape[0]), b, assume_a="pos")
    predicted: np.ndarray = x @ effects
    return predicted


@dataclass(frozen=True)
class Powers:
    """Of every term: power of its own activations and of its children's, and both predictions' correlation (Spearman).

    NaN where there is none: nothing differs among the samples, or there are no children. `samples` are as many as would
    say as much of `own` were they independent (SharedGenes), `samples_above` of the difference.
    """

    own: Float64[np.ndarray, " terms"]
    children: Float64[np.ndarray, " terms"]
    between: Float64[np.ndarray, " terms"]
    samples: Float64[np.ndarray, " terms"]
    samples_above: Float64[np.ndarray, " terms"]


def powers(judged: Judged, children: Sequence[Sequence[int]]) -> Powers:
    """Return the power of every term and of the children of each."""
    value_ranks = _ranks(judged.judged)
    shared = _shared(judged, value_ranks)
    found = np.full((5, len(judged.neurons)), np.nan)
    for term, below in enumerate(children):
        if judged.variants.ptr[term] == judged.variants.ptr[term + 1]:
            continue
        own = judged.predictions(term, [term])
        ranks = None if own is None else _ranks(own)
        under = judged.predictions(term, below) if below else None
        under_ranks = None if under is None else _ranks(under)
        found[0, term] = _correlation(ranks, value_ranks)
        found[1, term] = _correlation(under_ranks, value_ranks)
        found[2, term] = _correlation(under_ranks, ranks)
        found[3, term] = _effective(shared, ranks)
        found[4, term] = _effective(shared, None if ranks is None or under_ranks is None else ranks - under_ranks)
    return Powers(*found)


def _shared(judged: Judged, ranks: Float64[np.ndarray, " judged"] | None) -> SharedGenes:
    deleted = judged.deleted[judged.fitted :]
    return SharedGenes(deleted, 0.0, 0.0) if ranks is None else SharedGenes.of(deleted, ranks)


def _effective(shared: SharedGenes, x: Float64[np.ndarray, " n"] | None) -> float:
    """As many independent samples as say as much of the correlation with x."""
    return float("nan") if x is None else max(1 + (len(x) - 1) / shared.inflation(x), LEAST_SAMPLES)


def _ranks(values: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"] | None:
    """Ranks of mean 0 and length 1, ties at their mean; None where all are equal.

    What differs by less than DIGITS of the spread is tied: two variants that act alike would be ranked by rounding.
    """
    spread = float(values.std())
    ranks: np.ndarray = rankdata(np.round((values - values.mean()) / spread, DIGITS) if spread else values)
    ranks -= ranks.mean()
    length = float(np.sqrt(ranks @ ranks))
    return ranks / length if length else None


def _correlation(one: Float64[np.ndarray, " n"] | None, other: Float64[np.ndarray, " n"] | None) -> float:
    return float("nan") if one is None or other is None else float(one @ other)


def p_of_power(
    power: Float64[np.ndarray, " terms"], samples: Float64[np.ndarray, " terms"]
) -> Float64[np.ndarray, " terms"]:
    """P-value of a power above 0 by chance: one-sided t-test of a rank correlation, samples - 2 degrees of freedom."""
    r = np.clip(power, -1, 1)
    with np.errstate(divide="ignore"):
        found: np.ndarray = student.sf(r * np.sqrt((samples - 2) / (1 - np.square(r))), samples - 2)
    return found


def p_above(powers: Powers) -> Float64[np.ndarray, " terms"]:
    """P-value of a power above the children's by chance: Williams' t-test of two correlations with one variable.

    One-sided, samples - 3 degrees of freedom (Steiger 1980, doi:10.1037/0033-2909.87.2.245, equation 7); NaN where
    both predictions rank the samples alike.
    """
    a, b, c, samples = powers.own, powers.children, powers.between, powers.samples_above
    determinant = 1 - a**2 - b**2 - c**2 + 2 * a * b * c
    with np.errstate(divide="ignore", invalid="ignore"):
        below = 2 * (samples - 1) / (samples - 3) * determinant + np.square((a + b) / 2) * (1 - c) ** 3
        found: np.ndarray = student.sf((a - b) * np.sqrt((samples - 1) * (1 + c) / below), samples - 3)
    return np.where(c < 1 - 1e-12, found, np.nan)


def benjamini_hochberg(
    p: Float64[np.ndarray, " tests"], tested: Bool[np.ndarray, " tests"]
) -> Float64[np.ndarray, " tests"]:
    """Return q-values among those tested, NaN elsewhere.

    Benjamini and Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x.
    """
    found, places = np.full(len(p), np.nan), np.flatnonzero(tested)
    order: Int64[np.ndarray, " tested"] = places[np.argsort(p[places], kind="stable")]
    steps = p[order] * len(order) / np.arange(1, len(order) + 1)
    found[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1)
    return found

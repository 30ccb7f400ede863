"""Neighbours as one voice: a pair of genes behaves as the pairs of genes that resemble its genes.

    phenotype ~ single effects + E_ab,     E = K C K
    minimise  sum over measured pairs of (residual_ab - E_ab)^2 + strength <C, K C K>
    K = (1 - GO) max(s, 0)^p + GO t

kernel ridge regression of pairs (Ben-Hur and Noble 2005, doi:10.1093/bioinformatics/bti1016), its kernel the genes'
resemblance: s is the cosine of two genes' interaction profiles (Costanzo et al. 2010, doi:10.1126/science.1180823), t
that of their terms. A profile is what was measured at first, and then what the fit before says of every pair, which
has no gaps and less noise: `passes` of that kind. Of a gene that no training pair has neither a profile nor a measured
effect is known: it borrows both from the genes of its terms (`alike.py`). A triple deletion of a known query is a pair
of that query and a gene. Powers, strengths, passes and what is borrowed are chosen on the validation samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from gocell_cli.training.baselines.additive import role_features
from gocell_cli.training.baselines.factorisation import terms_by_size
from gocell_cli.training.baselines.membership import memberships_of
from gocell_cli.training.baselines.neighbours import profile_similarity
from gocell_cli.training.baselines.pair_matrix import NO_UNIT, PairMatrix, residuals_of, sample_units
from gocell_cli.training.baselines.samples import (
    Fitted,
    Genotypes,
    Known,
    NotApplicable,
    Others,
    Settings,
    best_of,
    predicted,
    require_room,
)
from gocell_cli.training.extra import train_extra
from gocell_cli.training.voices.alike import Lenders, Lending, lendings
from gocell_cli.training.voices.effects import (
    STRENGTHS as EFFECT_STRENGTHS,
)
from gocell_cli.training.voices.effects import (
    Effects,
    best_on_way,
    choices,
    conjugate,
    fit_strengths,
    refitted_effects,
)

with train_extra():
    from scipy.sparse import csr_matrix, vstack

GO = 0.1
"""Share of the terms in what makes two genes alike that both have a profile."""
POWERS = (2.0, 3.0)
PAIR_STRENGTHS = (3.0, 1.0, 0.3, 0.1)
"""In units of the residuals' variance."""
MOST_PASSES = 3
USUAL = {"passes": 2.0, "power_1": 2.0, "strength_1": 0.3, "power_2": 2.0, "strength_2": 0.3}
"""Where no validation sample has a label, or there are more than MOST_SEARCHED units."""
MOST_SEARCHED = 2000
LEAST_SECONDS, SAMPLES_A_SECOND = 60.0, 1600
"""What two passes may be expected to take: half of what 20 epochs of DCell do, at 16,000 samples a second."""
STEPS = 20
"""Of conjugate gradients, after which predictions stand still."""
DENSE, CHUNK = 0.1, 2048
"""Share of measured pairs among all from which products are computed for all; else how many are gathered at once."""
HELD = 10
"""Matrices of units x units that fitting holds at once."""


@dataclass(frozen=True)
class NeighbourPairs:
    """What is said of pairs of units: genes, and queries of two genes, which `queries` numbers after the genes.

    `weights` [genes and queries, units] are what each borrows from the units, `table` is E of these.
    """

    queries: dict[tuple[int, ...], int]
    weights: csr_matrix
    table: Float64[np.ndarray, "units units"]

    def predict(self, genotypes: Genotypes) -> Float64[np.ndarray, " n"]:
        """Return the pairs' part, 0 of samples that are no pair of units."""
        a, b = sample_units(genotypes, np.arange(genotypes.total_genes), self.queries)
        paired = (a != NO_UNIT) & (b != NO_UNIT)
        used, place = np.unique(np.concatenate([a[paired], b[paired]]), return_inverse=True)
        first, second = np.split(place, 2)
        own = self.weights[used]
        found = np.zeros(len(genotypes))
        found[paired] = (own @ (own @ self.table).T).T[first, second]
        return found


@dataclass(frozen=True)
class NeighbourVoice:
    """Single effects, of genes never deleted their neighbours'; and the pairs' part, None where there are no pairs."""

    effects: Effects
    pairs: NeighbourPairs | None
    settings: Settings

    def predict(self, genotypes: Genotypes) -> Float64[np.ndarray, " n"]:
        found = self.effects.predict(genotypes)
        return found if self.pairs is None else found + self.pairs.predict(genotypes)


def neighbours(known: Known, others: Others) -> Fitted:
    """Fit `neighbours`; raises NotApplicable where the hierarchy's terms tell no gene apart and there are no pairs."""
    del others
    fit = _best_effects(known)
    parts = _affordable(known, fit.effects)
    together = int((known.train.genotypes.order > 1).sum())
    if parts is None and not together and not np.any(memberships_of(known).data):
        raise NotApplicable("no term of the hierarchy tells genes apart, and there are no pairs")
    if parts is None and together:
        # said, not silent: of these only single effects are predicted
        fit = replace(fit, settings={**fit.settings, "samples_without_neighbours": float(together)})
    elif parts is not None and len(parts.matrix.seen) <= MOST_SEARCHED and len(known.validation):
        fit = _best_pairs(known, fit, parts)
    elif parts is not None:
        fit = best_of([_again(replace(fit, settings={**fit.settings, **USUAL}), known), fit], known.validation)
    return best_of([fit, *_lent(known, fit, parts)], known.validation)


def _affordable(known: Known, effects: Effects) -> "PairParts | None":
    """The training pairs, None where there are none, no room for them, or their cost is no longer small."""
    try:
        parts = PairParts.of(known, effects)
    except NotApplicable:
        return None
    cost = seconds(len(parts.matrix.seen), len(known.train))
    return parts if cost <= max(LEAST_SECONDS, len(known.train) / SAMPLES_A_SECOND) else None


def seconds(units: int, pairs: int) -> float:
    """Seconds that two passes are expected to take on one core (measured at 700 and 1,350 units)."""
    kernel = 2.5e-9 * units**3
    fit = 4e-9 * units**3 if pairs > DENSE * units**2 else 8e-8 * pairs * units
    return 2 * (kernel + fit)


def refitted(fit: Fitted, known: Known) -> Fitted:
    """Fit again, to what is known now, with the settings of `fit`; raises TypeError for another voice's."""
    if not isinstance(fit, NeighbourVoice):
        raise TypeError(f"{type(fit).__name__} is no fit of this voice")
    return _again(fit, known)


def _again(fit: NeighbourVoice, known: Known) -> NeighbourVoice:
    lending, said = _lending(fit.settings), fit.settings
    effects = refitted_effects(fit.effects, known)
    found = NeighbourVoice(borrowed(known, effects, lending), None, said)
    if not said["passes"]:
        return found
    parts, estimate = PairParts.of(known, effects), None
    for number in range(1, int(said["passes"]) + 1):
        kernel = parts.kernel(said[f"power_{number}"], estimate)
        estimate = parts.completed(kernel, said[f"strength_{number}"])
    return replace(found, pairs=parts.pairs(known, lending, estimate))


def _best_effects(known: Known) -> NeighbourVoice:
    """Single effects without terms, of genes never deleted what the usual neighbours lend."""
    best: list[NeighbourVoice] = []
    for choice in choices(known, (1.0,)):
        fits = fit_strengths(known, choice, EFFECT_STRENGTHS)
        lent = (NeighbourVoice(borrowed(known, fit, Lending()), None, _said(fit, Lending())) for fit in fits)
        best = [best_of([*best, best_on_way(lent, known.validation)], known.validation)]
    return best[0]


def _said(effects: Effects, lending: Lending) -> Settings:
    lent = {"neighbours": float(lending.neighbours), "exponent": lending.exponent, "shrink": lending.shrink}
    return {**effects.settings, **lent, "passes": 0.0}


def _lending(said: Settings) -> Lending:
    return Lending(int(said["neighbours"]), said["exponent"], said["shrink"])


def borrowed(known: Known, effects: Effects, lending: Lending) -> Effects:
    """The effects, of columns that no training sample has what those of like genes are."""
    genotypes = known.train.genotypes
    total = genotypes.total_genes
    has = np.asarray(role_features(genotypes, by_role=effects.by_role).sum(axis=0)).ravel() > 0
    effect = effects.effect.copy()
    for start in range(0, len(effect), total):
        genes = np.flatnonzero(has[start : start + total])
        if len(genes):
            effect[start : start + total] = Lenders.of(known, genes).weights(known, lending) @ effect[start + genes]
    return replace(effects, effect=effect)


@dataclass(frozen=True)
class PairParts:
    """Residuals of training pairs, in units of `deviation`, and how alike the units' terms are."""

    matrix: PairMatrix
    deviation: float
    terms: Float64[np.ndarray, "units units"]

    @classmethod
    def of(cls, known: Known, effects: Effects) -> "PairParts":
        """Raises NotApplicable where training samples are no pairs, or there is no room."""
        matrix = residuals_of(known.train, effects)
        require_room(8.0 * HELD * len(matrix.seen) ** 2, f"kernels of {len(matrix.seen):,} genes and queries")
        deviation = float(np.sqrt(np.square(matrix.residual).sum() / matrix.seen.sum())) or 1.0
        of_units = _members(matrix, known.train.genotypes.total_genes) @ terms_by_size(known)
        length = np.sqrt(np.asarray(of_units.multiply(of_units).sum(axis=1)).ravel())
        cosines = (of_units @ of_units.T).toarray() / np.maximum(np.outer(length, length), 1e-12)
        return cls(replace(matrix, residual=matrix.residual / deviation), deviation, cosines)

    def kernel(
        self, power: float, estimate: Float64[np.ndarray, "units units"] | None
    ) -> Float64[np.ndarray, "units units"]:
        """How alike units are: by measured profiles, or by those that `estimate` completes."""
        matrix = self.matrix
        if estimate is not None:
            filled = np.where(matrix.seen > 0, matrix.residual, estimate / self.deviation)
            np.fill_diagonal(filled, 0.0)
            matrix = replace(matrix, residual=filled, seen=1.0 - np.eye(len(filled)))
        similarity = profile_similarity(matrix) ** power
        np.fill_diagonal(similarity, 1.0)
        values, directions = np.linalg.eigh(similarity)
        # a power of positive cosines is no kernel: of its negative directions nothing is kept
        positive = (directions * np.maximum(values, 0.0)) @ directions.T
        found: np.ndarray = (1 - GO) * positive + GO * self.terms
        return found

    def completed(
        self, kernel: Float64[np.ndarray, "units units"], strength: float
    ) -> Float64[np.ndarray, "units units"]:
        """E of all pairs, by conjugate gradients."""
        low, high = np.nonzero(np.triu(self.matrix.seen))
        residual, units = self.matrix.residual[low, high], len(kernel)
        both = np.append(low, high), np.append(high, low)

        def whole(dual: Float64[np.ndarray, " pairs"]) -> csr_matrix:
            return csr_matrix((np.append(dual, dual), both), shape=(units, units))

        if len(low) > DENSE * units**2:

            def products(dual: Float64[np.ndarray, " pairs"]) -> Float64[np.ndarray, " pairs"]:
                found: np.ndarray = (kernel @ whole(dual).toarray() @ kernel)[low, high]
                return found

        else:

            def products(dual: Float64[np.ndarray, " pairs"]) -> Float64[np.ndarray, " pairs"]:
                half = whole(dual) @ kernel
                cut = [slice(start, start + CHUNK) for start in range(0, len(low), CHUNK)]
                return np.concatenate([np.einsum("pu,pu->p", kernel[low[at]], half.T[high[at]]) for at in cut])

        dual = conjugate(lambda c: products(c) + strength * c, residual, np.zeros_like(residual), STEPS)
        found: np.ndarray = self.deviation * (kernel @ (whole(dual) @ kernel))
        return found

    def pairs(
        self, known: Known, lending: Lending, estimate: Float64[np.ndarray, "units units"] | None
    ) -> NeighbourPairs | None:
        """What predicts, None without an estimate."""
        if estimate is None:
            return None
        unit, total = self.matrix.unit_of_gene, known.train.genotypes.total_genes
        genes = np.flatnonzero(unit >= 0)
        units = estimate.shape[0]
        place = csr_matrix((np.ones(len(genes)), (np.arange(len(genes)), unit[genes])), shape=(len(genes), units))
        of_queries = np.array(list(self.matrix.queries.values()), dtype=np.int64)
        queries = csr_matrix(
            (np.ones(len(of_queries)), (np.arange(len(of_queries)), of_queries)), shape=(len(of_queries), units)
        )
        numbers = {query: total + number for number, query in enumerate(self.matrix.queries)}
        lent = Lenders.of(known, genes).weights(known, lending) @ place
        return NeighbourPairs(numbers, vstack([lent, queries], format="csr"), estimate)


def _members(matrix: PairMatrix, genes: int) -> csr_matrix:
    """Which genes each unit is of [units, genes]."""
    rows = [(int(unit), gene) for gene, unit in enumerate(matrix.unit_of_gene.tolist()) if unit >= 0]
    rows += [(unit, gene) for query, unit in matrix.queries.items() for gene in query]
    unit, gene = np.array(rows, dtype=np.int64).T
    return csr_matrix((np.ones(len(rows)), (unit, gene)), shape=(len(matrix.seen), genes))


def _best_pairs(known: Known, fit: NeighbourVoice, parts: PairParts) -> NeighbourVoice:
    """The fit with pairs, pass after pass as long as the validation samples are better predicted."""
    estimate: Float64[np.ndarray, "units units"] | None = None
    for number in range(1, MOST_PASSES + 1):
        tried = _best_pass(known, fit, parts, estimate, number)
        if best_of([fit, tried], known.validation) is fit:
            break
        fit, estimate = tried, tried.pairs.table if tried.pairs is not None else None
    return fit


def _best_pass(
    known: Known,
    fit: NeighbourVoice,
    parts: PairParts,
    estimate: Float64[np.ndarray, "units units"] | None,
    number: int,
) -> NeighbourVoice:
    """One pass: a power with strengths as long as smaller ones are better; in the first, others with that strength.

    `estimate` is what the pass before said of all pairs.
    """
    lending, best, least = _lending(fit.settings), fit, np.inf
    for power in POWERS if number == 1 else (fit.settings["power_1"],):
        kernel = parts.kernel(power, estimate)
        for strength in PAIR_STRENGTHS if best is fit else (best.settings[f"strength_{number}"],):
            said = {f"power_{number}": power, f"strength_{number}": strength, "passes": float(number)}
            pairs = parts.pairs(known, lending, parts.completed(kernel, strength))
            tried = replace(fit, pairs=pairs, settings={**fit.settings, **said})
            error = float(np.square(predicted(tried, known.validation.genotypes) - known.validation.value).mean())
            if error >= least:
                break
            best, least = tried, error
    return best


def _lent(known: Known, fit: NeighbourVoice, parts: PairParts | None) -> Iterator[NeighbourVoice]:
    """The fit with every way to borrow, where a validation sample deletes a gene that training does not."""
    trained = np.zeros(known.train.genotypes.total_genes, dtype=bool)
    trained[known.train.genotypes.genes] = True
    if trained[known.validation.genotypes.genes].all():
        return
    for lending in lendings():
        pairs = fit.pairs
        if pairs is not None and parts is not None:
            pairs = parts.pairs(known, lending, pairs.table)
        said = {**fit.settings, **_said(fit.effects, lending), "passes": fit.settings["passes"]}
        yield replace(fit, effects=borrowed(known, fit.effects, lending), pairs=pairs, settings=said)

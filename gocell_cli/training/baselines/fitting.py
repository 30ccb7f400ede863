"""The baselines that a run asks for, each fitted once on one training part, with what it cost or why there is none."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from gocell_cli.training.baselines import (
    additive,
    blend,
    factorisation,
    go_neighbours,
    low_rank,
    mlp,
    neighbours,
    trees,
)
from gocell_cli.training.baselines.names import DEFAULT, chosen_names
from gocell_cli.training.baselines.samples import (
    Fitted,
    Genotypes,
    Known,
    NotApplicable,
    Others,
    Settings,
    predicted,
    require_few_pairs,
    require_room,
)
from gocell_cli.training.extra import train_extra

with train_extra():
    from threadpoolctl import threadpool_limits

FITS: dict[str, Callable[[Known, Others], Fitted]] = {
    "mean": additive.mean,
    "query_mean": additive.query_mean,
    "additive": additive.additive,
    "roles": additive.roles,
    "multiplicative": additive.multiplicative,
    "pair_ridge": additive.pair_ridge,
    "profile_neighbours": neighbours.profile_neighbours,
    "go_neighbours": go_neighbours.go_neighbours,
    "low_rank": low_rank.low_rank,
    "factorisation": factorisation.factorisation,
    "boosted_trees": trees.boosted_trees,
    "mlp": mlp.mlp,
    "baseline_blend": blend.blend,
}
ALWAYS = ("mean", "query_mean", "additive", "roles", "multiplicative", "pair_ridge")
"""In the default set whatever the size: what adds takes a second or two, or is a small part of any training."""
TRAINED_PER_SECOND = 16_000
"""Samples that DCell trains on in a second of one core: Collins 2007, 60 epochs of 120,000 pairs, 430 s."""
SHARE = 0.5
"""Of the seconds that training is expected to take, what the default set may."""
LEAST_SECONDS = 1.0
"""What it may take however short the training is."""


@dataclass(frozen=True)
class Budget:
    """What the default set may cost: of a training of so many epochs. `whole`: there is no bound."""

    epochs: int
    whole: bool = False

    def seconds(self, known: Known) -> float:
        """Seconds by size, never by a clock: the same samples get the same baselines on any machine."""
        expected = self.epochs * len(known.train) / TRAINED_PER_SECOND
        return float("inf") if self.whole else max(LEAST_SECONDS, SHARE * expected)


def expected_seconds(name: str, known: Known) -> float:
    """Seconds that a baseline is expected to take on one core, by the numbers of samples, genes and pairs.

    Measured on Collins 2007 (120,509 pairs of 743 genes) and the bundled essentiality data (4,710 genes).
    """
    if name in ALWAYS or name not in FITS:
        return 0.0
    train = known.train.genotypes
    genes, total = len(np.unique(train.genes)), train.total_genes
    pairs = int((train.order * (train.order - 1) // 2).sum())
    return {
        "profile_neighbours": 1.2e-6 * genes**2 + 2e-10 * genes**3,
        "go_neighbours": 3e-7 * genes * total + 3e-5 * len(train),
        "low_rank": 3e-5 * pairs + 1.6e-2 * genes,
        "factorisation": 1e-4 * pairs + 1e-3 * total,
        "boosted_trees": 3.0 + 2e-4 * len(train) + 4e-6 * genes**2,
        "mlp": 2.0 + 1.5e-4 * len(train),
        "baseline_blend": 0.0,
    }[name]


def fitting_bytes(name: str, known: Known) -> float:
    """Memory that a fit takes at its height, as far as it goes with the number of training samples."""
    train = known.train.genotypes
    return FITTED_BYTES.get(name, 0) * float((train.order * (train.order + 1) // 2).sum())


@dataclass(frozen=True)
class Fitting:
    """What became of a baseline: its cost and settings, or why there is none."""

    seconds: float
    settings: Settings = field(default_factory=dict)
    reason: str | None = None


OF_PAIRS = ("roles", "multiplicative", "pair_ridge", "profile_neighbours", "low_rank", "factorisation")
"""Baselines with a number for each pair of genes that a sample deletes, or a pass over all of them."""

FITTED_BYTES = {
    "additive": 40, "roles": 60, "multiplicative": 70, "pair_ridge": 120, "profile_neighbours": 80,
    "go_neighbours": 80, "low_rank": 80, "factorisation": 120, "boosted_trees": 700, "mlp": 800, "baseline_blend": 40,
}  # fmt: skip
"""Memory that a fit takes at its height, for each deletion and each pair of deletions of a training sample.

What goes with genes or pairs of genes squared each baseline asks for by itself; predictions are made CHUNK samples at a
time.
"""
BUFFERS = 2.0**27
"""Bytes, more than OpenBLAS maps as its own buffers at a first call: where it gets none, it tries without end."""


class Fits:
    """Baselines fitted on what is known, each once and when it is first asked for, with the seconds that it took.

    A baseline's seconds are its own: what it reads of another is counted there.
    """

    def __init__(self, known: Known) -> None:
        self.known = known
        self.seconds: dict[str, float] = {}
        self._fitted: dict[str, Fitted | NotApplicable] = {}

    def get(self, name: str, others: Others | None = None) -> Fitted:
        """Return a baseline; raises NotApplicable where there is none. `others` is what it may read: default, all."""
        if name not in self._fitted:
            before, begun = sum(self.seconds.values()), time.perf_counter()
            try:
                what = f"fitting it to {len(self.known.train):,} samples"
                if name in OF_PAIRS:
                    require_few_pairs(self.known)
                require_room(BUFFERS + fitting_bytes(name, self.known), what)
                # on one thread: sums of a product's parts would differ in their last bits with the number of threads
                with threadpool_limits(1):
                    self._fitted[name] = FITS[name](self.known, others or self.get)
            except NotApplicable as reason:
                self._fitted[name] = reason
            within = sum(self.seconds.values()) - before
            self.seconds[name] = time.perf_counter() - begun - within
        found = self._fitted[name]
        if isinstance(found, NotApplicable):
            raise found
        return found


class Baselines:
    """Those that `wanted` (default, all, none or names) asks for; `fittings` says of each what became of it.

    Raises UsageError for a name of none.
    """

    def __init__(self, fits: Fits, wanted: str, epochs: int) -> None:
        self.fits = fits
        self.fittings: dict[str, Fitting] = {}
        budget = Budget(epochs, whole=wanted != DEFAULT).seconds(fits.known)
        for name in chosen_names(wanted):
            budget -= self._take(name, budget)

    def _take(self, name: str, budget: float) -> float:
        """Fit a baseline where it is expected to cost no more than `budget`; returns the seconds expected."""
        expected = expected_seconds(name, self.fits.known)
        if expected > budget:
            reason = f"not in the default set: about {expected:,.0f} s, where training leaves {max(budget, 0):,.1f}"
            self.fittings[name] = Fitting(0.0, reason=f"{reason} (--baselines all)")
            return 0.0
        try:
            fitted = self.fits.get(name, self._taken if name == blend.BLEND else None)
        except NotApplicable as reason:
            self.fittings[name] = Fitting(self.fits.seconds[name], reason=f"not applicable: {reason}")
            return 0.0
        self.fittings[name] = Fitting(self.fits.seconds[name], fitted.settings)
        return expected

    def _taken(self, name: str) -> Fitted:
        """Return a baseline that was asked for and is there; raises NotApplicable for another."""
        if name not in self.fittings or self.fittings[name].reason is not None:
            raise NotApplicable("not asked for")
        return self.fits.get(name)

    def predict(self, genotypes: Genotypes) -> dict[str, Float64[np.ndarray, " n"]]:
        """Return the predictions of each baseline that applies; of classes, within 0 and 1."""
        found = {}
        with threadpool_limits(1):
            for name, fitting in self.fittings.items():
                if fitting.reason is None:
                    values = predicted(self.fits.get(name), genotypes)
                    found[name] = np.clip(values, 0.0, 1.0) if self.fits.known.classes else values
        return found

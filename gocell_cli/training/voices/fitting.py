"""A run's voices, fitted beside its network: each once to choose its settings, and once more to all that has a label.

On the training samples alone first: the validation samples, to which none was fitted then, choose settings and weights.
With these each is fitted again to the training and the validation samples together, which the network, whose best epoch
the validation part has chosen, is not. Where a split by query leaves few queries to validation, settings and weights of
the others are chosen in rounds over the queries of both parts (`rounds.py`), and validation weighs the network alone,
and its encoder.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float64

from gocell_cli.training.baselines.samples import (
    Fitted,
    Known,
    NotApplicable,
    Others,
    Settings,
    predicted,
    require_few_pairs,
)
from gocell_cli.training.extra import train_extra
from gocell_cli.training.voices import encoder, neighbours, wide
from gocell_cli.training.voices.names import DCELL, ENCODER, FITTED, FROM_NETWORK, NEIGHBOURS, WIDE
from gocell_cli.training.voices.rounds import Rounds, rounds_of
from gocell_cli.training.voices.voices import Said, Voices
from gocell_cli.training.voices.weighing import Weighing, units_of

with train_extra():
    from threadpoolctl import threadpool_limits

FITS: dict[str, Callable[[Known, Others], Fitted]] = {
    WIDE: wide.wide, NEIGHBOURS: neighbours.neighbours, ENCODER: encoder.encoder,
}  # fmt: skip
AGAIN: dict[str, Callable[[Fitted, Known], Fitted]] = {
    WIDE: wide.refitted, NEIGHBOURS: neighbours.refitted, ENCODER: encoder.refitted,
}  # fmt: skip


@dataclass(frozen=True)
class Voiced:
    """What became of a voice: what it predicts of the validation samples with a label, or why there is none.

    held: what it predicts of the samples that rounds held out, where there are rounds.
    """

    seconds: float
    settings: Settings = field(default_factory=dict)
    validation: Float64[np.ndarray, " n"] | None = None
    reason: str | None = None
    held: Float64[np.ndarray, " held"] | None = None


def fit_voices(
    known: Known,
    others: Others,
    names: Sequence[str],
    network: Float64[np.ndarray, " n"],
    singles: Float64[np.ndarray, " genes"],
) -> tuple[Voices, dict[str, Voiced]]:
    """Fit the voices that are asked for; `network` is what the network predicts of the validation samples with a label.

    `singles` are published fitnesses of single mutants (NaN: unknown), for genotypes that nobody measured.

    A voice that does not apply to these samples is left out, and says why.
    """
    fits: dict[str, Fitted] = {}
    found: dict[str, Voiced] = {DCELL: Voiced(0.0, validation=network)}
    tried = known.for_its_samples()
    rounds = rounds_of(tried)
    # on one thread: sums of a product's parts would differ in their last bits with the number of threads
    with threadpool_limits(1):
        for name in FITTED:
            if name in names:
                found[name] = _fit(name, tried, rounds, others, fits)
        mean = float(known.train.value.mean())
        both = replace(known, train=known.train.joined(known.validation), kept={})
        again = {name: _again(name, fit, both, found) for name, fit in fits.items()}
    said: Said = {name: one.validation for name, one in found.items() if one.validation is not None}
    held = {name: one.held for name, one in found.items() if one.held is not None}
    held_y = rounds.told if rounds is not None else np.zeros(0)
    weighing = Weighing(known.validation.value, units_of(known), mean, held, held_y)
    blends = weighing.weights(said), weighing.without(said)
    told = np.isfinite(known.train.genotypes.strain_fitness).any()
    kept = singles if told else np.full_like(singles, np.nan)
    return Voices(known.train.genotypes.total_genes, mean, again, *blends, known.classes, kept), found


def _fit(name: str, known: Known, rounds: Rounds | None, others: Others, fits: dict[str, Fitted]) -> Voiced:
    begun = time.perf_counter()
    try:
        if name not in FROM_NETWORK:
            require_few_pairs(known)
        fits[name], held = _tuned(name, known, rounds, others)
    except NotApplicable as reason:
        return Voiced(time.perf_counter() - begun, reason=f"not applicable: {reason}")
    said = predicted(fits[name], known.validation.genotypes)
    if known.classes:
        said, held = np.clip(said, 0.0, 1.0), None if held is None else np.clip(held, 0.0, 1.0)
    return Voiced(time.perf_counter() - begun, fits[name].settings, said, held=held)


def _tuned(
    name: str, known: Known, rounds: Rounds | None, others: Others
) -> tuple[Fitted, Float64[np.ndarray, " held"] | None]:
    """A voice fitted to the training samples with settings of its choice, and what it predicts of rounds' samples.

    A round holds out training samples too, and these the network has seen: what is made from it is in none.
    """
    if rounds is not None and name not in FROM_NETWORK:
        try:
            chosen = rounds.chosen(lambda part: FITS[name](part, others), AGAIN[name])
            return AGAIN[name](chosen.fit, known), chosen.predicted
        except NotApplicable:  # of a fold, which has fewer samples: of all of them it may still apply
            pass
    return FITS[name](known, others), None


def _again(name: str, fit: Fitted, known: Known, found: dict[str, Voiced]) -> Fitted:
    """The fit, its settings kept, to the validation samples too, which `known` has among those that train."""
    if not len(known.validation):
        return fit
    begun = time.perf_counter()
    again = AGAIN[name](fit, known)
    found[name] = replace(found[name], seconds=found[name].seconds + time.perf_counter() - begun)
    return again

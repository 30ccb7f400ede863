"""The weights of voices in their blend: what samples that no voice was fitted to say.

Weights are above 0 and say most of the validation samples (stacked regressions, Breiman 1996, doi:10.1007/BF00117832;
`baselines/blend.py`). The network has one only where the blend is better with it by more than chance: alone of all
voices it is never fitted to the validation samples, so that what it was worth beside the others before they were is
more than what it is worth after. On Collins 2007, genes unseen, the blend lost up to 0.027 in r by it, on essentiality
up to 0.004 in AUROC, where validation had given it weights of 0.1 to 0.7. Its encoder is asked the same before it.

Chance is that of units, not of samples: all samples of a query, or a gene, that training has not err together. Where
rounds held out the samples of both parts (`rounds.py`), the others' weights are from these.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from gocell_cli.training.baselines.blend import blend_weights
from gocell_cli.training.baselines.samples import Known
from gocell_cli.training.voices.names import DCELL, ENCODER, FROM_NETWORK
from gocell_cli.training.voices.voices import Said

LEAST_UNITS = 5
"""Of a validation part below which nothing is told from chance."""
ERRORS = 2.0
"""Standard errors by which a blend must be better with the network."""
TOGETHER = "together"
"""Voices whose weights are known, as one."""
Weights = dict[str, float]


@dataclass(frozen=True)
class Weighing:
    """What weighs voices: labels `y` of the validation samples, the `unit` of each, and the training mean.

    `held` and `held_y`: predictions and labels of the samples that rounds held out; both empty where there are none.
    """

    y: Float64[np.ndarray, " n"]
    unit: Int64[np.ndarray, " n"]
    mean: float
    held: dict[str, Float64[np.ndarray, " held"]]
    held_y: Float64[np.ndarray, " held"]

    def weights(self, said: Said) -> Weights:
        """Return the weight of each voice by its predictions of the validation samples; equal ones where is none."""
        heard = {name: x for name, x in said.items() if name not in FROM_NETWORK}
        found, silent = self._of_others(heard), dict[str, float]()
        for name in (ENCODER, DCELL):
            more = self._beside(name, said[name], found, heard) if name in said else None
            if more is not None:
                found, heard = more, {name: said[name], **heard}
            elif name in said:
                silent[name] = 0.0
        return {**silent, **found}

    def _beside(self, name: str, values: Float64[np.ndarray, " n"], first: Weights, others: Said) -> Weights | None:
        """Weights of `others`, now `first`, and a voice more; None where that is no better by more than chance."""
        said = {name: values, **others}
        if not others:
            return weights_of(said, self.y, self.mean)
        # by rounds the others' weights are no fit to these samples: with and without the network they are one voice
        both = self._with(first, said, [name]) if self.held else weights_of(said, self.y, self.mean)
        before = self._with(first, others, []) if self.held else first
        better = not len(self.y) or self._better(self._error(before, said), self._error(both, said))
        return both if better else None

    def without(self, said: Said) -> dict[str, Weights]:
        """Return, for each voice, the weights of all the others; nothing for one that has no others.

        Without the network there is no encoder either.
        """
        found = {}
        for left_out in said:
            gone = FROM_NETWORK if left_out == DCELL else (left_out,)
            others = {name: x for name, x in said.items() if name not in gone}
            if others:
                found[left_out] = self.weights(others)
        return found

    def _of_others(self, others: Said) -> Weights:
        held = {name: x for name, x in self.held.items() if name in others}
        if len(held) == len(others):
            return weights_of(held, self.held_y, self.mean)
        return weights_of(others, self.y, self.mean)

    def _with(self, first: Weights, said: Said, beside: Sequence[str]) -> Weights:
        """The voices that have their weights as one, and beside it those that have none yet."""
        alone = {name: said[name] for name in beside}
        found = weights_of({**alone, TOGETHER: self._joined(first, said)}, self.y, self.mean)
        together = found.pop(TOGETHER)
        return {**found, **{name: together * weight for name, weight in first.items()}}

    def _joined(self, weights: Mapping[str, float], said: Said) -> Float64[np.ndarray, " n"]:
        found = np.full(len(self.y), self.mean)
        for name, weight in weights.items():
            found += weight * (said[name] - self.mean)
        return found

    def _error(self, weights: Mapping[str, float], said: Said) -> Float64[np.ndarray, " n"]:
        found: np.ndarray = np.square(self._joined(weights, said) - self.y)
        return found

    def _better(self, before: Float64[np.ndarray, " n"], after: Float64[np.ndarray, " n"]) -> bool:
        """Whether errors become smaller by more than chance: a sum of as many independent parts as there are units."""
        gain = np.bincount(self.unit, weights=before - after)
        units = len(gain)
        error = np.sqrt(units / max(units - 1, 1) * np.square(gain - gain.mean()).sum())
        return units >= LEAST_UNITS and float(gain.sum()) > ERRORS * float(error)


def units_of(known: Known) -> Int64[np.ndarray, " validation"]:
    """Return what each validation sample shares with others and with no training sample, numbered from 0.

    Its query where training has none of it; else the first of its genes that training never deletes; else itself alone.
    """
    train, asked = known.train.genotypes, known.validation.genotypes
    trained = np.zeros(asked.total_genes, dtype=bool)
    trained[train.genes] = True
    # itself, a gene, and a query have numbers that are nobody else's
    label = np.arange(len(asked), dtype=np.int64)
    unseen = np.flatnonzero(~trained[asked.genes])[::-1]
    label[asked.owner[unseen]] = len(asked) + asked.genes[unseen]
    query = (asked.query >= 0) & ~np.isin(asked.query, train.query)
    label[query] = len(asked) + asked.total_genes + asked.query[query]
    return np.unique(label, return_inverse=True)[1].astype(np.int64)


def weights_of(said: Said, y: Float64[np.ndarray, " n"], mean: float) -> Weights:
    """Return the weight of each voice by its predictions of samples with the labels `y`; equal ones where is none."""
    if not said:
        return {}
    if not len(y):
        return dict.fromkeys(said, 1 / len(said))
    found = blend_weights(np.stack([x - mean for x in said.values()], axis=1), y - mean)
    return dict(zip(said, found.tolist(), strict=True))

"""The voices of a run: models that predict a phenotype each by itself, and what all of them together say.

dcell           the network
wide            single effects and products of gene vectors (`wide.py`)
neighbours      the pairs of genes that resemble a pair's (`neighbours.py`)
encoder         as wide, of vectors that the network's terms give (`encoder.py`)
blend           mean + sum of w_i (voice_i - mean), weights by samples that no voice was fitted to (`weighing.py`)
without_NAME    the same blend of all voices but one: by what `blend` is better, that one is worth; `without_dcell`
                is without the encoder as well, which is nothing without the network
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int64

from gocell_cli.training.baselines.samples import Fitted, Genotypes, predicted, unmeasured
from gocell_cli.training.voices.kept_fits import packed
from gocell_cli.training.voices.names import BLEND, DCELL, LEFT_OUT

Said = dict[str, Float64[np.ndarray, " n"]]
"""Predictions by voice."""


@dataclass(frozen=True)
class Voices:
    """Fitted voices, and the weights of all blends; `classes`: phenotypes are shares between 0 and 1.

    `singles` are published fitnesses of single mutants where the voices were fitted with those of strains, else NaN.
    """

    total_genes: int
    mean: float
    parts: dict[str, Fitted]
    blend: dict[str, float]
    without: dict[str, dict[str, float]]
    classes: bool
    singles: Float64[np.ndarray, " genes"]

    def say(self, genotypes: Genotypes, network: Float64[np.ndarray, " n"]) -> Said:
        """Return what every voice but the network predicts, and all blends; `network` is what that predicts."""
        every = self._each(genotypes, network)
        less = {LEFT_OUT + name: self.joined(weights, every) for name, weights in self.without.items()}
        said = {name: values for name, values in every.items() if name != DCELL}
        return {**said, **less, BLEND: self.joined(self.blend, every)}

    def answer(
        self,
        voice: str,
        ptr: Int64[np.ndarray, " n_plus_1"],
        genes: Int64[np.ndarray, " deletions"],
        network: Float64[np.ndarray, " n"],
    ) -> Float64[np.ndarray, " n"]:
        """Return what a voice, or the blend, predicts of genotypes that nobody measured, as CSR."""
        if voice == DCELL:
            return network
        genotypes = replace(
            unmeasured(ptr, genes.astype(np.int32), self.total_genes),
            strain_fitness=parents_of(ptr, genes, self.singles),
        )
        if voice in self.parts:
            return self._within(predicted(self.parts[voice], genotypes))
        return self.joined(self.blend, self._each(genotypes, network))

    def _each(self, genotypes: Genotypes, network: Float64[np.ndarray, " n"]) -> Said:
        said = {name: self._within(predicted(part, genotypes)) for name, part in self.parts.items()}
        return {DCELL: network, **said}

    def identity(self) -> bytes:
        """Return what is the same for voices that predict the same."""
        arrays, words = packed(self.parts)
        told = json.dumps([words, self.mean, self.blend, self.without, self.classes], sort_keys=True)
        return told.encode() + b"".join(array.tobytes() for array in (self.singles, *arrays.values()))

    def joined(self, weights: Mapping[str, float], said: Said) -> Float64[np.ndarray, " n"]:
        """Return the blend that weights say."""
        found = np.full(len(next(iter(said.values()))), self.mean)
        for name, weight in weights.items():
            found += weight * (said[name] - self.mean)
        return self._within(found)

    def _within(self, values: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
        return np.clip(values, 0.0, 1.0) if self.classes else values


def parents_of(
    ptr: Int64[np.ndarray, " n_plus_1"], genes: Int64[np.ndarray, " deletions"], singles: Float64[np.ndarray, " genes"]
) -> Float64[np.ndarray, "n 2"]:
    """Return the fitness of the two strains that a cross would take for each genotype, NaN where it is not known.

    A wild type is 1, as every screen scales fitness. Of a pair nobody says which gene would be the query's: both
    strains have the mean of its two single mutants. A triple's query is a double mutant, of which nothing is known.
    """
    order, owner = np.diff(ptr), np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))
    total = np.bincount(owner, weights=singles[genes], minlength=len(order))
    found = np.full((len(order), 2), np.nan)
    found[order == 0] = 1.0
    found[order == 1, 0], found[order == 1, 1] = total[order == 1], 1.0
    found[order == 2] = total[order == 2, None] / 2
    if not np.isfinite(singles).any():
        found[:] = np.nan  # the voices were fitted without
    return found

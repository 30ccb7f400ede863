"""Fitness of what genotypes of a list of genes have in common: each gene alone, and for triples each pair, once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float64, Int64

from gocell_cli.free_memory import require_memory
from gocell_cli.training.inference.combinations import Combinations
from gocell_cli.training.inference.predict import Genotype, Predictor

FLOAT = 8
"""Bytes of a float64."""


def of_order(predictor: Predictor, genotypes: Int64[np.ndarray, "n order"]) -> Float64[np.ndarray, " n"]:
    """Return the phenotype, on its original scale, of genotypes that have all as many genes."""
    ptr = np.arange(len(genotypes) + 1, dtype=np.int64) * genotypes.shape[1]
    return predictor.values(ptr, np.ascontiguousarray(genotypes).ravel())


@dataclass(frozen=True)
class KnownParts:
    """Of one run: `single` of each gene of a list, and `pair` of each two of them, NaN where i >= j.

    place: of each gene of the hierarchy where it stands in the list. pair is empty where pairs are to be predicted.
    """

    place: Int64[np.ndarray, " genes"]
    single: Float64[np.ndarray, " listed"]
    pair: Float64[np.ndarray, "some some"]

    @classmethod
    def of(cls, predictor: Predictor, genes: Int64[np.ndarray, " listed"], order: int) -> "KnownParts":
        """Predict the parts of all genotypes of `order` of these genes; raises TooLarge where memory is too little."""
        place = np.zeros(len(predictor.trained), dtype=np.int64)
        place[genes] = np.arange(len(genes))
        pair = np.full((0, 0), np.nan)
        if order > 2:
            require_memory(len(genes) ** 2 * FLOAT, f"the fitness of all pairs of {len(genes):,} genes")
            pair = np.full((len(genes), len(genes)), np.nan)
            for block in _blocks(Combinations(genes, 2)):
                pair[place[block[:, 0]], place[block[:, 1]]] = of_order(predictor, block)
        return cls(place, of_order(predictor, genes[:, None]), pair)

    def fitness(self, genotypes: Int64[np.ndarray, "n order"]) -> Mapping[Genotype, Float64[np.ndarray, " n"]]:
        """Return the fitness of every part smaller than the genotypes, by its places in one."""
        at, places = self.place[genotypes], range(genotypes.shape[1])
        found: dict[Genotype, Float64[np.ndarray, " n"]] = {(i,): self.single[at[:, i]] for i in places}
        if len(places) > 2:
            found |= {(i, j): self.pair[at[:, i], at[:, j]] for i, j in combinations(places, 2)}
        return found


def _blocks(pairs: Combinations) -> Iterator[Int64[np.ndarray, "some 2"]]:
    for part in range(pairs.parts):
        yield from pairs.blocks(part)

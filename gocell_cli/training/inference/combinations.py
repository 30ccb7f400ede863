"""Which genotypes there are: all pairs, or all triples, of a list of genes, cut into tiles, blocks and parts.

A tile is so many genes that stand beside each other in the list; a block is a tile for each place of a genotype, and of
its genotypes those whose genes ascend. Genotypes of a block share their parts: 16,384 pairs have the singles of 256
genes, 13,824 triples those of 72 and the pairs of 1,728. A part is all blocks that differ in their last tile alone.
Every genotype is in one block of one part.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement
from math import comb, prod

import numpy as np
from jaxtyping import Int64

TILE = {2: 128, 3: 24}
"""Genes of a tile by the order of the genotypes: a block has as many genotypes as a batch may well have."""


@dataclass(frozen=True)
class Combinations:
    """All genotypes of `order` genes among `genes` (ascending indices, none twice)."""

    genes: Int64[np.ndarray, " genes"]
    order: int

    def __post_init__(self) -> None:
        if self.order not in TILE:
            raise ValueError(f"no genotypes of {self.order} genes are made here")

    def __len__(self) -> int:
        return comb(len(self.genes), self.order)

    @cached_property
    def _tiles(self) -> list[Int64[np.ndarray, " _"]]:
        size = TILE[self.order]
        return [self.genes[at : at + size] for at in range(0, len(self.genes), size)]

    @cached_property
    def _heads(self) -> list[tuple[int, ...]]:
        """Each part's tiles of all places but the last."""
        return [*combinations_with_replacement(range(len(self._tiles)), self.order - 1)]

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return len(self._heads)

    def _tiles_of(self, part: int) -> Iterator[tuple[int, ...]]:
        head = self._heads[part]
        for last in range(head[-1], len(self._tiles)):
            yield *head, last

    def rows(self, part: int) -> int:
        """Return how many genotypes a part has, without making them."""
        sizes = [len(tile) for tile in self._tiles]
        return sum(_rows(sizes, tiles) for tiles in self._tiles_of(part))

    def blocks(self, part: int) -> Iterator[Int64[np.ndarray, "some order"]]:
        """Yield the genotypes of a part, genes ascending, block by block; blocks without any are left out."""
        for tiles in self._tiles_of(part):
            found = _block([self._tiles[tile] for tile in tiles])
            if len(found):
                yield found

    def typical(self) -> Int64[np.ndarray, "some order"]:
        """Return a block of as many genotypes as most have: of the first tiles, no two of them the same if possible."""
        tiles = self._tiles
        return _block([tiles[min(place, len(tiles) - 1)] for place in range(self.order)])


def _rows(sizes: Sequence[int], tiles: tuple[int, ...]) -> int:
    """Genotypes of a block: of each tile as many genes as the places that it has, in ascending order."""
    return prod(comb(sizes[tile], tiles.count(tile)) for tile in set(tiles))


def _block(tiles: Sequence[Int64[np.ndarray, " _"]]) -> Int64[np.ndarray, "some order"]:
    """Return the genotypes that have a gene of each tile, their genes ascending; a tile may stand there twice."""
    rows = np.column_stack([x.ravel() for x in np.meshgrid(*tiles, indexing="ij")])
    ascending: Int64[np.ndarray, "some order"] = rows[(rows[:, 1:] > rows[:, :-1]).all(axis=1)]
    return ascending

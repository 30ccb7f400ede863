"""Gene vectors made of what is at hand: the hierarchy's terms in short, and published fitness of single mutants."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float64

from gocell_cli.errors import InvalidInput, UsageError
from gocell_cli.named_vectors import NamedVectors
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.baselines.membership import memberships, vectors
from gocell_cli.training.baselines.samples import NotApplicable
from gocell_cli.training.data.gene_vectors import by_gene
from gocell_cli.training.data.own_label import SINGLE_FITNESS, TERMS, columns_withheld
from gocell_cli.training.data.strain_fitness import known_singles
from gocell_cli.whole_file import whole_file

GENE = "gene"


@dataclass(frozen=True)
class Block:
    """Some columns of one source, for all genes of a cache; NaN where a gene lacks them."""

    source: str
    columns: tuple[str, ...]
    values: Float64[np.ndarray, "genes columns"]


@dataclass(frozen=True)
class MadeVectors:
    """Blocks side by side, and why others are left out."""

    blocks: tuple[Block, ...]
    left_out: dict[str, str]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns."""
        return tuple(name for block in self.blocks for name in block.columns)

    @property
    def values(self) -> Float64[np.ndarray, "genes columns"]:
        """All numbers, NaN where a gene lacks one."""
        found: Float64[np.ndarray, "genes columns"] = np.hstack([block.values for block in self.blocks])
        return found


def make_vectors(cache: Cache, size: int, others: Sequence[NamedVectors]) -> MadeVectors:
    """Return what is known of a cache's genes: by its terms, its strains' published fitness, and others' numbers.

    What would tell the cache's phenotype its own label is left out, with the reason. Raises UsageError where nothing is
    left.
    """
    hierarchy, phenotype = cache.hierarchy, cache.phenotype["kind"]
    blocks: list[Block] = []
    left_out: dict[str, str] = {}
    try:
        blocks.append(_terms(hierarchy, size))
    except NotApplicable as error:
        left_out["terms"] = str(error)
    singles = known_singles(cache.provenance, hierarchy)
    if np.isfinite(singles).any():
        blocks.append(Block("published fitness of single mutants", (SINGLE_FITNESS,), singles[:, None]))
    else:
        left_out[SINGLE_FITNESS] = "this cache's data set publishes none"
    for other in others:
        try:
            blocks.append(Block(str(other.path), other.columns, by_gene(other, hierarchy)[0]))
        except InvalidInput as error:
            left_out[str(other.path)] = error.message
    left_out |= columns_withheld([name for block in blocks for name in block.columns], phenotype)
    kept = tuple(block for block in blocks if not set(block.columns) & set(left_out))
    if not kept:
        raise UsageError(f"{cache.directory}: nothing is known of its genes", why=_reasons(left_out))
    return MadeVectors(kept, left_out)


def _reasons(left_out: dict[str, str]) -> str:
    return "; ".join(f"{name}: {why}" for name, why in left_out.items())


def _terms(hierarchy: Hierarchy, size: int) -> Block:
    """Contained-term membership by its first principal coordinates; genes without terms lack them."""
    found = vectors(memberships(hierarchy), size)
    found[~np.any(found, axis=1)] = np.nan
    return Block("terms of the hierarchy", tuple(f"{TERMS}{i + 1}" for i in range(found.shape[1])), found)


def vector_table(made: MadeVectors, hierarchy: Hierarchy) -> pa.Table:
    """Return a row a gene, by systematic name; a missing number is null."""
    values = made.values
    missing = np.isnan(values)
    numbers = {name: pa.array(values[:, i], mask=missing[:, i]) for i, name in enumerate(made.columns)}
    return pa.table({GENE: pa.array(hierarchy.gene_names, pa.string()), **numbers})


def write_npz(path: Path, made: MadeVectors, hierarchy: Hierarchy) -> None:
    """Write gene (names), columns (names) and values [genes, columns], NaN where a number is missing."""
    with whole_file(path) as temporary:
        np.savez_compressed(
            temporary, gene=np.array(hierarchy.gene_names), columns=np.array(made.columns), values=made.values
        )

"""The cache format's arrays and dtypes. A leaf, as `records.py` is: what reads or writes a cache reads it here.

A cache is a directory:

    manifest.json, manifest.sha256      canonical JSON and its hash; written last (part.json in a part)
    hierarchy/*.parquet                 terms, genes, edges, term_genes, gene_rows
    provenance/*.parquet                strains, query_groups
    samples/part-00000.parquet|.lmdb    the samples, by shard and backend
"""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Int16, Int32, Int64, UInt8

from gocell_cli.controls import Control, Wiring, control_wiring
from gocell_cli.csr import pointers
from gocell_cli.dcell_rules import forbidden_edges, longest_paths
from gocell_cli.errors import LevelsError
from gocell_cli.gene_channels import Inputs
from gocell_cli.gene_names import GeneNames
from gocell_cli.level_directions import ROOT_DOWN

NONE_INDEX = -1
BLOCK = 2048
"""Genes whose bits are unpacked at once: 40 MB for 20,000 terms."""


class GeneTerms(NamedTuple):
    """CSR gene -> terms: those of gene g are `term[ptr[g]:ptr[g + 1]]`, ascending."""

    ptr: Int64[np.ndarray, " genes_plus_1"]
    term: Int32[np.ndarray, " pairs"]


@dataclass(frozen=True)
class Hierarchy:
    """The hierarchy in use, as index arrays only: all a trainer needs to know of the ontology.

    Terms are sorted by id, genes by systematic name, edges by (child, parent), rows by (term, gene).
    `gene_ptr`/`gene_rows` is the CSR index gene -> rows: gene g's rows are
    `gene_rows[gene_ptr[g]:gene_ptr[g + 1]]`, ascending. `gene_ids` are () as a whole in caches of before they came.
    `inputs`, in a cache with channels, say of which gene each "gene" is a state: a deleted one is then a changed input.
    """

    term_ids: tuple[str, ...]
    term_names: tuple[str, ...]
    term_namespaces: tuple[str, ...]
    go_level: Int32[np.ndarray, " terms"]
    go_depth: Int32[np.ndarray, " terms"]
    stratum: Int32[np.ndarray, " terms"]
    height: Int32[np.ndarray, " terms"]
    level: Int32[np.ndarray, " terms"]
    direct_genes: Int32[np.ndarray, " terms"]
    contained_genes: Int32[np.ndarray, " terms"]
    gene_names: tuple[str, ...]
    gene_standard: tuple[str, ...]
    gene_aliases: tuple[tuple[str, ...], ...]
    edge_child: Int32[np.ndarray, " edges"]
    edge_parent: Int32[np.ndarray, " edges"]
    row_term: Int32[np.ndarray, " rows"]
    row_gene: Int32[np.ndarray, " rows"]
    gene_ptr: Int64[np.ndarray, " genes_plus_1"]
    gene_rows: Int32[np.ndarray, " rows"]
    level_by: str
    level_direction: str
    gene_ids: tuple[tuple[str, ...], ...] = ()
    inputs: Inputs | None = None

    @property
    def rows(self) -> int:
        """Number of rows of `mutant_state`."""
        return len(self.row_term)

    @cached_property
    def lookup(self) -> GeneNames:
        """Finds a gene's index by any of its names."""
        return GeneNames(self.gene_names, self.gene_standard, self.gene_aliases, self.gene_ids)

    @cached_property
    def closure(self) -> GeneTerms:
        """Which terms contain each gene, directly or by a descendant (the true-path rule).

        Computed once: a bit a (term, gene), 50 MB for 20,000 of each, and the pairs themselves. Raises LevelsError
        where an edge does not lead to another, shallower level.
        """
        genes = len(self.gene_names)
        bits = self._contained_bits()
        counts, terms = [], []
        for first in range(0, genes, BLOCK):  # all genes at once would be a byte a pair, 400 MB for 20,000 of each
            held = np.unpackbits(bits[:, first // 8 : (first + BLOCK) // 8], axis=1)[:, : genes - first]
            counts.append(held.sum(axis=0, dtype=np.int64))
            terms.append(np.nonzero(held.T)[1].astype(np.int32))  # transposed, so gene by gene, terms ascending
        none = np.zeros(0, dtype=np.int32)
        return GeneTerms(pointers(np.concatenate([none, *counts])), np.concatenate([none, *terms]))

    def wired(self, wiring: Wiring) -> "Hierarchy":
        """Return the hierarchy with other edges and rows, on which its level holds; go_level and go_depth stay GO's."""
        terms, genes = len(self.term_ids), len(self.gene_names)
        counts = np.bincount(wiring.row_gene, minlength=genes)
        found = replace(
            self,
            **wiring._asdict(),
            stratum=longest_paths(terms, wiring.edge_child, wiring.edge_parent)[0],
            height=longest_paths(terms, wiring.edge_parent, wiring.edge_child)[0],
            direct_genes=np.bincount(wiring.row_term, minlength=terms).astype(np.int32),
            gene_ptr=pointers(counts),
            gene_rows=np.argsort(wiring.row_gene, kind="stable").astype(np.int32),
        )
        contained = np.bincount(found.closure.term, minlength=terms)
        return replace(found, contained_genes=contained.astype(np.int32))

    def controlled(self, control: Control) -> "Hierarchy":
        """Return a control of this hierarchy: its level, its terms and its genes, other edges or rows."""
        wiring = Wiring(*(getattr(self, name) for name in Wiring._fields))
        return self.wired(control_wiring(wiring, self.level, self.level_direction, control))

    def _contained_bits(self) -> UInt8[np.ndarray, "terms bytes"]:
        """Each term's contained genes as bits, gene 0 the highest bit of byte 0."""
        child, parent = self.level[self.edge_child], self.level[self.edge_parent]
        same, inverted = forbidden_edges(child, parent, self.level_direction)
        if same.any() or inverted.any():
            raise LevelsError(f"{int((same | inverted).sum())} edges lead to no shallower level by {self.level_by}")
        # -(-n // 8) rounds up
        bits = np.zeros((len(self.term_ids), -(-len(self.gene_names) // 8)), dtype=np.uint8)
        # .at, for a byte may take several rows' bits
        np.bitwise_or.at(bits, (self.row_term, self.row_gene // 8), (128 >> self.row_gene % 8).astype(np.uint8))
        deepest_first = np.argsort(-child if self.level_direction == ROOT_DOWN else child, kind="stable")
        for edge in deepest_first.tolist():  # so a child has all its descendants' genes before its parents read it
            bits[self.edge_parent[edge]] |= bits[self.edge_child[edge]]
        return bits


class Labels(NamedTuple):
    """Values of one phenotype and their statistics, NaN where there is none."""

    value: Float64[np.ndarray, " samples"]
    statistic: Float64[np.ndarray, " samples"]

    def take(self, rows: Int64[np.ndarray, " taken"]) -> "Labels":
        """Return those at `rows`, in that order."""
        return Labels(self.value[rows], self.statistic[rows])


@dataclass(frozen=True)
class Samples:
    """Samples as columns: what a shard holds, in either backend.

    Sample i deletes `genes[gene_ptr[i]:gene_ptr[i + 1]]` (ascending); its source rows are
    `source_row[source_ptr[i]:source_ptr[i + 1]]`, with the strains beside them. `statistic` is NaN, and
    `query_group` and strains are -1, where there is none. `others` are the labels of the phenotypes after the first, in
    the order of `Manifest.phenotypes`; of a sample that lacks one of several phenotypes, its value is NaN.
    """

    gene_ptr: Int64[np.ndarray, " samples_plus_1"]
    genes: Int32[np.ndarray, " deletions"]
    value: Float64[np.ndarray, " samples"]
    statistic: Float64[np.ndarray, " samples"]
    dataset: Int16[np.ndarray, " samples"]
    query_group: Int32[np.ndarray, " samples"]
    source_ptr: Int64[np.ndarray, " samples_plus_1"]
    source_row: Int64[np.ndarray, " sources"]
    query_strain: Int32[np.ndarray, " sources"]
    array_strain: Int32[np.ndarray, " sources"]
    others: tuple[Labels, ...] = ()

    def __len__(self) -> int:
        return len(self.value)

    def columns(self) -> dict[str, np.ndarray]:
        """Column name -> array, in the order of the format; `value_1`, `statistic_1` .. of the others come last."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "others"}
        named = enumerate(self.others, start=1)
        return {**own, **{f"{part}_{i}": getattr(found, part) for i, found in named for part in Labels._fields}}

    def of_phenotype(self, number: int) -> "Samples":
        """Return the samples with the labels of one phenotype alone, by its place in `Manifest.phenotypes`."""
        found = Labels(self.value, self.statistic) if number == 0 else self.others[number - 1]
        return replace(self, value=found.value, statistic=found.statistic, others=())


@dataclass(frozen=True)
class Sample:
    """One sample: indices of the deleted genes, phenotype value (NaN: none), and provenance by source row.

    `others` are (value, statistic) of the phenotypes after the first.
    """

    genes: tuple[int, ...]
    value: float
    statistic: float | None
    dataset: int
    query_group: int | None
    sources: tuple[tuple[int, int | None, int | None], ...]
    others: tuple[tuple[float | None, float | None], ...] = ()


@dataclass(frozen=True)
class Provenance:
    """What `Samples` index: strains as (id, allele name), the kind of each, and the names of the query groups.

    Kinds are deletion, suppressor (a strain with a second mutation that makes up for the first), ts
    (temperature-sensitive), damp (DAmP) or unknown. `fitness` is each strain's own, as published (1: as the wild type;
    the mean where the table has several values), None where it has none; () as a whole in caches of before it came.
    """

    strains: tuple[tuple[str, str], ...]
    kinds: tuple[str, ...]
    query_groups: tuple[str, ...]
    fitness: tuple[float | None, ...] = ()


@runtime_checkable
class ShardBackend(Protocol):
    """One way to keep a shard in one file."""

    suffix: str

    def write(self, path: str, samples: Samples) -> None:
        """Write all samples to a new file."""

    def capacity(self, path: str) -> int:
        """Return how many samples a file can hold at most, without reading them."""

    def read(self, path: str) -> Samples:
        """Read all samples back."""

    def read_rows(self, path: str, rows: Int64[np.ndarray, " some"]) -> Samples:
        """Read the samples at `rows`, counted from the shard's start, in that order."""

"""Strains of SGA screens: the grammar of their ids, and each distinct strain parsed once, however many rows it has."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64, Int32, Int64

from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import BLOCK, NO_GENE
from gocell_cli.gene_names import WAYS, Found, NameCounts
from gocell_cli.sources.screens.sga import RowBlock

STRAIN_ID = re.compile(r"([^+_\s]+)(?:\+([^+_\s]+))?_\S+")
"""`ORF_dma123`, `ORF_tsa12`, `ORF_sn7`: a gene, then kind and number of its allele. `ORF1+ORF2_tm123`: two genes, in
the query strains of Kuzmin et al. Genes come from here: the allele names beside them are free text (`tps1-supp1`)."""
GENES_MAX = 2
AMBIGUOUS, UNKNOWN = len(WAYS), len(WAYS) + 1


class Side(NamedTuple):
    """One side of a cross: its two columns, how many genes a strain there may have, and what is said of another id."""

    ids: str
    alleles: str
    genes_max: int
    fault: str


def strain_genes(strain: str) -> tuple[str, ...] | None:
    """Return the systematic names in a strain id, one or two, None where it is no strain id."""
    match = STRAIN_ID.fullmatch(strain)
    return tuple(gene for gene in match.groups() if gene) if match else None


class StrainCodes:
    """Distinct (strain id, allele name) in the order they came; `neutral` is a gene whose deletion counts for nothing.

    Both stand in the key: the two columns are kept as the table has them, and nothing promises one allele name an id.
    """

    def __init__(self, genes: GeneTable, neutral: str = "") -> None:
        self._genes = genes
        self._neutral = neutral
        self._codes: dict[tuple[str, str], int] = {}
        self._names: list[tuple[str, ...]] = []
        self._indices: list[list[int]] = []
        self._found: dict[str, Found] = {}
        self._served: list[int] = []
        self._rows = np.zeros(len(WAYS) + 3, dtype=np.int64)
        self._fitness: list[set[float]] = []
        self._last_fitness = np.zeros(0)

    def encode(self, block: RowBlock, side: Side) -> Int32[np.ndarray, " rows"]:
        """Return the code of each row's strain on one side; raises InvalidInput with the line of what is no id."""
        ids, alleles = block.texts[side.ids], block.texts[side.alleles]
        width = max(len(alleles.texts), 1)
        # Id and allele as one number: each distinct pair is looked at once. int64, as the product may pass int32.
        pairs = pa.array(ids.codes.astype(np.int64) * width + alleles.codes).dictionary_encode()
        found = (divmod(pair, width) for pair in pairs.dictionary.to_pylist())
        codes = np.array([self._code(block, side, i, alleles.texts[a]) for i, a in found], dtype=np.int32)
        encoded: Int32[np.ndarray, " rows"] = codes[pairs.indices.to_numpy()]
        return encoded

    def _code(self, block: RowBlock, side: Side, id_code: int, allele: str) -> int:
        strain = block.texts[side.ids].texts[id_code]
        known = self._codes.get((strain, allele))
        if known is not None:
            return known
        names = strain_genes(strain)
        if names is None or len(names) > side.genes_max:
            raise block.fault(side.ids, id_code, f"{side.fault}: {strain[:60]!r}")
        code = self._codes[strain, allele] = len(self._names)
        self._names.append(names)
        self._fitness.append(set())
        # One more than the table's last index stands for an unknown gene; NO_GENE fills up strains of one gene.
        indices = [NO_GENE if n == self._neutral else self._index(n) for n in names]
        self._indices.append(indices + [NO_GENE] * (GENES_MAX - len(names)))
        self._served.append(max((self._serves(n) for n in names if n != self._neutral), default=-1))
        return code

    def _index(self, name: str) -> int:
        found = self._found.setdefault(name, self._genes.lookup.find(name))
        return found.genes[0] if len(found.genes) == 1 else len(self._genes)

    def _serves(self, name: str) -> int:
        """Place in WAYS of the way in which a name was found; beyond them, of several genes and of none."""
        found = self._found[name]
        if len(found.genes) == 1:
            return WAYS.index(found.way)
        return AMBIGUOUS if found.genes else UNKNOWN

    def serve(self, *strains: Int32[np.ndarray, " rows"]) -> Int64[np.ndarray, " rows"]:
        """Return, and count, how the genes of each row's strains were found.

        That is the last of their ways, an index in WAYS; AMBIGUOUS, beyond those, where several genes have a name, and
        UNKNOWN where none has; -1 for strains of the neutral gene alone.
        """
        served = np.array(self._served, dtype=np.int64)
        of_row: Int64[np.ndarray, " rows"] = np.maximum.reduce([served[codes] for codes in strains])
        self._rows += np.bincount(of_row + 1, minlength=len(self._rows))
        return of_row

    def name_counts(self, join: str) -> NameCounts:
        """Return what `serve` has counted."""
        _, *by_way, ambiguous, unknown = self._rows.tolist()
        label = self._genes.lookup.label
        return NameCounts(
            join,
            {way: n for way, n in zip(WAYS, by_way, strict=True) if n},
            rows_unknown=unknown,
            rows_ambiguous=ambiguous,
            unknown=tuple(name for name, found in self._found.items() if not found.genes),
            ambiguous=tuple(
                (name, tuple(map(label, found.genes))) for name, found in self._found.items() if len(found.genes) > 1
            ),
            names=len(self._found),
        )

    def note_fitness(self, strain: Int32[np.ndarray, " rows"], fitness: Float64[np.ndarray, " rows"]) -> None:
        """Note what rows say of their strains' own fitness, NaN where they say nothing.

        A table repeats it in every row that crosses the strain: only what differs from the row before is looked at.
        """
        grown = np.full(len(self._names) - len(self._last_fitness), np.nan)
        self._last_fitness = np.concatenate([self._last_fitness, grown])
        new = np.isfinite(fitness) & (fitness != self._last_fitness[strain])
        for code, value in set(zip(strain[new].tolist(), fitness[new].tolist(), strict=True)):
            self._fitness[code].add(value)
        self._last_fitness[strain[new]] = fitness[new]

    def fitness(self, strains: Sequence[tuple[str, str]]) -> tuple[tuple[float, ...], ...]:
        """Return the distinct values noted of each strain, ascending; () as a whole where there is none."""
        found = tuple(tuple(sorted(self._fitness[self._codes[strain]])) for strain in strains)
        return found if any(found) else ()

    def genes(self) -> Int32[np.ndarray, "strains 2"]:
        """Gene indices of every strain so far; NO_GENE for the neutral gene and for no second one.

        The index `len(genes)` of the gene table stands for a name that no gene has there, or several.
        """
        return np.array(self._indices, dtype=np.int32).reshape(-1, GENES_MAX)

    def ids(self) -> Int32[np.ndarray, " strains"]:
        """Number of every strain's id among the distinct ids."""
        numbers: dict[str, int] = {}
        return np.array([numbers.setdefault(strain, len(numbers)) for strain, _ in self._codes], dtype=np.int32)

    def queries(self, query_strain: Int32[np.ndarray, " rows"]) -> tuple[Int32[np.ndarray, " rows"], tuple[str, ...]]:
        """Return each row's query group, and the groups' names, sorted: `A+B` of the query strain's genes A and B."""
        # By genes, not by strains: alleles of the same genes are one group, which a split by query must not tear apart.
        labels = ["+".join(sorted(set(names) - {self._neutral})) for names in self._names]
        names = tuple(sorted({labels[code] for code in np.flatnonzero(self._used(query_strain)).tolist()}))
        position = {name: i for i, name in enumerate(names)}
        # A copy: `sort` needs the strain codes after this.
        query = query_strain.copy()
        _reindex(query, np.array([position.get(label, -1) for label in labels], dtype=np.int32))
        return query, names

    def sort(self, *columns: Int32[np.ndarray, " rows"]) -> tuple[tuple[str, str], ...]:
        """Return the strains whose codes the columns hold, sorted, and make the columns index them."""
        used = self._used(*columns)
        strains = tuple(sorted(strain for strain, code in self._codes.items() if used[code]))
        # -1 for strains of which no row was kept: no code in a column leads there.
        position = np.full(len(self._names), -1, dtype=np.int32)
        position[[self._codes[strain] for strain in strains]] = np.arange(len(strains))
        for column in columns:
            _reindex(column, position)
        return strains

    def _used(self, *columns: Int32[np.ndarray, " rows"]) -> Bool[np.ndarray, " strains"]:
        used = np.zeros(len(self._names), dtype=bool)
        for column in columns:
            used[column] = True
        return used


def _reindex(column: Int32[np.ndarray, " rows"], position: Int32[np.ndarray, " codes"]) -> None:
    """Replace every code of a column by its position, in place and block by block: a column may hold gigabytes."""
    for start in range(0, len(column), BLOCK):
        column[start : start + BLOCK] = position[column[start : start + BLOCK]]

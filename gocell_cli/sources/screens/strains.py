"""Strains of streamed SGA tables: each distinct strain id is parsed once, rows keep a code."""

import re

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int32

from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import BLOCK
from gocell_cli.sources.screens.sga import CodedTexts

STRAIN_PATTERN = re.compile(r"([^+_\s]+)_\S+")
"""ORF_dma123, ORF_tsa12, ORF_sn7, ...: one gene, then the kind of its allele."""


def strain_gene(strain: str) -> str | None:
    """Return the systematic name in a strain id of one gene, None where it is no such id."""
    match = STRAIN_PATTERN.fullmatch(strain)
    return match[1] if match else None


class NotAStrainError(ValueError):
    """A text is no strain id; `code` is its code in the column at hand."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(f"not a strain id ORF_kindN: {text[:60]!r}")
        self.code = code


class StrainCodes:
    """Distinct (strain id, allele name) in the order they came; `genes[code]` is a strain's gene index.

    The index `len(genes)` of the gene table stands for a gene that it does not hold.
    """

    def __init__(self, genes: GeneTable) -> None:
        self._genes = genes
        self._codes: dict[tuple[str, str], int] = {}
        self._gene: list[int] = []

    def encode(self, ids: CodedTexts, alleles: CodedTexts) -> Int32[np.ndarray, " rows"]:
        """Return the code of each row's strain; raises NotAStrainError."""
        width = max(len(alleles.texts), 1)
        pairs = pa.array(ids.codes.astype(np.int64) * width + alleles.codes).dictionary_encode()
        found = [divmod(pair, width) for pair in pairs.dictionary.to_pylist()]
        codes = np.array([self._code(i, ids.texts[i], alleles.texts[a]) for i, a in found], dtype=np.int32)
        encoded: Int32[np.ndarray, " rows"] = codes[pairs.indices.to_numpy()]
        return encoded

    def genes(self) -> Int32[np.ndarray, " strains"]:
        """Gene index of every strain so far."""
        return np.array(self._gene, dtype=np.int32)

    def _code(self, id_code: int, strain: str, allele: str) -> int:
        known = self._codes.get((strain, allele))
        if known is not None:
            return known
        gene = strain_gene(strain)
        if gene is None:
            raise NotAStrainError(strain, id_code)
        self._codes[strain, allele] = len(self._gene)
        self._gene.append(self._genes.index.get(gene, len(self._genes)))
        return len(self._gene) - 1

    def sort(self, *columns: Int32[np.ndarray, " rows"]) -> tuple[tuple[str, str], ...]:
        """Return the strains that the columns of codes hold, sorted, and make the columns index them."""
        used: Bool[np.ndarray, " strains"] = np.zeros(len(self._gene), dtype=bool)
        for column in columns:
            used[column] = True
        strains = tuple(sorted(strain for strain, code in self._codes.items() if used[code]))
        position = np.full(len(self._gene), -1, dtype=np.int32)
        position[[self._codes[strain] for strain in strains]] = np.arange(len(strains))
        for column in columns:
            reindex(column, position)
        return strains


def reindex(column: Int32[np.ndarray, " rows"], position: Int32[np.ndarray, " codes"]) -> None:
    """Replace every code of a column by its position, in place and block by block: a column may hold gigabytes."""
    for start in range(0, len(column), BLOCK):
        column[start : start + BLOCK] = position[column[start : start + BLOCK]]

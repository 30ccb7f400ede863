"""A table of genotypes that nobody measured: its gene columns alone, read as a lab's own table's are (own_table.py).

It is read twice, piece by piece: first for the names alone, for how a name is looked up depends on all that there are
(`GeneNames.look_up`), then for the genotypes. In memory are a piece and the distinct names.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int8, Int32, Int64

from gocell_cli.csr import pointers
from gocell_cli.domain.genotype import NO_GENE
from gocell_cli.errors import InvalidInput
from gocell_cli.gene_names import AMBIGUOUS, UNKNOWN, GeneNames, LookUp
from gocell_cli.sources.screens.cell_names import names_of
from gocell_cli.sources.screens.lab_names import NO_NAME, WILD_TYPE, in_lab_notation
from gocell_cli.sources.screens.own_table import REASONS, dates_among, genes_of_names, sorted_genes, unusable
from gocell_cli.sources.screens.table_columns import genes_columns, is_gene_column
from gocell_cli.sources.screens.table_pieces import table_pieces

NAMED = 5
"""Names without a gene that an error names."""


@dataclass(frozen=True)
class Genotypes:
    """Rows of a table: row i stands in line `line[i]` and deletes genes[ptr[i]:ptr[i + 1]], ascending.

    reason: why a row can't be predicted, with the name that is at fault; "" for the others. A row with a reason has no
    gene; one without reason and gene is the wild type.
    """

    ptr: Int64[np.ndarray, " rows_plus_1"]
    genes: Int64[np.ndarray, " deletions"]
    line: Int64[np.ndarray, " rows"]
    reason: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.line)


@dataclass(frozen=True)
class GenotypeTable:
    """A table whose names are known: `rows` of them, and `notes` on how it is read.

    found: its distinct names and their genes; number: of each by its place in `index` that in `found`, NO_NAME where it
    stands for no gene, as the last, of an empty cell, does; wild_type: which of them say that nothing is deleted.
    """

    path: Path
    lookup: GeneNames
    sheet: str | None
    columns: tuple[str, ...]
    index: dict[str, int]
    found: LookUp
    number: Int32[np.ndarray, " names_plus_1"]
    wild_type: Bool[np.ndarray, " names_plus_1"]
    rows: int
    notes: tuple[str, ...]

    def pieces(self) -> Iterator[Genotypes]:
        """Yield the genotypes in their order. Raises InvalidInput after the last where not one can be predicted."""
        dropped, faulty, rows = Counter[str](), dict[str, None](), 0
        for table in table_pieces(self.path, is_key=is_gene_column, sheet=self.sheet):
            names = names_of(table, self.columns, self.lookup, self.index)
            if len(self.index) >= len(self.number):
                raise InvalidInput.at(self.path, None, "it changed while it was read", hint="the same command again")
            piece = self._genotypes(names, table.line)
            reasons = [why.partition(": ") for why in piece.reason if why]
            dropped.update(word for word, _, _ in reasons)
            if len(faulty) < NAMED:
                faulty |= dict.fromkeys(name for _, _, name in reasons if name)
            rows += len(piece)
            yield piece
        if dropped.total() == rows:
            shown = ", ".join([*faulty][:NAMED])
            raise InvalidInput(
                f"{self.path}: none of its {rows} genotypes can be predicted",
                why=f"{dict(dropped)}" + (f"; not one gene's: {shown}" if shown else ""),
                hint="names are those of the run's own genes; --gene-column names the column of the deleted genes",
            )

    def _genotypes(self, written: Int32[np.ndarray, "rows names_max"], line: Int64[np.ndarray, " rows"]) -> Genotypes:
        names = self.number[written]
        gene = genes_of_names(self.found, names)
        genotype = sorted_genes(np.maximum(gene, NO_GENE))
        code, _ = unusable(names, gene, genotype, np.zeros(len(names)), dates_among(self.found), None)
        code[(names == NO_NAME).all(axis=1) & self.wild_type[written].any(axis=1)] = -1
        genotype[code >= 0] = NO_GENE
        there = genotype != NO_GENE
        return Genotypes(
            pointers(there.sum(axis=1)), genotype[there].astype(np.int64), line, self._reasons(code, names)
        )

    def _reasons(self, code: Int8[np.ndarray, " rows"], names: Int32[np.ndarray, "rows names_max"]) -> tuple[str, ...]:
        found = [""] * len(code)
        for row in np.flatnonzero(code >= 0).tolist():
            word, name = REASONS[int(code[row])], self._fault(names[row])
            found[row] = f"{word}: {name}" if name else word
        return tuple(found)

    def _fault(self, names: Int32[np.ndarray, " names_max"]) -> str:
        """Return the first of a row's names that is not one gene's, "" where each is."""
        no_gene = (UNKNOWN, AMBIGUOUS)
        return next((self.found.names[n] for n in names.tolist() if n != NO_NAME and self.found.gene[n] in no_gene), "")


def read_genotypes(
    path: Path, lookup: GeneNames, columns: Sequence[str] = (), sheet: str | None = None
) -> GenotypeTable:
    """Read the names of a table's genes, in `columns` or in those that are headed as gene columns are.

    An empty cell among several gene columns is one deletion less; a row without any gene has a reason, as it has for a
    data set, but where a cell says that it is the wild type (WILD_TYPE): an empty one may be a slip. Raises
    SourceMissing where there is no such file, InvalidInput with the line where it is damaged or lacks the column, and
    where no name is one gene's.
    """
    index, notes, chosen, rows = dict[str, int](), dict[str, None](), tuple[str, ...](), 0
    for table in table_pieces(path, is_key=is_gene_column, sheet=sheet):
        chosen = chosen or genes_columns(table, columns)
        names_of(table, chosen, lookup, index)
        notes |= dict.fromkeys(table.notes)
        rows += len(table)
    every = np.arange(len(index), dtype=np.int32)
    numbers, found, lab = in_lab_notation(every[:, None], lookup.look_up(tuple(index)), lookup)
    if lab.genes:
        notes[f"{len(lab.genes):,} names are read as a laboratory's spelling of a gene's"] = None
    number = np.append(numbers[:, 0], np.int32(NO_NAME)).astype(np.int32)
    said = [name.casefold() in WILD_TYPE for name in index]
    wild = np.append(np.array(said, dtype=bool), False) & (number == NO_NAME)
    read = GenotypeTable(path, lookup, sheet, chosen, index, found, number, wild, rows, tuple(notes))
    if not (found.gene >= 0).any() and not wild.any():
        for _ in read.pieces():  # told at their end, with the reasons, and before anything else is done
            pass
    return read

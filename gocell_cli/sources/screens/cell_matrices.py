"""Cell lines by matrices, as NeST-VNN and DrugCell publish them: a folder of these files, each of which may be gzip.

    gene2ind.txt                   0<TAB>ABCB1                     cell2ind.txt      0<TAB>201T_LUNG
    cell2mutation.txt              one line a cell, one 0 or 1 a gene, between commas; cell2NAME.txt is the channel NAME
    training_data.txt, test_data.txt      cell<TAB>drug<TAB>value<TAB>data set (which need not be there)

(Park et al. 2024, doi:10.1038/s43018-024-00740-1; `_load_train_data` and `load_cell_features` of cellmaps_vnn.) A row
of the last two is a sample: the cell's changed genes, and how it answered one drug.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int32, Int64

from gocell_cli.csr import ranges
from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import NO_GENE, Dataset, Measurements, Phenotype, SourceFile
from gocell_cli.errors import InvalidInput, SourceMissing
from gocell_cli.gene_channels import Channel
from gocell_cli.gene_names import UNKNOWN
from gocell_cli.sources.text_file import decode, read_bytes, sha256_of

NAME = "cells"
KIND = "auc"
PREFIX = "cell2"
ORDER = ("training_data", "test_data")
"""The files of responses, in the order in which their rows are counted."""
PARTS = dict(zip(ORDER, ("train", "test"), strict=True))
SUFFIXES = (".txt", ".txt.gz")


class Response(NamedTuple):
    """A row of a file of responses: its number through both files, the cell's index, and the value."""

    row: int
    cell: int
    value: float


@dataclass(frozen=True)
class Folder:
    """Where the files of a folder lie: the matrices by channel, ascending, and the responses by their file's stem."""

    path: Path
    genes: Path
    cells: Path
    matrices: Mapping[str, Path]
    responses: Mapping[str, Path]

    @property
    def channels(self) -> tuple[Channel, ...]:
        """A channel for each matrix: 0 in the wild type, 1 where a cell's gene is changed."""
        return tuple(Channel(name, 0.0, (1.0,)) for name in self.matrices)

    @property
    def files(self) -> dict[str, Path]:
        """Every file, by its stem."""
        matrices = {f"{PREFIX}{name}": path for name, path in self.matrices.items()}
        return {"gene2ind": self.genes, "cell2ind": self.cells, **matrices, **self.responses}


def find(folder: Path) -> Folder:
    """Find the files of a folder; raises SourceMissing for one that lacks what a data set needs."""
    found = {path.name[: -len(end)]: path for end in SUFFIXES for path in sorted(folder.glob(f"*{end}"))}
    matrices = {
        stem.removeprefix(PREFIX): path
        for stem, path in sorted(found.items())
        if stem.startswith(PREFIX) and stem != "cell2ind"
    }
    responses = {stem: found[stem] for stem in ORDER if stem in found}
    missing = [
        *(f"{stem}.txt" for stem in ("gene2ind", "cell2ind") if stem not in found),
        *([] if matrices else [f"{PREFIX}mutation.txt"]),
        *([] if responses else ["training_data.txt"]),
    ]
    if missing:
        raise SourceMissing(
            f"{folder}: no {', no '.join(missing)}",
            hint="--raw FOLDER with gene2ind.txt, cell2ind.txt, cell2mutation.txt and training_data.txt, as NeST-VNN's",
        )
    return Folder(folder, found["gene2ind"], found["cell2ind"], matrices, responses)


def read(folder: Folder, genes: GeneTable, phenotype: str | None = None) -> Dataset:
    """Read a folder; `genes` are those of `input_genes` with the folder's channels.

    Genes of the matrices that the table does not have are left out of their cells, and counted by `names`. Raises
    InvalidInput, with the line, for what is damaged, several drugs, and a cell that cell2ind does not name.
    """
    names, cells = _numbered(folder.genes), _numbered(folder.cells)
    changed = [_matrix(path, len(cells), len(names)) for path in folder.matrices.values()]
    inputs = tuple(c.input_name(name, 1.0) for c in folder.channels for name in names)
    found = genes.lookup.look_up(inputs)
    counts = genes.lookup.counts(NAME, found, np.arange(len(inputs), dtype=np.int32)[:, None])
    genotype = _genotypes(np.concatenate(changed, axis=1), found.gene)
    rows, files = _all_responses(folder, cells)
    cell = np.array([row.cell for row in rows], dtype=np.int32)
    none = np.full(len(rows), -1, dtype=np.int32)
    return Dataset(
        name=NAME,
        phenotype=Phenotype(phenotype or KIND),
        measurements=Measurements(
            genes=genotype[cell],
            value=np.array([row.value for row in rows]),
            statistic=np.full(len(rows), np.nan),
            row=np.array([row.row for row in rows], dtype=np.int64),
            query_strain=cell,
            array_strain=none,
            query=none,
        ),
        strains=tuple((name, "") for name in cells),
        queries=(),
        rows_read=len(rows),
        dropped={},
        sources={stem: sha256_of(path) for stem, path in folder.files.items()},
        options={},
        files=files,
        names=(counts,),
        kinds=("unknown",) * len(cells),
    )


def _genotypes(
    changed: Bool[np.ndarray, "cells columns"], gene: Int32[np.ndarray, " columns"]
) -> Int32[np.ndarray, "cells inputs_max"]:
    """Each cell's inputs, ascending, with NO_GENE on the left; columns of unknown genes are left out."""
    known = np.flatnonzero(gene > UNKNOWN)
    # by index of the input, so that what nonzero finds of a cell ascends
    by_input = known[np.argsort(gene[known], kind="stable")]
    cell, place = np.nonzero(changed[:, by_input])
    count = np.bincount(cell, minlength=len(changed))
    width = max(int(count.max(initial=0)), 1)
    found = np.full((len(changed), width), NO_GENE, dtype=np.int32)
    at = ranges(width - count, count)[1]
    found[cell, at] = gene[by_input[place]]
    return found


def _lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a file that are not blank, each with its number in it."""
    whole = decode(read_bytes(path), path).splitlines()
    return [(number, line) for number, line in enumerate(whole, 1) if line.strip()]


def _numbered(path: Path) -> tuple[str, ...]:
    """Names by index; raises InvalidInput, with the line, where indices do not count from 0 or a name comes twice."""
    names: dict[str, int] = {}
    for number, line in _lines(path):
        index, _, name = line.partition("\t")
        if index.strip() != str(len(names)) or not name.strip() or name.strip() in names:
            reason = f"not index {len(names)}, a tab and a name of its own: {line[:60]!r}"
            raise InvalidInput.at(path, number, reason)
        names[name.strip()] = len(names)
    if not names:
        raise InvalidInput.at(path, None, "the file is empty")
    return tuple(names)


def _matrix(path: Path, cells: int, genes: int) -> Bool[np.ndarray, "cells genes"]:
    """Read one matrix; raises InvalidInput, with the line, for another shape and for what is neither 0 nor 1."""
    lines = _lines(path)
    if len(lines) != cells:
        raise InvalidInput.at(path, None, f"{len(lines):,} lines, and cell2ind names {cells:,} cells")
    found = np.zeros((cells, genes), dtype=bool)
    for cell, (number, line) in enumerate(lines):
        states = np.array([text.strip() for text in line.split(",")])
        if len(states) != genes:
            raise InvalidInput.at(path, number, f"{len(states):,} numbers, and gene2ind names {genes:,} genes")
        found[cell] = np.isin(states, ("1", "1.0"))
        strange = np.flatnonzero(~(found[cell] | np.isin(states, ("0", "0.0"))))
        if len(strange):
            reason = f"gene {strange[0]} is {str(states[strange[0]])[:20]!r}, neither 0 nor 1"
            raise InvalidInput.at(path, number, reason, hint="a state of more values: a table with --channel")
    return found


def _all_responses(folder: Folder, cells: tuple[str, ...]) -> tuple[list[Response], tuple[SourceFile, ...]]:
    index = {cell: i for i, cell in enumerate(cells)}
    rows: list[Response] = []
    files: list[SourceFile] = []
    drugs: dict[str, str] = {}
    for path in folder.responses.values():
        own = _responses(path, index, drugs, len(rows) + 1)
        files.append(SourceFile(path.name, len(rows) + 1, len(own)))
        rows += own
    return rows, tuple(files)


def _responses(path: Path, cells: Mapping[str, int], drugs: dict[str, str], first: int) -> list[Response]:
    """Read the rows of one file; `drugs` keeps the one drug of all of them, and where it stands first."""
    found: list[Response] = []
    for number, line in _lines(path):
        cell, drug, value, *_ = (*(part.strip() for part in line.split("\t")), "", "")
        if cell not in cells:
            raise InvalidInput.at(path, number, f"{cell[:60]!r} is no cell of cell2ind")
        drugs.setdefault(drug, f"{path.name}:{number}")
        if len(drugs) > 1:
            other = next(iter(drugs.items()))
            reason = f"the drug is {drug[:40]!r} here and {other[0][:40]!r} in {other[1]}"
            raise InvalidInput.at(path, number, reason, hint="one drug a folder: its rows alone")
        found.append(Response(first + len(found), cells[cell], _value(path, number, value)))
    if not found:
        raise InvalidInput.at(path, None, "the file is empty")
    return found


def _value(path: Path, number: int, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise InvalidInput.at(path, number, f"{text[:30]!r} is no response, which is a number")
    return value


def split_lines(
    source_ptr: Int64[np.ndarray, " samples_plus_1"],
    source_row: Int64[np.ndarray, " sources"],
    first_row: Int64[np.ndarray, " files"],
    names: tuple[str, ...],
) -> list[str]:
    """Return the lines of a table for --split, `sample` and `part`: the part is of the file that has a sample's rows.

    A sample merged from rows of both files is in no part.
    """
    part = [next((p for stem, p in PARTS.items() if name.startswith(stem)), "") for name in names]
    of_row = np.searchsorted(first_row, source_row, side="right") - 1
    lines = ["sample\tpart"]
    for i, (start, stop) in enumerate(zip(source_ptr[:-1].tolist(), source_ptr[1:].tolist(), strict=True)):
        own = {part[file] for file in of_row[start:stop].tolist()}
        lines.append(f"{i}\t{own.pop() if len(own) == 1 else ''}")
    return lines

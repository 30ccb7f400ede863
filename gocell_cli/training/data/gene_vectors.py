"""Vectors of genes: what a network or a wide part may know of a gene beside the terms that hold it.

NamedVectors (one a file)
-> by gene: names found by the cache's own look-up, several rows of a gene averaged
-> files side by side
-> standardised on the genes deleted in training, 0 (their mean) where nothing is known
"""

import io
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Float64, Shaped

from gocell_cli.errors import DamagedCache, InvalidInput, UsageError
from gocell_cli.file_record import record_file
from gocell_cli.gene_names import AMBIGUOUS, UNKNOWN, few_found
from gocell_cli.named_vectors import NamedVectors
from gocell_cli.run_record import GeneVectorsRecord, VectorSourceRecord
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.data.own_label import columns_withheld
from gocell_cli.whole_file import whole_file

KEPT = "gene_vectors.parquet"
"""What a run calls the file in which it keeps its vectors."""
GENE, MISSING = "gene", "missing"
ROUNDING = 1e-9
"""A column whose SD is below this share of its largest value tells genes apart by rounding alone."""
SHOWN = 3
"""Names that a line gives of many."""
AGAIN = "train it again: gocell train --out DIR"


@dataclass(frozen=True)
class GeneVectors:
    """Numbers of each gene: mean 0 and SD 1 over the genes deleted in training that have them, 0 where there is none.

    `names` are the columns', `missing` the genes without any number; `sources` and `notes` say where they come from and
    what is not there.
    """

    values: Float64[np.ndarray, "genes k"]
    names: tuple[str, ...]
    missing: Bool[np.ndarray, " genes"]
    sources: tuple[VectorSourceRecord, ...] = ()
    notes: tuple[str, ...] = ()


def read_gene_vectors(
    files: Sequence[NamedVectors],
    hierarchy: Hierarchy,
    trained: Bool[np.ndarray, " genes"],
    phenotype: str,
    *,
    control: bool = False,
    also: Sequence[str] = (),
) -> GeneVectors:
    """Return the vectors of all genes of a hierarchy; `trained` are those that a training sample deletes.

    also: what else a network of several phenotypes predicts.
    Columns that would tell a phenotype its own label, or a control the terms, are left out (`own_label.py`).

    Raises InvalidInput where too few of a file's names are genes here, or no column tells training's genes apart;
    UsageError where there is no file.
    """
    if not files:
        raise UsageError("no file of gene vectors", hint="gocell gene-vectors --out FILE makes one")
    withheld: dict[str, str] = {}
    for kind in (phenotype, *also):  # one network of several: what is withheld of one is told to none
        withheld |= columns_withheld([name for file in files for name in file.columns], kind, control=control)
    files = [_without(file, withheld) for file in files]
    each = [by_gene(file, hierarchy) for file in files]
    values = np.hstack([found for found, *_ in each])
    names = _column_names(files)
    missing = ~np.isfinite(values).any(axis=1)
    standard, kept = _standardised(values, trained)
    # a control that was to be told of terms alone goes without: its partner of the series is told them
    if not kept.any() and not (control and not names):
        why = "each column has one value, or none, for all of them"
        message = f"{_paths(files)}: no column tells the {int(trained.sum()):,} genes deleted in training apart"
        raise InvalidInput(message, why=why, hint="pass vectors of these genes: gocell gene-vectors --out FILE")
    left = [name for name, stays in zip(names, kept.tolist(), strict=True) if not stays]
    return GeneVectors(
        values=standard[:, kept],
        names=tuple(name for name, stays in zip(names, kept.tolist(), strict=True) if stays),
        missing=missing,
        sources=tuple(source for _, source, _ in each),
        notes=(
            *(note for *_, note in each),
            *_told(withheld, ", ".join((phenotype, *also))),
            *_said(left, missing, trained),
        ),
    )


def _paths(files: Sequence[NamedVectors]) -> str:
    return " and ".join(str(file.path) for file in files)


def _without(file: NamedVectors, columns: Collection[str]) -> NamedVectors:
    stays = [name not in columns for name in file.columns]
    names = tuple(name for name, kept in zip(file.columns, stays, strict=True) if kept)
    return replace(file, columns=names, values=file.values[:, stays])


def _told(withheld: Mapping[str, str], phenotype: str) -> list[str]:
    # many columns for one reason are told together
    reasons: dict[str, list[str]] = {}
    for column, why in withheld.items():
        reasons.setdefault(why, []).append(column)
    return [f"{_few(columns)}: not used for {phenotype}: {why}" for why, columns in reasons.items()]


def by_gene(
    file: NamedVectors, hierarchy: Hierarchy
) -> tuple[Float64[np.ndarray, "genes columns"], VectorSourceRecord, str]:
    """Return a file's numbers by gene, NaN where there is none; what is recorded of the file; what is said of it.

    Raises InvalidInput where too few of its names are genes here.
    """
    number = {name: i for i, name in enumerate(dict.fromkeys(file.names))}
    found = hierarchy.lookup.look_up(tuple(number))
    of_row = np.array([number[name] for name in file.names], dtype=np.int32)
    named = np.array([bool(name) for name in file.names], dtype=bool)
    counts = hierarchy.lookup.counts(str(file.path), found, np.where(named, of_row, -1)[:, None])
    few = few_found(counts, len(hierarchy.gene_names))
    gene = np.where(named, found.gene[of_row] if len(of_row) else 0, UNKNOWN)
    has = gene >= 0
    values, rows = _means(file.values[has], gene[has], len(hierarchy.gene_names))
    source = VectorSourceRecord(
        path=str(file.path),
        sha256=file.sha256,
        rows=len(file),
        columns=len(file.columns),
        genes=int((rows > 0).sum()),
        unnamed=int((~named).sum()),
        unknown=int(((gene == UNKNOWN) & named).sum()),
        ambiguous=int((gene == AMBIGUOUS).sum()),
        repeated=int(np.maximum(rows - 1, 0).sum()),
        empty_cells=int(np.isnan(values[rows > 0]).sum()),
    )
    names = (*counts.unknown, *(name for name, _ in counts.ambiguous))
    told = [_line(source, [name for name in names if name]), *file.notes, *([few] if few else [])]
    return values, source, "; ".join(told)


def _means(
    values: Float64[np.ndarray, "rows columns"], gene: Shaped[np.ndarray, " rows"], genes: int
) -> tuple[Float64[np.ndarray, "genes columns"], Shaped[np.ndarray, " genes"]]:
    """The mean of each gene's rows, cell by cell, of what is not empty; NaN where all is. And how many rows it has."""
    known = np.isfinite(values)
    total, count = np.zeros((genes, values.shape[1])), np.zeros((genes, values.shape[1]))
    np.add.at(total, gene, np.where(known, values, 0.0))
    np.add.at(count, gene, known)
    return total / np.where(count > 0, count, np.nan), np.bincount(gene, minlength=genes)


def _line(source: VectorSourceRecord, names: Sequence[str]) -> str:
    others = [
        f"{count:,} {what}"
        for count, what in (
            (source.unknown, "rows of unknown names"),
            (source.ambiguous, "rows of names of several genes"),
            (source.unnamed, "rows without a name"),
            (source.repeated, "rows of a gene that has one already, which are averaged"),
            (source.empty_cells, "empty cells"),
        )
        if count
    ]
    examples = f" ({', '.join(names[:SHOWN])}{', ..' if len(names) > SHOWN else ''})" if names else ""
    besides = f"; {', '.join(others)}{examples}" if others else ""
    return f"{source.path}: {source.columns:,} numbers for {source.genes:,} genes{besides}"


def _standardised(
    values: Float64[np.ndarray, "genes k"], trained: Bool[np.ndarray, " genes"]
) -> tuple[Float64[np.ndarray, "genes k"], Bool[np.ndarray, " k"]]:
    """Values less the mean, by the SD, of training's genes (0: none known); and which columns differ there."""
    known = np.isfinite(values)
    seen = known & trained[:, None]
    count = np.maximum(seen.sum(axis=0), 1)
    filled = np.where(known, values, 0.0)
    mean = np.where(seen, values, 0.0).sum(axis=0) / count
    deviation = np.where(seen, filled - mean, 0.0)
    sd = np.sqrt(np.square(deviation).sum(axis=0) / count)
    kept = sd > ROUNDING * np.abs(np.where(seen, filled, 0.0)).max(axis=0, initial=0.0)
    return np.where(known, (filled - mean) / np.where(kept, sd, 1.0), 0.0), kept


def _column_names(files: Sequence[NamedVectors]) -> list[str]:
    """Every column's name; with its file's before it where two are called the same, and a number where that is, too."""
    uses = Counter(name for file in files for name in file.columns)
    taken = {GENE, MISSING}
    found = []
    for file in files:
        for name in file.columns:
            called = name if uses[name] == 1 else f"{file.path.stem}:{name}"
            found.append(next(c for c in _numbered(called) if c not in taken))
            taken.add(found[-1])
    return found


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name} ({number})"
        number += 1


def _said(left: Sequence[str], missing: Bool[np.ndarray, " genes"], trained: Bool[np.ndarray, " genes"]) -> list[str]:
    said = []
    if left:
        said.append(f"left out, the same for all genes deleted in training: {_few(left)}")
    if missing.any():
        unseen = int((missing & trained).sum())
        said.append(f"{int(missing.sum()):,} genes have no vector, {unseen:,} of them deleted in training: theirs is 0")
    return said


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"


def keep_vectors(directory: Path, vectors: GeneVectors, hierarchy: Hierarchy) -> GeneVectorsRecord:
    """Write a run's vectors into its directory, so that nothing after needs another file; returns its record."""
    columns = {
        GENE: pa.array(hierarchy.gene_names, pa.string()),
        MISSING: pa.array(vectors.missing),
        **{name: pa.array(vectors.values[:, i]) for i, name in enumerate(vectors.names)},
    }
    with whole_file(directory / KEPT) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="zstd")
    file = record_file(directory, directory / KEPT)
    return GeneVectorsRecord(file, vectors.sources, vectors.names, int(vectors.missing.sum()))


def kept_vectors(directory: Path, record: GeneVectorsRecord, hierarchy: Hierarchy) -> GeneVectors:
    """Return the vectors that a run keeps; raises DamagedCache where the file is not as it was recorded."""
    path = directory / KEPT
    try:
        data = path.read_bytes()
        if record_file(directory, path) != record.file:
            raise DamagedCache(f"{path}: damaged: its sha256 is not the one recorded", hint=AGAIN)
        with pq.ParquetFile(io.BytesIO(data)) as held:
            table = held.read()
        names = tuple(name for name in table.column_names if name not in (GENE, MISSING))
        if table.column(GENE).to_pylist() != list(hierarchy.gene_names):
            raise DamagedCache(f"{path}: its genes are not those of the run's hierarchy", hint=AGAIN)
        columns = [table.column(name).to_numpy() for name in names]
        values = np.stack(columns, axis=1) if columns else np.zeros((len(table), 0))
        missing = table.column(MISSING).to_numpy()
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise DamagedCache(f"{path}: cannot be read: {error}", hint=AGAIN) from error
    return GeneVectors(values, names, missing, record.sources)

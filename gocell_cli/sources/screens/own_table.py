"""A lab's own table -> Dataset: CSV, TSV or Parquet with a genes column, or gene_1 .. gene_k, and a phenotype."""

import io
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import NO_GENE, Dataset, Measurements, Phenotype
from gocell_cli.errors import InvalidInput
from gocell_cli.sources.screens.sga import first_reason, parse_numbers
from gocell_cli.sources.text_file import decode, read_bytes, sha256_of

NAME = "table"
GENES = "genes"
FIRST_LINE = 2
"""Line of the first row, below the header; of Parquet tables too, so that a row has one number in every format."""
GENE_COLUMN = re.compile(r"gene_?([0-9]+)", re.IGNORECASE)
SEPARATOR = re.compile(r"[\s,;|+/]+")
"""Between the genes of one cell; no hyphen, which is part of names like YAL044W-A."""
DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": "\t", ".tab": "\t"}


@dataclass(frozen=True)
class NameReport:
    """How the table's distinct gene names were found: systematic ones, others, those that no gene has or several have.

    `ambiguous` holds each such name with the genes that share it: `("HIS", ("YAL001C (TFC3)", ...))`.
    """

    systematic: int
    other: int
    unknown: tuple[str, ...]
    ambiguous: tuple[tuple[str, tuple[str, ...]], ...]


def read(path: Path, genes: GeneTable, *, column: str | None, kind: str | None) -> tuple[Dataset, NameReport]:
    """Read a table; `column` is the phenotype's (default: the only one beside the genes), `kind` its name.

    Raises SourceMissing where there is no such file, InvalidInput with the line where it is damaged, lacks a column
    or holds no usable row. Rows without a gene, with an unknown, an ambiguous or a repeated one, or without a phenotype
    are dropped and counted: which of several genes a lab meant is not for us to guess.
    """
    table = _read(path)
    gene_columns = _gene_columns(table.column_names, path)
    column = _phenotype_column(table.column_names, gene_columns, column, path)
    value = parse_numbers(table.column(column), path, column, FIRST_LINE)
    cells = zip(*(table.column(name).to_pylist() for name in gene_columns), strict=True)
    named = [[name for cell in row for name in SEPARATOR.split(cell or "") if name] for row in cells]
    # Each distinct name is looked up once; a dict keeps the order in which the report lists them.
    found = {name: genes.lookup.find(name).genes for name in dict.fromkeys(name for row in named for name in row)}
    # An unknown name adds no index here and an ambiguous one several: rows with either are dropped below.
    indices = [[gene for name in row for gene in found[name]] for row in named]
    # The order decides under which reason a row counts, to which several apply.
    reasons = {
        "no_gene": np.array([not row for row in named], dtype=bool),
        "unknown_gene": np.array([any(not found[name] for name in row) for row in named], dtype=bool),
        "ambiguous_gene": np.array([any(len(found[name]) > 1 for name in row) for row in named], dtype=bool),
        "genes_not_distinct": np.array([len(set(row)) < len(row) for row in indices], dtype=bool),
        "no_phenotype": np.isnan(value),
    }
    kept, counts = first_reason(reasons)
    dropped = {reason: n for reason, n in counts.items() if n}
    report = _report(found, genes)
    if not kept.any():
        unknown = f"; unknown: {', '.join(report.unknown[:3])}" if report.unknown else ""
        shared = (
            f"; of several genes: {', '.join(name for name, _ in report.ambiguous[:3])}" if report.ambiguous else ""
        )
        why = f"dropped: {dropped}{unknown}{shared}"
        raise InvalidInput(f"{path}: none of its {len(value)} rows can be used", why=why)
    chosen = np.flatnonzero(kept)
    dataset = Dataset(
        name=NAME,
        phenotype=Phenotype(kind or column),
        measurements=_measurements([indices[i] for i in chosen.tolist()], value[chosen], chosen + FIRST_LINE),
        strains=(),
        queries=(),
        rows_read=len(value),
        dropped=dropped,
        sources={"raw": sha256_of(path)},
        options={"phenotype_column": column},
    )
    return dataset, report


def _measurements(genes: list[list[int]], value: np.ndarray, row: np.ndarray) -> Measurements:
    width = max(map(len, genes))
    # NO_GENE on the left, as in every data set: the genes of a row are its last entries.
    padded = [[NO_GENE] * (width - len(row)) + sorted(row) for row in genes]
    # -1: a table of genes and values names no strains and no queries.
    none = np.full(len(genes), -1, dtype=np.int32)
    return Measurements(
        genes=np.array(padded, dtype=np.int32),
        value=value,
        statistic=np.full(len(genes), np.nan),
        row=row.astype(np.int64),
        query_strain=none,
        array_strain=none,
        query=none,
    )


def _report(found: dict[str, tuple[int, ...]], genes: GeneTable) -> NameReport:
    unknown = tuple(name for name, candidates in found.items() if not candidates)
    ambiguous = tuple(
        (name, tuple(genes.lookup.label(gene) for gene in candidates))
        for name, candidates in found.items()
        if len(candidates) > 1
    )
    systematic = sum(name.upper() in genes.index for name in found)
    return NameReport(systematic, len(found) - systematic - len(unknown) - len(ambiguous), unknown, ambiguous)


def _read(path: Path) -> pa.Table:
    """Every column as text."""
    data = read_bytes(path)
    # The delimiter follows the name, Parquet the content: a lab's .txt may be either, a .parquet seldom lies.
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if data.startswith(b"PAR1"):
        return _parquet(data, path)
    # Blank lines at the end are no rows; within the table they stay, as rows without genes, so that line numbers hold.
    text = decode(data.rstrip(b"\r\n"), path)
    header, newline, _ = text.partition("\n")
    if not newline:
        raise InvalidInput.at(path, None, "the table has a header and no rows" if header else "the table is empty")
    delimiter = DELIMITERS.get(suffix, "\t" if "\t" in header else ",")
    names = [name.strip().strip('"') for name in header.rstrip("\r").split(delimiter)]
    repeated = [name for name, uses in Counter(names).items() if uses > 1]
    if repeated:
        raise InvalidInput.at(path, 1, f"the header names {repeated[0]!r} twice")
    try:
        return pa_csv.read_csv(
            io.BytesIO(text.encode()),
            read_options=pa_csv.ReadOptions(column_names=names, skip_rows=1),
            parse_options=pa_csv.ParseOptions(delimiter=delimiter, ignore_empty_lines=False),
            # Text throughout: pyarrow would guess a type for each column, and name no line where a cell differs.
            convert_options=pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
        )
    except pa.ArrowInvalid as error:
        for number, line in enumerate(text.splitlines(), 1):
            if line.count(delimiter) + 1 != len(names) and '"' not in line:  # a quoted cell may hold the delimiter
                reason = f"{line.count(delimiter) + 1} columns where the header has {len(names)}"
                raise InvalidInput.at(path, number, reason) from error
        raise InvalidInput.at(path, None, str(error)) from error


def _parquet(data: bytes, path: Path) -> pa.Table:
    try:
        table = pq.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError) as error:
        raise InvalidInput.at(path, None, f"not a readable Parquet table ({error})") from error
    # Numbers are cast to text like all else, so that one parser decides in every format what a number is.
    columns = {}
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_list(column.type):
            column = pc.binary_join(pc.cast(column, pa.list_(pa.string())), " ")
        try:
            columns[name] = pc.cast(column, pa.string())
        except pa.ArrowException:
            continue  # of a type that is neither genes nor a phenotype
    return pa.table(columns)


def _gene_columns(names: list[str], path: Path) -> list[str]:
    if GENES in names:
        return [GENES]
    # By number, not by name: gene_10 comes after gene_2.
    numbered = sorted((int(match[1]), name) for name in names if (match := GENE_COLUMN.fullmatch(name)))
    if not numbered:
        raise InvalidInput.at(
            path,
            1,
            "no column holds the deleted genes",
            hint=f"name a column {GENES!r} (names separated by spaces or commas), or columns gene_1, gene_2, ...",
        )
    return [name for _, name in numbered]


def _phenotype_column(names: list[str], genes: list[str], column: str | None, path: Path) -> str:
    others = [name for name in names if name not in genes]
    if column is None and len(others) == 1:
        return others[0]
    if column is not None and column in others:
        return column
    wrong = "which column is the phenotype?" if column is None else f"there is no phenotype column {column!r}"
    raise InvalidInput.at(
        path, 1, wrong, hint=f"--phenotype-column {others[0] if others else 'NAME'}, one of {', '.join(others)}"
    )

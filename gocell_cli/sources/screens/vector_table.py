"""Vectors of genes: a table (CSV, TSV, Parquet, a workbook) with a column of names and columns of numbers, or an npz.

gene,length,abundance       an npz holds the same as arrays: names, and numbers of one or two dimensions,
TPS1,495,12.5               one row a name; `columns`, where it is there, names those of a single matrix
YAL001C,1160,

A name is of any kind: which gene it is, is for whoever has the genes.
"""

import math
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Shaped

from gocell_cli.errors import InvalidInput
from gocell_cli.free_memory import require_memory
from gocell_cli.named_vectors import NamedVectors
from gocell_cli.sources.screens.table_file import INDEX_IN_PARQUET, INDEX_READ_BACK, TableFile, read_table, unnamed
from gocell_cli.sources.text_file import ZIP_DAMAGE, ZIP_MAGIC, open_input, sha256_of
from gocell_cli.user_text import from_cell

NAME_COLUMNS = (
    *("gene", "genes", "gene_name", "name", "names", "systematic", "systematic_name", "orf", "locus", "locus_tag"),
    *("symbol", "gene_id", "id", "protein"),
)
"""What the column of names is called, in any case; the first of these that is there. Else the first of texts."""
COLUMNS = "columns"
MOSTLY = 0.5
"""A column with fewer numbers than this share of its cells is of texts, and left out; one with more has a fault."""
BYTES = 4
"""The four of a zip's beginning."""
NOT_ONE = "a column (or array) of gene names is needed, called for example `gene`"


def read(path: Path) -> NamedVectors:
    """Read a file of vectors.

    Raises SourceMissing where there is no such file, InvalidInput with the line where it is damaged, names no genes, or
    a column of numbers holds what is none; TooLarge where memory is short.
    """
    with open_input(path) as file:
        zipped = file.read(BYTES) == ZIP_MAGIC
    if zipped and _is_npz(path):
        return _of_arrays(path, _arrays(path))
    return _of_table(read_table(path, is_key=lambda name: name.casefold() in NAME_COLUMNS, keep_index=True))


def _is_npz(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except ZIP_DAMAGE:
        return False  # `read_table` says what is wrong with it
    return bool(names) and all(name.endswith(".npy") for name in names)


def _of_table(table: TableFile) -> NamedVectors:
    key = _name_column(table)
    coded = table.texts(key)
    texts = [from_cell(text) for text in coded.texts]
    notes, columns, values = list(table.notes), [], []
    for at, name in enumerate(table.columns):
        if name == key:
            continue
        if name in (unnamed(at), INDEX_IN_PARQUET, INDEX_READ_BACK):
            notes.append(f"{name} is left out: it has no name")
            continue
        found = _numbers(table, name)
        if found is None:
            notes.append(f"{name} is left out: it holds no numbers")
            continue
        columns += [name] if found.shape[1] == 1 else [f"{name}_{i}" for i in range(found.shape[1])]
        values.append(found)
    if not values:
        raise table.fault(None, f"no column holds numbers; its columns are {table.named}")
    names = tuple(texts[code] for code in coded.codes.tolist())
    return NamedVectors(
        table.path, sha256_of(table.path), table.line, names, tuple(columns), np.hstack(values), tuple(notes)
    )


def _name_column(table: TableFile) -> str:
    """The column of names; raises InvalidInput where there is none."""
    called = {name.casefold(): name for name in table.columns}
    # an index of pandas has no name of its own: it is of genes where it holds texts
    texts = (name for name in table.columns if _share_of_numbers(table, name) < MOSTLY)
    found = next((called[name] for name in NAME_COLUMNS if name in called), None) or next(texts, None)
    if found is not None:
        return found
    raise table.fault(None, f"{NOT_ONE}; its columns are {table.named}")


def _share_of_numbers(table: TableFile, name: str) -> float:
    """The share of a column's distinct cells, empty ones left out, that are finite numbers; 1 where all are empty."""
    texts = [text for text in table.texts(name).texts if text]
    return sum(map(_is_number, texts)) / len(texts) if texts else 1.0


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _numbers(table: TableFile, name: str) -> Float64[np.ndarray, "rows width"] | None:
    """A column's numbers, or those of each of its cells where these are lists of as many; None where it is of texts."""
    try:
        return table.numbers(name)[:, None]
    except InvalidInput:
        if _share_of_numbers(table, name) >= MOSTLY:
            raise
    coded = table.texts(name)
    lists = [text.strip("[]()").replace(",", " ").split() for text in coded.texts]
    width = max(map(len, lists))
    if width < 2 or not all(len(cells) in (0, width) and all(map(_is_number, cells)) for cells in lists):
        return None
    each = np.array([[float(cell) for cell in cells] or [np.nan] * width for cells in lists])
    found: Float64[np.ndarray, "rows width"] = each[coded.codes]
    return found


def _arrays(path: Path) -> dict[str, Shaped[np.ndarray, "..."]]:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        require_memory(2 * size, f"{path}: reading {size:,} bytes")
        with np.load(path, allow_pickle=False) as held:
            return {key: held[key] for key in held.files}
    # MemoryError: of an array whose header claims more than any memory holds
    except (*ZIP_DAMAGE, MemoryError) as error:
        hint = "names are saved as np.array(names, dtype=str)" if "pickle" in str(error) else ""
        raise InvalidInput.at(path, None, f"not a readable npz ({error})", hint=hint) from error


def _of_arrays(path: Path, arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> NamedVectors:
    numbers = {key: array for key, array in arrays.items() if array.dtype.kind in "fiub" and array.ndim in (1, 2)}
    key = _name_array(path, arrays)
    names = tuple(_text(name) for name in arrays[key].tolist())
    for other, array in numbers.items():
        if len(array) != len(names):
            reason = f"array {other!r} has {len(array):,} rows, and {key!r} {len(names):,} names"
            raise InvalidInput.at(path, None, reason)
    if not numbers:
        raise InvalidInput.at(path, None, f"no array holds numbers; its arrays are {', '.join(arrays)}")
    values = np.hstack([array.reshape(len(names), -1).astype(np.float64) for array in numbers.values()])
    if np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values).any(axis=1))[0])
        raise InvalidInput.at(path, None, f"row {row + 1}, {names[row]}, holds an infinite number")
    left = [other for other in arrays if other not in (*numbers, key, COLUMNS)]
    return NamedVectors(
        path, sha256_of(path), np.arange(1, len(names) + 1), names, tuple(_array_columns(numbers, arrays)), values,
        tuple(f"{other} is left out: it holds no numbers" for other in left),
    )  # fmt: skip


def _name_array(path: Path, arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> str:
    texts = [key for key, array in arrays.items() if array.dtype.kind in "US" and array.ndim == 1 and key != COLUMNS]
    called = {key.casefold(): key for key in texts}
    found = [called[name] for name in NAME_COLUMNS if name in called] or texts
    if not found:
        raise InvalidInput.at(path, None, f"{NOT_ONE}; its arrays are {', '.join(arrays)}")
    return found[0]


def _text(name: str | bytes) -> str:
    return (name.decode("utf-8", "replace") if isinstance(name, bytes) else name).strip()


def _array_columns(
    numbers: Mapping[str, Shaped[np.ndarray, "..."]], arrays: Mapping[str, Shaped[np.ndarray, "..."]]
) -> Iterator[str]:
    titles = arrays.get(COLUMNS)
    for key, array in numbers.items():
        width = 1 if array.ndim == 1 else array.shape[1]
        if titles is not None and len(numbers) == 1 and titles.shape == (width,) and titles.dtype.kind in "US":
            yield from map(_text, titles.tolist())
        else:
            yield from [key] if array.ndim == 1 else (f"{key}_{i}" for i in range(width))

"""Tab-separated tables of SGA screens, read by pyarrow; damage is reported with file and line."""

import io
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from jaxtyping import Bool, Float64, Int32

from gocell_cli.errors import InvalidInput
from gocell_cli.sources.text_file import decode, read_bytes

T = TypeVar("T")
FIRST_LINE = 2
NULLS = ("", "nan", "NaN", "NA", "N/A", "null")


@dataclass(frozen=True)
class TextTable:
    """Columns as text, by name; row i stands in line `first_line + i` of the file (of a workbook: its row)."""

    columns: pa.Table
    path: Path
    first_line: int = FIRST_LINE

    def __len__(self) -> int:
        rows: int = self.columns.num_rows
        return rows

    def numbers(self, name: str) -> Float64[np.ndarray, " rows"]:
        """Return a column's numbers, as `parse_numbers` does."""
        return parse_numbers(self.columns.column(name), self.path, name, self.first_line)

    def codes(
        self, name: str, parse: Callable[[str], T | None], what: str
    ) -> tuple[Int32[np.ndarray, " rows"], list[T]]:
        """Return a column's codes and parsed texts, as `parse_codes` does."""
        return parse_codes(self.columns.column(name), self.path, parse, what, self.first_line)


def read_table(path: Path, columns: Sequence[str], wanted: Sequence[str]) -> pa.Table:
    """Read the wanted columns as text from a table whose header must be `columns`.

    Raises InvalidInput with the line where the header differs, a row has another number of columns or is
    no UTF-8 text.
    """
    data = read_bytes(path).rstrip(b"\r\n")
    header = decode(data[: data.find(b"\n") + 1] or data, path).rstrip("\r\n").split("\t")
    if header != list(columns):
        raise InvalidInput.at(path, 1, _header_fault(header, columns), hint="pass the table as it was published")
    if b"\n" not in data:
        raise InvalidInput.at(path, None, "the table has a header and no rows")
    try:
        return pa_csv.read_csv(
            io.BytesIO(data),
            read_options=pa_csv.ReadOptions(block_size=8 << 20),
            parse_options=pa_csv.ParseOptions(delimiter="\t", quote_char=False, ignore_empty_lines=False),
            convert_options=pa_csv.ConvertOptions(
                column_types={c: pa.string() for c in columns}, include_columns=list(wanted)
            ),
        )
    except pa.ArrowInvalid as error:
        raise _locate(error, data, path, len(columns)) from error


def _header_fault(header: list[str], columns: Sequence[str]) -> str:
    missing = [c for c in columns if c not in header]
    if missing:
        return f"the header lacks {', '.join(repr(c) for c in missing[:3])}"
    return f"the header's {len(header)} columns are not the {len(columns)} expected, in their order"


def _locate(error: Exception, data: bytes, path: Path, columns: int) -> InvalidInput:
    """Find the line that pyarrow stumbled over: the slow way, since it runs once, before giving up."""
    for number, line in enumerate(re.split("\r\n?|\n", decode(data, path)), 1):
        found = line.count("\t") + 1
        if found != columns:
            return InvalidInput.at(path, number, f"{found} tab-separated columns where {columns} are expected")
    return InvalidInput.at(path, None, str(error))


def parse_numbers(
    column: pa.ChunkedArray, path: Path, name: str, first_line: int = FIRST_LINE
) -> Float64[np.ndarray, " rows"]:
    """Return a column's numbers, NaN where it is empty; raises InvalidInput with the line of a non-number."""
    text = pc.utf8_trim_whitespace(column)
    text = pc.if_else(pc.is_in(text, value_set=pa.array(NULLS)), pa.scalar(None, pa.string()), text)
    try:
        numbers: Float64[np.ndarray, " rows"] = pc.cast(text, pa.float64()).to_numpy()
    except pa.ArrowInvalid as error:
        raise _bad_number(text, path, name, first_line) from error
    if np.isinf(numbers).any():
        raise _bad_number(text, path, name, first_line)
    return numbers


def _bad_number(text: pa.ChunkedArray, path: Path, name: str, first_line: int) -> InvalidInput:
    for row, value in enumerate(text.to_pylist()):
        try:
            finite = value is None or math.isfinite(pc.cast(pa.scalar(value), pa.float64()).as_py())
        except pa.ArrowInvalid:
            finite = False
        if not finite:
            return InvalidInput.at(path, row + first_line, f"column {name!r} is no finite number: {value[:40]!r}")
    return InvalidInput.at(path, None, f"column {name!r} holds a value that is no number")


def parse_codes(
    column: pa.ChunkedArray, path: Path, parse: Callable[[str], T | None], what: str, first_line: int = FIRST_LINE
) -> tuple[Int32[np.ndarray, " rows"], list[T]]:
    """Parse each distinct text of a column once; return the code of each row, and the parsed values.

    `parse` returns None for a text that breaks the rules, which raises InvalidInput with its first line.
    """
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    codes = encoded.indices.to_numpy()
    parsed: list[T] = []
    for code, text in enumerate(encoded.dictionary.to_pylist()):
        value = parse(text)
        if value is None:
            line = int(np.flatnonzero(codes == code)[0]) + first_line
            raise InvalidInput.at(path, line, f"not {what}: {text[:60]!r}")
        parsed.append(value)
    return codes, parsed


def drop_rows(
    reasons: Mapping[str, Bool[np.ndarray, " rows"]],
) -> tuple[Bool[np.ndarray, " rows"], dict[str, int]]:
    """Rows kept, and the rows dropped under the first reason that applies to each."""
    kept = ~np.zeros_like(next(iter(reasons.values())))
    dropped: Counter[str] = Counter()
    for reason, applies in reasons.items():
        dropped[reason] = int((kept & applies).sum())
        kept &= ~applies
    return kept, {reason: n for reason, n in dropped.items() if n}

"""The columns of GO's tab-separated files (GAF, GPAD, GPI), each distinct text once, with the line of every row.

Rows are parsed by pyarrow, column by column. What it cannot read as one table (comments and blank lines among the
rows, rows of different lengths, a fault) is read line by line in Python, which also knows what line to name.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from jaxtyping import Int32, Int64

from gocell_cli.errors import InvalidInput
from gocell_cli.sources.text_file import decode, lines_of

COMMENT = b"!"
BLANK_LINES = re.compile(rb"[ \r\n]*(?:\n|\Z)")
"""All at once, however many."""
CODED = pa.dictionary(pa.int32(), pa.string())


class Column(NamedTuple):
    """A column of texts, blanks about them taken off: `texts[codes[i]]` is row i's."""

    codes: Int32[np.ndarray, " rows"]
    texts: list[str]

    def strings(self) -> tuple[str, ...]:
        """Return the text of each row."""
        return tuple(map(self.texts.__getitem__, self.codes.tolist()))


@dataclass(frozen=True)
class TabFile:
    """The rows of a file; `columns[N]` is its column N, 1-based, and empty texts where no row has it."""

    path: Path
    line: Int32[np.ndarray, " rows"]
    columns: dict[int, Column]

    def __len__(self) -> int:
        return len(self.line)


def header_of(data: bytes) -> tuple[list[str], list[str]]:
    """Return the comments that a file begins with, and the cells of its first row."""
    begin = _rows_begin(data)[0]
    end = data.find(b"\n", begin)
    first = data[begin : end if end >= 0 else len(data)].decode(errors="replace").rstrip("\r")
    comments = data[:begin].decode(errors="replace").splitlines()
    return [c.strip() for c in comments if c.strip()], first.split("\t") if first else []


def read_columns(data: bytes, path: Path, wanted: Sequence[int], widths: tuple[int, int], kind: str) -> TabFile:
    """Read some columns of a file whose rows have `widths` columns, at least and at most.

    Raises InvalidInput with the line of a row with too few or too many, and of what is no UTF-8; `kind` is what
    such a row is told to break.
    """
    decode(data, path)
    begin, first_line = _rows_begin(data)
    end = len(data)
    while end > begin and data[end - 1] in b"\r\n":
        end -= 1
    columns = _at_once(data, begin, end, wanted, widths)
    if columns is not None:
        rows = len(next(iter(columns.values())).codes)
        return TabFile(path, np.arange(first_line, first_line + rows, dtype=np.int32), columns)
    return _line_by_line(data, path, wanted, widths, kind)


def codes_of(*parts: Int32[np.ndarray, " rows"]) -> Int32[np.ndarray, " rows"]:
    """Number the distinct combinations of some codes, in the order in which they first stand."""
    numbers: Int32[np.ndarray, " rows"] = np.zeros(len(parts[0]), dtype=np.int32)
    for part in parts:
        # Two codes as one number of 64 bits: each is below 2^31.
        pairs: Int64[np.ndarray, " rows"] = numbers.astype(np.int64) << 32 | part
        # Not pyarrow's dictionary_encode, which imports pyarrow.compute at its first call: 0.1 s.
        _, first, inverse = np.unique(pairs, return_index=True, return_inverse=True)
        place = np.empty(len(first), dtype=np.int32)
        place[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
        numbers = place[inverse]
    return numbers


def _rows_begin(data: bytes) -> tuple[int, int]:
    """Return where the first row begins, and in which line."""
    begin, line = 0, 1
    while begin < len(data):
        blank = BLANK_LINES.match(data, begin)
        if blank is not None:
            line, begin = line + data.count(b"\n", begin, blank.end()), blank.end()
        if data[begin : begin + 1] != COMMENT:
            break
        end = data.find(b"\n", begin)
        begin, line = end + 1 if end >= 0 else len(data), line + 1
    return begin, line


def _at_once(
    data: bytes, begin: int, end: int, wanted: Sequence[int], widths: tuple[int, int]
) -> dict[int, Column] | None:
    """Return the columns of the rows from `begin` to `end`, None where they are not all of one length."""
    line_end = data.find(b"\n", begin, end)
    width = data.count(b"\t", begin, line_end if line_end >= 0 else end) + 1
    # Comments and blank lines among the rows: pyarrow would take them for rows.
    odd = (b"\n!", b"\n\n", b"\n\r\n")
    if begin == end or not widths[0] <= width <= widths[1] or any(data.find(o, begin, end) >= 0 for o in odd):
        return None
    names = [str(n) for n in range(1, width + 1)]
    there = [str(n) for n in wanted if n <= width]
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(pa.py_buffer(memoryview(data)[begin:end])),
            # In one block and one thread, so that each column has one dictionary.
            read_options=pa_csv.ReadOptions(column_names=names, use_threads=False, block_size=end - begin + 1),
            # No quoting: names hold quotes and primes as they are. Empty lines are kept, for line numbers' sake.
            parse_options=pa_csv.ParseOptions(delimiter="\t", quote_char=False, ignore_empty_lines=False),
            convert_options=pa_csv.ConvertOptions(column_types=dict.fromkeys(there, CODED), include_columns=there),
        )
    except pa.ArrowInvalid:
        return None
    # A carriage return within a line is a line end to pyarrow and none to us.
    if table.num_rows != data.count(b"\n", begin, end) + 1:
        return None
    found = {int(name): _column(table.column(name).chunk(0)) for name in there}
    return {n: found[n] if n in found else _empty(table.num_rows) for n in wanted}


def _line_by_line(data: bytes, path: Path, wanted: Sequence[int], widths: tuple[int, int], kind: str) -> TabFile:
    lines: list[int] = []
    cells: dict[int, list[str]] = {n: [] for n in wanted}
    for number, line in lines_of(data.decode()):
        if line.startswith("!") or not line.strip(" \r"):
            continue
        fields = line.rstrip("\r").split("\t")
        if not widths[0] <= len(fields) <= widths[1]:
            raise InvalidInput.at(
                path, number, f"{len(fields)} tab-separated columns where {kind}", hint="is it the right file?"
            )
        lines.append(number)
        for n, column in cells.items():
            column.append(fields[n - 1] if n <= len(fields) else "")
    columns = {n: _column(pa.array(column, pa.string()).dictionary_encode()) for n, column in cells.items()}
    return TabFile(path, np.array(lines, dtype=np.int32), columns)


def _column(coded: pa.DictionaryArray) -> Column:
    texts = [text.strip() for text in coded.dictionary.to_pylist()]
    codes = _numbers(coded.indices)
    # Texts that blanks told apart are one again.
    place = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    if len(place) < len(texts):
        codes = np.array([place[text] for text in texts], dtype=np.int32)[codes]
    return Column(codes, list(place))


def _numbers(codes: pa.Int32Array) -> Int32[np.ndarray, " rows"]:
    """Return codes as an array over pyarrow's memory."""
    # Not to_numpy, which imports pandas where it is installed: 0.4 s, to find that these are none of its series.
    return np.frombuffer(codes.buffers()[1], dtype=np.int32, count=len(codes), offset=4 * codes.offset)


def _empty(rows: int) -> Column:
    return Column(np.zeros(rows, dtype=np.int32), [""])

"""SGA tables too large to hold as text: streamed block by block into codes and numbers, parsed in threads.

The same rules as in `sga_table`, and the same errors with file and line; memory is bounded by a few blocks.
"""

import io
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from jaxtyping import Float64, Int32

from gocell_cli.errors import InvalidInput
from gocell_cli.sources.screens.line_blocks import LineBlock, LineBlocks
from gocell_cli.sources.screens.sga_table import NULLS, parse_numbers

MOST_THREADS = 4
CODED = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True)
class CodedTexts:
    """A column of texts: `texts[codes[i]]` is row i's."""

    codes: Int32[np.ndarray, " rows"]
    texts: list[str]


@dataclass(frozen=True)
class RowBlock:
    """Consecutive rows of a table; row i stands in line `first_line + i`. Missing numbers are NaN."""

    first_line: int
    texts: Mapping[str, CodedTexts]
    numbers: Mapping[str, Float64[np.ndarray, " rows"]]

    def __len__(self) -> int:
        return len(next(iter(self.texts.values())).codes)

    def line(self, column: str, code: int) -> int:
        """First line whose text in a column has this code."""
        return self.first_line + int(np.flatnonzero(self.texts[column].codes == code)[0])


@dataclass(frozen=True)
class Wanted:
    """All columns of a table in their order, under the names that `texts` and `numbers` choose from."""

    columns: tuple[str, ...]
    texts: tuple[str, ...]
    numbers: tuple[str, ...]


def stream_table(
    blocks: LineBlocks, wanted: Wanted, header_fault: Callable[[list[str]], str | None]
) -> Iterator[RowBlock]:
    """Yield the rows of a tab-separated table, in order.

    `header_fault` says what is wrong with the first line's cells, None where nothing is. Raises InvalidInput
    with the line where it says so, where a row has another number of columns, is no UTF-8 text or holds a
    number that is none; also where there are no rows.
    """
    lines = iter(blocks)
    header, body = _split_header(next(lines, LineBlock(1, b"")))
    fault = header_fault(_header_cells(header, blocks.path))
    if fault is not None:
        raise InvalidInput.at(blocks.path, 1, fault, hint="pass the table as it was published")
    rows = 0
    for block in _in_threads(_chain(body, lines), lambda block: _parse(block, blocks.path, wanted)):
        rows += len(block)
        yield block
    if not rows:
        raise InvalidInput.at(blocks.path, None, "the table has a header and no rows")


def _split_header(first: LineBlock) -> tuple[bytes, LineBlock | None]:
    header, newline, rest = first.data.partition(b"\n")
    return header, LineBlock(first.first_line + 1, rest) if newline else None


def _header_cells(header: bytes, path: Path) -> list[str]:
    try:
        return header.decode("utf-8-sig").rstrip("\r").split("\t")
    except UnicodeDecodeError as error:
        raise InvalidInput.at(path, 1, f"not utf-8 text ({error.reason})") from error


def _chain(first: LineBlock | None, others: Iterator[LineBlock]) -> Iterator[LineBlock]:
    if first is not None:
        yield first
    yield from others


def _in_threads(blocks: Iterator[LineBlock], parse: Callable[[LineBlock], RowBlock]) -> Iterator[RowBlock]:
    """Parse a few blocks ahead; pyarrow lets go of the interpreter's lock."""
    threads = min(MOST_THREADS, len(os.sched_getaffinity(0)))
    pending: deque[Future[RowBlock]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for block in blocks:
            pending.append(pool.submit(parse, block))
            if len(pending) > threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _parse(block: LineBlock, path: Path, wanted: Wanted) -> RowBlock:
    try:
        table = _read(block, wanted, pa.float64())
        numbers = {name: table.column(name).to_numpy() for name in wanted.numbers}
    except pa.ArrowInvalid:
        return _parse_again(block, path, wanted)
    if table.num_rows != block.lines or any(np.isinf(column).any() for column in numbers.values()):
        return _parse_again(block, path, wanted)
    return RowBlock(block.first_line, _texts(table, wanted), numbers)


def _parse_again(block: LineBlock, path: Path, wanted: Wanted) -> RowBlock:
    """Read numbers as text first: for cells of spaces, and to name the line of what is no number."""
    try:
        table = _read(block, wanted, pa.string())
    except pa.ArrowInvalid as error:
        raise _fault(block, path, len(wanted.columns)) or InvalidInput.at(path, None, str(error)) from error
    fault = _fault(block, path, len(wanted.columns)) if table.num_rows != block.lines else None
    if fault is not None:
        raise fault
    numbers = {name: parse_numbers(table.column(name), path, name, block.first_line) for name in wanted.numbers}
    return RowBlock(block.first_line, _texts(table, wanted), numbers)


def _read(block: LineBlock, wanted: Wanted, number: pa.DataType) -> pa.Table:
    types = {**dict.fromkeys(wanted.texts, CODED), **dict.fromkeys(wanted.numbers, number)}
    return pa_csv.read_csv(
        io.BytesIO(block.data),
        read_options=pa_csv.ReadOptions(
            column_names=list(wanted.columns), use_threads=False, block_size=len(block.data) + 1
        ),
        parse_options=pa_csv.ParseOptions(delimiter="\t", quote_char=False, ignore_empty_lines=False),
        convert_options=pa_csv.ConvertOptions(
            column_types=types, include_columns=[*wanted.texts, *wanted.numbers], null_values=list(NULLS)
        ),
    )


def _texts(table: pa.Table, wanted: Wanted) -> dict[str, CodedTexts]:
    columns = {name: table.column(name).chunk(0) for name in wanted.texts}
    return {name: CodedTexts(c.indices.to_numpy(), c.dictionary.to_pylist()) for name, c in columns.items()}


def _fault(block: LineBlock, path: Path, columns: int) -> InvalidInput | None:
    """Find the line that pyarrow stumbled over: the slow way, since it runs once, before giving up."""
    for number, line in enumerate(block.data.split(b"\n"), block.first_line):
        text = line.removesuffix(b"\r")
        found = text.count(b"\t") + 1
        if found != columns:
            return InvalidInput.at(path, number, f"{found} tab-separated columns where {columns} are expected")
        if b"\r" in text:
            return InvalidInput.at(path, number, "a carriage return within the line")
        try:
            text.decode()
        except UnicodeDecodeError as error:
            return InvalidInput.at(path, number, f"not utf-8 text ({error.reason})")
    return None

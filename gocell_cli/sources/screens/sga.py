"""Tables of SGA screens (synthetic genetic arrays), tab separated, of any size: the one reader of them all.

    file -> LineBlocks     whole lines, unpacked and hashed on the way
         -> stream_table   RowBlocks: texts as codes, numbers as float64, parsed a few blocks ahead in threads
         -> KeptRows       what a data set's module keeps of each block, and how many rows it drops for which reason

This is where a TSV line is read. Its way to a sample: `stream_table` here, the rules of its data set (`kuzmin.read`,
`costanzo.read`), strain ids to genes (`strains`), rows of one genotype merged (`domain/genotype.py`), and
`building/contents.py` makes a sample of them.

Costanzo 2016 is 20.7 million rows and 3.5 GB of text, which as Python or Arrow strings would not fit the memory of a
laptop; so nothing of a block but its kept rows outlives it. Damage is one InvalidInput with file and line.
"""

import hashlib
import io
import math
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from jaxtyping import Bool, Float64, Int32, Int64, Shaped

from gocell_cli.errors import InvalidInput
from gocell_cli.sources.text_file import open_input, text_chunks

T = TypeVar("T")

BLOCK_BYTES = 8 << 20
"""Bytes read at once, some 50,000 rows: a block's fixed costs vanish, and a handful of blocks is little memory."""
MOST_THREADS = 4
"""One thread reads and hashes for all; the more parse, the more blocks are held at once."""
NULLS = ("", "nan", "NaN", "NA", "N/A", "null")
"""What stands for a missing number: nothing in Data S1 and in workbooks; the others in what R or pandas wrote."""
CODED = pa.dictionary(pa.int32(), pa.string())
GROWTH = 1 << 21
"""Rows that a column grows by. Blocks of this size are pages of their own to the allocator: moved, not copied."""


@dataclass(frozen=True)
class LineBlock:
    """Whole lines, the last one without its line end; `first_line` is the number of the first, 1-based."""

    first_line: int
    data: bytes

    @property
    def lines(self) -> int:
        """Number of lines."""
        return self.data.count(b"\n") + 1


class LineBlocks:
    """The lines of a file, in blocks of about `block_bytes`; blank lines at its end are left out.

    `sha256` is the file's, as it lies on the disk (packed or not), once all blocks are read.
    """

    def __init__(self, path: Path, block_bytes: int = BLOCK_BYTES) -> None:
        self.path = path
        self.block_bytes = block_bytes
        self.sha256 = ""

    def __iter__(self) -> Iterator[LineBlock]:
        """Yield the blocks.

        Raises SourceMissing where there is no such file, InvalidInput as `read_bytes` does and where a line is
        longer than a block.
        """
        line, rest = 1, b""
        for read in self._reads():
            data = rest + read
            # Blank lines at the end of what has come may be the file's last, which count for nothing, or stand between
            # rows, where each is a fault with a number: they wait in `rest` until the next read tells.
            whole = data[: data.rfind(b"\n") + 1].rstrip(b"\r\n")
            if whole:
                block = LineBlock(line, whole)
                yield block
                line += block.lines
                # The rest begins after the line end of the last whole line, which rstrip took off.
                data = data[data.index(b"\n", len(whole)) + 1 :]
            # A file without line ends (no table at all) would otherwise grow in `rest`, copied again at every read.
            elif len(data) > 2 * self.block_bytes:
                raise InvalidInput.at(self.path, line, f"no line ends within {self.block_bytes:,} bytes")
            rest = data
        if last := rest.rstrip(b"\r\n"):
            yield LineBlock(line, last)

    def _reads(self) -> Iterator[bytes]:
        # The BufferedReader buffers, on the far side of the hash.
        with open_input(self.path) as file:
            hashed = _HashedReader(file)
            buffered = io.BufferedReader(hashed, max(self.block_bytes, io.DEFAULT_BUFFER_SIZE))
            yield from text_chunks(cast("io.BufferedReader", buffered), self.path, self.block_bytes)
        # Only now: before the last read the digest is of a part.
        self.sha256 = hashed.digest.hexdigest()


class _HashedReader(io.RawIOBase):
    """Passes a file's bytes on and hashes them: a table of gigabytes is read once, not once more for its sha256."""

    def __init__(self, file: BinaryIO | io.FileIO) -> None:
        self.file = file
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # what io calls a buffer
        count = self.file.readinto(buffer) or 0  # type: ignore[union-attr]
        self.digest.update(memoryview(buffer)[:count])
        return count


class CodedTexts(NamedTuple):
    """A column of texts: `texts[codes[i]]` is row i's. Each distinct text is looked at once, not once a row."""

    codes: Int32[np.ndarray, " rows"]
    texts: list[str]


@dataclass(frozen=True)
class RowBlock:
    """Consecutive rows of a table; row i stands in line `first_line + i` of `path`. Missing numbers are NaN."""

    path: Path
    first_line: int
    texts: Mapping[str, CodedTexts]
    numbers: Mapping[str, Float64[np.ndarray, " rows"]]

    def __len__(self) -> int:
        return len(next(iter(self.texts.values())).codes)

    @property
    def line(self) -> Int64[np.ndarray, " rows"]:
        """Line of each row."""
        return np.arange(self.first_line, self.first_line + len(self), dtype=np.int64)

    def parse(
        self, column: str, parse: Callable[[str], T | None], fault: str
    ) -> tuple[Int32[np.ndarray, " rows"], list[T]]:
        """Return the code of each row's text, and the parsed texts.

        `parse` returns None for a text that breaks the rules: that raises InvalidInput, `fault` and its first line.
        """
        codes, texts = self.texts[column]
        parsed: list[T] = []
        for code, text in enumerate(texts):
            value = parse(text)
            if value is None:
                raise self.fault(column, code, f"{fault}: {text[:60]!r}")
            parsed.append(value)
        return codes, parsed

    def fault(self, column: str, code: int, reason: str) -> InvalidInput:
        """Return the error for the first line whose text in a column has this code."""
        row = int(np.flatnonzero(self.texts[column].codes == code)[0])
        return InvalidInput.at(self.path, self.first_line + row, reason)


class Wanted(NamedTuple):
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
    # An empty file yields no block; its header is then an empty line, which `header_fault` refuses.
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


def header_differs(found: list[str], expected: tuple[str, ...]) -> str | None:
    """Say why a header is not the expected one, None where it is."""
    missing = [name for name in expected if name not in found]
    if missing:
        return f"the header lacks {', '.join(map(repr, missing[:3]))}"
    if found != list(expected):
        return f"the header's {len(found)} columns are not the {len(expected)} expected, in their order"
    return None


def _split_header(first: LineBlock) -> tuple[bytes, LineBlock | None]:
    header, newline, rest = first.data.partition(b"\n")
    # None, not an empty block: a block counts as one line even where it holds no byte.
    return header, LineBlock(first.first_line + 1, rest) if newline else None


def _header_cells(header: bytes, path: Path) -> list[str]:
    try:
        return header.decode("utf-8-sig").rstrip("\r").split("\t")  # Excel puts a byte order mark before its exports
    except UnicodeDecodeError as error:
        raise InvalidInput.at(path, 1, f"not utf-8 text ({error.reason})") from error


def _chain(first: LineBlock | None, others: Iterator[LineBlock]) -> Iterator[LineBlock]:
    if first is not None:
        yield first
    yield from others


def _in_threads(blocks: Iterator[LineBlock], parse: Callable[[LineBlock], RowBlock]) -> Iterator[RowBlock]:
    """Parse a few blocks ahead, yielding them in order; pyarrow lets go of the interpreter's lock."""
    # The cores that this process may use: a batch job or a container has fewer than the machine.
    threads = min(MOST_THREADS, len(os.sched_getaffinity(0)))
    pending: deque[Future[RowBlock]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for block in blocks:
            pending.append(pool.submit(parse, block))
            if len(pending) > threads:  # one more than can run: no thread waits, and memory stays bounded
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        # No waiting, as `with` would: rows that nobody takes any more may end in the garbage collector, while a thread
        # is being started and Python holds the lock that joining another needs; both waited for ever.
        pool.shutdown(wait=False, cancel_futures=True)


def _parse(block: LineBlock, path: Path, wanted: Wanted) -> RowBlock:
    try:
        table = _read(block, wanted, pa.float64())
        # Nulls of a float64 column become NaN here.
        numbers = {name: table.column(name).to_numpy() for name in wanted.numbers}
    except pa.ArrowInvalid:
        return _parse_again(block, path, wanted)
    # A carriage return within a line is a line end to pyarrow and none to us; `inf` is a number to it and none to us.
    if table.num_rows != block.lines or any(np.isinf(column).any() for column in numbers.values()):
        return _parse_again(block, path, wanted)
    return RowBlock(path, block.first_line, _texts(table, wanted), numbers)


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
    return RowBlock(path, block.first_line, _texts(table, wanted), numbers)


def _read(block: LineBlock, wanted: Wanted, number: pa.DataType) -> pa.Table:
    types = {**dict.fromkeys(wanted.texts, CODED), **dict.fromkeys(wanted.numbers, number)}
    return pa_csv.read_csv(
        io.BytesIO(block.data),
        # One block and no threads of pyarrow's: the block is already a part of the file, parsed beside others, and
        # each column comes in one chunk with one dictionary.
        read_options=pa_csv.ReadOptions(
            column_names=list(wanted.columns), use_threads=False, block_size=len(block.data) + 1
        ),
        # No quoting: allele names hold quotes and primes as they are. Empty lines are kept, for line numbers' sake.
        parse_options=pa_csv.ParseOptions(delimiter="\t", quote_char=False, ignore_empty_lines=False),
        convert_options=pa_csv.ConvertOptions(
            column_types=types, include_columns=[*wanted.texts, *wanted.numbers], null_values=list(NULLS)
        ),
    )


def _texts(table: pa.Table, wanted: Wanted) -> dict[str, CodedTexts]:
    # Chunk 0 is all of it, for `_read` reads the block as one.
    return {name: _coded(table.column(name).chunk(0)) for name in wanted.texts}


def _coded(column: pa.DictionaryArray) -> CodedTexts:
    # No text is null (pyarrow's strings_can_be_null is off), so that every row has a code.
    return CodedTexts(column.indices.to_numpy(), column.dictionary.to_pylist())


def block_of_texts(path: Path, first_line: int, columns: Mapping[str, list[str]], wanted: Wanted) -> RowBlock:
    """Return the rows of a table that is at hand as text (a workbook's); raises InvalidInput as `stream_table` does."""
    arrays = {name: pa.array(columns[name], pa.string()) for name in (*wanted.texts, *wanted.numbers)}
    return RowBlock(
        path,
        first_line,
        {name: _coded(arrays[name].dictionary_encode()) for name in wanted.texts},
        {name: parse_numbers(pa.chunked_array([arrays[name]]), path, name, first_line) for name in wanted.numbers},
    )


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


def parse_numbers(
    column: pa.ChunkedArray, path: Path, name: str, first_line: int | Int64[np.ndarray, " rows"]
) -> Float64[np.ndarray, " rows"]:
    """Return a text column's numbers, NaN where it is empty; raises InvalidInput with the line of a non-number.

    `first_line` is the line of the first row, or the line of each row where rows take several lines.
    """
    text = pc.utf8_trim_whitespace(column)
    text = pc.if_else(pc.is_in(text, value_set=pa.array(NULLS)), pa.scalar(None, pa.string()), text)
    try:
        numbers: Float64[np.ndarray, " rows"] = pc.cast(text, pa.float64()).to_numpy()
    except pa.ArrowInvalid as error:
        raise _bad_number(text, path, name, first_line) from error
    if np.isinf(numbers).any():  # "inf" and 1e999 alike: no fitness or score is infinite
        raise _bad_number(text, path, name, first_line)
    return numbers


def _bad_number(
    text: pa.ChunkedArray, path: Path, name: str, first_line: int | Int64[np.ndarray, " rows"]
) -> InvalidInput:
    for row, value in enumerate(text.to_pylist()):
        try:  # by pyarrow's own rules, which refuse what Python's float() takes, such as 1_000
            finite = value is None or math.isfinite(pc.cast(pa.scalar(value), pa.float64()).as_py())
        except pa.ArrowInvalid:
            finite = False
        if not finite:
            line = row + first_line if isinstance(first_line, int) else int(first_line[row])
            return InvalidInput.at(path, line, f"column {name!r} is no finite number: {value[:40]!r}")
    return InvalidInput.at(path, None, f"column {name!r} holds a value that is no number")


def first_reason(
    reasons: Mapping[str, Bool[np.ndarray, " rows"]],
) -> tuple[Bool[np.ndarray, " rows"], dict[str, int]]:
    """Rows kept, and how many are dropped by each reason; a row to which several apply counts under the first."""
    kept = ~np.zeros_like(next(iter(reasons.values())))
    dropped = {}
    for reason, applies in reasons.items():
        dropped[reason] = int((kept & applies).sum())
        kept &= ~applies
    return kept, dropped


class KeptRows:
    """Rows kept of a table, block by block, each column in one piece of memory; and the number of those dropped."""

    def __init__(self) -> None:
        self.rows_read = 0
        self._columns: dict[str, _GrowingColumn] = {}
        self._dropped: dict[str, int] = {}

    def add(self, reasons: Mapping[str, Bool[np.ndarray, " rows"]], **columns: Shaped[np.ndarray, "rows ..."]) -> None:
        """Add the rows of a block to which no reason applies; the reasons are the same, in order, for every block."""
        kept, dropped = first_reason(reasons)
        self.rows_read += len(kept)
        for reason, count in dropped.items():
            self._dropped[reason] = self._dropped.get(reason, 0) + count
        for name, column in columns.items():
            self._columns.setdefault(name, _GrowingColumn()).append(column[kept])

    @property
    def dropped(self) -> dict[str, int]:
        """How many rows were dropped by each reason that applied to any, in the order of the reasons."""
        return {reason: count for reason, count in self._dropped.items() if count}

    def finish(self) -> dict[str, Shaped[np.ndarray, "rows ..."]]:
        """Return the columns, and give them up; there are none where no block was added."""
        columns, self._columns = self._columns, {}
        return {name: column.finish() for name, column in columns.items()}


class _GrowingColumn:
    """Appended to until `finish`: blocks that are joined at the end would have to be held twice."""

    def __init__(self) -> None:
        self._held: np.ndarray | None = None
        self._rows = 0

    def append(self, values: np.ndarray) -> None:
        """Add rows; dtype and width are those of the first block."""
        if self._held is None:
            self._held = np.empty((0, *values.shape[1:]), dtype=values.dtype)
        stop = self._rows + len(values)
        if stop > len(self._held):
            # In place: no second copy of the column. No view of it leaves this class before `finish`: no refcheck.
            self._held.resize((stop + GROWTH, *self._held.shape[1:]), refcheck=False)
        self._held[self._rows : stop] = values
        self._rows = stop

    def finish(self) -> np.ndarray:
        held, self._held = self._held, None
        if held is None:
            raise ValueError("no block was added")
        # Gives back what it had grown by beyond its rows.
        held.resize((self._rows, *held.shape[1:]), refcheck=False)
        return held

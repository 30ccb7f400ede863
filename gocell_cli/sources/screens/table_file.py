"""A lab's table, whatever its format -> columns of text: CSV of any delimiter, Parquet, or a sheet of a workbook.

The content says the format, never the name: a lab's `.csv` may be separated by tabs or semicolons, its `.txt` by
commas. Cells are texts throughout, and each distinct one stands once: who looks them up does so once a text.
"""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from jaxtyping import Float64, Int64

from gocell_cli.errors import InvalidInput
from gocell_cli.sources.screens.code_pages import code_page
from gocell_cli.sources.screens.sga import CodedTexts, parse_numbers
from gocell_cli.sources.screens.workbook import Cell, is_workbook, open_sheet
from gocell_cli.sources.text_file import decode, open_input, read_bytes

FIRST_LINE = 2
"""Line of the first row, below the header; of Parquet tables too, so that a row has one number in every format."""
DELIMITERS = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar", " ": "blank"}
"""In the order that decides where several would do."""
PARQUET_MAGIC = b"PAR1"
SHORT = "every line of a table has as many cells as its header; is it the right file?"
INDEX_READ_BACK, INDEX_IN_PARQUET = "Unnamed: 0", "__index_level_0__"
"""What pandas calls a column of row numbers whose header was empty, and how it keeps one in Parquet."""
DECIMAL_COMMA = r"^\s*[-+]?\d*,\d+([eE][-+]?\d+)?\s*$"
LARGEST_BLOCK, MOST_BYTES = 1 << 30, 4 << 30
LARGEST_WHOLE = 1 << 53
"""float64 tells whole numbers apart up to here."""
POINT, COMMA = "point", "comma"
DECIMALS = (POINT, COMMA)
THOUSANDS = r"^\s*[-+]?[1-9]\d{0,2}(,\d{3})+\s*$"
WORD = r"^[^0-9]*$|^#"
"""What stands where a number is missing: `n.d.`, `sick`, or what Excel says of a formula, `#DIV/0!`."""
NO_WORDS = r"(?i)^[-+]?inf(inity)?$"
"""What pyarrow takes for a number: it is infinite, and told as such."""
MULTIBYTE = re.compile(rb"[\xc2-\xf4][\x80-\xbf]+")
"""A letter of UTF-8 beyond ASCII: two such bytes beside each other are rare in a code page."""


class TextForm(NamedTuple):
    """How a table of text is written, as its user says; "" or None for what its reader is to find out."""

    delimiter: str = ""
    encoding: str | None = None


class Measured(NamedTuple):
    """A column's numbers, NaN where one is missing; its decimal mark; and the words that stood for missing ones."""

    values: Float64[np.ndarray, " rows"]
    decimal: str
    words: Mapping[str, int]


@dataclass(frozen=True)
class TableFile:
    """A table's columns by name, all as text; row i stands in line `line[i]` of `path` (of a workbook: in that row).

    `notes` say what was set aside of the file, and what was chosen for its reader. `delimiter` is a word of DELIMITERS,
    "" where the file's format has none; `encoding` the code page of a text that is no UTF-8, else "".
    """

    path: Path
    columns: Mapping[str, pa.Array]
    line: Int64[np.ndarray, " rows"]
    notes: tuple[str, ...]
    delimiter: str = ""
    encoding: str = ""

    def __len__(self) -> int:
        return len(self.line)

    def fault(self, row: int | None, reason: str, *, hint: str = "") -> InvalidInput:
        """Return the error for one row; None: for the header."""
        header = int(self.line[0]) - 1 if len(self) else 1
        return InvalidInput.at(self.path, header if row is None else int(self.line[row]), reason, hint=hint)

    @property
    def named(self) -> str:
        """The columns, for errors: whoever names one that is not there sees those that are."""
        return ", ".join(self.columns)

    def column(self, wanted: str, purpose: str) -> str:
        """Return a column's own name for one that is wanted, in any case; raises InvalidInput where there is none."""
        if wanted in self.columns:
            return wanted
        found = [name for name in self.columns if name.casefold() == wanted.strip().casefold()]
        if len(found) == 1:
            return found[0]
        reason = f"there is no {purpose} {wanted!r}" if not found else f"{wanted!r} may be {' or '.join(found)}"
        hint = "name one of them as the header spells it"
        raise self.fault(None, f"{reason}; its columns are {self.named}", hint=hint)

    def texts(self, name: str) -> CodedTexts:
        """Return a column's distinct texts, stripped, and each row's."""
        coded = self.columns[name].dictionary_encode()
        texts = [text.strip() for text in coded.dictionary.to_pylist()]
        # one text more than there are, for the empty cells of Parquet
        codes = coded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False).astype(np.int32)
        return CodedTexts(codes, [*texts, ""])

    def numbers(self, name: str) -> Float64[np.ndarray, " rows"]:
        """Return a column's numbers, NaN where it is empty; raises InvalidInput with the line of what is none."""
        return self.measured(name, words=False).values

    def measured(self, name: str, decimal: str | None = None, *, words: bool = True) -> Measured:
        """Return a column's numbers, whose decimal mark is one of DECIMALS, or is found out.

        A cell without any digit is a missing number where `words` allows. Raises InvalidInput, with the line, for a
        cell that is no number, and where the mark cannot be told.
        """
        column = self.columns[name]
        try:
            values: Float64[np.ndarray, " rows"] = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
            if not np.isinf(values).any():
                return Measured(values, "", {})
        except pa.ArrowInvalid:
            pass  # an empty cell, blanks, a word for a missing number, a decimal comma, or what is none
        # U+2212 is the minus that word processors set
        text = pc.replace_substring(pc.utf8_trim_whitespace(column), "\u2212", "-")
        found: dict[str, int] = {}
        if words:
            text, found = _without_words(text)
        mark = self._decimal(text, name) if decimal is None else decimal
        if mark == COMMA:
            commas = pc.match_substring_regex(text, DECIMAL_COMMA)
            text = pc.if_else(commas, pc.replace_substring(text, ",", "."), text)
        try:
            return Measured(parse_numbers(pa.chunked_array([text]), self.path, name, self.line), mark, found)
        except InvalidInput as error:
            if mark == COMMA or not pc.any(pc.match_substring_regex(text, DECIMAL_COMMA)).as_py():
                raise
            hint = "--decimal comma, where no number has a point"
            raise InvalidInput(error.message, why="a decimal comma, and numbers with a point", hint=hint) from error

    def _decimal(self, text: pa.Array, name: str) -> str:
        """Return a column's decimal mark, "" where no number has one; raises InvalidInput where it may be either."""
        commas = pc.match_substring_regex(text, DECIMAL_COMMA)
        points = pc.match_substring_regex(text, r"\d\.\d|^[-+]?\.\d")
        if pc.any(points).as_py():
            # numbers of a workbook are written with points here, whatever was typed into its cells of text
            return COMMA if not self.delimiter and pc.any(commas).as_py() else POINT
        if not pc.any(commas).as_py():
            return ""
        if pc.all(pc.or_(pc.match_substring_regex(text, THOUSANDS), pc.invert(commas))).as_py():
            row = int(pc.index(commas, True).as_py())
            reason = f"column {name!r}: {text[row].as_py()!r} may have a decimal comma, or one between thousands"
            raise self.fault(row, reason, hint="--decimal comma, or write it without")
        return COMMA


def _without_words(text: pa.Array) -> tuple[pa.Array, dict[str, int]]:
    """Return a column with null for its words, and how often each stands there; empty cells are no words."""
    is_word = pc.and_(pc.match_substring_regex(text, WORD), pc.invert(pc.match_substring_regex(text, NO_WORDS)))
    words = pc.filter(text, is_word).drop_null()
    counts = {one["values"]: one["counts"] for one in pc.value_counts(words).to_pylist() if one["values"]}
    ordered = dict(sorted(counts.items(), key=lambda one: -one[1]))
    return pc.if_else(is_word, pa.scalar(None, pa.string()), text), ordered


def read_table(
    path: Path,
    *,
    is_key: Callable[[str], bool],
    sheet: str | None = None,
    keep_index: bool = False,
    form: TextForm = TextForm(),  # noqa: B008 a tuple, which nobody changes
) -> TableFile:
    """Read a table; `is_key` knows the header of a column that it must have, by which the delimiter is told.

    `sheet` names the sheet of a workbook, by default its first. `keep_index`: columns without a name stay, for an index
    of pandas may hold the rows' names. Raises SourceMissing where there is no such file,
    InvalidInput with the line where it is no table, has no rows, or a row has another number of cells.
    """
    with open_input(path) as file:
        magic = file.read(len(PARQUET_MAGIC))
    if magic == PARQUET_MAGIC:
        table = _parquet(path)
    elif is_workbook(path):
        found = _sheet(path, sheet)
        return found if keep_index else set_aside(found)
    else:
        table = _text(path, is_key, form)
    if sheet is not None:
        raise InvalidInput.at(path, None, "it is no workbook and has no sheets", hint="leave out --sheet")
    return table if keep_index else set_aside(table)


def set_aside(table: TableFile) -> TableFile:
    """Leave out the column of row numbers, and columns that have no name."""
    columns, notes = dict(table.columns), list(table.notes)
    for at, name in enumerate(table.columns):
        if name == INDEX_IN_PARQUET or (at == 0 and name in (unnamed(0), INDEX_READ_BACK)):
            notes.append(f"{name}, an index of rows, is set aside")
        elif name == unnamed(at):
            notes.append(f"{name} is set aside")
        else:
            continue
        del columns[name]
    return replace(table, columns=columns, notes=tuple(notes))


def unnamed(at: int) -> str:
    """What a column without a name is called."""
    return f"(unnamed column {at + 1})"


def _header(cells: Sequence[str], path: Path, line: int) -> list[str]:
    names = [cell.strip() or unnamed(at) for at, cell in enumerate(cells)]
    repeated = [name for name, uses in Counter(names).items() if uses > 1]
    if repeated:
        reason = f"the header names {repeated[0]!r} twice; its columns are {', '.join(names)}"
        raise InvalidInput.at(path, line, reason, hint="call one of them otherwise, or take it out")
    return names


def _text(path: Path, is_key: Callable[[str], bool], form: TextForm) -> TableFile:
    # Blank lines at the end are no rows; within the table they stay, as rows without genes, so that line numbers hold.
    data = read_bytes(path, MOST_BYTES).rstrip(b"\r\n").removeprefix(codecs.BOM_UTF8)
    return texts_of_text(data, is_key, form, path)


def texts_of_text(data: bytes, is_key: Callable[[str], bool], form: TextForm, path: Path) -> TableFile:
    """Return the columns of a header and its rows, by whatever code page they are written; raises as `read_table`."""
    page = form.encoding or ""
    if page:
        data = decode(data, path, page).encode()
    try:
        return _parsed(data, is_key, form, path, page)
    except InvalidInput:
        # asked only of what could not be read: to look at every byte of a good file takes as long as reading it
        page = "" if page or _is_utf8(data) else code_page(data)
        if not page:
            raise
    return _parsed(decode(data, path, page).encode(), is_key, form, path, page)


def _is_utf8(data: bytes) -> bool:
    """Whether bytes are UTF-8, or were before they were damaged: some letter of several bytes is whole."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return MULTIBYTE.search(data) is not None
    return True


def _parsed(data: bytes, is_key: Callable[[str], bool], form: TextForm, path: Path, page: str) -> TableFile:
    first, newline, body = data.partition(b"\n")
    header = decode(first, path).rstrip("\r")
    if not newline:
        raise InvalidInput.at(path, None, "the table has a header and no rows" if header else "the table is empty")
    if not header.strip():
        raise InvalidInput.at(path, 1, "the first line, which names the columns, is empty")
    delimiter = form.delimiter or _delimiter(header, is_key)
    names = _header(_cells(header, delimiter), path, 1)
    try:
        table = _arrow(body, len(names), delimiter)
    except pa.ArrowInvalid as error:
        raise _text_fault(decode(data, path), names, delimiter, path, str(error)) from error
    line = np.arange(FIRST_LINE, FIRST_LINE + table.num_rows, dtype=np.int64)
    # a row may take several lines only where cells are quoted, or a carriage return is a line end to pyarrow
    if (b'"' in body or b"\r" in body) and table.num_rows != body.count(b"\n") + 1:
        line = _lines_of_records(decode(data, path), delimiter, table.num_rows, path)
    columns = dict(zip(names, (column.combine_chunks() for column in table.columns), strict=True))
    return _of_one_header(TableFile(path, columns, line, (), DELIMITERS.get(delimiter, delimiter), page))


def _of_one_header(table: TableFile) -> TableFile:
    """The table; raises InvalidInput where a row is its header again, as of files that were put one behind another."""
    again = np.arange(len(table))
    for name, column in table.columns.items():
        if len(again):
            same = pc.equal(pc.take(column, again) if len(again) < len(table) else column, name)
            again = again[same.fill_null(False).to_numpy(zero_copy_only=False)]
    if len(again) and table.columns:
        hint = "read each file by itself, or take these lines out"
        raise table.fault(int(again[0]), f"its header again, in {len(again)} rows: two tables in one file?", hint=hint)
    return table


def _cells(header: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([header], delimiter=delimiter), [""])
    except csv.Error:  # a carriage return within it, or a cell of 128 kB: no column of either is one that is wanted
        return header.split(delimiter)


def _delimiter(header: str, is_key: Callable[[str], bool]) -> str:
    """The delimiter by which the header holds a key column; of several, or of none, the one that makes most columns."""
    found = {delimiter: [cell.strip() for cell in _cells(header, delimiter)] for delimiter in DELIMITERS}
    with_key = {d: cells for d, cells in found.items() if any(map(is_key, cells))}
    # blanks stand in names of columns: they separate only what nothing else does
    return max(with_key or found, key=lambda d: len(found[d]) if d != " " else 0 if with_key else 1)


def _arrow(body: bytes, columns: int, delimiter: str) -> pa.Table:
    names = [str(i) for i in range(columns)]
    return pa_csv.read_csv(
        io.BytesIO(body),
        # One thread: at a lab's sizes starting others takes longer than it saves.
        read_options=pa_csv.ReadOptions(
            column_names=names, use_threads=False, block_size=min(len(body) + 1, LARGEST_BLOCK)
        ),
        parse_options=pa_csv.ParseOptions(
            delimiter=delimiter, ignore_empty_lines=False, newlines_in_values=b'"' in body
        ),
        # Text throughout: pyarrow would guess a type for each column, and name no line where a cell differs.
        convert_options=pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
    )


def _text_fault(text: str, names: list[str], delimiter: str, path: Path, error: str) -> InvalidInput:
    """Find the line that pyarrow stumbled over: the slow way, since it runs once, before giving up."""
    reader, line = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), 1
    hint = "a cell that holds a comma, or a decimal comma, needs quotes" if delimiter == "," else ""
    try:
        for cells in reader:
            if cells and len(cells) != len(names):
                open_quote = "; a quote is not closed" if any("\n" in cell for cell in cells) else ""
                reason = f"{len(cells)} columns where the header has {len(names)}{open_quote}"
                return InvalidInput.at(path, line, reason, hint=hint if len(cells) > len(names) else SHORT)
            line = reader.line_num + 1
    except csv.Error as fault:  # a quote that no other closes
        return InvalidInput.at(path, line, str(fault))
    return InvalidInput.at(path, None, error.splitlines()[0])


def _lines_of_records(text: str, delimiter: str, records: int, path: Path) -> Int64[np.ndarray, " rows"]:
    """Line of each row where quoted cells hold line ends; raises InvalidInput where it cannot be told."""
    reader, lines, line = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [], 1
    try:
        for _ in reader:
            lines.append(line)
            line = reader.line_num + 1
    except csv.Error as fault:
        raise InvalidInput.at(path, line, str(fault)) from fault
    if len(lines) != records + 1:
        raise InvalidInput.at(path, None, f"its {records} rows stand in {len(lines) - 1} lines: a quote is not closed")
    return np.array(lines[1:], dtype=np.int64)


def _parquet(path: Path) -> TableFile:
    try:
        return texts_of_parquet(pq.read_table(path), path, FIRST_LINE)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InvalidInput.at(path, None, f"not a readable Parquet table ({error})") from error


def texts_of_parquet(table: pa.Table, path: Path, first: int) -> TableFile:
    """Return columns as texts, the first row in line `first`; those of a type that holds no text are left out.

    Numbers are cast to text like all else, so that one parser decides in every format what a number is. Raises
    ArrowInvalid for texts that are no UTF-8, and offsets that lead out of their column.
    """
    table.validate(full=True)
    columns = {}
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_list(column.type):
            column = pc.binary_join(pc.cast(column, pa.list_(pa.string())), " ")
        try:
            columns[name.strip()] = pc.cast(column, pa.string()).combine_chunks()
        except pa.ArrowException:
            continue  # of a type that is neither genes nor a phenotype
    return TableFile(path, columns, np.arange(first, first + table.num_rows, dtype=np.int64), ())


def _sheet(path: Path, name: str | None) -> TableFile:
    sheet, names = open_sheet(path, name)
    others = f"sheet {sheet.name!r} of {', '.join(map(repr, names))}; --sheet names another"
    filled = [at for at, row in enumerate(sheet.rows) if any(cell != "" for cell in row)]
    if len(filled) < FIRST_LINE:
        raise InvalidInput.at(f"{path}, sheet {sheet.name!r}", None, "no table: a header and rows are wanted")
    top, rows = filled[0], sheet.rows[filled[0] + 1 : filled[-1] + 1]
    titles = _header([_cell_text(cell) for cell in sheet.rows[top]], path, top + 1)
    cells = zip(*rows, strict=True)
    columns = {
        title: pa.array([_cell_text(cell) for cell in column], pa.string())
        for title, column in zip(titles, cells, strict=True)
    }
    # rows of a sheet are counted from 1, and the header is one
    line = np.arange(top + FIRST_LINE, top + FIRST_LINE + len(rows), dtype=np.int64)
    return TableFile(path, columns, line, (others,) if name is None and len(names) > 1 else ())


def _cell_text(cell: Cell) -> str:
    """A cell as it is typed: numbers in full, whole ones without a point, as ids of genes are."""
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < LARGEST_WHOLE else repr(cell)
    return str(cell).strip()

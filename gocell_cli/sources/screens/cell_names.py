"""The names in a table's cells, each distinct one with a number: a cell is one gene's name, or holds several."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int32

from gocell_cli.gene_names import GeneNames
from gocell_cli.sources.screens.lab_names import NO_NAME
from gocell_cli.sources.screens.table_columns import holds_one_gene
from gocell_cli.sources.screens.table_file import TableFile
from gocell_cli.user_text import from_cell

SEPARATORS = r"[\s\x0b\x1c-\x1f,;|+/]+"
"""What RE2 splits cells of ASCII at, as gene_names.PART does."""


def names_of(
    table: TableFile, columns: tuple[str, ...], lookup: GeneNames, index: dict[str, int]
) -> Int32[np.ndarray, "rows names_max"]:
    """Return each row's names by their numbers in `index`, which gets those that it has not (NO_NAME: none)."""
    # names lie by columns in memory: all that follows goes through a few columns of many rows
    if len(columns) == 1 and not holds_one_gene(columns[0]):
        coded = table.texts(columns[0])
        cells = np.ascontiguousarray(_names_of_cells(coded.texts, lookup, index).T)
        one: Int32[np.ndarray, "rows names_max"] = np.take(cells, coded.codes, axis=1).T
        return one
    # a column of one gene: its cells are names as they are, whatever signs they hold
    coded_columns = [table.texts(name) for name in columns]
    found: Int32[np.ndarray, "rows names_max"] = np.array(
        [numbered([*map(from_cell, c.texts)], index)[c.codes] for c in coded_columns]
    ).T
    return found


def numbered(texts: Sequence[str], index: dict[str, int]) -> Int32[np.ndarray, " texts"]:
    """Return the number of each text, which is given one where it is new; NO_NAME for an empty one."""
    return np.array([index.setdefault(t, len(index)) if t else NO_NAME for t in texts], dtype=np.int32)


def _names_of_cells(cells: list[str], lookup: GeneNames, index: dict[str, int]) -> Int32[np.ndarray, "cells names_max"]:
    """The names of each distinct cell, which may hold several.

    Cells are split at once, in Arrow, where splitting is all there is to it: where no part is the first of a name of
    several parts. The others, and those that are no ASCII, are looked at one by one.
    """
    array = pa.array(cells, pa.string())
    if pc.any(pc.starts_with(array, "'")).as_py():  # few cells do, and of all there may be millions
        cells = [*map(from_cell, cells)]
        array = pa.array(cells, pa.string())
    parts = pc.split_pattern_regex(array, SEPARATORS)
    flat = parts.flatten().dictionary_encode()
    texts = flat.dictionary.to_pylist()
    # an empty part stands before a separator that a cell begins with, or after one that it ends with
    special = np.array([text.upper() in lookup.openings for text in texts], dtype=bool)
    offsets = parts.offsets.to_numpy()
    codes = flat.indices.to_numpy()
    counted = np.add.reduceat(np.append(special[codes], False), offsets[:-1]) > 0
    one_by_one = counted | ~pc.string_is_ascii(array).to_numpy(zero_copy_only=False)
    named = {int(i): numbered(lookup.names_in(cells[i]), index) for i in np.flatnonzero(one_by_one)}
    # parts of the cells that are looked at one by one are no names of their own
    wanted = np.repeat(~one_by_one, np.diff(offsets))
    number = np.full(len(texts), NO_NAME, dtype=np.int32)
    used = np.unique(codes[wanted])
    number[used] = numbered([texts[i] for i in used.tolist()], index)
    filled = wanted & (number[codes] != NO_NAME)
    cell = np.repeat(np.arange(len(cells)), np.diff(offsets))[filled]
    count = np.bincount(cell, minlength=len(cells))
    width = max(int(count.max(initial=1)), max((len(n) for n in named.values()), default=1), 1)
    names = np.full((len(cells), width), NO_NAME, dtype=np.int32)
    place = np.arange(len(cell)) - np.repeat(np.cumsum(count) - count, count)
    names[cell, place] = number[codes[filled]]
    for i, found in named.items():
        names[i, : len(found)] = found
    return names

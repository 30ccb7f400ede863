"""A table that says which genotypes train, validate and test: a published split, a run's, or a column of a lab's own.

genes,part                 gene_1,gene_2,split          sample,set
YKL191W YLR172C,train      YKL191W,YLR172C,training     0,dev
DPH2,test                  DPH2,,holdout                1,test

A column of the numbers 0 to k - 1 is of folds: one is tested, the next validates (after the last, the first).
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int8, Int32, Int64

from gocell_cli.csr import pointers
from gocell_cli.errors import InvalidInput, UsageError
from gocell_cli.gene_names import AMBIGUOUS, UNKNOWN, GeneNames, LookUp
from gocell_cli.named_parts import ANY_ROW, NamedParts
from gocell_cli.sources.screens.lab_names import NO_NAME
from gocell_cli.sources.screens.own_table import genes_of_names, look_up_genes
from gocell_cli.sources.screens.table_columns import gene_columns, holds_genes, is_gene_column
from gocell_cli.sources.screens.table_file import TableFile, read_table

TRAIN, VALIDATION, TEST, NO_PART = 0, 1, 2, -1
SPELLINGS = {
    **dict.fromkeys(("train", "training", "trn", "fit"), TRAIN),
    **dict.fromkeys(
        ("validation", "valid", "validate", "validating", "val", "dev", "development", "tuning"), VALIDATION
    ),
    **dict.fromkeys(("test", "testing", "tst", "holdout", "heldout"), TEST),
    **dict.fromkeys(("", "unused", "none", "na", "nan", "null", "drop", "dropped", "exclude", "excluded"), NO_PART),
}
"""What each part is called, in any case, whatever of `-`, `_` and blanks is in it."""
PART_COLUMNS = ("part", "split", "set", "partition", "subset", "fold")
GENOTYPE_COLUMNS = ("genotype", "key", "sample_key")
NUMBER_COLUMNS = ("sample", "row", "index", "sample_index")
SOURCE_ROW = "source_row"


class Tested(NamedTuple):
    """Which fold is tested, where a column holds the folds' numbers, and how many there are to be (0: any number)."""

    fold: int = 0
    folds: int = 0


FIRST = Tested()


def read(path: Path, lookup: GeneNames, column: str | None, *, own: bool, tested: Tested = FIRST) -> NamedParts:
    """Read such a table; `column` names the column of the parts, by default what is called so, or the only one that is.

    `own`: the table is what the cache was built from, which left out, and counted, its rows of unknown genes; so they
    are left out here. Of any other table they are errors. Raises SourceMissing where there is no such file,
    InvalidInput with the line for what is no part, no gene or no number, and where columns are missing or unclear,
    UsageError for a fold that there is not.
    """
    table = read_table(path, is_key=_is_key)
    parts = _part_column(table, column)
    part = _parts(table, parts, tested)
    samples = _numbers(table)
    none = np.zeros(0, dtype=np.int32)
    rows = np.full(len(table), ANY_ROW, dtype=np.int64)
    if samples is not None:
        return NamedParts(path, table.line, part, samples, np.zeros(len(table) + 1, dtype=np.int64), none, rows)
    columns = _genotype_columns(table)
    # in a column of its own an empty cell is the wild type: a word that is no gene's is a slip there
    names, found, _ = look_up_genes(table, columns, lookup, blanks=len(columns) > 1)
    gene = genes_of_names(found, names)
    strange = (((gene == UNKNOWN) & (names != NO_NAME)) | (gene == AMBIGUOUS)).any(axis=1)
    if not own:
        _require_genes(table, names, found, strange & (part != NO_PART), lookup)
    ptr, genes = _genotypes(gene[~strange])
    if SOURCE_ROW in table.columns:
        rows = _whole(table, SOURCE_ROW)
    return NamedParts(path, table.line[~strange], part[~strange], None, ptr, genes, rows[~strange])


def _is_key(name: str) -> bool:
    return is_gene_column(name) or name.casefold() in (*GENOTYPE_COLUMNS, *NUMBER_COLUMNS)


def _plain(text: str) -> str:
    return "".join(text.casefold().split()).replace("-", "").replace("_", "")


def _part_column(table: TableFile, wanted: str | None) -> str:
    if wanted is not None:
        return table.column(wanted, "column of the parts")
    own = {name.casefold(): name for name in table.columns}
    called = [own[name] for name in PART_COLUMNS if name in own]
    others = [name for name in table.columns if not _is_key(name) and name.casefold() != SOURCE_ROW]
    found = called[:1] or [name for name in others if _holds_parts(table, name)]
    if len(found) == 1:
        return found[0]
    unclear = f"{' and '.join(found)} may both be" if found else f"no column is called {PART_COLUMNS[0]!r}, or can be,"
    hint = f"--split-column {others[0] if others else 'NAME'}"
    raise table.fault(None, f"{unclear} the column of the parts; its columns are {table.named}", hint=hint)


def _holds_parts(table: TableFile, column: str) -> bool:
    """Whether all cells of a column are parts, and some are not empty."""
    texts = {*map(_plain, table.texts(column).texts)}
    return texts <= {*SPELLINGS} and any(SPELLINGS[text] != NO_PART for text in texts)


def _parts(table: TableFile, column: str, tested: Tested) -> Int8[np.ndarray, " rows"]:
    coded = table.texts(column)
    words = [_plain(text) for text in coded.texts]
    folds = {int(word) for word in words if word.isdecimal()}
    if folds and all(word.isdecimal() or SPELLINGS.get(word) == NO_PART for word in words):
        numbers = _parts_of_folds(table, column, words, tested)
    elif tested != FIRST:
        raise UsageError(f"{table.path}: column {column!r} holds no numbers of folds", hint="leave out --fold, --folds")
    else:
        numbers = [SPELLINGS.get(word) for word in words]
    if None in numbers:
        unknown = np.array([number is None for number in numbers])[coded.codes]
        if unknown.any():
            row = int(np.flatnonzero(unknown)[0])
            hint = "train, validation (valid, val, dev) or test (holdout); empty or unused for none"
            raise table.fault(row, f"column {column!r}: {coded.texts[coded.codes[row]]!r} is no part", hint=hint)
    of_text = np.array([NO_PART if number is None else number for number in numbers], dtype=np.int8)
    part: Int8[np.ndarray, " rows"] = of_text[coded.codes]
    return part


def _parts_of_folds(table: TableFile, column: str, words: list[str], tested: Tested) -> list[int | None]:
    """The part of each word of a column of folds."""
    folds = sorted({int(word) for word in words if word.isdecimal()})
    count = len(folds)
    if folds != list(range(count)):
        reason = f"column {column!r}: its folds are {', '.join(map(str, folds[:3]))} .. {folds[-1]}"
        raise table.fault(None, reason, hint=f"{count} folds are counted from 0 to {count - 1}")
    if tested.folds not in (0, count) or tested.fold >= count:
        asked = f"--fold {tested.fold}" if tested.folds in (0, count) else f"--folds {tested.folds}"
        raise UsageError(f"{table.path}: column {column!r} has {count} folds", hint=f"not {asked}: counted from 0")
    parts = dict.fromkeys(folds, TRAIN) | {(tested.fold + 1) % count: VALIDATION, tested.fold: TEST}
    return [parts[int(word)] if word.isdecimal() else SPELLINGS[word] for word in words]


def _numbers(table: TableFile) -> Int64[np.ndarray, " rows"] | None:
    """The numbers of the samples, where the table has no genes and such a column holds whole numbers alone."""
    if holds_genes(table) or any(name.casefold() in GENOTYPE_COLUMNS for name in table.columns):
        return None
    for name in table.columns:
        if name.casefold() in NUMBER_COLUMNS and all(text.isdecimal() for text in table.texts(name).texts[:-1]):
            return _whole(table, name)
    return None


def _whole(table: TableFile, name: str) -> Int64[np.ndarray, " rows"]:
    """A column of whole numbers, ANY_ROW where it is empty."""
    column = pc.utf8_trim_whitespace(table.columns[name])
    try:
        filled = pc.if_else(pc.equal(column, ""), None, column)
        found: np.ndarray = pc.cast(filled, pa.int64()).fill_null(ANY_ROW).to_numpy(zero_copy_only=False)
        return found
    except pa.ArrowInvalid as error:
        texts = column.to_pylist()
        row = next(i for i, text in enumerate(texts) if text and not text.isdecimal())
        raise table.fault(row, f"column {name!r}: {texts[row]!r} is no whole number") from error


def _genotype_columns(table: TableFile) -> tuple[str, ...]:
    if holds_genes(table):
        return gene_columns(table)
    own = {name.casefold(): name for name in table.columns}
    found = [own[name] for name in (*GENOTYPE_COLUMNS, *NUMBER_COLUMNS) if name in own]
    if found:
        return (found[0],)
    hint = "name a column 'genes' (separated by blanks), columns gene_1, gene_2 .., or 'sample' (numbers of samples)"
    raise table.fault(None, f"no column says which samples are meant; its columns are {table.named}", hint=hint)


def _require_genes(
    table: TableFile,
    names: Int32[np.ndarray, "rows names_max"],
    found: LookUp,
    strange: Bool[np.ndarray, " rows"],
    lookup: GeneNames,
) -> None:
    """Raise InvalidInput for the first row with a name that is not one gene's."""
    if not strange.any():
        return
    row = int(np.flatnonzero(strange)[0])
    name = next(found.names[i] for i in names[row].tolist() if i != NO_NAME and found.gene[i] < 0)
    try:
        lookup.gene(name)
    except UsageError as error:
        raise InvalidInput.at(table.path, int(table.line[row]), error.message, hint=error.hint) from error
    raise table.fault(row, f"{name!r} is a name of several genes")  # in capitals or lower case throughout


def _genotypes(
    gene: Int32[np.ndarray, "rows names_max"],
) -> tuple[Int64[np.ndarray, " rows_plus_1"], Int32[np.ndarray, " deletions"]]:
    """Each row's genes, ascending, each once."""
    gene = np.sort(gene, axis=1)
    kept = gene >= 0
    kept[:, 1:] &= gene[:, 1:] != gene[:, :-1]
    return pointers(kept.sum(axis=1)), gene[kept].astype(np.int32)

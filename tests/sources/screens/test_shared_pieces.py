"""A long table that the parts of a build read together: each piece once, whoever comes first."""

import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gocell_cli.sources.go.bundle import load_genes
from gocell_cli.sources.screens import kept_pieces, shared_pieces, table_pieces
from gocell_cli.sources.screens.kept_pieces import ReadAhead
from gocell_cli.sources.screens.kept_pieces import kept_pieces as pieces_of
from gocell_cli.sources.screens.own_table import read
from gocell_cli.sources.screens.shared_pieces import SharedReading, reading_folders, remove_pieces
from gocell_cli.sources.screens.table_columns import TableOptions

GENES = load_genes()
OPTIONS = TableOptions(phenotype="growth", alleles=("al",), blank_gene="reject")


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Some twenty pieces, one with a line end within quotes, so that its lines do not follow each other."""
    monkeypatch.setattr(table_pieces, "BYTES", 500)
    monkeypatch.setattr(kept_pieces, "LONG", 0)
    chunks = table_pieces.text_chunks
    monkeypatch.setattr(table_pieces, "text_chunks", lambda file, path: chunks(file, path, 128))
    genes = GENES.systematic
    lines = [f'{genes[i % 40]},{genes[3 * i % 50]},"a\nb",{"" if i % 9 == 0 else i / 7}' for i in range(20)]
    lines += [f"{genes[i % 70] if i % 11 else 'NO1'},{genes[5 * i % 90]},x{i % 3},0.{i}" for i in range(300)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["gene_1,gene_2,al,growth", *lines]), "utf-8")
    return path


@pytest.fixture
def read_here(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the pieces that are read, as they are."""
    found: list[int] = []
    keep_piece = kept_pieces._keep_piece

    def counted(path: Path, options: TableOptions, lookup: Any, numbered: Any) -> Any:
        found.append(numbered[0])
        return keep_piece(path, options, lookup, numbered)

    monkeypatch.setattr(kept_pieces, "_keep_piece", counted)
    return found


def same(one: Any, other: Any) -> None:
    for name in ("genes", "value", "statistic", "row", "query_strain", "array_strain", "query"):
        np.testing.assert_array_equal(getattr(one[0].measurements, name), getattr(other[0].measurements, name))
    for field in fields(one[0]):
        assert field.name == "measurements" or getattr(one[0], field.name) == getattr(other[0], field.name)
    assert one[1] == other[1]


def test_a_part_that_comes_later_finds_every_piece_read(table: Path, tmp_path: Path, read_here: list[int]) -> None:
    alone = read(table, GENES, OPTIONS)
    pieces = [*read_here]
    assert len(pieces) > 15
    parts = [SharedReading(tmp_path, (i, 2)) for i in range(2)]
    for part, expected in zip(parts, (pieces, []), strict=True):
        read_here.clear()
        same(read(table, GENES, OPTIONS, ReadAhead(shared=part)), alone)
        assert read_here == expected
    (folder,) = reading_folders(tmp_path)
    parts[0].done()
    assert folder.is_dir()
    parts[1].done()
    assert not reading_folders(tmp_path)


def test_parts_at_once_read_each_piece_once(table: Path, tmp_path: Path, read_here: list[int]) -> None:
    alone = read(table, GENES, OPTIONS)
    pieces = sorted(read_here)
    read_here.clear()
    with ThreadPoolExecutor(3) as threads:
        found = [
            threads.submit(read, table, GENES, OPTIONS, ReadAhead(shared=SharedReading(tmp_path, (i, 3))))
            for i in range(3)
        ]
        for one in found:
            same(one.result(), alone)
    assert sorted(read_here) == pieces


def test_another_table_and_other_options_have_their_own_pieces(table: Path, tmp_path: Path) -> None:
    for options in (OPTIONS, OPTIONS._replace(blank_gene="fewer")):
        read(table, GENES, options, ReadAhead(shared=SharedReading(tmp_path, (0, 2))))
    table.write_text(table.read_text("utf-8") + "\n", "utf-8")
    read(table, GENES, OPTIONS, ReadAhead(shared=SharedReading(tmp_path, (0, 2))))
    assert len(reading_folders(tmp_path)) == 3


def test_a_piece_half_written_is_read_anew(table: Path, tmp_path: Path, read_here: list[int]) -> None:
    alone = read(table, GENES, OPTIONS)
    read(table, GENES, OPTIONS, ReadAhead(shared=SharedReading(tmp_path, (0, 2))))
    (folder,) = reading_folders(tmp_path)
    (folder / "piece-00003.json").unlink()  # it comes last: without it a piece is not whole
    read_here.clear()
    same(read(table, GENES, OPTIONS, ReadAhead(shared=SharedReading(tmp_path, (1, 2)))), alone)
    assert read_here == [3]


def test_pieces_are_removed_by_name_and_not_while_one_is_held(table: Path, tmp_path: Path) -> None:
    read(table, GENES, OPTIONS, ReadAhead(shared=SharedReading(tmp_path, (0, 2))))
    (folder,) = reading_folders(tmp_path)
    lock = os.open(folder / "piece-00000.lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert not remove_pieces(folder)
    os.close(lock)
    (folder / "thesis.txt").write_text("years of work")
    assert not remove_pieces(folder)
    assert (folder / "thesis.txt").read_text() == "years of work"
    (folder / "thesis.txt").unlink()
    assert remove_pieces(folder)
    assert not folder.exists()


def test_what_is_written_of_a_piece_is_what_is_read(table: Path, tmp_path: Path) -> None:
    for at, piece in enumerate(pieces_of(table, OPTIONS, GENES.lookup)):
        shared_pieces._write(tmp_path / f"{at}.arrow", piece)
        again = shared_pieces._read(tmp_path / f"{at}.arrow")
        assert (again.first, again.rows, again.columns) == (piece.first, piece.rows, piece.columns)
        assert again.table.columns == piece.table.columns
        np.testing.assert_array_equal(again.opened().line, piece.opened().line)
        np.testing.assert_array_equal(again.table.names, piece.table.names)
        assert again.table.names is not None
        assert piece.table.names is not None
        assert again.table.names.dtype == piece.table.names.dtype
        for name, found in piece.table.numbers.items():
            np.testing.assert_array_equal(again.table.numbers[name].values, found.values)
            assert again.table.numbers[name][1:] == found[1:]
        for name in ("path", "notes", "delimiter", "encoding", "own_names"):
            assert getattr(again.table, name) == getattr(piece.table, name)

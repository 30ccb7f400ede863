"""Workbooks are read in a process of their own: what they can be made to do, is done there, and told."""

import contextlib
import datetime
import io
import random
import zipfile
from pathlib import Path

import pytest
import xlsxwriter

from gocell_cli.errors import InvalidInput
from gocell_cli.sources.screens import workbook
from gocell_cli.sources.screens.workbook import open_sheet
from tests.attempts import attempts


def write(path: Path, cells: dict[tuple[int, int], object]) -> Path:
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet("Scores")
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        for (row, column), value in cells.items():
            sheet.write(row, column, value, *([day] if isinstance(value, datetime.date) else []))
    return path


def test_cells_come_back_as_they_were_written(tmp_path: Path) -> None:
    cells = {(0, 0): "genes", (0, 1): "score \u03b5", (1, 0): "YAL001C", (1, 1): 0.1, (2, 1): True, (3, 2): 3}
    sheet, names = open_sheet(write(tmp_path / "a.xlsx", cells), None)
    assert names == ("Scores",)
    assert sheet.rows == [["genes", "score \u03b5", ""], ["YAL001C", 0.1, ""], ["", True, ""], ["", "", 3.0]]


def test_a_date_is_no_text(tmp_path: Path) -> None:
    """Excel makes a date of MAR1."""
    sheet, _ = open_sheet(write(tmp_path / "a.xlsx", {(0, 0): datetime.date(2016, 3, 1)}), None)
    assert str(sheet.rows[0][0]) == "2016-03-01"
    with pytest.raises(InvalidInput, match="column 1 is no text: 2016-03-01"):
        sheet.text(1, 0)


def test_what_the_working_directory_holds_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.xlsx", {(0, 0): "genes"})
    for name in ("python_calamine.py", "json.py", "resource.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    assert open_sheet(path, None)[0].rows == [["genes"]]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("at", "reason"), [((1_048_575, 16_383), "its reader died"), ((4_095, 16_383), "4,096 rows and 16,384 columns")]
)
def test_a_cell_far_out_is_an_error(tmp_path: Path, at: tuple[int, int], reason: str) -> None:
    """Else calamine would ask for 550 GB, and Rust abort."""
    path = write(tmp_path / "far.xlsx", {(0, 0): "genes", (1, 0): "YAL001C", at: "stray"})
    with pytest.raises(InvalidInput, match=reason) as caught:
        open_sheet(path, None)
    assert "far out" in caught.value.message + caught.value.hint


def test_a_bomb_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "LEAST_BOMB", 1 << 20)
    path = write(tmp_path / "a.xlsx", {(0, 0): "genes"})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/image1.png", b"\0" * (4 << 20))
    with pytest.raises(InvalidInput, match="unpacks to 4,"):
        open_sheet(path, None)


def test_a_mutated_workbook_is_a_sheet_or_an_error(tmp_path: Path) -> None:
    whole = io.BytesIO(
        write(tmp_path / "a.xlsx", {(r, c): f"{r}-{c}" for r in range(9) for c in range(3)}).read_bytes()
    )
    with zipfile.ZipFile(whole) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    draw = random.Random(17)
    for attempt in range(attempts(3, 400)):
        # half of them in the archive's bytes, half in the text of a part
        data = bytearray(whole.getvalue())
        if attempt % 2:
            name = draw.choice(["xl/worksheets/sheet1.xml", "xl/workbook.xml", "xl/sharedStrings.xml"])
            text = bytearray(parts[name])
            for _ in range(draw.randint(1, 4)):
                text[draw.randrange(len(text))] = draw.choice(b'0123456789AZ<>"/\0\xff')
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w") as archive:
                for part, content in parts.items():
                    archive.writestr(part, bytes(text) if part == name else content)
            data = bytearray(packed.getvalue())
        else:
            for _ in range(draw.randint(1, 4)):
                data[draw.randrange(len(data))] = draw.randrange(256)
        path = tmp_path / "mutated.xlsx"
        path.write_bytes(data)
        with contextlib.suppress(InvalidInput):
            sheet, names = open_sheet(path, None)  # a name may have become ""
            assert sheet.name == names[0]
            assert all(len(row) == len(sheet.rows[0]) for row in sheet.rows)

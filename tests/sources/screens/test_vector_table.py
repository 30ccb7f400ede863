"""Files of gene vectors: one table in every format, lists in cells, what is left out, and damage with its line."""

import gzip
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gocell_cli.errors import InvalidInput, SourceMissing
from gocell_cli.sources.screens.vector_table import read

NAMES = ("TFC3", "YAL002W", "efb1")
LENGTH, ABUNDANCE = [1160.0, 1274.0, 206.0], [0.5, float("nan"), -2.0]
TEXT = "gene,length,abundance\nTFC3,1160,0.5\nYAL002W,1274,\nefb1,206,-2\n"


def text(path: Path, content: str) -> Path:
    path.write_text(content, "utf-8")
    return path


def parquet(path: Path, **columns: object) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def npz(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def same_table(folder: Path, form: str) -> Path:
    if form == "tsv.gz":
        (folder / "v.tsv.gz").write_bytes(gzip.compress(TEXT.replace(",", "\t").encode()))
        return folder / "v.tsv.gz"
    if form == "parquet":
        return parquet(folder / "v", gene=NAMES, length=[1160, 1274, 206], abundance=[0.5, None, -2.0])
    if form == "npz":
        return npz(folder / "v.npz", gene=np.array(NAMES), length=np.array([1160, 1274, 206]), abundance=ABUNDANCE)
    if form == "matrix":
        values = np.stack([LENGTH, ABUNDANCE], axis=1)
        return npz(folder / "m.npz", names=np.array(NAMES), values=values, columns=np.array(["length", "abundance"]))
    return text(folder / "v.csv", TEXT)


@pytest.mark.parametrize("form", ["csv", "tsv.gz", "parquet", "npz", "matrix"])
def test_one_table_in_every_format(form: str, tmp_path: Path) -> None:
    found = read(same_table(tmp_path, form))
    assert found.names == NAMES
    assert found.columns == ("length", "abundance")
    np.testing.assert_array_equal(found.values, np.stack([LENGTH, ABUNDANCE], axis=1))
    assert found.notes == ()
    assert len(found.sha256) == 64


def test_names_in_an_index_of_pandas_and_columns_that_are_numbers(tmp_path: Path) -> None:
    found = read(text(tmp_path / "pandas.csv", ",0,1\nYAL001C,1.5,2\nYAL002W,3,4\n"))
    assert (found.names, found.columns) == (("YAL001C", "YAL002W"), ("0", "1"))
    again = read(parquet(tmp_path / "p", **{"0": [1.5, 3.0], "__index_level_0__": ["YAL001C", "YAL002W"]}))
    assert (again.names, again.columns) == (("YAL001C", "YAL002W"), ("0",))


def test_a_column_of_row_numbers_and_one_of_texts_are_left_out_and_told(tmp_path: Path) -> None:
    found = read(text(tmp_path / "v.csv", ",orf,what,x\n0,YAL001C,DNA binding,1\n1,YAL002W,vacuole,2\n"))
    assert (found.names, found.columns) == (("YAL001C", "YAL002W"), ("x",))
    assert found.notes == (
        "(unnamed column 1) is left out: it has no name",
        "what is left out: it holds no numbers",
    )


def test_lists_in_cells_are_as_many_columns(tmp_path: Path) -> None:
    lists = [[1.0, 2.5], None, [3.0, 4.0]]
    found = read(parquet(tmp_path / "p", gene=list(NAMES), embedding=lists))
    assert found.columns == ("embedding_0", "embedding_1")
    np.testing.assert_array_equal(found.values, [[1, 2.5], [np.nan, np.nan], [3, 4]])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("gene,x\nTFC3,1\nVPS8,2\nEFB1,high\n", ":4: column 'x' is no finite number: 'high'"),
        ("gene,x\nTFC3,1\nVPS8,inf\n", ":3: column 'x' is no finite number: 'inf'"),
        ("gene,x\nTFC3,1,2\n", ":2: 3 columns where the header has 2"),
        ("gene,what\nTFC3,DNA\n", "no column holds numbers; its columns are gene, what"),
        ("a,b\n1,2\n", "a column (or array) of gene names is needed, called for example `gene`; its columns are a, b"),
    ],
)
def test_what_cannot_be_read_is_one_error_with_its_line(content: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(text(tmp_path / "v.csv", content))
    assert reason in caught.value.message


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"gene": np.array(NAMES), "x": np.zeros((2, 4))}, "array 'x' has 2 rows, and 'gene' 3 names"),
        ({"x": np.zeros(3)}, "of gene names is needed"),
        ({"gene": np.array(NAMES)}, "no array holds numbers; its arrays are gene"),
        ({"gene": np.array(NAMES), "x": np.array([1, np.inf, 2])}, "row 2, YAL002W, holds an infinite number"),
    ],
)
def test_an_npz_that_does_not_add_up(arrays: dict[str, np.ndarray], reason: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(npz(tmp_path / "v.npz", **arrays))
    assert reason in caught.value.message


def test_nothing_is_unpickled_and_a_cut_npz_is_told(tmp_path: Path) -> None:
    objects = npz(tmp_path / "o.npz", gene=np.array(NAMES, dtype=object), x=np.zeros(3))
    with pytest.raises(InvalidInput, match="not a readable npz") as caught:
        read(objects)
    assert "dtype=str" in caught.value.hint
    whole = io.BytesIO()
    np.savez(whole, gene=np.array(NAMES), x=np.zeros(3))
    (tmp_path / "cut.npz").write_bytes(whole.getvalue()[:200])
    with pytest.raises(InvalidInput):
        read(tmp_path / "cut.npz")
    with pytest.raises(SourceMissing):
        read(tmp_path / "none.csv")

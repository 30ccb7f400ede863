"""A lab's own table: three formats, names of any kind, and what is wrong with it told by line."""

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gocell_cli.errors import InvalidInput, SourceMissing
from gocell_cli.sources.go.bundle import load_genes
from gocell_cli.sources.screens import own_table

ROWS = [("YAL001C", 0.5), ("TFC3 VPS8", 0.25), ("yal002w;YAL003W", 1.0)]
GENES = load_genes()


def expected() -> list[list[int]]:
    i = GENES.index
    return [sorted(x) for x in ([i["YAL001C"]], [i["YAL001C"], i["YAL002W"]], [i["YAL002W"], i["YAL003W"]])]


def found(path: Path, column: str | None = None) -> list[list[int]]:
    dataset, _ = own_table.read(path, GENES, column=column, kind=None)
    assert dataset.phenotype.kind == "growth"
    assert dataset.measurements.value.tolist() == [0.5, 0.25, 1.0]
    assert dataset.measurements.row.tolist() == [2, 3, 4]
    return [[g for g in row if g >= 0] for row in dataset.measurements.genes.tolist()]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.csv.gz"])
def test_text_formats(tmp_path: Path, name: str, newline: str) -> None:
    mark = "\t" if ".tsv" in name else ","
    lines = [mark.join(("genes", "growth")), *(mark.join((genes, str(value))) for genes, value in ROWS)]
    data = ("\ufeff" + newline.join(lines) + newline).encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert found(tmp_path / name) == expected()


@pytest.mark.parametrize("as_list", [False, True])
def test_parquet(tmp_path: Path, as_list: bool) -> None:
    genes = [text.replace(";", " ") for text, _ in ROWS]
    column = [text.split() for text in genes] if as_list else genes
    pq.write_table(pa.table({"genes": column, "growth": [v for _, v in ROWS]}), tmp_path / "t.parquet")
    assert found(tmp_path / "t.parquet") == expected()


def test_numbered_columns_and_a_chosen_phenotype(tmp_path: Path) -> None:
    text = "gene_1,gene_2,growth,other\nYAL001C,,0.5,x\nTFC3,VPS8,0.25,x\nYAL002W,YAL003W,1,x\n"
    (tmp_path / "t.csv").write_text(text)
    assert found(tmp_path / "t.csv", "growth") == expected()
    with pytest.raises(InvalidInput, match="which column is the phenotype") as caught:
        own_table.read(tmp_path / "t.csv", GENES, column=None, kind=None)
    assert caught.value.hint == "--phenotype-column growth, one of growth, other"


def test_what_cannot_be_used_is_dropped_and_counted(tmp_path: Path) -> None:
    text = "genes,growth\nYAL001C,0.5\n,1\nNOGENE1,1\nTFC3 YAL001C,1\nYAL002W,NaN\n"
    (tmp_path / "t.csv").write_text(text)
    dataset, names = own_table.read(tmp_path / "t.csv", GENES, column=None, kind="colony size")
    assert dataset.phenotype.kind == "colony size"
    assert dict(dataset.dropped) == {"no_gene": 1, "unknown_gene": 1, "genes_not_distinct": 1, "no_phenotype": 1}
    assert dataset.rows_read == 1 + sum(dataset.dropped.values())
    assert (names.systematic, names.other, names.unknown) == (2, 1, ("NOGENE1",))
    assert np.isnan(dataset.measurements.statistic).all()


def test_a_name_of_several_genes_is_counted_and_told_with_them(tmp_path: Path) -> None:
    shared = "L19E"  # an alias of both copies of a ribosomal protein
    candidates = GENES.lookup.find(shared).genes
    assert len(candidates) > 1
    (tmp_path / "t.csv").write_text(f"genes,growth\nYAL001C,0.5\nTFC3 {shared},1\n{shared} NOGENE1,1\n")
    dataset, names = own_table.read(tmp_path / "t.csv", GENES, column=None, kind=None)
    assert dict(dataset.dropped) == {"unknown_gene": 1, "ambiguous_gene": 1}
    assert len(dataset.measurements) == 1
    assert names.ambiguous == ((shared, tuple(GENES.lookup.label(gene) for gene in candidates)),)
    assert (names.systematic, names.other, names.unknown) == (1, 1, ("NOGENE1",))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the table is empty"),
        (b"genes,growth\n", "a header and no rows"),
        (b"genes,genes\nYAL001C,1\n", ":1: the header names 'genes' twice"),
        (b"name,growth\nYAL001C,1\n", ":1: no column holds the deleted genes"),
        (b"genes,growth\nYAL001C,1\nYAL002W,1,2\n", ":3: 3 columns where the header has 2"),
        (b"genes,growth\nYAL001C,1\nYAL002W,big\n", ":3: column 'growth' is no finite number: 'big'"),
        (b"genes,growth\nYAL001C,inf\n", ":2: column 'growth' is no finite number: 'inf'"),
        (b"genes,growth\nYAL001C,1\n\xff\xfe,2\n", ":3: not utf-8 text"),
        (b"genes,growth\nNOGENE1,1\n", "none of its 1 rows can be used"),
        (b"PAR1 and then nothing", "not a readable Parquet table"),
        (b"\x1f\x8b\x08 cut", "damaged gzip stream"),
    ],
)
def test_damage_is_one_error_with_its_line(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        own_table.read(tmp_path / "t.csv", GENES, column=None, kind=None)
    assert reason in caught.value.message
    assert str(tmp_path / "t.csv") in caught.value.message


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="no such file"):
        own_table.read(tmp_path / "none.csv", GENES, column=None, kind=None)

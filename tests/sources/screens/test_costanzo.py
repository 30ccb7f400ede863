"""Costanzo 2016: streamed tables against a plain loop over lines; the strain table; damage by line."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
import xlsxwriter

from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import Dataset, merge_duplicates
from gocell_cli.errors import InvalidInput, SourceMissing
from gocell_cli.sources.download.find import Found
from gocell_cli.sources.go.bundle import load_genes
from gocell_cli.sources.screens.costanzo import SPELLINGS, STRAIN_HEADER, STRAIN_TABLE, TABLES, find, read
from gocell_cli.sources.screens.sga import LineBlocks
from tests.benchmarks.costanzo_tables import strains, write_tables

GENES = load_genes()
GOOD = "YAL001C_tsq1\ttfc3-1\tYAL002W_dma2\tvps8\tDMA30\t-0.1\t0.02\t0.9\t1\t0.8\t0.05"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("costanzo")
    write_tables(folder, strains(folder), share=0.001)  # made-up strains: the data folder is not there
    (folder / "SGA_ExE.txt").write_bytes((folder / "SGA_ExE.txt").read_bytes().replace(b"\n", b"\r\n"))
    packed = gzip.compress((folder / "SGA_DAmP.txt").read_bytes())
    (folder / "SGA_DAmP.txt").unlink()
    (folder / "SGA_DAmP.txt.gz").write_bytes(packed)
    return folder


def found_in(folder: Path, phenotype: str = "epsilon") -> Found:
    return find(phenotype, folder.parent / "root", own=folder)


def plainly(folder: Path, column: int, temperature: str) -> list[tuple[str, str, float]]:
    """Line by line: (query ORF, array ORF, value) of the rows that count."""
    found = []
    for path in found_in(folder).paths:
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for row in list(csv.reader(text.decode().splitlines(), delimiter="\t"))[1:]:
            query, array = row[0].partition("_")[0], row[2].partition("_")[0]
            known = query in GENES.index and array in GENES.index
            if row[column] and known and query != array and (temperature == "both" or row[4].endswith(temperature)):
                found.append((query, array, float(row[column])))
    return found


@pytest.mark.parametrize(("phenotype", "column"), [("epsilon", 5), ("fitness", 9)])
@pytest.mark.parametrize("temperature", ["26", "30", "both"])
def test_streamed_rows_are_those_of_a_plain_loop(tables: Path, phenotype: str, column: int, temperature: str) -> None:
    found = found_in(tables)
    dataset = read(found.paths, GENES, phenotype=phenotype, temperature=temperature)
    rows, plain = dataset.measurements, plainly(tables, column, temperature)
    assert found.missing == ()
    np.testing.assert_array_equal(rows.value, [value for *_, value in plain])
    genes = [sorted((GENES.index[q], GENES.index[a])) for q, a, _ in plain]
    np.testing.assert_array_equal(rows.genes, genes)
    assert [dataset.queries[q] for q in rows.query.tolist()] == [q for q, *_ in plain]
    assert dataset.rows_read == len(rows) + sum(dataset.dropped.values())
    assert [file.name for file in dataset.files] == list(TABLES)


def test_merged_genotypes_of_streamed_rows(tables: Path) -> None:
    dataset = read(found_in(tables).paths, GENES, phenotype="epsilon", temperature="both")
    merged = merge_duplicates(dataset)
    values: dict[tuple[int, ...], list[float]] = {}
    for genes, value in zip(dataset.measurements.genes.tolist(), dataset.measurements.value.tolist(), strict=True):
        values.setdefault(tuple(genes), []).append(value)
    assert merged.genes.tolist() == [list(genes) for genes in sorted(values)]
    np.testing.assert_allclose(merged.value, [np.mean(values[genes]) for genes in sorted(values)], rtol=1e-12)
    halves = [merged.part(0, len(merged) // 2), merged.part(len(merged) // 2, len(merged))]
    np.testing.assert_array_equal(np.concatenate([half.value for half in halves]), merged.value)


def one_table(tmp_path: Path, body: bytes, header: bytes = b"\t".join(c.encode() for c in SPELLINGS)) -> Path:
    path = tmp_path / "SGA_NxN.txt"
    path.write_bytes(header + b"\n" + body)
    return path


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (f"{GOOD}\n{GOOD}\tx\n".encode(), ":3: 12 tab-separated columns where 11 are expected"),
        (f"{GOOD}\n\n{GOOD}\n".encode(), ":3: column 'Query Strain ID': not a strain id ORF_kindN: ''"),
        (
            f"{GOOD}\n{GOOD.replace('-0.1', 'low')}\n".encode(),
            ":3: column 'Genetic interaction score (ε)' is no finite",
        ),
        (f"{GOOD.replace('-0.1', 'inf')}\n".encode(), ":2: column 'Genetic interaction score (ε)' is no finite"),
        (f"{GOOD}\n{GOOD.replace('DMA30', 'DMA37')}\n".encode(), ":3: column 'Arraytype/Temp' names no temperature"),
        (f"{GOOD}\n{GOOD.replace('YAL001C_tsq1', 'tfc3')}\n".encode(), ":3: column 'Query Strain ID': not a strain id"),
        (f"{GOOD}\n{GOOD}\n".replace("tfc3-1", "tf\udcff").encode("utf-8", "surrogateescape"), ":2: not utf-8 text"),
        (f"{GOOD.replace('-0.1', 'NaN')}\n".encode(), "none of the 1 rows of SGA_NxN.txt holds epsilon"),
    ],
)
def test_damage_is_one_error_with_its_line(tmp_path: Path, body: bytes, reason: str) -> None:
    path = one_table(tmp_path, body)
    with pytest.raises(InvalidInput) as caught:
        read([path], GENES, phenotype="epsilon", temperature="both")
    assert reason in caught.value.message


def test_another_header_a_cut_gzip_and_no_table(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=":1: the header lacks"):
        read([one_table(tmp_path, GOOD.encode(), b"a\tb")], GENES, phenotype="epsilon", temperature="both")
    cut = tmp_path / "cut.txt"
    cut.write_bytes(gzip.compress(one_table(tmp_path, GOOD.encode()).read_bytes())[:-12])
    with pytest.raises(InvalidInput, match="damaged gzip stream"):
        read([cut], GENES, phenotype="epsilon", temperature="both")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceMissing, match=r"SGA_NxN\.txt and .* and SGA_DAmP\.txt of costanzo2016 not there"):
        found_in(tmp_path / "empty")


def test_lines_in_blocks_of_any_size_are_the_files_lines(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    lines = [b"x" * (i % 7) + b"." for i in range(500)]
    path.write_bytes(b"\r\n".join(lines) + b"\n\n")
    for size in (8, 9, 64, 100_000):
        blocks = list(LineBlocks(path, size))
        assert [line.rstrip(b"\r") for block in blocks for line in block.data.split(b"\n")] == lines
        assert [block.first_line for block in blocks] == list(np.cumsum([1, *(b.lines for b in blocks)])[:-1])


def test_the_real_strain_table(test_data: Path) -> None:
    dataset = _fitness(test_data / "costanzo2016", GENES, "both")
    assert dataset.rows_read == len(dataset.measurements) + sum(dataset.dropped.values()) == 21_718
    assert len(merge_duplicates(dataset)) == 5_440
    with pytest.raises(SourceMissing, match=STRAIN_TABLE):
        found_in(test_data / "go", "smf")


STRAINS: list[tuple[object, ...]] = [
    ("YAL001C_tsq1", "YAL001C", "tfc3-1", 0.5, 0.01, 0.4, 0.02),
    ("YAL002W_dma2", "YAL002W", "vps8", "", "", 1.1, 0.03),
    ("YAL003W_sn3", "YAL003W", "efb1", 0.9, "NaN", "", ""),
    ("YZZ999W_sn4", "YZZ999W", "none", 1, 0.1, 1, 0.1),
]


def strain_table(folder: Path, *rows: tuple[object, ...]) -> Path:
    book = xlsxwriter.Workbook(str(folder / STRAIN_TABLE))
    sheet = book.add_worksheet("S")
    for r, row in enumerate((STRAIN_HEADER, *rows)):
        sheet.write_row(r, 0, row)
    book.close()
    return folder / STRAIN_TABLE


@pytest.mark.parametrize(
    ("temperature", "rows", "values", "dropped"),
    [
        ("26", [2, 4], [0.5, 0.9], {"no_phenotype": 1, "unknown_gene": 1}),
        ("30", [2, 3], [0.4, 1.1], {"no_phenotype": 1, "unknown_gene": 1}),
        ("both", [2, 2, 3, 4], [0.5, 0.4, 1.1, 0.9], {"no_phenotype": 2, "unknown_gene": 2}),
    ],
)
def test_strain_fitness_at_a_temperature(
    tmp_path: Path, temperature: str, rows: list[int], values: list[float], dropped: dict[str, int]
) -> None:
    strain_table(tmp_path, *STRAINS)
    dataset = _fitness(tmp_path, GENES, temperature)
    assert dataset.measurements.row.tolist() == rows
    assert dataset.measurements.value.tolist() == values
    assert dataset.dropped == dropped
    assert dataset.rows_read == len(rows) + sum(dropped.values())
    assert set(dataset.strains) <= {(str(s[0]), str(s[2])) for s in STRAINS}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (("YAL001C", "YAL001C", "x", 1, 0, 1, 0), "row 6: not a strain id ORF_kindN: 'YAL001C'"),
        (("YAL005C+YAL001C_tm1", "YAL005C", "x", 1, 0, 1, 0), "row 6: not a strain id ORF_kindN"),
        (
            ("YAL005C_sn5", "YAL001C", "x", 1, 0, 1, 0),
            "strain YAL005C_sn5 is of YAL005C, its gene column says 'YAL001C'",
        ),
        (("YAL001C_tsq1", "YAL001C", "x", 1, 0, 1, 0), "strain YAL001C_tsq1 stands in row 2 too"),
        (("YAL005C_sn5", "YAL005C", "x", "high", 0, 1, 0), "column 4 is no finite number: 'high'"),
    ],
)
def test_a_broken_strain_is_named_with_its_row(tmp_path: Path, row: tuple[object, ...], reason: str) -> None:
    path = strain_table(tmp_path, *STRAINS, row)
    with pytest.raises(InvalidInput) as caught:
        _fitness(path, GENES, "both")
    assert str(path) in caught.value.message
    assert reason in caught.value.message


def _fitness(place: Path, genes: GeneTable, temperature: str) -> Dataset:
    return read(found_in(place, "smf").paths, genes, phenotype="smf", temperature=temperature)


@pytest.mark.parametrize(
    ("temperature", "query", "array"),
    [("26", (0.7,), (1.1,)), ("30", (0.9,), (1.0,)), ("both", (0.7, 0.9), (1.0, 1.1))],
)
def test_fitness_of_strains_is_that_of_the_rows_temperature(
    tmp_path: Path, temperature: str, query: tuple[float, ...], array: tuple[float, ...]
) -> None:
    cold = GOOD.replace("DMA30", "DMA26").replace("0.9\t1\t", "0.7\t1.1\t")
    path = one_table(tmp_path, f"{GOOD}\n{cold}\n{GOOD}\n".encode())
    dataset = read([path], GENES, phenotype="fitness", temperature=temperature)
    assert dict(zip((s for s, _ in dataset.strains), dataset.fitness, strict=True)) == {
        "YAL001C_tsq1": query,
        "YAL002W_dma2": array,
    }

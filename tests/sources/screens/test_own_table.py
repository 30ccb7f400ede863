"""A lab's own table: any format, delimiter and header; names of any kind; what is wrong with it told by line."""

import gzip
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from gocell_cli.domain.alleles import keep_deletions, merged_alleles
from gocell_cli.domain.genes import make_gene_table
from gocell_cli.domain.genotype import NONE_REJECTED, Dataset, keep_significant, merge_duplicates
from gocell_cli.errors import GocellError, InvalidInput, SourceMissing
from gocell_cli.gene_names import UNKNOWN, GeneNames
from gocell_cli.sources.go.bundle import load_genes
from gocell_cli.sources.screens import kept_pieces, own_table, table_pieces
from gocell_cli.sources.screens.lab_names import BLANKS, gene_in
from gocell_cli.sources.screens.own_table import read
from gocell_cli.sources.screens.table_columns import EXACT, LAB, TableOptions, choose_columns, is_gene_column
from gocell_cli.sources.screens.table_file import read_table
from gocell_cli.user_text import from_cell
from tests.attempts import attempts

ROWS = [("YAL001C", 0.5), ("TFC3 VPS8", 0.25), ("yal002w;YAL003W", 1.0)]
GENES = load_genes()
DEFAULT = TableOptions()


def expected() -> list[list[int]]:
    i = GENES.index
    return [sorted(x) for x in ([i["YAL001C"]], [i["YAL001C"], i["YAL002W"]], [i["YAL002W"], i["YAL003W"]])]


def found(path: Path, **options: Any) -> list[list[int]]:
    dataset, _ = read(path, GENES, TableOptions(**options))
    assert dataset.phenotype.kind == "growth"
    assert dataset.measurements.value.tolist() == [0.5, 0.25, 1.0]
    assert dataset.measurements.row.tolist() == [2, 3, 4]
    return genotypes(dataset)


def genotypes(dataset: Dataset) -> list[list[int]]:
    return [[g for g in row if g >= 0] for row in dataset.measurements.genes.tolist()]


def named(dataset: Dataset) -> list[str]:
    return [" ".join(GENES.standard[g] or GENES.systematic[g] for g in row) for row in genotypes(dataset)]


def table(path: Path, text: str | bytes, options: TableOptions = DEFAULT) -> Dataset:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path, GENES, options)[0]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [",", "\t", ";", "|"])
@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.txt", "t.csv.gz"])
def test_what_separates_cells_is_seen_whatever_the_name(tmp_path: Path, name: str, mark: str, newline: str) -> None:
    quoted = [(f'"{genes}"' if mark in genes else genes, value) for genes, value in ROWS]
    lines = [mark.join(("genes", "growth")), *(mark.join((genes, str(value))) for genes, value in quoted)]
    data = ("\ufeff" + newline.join(lines) + newline).encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert found(tmp_path / name) == expected()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("header", ["genes", "Genes", "GENES", '"Genes"', " genes "])
def test_headers_in_any_case_and_encoding(tmp_path: Path, header: str, encoding: str) -> None:
    text = f"{header};growth\n" + "".join(f'"{genes}";{value}\n' for genes, value in ROWS)
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    assert found(tmp_path / "t.csv") == expected()


@pytest.mark.parametrize("index", [True, False])
def test_what_pandas_writes_is_read(tmp_path: Path, index: bool) -> None:
    frame = pd.DataFrame({"genes": [genes for genes, _ in ROWS], "growth": [value for _, value in ROWS]})
    frame.to_csv(tmp_path / "t.csv", index=index)
    assert found(tmp_path / "t.csv") == expected()
    _, notes = read(tmp_path / "t.csv", GENES, DEFAULT)
    assert notes[:-1] == (("(unnamed column 1), an index of rows, is set aside",) if index else ())
    assert notes[-1].startswith("read as: cells between commas (--delimiter); ")
    # as pandas reads that back, and writes it again
    pd.read_csv(tmp_path / "t.csv").to_csv(tmp_path / "again.csv", index=False)
    assert found(tmp_path / "again.csv") == expected()
    frame.iloc[::1].set_index(pd.Index([7, 8, 9])).to_parquet(tmp_path / "t.parquet")
    assert found(tmp_path / "t.parquet") == expected()


def test_columns_that_nothing_is_read_from_are_told(tmp_path: Path) -> None:
    rows = "".join(f"{genes}\t{value}\t0.1\t{genes[:4]}\ta\n" for genes, value in ROWS)
    (tmp_path / "t.tsv").write_text(f"genes\tgrowth\tsd\tplate\tnote\n{rows}", "utf-8")
    _, notes = read(tmp_path / "t.tsv", GENES, TableOptions(phenotype="growth", statistic="SD"))
    assert [note for note in notes if note.startswith("not read: 'plate', 'note' (--statistic-column")]
    every = TableOptions(phenotype="growth", statistic="SD", query="plate", group="note")
    _, notes = read(tmp_path / "t.tsv", GENES, every)
    assert not [note for note in notes if "not read" in note]


@pytest.mark.parametrize("as_list", [False, True])
def test_parquet(tmp_path: Path, as_list: bool) -> None:
    genes = [text.replace(";", " ") for text, _ in ROWS]
    column = [text.split() for text in genes] if as_list else genes
    pq.write_table(pa.table({"genes": column, "growth": [v for _, v in ROWS]}), tmp_path / "t.parquet")
    assert found(tmp_path / "t.parquet") == expected()


def workbook(path: Path, **sheets: list[list[object]]) -> Path:
    with xlsxwriter.Workbook(path) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for at, row in enumerate(rows):
                sheet.write_row(at, 0, row)
    return path


def test_workbooks(tmp_path: Path) -> None:
    rows: list[list[object]] = [["Genes", "growth"], *([genes, value] for genes, value in ROWS)]
    path = workbook(tmp_path / "t.xlsx", first=rows, second=[["genes", "growth"], ["ACT1", 2]], none=[])
    assert found(path) == expected()
    dataset, notes = read(path, GENES, DEFAULT)
    read_as = "read as: genes in 'Genes' (--gene-column); phenotype 'growth' (--phenotype-column)"
    assert notes == ("sheet 'first' of 'first', 'second', 'none'; --sheet names another", read_as)
    dataset, notes = read(path, GENES, TableOptions(sheet="second"))
    assert (named(dataset), dataset.measurements.value.tolist(), notes) == (["ACT1"], [2.0], (read_as.lower(),))
    with pytest.raises(InvalidInput, match="no sheet 'third'; it has 'first', 'second', 'none'"):
        read(path, GENES, TableOptions(sheet="third"))
    with pytest.raises(InvalidInput, match="sheet 'none': no table"):
        read(path, GENES, TableOptions(sheet="none"))
    (tmp_path / "t.csv").write_text("genes,growth\nACT1,1\n")
    with pytest.raises(InvalidInput, match="no workbook"):
        read(tmp_path / "t.csv", GENES, TableOptions(sheet="first"))


def test_a_title_above_a_sheet_keeps_row_numbers(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", s=[[], [], ["genes", "growth"], ["ACT1", 2], [], ["TFC3", "big5"]])
    with pytest.raises(InvalidInput, match=r"t.xlsx:6: column 'growth' is no finite number: 'big5'"):
        read(path, GENES, DEFAULT)
    path = workbook(tmp_path / "t.xlsx", s=[[], [], ["genes", "growth"], ["ACT1", 2], [], ["TFC3", 3]])
    assert read(path, GENES, DEFAULT)[0].measurements.row.tolist() == [4, 6]


def test_names_that_hold_what_separates_names(tmp_path: Path) -> None:
    """ADE5,7, ARG5,6 and DUR1,2 are standard names of SGD: the whole cell first, then the split."""
    text = 'genes,growth\n"ADE5,7",1\n"ADE5,7,CDC28",2\n"CDC28 ARG5,6",3\n"ade5,7+arg5,6/DUR1,2",4\n"CDC28,ACT1",5\n'
    dataset = table(tmp_path / "t.csv", text)
    index = {name: i for i, name in enumerate(GENES.standard)}
    ade, arg, dur, cdc, act = (index[name] for name in ("ADE5,7", "ARG5,6", "DUR1,2", "CDC28", "ACT1"))
    assert genotypes(dataset) == [sorted(x) for x in ([ade], [ade, cdc], [cdc, arg], [ade, arg, dur], [cdc, act])]
    # a column of one gene is never split: "CDC28,ACT1" is no gene's name
    dataset = table(tmp_path / "t.csv", 'gene_1,gene_2,growth\n"ADE5,7",CDC28,1\n"CDC28,ACT1",,2\n')
    assert genotypes(dataset) == [sorted([ade, cdc])]
    assert (dict(dataset.dropped), dataset.names[0].unknown) == ({"unknown_gene": 1}, ("CDC28,ACT1",))


def test_numbered_columns_and_a_chosen_phenotype(tmp_path: Path) -> None:
    text = "gene_1,Gene2,growth,other\nYAL001C,,0.5,1\nTFC3,VPS8,0.25,2\nYAL002W,YAL003W,1,3\n"
    (tmp_path / "t.csv").write_text(text)
    assert found(tmp_path / "t.csv", phenotype="GROWTH") == expected()
    assert found(tmp_path / "t.csv") == expected()  # by its name
    (tmp_path / "t.csv").write_text(text.replace("growth", "height"))
    with pytest.raises(InvalidInput, match="which column is the phenotype") as caught:
        read(tmp_path / "t.csv", GENES, DEFAULT)
    assert caught.value.hint == "--phenotype-column height, one of height, other"
    with pytest.raises(InvalidInput, match="no phenotype column 'speed'; its columns are gene_1, Gene2, height, other"):
        read(tmp_path / "t.csv", GENES, TableOptions(phenotype="speed"))
    with pytest.raises(InvalidInput, match="'gene_1' cannot be the phenotype column"):
        read(tmp_path / "t.csv", GENES, TableOptions(phenotype="gene_1"))


def test_what_cannot_be_used_is_dropped_and_counted(tmp_path: Path) -> None:
    text = "genes,growth\nYAL001C,0.5\n,1\nNOGENE1,1\nTFC3 YAL001C,1\nYAL002W,NaN\n"
    dataset = table(tmp_path / "t.csv", text, TableOptions(kinds=("colony size",)))
    assert dataset.phenotype.kind == "colony size"
    assert dict(dataset.dropped) == {"no_gene": 1, "unknown_gene": 1, "genes_not_distinct": 1, "no_phenotype": 1}
    assert dataset.rows_read == 1 + sum(dataset.dropped.values())
    (counts,) = dataset.names
    assert (counts.join, dict(counts.rows), counts.rows_unknown) == ("table", {"systematic": 2, "standard": 1}, 1)
    assert counts.unknown == ("NOGENE1",)
    assert np.isnan(dataset.measurements.statistic).all()


def test_a_name_of_several_genes_is_counted_and_told_with_them(tmp_path: Path) -> None:
    shared = "L19E"  # an alias of both copies of a ribosomal protein
    candidates = GENES.lookup.find(shared).genes
    assert len(candidates) > 1
    text = f"genes,growth\nYAL001C,0.5\nTFC3 {shared},1\n{shared} NOGENE1,1\n"
    dataset = table(tmp_path / "t.csv", text)
    assert dict(dataset.dropped) == {"unknown_gene": 1, "ambiguous_gene": 1}
    assert len(dataset.measurements) == 1
    assert dataset.names[0].ambiguous == ((shared, tuple(GENES.lookup.label(gene) for gene in candidates)),)
    assert dataset.names[0].unknown == ("NOGENE1",)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"genes,growth\n", "a header and no rows"),
        (b"genes,genes\nYAL001C,1\n", ":1: the header names 'genes' twice; its columns are genes, genes"),
        (b"genes,Genes,g\nYAL001C,YAL001C,1\n", ":1: genes and Genes may both be the column of the genes"),
        (b"gene_1,Gene1,g\nYAL001C,YAL001C,1\n", ":1: two columns have one number: Gene1, gene_1"),
        (b"name;growth\nYAL001C;1\n", ":1: no column holds the deleted genes; its columns are name, growth"),
        (b"genes,growth\nYAL001C,1\nYAL002W,1,2\n", ":3: 3 columns where the header has 2"),
        (b"genes,growth\nYAL001C,1\nYAL002W,0.5x\n", ":3: column 'growth' is no finite number: '0.5x'"),
        (b"genes,growth\nYAL001C,inf\n", ":2: column 'growth' is no finite number: 'inf'"),
        (b"genes,growth\nYAL001C,1\n\xff\xfe,2\n", ":3: not utf-8 text"),
        (b'genes,growth\n"YAL001C\nYAL002W",1\nACT1,1x\n', ":4: column 'growth' is no finite number: '1x'"),
        (b'genes,growth\n"YAL001C,1\nACT1,2\n', ":2: 1 columns where the header has 2; a quote is not closed"),
        (b"genes,growth\nNOGENE1,1\n", "none of its 1 rows can be used"),
        (b"genes\nYAL001C\n", ":1: which column is the phenotype?"),
        (b"PAR1 and then nothing", "not a readable Parquet table"),
        (b"\x1f\x8b\x08 cut", "damaged gzip stream"),
    ],
)
def test_damage_is_one_error_with_its_line(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path / "t.csv", GENES, DEFAULT)
    assert reason in caught.value.message
    assert str(tmp_path / "t.csv") in caught.value.message


@pytest.mark.parametrize(
    ("text", "why", "hint"),
    [
        ("genes;g\nACT1;0,5\nTFC3;0.5\n", "a decimal comma, and numbers with a point", "--decimal comma"),
        ("genes;g\nACT1;1,500\nTFC3;2\n", "", "--decimal comma, or write it without"),
        ("genes,g\nACT1,0,5\n", "", "a decimal comma, needs quotes"),
        ("genes,g\nNOT1x,1\nACT1,\n", "unknown: NOT1x", "--gene-id"),
        ("genes,g\nACT1,\nNO1,\nTFC3,NA\n", "'no_phenotype': 2", "choose another of the columns genes, g"),
        ("genes,g\n,1\n,2\n", "'no_gene': 2", "is 'genes' the column of the deleted genes"),
    ],
)
def test_errors_point_to_what_helps(tmp_path: Path, text: str, why: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        table(tmp_path / "t.csv", text)
    assert why in caught.value.why
    assert hint in caught.value.hint


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="no such file"):
        read(tmp_path / "none.csv", GENES, DEFAULT)


EMAP = (
    "gene_1,gene_2,mutation_1,mutation_2,p-value,plate,s\n"
    "SET2,TFC3,delta yjl169w,DELETION,0.5,a,1\n"
    "TFC3,SET2,DELETION,DELETION,0.01,b,2\n"
    "VPS8,TFC3,vps8-11,DAMP,0.02,b,3\n"
    "TFC3,ACT1,tfc3,act1-supp1,,c,4\n"
)
ALLELES = ("mutation_1", "mutation_2")
EMAP_OPTIONS = TableOptions(phenotype="s", alleles=ALLELES, statistic="P-Value", query="gene_1")


def test_alleles_statistics_and_queries_of_a_table(tmp_path: Path) -> None:
    dataset = table(tmp_path / "t.csv", EMAP, EMAP_OPTIONS)
    rows = dataset.measurements
    strains = [
        (dataset.strains[q], dataset.strains[a]) for q, a in zip(rows.query_strain, rows.array_strain, strict=True)
    ]
    assert strains == [
        (("YJL168C", "delta yjl169w"), ("YAL001C", "DELETION")),
        (("YAL001C", "DELETION"), ("YJL168C", "DELETION")),
        (("YAL002W", "vps8-11"), ("YAL001C", "DAMP")),
        (("YAL001C", "tfc3"), ("YFL039C", "act1-supp1")),
    ]
    kind = dict(zip(dataset.strains, dataset.kinds, strict=True))
    assert [(kind[q], kind[a]) for q, a in strains] == [
        ("unknown", "deletion"),
        ("deletion", "deletion"),
        ("ts", "damp"),
        ("deletion", "suppressor"),
    ]
    assert dataset.phenotype.statistic == "p_value"
    assert rows.statistic.tolist()[:3] == [0.5, 0.01, 0.02]
    assert [dataset.queries[q] for q in rows.query] == ["YJL168C", "YAL001C", "YAL002W", "YAL001C"]
    deletions = keep_deletions(dataset)
    assert deletions.measurements.value.tolist() == [2.0]
    assert dict(deletions.dropped) == {"not_a_deletion": 2, "unknown_allele": 1}
    significant = keep_significant(dataset, 0.05)
    assert significant.measurements.value.tolist() == [2.0, 3.0]
    assert dict(significant.dropped) == {"no_p_value": 1, "p_above_max": 1}
    assert merged_alleles(dataset, merge_duplicates(dataset)) == (1, 2)
    assert merged_alleles(dataset, merge_duplicates(dataset, "keep")) == (0, 0)
    assert merged_alleles(deletions, merge_duplicates(deletions)) == (0, 0)


def test_a_query_that_is_the_second_gene_is_the_query_strain(tmp_path: Path) -> None:
    dataset = table(tmp_path / "t.csv", EMAP, EMAP_OPTIONS._replace(query="gene_2"))
    rows = dataset.measurements
    assert dataset.strains[rows.query_strain[0]] == ("YAL001C", "DELETION")
    assert [dataset.queries[q] for q in rows.query] == ["YAL001C", "YJL168C", "YAL001C", "YFL039C"]


def test_groups_are_any_text(tmp_path: Path) -> None:
    dataset = table(tmp_path / "t.csv", EMAP, TableOptions(phenotype="s", group="PLATE"))
    assert [dataset.queries[q] for q in dataset.measurements.query] == ["a", "b", "b", "c"]
    assert (dataset.strains, dataset.kinds) == ((), ())
    assert dict(dataset.options) == {"phenotype_column": "s", "group_column": "plate"}


def test_one_allele_column_is_of_all_genes_of_the_row(tmp_path: Path) -> None:
    text = "genes,s,allele\nTFC3 VPS8,1,tfc3Δ+vps8Δ\nACT1,2,DAMP\nTFC3,3,\n"
    dataset = table(tmp_path / "t.csv", text, TableOptions(phenotype="s", alleles=("Allele",)))
    rows = dataset.measurements
    assert [dataset.strains[s] for s in rows.query_strain] == [
        ("YAL001C+YAL002W", "tfc3Δ+vps8Δ"),
        ("YFL039C", "DAMP"),
        ("YAL001C", ""),
    ]
    assert [dataset.kinds[s] for s in rows.query_strain] == ["deletion", "damp", "unknown"]
    assert (rows.array_strain == -1).all()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            TableOptions(alleles=("mutation_1", "mutation_3")),
            "no allele column 'mutation_3'; its columns are gene_1, gene_2",
        ),
        (TableOptions(alleles=("mutation_1", "mutation_2", "plate")), "3 allele columns for the 2 gene columns"),
        (TableOptions(statistic="plate", phenotype="s"), "is column 'plate' a P-value or a standard deviation?"),
        (TableOptions(statistic="s", statistic_kind="p_value", phenotype="p-value"), ":3: column 's': 2 is no P-value"),
        (TableOptions(query="who"), "no query column 'who'"),
        (TableOptions(group="who"), "no group column 'who'"),
    ],
)
def test_columns_that_are_not_as_named(tmp_path: Path, options: TableOptions, reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        table(tmp_path / "t.csv", EMAP, options)
    assert reason in caught.value.message


@pytest.mark.parametrize(
    ("header", "kind"),
    [("p", "p_value"), ("P.value", "p_value"), ("fitness p-value", "p_value"), ("SD", "sd"), ("score_std", "sd")],
)
def test_what_a_statistic_is_its_header_says(tmp_path: Path, header: str, kind: str) -> None:
    dataset = table(tmp_path / "t.csv", f"genes,s,{header}\nACT1,1,0.5\n", TableOptions("s", statistic=header))
    assert dataset.phenotype.statistic == kind


def test_collins_2007(test_data: Path) -> None:
    """Counted with zcat and awk: 150,636 rows DELETION x DELETION; 434 rows of YDR134C, which is no gene of the bundle.

    Of the rows of known genes 2,799 pairs have several, 6,171 in all, of different alleles each.
    """
    path = test_data / "collins2007" / "collins2007_emap.csv.gz"
    dataset, _ = read(
        path, GENES, TableOptions(phenotype="s_score", alleles=("mutation_1,mutation_2",), query="gene_1")
    )
    assert (dataset.rows_read, dict(dataset.dropped)) == (186_500, {"unknown_gene": 434})
    assert merged_alleles(dataset, merge_duplicates(dataset)) == (2_799, 6_171)
    deletions = keep_deletions(dataset)
    assert len(deletions.measurements) == 150_636
    frame = pd.read_csv(path)
    assert len(deletions.measurements) == ((frame.mutation_1 == "DELETION") & (frame.mutation_2 == "DELETION")).sum()
    assert len(dataset.queries) == frame.gene_1[(frame.gene_1 != "YDR134C") & (frame.gene_2 != "YDR134C")].nunique()


ODD = st.text(st.sampled_from("ABc1 ,;|+/-'\"()ω"), min_size=1, max_size=6).filter(lambda text: text.strip())
GENOMES = st.lists(ODD.map(str.strip), min_size=1, max_size=6, unique_by=str.upper)


@settings(max_examples=attempts(60, 1000), deadline=None)
@given(GENOMES, st.sampled_from([LAB, EXACT]), st.data())
def test_cells_are_split_as_the_look_up_splits_them(
    tmp_path_factory: Any, names: list[str], notation: str, data: Any
) -> None:
    """The split in Arrow against `names_in`, one cell after another, what guards one from spreadsheets taken off."""
    genes = make_gene_table([(f"G{i}", name) for i, name in enumerate(names)])
    part = st.sampled_from([*names, "no", "", "G0"])
    cells = data.draw(
        st.lists(st.lists(part, max_size=3).map(data.draw(st.sampled_from(" ,;")).join), min_size=1, max_size=5)
    )
    path = tmp_path_factory.mktemp("cells") / "t.parquet"
    pq.write_table(pa.table({"genes": ["G0", *cells], "g": [1.0] * (len(cells) + 1)}), path)
    dataset, _ = read(path, genes, TableOptions(notation=notation))
    kept = dict(zip(dataset.measurements.row.tolist(), genotypes(dataset), strict=True))
    spelt = [[n for n in genes.lookup.names_in(from_cell(cell.strip())) if n] if cell.strip() else [] for cell in cells]
    found = genes.lookup.look_up(tuple(dict.fromkeys(n for row in [["G0"], *spelt] for n in row)))
    of = dict(zip(found.names, found.gene.tolist(), strict=True))
    for line, row in enumerate(spelt, 3):
        gene = [of[name] for name in row]
        if notation == LAB:
            gene = [_in_lab_notation(name, of[name], genes.lookup) for name in row if not _blank(name, of[name])]
        usable = bool(gene) and min(gene) >= 0 and len(set(gene)) == len(gene)
        assert kept.get(line) == (sorted(gene) if usable else None), cells[line - 3]


def _blank(name: str, gene: int) -> bool:
    return gene == UNKNOWN and name.casefold() in BLANKS


def _in_lab_notation(name: str, gene: int, lookup: GeneNames) -> int:
    allele = gene_in(name, lookup) if gene == UNKNOWN else ""
    return int(lookup.look_up((allele,)).gene[0]) if allele else gene


@settings(max_examples=attempts(150, 3000), deadline=None)
@given(st.data())
def test_mutated_tables_are_read_or_refused_with_one_error(tmp_path_factory: Any, data: Any) -> None:
    text = bytearray(
        data.draw(st.sampled_from([EMAP, 'genes;s\n"ADE5,7";1\nACT1;2\n', ",Genes\ts\n0,ACT1\t1\n"])).encode()
    )
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(len(text) - 1, 0)))
        text[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.sampled_from([b"", b'"', b"\r", b"\n", b",", b"\xff", b"\0"])
        )
    path = tmp_path_factory.mktemp("mutated") / "t.csv"
    path.write_bytes(bytes(text))
    try:
        dataset, _ = read(path, GENES, TableOptions(phenotype="s"))
    except GocellError as error:
        refused = error.message
    else:
        refused = ""
    if refused:
        assert str(path) in refused
        return
    assert dataset.rows_read == len(dataset.measurements) + sum(dataset.dropped.values())


LONG_TABLES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "two columns": ("gene_1,gene_2,growth", "{a},{b},{v}", {}),
    "one column of several": ("genes,growth", "{a} {b};{a2},{v}", {}),
    "names of laboratories": ("gene_1,gene_2,growth", "{la},{b}-4,{v}", {}),
    "alleles and a query": (
        "gene_1,gene_2,al_1,al_2,growth",
        "{a},{b},{a}_{n},{b}-ts{n},{v}",
        {"alleles": ("al_1", "al_2"), "query": "gene_1", "phenotype": "growth"},
    ),
    "fitness of strains": (
        "gene_1,gene_2,f_1,f_2,growth",
        "{a},{b},0.{n}5,0.{n}4,{v}",
        {"fitness": ("f_1", "f_2"), "phenotype": "growth"},
    ),
    "two phenotypes": (
        "gene_1,gene_2,growth,sd,size",
        "{a},{b},{v},0.0{n}1,{w}",
        {"phenotype": "growth,size", "statistic": "sd,"},
    ),
    "groups": ("genes,plate,growth", "{a},p{n},{v}", {"group": "plate", "phenotype": "growth"}),
    "decimal commas": ("gene_1;gene_2;growth", "{a};{b};0,{n}25", {}),
    "words, and quotes": ('gene_1,gene_2,growth', '"{a}","{b}",{word}', {}),
    "contents tell the phenotype": ("gene_1,gene_2,one,other", "{a},{b},text{n},{v}", {}),
}  # fmt: skip


def long_lines(row: str, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    names = ["YAL001C", "TFC3", "vps8", "YAL003W", "NO1", "YAL005C", "", "01-Oct", "YAL007C", "SSA1"]
    laboratory = [*names[:6], "smi1\u0394", "dcp1-delta", "-", "YAL001C"]
    lines = []
    for i in range(300):
        a, b, c, d = rng.integers(0, len(names), 4).tolist()
        word = ["0.5", "n.d.", "", "sick", "1"][int(rng.integers(0, 5))]
        lines.append(
            row.format(
                a=names[a], b=names[b], a2=names[c], la=laboratory[d], v=f"0.{i}", w=f"0.{i}1" if i % 3 else "",
                n=int(rng.integers(1, 5)), word=word,
            )
        )  # fmt: skip
    return lines


@pytest.fixture
def in_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_pieces, "BYTES", 500)
    monkeypatch.setattr(table_pieces, "ROWS", 41)
    chunks = table_pieces.text_chunks
    monkeypatch.setattr(table_pieces, "text_chunks", lambda file, path: chunks(file, path, 128))


def same(one: Dataset, other: Dataset) -> None:
    """Two data sets are one, but for the order in which names that are no gene's were met."""
    for name in ("genes", "value", "statistic", "row", "query_strain", "array_strain", "query"):
        a, b = getattr(one.measurements, name), getattr(other.measurements, name)
        np.testing.assert_array_equal(a, b, err_msg=name)
        assert a.dtype == b.dtype
    for a, b in zip(one.measurements.others, other.measurements.others, strict=True):
        np.testing.assert_array_equal(a.value, b.value)
        np.testing.assert_array_equal(a.statistic, b.statistic)
    told = [replace(d.names[0], unknown=(), ambiguous=()) for d in (one, other)]
    assert told[0] == told[1]
    assert [sorted(d.names[0].unknown) for d in (one, other)] == [sorted(one.names[0].unknown)] * 2
    left_out = {"measurements", "names"}
    for name in {f.name for f in fields(Dataset)} - left_out:
        assert getattr(one, name) == getattr(other, name), name


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", [*LONG_TABLES])
def test_a_table_in_pieces_is_the_data_set_of_the_whole(
    tmp_path: Path, in_small_pieces: None, kind: str, seed: int
) -> None:
    header, row, options = LONG_TABLES[kind]
    path = tmp_path / "t.csv"
    path.write_text("\n".join([header, *long_lines(row, seed)]) + "\n", "utf-8")
    chosen = TableOptions(**options)
    pieces = kept_pieces.kept_pieces(path, chosen, GENES.lookup)
    assert len(pieces) > 5 or kind == "contents tell the phenotype"
    found, notes = read(path, GENES, chosen)
    whole = read_table(path, is_key=is_gene_column)
    columns = choose_columns(whole, chosen)
    digest = found.sources["raw"]
    expected, told = own_table._dataset([kept_pieces.keep(whole, columns, chosen, GENES.lookup)], GENES, chosen, digest)
    same(found, expected)
    assert len(found.measurements)
    assert sorted(notes) == sorted(told) or kind in ("names of laboratories", "words, and quotes")  # examples differ


def test_parquet_in_row_groups_is_the_data_set_of_the_whole(tmp_path: Path, in_small_pieces: None) -> None:
    header, row, _ = LONG_TABLES["two columns"]
    (tmp_path / "t.csv").write_text("\n".join([header, *long_lines(row, 3)]), "utf-8")
    pd.read_csv(tmp_path / "t.csv", dtype={"growth": float}).to_parquet(tmp_path / "t.parquet", row_group_size=50)
    one, other = (read(tmp_path / name, GENES, DEFAULT)[0] for name in ("t.csv", "t.parquet"))
    same(*(replace(found, sources={}, rejected=NONE_REJECTED) for found in (one, other)))  # 0.5, not 0.50


def test_two_processes_read_what_one_reads(
    tmp_path: Path, in_small_pieces: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    header, row, _ = LONG_TABLES["two columns"]
    path = tmp_path / "t.csv"
    path.write_text("\n".join([header, *long_lines(row, 4)]), "utf-8")
    monkeypatch.setattr(kept_pieces, "LONG", 0)
    told: list[tuple[int, int, int]] = []
    ahead = kept_pieces.ReadAhead(2, lambda *one: told.append(one))
    one, other = read(path, GENES, DEFAULT), read(path, GENES, DEFAULT, ahead)
    same(one[0], other[0])
    assert one[1] == other[1]
    assert one[0].names == other[0].names
    assert told == sorted(told)
    size = path.stat().st_size
    assert told[-1][1:] == (size, 300)
    assert told[-1][0] == pytest.approx(size, rel=0.2)  # each piece has the header, and one line end less


def test_pieces_of_different_decimal_marks_are_an_error_as_in_the_whole(tmp_path: Path, in_small_pieces: None) -> None:
    lines = [f"YAL001C;YAL002W;0{',' if i < 150 else '.'}5" for i in range(300)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["gene_1;gene_2;growth", *lines]), "utf-8")
    with pytest.raises(InvalidInput, match="0,5"):
        read(path, GENES, DEFAULT)

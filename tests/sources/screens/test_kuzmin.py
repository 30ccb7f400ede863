"""Kuzmin 2018's Data S1: genotypes by its rules, every row accounted for, damage named with file and line."""

from pathlib import Path

import pytest

from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import NO_GENE, merge_duplicates
from gocell_cli.errors import InvalidInput, UsageError
from gocell_cli.sources.go.bundle import load_genes
from gocell_cli.sources.screens.kuzmin import COLUMNS, choose_rows
from gocell_cli.sources.screens.kuzmin2018 import read_kuzmin2018
from tests.conftest import TOY_ROWS, sga_line


def _table(folder: Path, *rows: str, header: str = "\t".join(COLUMNS)) -> Path:
    path = folder / "table.tsv"
    path.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return path


def _genotypes(path: Path, genes: GeneTable, **options: str) -> list[tuple[int, ...]]:
    options = {"phenotype": "fitness", "order": "all", **options}
    dataset = read_kuzmin2018(path, genes, **options)  # type: ignore[arg-type]
    return [tuple(g for g in row if g != NO_GENE) for row in dataset.measurements.genes.tolist()]


def test_ho_is_removed_on_either_side_and_rows_add_up(toy_table: Path, toy_genes: GeneTable) -> None:
    assert _genotypes(toy_table, toy_genes) == [(0, 1), (0, 1), (2, 3, 4)]
    dataset = read_kuzmin2018(toy_table, toy_genes, phenotype="fitness", order="all")
    assert dataset.dropped == {"no_phenotype": 1, "unknown_gene": 1}
    assert dataset.rows_read == len(dataset.measurements) + sum(dataset.dropped.values()) == len(TOY_ROWS)
    assert dataset.measurements.row.tolist() == [2, 3, 4]
    assert dataset.queries == ("YAL001C", "YAL002W", "YAL003W+YAL005C")


def test_merged_rows_are_averaged_and_their_sds_root_mean_squared(toy_table: Path, toy_genes: GeneTable) -> None:
    merged = merge_duplicates(read_kuzmin2018(toy_table, toy_genes, phenotype="fitness", order="digenic"))
    assert merged.value.tolist() == pytest.approx([0.6])
    assert merged.statistic.tolist() == pytest.approx([((0.03**2 + 0.04**2) / 2) ** 0.5])
    assert merged.group_names == ("YAL001C;YAL002W",)


@pytest.mark.parametrize(("phenotype", "expected"), [("tau", [(2, 3, 4)]), ("epsilon", [(0, 1), (0, 1)])])
def test_scores_belong_to_their_order(
    toy_table: Path, toy_genes: GeneTable, phenotype: str, expected: list[tuple[int, ...]]
) -> None:
    found = read_kuzmin2018(toy_table, toy_genes, phenotype=phenotype, order="all")
    assert _genotypes(toy_table, toy_genes, phenotype=phenotype) == expected
    assert found.dropped["other_order"] == (4 if phenotype == "tau" else 1)


def test_a_gene_crossed_with_itself_is_counted(tmp_path: Path, toy_genes: GeneTable) -> None:
    row = sga_line("YAL001C+YDL227C_tm1", "YAL001C_dma1", "digenic", fitness="0.5", sd="0.1")
    with pytest.raises(InvalidInput, match="none of its 1 rows") as caught:
        read_kuzmin2018(_table(tmp_path, row), toy_genes, phenotype="fitness", order="all")
    assert "1 genes_not_distinct" in caught.value.why


GOOD = sga_line("YAL001C+YDL227C_tm1", "YAL002W_dma1", "digenic", "-0.5", "0.01", "0.5", "0.03")


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("\t".join(GOOD.split("\t")[:9]), "9 tab-separated columns where 12"),
        (GOOD + "\textra", "13 tab-separated columns where 12"),
        ("", "not digenic or trigenic: ''"),
        (GOOD.replace("\t0.5\t", "\thalf\t"), "'Combined mutant fitness' is no finite number: 'half'"),
        (GOOD.replace("\t0.5\t", "\tinf\t"), "is no finite number: 'inf'"),
        (GOOD.replace("digenic", "tetragenic"), "not digenic or trigenic: 'tetragenic'"),
        (GOOD.replace("YAL001C+YDL227C_tm1", "YAL001C"), "not a query strain id"),
        (GOOD.replace("YAL002W_dma1", ""), "not an array strain id"),
    ],
)
def test_a_broken_row_is_named_with_file_and_line(tmp_path: Path, toy_genes: GeneTable, bad: str, reason: str) -> None:
    path = _table(tmp_path, GOOD, bad, GOOD)
    with pytest.raises(InvalidInput) as caught:
        read_kuzmin2018(path, toy_genes, phenotype="fitness", order="all")
    assert f"{path}:3: " in caught.value.message
    assert reason in caught.value.message


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", ":1: the header lacks"),
        (b"a\tb\n1\t2\n", ":1: the header lacks 'Query strain ID'"),
        ("\t".join(COLUMNS[::-1]).encode() + b"\n", ":1: the header's 12 columns are not"),
        ("\t".join(COLUMNS).encode() + b"\n", "a header and no rows"),
    ],
)
def test_what_is_no_data_s1_is_refused(tmp_path: Path, toy_genes: GeneTable, data: bytes, reason: str) -> None:
    path = tmp_path / "bad.tsv"
    path.write_bytes(data)
    with pytest.raises(InvalidInput) as caught:
        read_kuzmin2018(path, toy_genes, phenotype="fitness", order="all")
    assert reason in caught.value.message


def test_text_that_is_not_utf8_is_named_with_its_line(tmp_path: Path, toy_genes: GeneTable) -> None:
    path = _table(tmp_path, GOOD)
    path.write_bytes(path.read_bytes() + GOOD.replace("\tq\t", "\t\xe9\t").encode("latin-1") + b"\n")
    with pytest.raises(InvalidInput) as caught:
        read_kuzmin2018(path, toy_genes, phenotype="fitness", order="all")
    assert f"{path}:3: not utf-8 text" in caught.value.message


@pytest.mark.parametrize(("phenotype", "order"), [("tau", "digenic"), ("epsilon", "trigenic"), ("growth", "all")])
def test_phenotype_and_order_must_fit(phenotype: str, order: str) -> None:
    with pytest.raises(UsageError):
        choose_rows("kuzmin2018", phenotype, order)


def test_the_real_slice(test_data: Path) -> None:
    path, genes = test_data / "kuzmin2018" / "aao1729_data_s1.slice.tsv", load_genes()
    dataset = read_kuzmin2018(path, genes, phenotype="fitness", order="all")
    assert (dataset.rows_read, len(merge_duplicates(dataset))) == (15_095, 14_571)
    with pytest.raises(InvalidInput, match="none of its 15095 rows holds a tau"):
        read_kuzmin2018(path, genes, phenotype="tau", order="all")


def test_a_row_of_the_paper(test_data: Path) -> None:
    path, genes = test_data / "kuzmin2018" / "aao1729_data_s1.slice.tsv", load_genes()
    dataset = read_kuzmin2018(path, genes, phenotype="fitness", order="digenic")
    ids = [strain for strain, _ in dataset.strains]
    rows = dataset.measurements
    found = [
        (rows.value[i], rows.statistic[i])
        for i in range(len(rows))
        if (ids[rows.query_strain[i]], ids[rows.array_strain[i]]) == ("YAR002W+YDL227C_tm3180", "YBL041W_tsa1064")
    ]
    assert found == [(0.8184, 0.0382)]

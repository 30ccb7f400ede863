"""`--gene-table` files, and gene lists: what they say there is, and what they may not say."""

from pathlib import Path

import pytest

from gocell_cli.domain.genes import Gene, make_gene_table
from gocell_cli.errors import InvalidInput
from gocell_cli.sources.go import bundle
from gocell_cli.sources.go.gene_table import read_gene_table
from gocell_cli.sources.go.releases import load_gene_list, load_hierarchy, load_release, require_orfs, with_listed
from tests import toy
from tests.sources.gaf_files import HUMAN, WORM, gaf_row, write_gaf

GENES = [("G1", "one", ("uno", "eins")), ("G2", "two", ()), ("G3", "", ())]


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "G1\tone\tuno|eins\nG2\ttwo\t\nG3\n",
        "# all of them\nid\tsymbol\tsynonyms\nG1\tone\tuno|eins\nG2\ttwo\t\nG3\t\t\n",
        "Aliases\tGene_ID\tNote\tSymbol\r\nuno|eins\tG1\tx\tone\r\n\tG2\ty\ttwo\r\n\tG3\n",
    ],
    ids=["bare", "header", "other-order"],
)
def test_a_table_of_ids_symbols_and_synonyms(tmp_path: Path, text: str) -> None:
    expected = make_gene_table([Gene(*gene) for gene in GENES])
    assert read_gene_table(write(tmp_path / "genes.tsv", text)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("G1\tone\nG1\ttwo\n", r":2: G1 stands here again; first in line 1"),
        ("id\tsymbol\nG1\tone\n\tx\n", r":3: no id in this row"),
        ("", "the file is empty"),
        ("# nothing\n", "no gene in it"),
        ("id\tsymbol\n", "no gene in it"),
    ],
)
def test_what_is_no_gene_table(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_gene_table(write(tmp_path / "genes.tsv", text))


def test_a_gpi_is_a_gene_table(tmp_path: Path) -> None:
    rows = [f"WB\t{i}\t{s}\t\t{a}\tgene\ttaxon:6239\t\t\t" for i, s, _, a in WORM.genes]
    table = read_gene_table(write(tmp_path / "worm.gpi", "\n".join(["!gpi-version: 1.2", *rows]) + "\n"))
    assert table.systematic == tuple(g[0] for g in WORM.genes)
    assert table.standard == tuple(g[1] for g in WORM.genes)
    assert table.ids[0] == ("WBGene00000001", "WB:WBGene00000001")
    assert table.lookup.find("Y110A7A.10").genes == (0,)


def worms(tmp_path: Path, rows: int = 5) -> Path:
    return write_gaf(tmp_path / "worm.gaf", [gaf_row(WORM, i, "GO:0000002") for i in range(rows)])


TABLE = "".join(f"{i}\t{s}\t{a}\n" for i, s, _, a in WORM.genes) + "WBGene9\tzzz-9\tOLD9\n"


def test_the_genes_of_a_given_table_are_all_there_are(tmp_path: Path) -> None:
    table = write(tmp_path / "genes.tsv", TABLE)
    release = load_release(toy.write_obo(tmp_path), worms(tmp_path, 4), gene_table=table)
    assert release.genes.systematic == (*(g[0] for g in WORM.genes), "WBGene9")
    naming = release.annotations.naming
    assert naming is not None
    assert (naming.gene_id, naming.genes, naming.unannotated, naming.table) == ("systematic", 4, 2, str(table))
    assert release.sha256["genes"] != release.sha256["annotations"]
    assert release.annotations.found.rows == {"systematic": 4}  # type: ignore[union-attr]
    by_symbol = load_release(toy.write_obo(tmp_path), worms(tmp_path, 4), gene_table=table, gene_id="symbol").genes
    assert by_symbol.systematic == ("aap-1", "aat-1", "aat-2", "rps-27", "vig-1", "zzz-9")
    assert by_symbol.lookup.find("WBGene9").way == "id"


def test_a_table_of_another_organism_is_refused(tmp_path: Path) -> None:
    table = write(tmp_path / "genes.tsv", "".join(f"{i}\t{s}\n" for i, s, *_ in HUMAN.genes))
    with pytest.raises(InvalidInput, match="none of its 5 DB objects is among the 5 genes of") as caught:
        load_release(toy.write_obo(tmp_path), worms(tmp_path), gene_table=table)
    assert "same organism" in caught.value.hint


def test_a_hierarchy_of_the_genes_of_a_given_table(tmp_path: Path) -> None:
    table = write(tmp_path / "genes.tsv", TABLE)
    file = write(tmp_path / "made.ont", "A\tB\tdefault\nB\taap-1\tgene\nA\told9\tgene\nA\tCELE_F27C8.1\tgene\n")
    release = load_hierarchy(file, table)
    assert release.annotations.names == (("WBGene00000001",), ("WBGene9",), ("WBGene00000002",))
    assert (release.all_genes, len(release.genes)) == (True, 6)
    other = write(tmp_path / "other.ont", "A\tB\tdefault\n" + "".join(f"B\tT{i}\tgene\n" for i in range(9)))
    with pytest.raises(InvalidInput, match="0 of 9 names are among the 6 genes here"):
        load_hierarchy(other, table)
    assert load_hierarchy(other).all_genes is False


def test_a_gene_that_only_a_list_names_is_a_gene_without_annotation(tmp_path: Path) -> None:
    release = load_release(toy.write_obo(tmp_path), worms(tmp_path))
    listed = with_listed(release, write(tmp_path / "genes.txt", "aap-1\nAAT-1\nnew-1, new-2\n"))
    assert set(listed.genes.systematic) == {*release.genes.systematic, "new-1", "new-2"}
    assert listed.annotations.naming.unannotated == 2  # type: ignore[union-attr]
    found = load_gene_list(tmp_path / "genes.txt", listed.genes)
    assert (found.names, found.unknown) == (("aap-1", "aat-1", "new-1", "new-2"), ())


def test_a_list_of_another_organism_is_refused(tmp_path: Path) -> None:
    orfs = bundle.load_genes()
    path = write(tmp_path / "genes.txt", "\n".join(["RAD51", *(f"ENSG{i:05d}" for i in range(9))]))
    with pytest.raises(InvalidInput, match=r"1 of 10 names are among the 6,604 genes here"):
        load_gene_list(path, orfs)
    with pytest.raises(InvalidInput, match="none of its 1 names is a gene's"):
        load_gene_list(write(tmp_path / "none.txt", "BRCA2\n"), orfs)


def test_a_list_may_not_say_a_name_of_several_genes(tmp_path: Path) -> None:
    table = make_gene_table([Gene("A1", "PAP1"), Gene("A2", "PAP1"), Gene("A3", "x")])
    with pytest.raises(InvalidInput, match=r"genes.txt:2: PAP1 is a name of 2 genes: A1 \(PAP1\), A2 \(PAP1\)"):
        load_gene_list(write(tmp_path / "genes.txt", "x\nPAP1\n"), table)


def test_commas_in_a_list_are_between_genes_or_of_one(tmp_path: Path) -> None:
    orfs = bundle.load_genes()
    found = load_gene_list(write(tmp_path / "genes.txt", "ADE5,7\nARG5,6,CDC28\nDUR1,2 ACT1\n"), orfs)
    assert {orfs.standard[orfs.index[n]] for n in found.names} == {"ADE5,7", "ARG5,6", "CDC28", "DUR1,2", "ACT1"}
    assert found.unknown == ()


def test_one_shared_gene_is_not_enough_for_yeast_data(tmp_path: Path) -> None:
    rows = [gaf_row(HUMAN, i, "GO:0000002") for i in range(5)]
    rows.append(gaf_row(HUMAN, 0, "GO:0000002").replace("\tNUDT4B\t", "\tYAL001C\t").replace("A0A024RBG1", "X"))
    release = load_release(toy.write_obo(tmp_path), write_gaf(tmp_path / "mixed.gaf", rows))
    with pytest.raises(InvalidInput, match="only 1 of its 6 genes is a gene of kuzmin2018"):
        require_orfs(release, "kuzmin2018")

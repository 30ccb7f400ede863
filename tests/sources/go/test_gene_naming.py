"""Genes of any organism's GAF: which column names them, by choice or by itself, and what is said about it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gocell_cli.domain.annotations import AnnotationRows, GeneNaming
from gocell_cli.domain.genes import GeneTable
from gocell_cli.errors import InvalidInput, UsageError
from gocell_cli.sources.go import bundle
from gocell_cli.sources.go.gaf import read_gaf_objects
from gocell_cli.sources.go.gene_naming import name_genes
from gocell_cli.sources.go.releases import load_release, require_orfs
from tests import toy
from tests.sources.gaf_files import HUMAN, MOUSE, WORM, YEAST, Organism, gaf_row, write_gaf

Named = tuple[AnnotationRows, GeneTable, GeneNaming]
Namer = Callable[..., Named]


@pytest.fixture(scope="module")
def orfs() -> GeneTable:
    return bundle.load_genes()


@pytest.fixture
def named(tmp_path: Path, orfs: GeneTable) -> Namer:
    def name(rows: list[str], gene_id: str = "auto", taxon: str | None = None) -> Named:
        gaf = read_gaf_objects(write_gaf(tmp_path / "made.gaf", rows))
        annotations, genes = name_genes(gaf, orfs, gene_id, taxon)
        assert annotations.naming is not None
        return annotations, genes, annotations.naming

    return name


def all_genes(organism: Organism) -> list[str]:
    return [gaf_row(organism, gene, "GO:0000002") for gene in range(5)]


@pytest.mark.parametrize(
    ("organism", "first", "aliases"),
    [
        (HUMAN, ("ACTB", "AURKB", "BRCA1", "NUDT4B", "TP53"), ("P04637", "P53")),
        (WORM, ("aap-1", "aat-1", "aat-2", "rps-27", "vig-1"), ("WBGene00006924", "F56D12.5")),
        (MOUSE, ("Cfl1", "Hes1", "Pax6", "Six3", "Trp53"), ("MGI:98834", "p53", "p44")),
    ],
    ids=["human", "worm", "mouse"],
)
def test_by_itself_another_organism_is_named_by_symbol(
    named: Namer, organism: Organism, first: tuple[str, ...], aliases: tuple[str, ...]
) -> None:
    rows, genes, naming = named(all_genes(organism))
    assert genes.systematic == genes.standard == first
    assert genes.aliases[4] == aliases
    assert [genes.index[n] for (n,) in rows.names] == [first.index(g[1]) for g in organism.genes]
    assert naming == GeneNaming("symbol", organism.taxon, {organism.taxon: 5}, 5, 5, 0, 5)
    assert naming.options == {"gene_id": "symbol", "taxon": organism.taxon}


@pytest.mark.parametrize(
    ("gene_id", "organism", "first"),
    [
        ("id", HUMAN, ("A0A024RBG1", "P04637", "P38398", "P60709", "Q96GD4")),
        ("id", MOUSE, ("MGI:101757", "MGI:102764", "MGI:107793", "MGI:97490", "MGI:98834")),
        ("synonym", WORM, ("CELE_F27C8.1", "CELE_Y110A7A.10", "F07C3.7", "F56D12.5")),
        ("symbol", YEAST, ("EFB1", "ERP2", "SSA1", "TFC3", "VPS8")),
        ("synonym", YEAST, ("YAL001C", "YAL002W", "YAL003W", "YAL005C", "YAL007C")),
    ],
)
def test_the_column_may_be_chosen(named: Namer, gene_id: str, organism: Organism, first: tuple[str, ...]) -> None:
    rows, genes, naming = named(all_genes(organism), gene_id)
    assert genes.systematic == first
    assert (naming.gene_id, naming.objects, naming.named, naming.genes) == (gene_id, 5, len(first), len(first))
    assert rows.names.count(()) == 5 - len(first)
    assert all(
        len(genes.lookup.find(symbol).genes) == 1 for _, symbol, _, s in organism.genes if s or gene_id != "synonym"
    )


def test_by_itself_yeast_has_sgds_names_and_table(named: Namer, orfs: GeneTable) -> None:
    rows, genes, naming = named(all_genes(YEAST))
    assert genes is orfs
    assert naming == GeneNaming("systematic", "", {"559292": 5}, 5, 5, 5, 5)
    assert naming.options == {}
    assert rows.names[0] == ("TFC3", "YAL001C", "tau 138", "TSV115")
    assert named(all_genes(YEAST), "systematic")[1] is orfs


def test_the_systematic_names_decide_by_half(named: Namer, orfs: GeneTable) -> None:
    mixed = [*all_genes(YEAST)[:2], *all_genes(HUMAN)[:2]]
    assert named(mixed)[1] is orfs
    rows, genes, naming = named([*mixed, all_genes(HUMAN)[2]])
    assert (naming.gene_id, naming.taxon, naming.systematic) == ("symbol", "9606", 2)
    assert genes.systematic == ("BRCA1", "NUDT4B", "TP53")
    assert (len(rows), rows.dropped) == (3, {"other_taxon": 2})


def test_ids_name_genes_whose_symbols_are_not_distinct(named: Namer) -> None:
    rows = [r.replace("\tTP53\t", "\tACTB\t", 1) for r in all_genes(HUMAN)]
    assert named(rows)[2].gene_id == "id"
    _, genes, naming = named(rows, "symbol")
    assert (naming.objects, naming.genes) == (5, 4)
    assert {"P60709", "P04637", "P53"} <= set(genes.aliases[genes.index["ACTB"]])


def test_of_several_taxa_the_biggest_is_used_unless_one_is_chosen(named: Namer) -> None:
    both = [gaf_row(HUMAN, 0, "GO:0000002", taxon="taxon:9606|taxon:11676"), *all_genes(HUMAN)[1:]]
    rows = [*all_genes(WORM)[:2], *both, *all_genes(MOUSE)[:1]]
    annotations, genes, naming = named(rows)
    assert (naming.taxon, naming.taxa) == ("9606", {"9606": 5, "6239": 2, "10090": 1})
    assert (len(annotations), annotations.dropped, len(genes)) == (5, {"other_taxon": 3}, 5)
    for taxon in ("6239", "taxon:6239"):
        annotations, genes, naming = named(rows, taxon=taxon)
        assert (naming.taxon, genes.systematic) == ("6239", ("aap-1", "aat-1"))
        assert annotations.dropped == {"other_taxon": 6}
        assert annotations.object_of_row.tolist() == [0, 1]
    with pytest.raises(UsageError, match="--taxon 7227") as caught:
        named(rows, taxon="7227")
    assert caught.value.why.endswith("9606 5, 6239 2, 10090 1")


def test_a_chosen_taxon_is_in_the_options_even_of_yeast(named: Namer, orfs: GeneTable) -> None:
    rows, genes, naming = named([*all_genes(YEAST), *all_genes(HUMAN)], taxon="559292")
    assert genes is orfs
    assert (len(rows), rows.dropped, naming.options) == (5, {"other_taxon": 5}, {"taxon": "559292"})


def test_systematic_names_asked_for_and_not_there(named: Namer) -> None:
    with pytest.raises(InvalidInput, match="none of its 5 DB objects") as caught:
        named(all_genes(HUMAN), "systematic")
    assert "NUDT4B, TP53, BRCA1" in caught.value.why


def test_names_joined_by_a_slash(named: Namer, orfs: GeneTable) -> None:
    joined = all_genes(YEAST)[0].replace("YAL001C|tau 138", "YAL001C/YAL002W")
    assert named([joined])[2].genes == 2
    whole = all_genes(HUMAN)[0].replace("\tNUDT4B\t", "\tl(1)G0020/a\t", 1)
    assert named([whole])[1].systematic == ("l(1)G0020/a",)


def test_the_real_yeast_file_keeps_sgds_names(test_data: Path) -> None:
    gaf, orfs = read_gaf_objects(test_data / "go" / "goa_yeast-2016-10-03.gaf.gz"), bundle.load_genes()
    rows, genes = name_genes(gaf, orfs, "auto", None)
    assert rows.naming == GeneNaming("systematic", "", {"559292": 67_138}, 6_719, 6_598, 6_598, 6_603)
    assert genes is orfs
    assert rows.names == bundle.load_annotations().names
    assert len(name_genes(gaf, orfs, "id", None)[1]) == 6_719


def test_genes_named_by_a_file_are_hashed_with_it(tmp_path: Path) -> None:
    gaf = write_gaf(tmp_path / "human.gaf", all_genes(HUMAN))
    release = load_release(toy.write_obo(tmp_path), gaf)
    assert release.sha256["genes"] == release.sha256["annotations"]


def test_yeast_data_need_genes_of_yeast(tmp_path: Path) -> None:
    release = load_release(None, write_gaf(tmp_path / "human.gaf", all_genes(HUMAN)))
    with pytest.raises(InvalidInput, match=r"none of its 5 genes is a gene of kuzmin2018") as caught:
        require_orfs(release, "kuzmin2018")
    assert "ACTB" in caught.value.why
    assert "--dataset simulated" in caught.value.hint
    require_orfs(load_release(None, None), "kuzmin2018")

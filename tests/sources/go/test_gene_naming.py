"""Genes of any organism's GAF: which column names them, by choice or by itself, and what is said about it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gocell_cli.domain.annotations import AnnotationRows, GeneNaming
from gocell_cli.domain.genes import Gene, GeneTable, KnownGenes, make_gene_table
from gocell_cli.errors import InvalidInput, UsageError
from gocell_cli.gene_names import FEW, MANY
from gocell_cli.sources.go import bundle
from gocell_cli.sources.go.gaf import DbObject, read_gaf_objects
from gocell_cli.sources.go.gene_linking import link_objects
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
        annotations, genes = name_genes(gaf, KnownGenes(orfs), gene_id, taxon)
        assert annotations.naming is not None
        return annotations, genes, annotations.naming

    return name


def all_genes(organism: Organism) -> list[str]:
    return [gaf_row(organism, gene, "GO:0000002") for gene in range(5)]


@pytest.mark.parametrize(
    ("organism", "first", "aliases"),
    [
        (HUMAN, ("ACTB", "AURKB", "BRCA1", "NUDT4B", "TP53"), ("P53",)),
        (WORM, ("aap-1", "aat-1", "aat-2", "rps-27", "vig-1"), ("F56D12.5",)),
        (MOUSE, ("Cfl1", "Hes1", "Pax6", "Six3", "Trp53"), ("p53", "p44")),
    ],
    ids=["human", "worm", "mouse"],
)
def test_by_itself_another_organism_is_named_by_symbol(
    named: Namer, organism: Organism, first: tuple[str, ...], aliases: tuple[str, ...]
) -> None:
    rows, genes, naming = named(all_genes(organism))
    assert genes.systematic == genes.standard == first
    assert genes.aliases[4] == aliases
    (identifier,) = (g[0] for g in organism.genes if g[1] == first[4])
    assert genes.ids[4] == (identifier, f"{organism.database}:{identifier}")
    assert [genes.index[n] for (n,) in rows.names] == [first.index(g[1]) for g in organism.genes]
    shared = sum(symbol == "Hes1" for symbol in first)  # HES1 is a gene of yeast, too
    assert naming == GeneNaming("symbol", organism.taxon, {organism.taxon: 5}, 5, 5, shared, 5)
    assert naming.options == {"gene_id": "symbol", "taxon": organism.taxon}


@pytest.mark.parametrize(
    ("gene_id", "organism", "first"),
    [
        ("id", HUMAN, ("A0A024RBG1", "P04637", "P38398", "P60709", "Q96GD4")),
        ("id", MOUSE, ("MGI:101757", "MGI:102764", "MGI:107793", "MGI:97490", "MGI:98834")),
        ("synonym", WORM, ("CELE_F27C8.1", "CELE_Y110A7A.10", "F07C3.7", "F56D12.5", "WBGene00004496")),
        ("symbol", YEAST, ("EFB1", "ERP2", "SSA1", "TFC3", "VPS8")),
        ("synonym", YEAST, ("YAL001C", "YAL002W", "YAL003W", "YAL005C", "YAL007C")),
    ],
)
def test_the_column_may_be_chosen(named: Namer, gene_id: str, organism: Organism, first: tuple[str, ...]) -> None:
    rows, genes, naming = named(all_genes(organism), gene_id)
    called = [name for (name,) in rows.names]
    assert sorted(called) == list(first)  # of rps-27, without a synonym, the id
    named_by_it = sum(bool(gene[3]) for gene in organism.genes) if gene_id == "synonym" else 5
    assert (naming.gene_id, naming.objects, naming.named, naming.genes) == (gene_id, 5, named_by_it, 5)
    for name, (identifier, symbol, _, _) in zip(called, organism.genes, strict=True):
        assert genes.lookup.find(symbol).genes == genes.lookup.find(identifier).genes == (genes.index[name],)


def test_by_itself_yeast_has_sgds_names_and_table(named: Namer, orfs: GeneTable) -> None:
    rows, genes, naming = named(all_genes(YEAST))
    assert genes.systematic == orfs.systematic
    assert naming == GeneNaming("systematic", "", {"559292": 5}, 5, 5, 5, 5, table="SGD", unannotated=6599)
    assert naming.options == {}
    assert rows.names == tuple((gene[3].split("|")[0],) for gene in YEAST.genes)
    assert genes.lookup.find("SGD:S000000001").genes == genes.lookup.find("TFC3").genes
    assert named(all_genes(YEAST), "systematic")[1] == genes


def test_the_systematic_names_decide_by_half(named: Namer, orfs: GeneTable) -> None:
    mixed = [*all_genes(YEAST)[:2], *all_genes(HUMAN)[:2]]
    assert named(mixed)[2].table == "SGD"
    rows, genes, naming = named([*mixed, all_genes(HUMAN)[2]])
    assert (naming.gene_id, naming.taxon, naming.systematic) == ("symbol", "9606", 2)
    assert genes.systematic == ("BRCA1", "NUDT4B", "TP53")
    assert (len(rows), rows.dropped) == (3, {"other_taxon": 2})


def test_ids_name_genes_whose_symbols_are_not_distinct(named: Namer) -> None:
    rows = [r.replace("\tTP53\t", "\tACTB\t", 1) for r in all_genes(HUMAN)]
    assert named(rows)[2].gene_id == "id"


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
    assert genes.systematic == orfs.systematic
    assert (len(rows), rows.dropped, naming.options) == (5, {"other_taxon": 5}, {"taxon": "559292"})


def test_systematic_names_asked_for_and_not_there(named: Namer) -> None:
    with pytest.raises(InvalidInput, match="none of its 5 DB objects") as caught:
        named(all_genes(HUMAN), "systematic")
    assert "NUDT4B, TP53, BRCA1" in caught.value.why


def test_names_joined_by_a_slash(named: Namer, orfs: GeneTable) -> None:
    joined = all_genes(YEAST)[0].replace("YAL001C|tau 138", "YAL001C/YAL002W").replace("S000000001", "X1")
    assert named([joined])[2].genes == 2
    whole = all_genes(HUMAN)[0].replace("\tNUDT4B\t", "\tl(1)G0020/a\t", 1)
    assert named([whole])[1].systematic == ("l(1)G0020/a",)


def test_the_real_yeast_file_keeps_sgds_names(test_data: Path, orfs: GeneTable) -> None:
    gaf = read_gaf_objects(test_data / "go" / "goa_yeast-2016-10-03.gaf.gz")
    rows, genes = name_genes(gaf, KnownGenes(orfs), "auto", None)
    counted = {"559292": 67_138}
    assert rows.naming == GeneNaming("systematic", "", counted, 6_719, 6_598, 6_598, 6_603, table="SGD", unannotated=1)
    assert genes.systematic == orfs.systematic
    of = {o.symbol: names for o, names in zip(gaf.objects, rows.names, strict=True)}
    # listed with another gene's systematic name, too: their own alone
    alone = {"TAR1": "YLR154W-C", "ART2": "YLR154W-A", "YNL067W-A": "YNL067W-A", "YNL067W-B": "YNL067W-B"}
    alone |= {"YML099W-A": "YML099W-A", "YOL013W-A": "YOL013W-A", "YOL013W-B": "YOL013W-B"}
    assert {symbol: of[symbol] for symbol in alone} == {symbol: (orf,) for symbol, orf in alone.items()}
    # what GOA calls one gene and SGD lists as another's alias is neither's
    assert {s: tuple(map(genes.lookup.label, genes.lookup.find(s).genes)) for s in ("ART2", "ART3")} == {
        "ART2": ("YBL101C (ECM21)", "YLR154W-A"),
        "ART3": ("YJL084C (ALY2)", "YLR154W-E"),
    }
    # one protein of two genes
    pairs = {"HHF1": {"HHF1", "HHF2"}, "HHT1": {"HHT1", "HHT2"}, "TEF1": {"TEF1", "TEF2"}, "TIF1": {"TIF1", "TIF2"}}
    pairs["EFT1"] = {"EFT1", "EFT2"}
    assert {s: {orfs.standard[orfs.index[n]] for n in of[s]} for s in pairs} == pairs
    assert {o.symbol for o, n in zip(gaf.objects, rows.names, strict=True) if len(n) > 1} == set(pairs)
    assert rows.found is not None
    assert (rows.found.rows, rows.found.rows_unknown) == ({"id": 65_880}, 1_258)
    by_id = name_genes(gaf, KnownGenes(orfs), "id", None)[1]
    assert len(by_id) == 6_604 + 6_719 - 6_598
    assert by_id.lookup.label(by_id.lookup.find("YBR160W").genes[0]) == "P00546 (CDC28)"


@pytest.mark.parametrize("gene_id", ["symbol", "id", "synonym"])
def test_the_real_yeast_genes_have_all_their_names_whatever_they_are_called(
    test_data: Path, orfs: GeneTable, gene_id: str
) -> None:
    gaf = read_gaf_objects(test_data / "go" / "goa_yeast-2016-10-03.gaf.gz")
    _, genes = name_genes(gaf, KnownGenes(orfs), gene_id, None)
    place = [genes.lookup.find(orf).genes for orf in orfs.systematic]
    assert all(len(found) == 1 for found in place)
    assert len(set(place)) == len(orfs)
    found = genes.lookup.look_up([s for s in orfs.standard if s])
    expected = [place[i][0] for i, s in enumerate(orfs.standard) if s]
    assert found.gene.tolist() == expected


def test_in_sgds_layout_each_object_is_its_own_orf_alone(tmp_path: Path, orfs: GeneTable) -> None:
    """SGD's synonyms are the systematic name, then aliases: nine are another ORF's systematic name."""
    made = tuple(
        (f"S{i}", g.standard or g.systematic, "", "|".join((g.systematic, *g.aliases)))
        for i, g in enumerate(orfs.genes())
    )
    sgd = Organism("SGD", "559292", "gene", made)
    gaf = read_gaf_objects(write_gaf(tmp_path / "sgd.gaf", [gaf_row(sgd, i, "GO:1") for i in range(len(made))]))
    others = sum(name in orfs.index and name != g.systematic for g in orfs.genes() for name in g.aliases)
    assert others == 9
    bare = replace(orfs, ids=())  # by names alone
    rows, genes = name_genes(gaf, KnownGenes(bare), "auto", None)
    assert rows.names == tuple((orf,) for orf in orfs.systematic)
    assert name_genes(gaf, KnownGenes(genes), "auto", None)[0].found.rows == {"id": len(orfs)}  # type: ignore[union-attr]


SMALL = make_gene_table(
    [
        Gene("YAL001C", "TFC3", ("TSV115",)),
        Gene("YAL002W", "VPS8", ("FUN15", "shared")),
        Gene("YAL003W", "EFB1", ("TEF5", "shared")),
        Gene("YAL005C", "SSA1"),
        Gene("YAL007C", "", ("FUN15B",), "", ("S5", "SGD:S5")),
    ]
)


@pytest.mark.parametrize(
    ("symbol", "synonyms", "genes", "way"),
    [
        ("TFC3", "YAL001C|YAL002W", ("YAL001C",), "systematic"),
        ("YAL002W", "YAL001C|YAL002W", ("YAL002W",), "systematic"),
        ("ODD", "YAL003W|YAL002W", ("YAL003W",), "systematic"),
        ("TFC3", "VPS8|YAL001C|YAL002W", ("YAL001C", "YAL002W"), "systematic"),
        ("X", "YAL001C/YAL002W", ("YAL001C", "YAL002W"), "systematic"),
        ("YAL005C", "YAL001C/YAL002W", ("YAL005C",), "systematic"),
        ("TFC3", "YAL001C/YAL002W|YAL005C", ("YAL001C", "YAL002W"), "systematic"),
        ("TFC3", "", ("YAL001C",), "standard"),
        ("tfc3", "", ("YAL001C",), "other_case"),
        ("yal001c", "", ("YAL001C",), "other_case"),
        ("TFC3/VPS8", "", ("YAL001C", "YAL002W"), "standard"),
        ("TFC3/other", "", (), ""),
        ("TSV115", "", ("YAL001C",), "alias"),
        ("new", "TFC3", ("YAL001C",), "standard"),
        ("new", "TFC3|VPS8", (), ""),
        ("new", "shared", (), ""),
        ("new", "YAL9|tsv115", ("YAL001C",), "alias_other_case"),
        ("new", "", (), ""),
    ],
)
def test_an_object_is_the_genes_that_its_own_names_are(
    symbol: str, synonyms: str, genes: tuple[str, ...], way: str
) -> None:
    found = DbObject("DB", "X1", symbol, tuple(synonyms.split("|")), "1")
    (link,) = link_objects([found], SMALL, "1")
    assert (tuple(SMALL.systematic[g] for g in link.genes), link.way) == (genes, way)


def test_an_id_decides_before_any_name() -> None:
    for identifier in ("S5", "SGD:S5"):
        (link,) = link_objects([DbObject("SGD", identifier, "TFC3", ("YAL001C",), "1")], SMALL, "1")
        assert (link.genes, link.way) == ((4,), "id")


def test_the_systematic_name_may_be_the_id() -> None:
    (link,) = link_objects([DbObject("DB", "YAL003W", "YAL001C-like", ("YAL001C",), "1")], SMALL, "1")
    assert (link.genes, link.way) == ((2,), "systematic")


def test_a_gene_with_an_object_of_its_own_is_handed_nothing_by_a_synonym() -> None:
    own, other = DbObject("DB", "1", "TFC3", (), "1"), DbObject("DB", "2", "new", ("TSV115",), "1")
    assert [link.genes for link in link_objects([other, own], SMALL, "1")] == [(), (0,)]


def test_symbols_of_another_taxon_are_no_genes_of_the_table() -> None:
    objects = [
        DbObject("DB", "1", "EFB1", ("YAL003W",), "1"),
        *(DbObject("DB", s, s, (), "2") for s in ("SSA1", "VPS8")),
    ]
    assert [link.genes for link in link_objects(objects, SMALL, "2")] == [(2,), (), ()]


def test_distinct_ids_of_one_symbol_stay_apart(named: Namer) -> None:
    rows = [r.replace("\tTP53\t", "\tACTB\t", 1) for r in all_genes(HUMAN)]
    annotations, genes, naming = named(rows, "symbol")
    assert genes.systematic == ("AURKB", "BRCA1", "NUDT4B", "P04637", "P60709")
    assert genes.standard[3:] == ("ACTB", "ACTB")
    assert annotations.names[1] == ("P04637",)
    assert (naming.objects, naming.genes, naming.shared_names, naming.called_by_id) == (5, 5, 1, 2)
    assert genes.lookup.find("ACTB").genes == (3, 4)


def test_a_symbol_that_is_another_genes_id_is_the_name_of_neither(named: Namer) -> None:
    rows = [r.replace("\tTP53\t", "\tP60709\t", 1) for r in all_genes(HUMAN)]
    rows = [r.replace("\tACTB\t", "\tBRCA1\t", 1) for r in rows]
    _, genes, _ = named(rows, "symbol")
    assert genes.systematic == ("AURKB", "NUDT4B", "P04637", "P38398", "UniProtKB:P60709")


def test_one_shared_gene_does_not_make_two_name_spaces_one(named: Namer) -> None:
    rows = [*all_genes(HUMAN), all_genes(YEAST)[0]]
    assert named(rows)[2].table == ""
    with pytest.raises(InvalidInput, match="only 1 of its 6 DB objects is among the 6,604 genes of SGD"):
        named(rows, "systematic")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from("ABCDE"),
            st.sampled_from(["A", "B", "YAL001C", "TFC3", "VPS8", "x"]),
            st.sampled_from(["", "A", "YAL002W", "B|x"]),
        ),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from(["symbol", "id", "synonym"]),
    st.booleans(),
)
def test_whatever_genes_are_called_they_stay_apart(
    tmp_path: Path, found: list[tuple[str, str, str]], gene_id: str, given_table: bool
) -> None:
    objects = tuple((i, symbol, "", synonyms) for i, symbol, synonyms in {f[0]: f for f in found}.values())
    made = Organism("DB", "1", "gene", objects)
    gaf = read_gaf_objects(write_gaf(tmp_path / "made.gaf", [gaf_row(made, i, "GO:1") for i in range(len(objects))]))
    links = link_objects(gaf.objects, SMALL, "1")
    linked = sum(bool(link.genes) for link in links)
    if given_table and linked < FEW * len(links):
        return
    rows, genes = name_genes(gaf, KnownGenes(SMALL, given=given_table), gene_id, None)
    known = given_table or linked >= MANY * len(links)
    # one gene for each of the table, and for each object that is none of them
    assert len(genes) == (len(SMALL) + len(links) - linked if known else len(links))
    assert len(set(genes.systematic)) == len(genes)
    for link, names in zip(links, rows.names, strict=True):
        assert len(names) == (len(link.genes) if known and link.genes else 1)
    if known:
        # the known genes are found by what the table calls them, each once
        places = [genes.lookup.find(orf, ("systematic", "id")).genes for orf in SMALL.systematic]
        own = {n for o, link in zip(gaf.objects, links, strict=True) if not link.genes for n in (o.symbol, o.id)}
        assert all(len(p) == 1 for p, orf in zip(places, SMALL.systematic, strict=True) if orf not in own)


def test_genes_named_by_a_file_are_hashed_with_it(tmp_path: Path) -> None:
    gaf = write_gaf(tmp_path / "human.gaf", all_genes(HUMAN))
    release = load_release(toy.write_obo(tmp_path), gaf)
    assert release.sha256["genes"] == release.sha256["annotations"]


def test_yeast_data_need_genes_of_yeast(tmp_path: Path) -> None:
    release = load_release(None, write_gaf(tmp_path / "human.gaf", [*all_genes(HUMAN)]))
    with pytest.raises(InvalidInput, match=r"none of its 5 genes is a gene of kuzmin2018") as caught:
        require_orfs(release, "kuzmin2018")
    assert "ACTB" in caught.value.why
    assert "--dataset simulated" in caught.value.hint
    require_orfs(load_release(None, None), "kuzmin2018")

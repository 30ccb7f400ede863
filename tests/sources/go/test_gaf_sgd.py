"""GAF, SGD's feature table and the list of essential genes: real counts, and damage named by path and line."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from gocell_cli.domain.genes import KnownGenes
from gocell_cli.errors import InvalidInput, SourceMissing
from gocell_cli.sources.go import bundle
from gocell_cli.sources.go.gaf import DbObject, read_gaf, read_gaf_objects
from gocell_cli.sources.go.gene_naming import name_genes
from gocell_cli.sources.go.sgd import read_essential_genes, read_sgd_features
from gocell_cli.sources.screens import essentiality
from tests import toy


def gaf_row(
    symbol: str = "TFC3",
    synonyms: str = "YAL001C|TSV115",
    date: str = "20160101",
    qualifier: str = "",
    *,
    identifier: str = "S1",
    db: str = "SGD",
    taxon: str = "taxon:1",
) -> str:
    cells = (
        db,
        identifier,
        symbol,
        qualifier,
        "GO:0000002",
        "PMID:1",
        "IDA",
        "",
        "P",
        "name",
        synonyms,
        "gene",
        taxon,
    )
    return "\t".join([*cells, date, "SGD", "", ""])


def sgd_row(name: str, kind: str = "ORF", standard: str = "", aliases: str = "", qualifier: str = "Verified") -> str:
    return "\t".join(["S1", kind, qualifier, name, standard, aliases, *[""] * 10])


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "made.txt"
    path.write_bytes(text.encode(encoding))
    return path


def test_toy_annotations_read_as_written(tmp_path: Path) -> None:
    rows = toy.annotations(tmp_path)
    pairs = {(term, rows.names[o]) for term, o in zip(rows.term, rows.object_of_row, strict=True)}
    assert pairs == {
        (toy.term_id(t), (toy.STANDARD[g], toy.GENES[g])) for t, genes in toy.DIRECT.items() for g in genes
    }
    assert len(rows.names) == len(toy.GENES)
    assert set(rows.evidence) == {"IDA"}
    assert set(rows.date.tolist()) == {20160101}


@pytest.mark.parametrize("newline", ["\n", pytest.param("\r\n")], ids=["lf", "crlf"])
def test_names_qualifier_and_missing_date_of_a_row(tmp_path: Path, newline: str) -> None:
    lines = [
        "!gaf-version: 2.1",
        gaf_row(),
        gaf_row(date="", qualifier="NOT|colocalizes_with"),
        "",
        gaf_row("A", "A|B", identifier="S2"),
    ]
    rows = read_gaf(write(tmp_path, newline.join(lines)))
    assert rows.names == (("TFC3", "YAL001C", "TSV115"), ("A", "B"))
    assert rows.object_of_row.tolist() == [0, 0, 1]
    assert rows.qualifier == ("", "NOT|colocalizes_with", "")
    assert rows.date.tolist() == [20160101, 0, 20160101]


def test_database_and_id_alone_tell_objects_apart(tmp_path: Path) -> None:
    rows = [
        gaf_row("PAP1", "AT1G75010|x", identifier="1", db="TAIR"),
        gaf_row("PAP1", "AT1G56650", identifier="2", db="TAIR", taxon="taxon:2"),
        gaf_row("ARC3", "x|y", identifier="1", db="TAIR", taxon="NCBITaxon:2|taxon:9"),
        gaf_row("PAP1", "", identifier="1", db="UniProtKB"),
        gaf_row("a", "", identifier=""),
        gaf_row("b", "", identifier=""),
    ]
    gaf = read_gaf_objects(write(tmp_path, "\n".join(rows)))
    assert gaf.objects == (
        DbObject("TAIR", "1", "PAP1", ("AT1G75010", "x", "y", "ARC3"), "1"),
        DbObject("TAIR", "2", "PAP1", ("AT1G56650",), "2"),
        DbObject("UniProtKB", "1", "PAP1", (), "1"),
        DbObject("SGD", "", "a", (), "1"),
        DbObject("SGD", "", "b", (), "1"),
    )
    assert gaf.rows.object_of_row.tolist() == [0, 1, 0, 2, 3, 4]
    assert gaf.taxa == {"1": 4, "2": 2}
    assert gaf.taxon_of_row.tolist() == [0, 1, 1, 0, 0, 0]


def test_fifteen_columns_are_enough(tmp_path: Path) -> None:
    assert len(read_gaf(write(tmp_path, gaf_row().rsplit("\t", 2)[0]))) == 1


ODD = {
    "comment": "! a comment\n",
    "blank": "\n",
    "blanks": "  \n",
    "shorter": gaf_row(identifier="S9").rsplit("\t", 2)[0] + "\n",
    "return": gaf_row(identifier="S9", symbol="T\rFC3") + "\n",
    "none": "",
}


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("odd", ODD)
def test_a_file_reads_the_same_at_once_and_line_by_line(tmp_path: Path, odd: str, end: str) -> None:
    """One odd line among the rows sends the whole file the slow way; the line of a fault after it is right."""
    names = ("TFC3", " TFC3 ", "A", 'b"', "\u03b1")
    rows = [gaf_row(names[i % 5], f"x|{i % 3}| ", identifier=f"S{i % 7}", taxon=f"taxon:{i % 2}") for i in range(40)]
    at_once = read_gaf_objects(write(tmp_path, "!x\n" + "\n".join(rows)))
    text = "!x\n" + "\n".join(rows[:20]) + "\n" + ODD[odd] + "\n".join(rows[20:]) + "\n"
    slow = read_gaf_objects(write(tmp_path, text.replace("\n", end)))
    extra = odd in ("shorter", "return")
    assert len(slow.rows) == 40 + extra
    assert [o for o in slow.objects if o.id != "S9"] == list(at_once.objects)
    kept = [i for i in range(40 + extra) if not extra or i != 20]
    ours = [slow.objects[slow.rows.object_of_row[i]] for i in kept]
    assert ours == [at_once.objects[o] for o in at_once.rows.object_of_row]
    # Counted here in the plain way.
    assert at_once.taxa == {"0": 20, "1": 20}
    assert at_once.objects[0].symbol == "TFC3"
    assert at_once.objects[0].synonyms == ("x", "0", "1", "2", "A", "\u03b1", 'b"')
    with pytest.raises(InvalidInput, match=rf":{42 + (odd != 'none')}: column 14 is no date"):
        read_gaf_objects(write(tmp_path, (text + gaf_row(date="x")).replace("\n", end)))


def test_cells_are_stripped_and_codes_are_in_any_case(tmp_path: Path) -> None:
    row = gaf_row(date=" 2016-03-04 ").replace("\tIDA\t", "\t ida\t").replace("GO:0000002", "GO:0000002 ")
    rows = read_gaf(write(tmp_path, row + "\n" + gaf_row(date="2016-03-04T10:11:12")))
    assert (set(rows.evidence), set(rows.term), set(rows.date.tolist())) == ({"IDA"}, {"GO:0000002"}, {20160304})


@pytest.mark.parametrize("cell", ["taxon:9606", "NCBITaxon:9606", " ncbitaxon: 9606|taxon:1", "9606"])
def test_taxon_and_ncbitaxon_are_the_same(tmp_path: Path, cell: str) -> None:
    assert read_gaf_objects(write(tmp_path, gaf_row(taxon=cell))).taxa == {"9606": 1}


def test_gzipped_gaf_reads_as_the_plain_one(tmp_path: Path) -> None:
    path = tmp_path / "toy.gaf.gz"
    path.write_bytes(gzip.compress(toy.gaf_text().encode()))
    packed, plain = read_gaf(path), toy.annotations(tmp_path)
    assert (packed.names, packed.term, packed.evidence) == (plain.names, plain.term, plain.evidence)
    np.testing.assert_array_equal(packed.object_of_row, plain.object_of_row)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (gaf_row().rsplit("\t", 3)[0], "14 tab-separated columns"),
        ("no tabs", "1 tab-separated columns"),
        ("SGD\tS1\tTFC3", "3 tab-separated columns where GAF 2.x has 17"),
        (gaf_row() + "\t", "18 tab-separated columns"),
        (gaf_row().replace("\t", " "), "1 tab-separated columns"),
        (gaf_row(date="2016/01/01"), "no date YYYYMMDD: '2016/01/01'"),
        (gaf_row(date="2016-13-01"), "no date"),
        (gaf_row(date="2016"), "no date"),
        (gaf_row(date="January"), "no date YYYYMMDD: 'January'"),
        (gaf_row(date="20161301"), "no date"),
        (gaf_row(date="20160100"), "no date"),
        (gaf_row(date="201601011"), "no date"),
        (gaf_row(date="today..."), "no date"),
        (gaf_row(date="-2016010"), "no date"),
        pytest.param(
            gaf_row(date="2016010²"),
            "no date",
        ),
    ],
)
def test_broken_gaf_row_is_named_by_path_and_line(tmp_path: Path, row: str, reason: str) -> None:
    path = write(tmp_path, "\n".join(["!gaf-version: 2.1", gaf_row(), row, gaf_row()]))
    with pytest.raises(InvalidInput) as caught:
        read_gaf(path)
    assert caught.value.message.startswith(f"{path}:3: ")
    assert reason in caught.value.message


@pytest.mark.parametrize("text", ["", "\n\n", "!gaf-version: 2.1\n"])
def test_gaf_without_rows_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInput, match="no annotation row" if text else "the file is empty"):
        read_gaf(write(tmp_path, text))


def test_gaf_that_is_not_utf8_is_named_by_line(tmp_path: Path) -> None:
    path = write(tmp_path, "\n".join(["!x", gaf_row(), gaf_row("caf\u00e9")]), "latin-1")
    with pytest.raises(InvalidInput, match="utf-8") as caught:
        read_gaf(path)
    assert f"{path}:3: " in caught.value.message


def test_real_gaf_has_67138_rows_of_which_293_negated(test_data: Path) -> None:
    path = test_data / "go" / "goa_yeast-2016-10-03.gaf.gz"
    rows = read_gaf(path)
    assert len(rows) == 67_138
    assert sum("NOT" in q.split("|") for q in rows.qualifier) == 293
    lines = [x.split("\t") for x in gzip.decompress(path.read_bytes()).decode().splitlines() if not x.startswith("!")]
    assert [x[4] for x in lines] == list(rows.term)
    assert [x[6] for x in lines] == list(rows.evidence)
    assert [int(x[13]) for x in lines] == rows.date.tolist()
    assert all(x[2] in rows.names[o] for x, o in zip(lines, rows.object_of_row, strict=True))


def test_feature_table_keeps_orfs_sorted_with_aliases(tmp_path: Path) -> None:
    text = "\n".join(
        [
            sgd_row("YAL002W", standard="VPS8", aliases="FUN15|VPL8", qualifier="Verified"),
            sgd_row("TEL01L", kind="telomere"),
            "",
            sgd_row("YAL001C", aliases="caf\u00e9|", qualifier="Dubious"),
        ]
    )
    genes = read_sgd_features(write(tmp_path, text, "latin-1"))
    assert genes.systematic == ("YAL001C", "YAL002W")
    assert genes.standard == ("", "VPS8")
    assert genes.aliases == (("caf\u00e9",), ("FUN15", "VPL8"))
    assert genes.qualifier == ("Dubious", "Verified")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (sgd_row("YAL003W").rsplit("\t", 1)[0], "15 tab-separated columns where SGD has 16"),
        ("S1\tORF", "2 tab-separated columns"),
        (sgd_row("x", kind="telomere").rsplit("\t", 1)[0], "15 tab-separated columns"),
        (sgd_row("YAL001C"), "ORF YAL001C stands here for the second time"),
    ],
)
def test_broken_feature_row_is_named_by_path_and_line(tmp_path: Path, row: str, reason: str) -> None:
    path = write(tmp_path, "\n".join([sgd_row("YAL001C"), row, sgd_row("YAL005C")]))
    with pytest.raises(InvalidInput) as caught:
        read_sgd_features(path)
    assert caught.value.message.startswith(f"{path}:2: ")
    assert reason in caught.value.message


@pytest.mark.parametrize("text", ["", "\n", sgd_row("TEL01L", kind="telomere")])
def test_feature_table_without_orfs_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInput, match="no ORF row" if text else "the file is empty"):
        read_sgd_features(write(tmp_path, text))


def test_real_feature_table_has_6604_orfs(test_data: Path) -> None:
    genes = read_sgd_features(test_data / "sgd" / "SGD_features.tab.gz")
    assert len(genes) == len(genes.index) == 6_604
    assert list(genes.systematic) == sorted(genes.systematic)
    assert genes.standard[genes.index["YDL227C"]] == "HO"


def test_first_line_of_the_essential_list_is_a_sentence(tmp_path: Path) -> None:
    path = write(tmp_path, "List of essential genes\r\nYAL003W\r\n\r\n YAL001C \r\nYAL003W")
    assert read_essential_genes(path) == ("YAL001C", "YAL003W")


@pytest.mark.parametrize("reader", [read_gaf, read_sgd_features, read_essential_genes])
def test_missing_file_is_a_missing_source(tmp_path: Path, reader: type) -> None:
    with pytest.raises(SourceMissing, match="no such file"):
        reader(tmp_path / "none")


def test_essentiality_has_1120_essential_genes_of_5887() -> None:
    genes = bundle.load_genes()
    dataset = essentiality.read(genes, genes, bundle.load_essential(), {})
    rows = dataset.measurements
    assert (len(rows), int((rows.value == 0).sum()), int((rows.value == 1).sum())) == (5_887, 1_120, 4_767)
    assert dataset.rows_read == 6_604 == len(rows) + sum(dataset.dropped.values())
    assert len(set(bundle.load_essential()) - {genes.systematic[g] for g in rows.genes[:, 0]}) == 66
    np.testing.assert_array_equal(rows.row, rows.genes[:, 0] + 1)


def test_dubious_orfs_are_left_out_even_if_listed_as_essential() -> None:
    qualifiers = ("Verified", "Dubious", "Uncharacterized", "Verified|silenced_gene", "Dubious")
    genes = bundle.GeneTable(toy.GENES, toy.STANDARD, ((),) * 5, qualifiers)
    dataset = essentiality.read(genes, genes, (toy.GENES[0], toy.GENES[1], "YZZ999W"), {"genes": "x"})
    assert dataset.measurements.genes[:, 0].tolist() == [0, 2, 3]
    assert dataset.measurements.value.tolist() == [0.0, 1.0, 1.0]
    assert dataset.dropped == {"dubious_orf": 2}
    assert [(n.join, n.rows, n.rows_unknown) for n in dataset.names] == [
        ("essentiality", {"systematic": 5}, 0),
        ("essential genes", {"systematic": 2}, 1),
    ]
    assert dataset.sources == {"genes": "x"}


def test_orfs_that_no_gene_or_several_are_called_by_are_told_apart() -> None:
    orfs = bundle.GeneTable(toy.GENES, toy.STANDARD, ((),) * 5, ("Verified",) * 5)
    aliases = ((toy.GENES[0],), (toy.GENES[0],), (toy.GENES[2],))
    genes = bundle.GeneTable(("a", "b", "c"), ("", "", ""), aliases, ("", "", ""))
    dataset = essentiality.read(genes, orfs, (toy.GENES[2],), {})
    assert (dataset.measurements.genes.tolist(), dataset.measurements.value.tolist()) == ([[2]], [0.0])
    assert dataset.dropped == {"unknown_gene": 3, "ambiguous_gene": 1}


@pytest.mark.parametrize("gene_id", ["symbol", "id", "synonym"])
def test_essential_genes_are_the_same_whatever_genes_are_called(test_data: Path, gene_id: str) -> None:
    gaf, orfs = read_gaf_objects(test_data / "go" / "goa_yeast-2016-10-03.gaf.gz"), bundle.load_genes()
    genes = name_genes(gaf, KnownGenes(orfs), gene_id, None)[1]
    dataset = essentiality.read(genes, orfs, bundle.load_essential(), {})
    rows = dataset.measurements
    assert (len(rows), int((rows.value == 0).sum()), dataset.dropped) == (5_887, 1_120, {"dubious_orf": 717})
    essential = {genes.standard[g] for g in rows.genes[rows.value == 0, 0].tolist()}
    assert {"CDC28", "ACT1", "TUB1", "SEC61"} <= essential
    assert "HO" not in essential

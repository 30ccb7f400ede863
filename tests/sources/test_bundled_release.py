"""The bundled release: its recorded hashes, its notice, and that it is what the real files say."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from gocell_cli.domain.levels import check_levels, ontology_groupings
from gocell_cli.errors import InvalidInput
from gocell_cli.sources import bundle
from gocell_cli.sources.essentiality import essentiality
from gocell_cli.sources.gaf import read_gaf
from gocell_cli.sources.obo import read_obo
from gocell_cli.sources.sgd import read_essential_genes, read_sgd_features
from tests import toy


@pytest.mark.parametrize("table", bundle.TABLES)
def test_logical_hashes_are_those_recorded(table: str) -> None:
    found, recorded = pq.read_table(bundle.bundle_path(table)), bundle.bundle_record()["tables"][table]
    assert (found.num_rows, bundle.logical_hash(found)) == (recorded["rows"], recorded["logical_sha256"])


def test_it_is_small_and_says_where_it_comes_from() -> None:
    assert sum(p.stat().st_size for p in bundle.BUNDLE_DIR.iterdir()) < 4 * 2**20
    notice = (bundle.BUNDLE_DIR / "NOTICE").read_text("utf-8")
    for word in ("CC BY 4.0", "releases/2016-12-06", "2016-10-03", "R64-2-1", "debias 0.165", "transposonmapper 1.1.5"):
        assert word in notice


def test_counts_of_the_bundled_release() -> None:
    ontology = bundle.load_ontology()
    edges = {relation: len(e) for relation, e in ontology.edges.items()}
    assert (len(ontology), edges["is_a"], edges["part_of"]) == (43_906, 75_064, 8_869)
    report = check_levels(ontology_groupings(ontology, ("is_a",))["level"], ontology.select(("is_a",)))
    assert (report.same_level, report.inverted) == (10_120, 5_855)
    genes = bundle.load_genes()
    dataset = essentiality(genes, bundle.load_essential(), {})
    assert (len(genes), dataset.rows_read, dataset.dropped) == (6_604, 6_604, {"dubious_orf": 717})
    assert Counter(dataset.measurements.value.tolist()) == {0.0: 1_120, 1.0: 4_767}


def test_it_is_what_the_parsers_read_from_the_real_files(test_data: Path) -> None:
    ontology, real = bundle.load_ontology(), read_obo(test_data / "go" / "go-2016-12-06.obo.gz")
    assert (ontology.ids, ontology.names, ontology.namespaces) == (real.ids, real.names, real.namespaces)
    assert ontology.alt_ids == real.alt_ids
    for relation, edges in real.edges.items():
        assert np.array_equal(ontology.edges[relation].child, edges.child)
        assert np.array_equal(ontology.edges[relation].parent, edges.parent)
    rows, gaf = bundle.load_annotations(), read_gaf(test_data / "go" / "goa_yeast-2016-10-03.gaf.gz")
    assert (rows.names, rows.term, rows.qualifier, rows.evidence) == (gaf.names, gaf.term, gaf.qualifier, gaf.evidence)
    assert (len(gaf), sum("NOT" in q.split("|") for q in gaf.qualifier)) == (67_138, 293)
    assert bundle.load_genes() == read_sgd_features(test_data / "sgd" / "SGD_features.tab.gz")


def test_a_bundle_reads_back_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ontology, rows, genes = toy.ontology(tmp_path), toy.annotations(tmp_path), toy.gene_table()
    tables = {
        **bundle.ontology_tables(ontology),
        **bundle.annotation_tables(rows),
        **bundle.gene_tables(genes, ("YAL001C",)),
    }
    record = {"ontology": {"release": "toy", "dropped": {}}, "annotations": {"release": "toy"}}
    bundle.write_bundle(tmp_path / "bundle", tables, record)
    monkeypatch.setattr(bundle, "BUNDLE_DIR", tmp_path / "bundle")
    assert bundle.load_ontology().ids == ontology.ids
    assert np.array_equal(bundle.load_ontology().edges["is_a"].parent, ontology.edges["is_a"].parent)
    assert bundle.load_annotations().names == rows.names
    assert (bundle.load_genes(), bundle.load_essential()) == (genes, ("YAL001C",))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("SGD\tS1\tTFC3\n", ":1: 3 tab-separated columns where GAF 2.x has 17"),
        (toy.gaf_text().replace("20160101", "January"), ":2: column 14 is no date"),
        ("!gaf-version: 2.1\n", "no annotation row"),
    ],
)
def test_a_broken_gaf_is_refused(tmp_path: Path, text: str, where: str) -> None:
    path = tmp_path / "bad.gaf"
    path.write_text(text, "utf-8")
    with pytest.raises(InvalidInput) as caught:
        read_gaf(path)
    assert f"{path}" in caught.value.message
    assert where in caught.value.message


ORF = "S1\tORF\tVerified\tYAL001C\tTFC3\tTSV115|tau 138" + "\t" * 10


@pytest.mark.parametrize(
    ("text", "where"), [("S1\tORF\n", ":1: 2 tab"), (f"{ORF}\n{ORF}\n", ":2: ORF YAL001C"), ("", "no ORF row")]
)
def test_a_broken_feature_table_is_refused(tmp_path: Path, text: str, where: str) -> None:
    path = tmp_path / "bad.tab"
    path.write_text(text, "latin-1")
    with pytest.raises(InvalidInput) as caught:
        read_sgd_features(path)
    assert where in caught.value.message


def test_essential_genes_leave_the_first_line_out(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("All essential genes found in lists: a\nYAL003W\n\nYAL001C\n", "utf-8")
    assert read_essential_genes(path) == ("YAL001C", "YAL003W")

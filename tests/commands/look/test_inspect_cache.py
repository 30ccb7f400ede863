"""`gocell inspect cache | level | gene | samples` and `gocell export`, on the bundled cache."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from gocell_cli.errors import UsageError
from gocell_cli.storage.reader import Cache
from tests.commands.conftest import Built
from tests.commands.runners import document, failure, invoke


def test_a_cache_from_above(essentiality: Built) -> None:
    shown, cache = document("inspect", "cache", "--root", essentiality.root), Cache(essentiality.cache)
    assert (shown["phenotype"], shown["samples"], shown["without_value"]) == ("viability", 5887, 0)
    assert shown["samples_by_deletions"] == {"1": 5887}
    assert shown["value"]["mean"] == pytest.approx((5887 - 1120) / 5887)
    assert (shown["value"]["min"], shown["value"]["max"]) == (0, 1)
    assert [x["terms"] for x in shown["levels"]] == list(cache.manifest.level_counts)
    assert sum(x["rows"] for x in shown["levels"]) == cache.hierarchy.rows == 50879
    text = invoke("inspect", "cache", "--root", essentiality.root).stdout
    assert "4,481" in text
    assert text.index("43,907") < text.index("4,481") < text.index("3,793"), "as they were filtered"


def test_a_level_is_what_runs_at_once(essentiality: Built) -> None:
    shown, hierarchy = document("inspect", "level", 3, "--root", essentiality.root), Cache(essentiality.cache).hierarchy
    assert {t["term"] for t in shown["terms"]} == {
        t for t, level in zip(hierarchy.term_ids, hierarchy.level, strict=True) if level == 3
    }
    genes = [t["contained_genes"] for t in shown["terms"]]
    assert genes == sorted(genes, reverse=True)
    error = failure("inspect", "level", 99, "--root", essentiality.root)
    assert isinstance(error, UsageError)
    assert "run from 0 to 15" in error.hint


def test_a_gene_by_any_name(essentiality: Built) -> None:
    by_name = document("inspect", "gene", "dcp1", "--root", essentiality.root)
    assert by_name == document("inspect", "gene", "YOL149W", "--root", essentiality.root)
    assert (by_name["gene"], by_name["standard"]) == ("YOL149W", "DCP1")
    assert len(by_name["terms"]) == 11
    assert by_name["touched_terms"] == sum(by_name["touched_by_level"].values()) == 70
    assert by_name["samples"] == 1
    assert "DCP1" in failure("inspect", "gene", "DCP11", "--root", essentiality.root).hint


def test_samples_of_a_gene(essentiality: Built) -> None:
    (found,) = document("inspect", "samples", "--gene", "DCP1", "--root", essentiality.root)["samples"]
    assert found["genes"] == ["YOL149W"]
    assert found["names"] == ["DCP1"]
    one = document("inspect", "sample", found["sample"], "--root", essentiality.root)
    assert one["genes"] == ["YOL149W"]
    assert sum(one["touched_by_level"].values()) == 70
    text = invoke("inspect", "samples", "--top", 3, "--root", essentiality.root).stdout
    assert "5,887 samples" in text
    assert len(text.strip().splitlines()) == 5


@pytest.mark.parametrize(("suffix", "separator"), [(".tsv", "\t"), (".csv", ",")])
def test_export_writes_every_sample(essentiality: Built, tmp_path: Path, suffix: str, separator: str) -> None:
    out = tmp_path / f"samples{suffix}"
    assert document("export", "--out", out, "--root", essentiality.root)["samples"] == 5887
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=separator))
    cache = Cache(essentiality.cache)
    columns, names = cache.columns(), cache.hierarchy.gene_names
    assert [row["genes"] for row in rows] == [names[g] for g in columns.genes.tolist()]
    assert np.array_equal([float(row["value"]) for row in rows], columns.value)
    assert {row["dataset"] for row in rows} == {"essentiality"}
    assert "--overwrite" in failure("export", "--out", out, "--root", essentiality.root).hint
    assert list(tmp_path.iterdir()) == [out]


def test_export_of_the_toy_keeps_rows_and_groups(toy_cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "exported.tsv"
    invoke("export", "--out", out, "--cache", toy_cache)
    with out.open(encoding="utf-8", newline="") as file:
        line = list(csv.reader(file, delimiter="\t"))[2]
    shown = document("inspect", "sample", 1, "--cache", toy_cache)
    assert line[1:3] == [" ".join(shown["genes"]), " ".join(shown["standard_names"])]
    assert [float(x) for x in line[3:5]] == [0.25, 0.05]
    assert Cache(toy_cache).provenance.query_groups[int(line[6])] == "YAL003W+YAL005C"
    assert line[7:] == ["4"]
    assert "neither .tsv nor .csv" in str(failure("export", "--out", tmp_path / "toy.xlsx", "--cache", toy_cache))
    assert json.loads(invoke("export", "--out", tmp_path / "b.csv", "--cache", toy_cache, "--json").stdout)["samples"]

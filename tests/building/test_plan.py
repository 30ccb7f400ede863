"""The plan: a pure function of what was read and asked for; nothing unaccounted."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gocell_cli.building.build import BuildMode, build
from gocell_cli.building.plan import LATER_RULES, BuildOptions, BuildPlan, filter_config, plan_build
from gocell_cli.controls import Control
from gocell_cli.domain.genes import GeneList, GeneTable, make_gene_table
from gocell_cli.domain.genotype import Dataset
from gocell_cli.domain.term_filters import PRESETS, READY, FilterRules
from gocell_cli.errors import InvalidInput, LevelsError
from gocell_cli.storage.samples import logical_sha256
from tests import toy
from tests.conftest import read_kuzmin2018

OPTIONS = BuildOptions(toy.RULES, backends=("parquet", "lmdb"), shard_size=1)
UNFILTERED = FilterRules("true-path", ("is_a",), 1, "direct", ())
Planner = Callable[..., BuildPlan]


@pytest.fixture
def planner(tmp_path: Path, toy_dataset: Dataset, toy_genes: GeneTable) -> Planner:
    def plan(
        options: BuildOptions = OPTIONS,
        dataset: Dataset = toy_dataset,
        sha256: dict[str, str] | None = None,
        genes: GeneTable = toy_genes,
    ) -> BuildPlan:
        return plan_build(toy.ontology(tmp_path), toy.annotations(tmp_path), genes, dataset, options, sha256 or {})

    return plan


def samples_hash(plan: BuildPlan) -> str:
    return logical_sha256(plan.source.part(0, plan.counts["samples"]).samples())


def test_the_same_inputs_give_the_same_plan(planner: Planner) -> None:
    first, second = planner(), planner()
    assert first.fingerprint == second.fingerprint
    assert (first.config, first.counts, first.bounds) == (second.config, second.counts, second.bounds)
    assert samples_hash(first) == samples_hash(second)


def test_planning_writes_nothing(planner: Planner, tmp_path: Path) -> None:
    toy.ontology(tmp_path)
    toy.annotations(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    planner()
    assert sorted(tmp_path.rglob("*")) == before


def test_paths_do_not_matter(toy_table: Path, toy_genes: GeneTable, tmp_path: Path, planner: Planner) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    table = toy_table.rename(elsewhere / "renamed.tsv")
    dataset = read_kuzmin2018(table, toy_genes, phenotype="fitness", order="all")
    moved = plan_build(toy.ontology(elsewhere), toy.annotations(elsewhere), toy_genes, dataset, OPTIONS, {})
    assert moved.fingerprint == planner().fingerprint
    assert str(tmp_path) not in str(moved.config)


@pytest.mark.parametrize(
    "change",
    [
        {"level_by": "depth"},
        {"level_by": "height"},
        {"backends": ("parquet",)},
        {"shard_size": 2},
        {"keep_unannotated": False},
        {"until": 20170101},
        {"control": Control("genes", 0)},
        {"rules": replace(toy.RULES, preset="ma2018")},
        {"rules": replace(toy.RULES, min_genes=2)},
        {"rules": replace(toy.RULES, width_by="contained")},
        {"rules": replace(toy.RULES, exclude_evidence=("IGI",))},
        {"rules": replace(toy.RULES, torchcell_order=True)},
        {"rules": replace(toy.RULES, include_evidence=("IDA",))},
        {"rules": replace(toy.RULES, more_than_child=1)},
        {"rules": replace(toy.RULES, namespaces=("toy",))},
        {"rules": replace(toy.RULES, redundant="keep")},
        {"rules": replace(toy.RULES, genes=GeneList(toy.GENES, ()))},
    ],
    ids=str,
)
def test_every_option_changes_the_fingerprint(planner: Planner, change: dict[str, Any]) -> None:
    assert planner(replace(OPTIONS, **change)).fingerprint != planner().fingerprint


def test_every_option_is_in_the_configuration(planner: Planner) -> None:
    # where there is no control nothing is said of one: fingerprints stay what they were
    assert "control" not in planner().config
    assert "channels" not in planner().config
    config = planner(replace(OPTIONS, control=Control("edges", 3))).config
    assert config["control"] == {"kind": "edges", "seed": 3}
    named = {"rules": "filters", "until": "filters"}
    assert {named.get(option, option) for option in vars(OPTIONS)} - {"channels"} <= set(config)
    assert set(vars(OPTIONS.rules)) - set(LATER_RULES) | {"until"} == set(config["filters"])


@pytest.mark.parametrize("preset", [*PRESETS.values(), toy.RULES], ids=lambda rules: rules.preset)
def test_later_rules_are_in_the_configuration_only_where_they_differ(preset: FilterRules) -> None:
    assert not set(LATER_RULES) & set(filter_config(preset))
    changed = replace(preset, include_evidence=("IDA",), redundant="keep", genes=GeneList(("A", "B"), ("C",)))
    told = filter_config(changed)
    assert (told["include_evidence"], told["redundant"]) == (("IDA",), "keep")
    assert told["genes"] == {"count": 2, "sha256": hashlib.sha256(b"A\nB").hexdigest()}
    assert filter_config(READY)["preset"] == "ready"


@pytest.mark.parametrize(
    "change",
    [
        {"sources": {"raw": "0" * 64}},
        {"name": "another"},
        {"options": {"order": "digenic"}},
    ],
    ids=str,
)
def test_every_source_changes_the_fingerprint(planner: Planner, toy_dataset: Dataset, change: dict[str, Any]) -> None:
    assert planner(dataset=replace(toy_dataset, **change)).fingerprint != planner().fingerprint
    assert planner(sha256={"ontology": "1" * 64}).fingerprint != planner().fingerprint


def test_toy_counts_by_hand(planner: Planner) -> None:
    counts = planner().counts
    assert counts["rows_read"] == 5
    assert counts["samples"] == 2
    assert counts["dropped"] == {"no_phenotype": 1, "unknown_gene": 1, "duplicate_merged": 1}
    assert counts["rows_read"] == counts["samples"] + sum(counts["dropped"].values())
    assert counts["rows_with_unannotated_gene"] == 0
    assert list(counts["terms_after"].values()) == [7, 6, 5]


@pytest.mark.parametrize(("size", "bounds"), [(1, ((0, 1), (1, 2))), (2, ((0, 2),)), (3, ((0, 2),))])
def test_shards_cover_every_sample_once(planner: Planner, size: int, bounds: tuple[tuple[int, int], ...]) -> None:
    assert planner(replace(OPTIONS, shard_size=size)).bounds == bounds


@pytest.fixture
def with_unannotated(toy_table: Path) -> tuple[GeneTable, Dataset]:
    """The toy genes and YZZ999W, which no term holds but row 5 of the table deletes."""
    toy_genes = [(g, s, (), "Verified") for g, s in zip(toy.GENES, toy.STANDARD, strict=True)]
    genes = make_gene_table([*toy_genes, ("YZZ999W", "", (), "Uncharacterized")])
    return genes, read_kuzmin2018(toy_table, genes, phenotype="fitness", order="all")


@pytest.mark.parametrize("keep", [True, False])
def test_unannotated_genes_are_kept_or_dropped_and_counted(
    planner: Planner, with_unannotated: tuple[GeneTable, Dataset], keep: bool
) -> None:
    genes, dataset = with_unannotated
    plan = planner(replace(OPTIONS, keep_unannotated=keep), dataset, genes=genes)
    deleted = plan.source.part(0, plan.counts["samples"]).samples().genes.tolist()
    assert plan.counts["rows_with_unannotated_gene"] == 1
    assert plan.counts["dropped"].get("gene_without_annotation", 0) == (0 if keep else 1)
    assert plan.counts["rows_read"] == plan.counts["samples"] + sum(plan.counts["dropped"].values())
    assert (genes.index["YZZ999W"] in deleted) == keep
    assert plan.counts["samples"] == (3 if keep else 2)


def test_no_sample_left_is_an_error(planner: Planner, with_unannotated: tuple[GeneTable, Dataset]) -> None:
    genes, dataset = with_unannotated
    rows = dataset.measurements
    only = (rows.genes == genes.index["YZZ999W"]).any(axis=1)
    one = replace(dataset, measurements=rows.where(only))
    assert len(one.measurements) == 1
    with pytest.raises(InvalidInput, match="no sample is left"):
        planner(replace(OPTIONS, keep_unannotated=False), one, genes=genes)


def test_levels_that_do_not_hold_are_named(planner: Planner) -> None:
    # unfiltered, middle (4) goes as redundant with deep (5); by level, deep then stands beside left (2) and right (3)
    unfiltered = replace(OPTIONS, rules=UNFILTERED)
    assert planner(unfiltered).hierarchy.term_ids == (*map(toy.term_id, (1, 2, 3, 5, 6)), "GO:ROOT")
    with pytest.raises(LevelsError, match="2 same-level and 0 inverted edges") as error:
        planner(replace(unfiltered, level_by="level"))
    for parent in ("GO:0000002", "GO:0000003"):
        assert f"GO:0000005 (level 1) -> {parent} (level 1), same level" in str(error.value)


def test_nothing_is_written_where_levels_do_not_hold(planner: Planner, tmp_path: Path) -> None:
    def build_it() -> None:
        build(planner(replace(OPTIONS, level_by="level")), tmp_path / "cache", BuildMode())

    with pytest.raises(LevelsError):
        build_it()
    assert not list(tmp_path.glob("cache*"))


def test_annotations_newer_than_the_data_are_warned_of(planner: Planner, toy_dataset: Dataset) -> None:
    assert not [w for w in planner().warnings if "newer" in w]
    early = planner(dataset=replace(toy_dataset, published=20100101))
    assert "7 of 7 annotation rows (IDA 7; newest 20160101) are newer than kuzmin2018 (20100101)" in early.warnings[0]


def test_the_level_in_use_is_the_one_asked_for(planner: Planner) -> None:
    for level_by, column in (("stratum", "stratum"), ("depth", "go_depth"), ("height", "height")):
        hierarchy = planner(replace(OPTIONS, level_by=level_by)).hierarchy
        np.testing.assert_array_equal(hierarchy.level, getattr(hierarchy, column))
    assert hierarchy.level_direction == "leaf_up"

"""Files that a whole cache carries for other programs: made from its manifest, absent in parts and older caches."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from gocell_cli.building.build import BuildMode, build
from gocell_cli.building.merge import merge_parts
from gocell_cli.building.plan import BuildPlan
from gocell_cli.errors import DamagedCache
from gocell_cli.storage.descriptions import WRITERS, described, undescribed
from gocell_cli.storage.manifest import encode_manifest, read_manifest, write_manifest
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.records import DESCRIPTIONS, Manifest
from gocell_cli.storage.verify import verify_cache


def made_older(cache: Path) -> Manifest:
    """Make a cache what it was before there were descriptions, and return its manifest."""
    manifest = undescribed(read_manifest(cache))
    write_manifest(cache, manifest)
    for name in DESCRIPTIONS:
        (cache / name).unlink()
    return manifest


def test_they_follow_from_the_manifest_alone(toy_cache: Path) -> None:
    manifest = read_manifest(toy_cache)
    again, contents = described(undescribed(manifest))
    assert encode_manifest(again) == encode_manifest(manifest) == encode_manifest(described(manifest)[0])
    assert contents == {name: (toy_cache / name).read_bytes() for name in DESCRIPTIONS}
    assert set(WRITERS) == set(DESCRIPTIONS)
    for data in contents.values():  # nothing of this machine
        assert str(toy_cache.parent) not in data.decode()


def test_an_older_cache_is_whole_without_them(toy_cache: Path, toy_plan: BuildPlan) -> None:
    older = made_older(toy_cache)
    assert verify_cache(toy_cache).findings == ()
    assert len(Cache(toy_cache)) == 2
    result = build(toy_plan, toy_cache, BuildMode())  # the same cache: it is not built again
    assert (result.built, result.manifest) == (False, older)
    result = build(toy_plan, toy_cache, BuildMode(overwrite=True))
    assert encode_manifest(result.manifest) == (toy_cache / "manifest.json").read_bytes()
    assert read_manifest(toy_cache) == described(older)[0]


def test_parts_have_none_and_what_they_are_merged_into_has(toy_plan: BuildPlan, tmp_path: Path) -> None:
    parts = [build(toy_plan, tmp_path / f"part-{i}", BuildMode(part=(i, 2))).directory for i in (0, 1)]
    assert not [name for part in parts for name in DESCRIPTIONS if (part / name).exists()]
    merged = merge_parts(parts, tmp_path / "merged")
    assert merged == read_manifest(tmp_path / "merged") == described(merged)[0]
    assert {file.path for file in merged.files} > set(DESCRIPTIONS)
    assert merge_parts(parts, tmp_path / "merged") == merged  # as a merge that was killed at its end finds it
    older = made_older(tmp_path / "merged")
    assert merge_parts(parts, tmp_path / "merged") == older


@pytest.mark.parametrize("name", DESCRIPTIONS)
@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_text("SELECT 1;")], ids=["lost", "changed"])
def test_a_changed_one_is_told(toy_cache: Path, name: str, change: Callable[[Path], object]) -> None:
    change(toy_cache / name)
    assert [finding.where for finding in verify_cache(toy_cache).findings] == [name]
    with pytest.raises(DamagedCache, match=name):
        Cache(toy_cache)


def views(cache: Path, manifest: Manifest) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute(f"SET file_search_path = '{cache}'")
    con.execute(described(manifest)[1]["views.sql"].decode())
    return con


def test_names_of_data_sets_are_text_and_nothing_else(toy_cache: Path) -> None:
    names = ("it's", "'); DROP VIEW terms; --", 'a "b"\nc', "{rows}")
    con = views(toy_cache, replace(read_manifest(toy_cache), datasets=names))
    assert con.execute("SELECT dataset_name FROM datasets ORDER BY dataset").fetchall() == [(name,) for name in names]
    assert con.execute("SELECT count(*) FROM terms").fetchall()[0][0] == len(Cache(toy_cache).hierarchy.term_ids)


def test_without_parquet_shards_there_are_no_views_of_samples(toy_cache: Path) -> None:
    manifest = read_manifest(toy_cache)
    lmdb = tuple(replace(shard, files={"lmdb": shard.files["lmdb"]}) for shard in manifest.shards)
    con = views(toy_cache, replace(manifest, shards=lmdb))
    known = {name for (name,) in con.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()}
    assert known == {"terms", "genes", "edges", "term_genes", "contained_genes", "strains", "query_groups", "datasets"}

"""A cache of several phenotypes, of which a sample may lack one: what its readers, ours and others, say of it."""

import hashlib
import json
import math
import pickle
import struct
from pathlib import Path
from typing import Any

import duckdb
import lmdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from gocell_cli.building.build import BuildMode, build
from gocell_cli.building.plan import BuildOptions, BuildPlan, plan_build
from gocell_cli.errors import DamagedCache, InvalidInput, UsageError
from gocell_cli.sources.screens import own_table, table_columns
from gocell_cli.storage.export import exported_columns, sample_rows
from gocell_cli.storage.manifest import decode_manifest, encode_manifest, read_manifest, write_manifest
from gocell_cli.storage.overview import describe_cache, describe_sample
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.records import BACKENDS
from gocell_cli.storage.samples import logical_sha256
from gocell_cli.storage.verify import verify_cache
from tests import toy

A, B, C = toy.GENES[:3]
ROWS = f"""genes,fitness,sd,score,p
{A},0.5,0.1,,
{A},0.7,0.1,,
{B},,,-2,0.01
{A} {B},0.25,,1,0.5
{A} {B},,0.2,3,
{C},,,,
"""
SAMPLES = {  # genes: value and statistic of fitness, of score
    (A,): (0.6, 0.1, None, None),
    (A, B): (0.25, None, 2.0, None),
    (B,): (None, None, -2.0, 0.01),
}
TWO = table_columns.TableOptions(phenotype="fitness,score", statistic="sd,p", kinds=("fitness", "s_score"))


def plan_of(folder: Path, options: table_columns.TableOptions, text: str = ROWS) -> BuildPlan:
    path = folder / "screen.csv"
    path.write_text(text, "utf-8")
    dataset, _ = own_table.read(path, toy.gene_table(), options)
    chosen = BuildOptions(toy.RULES, backends=BACKENDS, shard_size=2)
    return plan_build(toy.ontology(folder), toy.annotations(folder), toy.gene_table(), dataset, chosen, {})


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return build(plan_of(tmp_path, TWO), tmp_path / "several", BuildMode()).directory


def labels_of(cache: Cache) -> dict[tuple[str, ...], tuple[float | None, ...]]:
    found = {}
    for i in range(len(cache)):
        sample = cache.sample(i)
        genes = tuple(cache.hierarchy.gene_names[g] for g in sample.genes)
        value = None if math.isnan(sample.value) else sample.value
        found[genes] = (value, sample.statistic, *(x for label in sample.others for x in label))
    return found


def rounded(labels: tuple[float | None, ...]) -> tuple[float | None, ...]:
    return tuple(None if x is None else round(x, 12) for x in labels)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_sample_has_the_labels_that_were_measured(cache: Path, backend: str) -> None:
    found = labels_of(Cache(cache, backend))
    assert {tuple(sorted(genes)): rounded(labels) for genes, labels in found.items()} == SAMPLES


def test_the_manifest_says_which_and_of_how_many_samples(cache: Path) -> None:
    manifest = read_manifest(cache)
    assert manifest.format_version == manifest.config["format_version"] == 2
    assert [(p["kind"], p["statistic"], bool(p["unit"])) for p in manifest.phenotypes] == [
        ("fitness", "sd", True),
        ("s_score", "p_value", False),
    ]
    assert manifest.phenotype == {"kind": "fitness", "statistic": "sd"}
    assert manifest.counts["phenotypes"] == {"fitness": 2, "s_score": 2}
    assert manifest.counts["dropped"] == {"no_phenotype": 1, "duplicate_merged": 2}  # none of both: the row goes
    assert verify_cache(cache).ok


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("kind", "column", "statistic"), [("fitness", "fitness", "sd"), ("s_score", "score", "p")])
def test_opened_by_one_phenotype_it_is_a_cache_of_that(
    cache: Path, tmp_path: Path, backend: str, kind: str, column: str, statistic: str
) -> None:
    one = table_columns.TableOptions(phenotype=column, statistic=statistic, kinds=(kind,))
    text = "\n".join([",".join(n for n in ROWS.splitlines()[0].split(",")), *ROWS.splitlines()[1:]])
    alone = Cache(build(plan_of(tmp_path, one, text), tmp_path / "alone", BuildMode()).directory, backend)
    chosen = pickle.loads(pickle.dumps(Cache(cache, backend, kind)))
    assert chosen.phenotype == alone.phenotype == alone.manifest.phenotype
    found = {genes: labels for genes, labels in labels_of(chosen).items() if labels[0] is not None}
    assert found == labels_of(alone)
    assert chosen.columns().others == ()
    assert alone.manifest.format_version == 1


def test_a_cache_is_opened_by_its_path_as_text_too(cache: Path) -> None:
    assert Cache(str(cache)).directory == cache


def test_a_phenotype_that_is_not_there_is_named(cache: Path) -> None:
    with pytest.raises(UsageError, match="has no phenotype 'fitnes'") as error:
        Cache(cache, None, "fitnes")
    assert "fitness" in error.value.hint


def record(data: bytes) -> tuple[Any, ...]:
    k, m, _, others, _, value, statistic = struct.unpack_from("<HHhhidd", data)
    assert (len(data), others) == (28 + 4 * k + 16 * m + 16, 1)
    labels = (value, statistic, *struct.unpack_from("<dd", data, 28 + 4 * k + 16 * m))
    return tuple(None if math.isnan(x) else x for x in labels)


def test_others_read_it_by_the_description_alone(cache: Path) -> None:
    """schemas/README.md, with pyarrow, lmdb and struct; and the hash of its values."""
    for shard in json.loads((cache / "manifest.json").read_bytes())["shards"]:
        table = pq.read_table(cache / shard["files"]["parquet"]["path"])
        names = ("value", "statistic", "value_1", "statistic_1")
        rows = list(zip(*(table.column(name).to_pylist() for name in names), strict=True))
        path = str(cache / shard["files"]["lmdb"]["path"])
        with lmdb.open(path, subdir=False, lock=False, readonly=True) as env, env.begin() as transaction:
            assert [record(transaction.get(struct.pack(">Q", i))) for i in range(len(rows))] == rows
        digest = hashlib.sha256()
        samples = next(s for s in Cache(cache).shards() if len(s) == len(rows))
        for name, column in samples.columns().items():
            digest.update(f"{name}:{column.dtype.str}:{len(column)};".encode())
            clean = np.where(np.isnan(column), np.nan, column) if column.dtype.kind == "f" else column
            digest.update(np.ascontiguousarray(clean).tobytes())
        assert list(samples.columns())[-2:] == ["value_1", "statistic_1"]
        assert digest.hexdigest() == logical_sha256(samples) == shard["logical_sha256"]


def test_duckdb_has_a_row_a_label(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(cache)
    con = duckdb.connect()
    con.execute((cache / "views.sql").read_text("utf-8"))
    found = con.sql("SELECT kind, count(*), avg(value) FROM sample_phenotypes GROUP BY kind ORDER BY kind").fetchall()
    assert [(kind, n, round(mean, 12)) for kind, n, mean in found] == [("fitness", 2, 0.425), ("s_score", 2, 0.0)]
    kinds = con.sql("SELECT phenotype, kind, statistic_kind FROM phenotypes ORDER BY phenotype").fetchall()
    assert kinds == [(0, "fitness", "sd"), (1, "s_score", "p_value")]


def test_it_is_described_by_phenotype_and_number_of_deletions(cache: Path) -> None:
    found = {p["phenotype"]: p for p in describe_cache(Cache(cache))["phenotypes"]}
    assert found["fitness"]["samples_by_deletions"] == found["s_score"]["samples_by_deletions"] == {"1": 1, "2": 1}
    assert (found["s_score"]["samples"], found["s_score"]["spread"]["mean"]) == (2, 0.0)
    opened = Cache(cache)
    lacking = next(i for i in range(len(opened)) if math.isnan(opened.sample(i).value))
    sample = describe_sample(opened, lacking)
    label = ("phenotype", "value", "statistic", "statistic_kind")
    assert [sample[key] for key in label] == ["fitness", None, None, "sd"]
    other = {"phenotype": "s_score", "value": -2.0, "statistic": 0.01, "statistic_kind": "p_value"}
    assert sample["other_phenotypes"] == [other]


def test_what_is_exported_is_read_back(cache: Path, tmp_path: Path) -> None:
    opened = Cache(cache)
    columns = exported_columns(opened)
    rows = [columns, *sample_rows(opened, columns)]
    text = "".join("\t".join(map(str, row)) + "\n" for row in rows)
    (tmp_path / "again.tsv").write_text(text, "utf-8")
    options = table_columns.TableOptions(
        phenotype="value,value_1", statistic="statistic,statistic_1", statistic_kind="sd"
    )
    dataset, _ = own_table.read(tmp_path / "again.tsv", toy.gene_table(), options)
    found, ours = dataset.measurements, opened.columns()
    np.testing.assert_array_equal(found.value, ours.value)
    np.testing.assert_array_equal(found.others[0].value, ours.others[0].value)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"format_version": 1}, "format_version is 1, of such a cache it is 2"),
        ({"phenotypes": []}, "not several different ones"),
        ({"phenotypes": [{"kind": "a", "statistic": "sd", "unit": ""}] * 2}, "not several different ones"),
        ({"phenotypes": [{"kind": k, "statistic": "se", "unit": ""} for k in "ab"]}, "statistic of config"),
        ({"phenotypes": [{"kind": k, "statistic": "", "unit": ""} for k in "ab"]}, "phenotype is not the first"),
        ({"phenotypes": [{"kind": 1, "statistic": "", "unit": ""}, "b"]}, "config.phenotypes"),
        ({"phenotypes": 5}, "config.phenotypes"),
    ],
)
def test_a_manifest_that_lies_of_its_phenotypes_is_refused(cache: Path, change: dict[str, Any], fault: str) -> None:
    document = json.loads((cache / "manifest.json").read_bytes())
    document["config"] |= change
    document |= {name: value for name, value in change.items() if name == "format_version"}
    document["fingerprint"] = hashlib.sha256(canonical(document["config"])).hexdigest()
    data = canonical(document)
    (cache / "manifest.json").write_bytes(data)
    (cache / "manifest.sha256").write_text(hashlib.sha256(data).hexdigest() + "\n", "ascii")
    with pytest.raises(DamagedCache, match=fault):
        Cache(cache)


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


@pytest.mark.parametrize("backend", BACKENDS)
def test_shards_of_other_phenotypes_are_refused(cache: Path, backend: str) -> None:
    document = json.loads(encode_manifest(read_manifest(cache)))
    document["config"]["phenotypes"].append({"kind": "third", "statistic": "", "unit": ""})
    document["fingerprint"] = hashlib.sha256(canonical(document["config"])).hexdigest()
    write_manifest(cache, decode_manifest(canonical(document), cache))
    with pytest.raises(DamagedCache, match="labels of 2 phenotypes, the manifest names 3"):
        Cache(cache, backend).rows([0])
    assert not verify_cache(cache).ok


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"phenotype": "fitness,fitness"}, "a phenotype column is named twice"),
        ({"phenotype": "fitness,score", "kinds": ("a",)}, "the 2 phenotype columns fitness, score cannot be called a"),
        ({"phenotype": "fitness,score", "kinds": ("a", "a")}, "cannot be called a, a"),
        ({"phenotype": "fitness", "kinds": ("a", "b")}, "the phenotype column fitness cannot be called a, b"),
        ({"phenotype": "fitness,score", "statistic": "sd"}, "1 statistic columns for 2 phenotypes"),
        ({"phenotype": "fitness,nothing"}, "there is no phenotype column 'nothing'"),
    ],
)
def test_columns_that_do_not_fit_each_other_are_refused(tmp_path: Path, options: dict[str, Any], fault: str) -> None:
    with pytest.raises(InvalidInput, match=fault):
        plan_of(tmp_path, table_columns.TableOptions(**options))


def test_several_phenotypes_called_as_their_columns_are_those_columns(tmp_path: Path) -> None:
    called = table_columns.TableOptions(kinds=("score", "fitness"))
    named = called._replace(phenotype="score,fitness")
    plans = {name: plan_of(tmp_path, options) for name, options in (("called", called), ("named", named))}
    one, other = (read_manifest(build(plan, tmp_path / name, BuildMode()).directory) for name, plan in plans.items())
    assert one.fingerprint == other.fingerprint
    assert [p["kind"] for p in one.phenotypes] == ["score", "fitness"]

"""`schemas/` and the code say the same: names, dtypes, and every document of a real cache validates."""

import json
import re
import tomllib
from dataclasses import fields, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gocell_cli
from gocell_cli.building.build import BuildMode, build
from gocell_cli.building.plan import BuildPlan
from gocell_cli.file_record import FileRecord
from gocell_cli.storage import shards, tables
from gocell_cli.storage.json_schemas import NAMES, load_schema, schema_faults
from gocell_cli.storage.manifest import encode_manifest, read_manifest
from gocell_cli.storage.records import (
    FORMAT_VERSIONS,
    LEVEL_KINDS,
    STATISTICS,
    WIDTH_KINDS,
    Manifest,
    PhenotypeRecord,
    ShardRecord,
)

PACKAGE = Path(gocell_cli.__file__).parent


def _dtype(column: pa.Field) -> str:
    return f"list<{column.type.value_type}>" if pa.types.is_list(column.type) else str(column.type)


def _documented(table: dict) -> dict[str, str]:
    return {name: column["x-dtype"] for name, column in table["properties"].items()}


def test_the_samples_columns_are_those_of_the_parquet_shards() -> None:
    documented = load_schema("samples")
    assert _documented(documented) == {f.name: _dtype(f) for f in shards.SCHEMA}
    later = [f for f in shards.parquet_schema(12) if f.name not in documented["properties"]]
    patterns = documented["patternProperties"]
    for field in later:  # each is one of the two
        assert [p["x-dtype"] for name, p in patterns.items() if re.search(name, field.name)] == [_dtype(field)]
    assert len(later) == 24


def test_the_tables_columns_are_those_that_are_written() -> None:
    documented = {path: _documented(table) for path, table in load_schema("hierarchy")["$defs"].items()}
    assert documented == {path: {f.name: _dtype(f) for f in schema} for path, schema in tables.ALL_SCHEMAS.items()}


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (load_schema("manifest"), Manifest),
        (load_schema("manifest")["$defs"]["shard"], ShardRecord),
        (load_schema("manifest")["$defs"]["file"], FileRecord),
    ],
    ids=["manifest", "shard", "file"],
)
def test_the_manifests_fields_are_those_of_the_code(found: dict, kind: type) -> None:
    assert set(found["properties"]) == set(found["required"]) == {f.name for f in fields(kind)}


def test_constants_agree() -> None:
    properties = load_schema("manifest")["properties"]
    assert tuple(properties["format_version"]["enum"]) == FORMAT_VERSIONS
    found = properties["config"]["properties"]["phenotypes"]["items"]
    assert set(found["properties"]) == set(found["required"]) == {f.name for f in fields(PhenotypeRecord)}
    assert tuple(found["properties"]["statistic"]["enum"]) == STATISTICS
    assert tuple(properties["level_by"]["enum"]) == LEVEL_KINDS
    assert tuple(properties["width_by"]["enum"]) == WIDTH_KINDS


def test_a_real_manifest_validates_and_a_wrong_one_does_not(toy_cache: Path) -> None:
    manifest = read_manifest(toy_cache)
    assert schema_faults("manifest", json.loads(encode_manifest(manifest))) == []
    wrong = json.loads(encode_manifest(replace(manifest, level_by="colour")))
    assert any("colour" in fault for fault in schema_faults("manifest", wrong))


def test_every_row_of_a_real_cache_validates(toy_plan: BuildPlan, tmp_path: Path) -> None:
    cache = build(toy_plan, tmp_path / "other", BuildMode()).directory
    for path in sorted(cache.rglob("*.parquet")):
        name = path.relative_to(cache).with_suffix("").as_posix()
        schema = load_schema("samples") if name.startswith("samples/") else load_schema("hierarchy")["$defs"][name]
        for row in pq.read_table(path).to_pylist():
            # columns that came later are not required of older caches; what is written now has them all
            assert set(schema["required"]) <= set(row) == set(schema["properties"])
            for column, value in row.items():
                assert _json_type(value) in _types(schema["properties"][column])


def _json_type(value: object) -> str:
    names = {type(None): "null", str: "string", int: "integer", float: "number", list: "array"}
    return names[type(value)]


def _types(column: dict) -> list[str]:
    return column["type"] if isinstance(column["type"], list) else [column["type"]]


def test_the_wheel_carries_every_package_and_the_schemas() -> None:
    setuptools = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    folders = {p.parent for p in PACKAGE.rglob("__init__.py")} | {PACKAGE / "data"}
    expected = {".".join(["gocell_cli", *p.relative_to(PACKAGE).parts]) for p in folders}
    assert set(setuptools["packages"]) == expected | {"gocell_cli.schemas"}
    assert setuptools["package-dir"] == {"gocell_cli.schemas": "schemas"}
    assert {f"{n}.schema.json" for n in NAMES} <= {p.name for p in (PACKAGE.parent / "schemas").iterdir()}

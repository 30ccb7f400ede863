"""`croissant.json` describes every table's columns as they are, and mlcroissant takes it without a finding."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gocell_cli.storage.croissant import TYPES, croissant
from gocell_cli.storage.descriptions import undescribed
from gocell_cli.storage.manifest import read_manifest

VALIDATE = """
import json, sys
import mlcroissant

issues = mlcroissant.Dataset(sys.argv[1]).metadata.ctx.issues
print(json.dumps([sorted(issues.errors), sorted(issues.warnings)]))
"""


def test_each_column_of_each_table_is_a_field_of_its_type(toy_cache: Path) -> None:
    document = json.loads((toy_cache / "croissant.json").read_text("utf-8"))
    assert len(document["recordSet"]) == 8
    for record_set in document["recordSet"]:
        (source,) = {json.dumps({k: v for k, v in f["source"].items() if k != "extract"}) for f in record_set["field"]}
        (where,) = json.loads(source).values()
        path = "samples/part-00000.parquet" if where["@id"] == "shards" else where["@id"]
        schema = pq.read_schema(toy_cache / path)
        assert [field["source"]["extract"]["column"] for field in record_set["field"]] != []
        told = {f["name"]: (f["dataType"], f.get("repeated", False)) for f in record_set["field"]}
        real = {f.name: str(f.type) for f in schema}
        assert told == {
            name: (TYPES[kind.removeprefix("list<element: ").removesuffix(">")], kind.startswith("list"))
            for name, kind in real.items()
        }
    for file in document["distribution"]:
        if file["@type"] == "cr:FileObject":
            assert int(file["contentSize"].removesuffix(" B")) == (toy_cache / file["contentUrl"]).stat().st_size


def test_samples_in_lmdb_alone_are_no_record_set(toy_cache: Path) -> None:
    manifest = undescribed(read_manifest(toy_cache))
    lmdb = tuple(replace(shard, files={"lmdb": shard.files["lmdb"]}) for shard in manifest.shards)
    document = json.loads(croissant(replace(manifest, shards=lmdb)))
    assert "samples" not in {record_set["name"] for record_set in document["recordSet"]}
    assert "shards" not in {file["@id"] for file in document["distribution"]}


def test_mlcroissant_finds_no_fault(toy_cache: Path) -> None:
    """In a process of its own: what the package warns of while it is imported is its own."""
    if subprocess.run([sys.executable, "-c", "import mlcroissant"], capture_output=True, check=False).returncode:
        pytest.skip("the package mlcroissant is not installed")
    manifest = undescribed(read_manifest(toy_cache))
    for names, advised in ((("kuzmin2018",), 0), (("mine",), 1)):  # a paper to cite is recommended
        path = toy_cache / "croissant.json"
        path.write_text(croissant(replace(manifest, datasets=names)), "utf-8")
        process = subprocess.run([sys.executable, "-c", VALIDATE, path], capture_output=True, text=True, check=False)
        assert process.returncode == 0, process.stderr
        errors, warnings = json.loads(process.stdout)
        assert errors == []
        assert len(warnings) == advised, warnings

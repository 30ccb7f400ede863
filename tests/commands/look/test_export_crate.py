"""`gocell export --crate`: RO-Crate metadata of what was exported, beside it."""

import hashlib
import json
from pathlib import Path

from gocell_cli.errors import UsageError
from gocell_cli.storage.manifest import read_manifest
from tests import toy
from tests.commands.runners import document, failure


def test_every_file_that_was_written_is_described(toy_cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "exported"
    folder.mkdir()
    told = document("export", "--hierarchy", "ddot", "--cache", toy_cache, "--out", folder / "go.txt", "--crate")
    assert told["crate"] == str(folder / "ro-crate-metadata.json")
    graph = {entity["@id"]: entity for entity in json.loads(Path(told["crate"]).read_text("utf-8"))["@graph"]}
    written = {path.name: path for path in folder.iterdir() if path.name != "ro-crate-metadata.json"}
    assert {part["@id"] for part in graph["./"]["hasPart"]} == set(written)
    for name, path in written.items():
        assert graph[name]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert graph[name]["contentSize"] == str(path.stat().st_size)
        assert graph[name]["encodingFormat"] == "text/plain"
    assert graph["./"]["identifier"] == read_manifest(toy_cache).fingerprint
    assert graph["#build"]["name"] == "gocell export"


def test_a_crate_that_is_there_is_kept_and_stdout_has_none(toy_cache: Path, tmp_path: Path) -> None:
    words = ("export", "--cache", toy_cache, "--crate", "--out")
    document(*words, tmp_path / "samples.csv")
    kept = (tmp_path / "ro-crate-metadata.json").read_text("utf-8")
    assert '"text/csv"' in kept
    assert "ro-crate-metadata.json: is there already" in failure(*words, tmp_path / "other.csv").message
    assert not (tmp_path / "other.csv").exists()
    assert "stdout" in failure(*words, "-").message
    document(*words, tmp_path / "other.csv", "--overwrite")
    files = ("--obo", toy.write_obo(tmp_path), "--gaf", toy.write_gaf(tmp_path))
    ours = ("export", "--hierarchy", "ddot", *files, "--min-genes", 1, "--crate", "--out", tmp_path / "new" / "go.txt")
    (tmp_path / "new").mkdir()
    refused = failure(*ours)
    assert isinstance(refused, UsageError)
    assert not list((tmp_path / "new").iterdir())

"""`ro-crate-metadata.json` lists what lies there, and RO-Crate's own validator finds nothing that it requires."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gocell_cli.storage.about import published
from gocell_cli.storage.descriptions import undescribed
from gocell_cli.storage.manifest import read_manifest
from gocell_cli.storage.records import RO_CRATE
from gocell_cli.storage.ro_crate import NO_DATE, ro_crate

# of RO-Crate 1.1's context, the words that a crate of ours says, so that the validator needs no network
SCHEMA_ORG = (
    "CreativeWork", "Dataset", "CreateAction", "SoftwareApplication", "ScholarlyArticle",
    "about", "citation", "contentSize", "datePublished", "description", "encodingFormat", "hasPart", "identifier",
    "instrument", "license", "name", "result", "version",
)  # fmt: skip
WORDS = {word: f"http://schema.org/{word}" for word in SCHEMA_ORG} | {
    "File": "http://schema.org/MediaObject",
    "conformsTo": "http://purl.org/dc/terms/conformsTo",
    "sha256": "https://w3id.org/ro/terms/workflow-run#sha256",
}
PUT_CONTEXT = """
import sys
from requests import Request
from requests_cache import CachedRequest, CachedResponse, CachedSession

session = CachedSession(cache_name=sys.argv[1], backend="sqlite", expire_after=-1)
request = Request("GET", "https://w3id.org/ro/crate/1.1/context").prepare()
told = {"status_code": 200, "headers": {"Content-Type": "application/ld+json"}}
response = CachedResponse(url=request.url, request=CachedRequest.from_request(request), **told)
response._content = sys.argv[2].encode()
session.cache.save_response(response, cache_key=session.cache.create_key(request))
"""


def graph(document: str) -> dict[str, dict[str, Any]]:
    """A crate's entities by id; no two have the same."""
    entities = json.loads(document)["@graph"]
    found = {entity["@id"]: entity for entity in entities}
    assert len(found) == len(entities)
    return found


def test_every_file_is_there_as_it_lies_on_the_disk(toy_cache: Path) -> None:
    entities = graph((toy_cache / RO_CRATE).read_text("utf-8"))
    here = {path.relative_to(toy_cache).as_posix() for path in toy_cache.rglob("*") if path.is_file()}
    parts = {part["@id"] for part in entities["./"]["hasPart"]}
    assert parts == here - {RO_CRATE, "manifest.sha256"}
    hashes = {file.path: (str(file.bytes), file.sha256) for file in read_manifest(toy_cache).all_files}
    for path in parts:
        entity = entities[path]
        if "sha256" in entity:
            assert (entity["contentSize"], entity["sha256"]) == hashes[path]
        assert entity["@type"] == "File"
        assert entity["description"]
    assert {path for path in parts if "sha256" not in entities[path]} == {
        "manifest.json",
        "views.sql",
        "croissant.json",
    }


@pytest.mark.parametrize(
    ("release", "datasets", "day"),
    [
        ("releases/2016-12-06", ("mine",), "2016-12-06"),
        ("releases/2016-12-06", ("kuzmin2018",), "2018-04-20"),
        ("releases/2025-03-16", ("kuzmin2018", "costanzo2016"), "2025-03-16"),
        ("06:12:2016 15:31", ("mine",), "2016-12-06"),
        ("DDOT", ("mine",), NO_DATE),
        ("releases/2016-99-99", ("mine",), NO_DATE),
        ("cx2", ("collins2007",), "2007-04-12"),
    ],
)
def test_its_date_is_of_its_sources_and_never_the_clocks(
    toy_cache: Path, release: str, datasets: tuple[str, ...], day: str
) -> None:
    manifest = undescribed(read_manifest(toy_cache))
    manifest = replace(manifest, datasets=datasets, config={**manifest.config, "go_release": release})
    assert graph(ro_crate(manifest))["./"]["datePublished"] == day
    assert str(published(manifest) or NO_DATE) == day


def test_papers_are_cited_alone_or_as_a_list(toy_cache: Path) -> None:
    manifest = undescribed(read_manifest(toy_cache))
    for names, cited in (
        (("mine",), None),
        (("mine", "kuzmin2018"), {"@id": "https://doi.org/10.1126/science.aao1729"}),
        (("kuzmin2018", "kuzmin2020"),
         [{"@id": f"https://doi.org/10.1126/science.{name}"} for name in ("aao1729", "aaz5667")]),
    ):  # fmt: skip
        entities = graph(ro_crate(replace(manifest, datasets=names)))
        assert entities["./"].get("citation") == cited
        for paper in [cited] if isinstance(cited, dict) else cited or []:
            assert entities[paper["@id"]]["@type"] == "ScholarlyArticle"


def test_ro_crates_validator(toy_cache: Path, tmp_path: Path) -> None:
    """Its package is not among ours: it asks for an older rich."""
    validator = shutil.which("rocrate-validator")
    if validator is None:
        pytest.skip("no rocrate-validator on the PATH (pip install roc-validator, in an environment of its own)")
    python, context = Path(validator).with_name("python"), json.dumps({"@context": WORDS})
    subprocess.run([python, "-c", PUT_CONTEXT, tmp_path / "http", context], check=True)
    report = tmp_path / "report.json"
    command = [validator, "-y", "validate", "--profile-identifier", "ro-crate-1.1", "--offline"]
    command += ["--cache-path", str(tmp_path / "http"), "--output-format", "json", "--output-file", str(report)]
    subprocess.run([*command, str(toy_cache)], check=False, capture_output=True)
    found = json.loads(report.read_text("utf-8"))
    assert found["issues"] == []
    assert found["passed"]
    whole = json.loads((toy_cache / RO_CRATE).read_text("utf-8"))
    del whole["@graph"][1]["license"]
    (toy_cache / RO_CRATE).write_text(json.dumps(whole), "utf-8")
    subprocess.run([*command, str(toy_cache)], check=False, capture_output=True)
    assert not json.loads(report.read_text("utf-8"))["passed"]  # it does look

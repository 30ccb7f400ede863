"""GO and its annotations: trusted on first use, checked ever after, known by the version they state."""

import gzip
import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from gocell_cli.errors import InvalidInput, SourceMissing, UsageError
from gocell_cli.sources.download.catalog import ANNOTATIONS, CURRENT, GO, RemoteSource, of_release
from gocell_cli.sources.download.fetch import fetch, source_url
from gocell_cli.sources.download.find import find
from gocell_cli.sources.download.lock import LOCK_FILE, read_entries
from tests.sources.conftest import files_under
from tests.sources.http_server import Answer, LocalSite

DATE = "2025-03-16"
DATED_GO, DATED_ANNOTATIONS = of_release(GO, DATE), of_release(ANNOTATIONS, DATE)
OBO_URL, GAF_URL = f"/{DATE}/ontology/go-basic.obo", f"/{DATE}/annotations/sgd.gaf.gz"


def obo(version: str = f"releases/{DATE}", name: str = "root") -> bytes:
    """A small OBO file with what every GO release has at its beginning and its end."""
    text = f"format-version: 1.2\ndata-version: {version}\n\n[Term]\nid: GO:0008150\nname: {name}\n"
    return (text + "\n[Typedef]\nid: part_of\nname: part of\n\n").encode()


def gaf(header: str = f"!date-generated: {DATE}T12:17") -> bytes:
    """A small GAF with a header."""
    row = "\t".join(["SGD", "S1", "A", "", "GO:0008150", "R", "IDA", "", "P", "", "", "gene", "t", "20200101", "SGD"])
    return gzip.compress(f"!gaf-version: 2.2\n!\n{header}\n!\n{row}\n".encode(), mtime=0)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_urls_are_those_of_the_release() -> None:
    assert source_url(DATED_GO) == f"http://release.geneontology.org/{DATE}/ontology/go-basic.obo"
    assert source_url(DATED_ANNOTATIONS) == f"http://release.geneontology.org/{DATE}/annotations/sgd.gaf.gz"
    assert source_url(of_release(GO, None)) == "http://purl.obolibrary.org/obo/go/go-basic.obo"
    assert source_url(DATED_GO, "http://m.invalid/go/") == f"http://m.invalid/go/{DATE}/ontology/go-basic.obo"


@pytest.mark.parametrize("text", ["2025-3-16", "20250316", "2025-02-30", "../../etc", "", "latest", "2025-03-16/.."])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a date"):
        of_release(GO, text)


@pytest.mark.parametrize(
    ("source", "url", "body", "version"),
    [(DATED_GO, OBO_URL, obo(), f"releases/{DATE}"), (DATED_ANNOTATIONS, GAF_URL, gaf(), f"{DATE}T12:17")],
    ids=["go", "annotations"],
)
def test_a_release_is_fetched_recorded_and_found_again(
    mirror: LocalSite, tmp_path: Path, source: RemoteSource, url: str, body: bytes, version: str
) -> None:
    mirror.files[url] = body
    (file,) = fetch(source, tmp_path)
    assert file.path == tmp_path / "raw" / source.name / DATE / source.file
    assert file.path.read_bytes() == body
    assert (file.version, file.sha256, file.status) == (version, sha256(body), "fetched")
    assert files_under(tmp_path) == [f"raw/{source.name}/{DATE}/{source.file}", LOCK_FILE]
    entry = read_entries(tmp_path)[f"{source.name}/{DATE}/{source.file}"]
    assert (entry.url, entry.bytes, entry.version) == (mirror.url + url, len(body), version)
    assert datetime.fromisoformat(entry.date).tzinfo is not None
    assert find(source, tmp_path, offline=True).paths[0] == file.path
    assert [(f.status, f.version) for f in fetch(source, tmp_path)] == [("already there", version)]
    assert mirror.requests == [url]


BAD_OBO = [
    (b"<!DOCTYPE html><html><body>log in</body></html>", "HTML page"),
    (b"\n  <html>", "HTML page"),
    (b"", "empty file"),
    (b"hello\n", "no OBO file"),
    (obo()[:60], "its end is missing"),
    (obo()[:-30], "its end is missing"),
    (obo()[:-2], "its end is missing"),
    (obo("releases/2024-01-17"), "states data-version releases/2024-01-17"),
    (obo().replace(b"data-version", b"date"), "states data-version None"),
    (b"format-version: 1.2\n\xff\xfe\n", "not text"),
    (gzip.compress(obo())[:-5], "damaged gzip"),
]
BAD_GAF = [
    (b"<html></html>", "HTML page"),
    (gaf()[:-4], "damaged gzip"),
    (gaf()[:40], "damaged gzip"),
    (gzip.decompress(gaf()), "not gzipped"),
    (gzip.compress(b"hello\n"), "no GAF"),
    (gzip.compress(b"!gaf-version: 2.2\n"), "no GAF"),
]


@pytest.mark.parametrize(
    ("source", "url", "body", "why"),
    [(DATED_GO, OBO_URL, *bad) for bad in BAD_OBO] + [(DATED_ANNOTATIONS, GAF_URL, *bad) for bad in BAD_GAF],
)
def test_what_is_not_the_file_is_refused_and_the_next_fetch_works(
    mirror: LocalSite, tmp_path: Path, source: RemoteSource, url: str, body: bytes, why: str
) -> None:
    mirror.files[url] = body
    with pytest.raises(SourceMissing, match=why) as caught:
        fetch(source, tmp_path)
    assert mirror.url + url in caught.value.why
    assert str(tmp_path / "raw" / source.name / DATE / source.file) in caught.value.why
    assert files_under(tmp_path) == []
    mirror.files[url] = obo() if source is DATED_GO else gaf()
    assert [f.status for f in fetch(source, tmp_path)] == ["fetched"]


def test_a_server_that_states_too_small_a_size_is_noticed(mirror: LocalSite, tmp_path: Path) -> None:
    mirror.script[OBO_URL] = [Answer(obo(), claim=len(obo()) - 20)]
    with pytest.raises(SourceMissing, match="its end is missing"):
        fetch(DATED_GO, tmp_path)
    assert files_under(tmp_path) == []


def test_a_gzipped_ontology_is_taken(mirror: LocalSite, tmp_path: Path) -> None:
    mirror.files[OBO_URL] = gzip.compress(obo())
    assert fetch(DATED_GO, tmp_path)[0].version == f"releases/{DATE}"


def test_a_release_that_states_another_date_can_be_accepted(mirror: LocalSite, tmp_path: Path) -> None:
    mirror.files[OBO_URL] = obo("releases/2025-03-17")
    with pytest.raises(SourceMissing, match="--accept-changed"):
        fetch(DATED_GO, tmp_path)
    assert fetch(DATED_GO, tmp_path, accept_changed=True)[0].version == "releases/2025-03-17"


def edit(root: Path, mirror: LocalSite) -> None:
    (root / "raw" / "go" / DATE / "go-basic.obo").write_bytes(obo(name="changed"))


def serve_another(root: Path, mirror: LocalSite) -> None:
    mirror.files[OBO_URL] = obo(name="changed")
    (root / "raw" / "go" / DATE / "go-basic.obo").unlink()


@pytest.mark.parametrize("change", [edit, serve_another])
def test_a_changed_file_is_an_error_until_it_is_accepted(
    mirror: LocalSite, tmp_path: Path, change: Callable[[Path, LocalSite], None]
) -> None:
    mirror.files[OBO_URL] = obo()
    fetch(DATED_GO, tmp_path)
    lock = (tmp_path / LOCK_FILE).read_text()
    change(tmp_path, mirror)
    before = files_under(tmp_path)
    with pytest.raises(SourceMissing, match=r"go-basic\.obo is not the file that was first used") as caught:
        fetch(DATED_GO, tmp_path)
    for text in (sha256(obo()), sha256(obo(name="changed")), f"releases/{DATE}"):
        assert text in caught.value.why
    assert f"gocell fetch go --release {DATE} --root {tmp_path} --accept-changed" in caught.value.hint
    assert ((tmp_path / LOCK_FILE).read_text(), files_under(tmp_path)) == (lock, before)

    (file,) = fetch(DATED_GO, tmp_path, accept_changed=True)
    assert file.path.read_bytes() == obo(name="changed")
    assert file.status == ("accepted" if change is edit else "fetched")
    entry = read_entries(tmp_path)[f"go/{DATE}/go-basic.obo"]
    assert entry.sha256 == sha256(obo(name="changed"))
    assert [old["sha256"] for old in entry.history] == [sha256(obo())]
    assert find(DATED_GO, tmp_path, offline=True).paths[0] == file.path


def test_a_file_put_there_by_hand_is_trusted_the_first_time(mirror: LocalSite, tmp_path: Path) -> None:
    path = tmp_path / "raw" / "go" / DATE / "go-basic.obo"
    path.parent.mkdir(parents=True)
    path.write_bytes(obo())
    assert find(DATED_GO, tmp_path, offline=True).paths[0] == path
    entry = read_entries(tmp_path)[f"go/{DATE}/go-basic.obo"]
    assert (entry.url, entry.version) == (None, f"releases/{DATE}")
    path.write_bytes(obo(name="changed"))
    with pytest.raises(SourceMissing, match="first used"):
        find(DATED_GO, tmp_path, offline=True)
    assert mirror.requests == []


@pytest.mark.parametrize(
    ("source", "path", "body"),
    [
        (GO, "/go-basic.obo", obo()),
        (ANNOTATIONS, "/sgd.gaf.gz", gaf()),
        (ANNOTATIONS, "/sgd.gaf.gz", gaf("!date-generated: 20250316")),
        (ANNOTATIONS, "/sgd.gaf.gz", gaf("!Generated: 2025-03-16 09:46")),
    ],
    ids=["go", "goc", "sgd", "goa"],
)
def test_the_current_release_is_kept_under_the_date_it_states(
    mirror: LocalSite, tmp_path: Path, source: RemoteSource, path: str, body: bytes
) -> None:
    mirror.files[path] = body
    (file,) = fetch(source, tmp_path)
    assert file.path == tmp_path / "raw" / source.name / DATE / source.file
    assert find(of_release(source, DATE), tmp_path, offline=True).paths[0] == file.path
    assert [f.status for f in fetch(source, tmp_path)] == ["already there"]  # asked again: it may be newer now
    assert mirror.requests == [path, path]
    assert [f.path for f in fetch(source, tmp_path, offline=True)] == [file.path]


def test_a_newer_current_release_stands_beside_the_older_one(mirror: LocalSite, tmp_path: Path) -> None:
    mirror.files["/go-basic.obo"] = obo()
    fetch(GO, tmp_path)
    mirror.files["/go-basic.obo"] = obo("releases/2025-06-01")
    assert fetch(GO, tmp_path)[0].path.parent.name == "2025-06-01"
    assert fetch(GO, tmp_path, offline=True)[0].path.parent.name == "2025-06-01"
    assert find(DATED_GO, tmp_path, offline=True).paths[0].read_bytes() == obo()


def test_the_same_release_with_another_content_is_an_error(mirror: LocalSite, tmp_path: Path) -> None:
    mirror.files["/go-basic.obo"] = obo()
    (file,) = fetch(GO, tmp_path)
    mirror.files["/go-basic.obo"] = obo(name="changed")
    with pytest.raises(SourceMissing, match="first used"):
        fetch(GO, tmp_path)
    assert file.path.read_bytes() == obo()
    assert fetch(GO, tmp_path, accept_changed=True)[0].status == "fetched"
    assert file.path.read_bytes() == obo(name="changed")
    assert len(read_entries(tmp_path)[f"go/{DATE}/go-basic.obo"].history) == 1


@pytest.mark.parametrize(
    ("source", "path", "body"),
    [(GO, "/go-basic.obo", obo("unknown")), (ANNOTATIONS, "/sgd.gaf.gz", gaf("!no date here"))],
    ids=["go", "annotations"],
)
def test_a_current_file_without_a_date_is_refused(
    mirror: LocalSite, tmp_path: Path, source: RemoteSource, path: str, body: bytes
) -> None:
    mirror.files[path] = body
    with pytest.raises(SourceMissing, match="--release DATE"):
        fetch(source, tmp_path)
    assert files_under(tmp_path) == []


def test_offline_without_any_release_says_where_one_goes(mirror: LocalSite, tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="--offline was given") as caught:
        fetch(GO, tmp_path, offline=True)
    assert str(tmp_path / "raw" / "go" / "DATE" / "go-basic.obo") in caught.value.why
    assert "--obo FILE" in caught.value.hint
    assert (GO.release, list(tmp_path.iterdir()), mirror.requests) == (CURRENT, [], [])


ENTRY = '{"url": null, "sha256": "%s", "bytes": 1, "date": "", "version": null, "history": []}' % ("0" * 64)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", ":1: damaged"),
        ("{\n  oops", ":2: damaged"),
        ("[]", "no list of files"),
        ('{"format": 1}', "no list of files"),
        ('{"format": 2, "files": {}}', "format 2, where this gocell reads format 1"),
        ('{"format": 1, "files": {"go/x": {}}}', "the entry of go/x is incomplete"),
        ('{"format": 1, "files": {"go/x": 3}}', "the entry of go/x is incomplete"),
        (f'{{"format": 1, "files": {{"go/x": {ENTRY.replace("00", "0", 1)}}}}}', "the entry of go/x is incomplete"),
        (f'{{"format": 1, "files": {{"go/x": {ENTRY.replace("bytes", "size")}}}}}', "the entry of go/x is incomplete"),
        ("\udcff", "damaged lock file"),
    ],
)
def test_a_damaged_lock_file_is_one_clear_error(mirror: LocalSite, tmp_path: Path, text: str, reason: str) -> None:
    mirror.files[OBO_URL] = obo()
    path = tmp_path / LOCK_FILE
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    before = path.read_bytes()
    with pytest.raises(InvalidInput, match=reason) as caught:
        fetch(DATED_GO, tmp_path)
    assert str(path) in caught.value.message
    assert "remove it" in caught.value.hint
    assert path.read_bytes() == before
    assert files_under(tmp_path) == [LOCK_FILE]
    assert mirror.requests == []
    path.unlink()
    assert fetch(DATED_GO, tmp_path)[0].status == "fetched"

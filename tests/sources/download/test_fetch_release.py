"""GO and its annotations: trusted on first use, checked ever after, known by the version they state."""

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from gocell_cli.errors import InvalidInput, SourceMissing, UsageError
from gocell_cli.sources.download.catalog import ANNOTATIONS, CURRENT, GO, RemoteSource, of_release
from gocell_cli.sources.download.fetch import fetch, source_url
from gocell_cli.sources.download.find import find
from gocell_cli.sources.download.lock import LOCK_FILE, read_entries
from gocell_cli.sources.download.status import fetch_status
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
    (b"format-version: 1.2\n\xff\xfe\n", "its end is missing"),
    (obo().replace(b"root", b"r\xff"), "go-basic.obo:6: not utf-8 text"),
    (gzip.compress(obo())[:-5], "damaged gzip"),
    (gzip.compress(gzip.compress(obo())), "something that is no OBO file"),
    (b"format-version: 1.2\n[Typedef]\nid: part_of\n" + b"x: y\n" * 280, "no \\[Term\\] stanza"),
    (obo().replace(b"GO:", b"HP:"), "an ontology without a term of GO"),
    (obo().replace(b"name: root", b"name: root\n\nid: GO:0008151"), "a second id in one"),
    (obo().replace(b"[Term]\n", b""), "an id before the first stanza"),
]
BAD_GAF = [
    (b"<html></html>", "HTML page"),
    (gaf()[:-4], "damaged gzip"),
    (gaf()[:40], "damaged gzip"),
    (gzip.decompress(gaf()), "not gzipped"),
    (gzip.compress(b"hello\n"), "no GAF"),
    (gzip.compress(b"!gaf-version: 2.2\n"), "no GAF"),
    (gzip.compress(gzip.decompress(gaf()) + b"SGD\tS2\tB"), "sgd.gaf.gz:6: 3 tab-separated columns"),
    (gzip.compress(gaf()), "packed twice"),
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


def test_a_gzipped_ontology_is_kept_unpacked_as_its_name_says(mirror: LocalSite, tmp_path: Path) -> None:
    mirror.files[OBO_URL] = gzip.compress(obo())
    (file,) = fetch(DATED_GO, tmp_path)
    assert (file.version, file.sha256) == (f"releases/{DATE}", sha256(obo()))
    assert file.path.read_bytes() == obo()
    mirror.files["/go-basic.obo"] = obo()
    assert fetch(GO, tmp_path)[0].status == "already there"  # as it is elsewhere
    assert files_under(tmp_path) == [f"raw/go/{DATE}/go-basic.obo", LOCK_FILE]


@pytest.mark.parametrize(("source", "url", "body"), [(DATED_GO, OBO_URL, obo()), (DATED_ANNOTATIONS, GAF_URL, gaf())])
@pytest.mark.parametrize("lost", [0, 1, 40])
def test_a_body_whose_end_nothing_tells_is_refused(
    mirror: LocalSite, tmp_path: Path, source: RemoteSource, url: str, body: bytes, lost: int
) -> None:
    mirror.script[url] = [Answer(body[: len(body) - lost], claim=-1, ranges=False)]
    with pytest.raises(SourceMissing, match="did not say how long the file is"):
        fetch(source, tmp_path)
    assert files_under(tmp_path) == []
    mirror.script[url] = [Answer(body, chunked=True)]
    assert fetch(source, tmp_path)[0].sha256 == sha256(body)


def test_halves_of_two_releases_are_never_joined(mirror: LocalSite, tmp_path: Path) -> None:
    """Two files of one length and one Last-Modified: no server that sends the second's rest is believed."""
    one, other = (obo(name=name) + b"! end\n" for name in ("first", "other"))
    for tag in ((), (("ETag", 'W/"x"'),)):
        headers = (("Last-Modified", "Mon, 17 Mar 2025 00:00:00 GMT"), *tag)
        careless = Answer(other, headers=headers, obey_if_range=False)
        mirror.script[OBO_URL] = [Answer(one, headers=headers, cut=100), careless]
        assert fetch(DATED_GO, tmp_path, accept_changed=True)[0].path.read_bytes() == other
        (tmp_path / "raw" / "go" / DATE / "go-basic.obo").unlink()
    mirror.script[OBO_URL] = [Answer(one, headers=(("ETag", '"1"'),), cut=100), replace(careless, headers=())]
    assert fetch(DATED_GO, tmp_path)[0].path.read_bytes() == other  # a 206 without an ETag may be of any file
    assert mirror.ranges_asked() == [None, None, None, None, None, "bytes=100-", None]


def test_a_file_larger_than_it_may_be_is_refused_before_it_comes(mirror: LocalSite, tmp_path: Path) -> None:
    source = replace(DATED_GO, most=1_000_000)
    mirror.script[OBO_URL] = [Answer(obo(), claim=1_000_001)]
    with pytest.raises(SourceMissing, match="1,000,001 bytes or more, where 1,000,000 is the most"):
        fetch(source, tmp_path)
    mirror.script[OBO_URL] = [Answer(b"x" * 300_000, claim=-1, endless=True)]
    with pytest.raises(SourceMissing, match="where 1,000,000 is the most"):
        fetch(source, tmp_path)
    assert files_under(tmp_path) == []


def test_a_gzip_bomb_is_given_up(mirror: LocalSite, tmp_path: Path) -> None:
    source = replace(DATED_GO, files=(replace(DATED_GO.files[0], most=1_000_000),))
    mirror.files[OBO_URL] = gzip.compress(obo() + b"! \n" * 1_000_000)
    with pytest.raises(SourceMissing, match="unpacks to more than 1,000,000 bytes"):
        fetch(source, tmp_path)
    assert files_under(tmp_path) == []


@pytest.mark.parametrize(
    "version", ["9999-99-99", "9999-12-31", "1970-01-01", "0000-00-00", "\u0662\u0660\u0662\u0665-03-16", "120250316"]
)
def test_a_date_on_which_no_release_can_have_been_is_no_folder(mirror: LocalSite, tmp_path: Path, version: str) -> None:
    mirror.files["/go-basic.obo"] = obo(f"releases/{version}")
    with pytest.raises(SourceMissing, match="--release DATE"):
        fetch(GO, tmp_path)
    assert files_under(tmp_path) == []
    odd = tmp_path / "raw" / "go" / version / "go-basic.obo"
    odd.parent.mkdir(parents=True)
    odd.write_bytes(obo())
    with pytest.raises(SourceMissing, match="--offline"):
        fetch(GO, tmp_path, offline=True)  # nor is such a folder taken for the newest release
    assert [f.status for f in fetch_status(tmp_path) if f.source == "go"] == ["absent"]
    with pytest.raises(UsageError, match="not a date"):
        of_release(GO, version)


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
    assert [old.sha256 for old in entry.history] == [sha256(obo())]
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
        ("", "damaged lock file .Expecting value"),
        ("{\n  oops", "line 2 column 3"),
        ("[]", "Input should be an object"),
        ('{"format": 1}', "files: Field required"),
        ('{"format": 2, "files": {}}', "format 2, where this gocell reads format 1"),
        ('{"format": true, "files": {}}', "format: Input should be a valid integer"),
        ('{"format": 1, "files": {"go/x": {}}}', "files.go/x.url: Field required"),
        ('{"format": 1, "files": {"go/x": 3}}', "files.go/x: Input should be an object"),
        (f'{{"format": 1, "files": {{"go/x": {ENTRY.replace("00", "0", 1)}}}}}', "the entry of go/x holds what is no"),
        (f'{{"format": 1, "files": {{"go/x": {ENTRY.replace(": 1", ": -1")}}}}}', "the entry of go/x holds what is no"),
        (f'{{"format": 1, "files": {{"go/x": {ENTRY.replace("bytes", "size")}}}}}', "files.go/x.bytes: Field required"),
        (f'{{"format": 1, "files": {{"go/x": {ENTRY}, "go/x": {ENTRY}}}}}', "stands twice"),
        (f'{{"format": 1, "files": {{"go/x": {ENTRY.replace("[]", "[3]")}}}}}', "history.0"),
        ('{"format": 1, "files": ' + "[" * 50_000, "nested too deeply"),
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

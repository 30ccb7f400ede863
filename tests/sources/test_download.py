"""find_table against a real HTTP server: what it fetches, what it refuses, and that a failure leaves nothing."""

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gocell_cli.errors import SourceMissing
from gocell_cli.sources.catalog import KUZMIN2018, RemoteTable
from gocell_cli.sources.download import find_table, table_url
from tests.sources.conftest import LocalSite, zip_of

# requests leaves a socket to the garbage collector where a response is cut or never read to its end.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning",
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning",
)

CONTENT = b"gene\tvalue\nYAL001C\t0.5\n" * 40
TABLE = RemoteTable("toyset", "http://nowhere.invalid/a/toy.zip", "toy.tsv", hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def mirror(local_site: LocalSite, monkeypatch: pytest.MonkeyPatch) -> LocalSite:
    monkeypatch.setenv("GOCELL_MIRROR", local_site.url + "/")
    return local_site


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder where temporary files go."""
    path = tmp_path / "scratch"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


@pytest.mark.parametrize(
    "members",
    [
        {"toy.tsv": CONTENT},
        {"some folder/toy.tsv": CONTENT, "larger.txt": CONTENT * 9},
        {"Data File S1.TXT": CONTENT, "readme.txt": b"short"},
        {"a.csv": CONTENT, "picture.png": CONTENT * 9},
        {"../../toy.tsv": CONTENT},
    ],
    ids=["plain", "in-a-folder", "another-name", "csv-and-picture", "climbing"],
)
def test_table_is_fetched_whatever_the_members_name(
    mirror: LocalSite, tmp_path: Path, scratch: Path, members: dict[str, bytes]
) -> None:
    mirror.files["/toy.zip"] = zip_of(members)
    root = tmp_path / "root"
    path = find_table(TABLE, root, offline=False)
    assert path == root / "raw" / "toyset" / "toy.tsv"
    assert path.read_bytes() == CONTENT
    assert [p for p in root.rglob("*") if p.is_file()] == [path]
    assert mirror.requests == ["/toy.zip"]
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("offline", [True, False])
def test_table_in_the_data_root_asks_nobody(mirror: LocalSite, tmp_path: Path, offline: bool) -> None:
    target = tmp_path / "raw" / "toyset" / "toy.tsv"
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT)
    assert find_table(TABLE, tmp_path, offline=offline) == target
    assert mirror.requests == []


def test_downloaded_table_is_not_fetched_twice(mirror: LocalSite, tmp_path: Path) -> None:
    mirror.files["/toy.zip"] = zip_of({"toy.tsv": CONTENT})
    first = find_table(TABLE, tmp_path, offline=False)
    assert find_table(TABLE, tmp_path, offline=True) == first
    assert len(mirror.requests) == 1


def serve_wrong_content(site: LocalSite) -> None:
    site.files["/toy.zip"] = zip_of({"toy.tsv": CONTENT + b"\n"})


def serve_nothing(site: LocalSite) -> None:
    site.files.clear()


def serve_no_zip(site: LocalSite) -> None:
    site.files["/toy.zip"] = b"<html>please log in</html>"


def serve_no_text_in_the_zip(site: LocalSite) -> None:
    site.files["/toy.zip"] = zip_of({"toy.xlsx": CONTENT})


def serve_an_empty_file(site: LocalSite) -> None:
    site.files["/toy.zip"] = b""


def serve_half_a_zip(site: LocalSite) -> None:
    whole = zip_of({"toy.tsv": CONTENT})
    site.files["/toy.zip"] = whole[: len(whole) // 2]


def cut_the_connection(site: LocalSite) -> None:
    site.files["/toy.zip"] = zip_of({"toy.tsv": CONTENT})
    site.missing_bytes = 1000


def serve_a_flipped_checksum(site: LocalSite) -> None:
    site.files["/toy.zip"] = zip_of({"toy.tsv": CONTENT}, compression=0).replace(b"YAL001C", b"YAL002C", 1)


def serve_garbled_deflate(site: LocalSite) -> None:
    data = bytearray(zip_of({"toy.tsv": CONTENT}))
    start = 30 + len("toy.tsv")
    data[start : start + 8] = b"\xff" * 8
    site.files["/toy.zip"] = bytes(data)


def serve_an_encrypted_zip(site: LocalSite) -> None:
    data = bytearray(zip_of({"toy.tsv": CONTENT}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    site.files["/toy.zip"] = bytes(data)


FAILURES = [
    (serve_wrong_content, "sha256"),
    (serve_nothing, "404"),
    (serve_no_zip, "not a zip file"),
    (serve_no_text_in_the_zip, "holds no table"),
    (serve_an_empty_file, "not a zip file"),
    (serve_half_a_zip, "not a zip file"),
    (cut_the_connection, "IncompleteRead"),
    (serve_a_flipped_checksum, "CRC"),
]


@pytest.mark.parametrize(
    ("fail", "why"),
    [
        *FAILURES,
        pytest.param(serve_garbled_deflate, "decompressing"),
        pytest.param(serve_an_encrypted_zip, "encrypted"),
    ],
)
def test_failed_download_says_all_and_leaves_nothing(
    mirror: LocalSite, tmp_path: Path, scratch: Path, fail: Callable[[LocalSite], None], why: str
) -> None:
    fail(mirror)
    root = tmp_path / "root"
    with pytest.raises(SourceMissing) as caught:
        find_table(TABLE, root, offline=False)
    assert why in caught.value.why
    assert_helpful(caught.value, mirror.url + "/toy.zip", root)
    assert not root.exists()
    assert list(scratch.iterdir()) == []
    assert mirror.requests == ["/toy.zip"]


def assert_helpful(error: SourceMissing, url: str, root: Path) -> None:
    text = error.message + error.why + error.hint
    for part in ("toyset", url, str(root / "raw" / "toyset" / "toy.tsv"), "gocell build-cache --dataset essentiality"):
        assert part in text
    assert error.exit_code == 6


def test_offline_asks_nobody_and_writes_nothing(mirror: LocalSite, tmp_path: Path) -> None:
    mirror.files["/toy.zip"] = zip_of({"toy.tsv": CONTENT})
    with pytest.raises(SourceMissing, match="--offline was given") as caught:
        find_table(TABLE, tmp_path, offline=True)
    assert_helpful(caught.value, mirror.url + "/toy.zip", tmp_path)
    assert mirror.requests == []
    assert list(tmp_path.iterdir()) == []


def test_server_that_is_not_there_is_a_missing_source(
    local_site: LocalSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOCELL_MIRROR", "http://127.0.0.1:1")
    with pytest.raises(SourceMissing) as caught:
        find_table(TABLE, tmp_path, offline=False)
    assert_helpful(caught.value, "http://127.0.0.1:1/toy.zip", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_changed_table_in_the_data_root_is_refused_and_kept(mirror: LocalSite, tmp_path: Path) -> None:
    target = tmp_path / "raw" / "toyset" / "toy.tsv"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"edited")
    with pytest.raises(SourceMissing) as caught:
        find_table(TABLE, tmp_path, offline=False)
    assert hashlib.sha256(b"edited").hexdigest() in caught.value.why
    assert TABLE.sha256 in caught.value.why
    assert_helpful(caught.value, mirror.url + "/toy.zip", tmp_path)
    assert target.read_bytes() == b"edited"
    assert mirror.requests == []


@pytest.mark.parametrize("mirror_url", ["http://m.invalid/x", "http://m.invalid/x/", ""])
def test_mirror_replaces_all_but_the_archives_name(monkeypatch: pytest.MonkeyPatch, mirror_url: str) -> None:
    monkeypatch.setenv("GOCELL_MIRROR", mirror_url)
    expected = "http://m.invalid/x/aao1729_data_s1.zip" if mirror_url else KUZMIN2018.url
    assert table_url(KUZMIN2018) == expected

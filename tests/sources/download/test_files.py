"""find and fetch against a real HTTP server: what it fetches, what it refuses, and that a failure leaves nothing."""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gocell_cli.errors import SourceMissing
from gocell_cli.sources.download.catalog import COSTANZO2016, KUZMIN2018, RemoteFile, RemoteSource
from gocell_cli.sources.download.fetch import fetch, source_url
from gocell_cli.sources.download.find import find
from gocell_cli.sources.download.lock import read_entries
from tests.sources.conftest import files_under
from tests.sources.http_server import Answer, LocalSite, zip_of
from tools.make_bundle import fetch_package, unpack

CONTENT = b"gene\tvalue\nYAL001C\t0.5\n" * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
TABLE = RemoteSource(
    name="toyset",
    about="a toy",
    url="http://nowhere.invalid/a/toy.zip",
    mirror_path="toy.zip",
    files=(RemoteFile("toy.tsv", SHA256),),
    flag="--raw FILE",
)
FETCHED = ["raw/toyset/toy.tsv", "sources.lock.json"]


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
        {"folder/another name.txt": CONTENT, "README.md": b"x" * 999},
        {"Data File S1.TXT": CONTENT, "readme.txt": b"short"},
        {"a.csv": CONTENT, "picture.png": CONTENT * 9},
        {"../../toy.tsv": CONTENT},
        {"/toy.tsv": CONTENT},
        {"__MACOSX/toy.tsv": b"resource fork", "folder/toy.tsv": CONTENT},
        {"toy.tsv/": b"", "deep/toy.tsv": CONTENT},
    ],
    ids=["plain", "in-a-folder", "other-folder", "other-name", "csv", "climbing", "absolute", "mac", "folder-so-named"],
)
def test_table_is_fetched_whatever_the_members_name(
    mirror: LocalSite, tmp_path: Path, scratch: Path, members: dict[str, bytes]
) -> None:
    mirror.files["/toy.zip"] = zip_of(members)
    root = tmp_path / "root"
    path = find(TABLE, root, offline=False).paths[0]
    assert path == root / "raw" / "toyset" / "toy.tsv"
    assert path.read_bytes() == CONTENT
    assert files_under(root) == FETCHED
    assert sorted(p.name for p in tmp_path.iterdir()) == ["root", "scratch"]
    assert mirror.requests == ["/toy.zip"]
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("offline", [True, False])
def test_table_in_the_data_root_asks_nobody(mirror: LocalSite, tmp_path: Path, offline: bool) -> None:
    target = tmp_path / "raw" / "toyset" / "toy.tsv"
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT)
    assert find(TABLE, tmp_path, offline=offline).paths[0] == target
    assert mirror.requests == []


@pytest.mark.parametrize("offline", [True, False])
def test_downloaded_table_is_not_fetched_twice(mirror: LocalSite, tmp_path: Path, offline: bool) -> None:
    mirror.files["/toy.zip"] = zip_of({"toy.tsv": CONTENT})
    first = find(TABLE, tmp_path, offline=False).paths[0]
    assert find(TABLE, tmp_path, offline=offline).paths[0] == first
    assert len(mirror.requests) == 1


def test_what_was_fetched_is_recorded(mirror: LocalSite, tmp_path: Path) -> None:
    mirror.files["/toy.zip"] = zip_of({"toy.tsv": CONTENT})
    (file,) = fetch(TABLE, tmp_path)
    assert (file.status, file.bytes, file.sha256) == ("fetched", len(CONTENT), SHA256)
    entry = read_entries(tmp_path)["toyset/toy.tsv"]
    assert (entry.url, entry.sha256, entry.bytes) == (mirror.url + "/toy.zip", SHA256, len(CONTENT))
    assert entry.history == ()
    assert [f.status for f in fetch(TABLE, tmp_path)] == ["already there"]


def serve_wrong_content(site: LocalSite) -> None:
    site.files["/toy.zip"] = zip_of({"toy.tsv": CONTENT + b"\n"})


def serve_nothing(site: LocalSite) -> None:
    site.files.clear()


def serve_a_page(site: LocalSite) -> None:
    site.files["/toy.zip"] = b"<html>please log in</html>"


def serve_no_zip(site: LocalSite) -> None:
    site.files["/toy.zip"] = CONTENT


def serve_no_text_in_the_zip(site: LocalSite) -> None:
    site.files["/toy.zip"] = zip_of({"toy.xlsx": CONTENT})


def serve_an_empty_zip(site: LocalSite) -> None:
    site.files["/toy.zip"] = zip_of({})


def serve_an_empty_file(site: LocalSite) -> None:
    site.files["/toy.zip"] = b""


def serve_half_a_zip(site: LocalSite) -> None:
    whole = zip_of({"toy.tsv": CONTENT})
    site.files["/toy.zip"] = whole[: len(whole) // 2]


def claim_less_than_there_is(site: LocalSite) -> None:
    site.files["/toy.zip"] = zip_of({"toy.tsv": CONTENT})
    site.missing_bytes = -30


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


def refuse(site: LocalSite) -> None:
    site.script["/toy.zip"] = [Answer(status=403)]


def serve_a_redirect_to_a_file(site: LocalSite) -> None:
    site.script["/toy.zip"] = [Answer(status=302, headers=(("Location", "file:///etc/hostname"),))]


@pytest.mark.parametrize(
    ("fail", "why"),
    [
        (serve_wrong_content, "sha256"),
        (serve_nothing, "404"),
        (serve_a_page, "HTML page"),
        (serve_no_zip, "not a zip file"),
        (serve_no_text_in_the_zip, "holds no toy.tsv, but 'toy.xlsx'"),
        (serve_an_empty_zip, "holds no toy.tsv, but nothing"),
        (serve_an_empty_file, "empty file"),
        (serve_half_a_zip, "not a zip file"),
        (claim_less_than_there_is, "not a zip file"),
        (serve_a_flipped_checksum, "CRC"),
        (serve_garbled_deflate, "decompressing"),
        (serve_an_encrypted_zip, "encrypted"),
        (refuse, "403"),
        (serve_a_redirect_to_a_file, "file:///etc/hostname"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_failed_download_says_all_leaves_nothing_and_the_next_one_works(
    mirror: LocalSite, tmp_path: Path, scratch: Path, fail: Callable[[LocalSite], None], why: str
) -> None:
    fail(mirror)
    root = tmp_path / "root"
    with pytest.raises(SourceMissing) as caught:
        find(TABLE, root, offline=False)
    assert why in caught.value.why
    assert_helpful(caught.value, mirror.url + "/toy.zip", root)
    assert files_under(root) == []
    assert list(scratch.iterdir()) == []
    assert mirror.requests == ["/toy.zip"]  # asking again would not help
    assert_next_one_works(mirror, root)


def assert_helpful(error: SourceMissing, url: str, root: Path) -> None:
    text = error.message + error.why + error.hint
    for part in ("toyset", url, str(root / "raw" / "toyset" / "toy.tsv"), "gocell build-cache --dataset essentiality"):
        assert part in text
    assert error.exit_code == 6


def assert_next_one_works(mirror: LocalSite, root: Path) -> None:
    mirror.script.clear()
    mirror.missing_bytes = 0
    mirror.files["/toy.zip"] = zip_of({"toy.tsv": CONTENT})
    assert find(TABLE, root, offline=False).paths[0].read_bytes() == CONTENT
    assert files_under(root) == FETCHED


@pytest.mark.parametrize("claimed", [1, 1000])
def test_a_size_that_never_comes_is_asked_for_five_times(
    mirror: LocalSite, tmp_path: Path, scratch: Path, claimed: int
) -> None:
    mirror.files["/toy.zip"] = zip_of({"toy.tsv": CONTENT})
    mirror.missing_bytes = claimed
    root = tmp_path / "root"
    with pytest.raises(SourceMissing, match="asked 5 times") as caught:
        find(TABLE, root, offline=False)
    assert "IncompleteRead" in caught.value.why
    assert_helpful(caught.value, mirror.url + "/toy.zip", root)
    assert files_under(root) == []
    assert list(scratch.iterdir()) == []
    assert mirror.requests == ["/toy.zip"] * 5
    assert_next_one_works(mirror, root)


def test_offline_asks_nobody_and_writes_nothing(mirror: LocalSite, tmp_path: Path) -> None:
    mirror.files["/toy.zip"] = zip_of({"toy.tsv": CONTENT})
    with pytest.raises(SourceMissing, match="--offline was given") as caught:
        find(TABLE, tmp_path, offline=True)
    assert "the table toy.tsv is not to be had" in caught.value.message
    assert_helpful(caught.value, mirror.url + "/toy.zip", tmp_path)
    assert mirror.requests == []
    assert list(tmp_path.iterdir()) == []


def test_server_that_is_not_there_is_a_missing_source(
    local_site: LocalSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOCELL_MIRROR", "http://127.0.0.1:1")
    with pytest.raises(SourceMissing) as caught:
        find(TABLE, tmp_path, offline=False)
    assert_helpful(caught.value, "http://127.0.0.1:1/toy.zip", tmp_path)
    assert files_under(tmp_path) == []


@pytest.mark.parametrize("offline", [True, False])
def test_changed_table_in_the_data_root_is_refused_and_kept(mirror: LocalSite, tmp_path: Path, offline: bool) -> None:
    target = tmp_path / "raw" / "toyset" / "toy.tsv"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"edited")
    with pytest.raises(SourceMissing, match="not to be had") as caught:
        find(TABLE, tmp_path, offline=offline)
    assert hashlib.sha256(b"edited").hexdigest() in caught.value.why
    assert TABLE.files[0].sha256 in caught.value.why
    assert_helpful(caught.value, mirror.url + "/toy.zip", tmp_path)
    assert target.read_bytes() == b"edited"
    assert mirror.requests == []


def test_a_published_sha256_cannot_be_overruled(mirror: LocalSite, tmp_path: Path) -> None:
    mirror.files["/toy.zip"] = zip_of({"toy.tsv": b"another table"})
    with pytest.raises(SourceMissing, match="the published one"):
        fetch(TABLE, tmp_path, accept_changed=True)
    assert files_under(tmp_path) == []


@pytest.mark.parametrize("mirror_url", ["http://m.invalid/x", "http://m.invalid/x/", ""])
def test_mirror_replaces_all_but_the_archives_name(monkeypatch: pytest.MonkeyPatch, mirror_url: str) -> None:
    monkeypatch.setenv("GOCELL_MIRROR", mirror_url)
    expected = "http://m.invalid/x/aao1729_data_s1.zip" if mirror_url else KUZMIN2018.url
    assert source_url(KUZMIN2018) == expected
    assert source_url(KUZMIN2018, "http://other.invalid") == "http://other.invalid/aao1729_data_s1.zip"


MANY = replace(
    TABLE,
    files=(
        RemoteFile("A.txt", hashlib.sha256(b"a").hexdigest()),
        RemoteFile("B.xlsx", hashlib.sha256(b"b").hexdigest()),
        RemoteFile("extra.xlsx", optional=True),
    ),
)


@pytest.mark.parametrize("extra", [{}, {"folder/extra.xlsx": b"e"}], ids=["without-extra", "with-extra"])
def test_all_tables_of_an_archive_come_at_once(mirror: LocalSite, tmp_path: Path, extra: dict[str, bytes]) -> None:
    mirror.files["/toy.zip"] = zip_of({"folder/A.txt": b"a", "x/long-name-B.xlsx": b"b", "B.xlsx.txt": b"no", **extra})
    folder = find(MANY, tmp_path, offline=False).paths[0].parent
    assert folder == tmp_path / "raw" / "toyset"
    names = ["A.txt", "B.xlsx", *(["extra.xlsx"] if extra else [])]
    assert [p.name for p in sorted(folder.iterdir())] == names
    assert find(MANY, tmp_path, offline=True).paths[0].parent == folder
    assert len(mirror.requests) == 1


@pytest.mark.parametrize(
    "members",
    [{"A.txt": b"a"}, {"A.txt": b"a", "B.xlsx": b"wrong"}, {"B.xlsx": b"b"}],
    ids=["one-missing", "one-wrong", "first-missing"],
)
def test_tables_come_all_or_none(mirror: LocalSite, tmp_path: Path, members: dict[str, bytes]) -> None:
    mirror.files["/toy.zip"] = zip_of(members)
    with pytest.raises(SourceMissing, match=r"the tables A\.txt, B\.xlsx are not to be had") as caught:
        find(MANY, tmp_path, offline=False)
    for name in ("A.txt", "B.xlsx"):
        assert str(tmp_path / "raw" / "toyset" / name) in caught.value.why
    assert files_under(tmp_path) == []


def test_a_table_that_was_removed_is_fetched_again_and_the_others_are_left_alone(
    mirror: LocalSite, tmp_path: Path
) -> None:
    members = {"A.txt": b"a", "B.xlsx": b"b", "extra.xlsx": b"e"}
    mirror.files["/toy.zip"] = zip_of(members)
    folder = find(MANY, tmp_path, offline=False).paths[0].parent
    kept = (folder / "A.txt").stat().st_mtime_ns
    (folder / "extra.xlsx").unlink()
    with pytest.raises(SourceMissing, match="--offline was given"):
        find(MANY, tmp_path, offline=True)
    assert [f.status for f in fetch(MANY, tmp_path)] == ["already there", "already there", "fetched"]
    assert (folder / "A.txt").stat().st_mtime_ns == kept
    (folder / "extra.xlsx").unlink()
    mirror.files["/toy.zip"] = zip_of({**members, "extra.xlsx": b"another"})
    with pytest.raises(SourceMissing, match=r"extra\.xlsx is not the file that was first used"):
        fetch(MANY, tmp_path)
    assert not (folder / "extra.xlsx").exists()


def test_costanzo_is_five_files_of_which_one_may_be_missing() -> None:
    assert [f.name for f in COSTANZO2016.files if f.sha256] == [
        "SGA_NxN.txt",
        "SGA_ExN_NxE.txt",
        "SGA_ExE.txt",
        "SGA_DAmP.txt",
    ]
    assert [f.name for f in COSTANZO2016.files if f.optional] == ["strain_ids_and_single_mutant_fitness.xlsx"]


@pytest.fixture
def index(mirror: LocalSite, monkeypatch: pytest.MonkeyPatch) -> LocalSite:
    mirror.files["/files/pack-1.tar.gz"] = CONTENT
    mirror.files["/simple/pack/"] = b'<a href="../../files/pack-1.tar.gz#sha256=0">pack-1.tar.gz</a>'
    monkeypatch.setenv("PIP_INDEX_URL", f"{mirror.url}/simple")
    return mirror


@pytest.mark.usefixtures("index")
def test_a_package_file_is_fetched_and_its_hash_checked(tmp_path: Path) -> None:
    assert fetch_package("pack", "pack-1.tar.gz", SHA256, tmp_path).read_bytes() == CONTENT
    with pytest.raises(ValueError, match="hash"):
        fetch_package("pack", "pack-1.tar.gz", "0" * 64, tmp_path / "other")
    with pytest.raises(SourceMissing, match="does not list it"):
        fetch_package("pack", "pack-2.tar.gz", SHA256, tmp_path)


def test_unpacking_takes_the_named_members_and_nothing_else(tmp_path: Path) -> None:
    wheel = tmp_path / "pack-1-py3-none-any.whl"
    wheel.write_bytes(zip_of({"pack/data/list.txt": CONTENT, "setup.py": b"raise SystemExit('ran')"}))
    out = tmp_path / "out"
    out.mkdir()
    assert unpack(wheel, {"list": "data/list.txt"}, out) == {"list": out / "list.txt"}
    assert [p.name for p in out.iterdir()] == ["list.txt"]

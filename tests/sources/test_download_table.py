"""Downloads against a real HTTP server on this machine, which serves, lies, cuts and refuses."""

import hashlib
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gocell_cli.errors import SourceMissing
from gocell_cli.sources.catalog import RemoteTable
from gocell_cli.sources.download import find_table
from gocell_cli.sources.make_bundle import fetch_package, unpack

# requests leaves a socket to the garbage collector where a response is cut or never read to its end.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning",
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning",
)

CONTENT = b"a\tb\n1\t2\n"
TABLE = RemoteTable("small", "http://nowhere.invalid/deep/small.zip", "small.tsv", hashlib.sha256(CONTENT).hexdigest())


def _zip(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/").replace("_DOT_", "."), data)
    return buffer.getvalue()


class Site:
    """What the server answers with, and how often it was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.claimed_extra = 0
        self.requests: list[str] = []
        self.url = ""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    found = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.requests.append(self.path)
            body = found.files.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"") + found.claimed_extra))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("GOCELL_MIRROR", found.url + "/")
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("member", ["small_DOT_tsv", "folder__another name_DOT_txt"])
def test_the_table_is_unpacked_whatever_its_name(site: Site, tmp_path: Path, member: str) -> None:
    site.files["/small.zip"] = _zip(**{member: CONTENT, "README_DOT_md": b"x" * 999})
    path = find_table(TABLE, tmp_path, offline=False)
    assert path == tmp_path / "raw" / "small" / "small.tsv"
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == ["small.tsv"]
    assert find_table(TABLE, tmp_path, offline=False) == path
    assert site.requests == ["/small.zip"]  # the second time it was in the data root


def _not_found(site: Site) -> None:
    site.files.clear()


def _wrong_content(site: Site) -> None:
    site.files["/small.zip"] = _zip(small_DOT_tsv=b"another table")


def _no_zip(site: Site) -> None:
    site.files["/small.zip"] = b"<html>please log in</html>"


def _no_table(site: Site) -> None:
    site.files["/small.zip"] = _zip(README_DOT_md=b"nothing here")


def _cut(site: Site) -> None:
    site.claimed_extra = 1000


@pytest.mark.parametrize("damage", [_not_found, _wrong_content, _no_zip, _no_table, _cut])
def test_whatever_goes_wrong_nothing_is_written(site: Site, tmp_path: Path, damage: Callable[[Site], None]) -> None:
    site.files["/small.zip"] = _zip(small_DOT_tsv=CONTENT)
    damage(site)
    with pytest.raises(SourceMissing) as caught:
        find_table(TABLE, tmp_path, offline=False)
    text = str(caught.value)
    assert f"{site.url}/small.zip" in text
    assert str(tmp_path / "raw" / "small" / "small.tsv") in text
    assert "gocell build-cache --dataset essentiality" in caught.value.hint
    assert list(tmp_path.iterdir()) == []
    assert len(site.requests) == 1  # no retry storm


def test_offline_asks_nobody(site: Site, tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="not to be had"):
        find_table(TABLE, tmp_path, offline=True)
    assert (site.requests, list(tmp_path.iterdir())) == ([], [])


def test_a_changed_table_in_the_data_root_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "raw" / "small" / "small.tsv"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not the published table")
    with pytest.raises(SourceMissing, match="not to be had") as caught:
        find_table(TABLE, tmp_path, offline=True)
    assert TABLE.sha256 in caught.value.why
    assert path.read_bytes() == b"not the published table"


@pytest.fixture
def index(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    site.files["/files/pack-1.tar.gz"] = CONTENT
    site.files["/simple/pack/"] = b'<a href="../../files/pack-1.tar.gz#sha256=0">pack-1.tar.gz</a>'
    monkeypatch.setenv("PIP_INDEX_URL", f"{site.url}/simple")
    return site


@pytest.mark.usefixtures("index")
def test_a_package_file_is_fetched_and_its_hash_checked(tmp_path: Path) -> None:
    right = hashlib.sha256(CONTENT).hexdigest()
    assert fetch_package("pack", "pack-1.tar.gz", right, tmp_path).read_bytes() == CONTENT
    with pytest.raises(ValueError, match="hash"):
        fetch_package("pack", "pack-1.tar.gz", "0" * 64, tmp_path / "other")
    with pytest.raises(SourceMissing, match="does not list it"):
        fetch_package("pack", "pack-2.tar.gz", right, tmp_path)


def test_unpacking_takes_the_named_members_and_nothing_else(tmp_path: Path) -> None:
    wheel = tmp_path / "pack-1-py3-none-any.whl"
    wheel.write_bytes(_zip(pack__data__list_DOT_txt=CONTENT, setup_DOT_py=b"raise SystemExit('ran')"))
    out = tmp_path / "out"
    out.mkdir()
    assert unpack(wheel, {"list": "data/list.txt"}, out) == {"list": out / "list.txt"}
    assert [p.name for p in out.iterdir()] == ["list.txt"]

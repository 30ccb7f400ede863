"""transfer against a server that cuts, stalls, redirects, lies and changes its mind."""

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from gocell_cli.errors import UsageError
from gocell_cli.sources.download.exchange import MOST_REDIRECTS, TransferError
from gocell_cli.sources.download.transfer import RETRIES, PartialFile, transfer
from tests.sources.http_server import Answer, LocalSite

BODY = bytes(i * 7 % 251 for i in range(300_000))
OTHER = bytes(i * 11 % 241 for i in range(300_000))
TAG = (("ETag", '"one"'),)
WHOLE = Answer(BODY, headers=TAG)
CUT = replace(WHOLE, cut=100_000)


@dataclass
class Told:
    """Keeps what a watcher is told."""

    bytes: list[int] = field(default_factory=list)
    totals: set[int | None] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)

    def progress(self, name: str, done: int, total: int | None) -> None:
        assert name == "f"
        self.bytes.append(done)
        self.totals.add(total)

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def get(mirror: LocalSite, tmp_path: Path) -> Callable[..., bytes]:
    """Fetch /f as these answers serve it; the file's bytes."""

    def got(*answers: Answer, told: Told | None = None, dated: bool = False) -> bytes:
        mirror.script["/f"] = list(answers)
        part = PartialFile(tmp_path / "f.part", mirror.url + "/f", dated=dated)
        transfer(part.url, part, "f", told or Told())
        return part.path.read_bytes()

    return got


Get = Callable[..., bytes]


def test_a_file_is_fetched_and_its_progress_told(get: Get) -> None:
    told = Told()
    assert get(WHOLE, told=told) == BODY
    assert (told.bytes[0], told.bytes[-1], told.totals, told.lines) == (0, len(BODY), {len(BODY)}, [])
    assert told.bytes == sorted(told.bytes)


@pytest.mark.parametrize("answer", [replace(WHOLE, chunked=True), replace(WHOLE, claim=-1)], ids=["chunked", "no-size"])
def test_a_file_of_unknown_size_is_fetched(get: Get, answer: Answer) -> None:
    told = Told()
    assert get(answer, told=told) == BODY
    assert told.totals == {None}


@pytest.mark.parametrize("header", [TAG, (("Last-Modified", "Mon, 17 Mar 2025 00:00:00 GMT"),)], ids=["tag", "date"])
def test_a_cut_file_is_resumed_where_it_was_cut(get: Get, mirror: LocalSite, header: tuple[tuple[str, str]]) -> None:
    told = Told()
    first = replace(CUT, headers=header)
    assert get(first, first, replace(WHOLE, headers=header), told=told, dated=header != TAG) == BODY
    assert mirror.ranges_asked() == [None, "bytes=100000-", "bytes=200000-"]
    assert [h.get("If-Range") for h in mirror.headers] == [None, header[0][1], header[0][1]]
    assert all("cut" in line and "asking again" in line for line in told.lines)
    assert len(told.lines) == 2


def test_a_server_that_cuts_every_time_is_followed_as_long_as_it_gives_something(get: Get, mirror: LocalSite) -> None:
    assert get(replace(WHOLE, cut=30_000)) == BODY  # ten cuts, more than RETRIES
    assert len(mirror.requests) == 10 > RETRIES + 1


@pytest.mark.parametrize(
    "first",
    [
        replace(CUT, headers=()),
        replace(CUT, headers=(("ETag", 'W/"weak"'),)),
        replace(CUT, headers=(("ETag", '"two\tparts"'),)),
        replace(CUT, headers=(("Last-Modified", "Mon, 17 Mar 2025 00:00:00 GMT"),)),
        replace(CUT, ranges=False),
    ],
    ids=["no-validator", "weak-tag", "no-tag", "date", "ignores-range"],
)
def test_what_cannot_be_resumed_is_started_again(get: Get, first: Answer) -> None:
    assert get(first, replace(first, cut=None)) == BODY


def test_a_file_that_changed_between_cut_and_resumption_is_fetched_whole(get: Get, mirror: LocalSite) -> None:
    assert get(CUT, Answer(OTHER, headers=(("ETag", '"two"'),))) == OTHER
    assert mirror.ranges_asked() == [None, "bytes=100000-"]


def test_the_rest_of_another_file_is_never_appended(get: Get, mirror: LocalSite) -> None:
    careless = Answer(OTHER, headers=(("ETag", '"two"'),), obey_if_range=False)
    assert get(CUT, careless) == OTHER
    assert mirror.ranges_asked() == [None, "bytes=100000-", None]


def test_the_rest_of_a_file_of_another_size_is_never_appended(get: Get) -> None:
    assert get(CUT, Answer(OTHER[:-1], obey_if_range=False)) == OTHER[:-1]


@pytest.mark.parametrize("content_range", ["", "bytes 0-9/10", "nonsense"])
def test_a_range_that_was_not_asked_for_is_refused(get: Get, content_range: str) -> None:
    wrong = Answer(OTHER, status=206, headers=(*TAG, ("Content-Range", content_range)))
    assert get(CUT, wrong, WHOLE) == BODY


def test_a_part_that_is_whole_already_is_taken(get: Get, mirror: LocalSite, tmp_path: Path) -> None:
    with pytest.raises(TransferError):
        get(CUT, Answer(status=404))
    (tmp_path / "f.part").write_bytes(BODY)
    assert get(WHOLE) == BODY
    assert mirror.ranges_asked()[-1] == f"bytes={len(BODY)}-"


def test_a_part_longer_than_the_file_is_dropped(get: Get, tmp_path: Path) -> None:
    with pytest.raises(TransferError):
        get(CUT, Answer(status=404))
    (tmp_path / "f.part").write_bytes(BODY + b"more")
    assert get(WHOLE) == BODY


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_in_trouble_is_asked_again(get: Get, mirror: LocalSite, status: int) -> None:
    told = Told()
    assert get(Answer(status=status), Answer(status=status), WHOLE, told=told) == BODY
    assert len(mirror.requests) == 3
    assert str(status) in told.lines[0]


def test_a_server_in_lasting_trouble_is_given_up(get: Get, mirror: LocalSite, waits: list[float]) -> None:
    with pytest.raises(TransferError, match=r"503 .*\(asked 5 times\)"):
        get(Answer(status=503))
    assert len(mirror.requests) == RETRIES + 1
    assert waits == [1, 2, 4, 8]


def test_every_byte_gained_starts_the_waits_anew(get: Get, waits: list[float]) -> None:
    trouble = Answer(status=503)
    assert get(trouble, trouble, CUT, trouble, WHOLE) == BODY
    assert waits == [1, 2, 1, 2]


@pytest.mark.parametrize("status", [204, 304, 400, 401, 403, 404, 410, 418, 429])
def test_a_refusal_is_taken_at_once(get: Get, mirror: LocalSite, tmp_path: Path, status: int) -> None:
    with pytest.raises(TransferError, match=str(status)):
        get(Answer(status=status))
    assert len(mirror.requests) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("impatient")
def test_a_stalled_server_is_asked_once_more_where_bytes_had_come(get: Get, mirror: LocalSite) -> None:
    with pytest.raises(TransferError, match=r"sent nothing for 0\.5 s after 100000 bytes"):
        get(replace(CUT, stall=True), replace(WHOLE, cut=0, stall=True))
    assert mirror.ranges_asked() == [None, "bytes=100000-"]


@pytest.mark.usefixtures("impatient")
def test_a_stall_is_resumed(get: Get) -> None:
    assert get(replace(CUT, stall=True), WHOLE) == BODY


@pytest.mark.usefixtures("impatient")
def test_a_server_that_never_sends_a_byte_is_given_up_at_once(get: Get, mirror: LocalSite, tmp_path: Path) -> None:
    with pytest.raises(TransferError, match=r"sent nothing for 0\.5 s"):
        get(replace(WHOLE, cut=0, stall=True))
    assert len(mirror.requests) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("impatient")
def test_a_server_that_never_answers_is_given_up(mirror: LocalSite, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        part = PartialFile(tmp_path / "f.part", f"http://127.0.0.1:{silent.getsockname()[1]}/f")
        with pytest.raises(TransferError, match=r"sent nothing for 0\.5 s"):
            transfer(part.url, part, "f", Told())


def test_a_connection_closed_without_an_answer_is_tried_again(mirror: LocalSite, tmp_path: Path) -> None:
    accepted = []
    with socket.create_server(("127.0.0.1", 0)) as rude:

        def hang_up() -> None:
            for _ in range(RETRIES + 1):
                connection, _ = rude.accept()
                connection.close()
                accepted.append(1)

        thread = threading.Thread(target=hang_up)
        thread.start()
        part = PartialFile(tmp_path / "f.part", f"http://127.0.0.1:{rude.getsockname()[1]}/f")
        with pytest.raises(TransferError, match="asked 5 times"):
            transfer(part.url, part, "f", Told())
        thread.join()
    assert len(accepted) == RETRIES + 1


def test_redirects_are_followed(get: Get, mirror: LocalSite) -> None:
    mirror.files["/elsewhere"] = BODY
    assert get(Answer(status=302, headers=(("Location", "/elsewhere"),))) == BODY
    assert mirror.requests == ["/f", "/elsewhere"]


def test_a_redirect_in_a_loop_ends(get: Get, mirror: LocalSite, tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="redirects"):
        get(Answer(status=302, headers=(("Location", "/f"),)))
    assert len(mirror.requests) == MOST_REDIRECTS + 1
    assert list(tmp_path.iterdir()) == []


LEADS_NOWHERE = {
    "file": ("file:///etc/passwd", "No connection adapters"),
    "bracket": ("http://[", "the answer cannot be followed"),
    "port": ("http://127.0.0.1:99999999/", "the answer cannot be followed|Failed to parse|no connection"),
    "ftp": ("ftp://127.0.0.1/f", "No connection adapters"),
    "nothing": ("http://", "redirects"),
    "control": ("http://a\x01b/", "cannot be followed|Failed to parse|no connection"),
    "long": ("http://" + "a" * 300 + ".invalid/", "cannot be followed|Failed to parse|no connection"),
}


@pytest.mark.parametrize("case", LEADS_NOWHERE)
def test_a_redirect_that_leads_nowhere_is_an_error(get: Get, mirror: LocalSite, tmp_path: Path, case: str) -> None:
    place, why = LEADS_NOWHERE[case]
    with pytest.raises(TransferError, match=why):
        get(Answer(status=302, headers=(("Location", place),)))
    assert list(tmp_path.iterdir()) == []


def test_the_body_of_a_redirect_is_not_read(get: Get, mirror: LocalSite) -> None:
    mirror.files["/elsewhere"] = BODY
    endless = Answer(b"x" * 65536, status=302, headers=(("Location", "/elsewhere"),), claim=-1, endless=True)
    assert get(endless) == BODY


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("chunked", [False, True])
def test_a_server_that_trickles_is_given_up(get: Get, mirror: LocalSite, chunked: bool) -> None:
    with pytest.raises(TransferError, match=r"sent (\d+ bytes|nothing) in|for 0\.5 s"):
        get(replace(WHOLE, trickle=0.02, chunked=chunked))
    assert len(mirror.requests) <= 2


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "line", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;"]
)
def test_a_server_that_trickles_a_line_is_given_up(mirror: LocalSite, tmp_path: Path, line: bytes) -> None:
    """Each byte of a header, or of a chunk's size, starts the patience of a socket anew."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as slow:

        def trickle() -> None:
            connection, _ = slow.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(line)
                while not over.wait(0.02):
                    connection.sendall(b"x")

        thread = threading.Thread(target=trickle)
        thread.start()
        part = PartialFile(tmp_path / "f.part", f"http://127.0.0.1:{slow.getsockname()[1]}/f")
        try:
            with pytest.raises(TransferError, match=r"within 1 s|sent nothing for 0\.5 s"):
                transfer(part.url, part, "f", Told())
        finally:
            over.set()
            thread.join()


def test_a_server_that_cuts_after_each_byte_is_given_up(get: Get, mirror: LocalSite) -> None:
    with pytest.raises(TransferError, match="asked 5 times"):
        get(replace(WHOLE, cut=1))
    assert len(mirror.requests) == RETRIES + 1


@pytest.mark.parametrize("size", ["9" * 5000, "-1", "1_000", "\u0663", "12, 13"])
def test_a_size_that_is_no_number_is_none(get: Get, size: str) -> None:
    told = Told()
    lying = Answer(BODY, headers=(("Content-Length", size.encode().decode("latin-1")),), claim=-1)
    with contextlib.suppress(TransferError):
        get(lying, told=told)
    assert told.totals <= {None}


def test_a_cut_download_is_resumed_by_the_next_call(get: Get, mirror: LocalSite, tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="404"):
        get(CUT, Answer(status=404))
    assert (tmp_path / "f.part").read_bytes() == BODY[:100_000]
    assert get(WHOLE) == BODY
    assert mirror.ranges_asked() == [None, "bytes=100000-", "bytes=100000-"]


def test_a_part_of_another_url_is_not_resumed(get: Get, mirror: LocalSite, tmp_path: Path) -> None:
    with pytest.raises(TransferError):
        get(CUT, Answer(status=404))
    mirror.script["/g"] = [Answer(OTHER, headers=TAG)]
    part = PartialFile(tmp_path / "f.part", mirror.url + "/g")
    transfer(part.url, part, "f", Told())
    assert part.path.read_bytes() == OTHER
    assert mirror.ranges_asked()[-1] is None


@pytest.mark.parametrize("record", ["", "{", "[]", '{"url": 1}', '{"url": "x", "validator": 3, "total": null}'])
def test_a_damaged_record_of_a_part_means_starting_again(get: Get, tmp_path: Path, record: str) -> None:
    (tmp_path / "f.part").write_bytes(OTHER[:50_000])
    (tmp_path / "f.part.json").write_text(record)
    assert get(WHOLE) == BODY


def test_a_compressed_answer_is_kept_as_it_was_sent(get: Get, mirror: LocalSite) -> None:
    assert get(Answer(BODY, headers=(("Content-Encoding", "gzip"),))) == BODY
    assert mirror.headers[0]["Accept-Encoding"] == "identity"
    assert mirror.headers[0]["User-Agent"].startswith("gocell/")


def test_an_interrupt_keeps_what_can_be_resumed(get: Get, mirror: LocalSite, tmp_path: Path) -> None:
    class Impatient(Told):
        def progress(self, name: str, done: int, total: int | None) -> None:
            super().progress(name, done, total)
            if done >= 100_000:
                raise SystemExit(130)

    with pytest.raises(SystemExit):
        get(WHOLE, told=Impatient())
    done = (tmp_path / "f.part").stat().st_size
    assert 100_000 <= done < len(BODY)
    assert get(WHOLE) == BODY
    assert mirror.ranges_asked() == [None, f"bytes={done}-"]


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_a_timeout_that_is_no_number_of_seconds_is_refused(
    get: Get, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("GOCELL_TIMEOUT", text)
    with pytest.raises(UsageError, match="GOCELL_TIMEOUT"):
        get(WHOLE)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/f", "nonsense", "http://", "http://127.0.0.1:1/f"])
def test_a_url_that_leads_nowhere_is_an_error(mirror: LocalSite, tmp_path: Path, url: str) -> None:
    with pytest.raises(TransferError):
        transfer(url, PartialFile(tmp_path / "f.part", url), "f", Told())
    assert list(tmp_path.iterdir()) == []


def test_a_proxy_is_used_where_one_is_set(mirror: LocalSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", mirror.url)
    url = "http://release.example.invalid/go-basic.obo"
    mirror.files[url] = BODY  # a proxy is asked for the whole URL
    part = PartialFile(tmp_path / "f.part", url)
    transfer(url, part, "f", Told())
    assert part.path.read_bytes() == BODY
    assert mirror.requests == [url]


def test_a_host_named_in_no_proxy_is_reached_past_the_proxy(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert get(WHOLE) == BODY
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "elsewhere.invalid")
    with pytest.raises(TransferError, match=r"[Pp]roxy"):
        get(WHOLE)

"""A real HTTP server on this machine that serves, cuts, stalls, redirects and lies; and zips to serve."""

import io
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Answer:
    """One answer: a body under a status, and how the server misbehaves with it.

    `cut` bytes of the body are sent and then the connection is closed; with `stall` it stays open, silent.
    With `trickle`, it comes byte by byte with so many seconds between; with `endless`, again and again.
    `claim` is the Content-Length stated, -1 for none; `ranges` says whether Range is understood, `obey_if_range`
    whether a changed file is then sent whole.
    """

    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    cut: int | None = None
    stall: bool = False
    claim: int | None = None
    ranges: bool = True
    obey_if_range: bool = True
    chunked: bool = False
    trickle: float = 0
    endless: bool = False

    def header(self, name: str) -> str | None:
        return dict(self.headers).get(name)


@dataclass
class LocalSite:
    """`files` by path are served as they are; `script` holds answers by path, the last of which stays."""

    files: dict[str, bytes] = field(default_factory=dict)
    script: dict[str, list[Answer]] = field(default_factory=dict)
    missing_bytes: int = 0
    requests: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    over: threading.Event = field(default_factory=threading.Event)

    def answer(self, path: str) -> Answer:
        if path in self.script:
            answers = self.script[path]
            return answers.pop(0) if len(answers) > 1 else answers[0]
        body = self.files.get(path)
        if body is None:
            return Answer(status=404)
        return Answer(body, claim=len(body) + self.missing_bytes, ranges=False)

    def ranges_asked(self) -> list[str | None]:
        """The Range header of each request so far."""
        return [h.get("Range") for h in self.headers]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: LocalSite

    def do_GET(self) -> None:
        self.site.requests.append(self.path)
        self.site.headers.append(dict(self.headers))
        answer = self.site.answer(self.path)
        status, body, extra = self._ranged(answer)
        self.send_response(status)
        for name, value in (*answer.headers, *extra, ("Connection", "close")):
            self.send_header(name, value)
        if answer.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif answer.claim != -1:
            self.send_header("Content-Length", str(len(body) if answer.claim is None else answer.claim))
        self.end_headers()
        sent = body[: answer.cut]
        if answer.chunked:
            end = b"0\r\n\r\n" if answer.cut is None else b""
            sent = b"%x\r\n%s\r\n" % (len(sent), sent) + end
        self._send(sent, answer)
        if answer.stall:
            self.site.over.wait(60)
        self.close_connection = True

    def _send(self, sent: bytes, answer: Answer) -> None:
        while True:
            for part in (sent[i : i + 1] for i in range(len(sent))) if answer.trickle else (sent,):
                self.wfile.write(part)
                self.wfile.flush()
                if answer.trickle and self.site.over.wait(answer.trickle):
                    return
            if not answer.endless or self.site.over.is_set():
                return

    def _ranged(self, answer: Answer) -> tuple[int, bytes, list[tuple[str, str]]]:
        asked = self.headers.get("Range")
        if not answer.ranges or asked is None or answer.status != 200:
            return answer.status, answer.body, []
        known = self.headers.get("If-Range") in (None, answer.header("ETag"), answer.header("Last-Modified"))
        if answer.obey_if_range and not known:
            return 200, answer.body, []
        start, size = int(asked.removeprefix("bytes=").rstrip("-")), len(answer.body)
        if start >= size:
            return 416, b"", [("Content-Range", f"bytes */{size}")]
        return 206, answer.body[start:], [("Content-Range", f"bytes {start}-{size - 1}/{size}")]

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that went away is what some tests are about."""


@contextmanager
def serving() -> Iterator[LocalSite]:
    """Serve on a free port of this machine."""
    site = LocalSite()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": site}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        site.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def zip_of(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive of some members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()

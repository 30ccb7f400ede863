"""One request of one URL, in a thread of its own: whoever waits for its answer need not wait for ever.

No timeout of a socket ends a server that sends a byte a minute: headers, and the sizes of chunks, are read by lines,
each byte of which starts the socket's patience anew. So the thread reads, and hands over what came; who asked waits as
long as he likes, leaves, and the thread ends when it next wakes, or with the process.
"""

import threading
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from queue import Full, Queue
from typing import TYPE_CHECKING, NamedTuple, cast
from urllib.parse import urljoin

if TYPE_CHECKING:
    import requests

LONGEST_CONNECT = 10.0
"""Seconds for connecting."""
MOST_REDIRECTS = 10
REDIRECTS = (301, 302, 303, 307, 308)
CHUNK = 1 << 16
AHEAD = 16
"""Chunks that may wait to be taken."""
LOOKS_UP = 0.2
"""Seconds after which a thread that waits to hand something over looks whether anybody is there still."""
MOST_TOLD = 200
"""Letters of a server's own words that are told: it may send a hundred thousand."""


class TransferError(Exception):
    """The file is not to be had; the text says why."""


class CutError(Exception):
    """The transfer broke off in a way that asking again may mend."""


class SilenceError(CutError):
    """Nothing came for as long as the timeout allows."""


class Answer(NamedTuple):
    """The head of a response, after all redirects."""

    status: int
    reason: str
    headers: Mapping[str, str]


class Exchange:
    """A GET request under way: first its `answer`, then its body, `chunk` by `chunk`."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float) -> None:
        self._timeout = timeout
        self._came: Queue[Answer | bytes | Exception] = Queue(AHEAD)
        self._left = threading.Event()
        # daemon: a process does not wait for a server's next byte before it ends.
        threading.Thread(target=self._run, args=(url, dict(headers)), daemon=True).start()

    def answer(self, seconds: float) -> Answer:
        """Return the head; raises queue.Empty after some seconds, and TransferError or CutError for what went wrong."""
        return cast("Answer", self._taken(seconds))

    def chunk(self, seconds: float) -> bytes:
        """Return the next bytes of the body, b"" at its end; raises as `answer` does."""
        return cast("bytes", self._taken(seconds))

    def leave(self) -> None:
        """Take nothing any more."""
        self._left.set()

    def _taken(self, seconds: float) -> Answer | bytes:
        found = self._came.get(timeout=max(seconds, 0))
        if isinstance(found, Exception):
            raise found
        return found

    def _run(self, url: str, headers: dict[str, str]) -> None:
        import requests

        try:
            with requests.Session() as session, self._opened(session, url, headers) as response:
                self._hand(Answer(response.status_code, (response.reason or "")[:MOST_TOLD], response.headers))
                # read1 returns what has come; read would wait for a whole chunk, and lose it where silence falls
                while not self._left.is_set() and (chunk := response.raw.read1(CHUNK, decode_content=False)):
                    self._hand(chunk)
                self._hand(b"")
        # Of all kinds: requests, urllib3, http.client and idna each raise their own of what a server may send, and
        # ValueError of a redirect to `http://[`.
        except Exception as error:
            self._hand(_named(error, self._timeout))

    def _hand(self, item: Answer | bytes | Exception) -> None:
        while not self._left.is_set():
            with suppress(Full):
                self._came.put(item, timeout=LOOKS_UP)
                return

    def _opened(self, session: "requests.Session", url: str, headers: dict[str, str]) -> "requests.Response":
        """Return the response with its body unread."""
        session.headers["User-Agent"] = f"gocell/{version('gocell')}"
        # Redirects are followed here: requests would read the body of each, however long it is, into memory.
        session.get_redirect_target = lambda _: None  # type: ignore[method-assign, assignment]
        for _ in range(MOST_REDIRECTS + 1):
            response = session.get(
                url,
                # identity: an encoded body could be neither resumed by its bytes nor checked against a published sha256
                headers={"Accept-Encoding": "identity", **headers},
                stream=True,
                # (connecting, silence between bytes)
                timeout=(min(self._timeout, LONGEST_CONNECT), self._timeout),
            )
            place = response.headers.get("Location")
            if response.status_code not in REDIRECTS or place is None:
                return response
            response.close()
            # A header's bytes are latin-1 to http.client; a place that is no ASCII is UTF-8 (RFC 9110, section 5.5).
            url = urljoin(url, place.encode("latin-1").decode("utf-8", "replace"))
        raise TransferError(f"more than {MOST_REDIRECTS} redirects")


def _named(error: Exception, timeout: float) -> Exception:
    """What went wrong as a TransferError, or as a CutError where asking again may help."""
    import requests
    from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

    if isinstance(error, TransferError):
        return error
    if isinstance(error, requests.ReadTimeout | ReadTimeoutError):
        return SilenceError(f"the server sent nothing for {timeout:g} s")
    if isinstance(error, requests.ConnectionError):
        cause = error.args[0] if error.args else None
        # ProtocolError: there was a connection and it broke. Others never came about (refused, unknown host).
        if isinstance(cause, ProtocolError):
            return CutError(f"the connection was cut ({str(cause.args[-1])[:MOST_TOLD]})")
        return TransferError(f"no connection: {str(getattr(cause, 'reason', None) or error)[:MOST_TOLD]}")
    if isinstance(error, HTTPError) and not isinstance(error, ValueError):
        return CutError(f"the connection was cut ({str(error.args[-1])[:MOST_TOLD]})")
    return TransferError(f"the answer cannot be followed: {str(error)[:MOST_TOLD] or type(error).__name__}")

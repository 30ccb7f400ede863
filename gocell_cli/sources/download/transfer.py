"""One URL -> one file: resumed after a cut, retried where that can help, given up with a reason where not.

`GOCELL_TIMEOUT` (default 60) is the longest silence in seconds. Ten seconds of it are for connecting. A silent
server is asked once more if bytes had come before; a cut connection or a 5xx up to RETRIES times in a row,
with waits that start at a sixtieth of the timeout and double; every byte gained starts that count anew.
A 4xx, a redirect loop, a refused connection or an unknown host is not asked again.
HTTP_PROXY, HTTPS_PROXY and NO_PROXY are honoured, as requests does.
"""

import json
import os
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from gocell_cli.errors import UsageError

if TYPE_CHECKING:
    import requests

TIMEOUT_VARIABLE = "GOCELL_TIMEOUT"
# Seconds: silence allowed by default, the most for connecting, the longest wait between attempts.
DEFAULT_TIMEOUT, LONGEST_CONNECT, LONGEST_WAIT = 60.0, 10.0, 60.0
RETRIES = 4
MOST_REDIRECTS = 10
CHUNK = 1 << 16
# `bytes 5-9/10` of a 206, `bytes */10` of a 416; the total may be `*`, unknown.
CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


class TransferError(Exception):
    """The file is not to be had; the text says why."""


class _CutError(Exception):
    """The transfer broke off in a way that asking again may mend."""


class _SilenceError(_CutError):
    """Nothing came for as long as the timeout allows."""


@runtime_checkable
class Watcher(Protocol):
    """Told of what happens while something is fetched."""

    def progress(self, name: str, done: int, total: int | None) -> None:
        """`done` bytes of `total` (None: not known) have come."""

    def say(self, text: str) -> None:
        """Something worth a line has happened."""


class Silent:
    """A Watcher that tells nobody."""

    def progress(self, name: str, done: int, total: int | None) -> None:
        """Tell nobody."""

    def say(self, text: str) -> None:
        """Tell nobody."""


class PartialFile:
    """The bytes of `url` that have come so far, and what is needed to ask for the rest of the same file.

    `NAME.part` holds the bytes, `NAME.part.json` the URL and the validator (a strong ETag, else Last-Modified:
    RFC 9110, section 13.1.5) under which they came. Without a validator the rest could be another file's, so
    such a part is never resumed.
    """

    def __init__(self, path: Path, url: str) -> None:
        self.path = path
        self.url = url
        self.total: int | None = None
        self.validator: str | None = None
        self._record = path.with_name(path.name + ".json")
        self._load()

    def _load(self) -> None:
        try:
            record = json.loads(self._record.read_text("utf-8"))
            url, validator, total = (record[key] for key in ("url", "validator", "total"))
        except (OSError, ValueError, TypeError, KeyError):
            url, validator, total = None, None, None
        if url == self.url and isinstance(validator, str) and isinstance(total, int | None):
            self.validator, self.total = validator, total
        else:
            # No record, a damaged one, or of another URL: the bytes could be another file's.
            self.discard()

    @property
    def size(self) -> int:
        """Bytes that have come."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def request_headers(self) -> dict[str, str]:
        """Headers that ask for the rest, or for the whole file if it is no longer the same."""
        if self.validator is None or not self.size:
            return {}
        # If-Range: the server answers 206 with the rest if the validator still holds, else 200 with the whole file.
        return {"Range": f"bytes={self.size}-", "If-Range": self.validator}

    def begin(self, headers: Mapping[str, str], total: int | None) -> None:
        """Start from nothing, with the validator of the response at hand."""
        self.discard()
        # discard() clears both, so they are set after it.
        self.validator, self.total = validator_of(headers), total
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        if self.validator is not None:
            record = {"url": self.url, "validator": self.validator, "total": total}
            self._record.write_text(json.dumps(record), "utf-8")

    def settle(self) -> None:
        """Keep the part only where it can be resumed."""
        if self.validator is None or not self.size:
            self.discard()

    def discard(self) -> None:
        """Remove what has come."""
        self.validator, self.total = None, None
        self.path.unlink(missing_ok=True)
        self._record.unlink(missing_ok=True)


def validator_of(headers: Mapping[str, str]) -> str | None:
    """Return the strong ETag, else Last-Modified, else None."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified")  # W/"...": weak, alike but not to the byte


def timeout_seconds() -> float:
    """Return GOCELL_TIMEOUT in seconds; raises UsageError where it is no positive number."""
    text = os.environ.get(TIMEOUT_VARIABLE) or str(DEFAULT_TIMEOUT)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    # A day at most; `inf` and `nan`, which float() takes, fail the comparison too.
    if not 0 < seconds < 86_400:
        raise UsageError(f"{TIMEOUT_VARIABLE}={text}: not a number of seconds", hint=f"export {TIMEOUT_VARIABLE}=60")
    return seconds


def transfer(url: str, part: PartialFile, name: str, watcher: Watcher) -> None:
    """Bring the whole of `url` into `part`; raises TransferError, and keeps a part that can be resumed."""
    import requests

    patience = _Patience(part, timeout_seconds())
    try:
        with requests.Session() as session:
            session.max_redirects = MOST_REDIRECTS
            session.headers["User-Agent"] = f"gocell/{version('gocell')}"
            while True:
                try:
                    return _attempt(session, url, part, name, watcher, patience.timeout)
                except _CutError as cut:
                    wait = patience.wait_after(cut)
                    watcher.say(f"{name}: {cut}; asking again in {wait:.3g} s")
                    sleep(wait)
    # OSError here is the disk's: what the network raises has become a _CutError or TransferError by then.
    except OSError as error:
        part.settle()
        raise TransferError(f"cannot be written: {error}") from error
    except BaseException:  # also SystemExit, by a signal: what has come is kept for the next call
        part.settle()
        raise


class _Patience:
    """How often a URL has been asked in vain, and for how much longer it will be."""

    def __init__(self, part: PartialFile, timeout: float) -> None:
        self.timeout = timeout
        self._part = part
        # The most bytes that ever lay in the part: a fresh start from nothing is no gain until it has passed them.
        self._most = part.size
        self._attempts = self._failures = 0

    def wait_after(self, cut: _CutError) -> float:
        """Return the seconds to wait; raises TransferError where asking again cannot help."""
        gained = self._part.size > self._most
        self._most = max(self._most, self._part.size)
        self._attempts += 1
        self._failures = 1 if gained else self._failures + 1
        if self._failures > RETRIES or (isinstance(cut, _SilenceError) and not gained):
            times = "once" if self._attempts == 1 else f"{self._attempts} times"
            raise TransferError(f"{cut} (asked {times})") from cut
        return float(min(self.timeout / 60 * 2 ** (self._failures - 1), LONGEST_WAIT))


def _attempt(
    session: "requests.Session", url: str, part: PartialFile, name: str, watcher: Watcher, timeout: float
) -> None:
    with _opened(session, url, part, timeout) as response:
        # 416 for a range that begins at the file's end: everything had come, only its end was not seen.
        if response.status_code == 416 and _is_whole(response, part):
            return
        _check_status(response)
        if not (response.status_code == 206 and _continues(response, part)):
            if response.status_code != 200:
                part.discard()
                raise _CutError(f"the server answered {response.status_code} with another range than asked for")
            # 200 answers a request for the rest where the file has changed, or the server knows no ranges: begin anew.
            part.begin(response.headers, _length(response))
        _receive(response, part, name, watcher, timeout)
    if part.total is not None and part.size != part.total:
        found, total = part.size, part.total
        part.discard()
        raise _CutError(f"{found} bytes came of a file of {total}")


def _opened(session: "requests.Session", url: str, part: PartialFile, timeout: float) -> "requests.Response":
    """Return the response with its body unread; what was refused is a TransferError, what was cut a _CutError."""
    import requests
    from urllib3.exceptions import ProtocolError

    try:
        return session.get(
            url,
            # identity: an encoded body could be neither resumed by its bytes nor checked against the published sha256
            headers={"Accept-Encoding": "identity", **part.request_headers()},
            stream=True,
            # (connecting, silence between bytes); requests sets no limit to the whole transfer.
            timeout=(min(timeout, LONGEST_CONNECT), timeout),
        )
    except requests.ReadTimeout as error:
        raise _SilenceError(f"the server sent nothing for {timeout:g} s") from error
    except requests.ConnectionError as error:
        # ProtocolError: there was a connection and it broke. Others never came about (refused, unknown host).
        if error.args and isinstance(error.args[0], ProtocolError):
            raise _CutError(f"the connection was cut ({error.args[0].args[-1]})") from error
        reason = getattr(error.args[0], "reason", None) if error.args else None
        raise TransferError(f"no connection: {reason or error}") from error
    except requests.RequestException as error:
        raise TransferError(str(error)) from error


def _check_status(response: "requests.Response") -> None:
    answer = f"the server answered {response.status_code} {response.reason or ''}".rstrip()
    if response.status_code >= 500:
        raise _CutError(answer)
    if response.status_code not in (200, 206, 416):
        raise TransferError(answer)


def _receive(response: "requests.Response", part: PartialFile, name: str, watcher: Watcher, timeout: float) -> None:
    """Append the body, as it was sent, to the part."""
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    done = part.size
    watcher.progress(name, done, part.total)
    with part.path.open("ab") as stream:
        try:
            # read1 returns what has come; read would wait for a whole chunk, and lose it where the server falls silent
            while chunk := response.raw.read1(CHUNK, decode_content=False):
                stream.write(chunk)
                done += len(chunk)
                watcher.progress(name, done, part.total)
        except ReadTimeoutError as error:
            raise _SilenceError(f"the server sent nothing for {timeout:g} s after {done} bytes") from error
        except HTTPError as error:
            raise _CutError(f"the connection was cut after {done} bytes ({error.args[-1]})") from error


def _continues(response: "requests.Response", part: PartialFile) -> bool:
    """Whether a 206 holds the rest of the very file whose beginning is at hand."""
    match = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if match is None or match[1] is None or int(match[1]) != part.size:
        return False
    return validator_of(response.headers) in (
        None,
        part.validator,
    )  # Last-Modified need not be repeated (RFC 9110, 15.3.7)


def _is_whole(response: "requests.Response", part: PartialFile) -> bool:
    """Whether a 416 says that nothing is missing."""
    match = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return match is not None and match[2] == str(part.size)


def _length(response: "requests.Response") -> int | None:
    # With Transfer-Encoding a Content-Length does not count (RFC 9112, section 6.3).
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() and "Transfer-Encoding" not in response.headers else None

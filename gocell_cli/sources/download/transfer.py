"""One URL -> one file: resumed after a cut, retried where that can help, given up with a reason where not.

`GOCELL_TIMEOUT` (default 60) is the longest silence in seconds, and the time in which LEAST_SPEED is measured. Ten
seconds of it are for connecting. A silent server is asked once more if bytes had come before; a cut connection or a 5xx
up to RETRIES times in a row, with waits that start at a sixtieth of the timeout and double; every byte gained starts
that count anew. A 4xx, a redirect loop, a refused connection, an unknown host, a server that trickles and a file larger
than it may be are not asked again. HTTP_PROXY, HTTPS_PROXY and NO_PROXY are honoured, as requests does.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Empty
from time import monotonic, sleep
from typing import Protocol, runtime_checkable

from gocell_cli.errors import UsageError
from gocell_cli.sources.download.exchange import (
    LONGEST_CONNECT,
    Answer,
    CutError,
    Exchange,
    SilenceError,
    TransferError,
)
from gocell_cli.typed_file import Malformed, json_text, parse_json, read_small

TIMEOUT_VARIABLE = "GOCELL_TIMEOUT"
# Seconds: silence allowed by default, the longest wait between attempts, how often it is told how far a file has come.
DEFAULT_TIMEOUT, LONGEST_WAIT, TELL_AFTER = 60.0, 60.0, 1.0
RETRIES = 4
LEAST_SPEED = 1000
"""Bytes a second, measured over the timeout: curl's usual --speed-limit. The largest file would take weeks at it."""
LARGEST, LARGEST_RECORD = 4 << 30, 1 << 20
# `bytes 5-9/10` of a 206, `bytes */10` of a 416; the total may be `*`, unknown.
CONTENT_RANGE = re.compile(r"bytes (?:(\d{1,18})-\d{1,18}|\*)/(\d{1,18}|\*)", re.ASCII)
LENGTH = re.compile(r"\d{1,18}", re.ASCII)
STRONG_TAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')
"""A strong ETag (RFC 9110, section 8.8.3); `W/"..."` is a weak one, of files alike but not to the byte."""


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


@dataclass(frozen=True)
class _PartRecord:
    url: str
    validator: str
    total: int | None


class PartialFile:
    """The bytes of `url` that have come so far, and what is needed to ask for the rest of the same file.

    `NAME.part` holds the bytes, `NAME.part.json` the URL and the validator under which they came: a strong ETag
    (RFC 9110, section 13.1.5), or where `dated`, Last-Modified. A date is of the second, and two releases may have one:
    it will do where a published sha256 tells the whole in the end. Without a validator the rest could be another
    file's, so such a part is never resumed.

    `ended` says that the server told where the file ends, by its length or its last chunk: without, a connection that
    was cut looks like one that was closed at the end.
    """

    def __init__(self, path: Path, url: str, *, dated: bool = False) -> None:
        self.path = path
        self.url = url
        self.dated = dated
        self.total: int | None = None
        self.validator: str | None = None
        self.ended = False
        self._record = path.with_name(path.name + ".json")
        self._load()

    def _load(self) -> None:
        try:
            record = parse_json(read_small(self._record, LARGEST_RECORD), _PartRecord)
        except (OSError, Malformed):
            record = _PartRecord("", "", None)
        if record.url == self.url and (self.dated or STRONG_TAG.fullmatch(record.validator)):
            self.validator, self.total = record.validator, record.total
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

    def validator_of(self, headers: Mapping[str, str]) -> str | None:
        """Return what tells whether a later answer is of the same file, None where nothing does."""
        tag = headers.get("ETag", "")
        return tag if STRONG_TAG.fullmatch(tag) else headers.get("Last-Modified") if self.dated else None

    def begin(self, headers: Mapping[str, str], total: int | None) -> None:
        """Start from nothing, with the validator of the response at hand."""
        self.discard()
        # discard() clears both, so they are set after it.
        self.validator, self.total = self.validator_of(headers), total
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        if self.validator is not None:
            record = _PartRecord(self.url, self.validator, total)
            self._record.write_text(json_text(asdict(record)), "utf-8")

    def settle(self) -> None:
        """Keep the part only where it can be resumed."""
        if self.validator is None or not self.size:
            self.discard()

    def discard(self) -> None:
        """Remove what has come."""
        self.validator, self.total, self.ended = None, None, False
        self.path.unlink(missing_ok=True)
        self._record.unlink(missing_ok=True)


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


def transfer(url: str, part: PartialFile, name: str, watcher: Watcher, most: int = LARGEST) -> None:
    """Bring the whole of `url`, `most` bytes at most, into `part`.

    Raises TransferError, or OSError where the disk fails, and keeps a part that can be resumed.
    """
    patience = _Patience(part, timeout_seconds())
    try:
        while True:
            try:
                return _attempt(url, part, name, watcher, patience, most)
            except CutError as cut:
                wait = patience.wait_after(cut)
                watcher.say(f"{name}: {cut}; asking again in {wait:.3g} s")
                sleep(wait)
    # Also SystemExit, by a signal, and OSError, of the disk: what has come is kept for the next call.
    except BaseException:
        part.settle()
        raise


class _Patience:
    """How often a URL has been asked in vain, how fast it answers, and for how much longer it will be asked."""

    def __init__(self, part: PartialFile, timeout: float) -> None:
        self.timeout = timeout
        self._part = part
        # The most bytes that ever lay in the part: a fresh start from nothing is no gain until it has passed them.
        self._most = part.size
        self._attempts = self._failures = 0
        self.start()

    def start(self) -> None:
        """Measure the speed from now on."""
        self._since, self._came = monotonic(), 0

    @property
    def left(self) -> float:
        """Seconds until the speed is measured."""
        return max(self._since + self.timeout - monotonic(), 0.0)

    def measure(self, came: int) -> None:
        """Count bytes that came; raises TransferError where too few did within the timeout, SilenceError where none."""
        self._came += came
        if self.left:
            return
        if not self._came:
            raise SilenceError(f"the server sent nothing for {self.timeout:g} s")
        if self._came < LEAST_SPEED * self.timeout:
            told = f"the server sent {self._came:,} bytes in {self.timeout:g} s"
            raise TransferError(f"{told}, less than {LEAST_SPEED:,} a second")
        self.start()

    def wait_after(self, cut: CutError) -> float:
        """Return the seconds to wait; raises TransferError where asking again cannot help."""
        # A server that cuts after every byte would else be followed to the end of days.
        gained = self._part.size >= self._most + LEAST_SPEED
        self._most = self._part.size if gained else self._most
        self._attempts += 1
        self._failures = 1 if gained else self._failures + 1
        if self._failures > RETRIES or (isinstance(cut, SilenceError) and not gained):
            times = "once" if self._attempts == 1 else f"{self._attempts} times"
            raise TransferError(f"{cut} (asked {times})") from cut
        return float(min(self.timeout / 60 * 2 ** (self._failures - 1), LONGEST_WAIT))


def _attempt(url: str, part: PartialFile, name: str, watcher: Watcher, patience: _Patience, most: int) -> None:
    exchange = Exchange(url, part.request_headers(), patience.timeout)
    try:
        answer = _answer(exchange, patience.timeout)
        # 416 for a range that begins at the file's end: everything had come, only its end was not seen.
        if answer.status == 416 and _is_whole(answer, part):
            part.ended = True
            return
        _check_status(answer)
        if not (answer.status == 206 and _continues(answer, part)):
            if answer.status != 200:
                part.discard()
                raise CutError(f"the server answered {answer.status} with another range than asked for")
            # 200 answers a request for the rest where the file has changed, or the server knows no ranges: begin anew.
            part.begin(answer.headers, _length(answer))
        _refuse_larger(part, part.total or 0, most)
        _receive(exchange, part, name, watcher, patience, most)
    finally:
        exchange.leave()
    part.ended = part.total is not None or _is_chunked(answer)
    if part.total is not None and part.size != part.total:
        found, total = part.size, part.total
        part.discard()
        raise CutError(f"{found} bytes came of a file of {total}")


def _answer(exchange: Exchange, timeout: float) -> Answer:
    seconds = timeout + min(timeout, LONGEST_CONNECT)
    try:
        return exchange.answer(seconds)
    except Empty:
        raise SilenceError(f"the server has not answered within {seconds:g} s") from None


def _check_status(answer: Answer) -> None:
    told = f"the server answered {answer.status} {answer.reason}".rstrip()
    if answer.status >= 500:
        raise CutError(told)
    if answer.status not in (200, 206, 416):
        raise TransferError(told)


def _refuse_larger(part: PartialFile, found: int, most: int) -> None:
    if found > most:
        part.discard()
        raise TransferError(f"the server sends {found:,} bytes or more, where {most:,} is the most that it may be")


def _receive(
    exchange: Exchange, part: PartialFile, name: str, watcher: Watcher, patience: _Patience, most: int
) -> None:
    """Append the body, as it was sent, to the part."""
    done = part.size
    watcher.progress(name, done, part.total)
    patience.start()
    with part.path.open("ab") as stream:
        try:
            while (chunk := _chunk(exchange, min(patience.left, TELL_AFTER))) != b"":
                done += stream.write(chunk or b"")
                watcher.progress(name, done, part.total)
                _refuse_larger(part, done, most)
                patience.measure(len(chunk or b""))
        except CutError as cut:
            raise type(cut)(f"{cut} after {done} bytes") from cut


def _chunk(exchange: Exchange, seconds: float) -> bytes | None:
    """Return what came, b"" at the end, None where nothing came for so long."""
    try:
        return exchange.chunk(seconds)
    except Empty:
        return None


def _continues(answer: Answer, part: PartialFile) -> bool:
    """Whether a 206 holds the rest of the very file whose beginning is at hand."""
    match = CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if match is None or match[1] is None or int(match[1]) != part.size:
        return False
    # An answer to If-Range has to state the ETag (RFC 9110, section 15.3.7): without, it may be of any file.
    if part.validator is None or part.validator_of(answer.headers) != part.validator:
        return False
    if match[2] == "*":
        return True
    part.total = int(match[2]) if part.total is None else part.total
    return part.total == int(match[2])


def _is_whole(answer: Answer, part: PartialFile) -> bool:
    """Whether a 416 says that nothing is missing."""
    match = CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    return match is not None and match[2] == str(part.size)


def _is_chunked(answer: Answer) -> bool:
    return "chunked" in answer.headers.get("Transfer-Encoding", "").lower()


def _length(answer: Answer) -> int | None:
    # With Transfer-Encoding a Content-Length does not count (RFC 9112, section 6.3).
    text = answer.headers.get("Content-Length", "")
    return int(text) if LENGTH.fullmatch(text) and "Transfer-Encoding" not in answer.headers else None

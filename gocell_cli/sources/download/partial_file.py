"""A file on its way: the bytes that have come, and what is needed to ask for the rest of the same file.

`NAME.part` holds the bytes, `NAME.part.json` the URL and the validator (a strong ETag, else Last-Modified:
RFC 9110, section 13.1.5) under which they came. Without a validator the rest could be another file's, so
such a part is never resumed.
"""

import json
from collections.abc import Mapping
from pathlib import Path


class PartialFile:
    """The bytes of `url` that have come so far."""

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
            self.discard()

    @property
    def size(self) -> int:
        """Bytes that have come."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def request_headers(self) -> dict[str, str]:
        """Headers that ask for the rest, or for the whole file if it is no longer the same."""
        if self.validator is None or not self.size:
            return {}
        return {"Range": f"bytes={self.size}-", "If-Range": self.validator}

    def begin(self, headers: Mapping[str, str], total: int | None) -> None:
        """Start from nothing, with the validator of the response at hand."""
        self.discard()
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
    return tag if tag.startswith('"') else headers.get("Last-Modified")

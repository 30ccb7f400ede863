"""One shard's work, as a value that can travel to another process, and where its samples come from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from gocell_cli.storage.schema import Samples, ShardRecord
from gocell_cli.storage.staging import write_shard


@runtime_checkable
class ShardContent(Protocol):
    """The samples of one shard, made where they are written."""

    def samples(self) -> Samples:
        """Return them."""
        ...


@runtime_checkable
class SampleSource(Protocol):
    """All samples of a cache, cut on demand; `part` must be a pure function of its bounds."""

    def part(self, start: int, stop: int) -> ShardContent:
        """Return the content of samples [start, stop)."""
        ...


@dataclass(frozen=True)
class InMemory:
    """The content of one shard, already made."""

    held: Samples

    def samples(self) -> Samples:
        """Return the samples."""
        return self.held


@dataclass(frozen=True)
class ShardTask:
    """Encode one shard into the cache being made at `cache`."""

    cache: Path
    backends: tuple[str, ...]
    index: int
    start: int
    content: ShardContent

    def run(self) -> ShardRecord:
        """Write the shard's files and its record; idempotent."""
        return write_shard(self.cache, self.backends, self.index, self.start, self.content.samples())

"""Writing a cache: everything into `<out>.partial`, each file whole or absent, the manifest last.

Only a finished directory gets the cache's name, by one rename. A failed build leaves nothing behind but
what was there before.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gocell_cli.errors import GocellError, UsageError
from gocell_cli.storage.backends import SHARD_BACKENDS
from gocell_cli.storage.codec import logical_sha256
from gocell_cli.storage.manifest import record_file, settle, sync, write_manifest
from gocell_cli.storage.schema import FileRecord, Manifest, Samples, ShardRecord
from gocell_cli.storage.tables import SAMPLES_DIR


class CacheWriter:
    """A cache in the making. Use as a context manager: leaving it by an error removes what was written."""

    def __init__(self, out: Path, backends: Sequence[str]) -> None:
        self.out = out
        self.backends = tuple(backends)
        self.staging = out.with_name(out.name + ".partial")

    def __enter__(self) -> "CacheWriter":
        with writing(self.out):
            shutil.rmtree(self.staging, ignore_errors=True)
            (self.staging / SAMPLES_DIR).mkdir(parents=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            shutil.rmtree(self.staging, ignore_errors=True)

    def write_tables(self, tables: Mapping[str, pa.Table]) -> tuple[FileRecord, ...]:
        """Write Parquet tables by path without suffix; return their records."""
        return tuple(self._write_table(path, table) for path, table in tables.items())

    def _write_table(self, path: str, table: pa.Table) -> FileRecord:
        final = self.staging / f"{path}.parquet"
        temporary = final.with_name(final.name + ".tmp")
        with writing(final):
            final.parent.mkdir(exist_ok=True)
            pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
            settle(temporary, final)
        return record_file(self.staging, final)

    def write_shard(self, index: int, start: int, samples: Samples) -> ShardRecord:
        """Write shard `index`, which holds the samples from `start`, with every backend."""
        files = {}
        for backend in self.backends:
            shard = SHARD_BACKENDS[backend]
            final = self.staging / SAMPLES_DIR / f"part-{index:05d}{shard.suffix}"
            temporary = final.with_name(final.name + ".tmp")
            with writing(final):
                temporary.unlink(missing_ok=True)
                shard.write(str(temporary), samples)
                settle(temporary, final)
            files[backend] = record_file(self.staging, final)
        return ShardRecord(
            index=index, start=start, rows=len(samples), logical_sha256=logical_sha256(samples), files=files
        )

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest and give the directory its name; a cache that stands there is replaced."""
        with writing(self.out):
            write_manifest(self.staging, manifest)
            old = self.out.with_name(self.out.name + ".replaced")
            shutil.rmtree(old, ignore_errors=True)
            if self.out.exists():
                os.replace(self.out, old)
            os.replace(self.staging, self.out)
            sync(self.out.parent)
            shutil.rmtree(old, ignore_errors=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError while writing `path` into one clear error."""
    try:
        yield
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise UsageError(f"{path}: cannot be written", why=str(error), hint="choose another --out or --root") from error
    except OSError as error:
        raise GocellError(
            f"{path}: writing failed, the cache was not built",
            why=str(error),
            hint="free some disk space or choose another --out",
        ) from error

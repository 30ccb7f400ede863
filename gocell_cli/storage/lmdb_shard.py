"""A shard as one LMDB file: random access by sample, from many processes at once.

Keys are the sample's position in the shard as a big-endian u64, values the records of `codec`. Readers
use `lock=False`: a finished shard never changes, and a lock file would stop read-only media. LMDB opens
a file once per process and cannot be carried over a fork, so environments are opened per call, one at a
time, and closed again: some 0.1 ms, once a batch.
"""

import errno
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import lmdb
import numpy as np
from jaxtyping import Int64

from gocell_cli.errors import DamagedCache
from gocell_cli.storage.codec import decode_records, encode_records
from gocell_cli.storage.schema import Samples

COMMIT_EVERY = 10_000
PAGE = 4096
KEY = struct.Struct(">Q")
_ONE_AT_A_TIME = threading.Lock()


class LmdbShard:
    """Reads and writes shards as LMDB environments of one file."""

    suffix = ".lmdb"

    def write(self, path: str, samples: Samples) -> None:
        """Write all samples to a new file, trimmed to its used pages; raises OSError where that fails."""
        records = encode_records(samples)
        used = sum(map(len, records)) + 64 * len(records)
        size = 64 * PAGE + 4 * (used // PAGE + 1) * PAGE
        try:
            self._fill(path, records, size)
        except lmdb.Error as error:  # a full disk, for example
            code = next((c for c in errno.errorcode if str(error).endswith(os.strerror(c))), errno.EIO)
            raise OSError(code, str(error)) from error

    def _fill(self, path: str, records: list[bytes], size: int) -> None:
        with lmdb.open(path, subdir=False, lock=False, map_size=size, writemap=False, sync=False) as env:
            for start in range(0, len(records), COMMIT_EVERY):
                chunk = records[start : start + COMMIT_EVERY]
                items = [(KEY.pack(start + i), record) for i, record in enumerate(chunk)]
                with env.begin(write=True) as transaction, transaction.cursor() as cursor:
                    cursor.putmulti(items, append=True)
            env.sync(True)

    def read(self, path: str) -> Samples:
        """Read all samples back."""
        with _open(path) as env, env.begin(buffers=False) as transaction:
            keys, records = [], []
            for key, record in transaction.cursor():
                keys.append(key)
                records.append(record)
        if keys != [KEY.pack(i) for i in range(len(keys))]:
            raise DamagedCache(f"{path}: its keys are not 0 to {len(keys) - 1}")
        return decode_records(records)

    def read_rows(self, path: str, rows: Int64[np.ndarray, " some"]) -> Samples:
        """Read the samples at `rows`, counted from the shard's start, in that order."""
        with _open(path) as env, env.begin() as transaction:
            found = [transaction.get(KEY.pack(row)) for row in rows.tolist()]
        records = [record for record in found if record is not None]
        if len(records) < len(found):
            raise DamagedCache(f"{path}: holds no sample {rows[found.index(None)]}")
        return decode_records(records)


@contextmanager
def _open(path: str) -> Iterator[lmdb.Environment]:
    try:
        with _ONE_AT_A_TIME, lmdb.open(path, subdir=False, lock=False, readonly=True, create=False) as env:
            yield env
    except lmdb.Error as error:
        raise DamagedCache(f"{path}: not a readable LMDB shard ({error})") from error

"""The shard backends by name; both pass one conformance suite."""

from collections.abc import Mapping

from gocell_cli.storage.lmdb_shard import LmdbShard
from gocell_cli.storage.parquet_shard import ParquetShard
from gocell_cli.storage.schema import ShardBackend

SHARD_BACKENDS: Mapping[str, ShardBackend] = {"parquet": ParquetShard(), "lmdb": LmdbShard()}

"""One flipped byte, a cut or a missing file, anywhere in a cache, is noticed on opening or reading."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gocell_cli.errors import DamagedCache
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.records import BACKENDS, DESCRIPTIONS
from gocell_cli.storage.tables import SCHEMAS

SHARDS = {backend: [f"samples/part-0000{i}.{backend}" for i in (0, 1)] for backend in BACKENDS}
ALWAYS = ["manifest.json", "manifest.sha256", *DESCRIPTIONS, *(f"{path}.parquet" for path in SCHEMAS)]
CASES = [(file, backend) for backend in BACKENDS for file in (*ALWAYS, *SHARDS[backend])]
WAYS: dict[str, Callable[[Cache], object]] = {
    "columns": Cache.columns,
    "rows": lambda cache: cache.rows(range(len(cache))),
    "mutant_state": lambda cache: cache.mutant_state(range(len(cache))),
}


def read_all(directory: Path, backend: str, way: str) -> None:
    cache = Cache(directory, backend)
    WAYS[way](cache)
    assert len(cache.provenance.query_groups) > 0


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0xFF
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def test_the_cases_are_all_files_of_the_toy_cache(toy_cache: Path) -> None:
    files = {p.relative_to(toy_cache).as_posix() for p in toy_cache.rglob("*") if p.is_file()}
    assert files == {file for file, _ in CASES}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_an_undamaged_cache_reads(toy_cache: Path, backend: str, way: str) -> None:
    read_all(toy_cache, backend, way)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("file", "backend"), CASES)
def test_a_flipped_byte_is_noticed(toy_cache: Path, file: str, backend: str, way: str) -> None:
    size = (toy_cache / file).stat().st_size
    for position in (0, size // 3, size // 2, size - 2):
        flip(toy_cache / file, position)
        with pytest.raises(DamagedCache):
            read_all(toy_cache, backend, way)
        flip(toy_cache / file, position)
    read_all(toy_cache, backend, way)


@pytest.mark.parametrize(("file", "backend"), [c for c in CASES if c[0] != "manifest.sha256"])
def test_a_cut_file_is_noticed(toy_cache: Path, file: str, backend: str) -> None:
    cut(toy_cache / file)
    with pytest.raises(DamagedCache):
        read_all(toy_cache, backend, "rows")


@pytest.mark.parametrize(("file", "backend"), CASES)
def test_a_missing_file_is_noticed(toy_cache: Path, file: str, backend: str) -> None:
    (toy_cache / file).unlink()
    with pytest.raises(DamagedCache):
        read_all(toy_cache, backend, "rows")


@pytest.mark.parametrize("backend", BACKENDS)
def test_swapped_shards_are_noticed(toy_cache: Path, backend: str) -> None:
    first, second = (toy_cache / file for file in SHARDS[backend])
    shutil.move(first, toy_cache / "aside")
    shutil.move(second, first)
    shutil.move(toy_cache / "aside", second)
    with pytest.raises(DamagedCache, match="damaged"):
        read_all(toy_cache, backend, "rows")


@pytest.mark.parametrize("backend", BACKENDS)
def test_damage_in_the_other_backend_does_not_matter(toy_cache: Path, backend: str) -> None:
    for other in BACKENDS:
        if other != backend:
            for file in SHARDS[other]:
                flip(toy_cache / file, 100)
    read_all(toy_cache, backend, "columns")

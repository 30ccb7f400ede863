"""One cache opened by 8 processes at once; and the same cache made in every way there is."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.attacks.conftest import GOCELL, build_command

READ = """
import sys
from pathlib import Path
from gocell_cli.storage.samples import logical_sha256
from gocell_cli.storage.reader import Cache
cache = Cache(Path(sys.argv[1]), sys.argv[2])
print(logical_sha256(cache.rows(range(len(cache)))))
"""


def test_8_processes_read_the_same_values(built: Path) -> None:
    def read(backend: str) -> str:
        command = [sys.executable, "-c", READ, str(built), backend]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(read, ["parquet", "lmdb"] * 4))) == 1


def _manifest(folder: Path) -> bytes:
    return (folder / "cache" / "manifest.json").read_bytes()


@pytest.mark.parametrize("words", [("--workers", "2"), ("--executor", "dask", "--workers", "2")])
def test_workers_and_dask_make_the_same_cache(built: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    subprocess.run(build_command(tmp_path, *words), check=True, capture_output=True)
    assert _manifest(tmp_path) == (built / "manifest.json").read_bytes()


def test_parts_merge_to_the_same_cache_and_nothing_less(built: Path, tmp_path: Path) -> None:
    for i in range(3):
        subprocess.run(build_command(tmp_path, "--part", f"{i}/3"), check=True, capture_output=True)
    parts = sorted(map(str, tmp_path.glob("cache.part-*-of-3")))

    def merge(*names: str) -> subprocess.CompletedProcess[str]:
        command = [GOCELL, "cache", "merge", *names, "--out", str(tmp_path / "cache")]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    missing, twice = merge(*parts[:2]), merge(*parts, parts[0])
    assert (missing.returncode, twice.returncode) == (5, 2)
    assert "part 2/3 is missing" in missing.stderr
    assert "given twice" in twice.stderr
    opened = subprocess.run([GOCELL, "cache", "info", parts[0]], capture_output=True, text=True, check=False)
    assert (opened.returncode, "one part of a cache" in opened.stderr) == (5, True)
    beside = sorted(map(str, tmp_path.glob("cache.part-*.toml")))  # as a shell's cache.part-* has them
    assert len(beside) == 3
    assert merge(*parts[::-1], *beside).returncode == 0
    assert _manifest(tmp_path) == (built / "manifest.json").read_bytes()

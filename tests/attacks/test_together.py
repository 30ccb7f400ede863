"""Eight of a kind at once in one place, and what tidies among them: each finishes or says why not, and all is whole."""

import shutil
from pathlib import Path

from gocell_cli.storage.verify import verify_cache
from tests.attacks.hunt import EXIT_CODES
from tests.attacks.kinds import CACHE, GO, RUN, SCREEN, TINY, Words, gocell
from tests.attacks.victims import WORK
from tests.attempts import attempts
from tests.commands.fork_server import Forked, environment

MANY = attempts(3, 8)
SECONDS = 600


def copied(good_files: Path, name: str, tmp_path: Path) -> Path:
    """A folder of the stock to write in."""
    return Path(shutil.copytree(good_files / name, tmp_path / name))


def together(folder: Path, *commands: Words) -> list[tuple[int, str]]:
    """Start all of them, then wait for all: exit codes and what each said; none may end otherwise than by a code."""
    started = [
        Forked(["gocell", *(word.replace(WORK, str(folder)) for word in words)], folder, environment())
        for words in commands
    ]
    found = [(process.communicate(SECONDS)[1], process.returncode) for process in started]
    for errors, code in found:
        assert code in EXIT_CODES, errors
        assert "Traceback" not in errors
    return [(int(code or 0), errors) for errors, code in found]


def test_builds_of_one_cache(good_files: Path, tmp_path: Path) -> None:
    folder = copied(good_files, "inputs", tmp_path)
    words = ("build-cache", *GO, *SCREEN, "--shard-size", "6", "--root", f"{WORK}/one", "--out", f"{WORK}/one/made")
    codes = [code for code, _ in together(folder, *[words] * MANY)]
    assert codes.count(0) >= 1
    assert set(codes) <= {0, 5}  # 5: another process is building this cache
    assert verify_cache(folder / "one" / "made").ok
    assert not list((folder / "one").glob("*.partial"))


def test_overwriting_builds_readers_and_prune(good_files: Path, tmp_path: Path) -> None:
    folder = copied(good_files, "inputs", tmp_path)
    place = ("--root", WORK, "--out", CACHE, "--overwrite")
    builds = [("build-cache", *GO, *SCREEN, "--shard-size", str(size), *place) for size in range(5, 5 + MANY // 2)]
    readers = [("inspect", "sample", "0", "--cache", CACHE, "--json")] * MANY
    prunes = [("cache", "prune", "--yes", "--root", WORK)] * 2
    found = together(folder, *builds, *readers, *prunes)
    assert 0 in [code for code, _ in found[: len(builds)]]
    # a reader that opened the old one and finds the new one's files is told so; none reads a mixture
    assert {code for code, _ in found[len(builds) :]} <= {0, 5, 6}
    assert verify_cache(folder / "cache").ok


def test_trainings_in_one_place(good_files: Path, tmp_path: Path) -> None:
    folder = copied(good_files, "cache", tmp_path)
    train = ("train", CACHE, "--epochs", "1", "--batch-size", "64", *TINY, "--quiet")
    codes = [code for code, _ in together(folder, *[(*train, "--out", f"{WORK}/one")] * MANY)]
    assert sorted(codes) == [0, *[2] * (MANY - 1)]
    found = together(folder, *[(*train, "--root", f"{WORK}/root")] * MANY)
    assert [code for code, _ in found] == [0] * MANY
    assert len(list((folder / "root" / "runs").iterdir())) == MANY


def test_tables_of_pairs_into_one_file(good_files: Path, tmp_path: Path) -> None:
    folder = copied(good_files, "run", tmp_path)
    words = ("predict", RUN, "--all-pairs", "--out", f"{WORK}/all.parquet")
    codes = [code for code, _ in together(folder, *[words] * MANY)]
    assert codes.count(0) >= 1
    alone = folder / "alone.parquet"
    gocell("predict", folder / "run", "--all-pairs", "--out", alone)
    assert (folder / "all.parquet").read_bytes() == alone.read_bytes()
    assert not (folder / "all.parquet.parts").exists()

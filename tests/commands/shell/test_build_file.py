"""`build-cache --config`, the build file beside every cache, and `cache rebuild`."""

import shutil
import tomllib
from pathlib import Path

import pytest

from gocell_cli.errors import InvalidInput, SourceMissing
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.verify import verify_cache
from tests import toy
from tests.commands.runners import document, failure, toy_build


def build(tmp_path: Path, toy_table: Path, *words: object, bundled: bool = False) -> Path:
    """A build on the toy's hierarchy, which takes no second, or on the bundled one."""
    toys = ("--obo", toy.write_obo(tmp_path), "--gaf", toy.write_gaf(tmp_path), "--min-genes", 3)
    hierarchy = ("--min-genes", 100) if bundled else toys
    given = ("--dataset", "kuzmin2018", "--raw", toy_table, "--phenotype", "fitness", *hierarchy)
    return Path(document("build-cache", *given, *words, "--root", tmp_path / "root")["cache"])


def hashes(cache: Path) -> list[str]:
    return [shard.logical_sha256 for shard in Cache(cache).manifest.shards]


def test_the_file_beside_a_cache_builds_the_same_cache(
    tmp_path: Path, toy_table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(toy_table.parent)
    cache = build(
        tmp_path, Path(toy_table.name), "--backend", "both", bundled=True
    )  # a relative path, to be read from elsewhere
    monkeypatch.chdir(tmp_path)
    text = cache.with_name(f"{cache.name}.toml").read_text("utf-8")
    assert 'dataset = ["kuzmin2018"]' in text
    assert f'raw = ["{toy_table}"]' in text
    assert not {"root", "out", "json", "config"} & set(tomllib.loads(text))
    again = document("build-cache", "--config", f"{cache}.toml", "--root", tmp_path / "other")
    assert again["fingerprint"] == Cache(cache).manifest.fingerprint
    assert hashes(Path(again["cache"])) == hashes(cache)


def test_options_on_the_command_line_win(tmp_path: Path, toy_table: Path) -> None:
    cache = build(tmp_path, toy_table)
    config = ("--config", f"{cache}.toml", "--root", tmp_path / "other")
    assert document("build-cache", *config, "--phenotype", "epsilon")["phenotype"] == "epsilon"
    assert document("build-cache", *config)["phenotype"] == "fitness"


def test_a_damaged_cache_is_rebuilt_in_its_place(tmp_path: Path, toy_table: Path) -> None:
    cache = build(tmp_path, toy_table)
    before = hashes(cache)
    shard = next((cache / "samples").iterdir())
    shard.write_bytes(shard.read_bytes()[:-40])
    assert not verify_cache(cache).ok
    summary = document("cache", "rebuild", cache, "--root", tmp_path / "root")
    assert summary["status"] == "built"
    assert verify_cache(cache).ok
    assert hashes(cache) == before


def test_a_cache_is_rebuilt_elsewhere_from_a_moved_file(tmp_path: Path, toy_table: Path) -> None:
    cache = build(tmp_path, toy_table)
    config = shutil.move(f"{cache}.toml", tmp_path / "moved.toml")
    error = failure("cache", "rebuild", cache, "--root", tmp_path / "root")
    assert isinstance(error, SourceMissing)
    document("cache", "rebuild", cache, "--config", config, "--out", tmp_path / "copy", "--root", tmp_path / "root")
    assert hashes(tmp_path / "copy") == hashes(cache)


def test_a_source_that_changed_is_refused_and_nothing_is_replaced(tmp_path: Path, toy_table: Path) -> None:
    cache = build(tmp_path, toy_table)
    before = hashes(cache)
    toy_table.write_bytes(toy_table.read_bytes().replace(b"0.9", b"0.8"))
    error = failure("cache", "rebuild", cache, "--root", tmp_path / "root")
    assert isinstance(error, InvalidInput)
    assert "this would build" in error.message
    assert hashes(cache) == before


@pytest.mark.parametrize(
    ("text", "reason", "hint"),
    [
        ('datset = ["kuzmin2018"]', "there is no option 'datset'", "did you mean dataset?"),
        ("dataset = [", "not a TOML file", ""),
        (
            'executor = "dask"\nscheduler = "tcp://evil:8786"',
            "'executor' says where",
            "take it out, and give --executor",
        ),
        ('root = "/"', "'root' says where results go, which no file that goes with a cache may say", "take it out"),
        ("overwrite = true", "'overwrite' says what is overwritten", "take it out"),
        ("raw = " + "[" * 100_000, "not a TOML file (nested too deeply)", ""),
        ("preset = {a = 1}", "'preset' takes text, numbers, flags or a list of them", ""),
        ("noise = [nan]", "'noise' takes text, numbers, flags or a list of them", ""),
    ],
)
def test_a_file_that_is_no_build_file(tmp_path: Path, text: str, reason: str, hint: str) -> None:
    (tmp_path / "c.toml").write_text(text)
    error = failure("build-cache", "--config", tmp_path / "c.toml", "--root", tmp_path / "root")
    assert isinstance(error, InvalidInput)
    assert reason in error.message
    assert error.hint.startswith(hint)
    assert isinstance(failure("build-cache", "--config", tmp_path / "none.toml"), SourceMissing)
    assert "not a regular file" in failure("build-cache", "--config", tmp_path).message


def test_a_rebuild_runs_nowhere_that_a_strangers_build_file_names(tmp_path: Path, toy_table: Path) -> None:
    cache = build(tmp_path, toy_table)
    config = Path(f"{cache}.toml")
    config.write_text(f'{config.read_text("utf-8")}executor = "dask"\nscheduler = "tcp://evil:8786"\n', "utf-8")
    error = failure("cache", "rebuild", cache, "--root", tmp_path / "root")
    assert (error.exit_code, "'executor' says where shards are encoded" in error.message) == (4, True)


@pytest.mark.parametrize("name", ["a\x7fb.csv", "a\nb.csv", "a'\"\\ =b.csv", "größe \U0001f600.csv", "x=y\t.csv"])
def test_a_raw_path_of_any_name_is_read_back(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("genes,growth\nYAL001C,0.5\nYAL002W,0.25\n", "utf-8")
    words = [w for w in toy_build(tmp_path) if w != tmp_path / "mine.csv"]
    words.insert(words.index("--raw") + 1, tmp_path / name)
    cache = Path(document("build-cache", *words, "--root", tmp_path / "root")["cache"])
    assert tomllib.loads(Path(f"{cache}.toml").read_text("utf-8"))["raw"] == [str(tmp_path / name)]
    assert document("cache", "rebuild", cache, "--root", tmp_path / "root")["cache"] == str(cache)

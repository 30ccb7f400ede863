"""Where compiled loops are kept, who may write there, what damage costs, and who hears of a compilation."""

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from gocell_cli.training.network.delta.compiler import cache
from gocell_cli.training.network.delta.compiler.cache import folder_for, user_folder
from tests.commands.fork_server import PROJECT, environment

LOOPS = """
from gocell_cli.training.network.delta.compiler.cache import watch
from gocell_cli.training.network.delta.compiler.compiled import compiled

@compiled
def inner(x):
    return x + 1

@compiled
def outer(x):
    return 2 * inner(x)

if __name__ == "__main__":
    watch.tell = print
    assert outer(3) == 8
    print("compiled" if watch.seconds() else "loaded")
"""


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GOCELL_COMPILED", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder whose loops cannot be kept beside them, by root either: __pycache__ is a file."""
    (tmp_path / "package").mkdir(mode=0o755)
    (tmp_path / "package" / "__pycache__").write_text("")
    (tmp_path / "package" / "loops.py").write_text(LOOPS)
    return tmp_path / "package"


def start(package: Path, **variables: str) -> "subprocess.Popen[str]":
    env = environment(PYTHONPATH=str(PROJECT), **variables)
    return subprocess.Popen([sys.executable, package / "loops.py"], stdout=subprocess.PIPE, text=True, env=env)


def said(process: "subprocess.Popen[str]") -> list[str]:
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return out.splitlines()


def test_beside_the_loops_where_only_the_user_writes(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert folder_for(tmp_path / "loops.py") == tmp_path / "__pycache__"
    assert not (tmp_path / "__pycache__").exists(), "made where something is kept"
    assert not user_folder().exists()


def test_where_others_write_the_users_own_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").mkdir()
    for mode in (0o775, 0o757):
        (tmp_path / "__pycache__").chmod(mode)
        assert folder_for(tmp_path / "loops.py") == user_folder() == tmp_path / "xdg" / "gocell"
    assert user_folder().stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_write_to_is_never_taken(package: Path) -> None:
    user_folder().mkdir(parents=True)
    user_folder().chmod(0o777)
    assert folder_for(package / "loops.py") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_nor_one_of_another_user(package: Path) -> None:
    user_folder().mkdir(parents=True)
    os.chown(user_folder(), 12345, 12345)
    assert folder_for(package / "loops.py") is None


def test_the_variables(package: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_folder() == tmp_path / ".cache" / "gocell"
    monkeypatch.setenv("GOCELL_COMPILED", str(tmp_path / "mine"))
    assert folder_for(package / "loops.py") == tmp_path / "mine"


def test_a_read_only_package_compiles_once_into_the_users_folder(package: Path) -> None:
    """By two processes at once; the next ones load what they kept, and one that finds it damaged compiles again."""
    compiling = [
        f"compiling the network's loops for this machine, some seconds, once; they are kept in {user_folder()}",
        "compiled",
    ]
    both = [said(process) for process in [start(package), start(package)]]
    assert compiling in both
    assert all(one in (compiling, ["loaded"]) for one in both), "the second may start when the first has kept its own"
    assert said(start(package)) == ["loaded"]
    kept = [path for path in user_folder().rglob("*") if path.is_file()]
    assert [path.suffix for path in kept] == [".o"], "the loop that Python called, and all that it calls"
    whole = kept[0].read_bytes()
    flipped = whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:]
    for content in (b"", whole[:-1], flipped, whole[1:], b"0" * 5000):
        kept[0].write_bytes(content)
        assert said(start(package))[-1].startswith("compiled")
    assert said(start(package))[-1].startswith("loaded"), "and is mended by that"


def test_where_nothing_can_be_kept_each_process_compiles_and_says_why(package: Path, tmp_path: Path) -> None:
    (tmp_path / "xdg").write_text("")
    for _ in range(2):
        told, last = said(start(package))
        assert "in each process" in told
        assert str(user_folder()) in told
        assert last.startswith("compiled")


def test_what_was_not_used_for_long_goes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of the loop that is kept anew, beyond the newest few; what is young, another loop's or no machine code stays."""
    monkeypatch.setenv("GOCELL_COMPILED", str(tmp_path))
    old = time.time() - 30 * cache.DAY
    names = [f"up-{i:02}.o" for i in range(cache.KEPT + 5)]
    for i, name in enumerate([*names, "upper-0.o", "down-0.o", "up-notes.txt"]):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (old + i, old + i))
    os.utime(tmp_path / names[0])

    def found() -> set[str]:
        return {path.name for path in tmp_path.iterdir()}

    def kept(text: str) -> bytes:
        return cache.machine_code("up", text, tmp_path / "loops.py", text.encode)

    before = found()
    assert kept("one") == b"one"
    (own,) = found() - before
    assert found() == before - set(names[1:7]) | {own}, "it and the one just written are two of the newest"
    os.utime(tmp_path / own, (old, old))
    assert kept("one") == b"one"
    assert (tmp_path / own).stat().st_mtime > old + cache.DAY, "used: it is young again"


def test_the_clock_stands_still_while_loops_are_compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    now = [100.0]
    monkeypatch.setattr(cache, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    watch, told = cache.Watch(), list[str]()
    watch.tell = told.append
    for spent in (0.0, 1.0):
        assert watch.seconds() == spent
        now[0] += 5.0
        with watch.compiling(tmp_path):
            now[0] += 1.0
            assert watch.seconds() == spent + 1.0
        now[0] += 5.0
    assert watch.seconds() == 2.0
    assert len(told) == 1

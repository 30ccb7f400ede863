"""Too little memory, files that may not grow, too few open files: one clear error, and without the limit it goes on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.attacks.kinds import Words
from tests.attacks.test_injected_faults import WRITERS, Injector, Writer
from tests.attempts import ATTACKS, some
from tests.commands.fork_server import completed, environment

MEGABYTE = 1 << 20
LIMITS = (
    *(f"AS {size * MEGABYTE}" for size in (1, 8, 40, 120, 300)),
    *(f"FSIZE {size}" for size in (0, 100, 5_000, 60_000)),
    *(f"NOFILE {count}" for count in (6, 10, 16)),
)  # fmt: skip


class Limited(Injector):
    """The faults are limits; with any other word nothing is limited."""

    def run(self, words: Words, number: int, fault: str) -> tuple[int, str]:
        limit, _, value = fault.partition(" ")
        if not value:
            return super().run(words, number, fault)
        said = [word.replace("{work}", str(self.folder)) for word in words]
        argv = ["limited", limit, value, *said]
        done = completed(argv, self.folder.parent, environment(), "tests.attacks.limited:main", 300)
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

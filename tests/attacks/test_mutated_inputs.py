"""Every kind of file of the world, mutated by seeds, and read by the commands that read it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.attacks.hunt import hunt
from tests.attacks.kinds import READ, Kind
from tests.attempts import ATTACKS, SECONDS, some

FEW = 4
SHARE = 0.6 / sum(kind.weight for kind in READ)
"""Of the time; the rest is for what else there is."""


@pytest.mark.timeout(6000)
@pytest.mark.parametrize("kind", some(8, READ), ids=lambda kind: kind.name)
def test_a_mutated_file(
    kind: Kind, good_files: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    tally = hunt(kind, good_files, tmp_path, FEW, SECONDS * SHARE * kind.weight if ATTACKS else 0.0)
    record_property("attack", tally.row())
    assert not tally.faults, "\n".join(tally.told)

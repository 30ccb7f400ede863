"""Every kind of file of our own, mutated by seeds, and read by the commands that read it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.attacks.hunt import hunt_in_time
from tests.attacks.kinds import OWN, Kind
from tests.attempts import some


@pytest.mark.timeout(6000)
@pytest.mark.parametrize("kind", some(8, OWN), ids=lambda kind: kind.name)
def test_a_mutated_file(
    kind: Kind, good_files: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    tally = hunt_in_time(kind, OWN, good_files, tmp_path)
    record_property("attack", tally.row())
    assert not tally.faults, "\n".join(tally.told)

"""Every kind of file, mutated: our own and the world's, each read by the commands that read it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.attacks.hunt import BUDGET, hunt
from tests.attacks.kinds import OWN, READ, Kind
from tests.attempts import attempts

FEW, MANY = 3, 520


@pytest.mark.timeout(4000)
@pytest.mark.parametrize("kind", [*OWN, *READ], ids=lambda kind: kind.name)
def test_a_mutated_file(
    kind: Kind, good_files: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seconds = BUDGET * kind.weight / sum(k.weight for k in (*OWN, *READ))
    tally = hunt(kind, good_files, tmp_path, max(int(attempts(FEW, MANY) * kind.weight), 1), seconds)
    record_property("attack", tally.row())
    assert not tally.faults, "\n".join(tally.told)

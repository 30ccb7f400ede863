"""Every command's `--json` is what it was on the same inputs: compared with documents kept from before a change."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.attempts import ATTACKS
from tests.commands.kept_json import KEPT, Kept
from tests.commands.runners import environment

FIXTURES = Path(__file__).parent / "kept"
TRIED = [step for step in KEPT if ATTACKS or not step.slow]


@pytest.fixture(scope="module")
def printed() -> dict[str, Any]:
    """What each command prints now, all of them in one new process: later ones read what earlier ones made."""
    variables = {**environment(), **({"GOCELL_TEST_ATTACKS": "1"} if ATTACKS else {})}
    command = [sys.executable, "-m", "tests.commands.kept_json"]
    done = subprocess.run(
        command, env=variables, cwd=FIXTURES.parents[2], capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("step", TRIED, ids=lambda step: step.name)
def test_the_document_is_the_kept_one(printed: dict[str, Any], step: Kept) -> None:
    assert printed["kept"][step.name] == json.loads((FIXTURES / f"{step.name}.json").read_text("utf-8"))


@pytest.mark.parametrize("step", TRIED, ids=lambda step: step.name)
def test_the_document_is_as_its_schema_has_it_and_nothing_else_is(printed: dict[str, Any], step: Kept) -> None:
    assert printed["faults"][step.name] == []


def test_every_kept_document_has_its_command() -> None:
    assert {path.stem for path in FIXTURES.iterdir()} == {step.name for step in KEPT}

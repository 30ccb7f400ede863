"""A build or a merge killed before any of its changes to the file system: a whole cache stands at the place, and
the same command, a resume or `cache prune` leaves nothing lost and nothing over.

Every step under GOCELL_TEST_ATTACKS=1; else those that decide, the renames and what follows them, and a few others.
"""

import json
import pickle
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gocell_cli.building.build import BuildMode, build
from gocell_cli.building.merge import merge_parts
from gocell_cli.building.plan import BuildPlan
from gocell_cli.storage.records import MANIFEST
from gocell_cli.storage.staging import Leftover, partial_directory, remove_partial
from tests.attempts import ATTACKS
from tests.building.test_build import build_parts, contents, recut
from tests.conftest import PROJECT
from tests.storage.kill_server import KILLED

NEVER = 10**9
FEW = 4


class Killer:
    """The server that does the work in children and kills them."""

    def __init__(self, plan: BuildPlan, folder: Path) -> None:
        (folder / "plan.pickle").write_bytes(pickle.dumps(plan))
        command = [sys.executable, "-m", "tests.storage.kill_server", str(folder / "plan.pickle"), str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PROJECT)

    def __call__(self, out: Path, step: int = NEVER, **asked: object) -> tuple[int, list[list[str]]]:
        """Return the child's exit code and the changes it made; killed before number `step` of them."""
        request = {"work": "build", "overwrite": False, "resume": False, "exchange": True, "parts": []}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({**request, **asked, "out": str(out), "step": step}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["code"], answer["steps"]


@pytest.fixture
def killer(toy_plan: BuildPlan, tmp_path: Path) -> Iterator[Killer]:
    folder = tmp_path / "server"
    folder.mkdir()
    server = Killer(toy_plan, folder)
    with server.process:
        yield server
        server.process.stdin.close()


def ways(step: int, *after: str) -> tuple[str, ...]:
    """What is done after a kill: everything, or one of it by turns."""
    return after if ATTACKS else (after[step % len(after)],)


def chosen(steps: list[list[str]]) -> list[int]:
    """Numbers of the steps before which to kill: from the manifest's rename to the first removals after it, and FEW."""
    numbers = range(1, len(steps) + 1)
    if ATTACKS:
        return list(numbers)
    manifest = max(i for i, (what, name) in enumerate(steps, 1) if what == "os.rename" and "manifest" in name)
    late = [i for i in numbers if manifest - 1 <= i <= manifest + 4]
    others = [i for i in numbers if i not in late]
    return sorted({*late, *random.Random(7).sample(others, FEW), len(steps)})


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two renames"])
def test_an_overwrite(toy_plan: BuildPlan, toy_cache: Path, tmp_path: Path, killer: Killer, exchange: bool) -> None:
    old = build(recut(toy_plan, 2), tmp_path / "old", BuildMode()).directory
    before, after = contents(old), contents(toy_cache)
    assert before != after
    shutil.copytree(old, tmp_path / "whole")
    code, steps = killer(tmp_path / "whole", overwrite=True, exchange=exchange)
    assert (code, contents(tmp_path / "whole")) == (0, after)
    empty = 0
    for step in chosen(steps):
        for then in ways(step, "again", "resume", "prune"):
            out = tmp_path / f"{step}-{then}"
            shutil.copytree(old, out)
            code, _ = killer(out, step, overwrite=True, exchange=exchange)
            assert code == KILLED
            empty += not out.exists()
            assert contents(out) in ((before, after) if exchange else (before, after, {})), (step, steps[step - 1])
            if then == "prune":
                if partial_directory(out).exists():
                    assert remove_partial(partial_directory(out)) is not Leftover.IN_USE
                assert contents(out) in (before, after), (step, steps[step - 1])
            else:
                build(toy_plan, out, BuildMode(overwrite=True, resume=then == "resume"))
                assert contents(out) == after
            assert not partial_directory(out).exists()
            shutil.rmtree(out)
    assert (empty > 0) == (not exchange)  # between two renames nothing stands there; the exchange has no between


def test_a_new_cache(toy_plan: BuildPlan, toy_cache: Path, tmp_path: Path, killer: Killer) -> None:
    after = contents(toy_cache)
    _, steps = killer(tmp_path / "whole")
    for step in chosen(steps):
        for then in ways(step, "again", "prune"):
            out = tmp_path / f"{step}-{then}"
            code, _ = killer(out, step)
            assert code == KILLED
            assert contents(out) in ({}, after)
            complete = (out / MANIFEST).exists() or (partial_directory(out) / "cache" / MANIFEST).exists()
            if then == "prune" and partial_directory(out).exists():
                remove_partial(partial_directory(out))
                assert contents(out) == (after if complete else {})
            elif then == "again":
                build(toy_plan, out, BuildMode())
                assert contents(out) == after
            assert not partial_directory(out).exists()


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two renames"])
def test_a_merge(toy_plan: BuildPlan, toy_cache: Path, tmp_path: Path, killer: Killer, exchange: bool) -> None:
    after = contents(toy_cache)
    parts = build_parts(toy_plan, tmp_path, 2)
    old = build(recut(toy_plan, 2), tmp_path / "old", BuildMode()).directory
    before = contents(old)
    asked = {"work": "merge", "parts": list(map(str, parts)), "exchange": exchange}
    for overwrite in (True, False):
        place = tmp_path / f"whole-{overwrite}"
        if overwrite:
            shutil.copytree(old, place)
        _, steps = killer(place, overwrite=overwrite, **asked)
        for step in chosen(steps):
            out = tmp_path / f"{step}-{overwrite}"
            if overwrite:
                shutil.copytree(old, out)
            code, _ = killer(out, step, overwrite=overwrite, **asked)
            assert code == KILLED
            assert contents(out) in (before, after) or not (exchange and overwrite)
            merge_parts(parts, out, overwrite=overwrite)
            assert contents(out) == after
            assert not partial_directory(out).exists()

"""Commands that write, stopped at their system calls one by one: killed, killed in the middle of a write, or failed.

After each: the target is what it was or what it was to be, never a mixture and never gone; nothing beside it changed;
the same command again finishes, to the same bytes; and what failed said so in one clear error.
"""

import json
import random
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.attacks.hunt import FIRST_SEED
from tests.attacks.kinds import CACHE, GO, RUN, SCREEN, TINY, Words
from tests.attacks.syscalls import AVAILABLE, FAULTS
from tests.attacks.victims import WORK
from tests.attempts import ATTACKS, SECONDS, WHOLE_HUNT, some
from tests.commands.fork_server import completed, environment

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="the injector knows x86-64 Linux alone")
TIMED = {"run.json", "metrics.jsonl", "last.safetensors"}
"""Files of a run that hold seconds, which two runs may share by chance."""
SHARE = 0.05
"""Of the time, for each writer."""
PROCESS_ID = re.compile(r"tmp-\d+")
TABLE: Words = (*GO, *SCREEN, "--backend", "both", "--root", f"{WORK}/root")


@dataclass(frozen=True)
class Writer:
    """A command that writes `target`; `whole`: at every moment it is the old one or the new one."""

    name: str
    folder: str
    words: Words
    target: str
    again: Words = ()
    whole: bool = True


WRITERS = (
    Writer("build-cache", "inputs", ("build-cache", *TABLE, "--shard-size", "12", "--out", f"{WORK}/made"), "made"),
    Writer("build-cache --overwrite", "inputs",
           ("build-cache", *TABLE, "--shard-size", "30", "--out", CACHE, "--overwrite"), "cache"),
    Writer("cache merge", "parts", ("cache", "merge", f"{WORK}/part0", f"{WORK}/part1", "--out", CACHE), "cache"),
    Writer("cache rebuild", "cache", ("cache", "rebuild", CACHE, "--root", f"{WORK}/root"), "cache"),
    Writer("train", "cache",
           ("train", CACHE, "--out", f"{WORK}/new", "--epochs", "1", "--batch-size", "64", *TINY), "new",
           again=("train", "--resume", "--out", f"{WORK}/new"), whole=False),
    Writer("predict --all-pairs", "run", ("predict", RUN, "--all-pairs", "--out", f"{WORK}/pairs.parquet"),
           "pairs.parquet"),
    Writer("export", "cache", ("export", "--cache", CACHE, "--out", f"{WORK}/out.tsv", "--overwrite"), "out.tsv"),
    Writer("gene-vectors", "cache", ("gene-vectors", CACHE, "--out", f"{WORK}/v.tsv", "--overwrite"), "v.tsv"),
    Writer("report", "cache", ("report", CACHE, "--out", f"{WORK}/page.html", "--overwrite"), "page.html"),
    Writer("plot", "cache", ("plot", "cache", "--cache", CACHE, "--out", f"{WORK}/cache.svg", "--overwrite"),
           "cache.svg"),
)  # fmt: skip


def contents(path: Path) -> dict[str, bytes]:
    """What stands at a place: nothing, a file, or the files of a folder, but for those half-written."""
    if path.is_file():
        return {"": path.read_bytes()}
    files = (p for p in path.rglob("*") if p.is_file())
    return {str(p.relative_to(path)): _settled(p) for p in files if ".tmp-" not in p.name}


def _settled(path: Path) -> bytes:
    """A file's bytes; the words of a checkpoint's metadata, which safetensors writes in any order, in one."""
    data = path.read_bytes()
    if path.suffix != ".safetensors":
        return data
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    return json.dumps(header, sort_keys=True).encode() + data[end:]


class Injector:
    """Runs a writer in a fresh copy of its folder, over and over."""

    def __init__(self, writer: Writer, good: Path, folder: Path) -> None:
        self.writer, self.stock, self.folder = writer, good / writer.folder, folder / "work"
        self.steps_file = folder / "steps"
        self.before = self.fresh()
        self.beside = {p.name for p in self.folder.iterdir()}
        runs = []
        for _ in range(2):
            self.fresh()
            code, errors = self.run(writer.words, 0, "none")
            assert code == 0, errors
            runs.append(contents(self.target))
        # what differs between two runs that nobody disturbed holds a time or a process's number
        self.steady = {name for name, data in runs[0].items() if runs[1].get(name) == data} - TIMED
        self.after = runs[0]
        self.beside_after = {p.name for p in self.folder.iterdir()}
        self.steps = [PROCESS_ID.sub("tmp", s) for s in self.steps_file.read_text("utf-8").splitlines()]

    @property
    def target(self) -> Path:
        return self.folder / self.writer.target

    def fresh(self) -> dict[str, bytes]:
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.stock, self.folder)
        return contents(self.target)

    def run(self, words: Words, number: int, fault: str) -> tuple[int, str]:
        said = [word.replace(WORK, str(self.folder)) for word in words]
        argv = ["injected", number, fault, self.folder, self.steps_file, *said]
        done = completed(argv, self.folder.parent, environment(), "tests.attacks.syscalls:main", 300)
        return done.returncode, done.stderr

    def is_after(self, found: dict[str, bytes]) -> bool:
        same = all(found.get(name) == self.after[name] for name in self.steady)
        # names that hold a time (TensorBoard's) are no two runs' own
        return same and (not self.writer.whole or set(found) == set(self.after))

    def faults(self, number: int, fault: str) -> list[str]:
        """What broke the rules when the command was disturbed at one step."""
        self.fresh()
        code, errors = self.run(self.writer.words, number, fault)
        found, broken = contents(self.target), []
        if "Traceback" in errors or code == 1 or (code < 0) != (fault in ("kill", "torn")):
            broken.append(f"exit {code}: {errors[-400:]}")
        if code == 0 and not self.is_after(found):
            broken.append("exit 0, and not done")
        if self.writer.whole and found != self.before and not self.is_after(found):
            broken.append(f"neither old nor new: {sorted(found)[:9]}")
        words = self.writer.words
        if self.writer.again and self.target.exists() and (self.target / "run.json").exists():
            words = self.writer.again
        again, errors = self.run(words, 0, "again")
        if again or not self.is_after(contents(self.target)):
            broken.append(f"again: exit {again}, {errors[-400:]}")
        left = {p.name for p in self.folder.iterdir() if ".tmp-" not in p.name} - self.beside_after
        if left or not self.beside <= {p.name for p in self.folder.iterdir()}:
            broken.append(f"left behind, or lost: {sorted(left)}")
        return [f"{fault} at {number} ({self.steps[number - 1]}): {what}" for what in broken]


def points(steps: list[str]) -> list[tuple[int, str]]:
    """Steps and faults in an order by chance: of the long hunt all, else of the first and last of each kind of step."""
    numbers = range(1, len(steps) + 1)
    kinds: dict[str, list[int]] = {}
    for number in numbers:
        kinds.setdefault(re.sub(r"\d+", "N", steps[number - 1]), []).append(number)
    some_of_each = sorted({same[i] for same in kinds.values() for i in (0, -1)})
    found = [(number, fault) for number in (numbers if SECONDS >= WHOLE_HUNT else some_of_each) for fault in FAULTS]
    random.Random(FIRST_SEED).shuffle(found)
    return found if ATTACKS else found[:3]


@pytest.mark.timeout(20_000)
@pytest.mark.parametrize("writer", some(4, WRITERS), ids=lambda writer: writer.name)
def test_a_writer(
    writer: Writer, good_files: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    injector, broken, attempts = Injector(writer, good_files, tmp_path), [], 0
    ends = time.monotonic() + SECONDS * SHARE
    for number, fault in points(injector.steps):
        attempts += 1
        broken += injector.faults(number, fault)
        if time.monotonic() > ends and SECONDS < WHOLE_HUNT:
            break
    record_property("attack", {"kind": f"faults: {writer.name}, {len(injector.steps)} steps", "attempts": attempts,
                               "broken": len(broken)})  # fmt: skip
    assert not broken, "\n".join(broken[:12])

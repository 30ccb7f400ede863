"""Hunts one kind of file: a process runs attempts until it ends, dies or hangs, and another goes on behind it.

The rules: no death by a signal, no traceback, no hang, no wrong result, nothing outside the folder changed.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.attacks.kinds import Kind
from tests.attacks.victims import Job
from tests.attempts import ATTACKS, SECONDS
from tests.commands.fork_server import Forked, environment

FEW = 4
"""Seeds of a kind in the suite, and the fewest of a hunt."""
CORPUS = Path(__file__).parent / "corpus"
HANG = 60.0
"""Seconds without an attempt ended: ten thousand times what one takes."""
EXIT_CODES = (0, 2, 3, 4, 5, 6, 7)
A_PROCESS = 200
"""Attempts after which a process makes way for a fresh one: what it may have kept must not grow for ever."""
FIRST_SEED = int(os.environ.get("ATTACK_SEED", "20180420"))


@dataclass
class Tally:
    """What became of the attempts on one kind."""

    kind: str
    attempts: int = 0
    refused: int = 0
    read: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    told: list[str] = field(default_factory=list)

    def fault(self, what: str, of: object, detail: str) -> None:
        """Count a broken rule; the first few are told whole."""
        self.faults[what] += 1
        if len(self.told) < 12:
            self.told.append(f"{what} at {of}: {detail}")

    def row(self) -> dict[str, Any]:
        """As a line of the suite's table."""
        names = ("death", "traceback", "hang", "wrong", "outside")
        return {"kind": self.kind, "attempts": self.attempts, "read": self.read, "refused": self.refused,
                **{name: self.faults[name] for name in names}, "slowest": round(self.slowest, 2)}  # fmt: skip


def corpus_of(kind: Kind) -> list[str]:
    """The cases that were found once, whole files."""
    name = "".join(letter if letter.isalnum() else "_" for letter in kind.name)
    return sorted(str(path) for path in (CORPUS / name).glob("*"))


def hunt(kind: Kind, stock: Path, folder: Path, attempts: int, seconds: float = 0.0) -> Tally:
    """Run a kind's corpus and `attempts` seeds, or as many seeds as `seconds` allow."""
    tally, ends = Tally(kind.name), time.monotonic() + seconds
    bystander = folder / "bystander"
    bystander.write_text("not yours")
    names: list[Any] = [*corpus_of(kind), *range(FIRST_SEED, FIRST_SEED + attempts)]
    good: list[dict[str, Any]] = []
    while names:
        done = 0
        for ended in _process(kind, stock, folder, names[:A_PROCESS]):
            if ended["of"] == "good":
                good = ended["commands"]
                assert all(c["code"] in EXIT_CODES for c in good), good
                assert good[-1]["code"] == 0, good
                continue
            done += 1
            _judge(kind, tally, ended, good)
        names = names[max(done, 1) :]
        if not names and seconds and time.monotonic() < ends:
            first = FIRST_SEED + tally.attempts
            names = list(range(first, first + A_PROCESS))
        if seconds and time.monotonic() > ends:
            break
    if bystander.read_text() != "not yours" or {p.name for p in folder.iterdir()} - {"bystander", "work", "log", "job"}:
        tally.fault("outside", kind.name, str(sorted(p.name for p in folder.iterdir())))
    return tally


def hunt_in_time(kind: Kind, of: Sequence[Kind], stock: Path, folder: Path) -> Tally:
    """Hunt a kind for its share of the time, if it is one `of` several that share it; in the suite for a few seeds."""
    share = 0.6 * kind.weight / sum(k.weight for k in of)  # the rest of the time is for what else there is
    return hunt(kind, stock, folder, FEW, SECONDS * share if ATTACKS else 0.0)


def _process(kind: Kind, stock: Path, folder: Path, names: list[Any]) -> Iterator[dict[str, Any]]:
    """Yield what became of each name, in order, as far as one process gets; of a death or a hang last of all."""
    log = folder / "log"
    log.unlink(missing_ok=True)
    work = folder / "work"
    corpus = [name for name in names if isinstance(name, str)]
    seeds = [name for name in names if not isinstance(name, str)]
    commands = [list(words) for words in kind.commands]
    job = Job(
        str(stock / kind.folder), str(work), kind.target, kind.mutators, commands, str(log), seeds, corpus, kind.sealing
    )
    (folder / "job").write_text(json.dumps(asdict(job)))
    process = Forked(["victims", folder / "job"], folder, environment(), "tests.attacks.victims:main")
    size, since, hung = 0, time.monotonic(), False
    while process.poll() is None:
        time.sleep(0.02)
        found = log.stat().st_size if log.exists() else 0
        size, since = (found, time.monotonic()) if found != size else (size, since)
        if time.monotonic() - since > HANG:
            hung = True
            os.kill(process.pid, 9)
            process.wait(60)
    if not log.exists():  # it did not come to its first file: say why
        raise AssertionError(process.communicate(60)[1])
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    yield from (line for line in lines if "of" in line)
    begun = [line["begun"] for line in lines if "begun" in line]
    if begun and len(begun) > sum("of" in line for line in lines):
        yield {"of": begun[-1], "end": "hang" if hung else f"exit {process.returncode}", "commands": []}
    _, errors = process.communicate(60)
    assert begun, errors


def _judge(kind: Kind, tally: Tally, ended: dict[str, Any], good: list[dict[str, Any]]) -> None:
    of = f"{kind.name} {ended['of']}"
    tally.attempts += 1
    if "end" in ended:
        tally.fault("hang" if ended["end"] == "hang" else "death", of, ended["end"])
        return
    commands = ended["commands"]
    tally.slowest = max(tally.slowest, *(c["seconds"] for c in commands))
    codes = [c["code"] for c in commands]
    tally.read += not any(codes)
    tally.refused += any(codes)
    said = [" ".join(kind.commands[c["command"]][:2]) for c in commands]
    for words, c in zip(said, commands, strict=True):
        if c["code"] not in EXIT_CODES or "Traceback" in c["errors"] or "panicked" in c["errors"]:
            tally.fault("traceback", of, f"{words}: exit {c['code']}: {c['errors'][-600:]}")
    verified = [c["code"] for words, c in zip(said, commands, strict=True) if words == "cache verify"]
    if kind.sealed or (kind.sealing and any(verified)):
        for words, c in zip(said, commands, strict=True):
            if c["code"] == 0 and c["out"] != good[c["command"]]["out"]:
                tally.fault("wrong", of, f"{words} read something else, codes {codes}: {c['out'][:300]}")

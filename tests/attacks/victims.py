"""Runs commands on mutated files, hundreds in one process, and writes down what became of each.

    a child of tests.commands.fork_server, called with the path of a Job's JSON

A line of the log before each attempt, and one after it: so that the attempt which killed or hung the process is known,
and the next process goes on behind it. The commands are `main` itself, with streams of their own.
"""

import json
import os
import re
import resource
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gocell_cli.commands.shell.addresses import needed_addresses
from tests.attacks import mutators
from tests.attacks.sealing import reseal

WORK = "{work}"
"""In a command: the folder that holds the mutated file and what else the command needs."""
SPARE_MEMORY = 3 << 30
"""Bytes that a command may take besides what the process has mapped when it begins, if its libraries need no more."""
READERS = ("inspect", "export", "predict", "evaluate", "report")
"""Commands that change nothing of what others read: one of them an attempt is enough."""
TIMES = re.compile(r'"(seconds|pairs_per_second|genome_minutes)": [\d.e+-]+|"fingerprint": "\w+"')
"""Of what is printed: times, and the fingerprint, which is of the bytes of a file that may be packed otherwise."""


@dataclass(frozen=True)
class Job:
    """Attempts on one kind of file. `target` is relative to the folder; `corpus` are whole mutated files."""

    stock: str
    work: str
    target: str
    mutators: str
    commands: list[list[str]]
    log: str
    seeds: list[int]
    corpus: list[str] = field(default_factory=list)
    sealing: str = ""


def run_command(words: list[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command, run by `main` in this process."""
    from gocell_cli.commands.app import main

    limit_memory(words)
    sys.argv = ["gocell", *words]
    code: object = 0
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        os.dup2(out.fileno(), 1)  # the descriptors: what C and Rust print is caught as well
        os.dup2(errors.fileno(), 2)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 a descriptor, flushed below
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        except BaseException as error:
            print(f"Traceback: {type(error).__name__}: {error}", file=sys.stderr)
            code = 1
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        texts = []
        for stream in (out, errors):
            stream.seek(0)
            texts.append(stream.read().decode("utf-8", "replace"))
    return code if isinstance(code, int) else int(code is not None), TIMES.sub("", texts[0]), texts[1]


def attempt(job: Job, data: bytes | None, commands: list[int]) -> list[dict[str, Any]]:
    """Run some of the job's commands on the good file (None) or on `data` in its place; what each of them left with."""
    work = Path(job.work)
    os.chdir(work.parent)
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(job.stock, work, symlinks=True)
    if data is not None:
        (work / job.target).write_bytes(data)
        if job.sealing:
            reseal(work / job.sealing)
    os.chdir(work)  # what a command puts where it stands
    found = []
    for index in commands:
        words, started = job.commands[index], time.monotonic()
        code, out, errors = run_command([word.replace(WORK, job.work) for word in words])
        found.append(
            {
                "command": index,
                "code": code,
                "out": out,
                "errors": errors[-1500:],
                "seconds": time.monotonic() - started,
            }
        )
    return found


def limit_memory(words: list[str]) -> None:
    """Let a command map no more than SPARE_MEMORY besides what the process has from those before it."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    spare = max(SPARE_MEMORY, needed_addresses(words))
    resource.setrlimit(resource.RLIMIT_AS, (size + spare, resource.getrlimit(resource.RLIMIT_AS)[1]))


def main() -> None:
    """Run a job: the good file first, then its corpus, then its seeds."""
    job = Job(**json.loads(Path(sys.argv[1]).read_text("utf-8")))
    good = (Path(job.stock) / job.target).read_bytes()
    choice = getattr(mutators, job.mutators)
    with Path(job.log).open("a", encoding="utf-8", buffering=1) as log:
        for name in ("good", *job.corpus, *job.seeds):
            log.write(json.dumps({"begun": name}) + "\n")
            data = Path(name).read_bytes() if isinstance(name, str) and name != "good" else None
            data = mutators.mutated(name, choice, good) if isinstance(name, int) else data
            tried = attempt(job, data, chosen(job, name))
            log.write(json.dumps({"of": name, "commands": tried}) + "\n")


def chosen(job: Job, name: object) -> list[int]:
    """All commands for a whole file; for a seed those that lead to the last ones, and of three that only read one."""
    every = list(range(len(job.commands)))
    readers = [i for i in every if job.commands[i][0] in READERS]
    if not isinstance(name, int) or len(readers) < 2:
        return every
    return sorted({*every} - {*readers} | {readers[name % len(readers)]})

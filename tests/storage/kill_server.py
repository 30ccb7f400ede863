"""Builds and merges in children that are killed just before their k-th change to the file system.

    python -m tests.storage.kill_server PLAN FOLDER

One line of JSON in, {"work", "out", "overwrite", "resume", "parts", "exchange", "step"}, one out: {"killed", "steps"},
the changes made, each as (what, name). Python's own audit events tell of them, so no line of gocell knows of this; what
pyarrow and LMDB write falls between two of them. Forked, for a child that starts anew would load pyarrow each time.
"""

import json
import os
import pickle
import sys
from pathlib import Path

from gocell_cli.building.build import BuildMode, build
from gocell_cli.building.merge import merge_parts
from gocell_cli.storage import staging

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link")
KILLED = 9


def kill_before(step: int, log: Path) -> None:
    """From now on, write down each change to the file system, and end this process just before number `step`."""
    seen = 0

    def hook(event: str, arguments: tuple) -> None:
        nonlocal seen
        if event not in CHANGES:
            return
        seen += 1
        if seen == step:
            os._exit(KILLED)
        written = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(written, json.dumps([event, Path(os.fsdecode(arguments[0])).name]).encode() + b"\n")
        os.close(written)

    sys.addaudithook(hook)


def work(asked: dict, plan: object) -> None:
    out = Path(asked["out"])
    if not asked["exchange"]:  # as on a file system that knows none
        staging.exchange = lambda *_: False
    if asked["work"] == "merge":
        merge_parts([Path(part) for part in asked["parts"]], out, overwrite=asked["overwrite"])
    else:
        build(plan, out, BuildMode(overwrite=asked["overwrite"], resume=asked["resume"]))


def main() -> None:
    plan = pickle.loads(Path(sys.argv[1]).read_bytes())
    log = Path(sys.argv[2]) / "steps"
    for line in sys.stdin:
        asked = json.loads(line)
        log.write_bytes(b"")
        child = os.fork()
        if child == 0:
            try:
                kill_before(asked["step"], log)
                work(asked, plan)
                os._exit(0)
            finally:
                os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        steps = [json.loads(step) for step in log.read_bytes().splitlines()]
        print(json.dumps({"code": code, "steps": steps}), flush=True)


if __name__ == "__main__":
    main()

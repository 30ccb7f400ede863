"""Runs `gocell` and sends it a signal just before the N-th step by which it changes a folder.

    python -m tests.attacks.killed_at N SIGNAL FOLDER WORD ...

A step is what Python's audit hooks tell of: a file opened to be written, a rename, a removal, a directory made. So a
kill lands at the same place at any load. With N = 0 nothing is killed, and FOLDER/steps.txt gets the steps, one a line.
"""

import os
import re
import sys
from pathlib import Path

STEPS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree"}
PROCESS_ID = re.compile(r"tmp-\d+")


def main() -> None:
    """Count the steps; at the N-th, SIGKILL is as when the power goes: no handler, `except` or `finally` runs."""
    number, sent, folder = int(sys.argv[1]), int(sys.argv[2]), os.path.realpath(sys.argv[3])
    seen: list[str] = []

    def watch(event: str, arguments: tuple) -> None:
        if event not in STEPS or not isinstance(arguments[0], (str, bytes, os.PathLike)):
            return
        if event == "open" and arguments[2] & os.O_ACCMODE == os.O_RDONLY:
            return
        path = os.path.abspath(os.fsdecode(arguments[0]))  # noqa: PTH100 resolve() would open files
        if path.startswith(folder + os.sep):
            seen.append(f"{event} {PROCESS_ID.sub('tmp', path.removeprefix(folder + os.sep))}")
            if len(seen) == number:
                os.kill(os.getpid(), sent)

    from gocell_cli.commands.app import main as gocell

    sys.argv = ["gocell", *sys.argv[4:]]
    sys.addaudithook(watch)
    try:
        gocell()
    finally:
        if not number:
            told = "\n".join(seen)  # before steps.txt is one of them
            Path(folder, "steps.txt").write_text(told, "utf-8")


if __name__ == "__main__":
    main()

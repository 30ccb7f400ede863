"""`gocell` in processes of their own, forked from one that has its libraries loaded: a command costs its work alone.

    python -m tests.commands.fork_server SOCKET

A child has its own words, environment, folder and streams, and runs `main` as the console script does. What it does not
do is to import torch again, and to take it apart in the end, which takes longer than most commands. What a library
reads from the environment as it is imported (FORCE_COLOR, PYTHONIOENCODING) is the server's: a command that is to see
another is run as the real one.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

PROJECT = Path(__file__).resolve().parents[2]
HEADER = 8
MAIN = "gocell_cli.commands.app:main"
LIBRARIES = (
    "gocell_cli.commands.app", "gocell_cli.building.build", "gocell_cli.sources.go.releases", "pyarrow.parquet", "lmdb",
    "networkx", "requests",
)  # fmt: skip
TRAINERS = ("train", "evaluate", "predict", "explain")
TRAINER = (
    "gocell_cli.training.runs.run", "gocell_cli.training.runs.evaluating",
    "gocell_cli.training.inference.all_combinations", "matplotlib.figure",
)  # fmt: skip
"""Loaded before the first of these commands: tests of the others need not wait for torch."""


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without what would steer gocell or the terminal; its gocell is that of these tests.

    An editable install may lie in another checkout, and the console script takes the code that it finds first.
    """
    steering = ("GOCELL_", "FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE")
    path = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
    return {k: v for k, v in os.environ.items() if not k.startswith(steering)} | {"PYTHONPATH": path} | variables


class Forked:
    """One such process; what subprocess.Popen can do, as far as the tests ask for it."""

    def __init__(self, argv: Sequence[object], cwd: Path, env: Mapping[str, str], call: str = MAIN) -> None:
        self.argv, self.returncode = [str(word) for word in argv], None  # type: list[str], int | None
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 closed once read
        self._status, told = os.pipe()
        try:
            _ask({"argv": self.argv, "cwd": str(cwd), "env": dict(env), "call": call}, self._out, self._err, told)
        finally:
            os.close(told)
        self.pid = int(self._line(60))

    def _line(self, seconds: float) -> str:
        """A line of what the child's keeper says: its process id, then its exit code."""
        found = b""
        while not found.endswith(b"\n"):
            if not select.select([self._status], [], [], seconds)[0]:
                raise subprocess.TimeoutExpired(self.argv, seconds)
            byte = os.read(self._status, 1)
            assert byte, f"the server of {self.argv} has died"
            found += byte
        return found.decode()

    def poll(self) -> int | None:
        """The exit code, once there is one; negative for a signal."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, seconds: float) -> int:
        """Wait for the exit code; raises TimeoutExpired."""
        if self.returncode is None:
            self.returncode = int(self._line(seconds))
            os.close(self._status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to a process that has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def communicate(self, seconds: float) -> tuple[str, str]:
        """Wait for the end; both streams as text. A process that takes longer is killed."""
        try:
            self.wait(seconds)
        except subprocess.TimeoutExpired:
            os.kill(self.pid, signal.SIGKILL)
            self.wait(60)
            raise
        found = []
        for stream in (self._out, self._err):
            with stream:
                stream.seek(0)
                # as subprocess reads text
                found.append(stream.read().decode().replace("\r\n", "\n").replace("\r", "\n"))
        return found[0], found[1]


def completed(
    argv: Sequence[object], cwd: Path, env: Mapping[str, str], call: str = MAIN, timeout: float = 600
) -> "subprocess.CompletedProcess[str]":
    """Run to the end, as subprocess.run does."""
    process = Forked(argv, cwd, env, call)
    out, errors = process.communicate(timeout)
    assert process.returncode is not None
    return subprocess.CompletedProcess(process.argv, process.returncode, out, errors)


def _ask(request: dict[str, Any], out: Any, errors: Any, told: int) -> None:
    """Send the server a request, with the streams of the child and the pipe for what becomes of it."""
    channel, data = _server(), json.dumps(request).encode()
    with Path(os.devnull).open("rb") as nothing:
        streams = [nothing.fileno(), out.fileno(), errors.fileno(), told]
        socket.send_fds(channel, [len(data).to_bytes(HEADER, "big")], streams)
    channel.sendall(data)


@cache
def _server() -> socket.socket:
    """This process's server, started at the first request and ended with this process."""
    ours, its = socket.socketpair()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.commands.fork_server", str(its.fileno())],
        pass_fds=[its.fileno()], cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        env=environment(), start_new_session=True,
    )  # fmt: skip
    its.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _load(modules: Sequence[str]) -> None:
    # without an extra its commands fail in the child, as they do in the real command
    with contextlib.suppress(ImportError):
        for module in modules:
            importlib.import_module(module)
    gc.freeze()  # a child's collections need not look, and so write, where all that was loaded lies


def _receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """The next request and its files; None where nobody asks any more."""
    head, files, _, _ = socket.recv_fds(channel, HEADER, 4)
    if not head:
        return None
    size, data = int.from_bytes(head, "big"), b""
    while len(data) < size:
        data += channel.recv(size - len(data))
    return json.loads(data), files


def _become(request: dict[str, Any], streams: Sequence[int]) -> NoReturn:
    """Be the process that was asked for, and leave with what `main` leaves with."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = request["argv"]
    module, name = request["call"].split(":")
    code: object = 0
    try:
        getattr(importlib.import_module(module), name)()
    except SystemExit as stop:
        code = stop.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    # as Python leaves, but for emptying its modules: that would touch, and so copy, all memory of the server
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def main() -> None:
    """Fork, for each request, a keeper: it forks the child, says its id, waits for it and says its exit code."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(channel.fileno(), False)
    _load(LIBRARIES)
    while (received := _receive(channel)) is not None:
        request, (*streams, told) = received
        if set(TRAINERS) & set(request["argv"]):
            _load(TRAINER)
        if os.fork() == 0:
            channel.close()
            child = os.fork()
            if child == 0:
                os.close(told)
                _become(request, streams)
            os.write(told, f"{child}\n".encode())
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            os.write(told, f"{code}\n".encode())
            os._exit(0)
        for file in (*streams, told):
            os.close(file)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


if __name__ == "__main__":
    main()

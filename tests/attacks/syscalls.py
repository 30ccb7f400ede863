"""Runs `gocell` under ptrace: at the N-th system call that changes a folder it is killed, or the call fails.

    injected N FAULT FOLDER STEPS WORD ...         a child of tests.commands.fork_server

All threads and child processes are followed, so that what pyarrow, LMDB and safetensors write in C++, C and Rust counts
as what Python writes. FAULT is one of

    none     nothing fails; STEPS gets the calls, one a line
    kill     SIGKILL just before the call: as when the power goes
    torn     half of what is to be written is, then SIGKILL
    EIO      the call alone fails
    ENOSPC   the call and all later ones that need space fail: the disk stays full

x86-64 Linux alone: the numbers of the calls and the registers are those of its ABI (man 2 ptrace, man 2 syscall).
"""

import ctypes
import errno
import os
import platform
import signal
import sys
from pathlib import Path
from typing import NoReturn

AVAILABLE = platform.machine() == "x86_64" and sys.platform == "linux"
FAULTS = ("kill", "torn", "EIO", "ENOSPC")
TRACEME, GETREGS, SETREGS, SYSCALL, SETOPTIONS = 0, 12, 13, 24, 0x4200
OPTIONS = 0x1 | 0x2 | 0x4 | 0x8 | 0x100000
"""SYSGOOD, FORK, VFORK, CLONE, EXITKILL."""
NONE = 2**64 - 1
BY_FD = {1: "write", 18: "pwrite", 20: "writev", 296: "pwritev", 328: "pwritev2", 74: "fsync", 75: "fdatasync",
         77: "ftruncate", 285: "fallocate", 40: "sendfile"}  # fmt: skip
BY_PATH = {82: "rename", 87: "unlink", 84: "rmdir", 83: "mkdir", 86: "link", 76: "truncate", 85: "creat"}
BY_DIRFD = {264: "renameat", 316: "renameat2", 263: "unlinkat", 258: "mkdirat", 265: "linkat"}
OPEN, OPENAT, COPY_RANGE, LINKAT = 2, 257, 326, 265
WRITES = ("write", "pwrite", "copy_file_range", "sendfile")
"""Calls whose third argument is a number of bytes that may be halved; writev's pieces are written whole."""
NEEDS_SPACE = (*WRITES, "writev", "pwritev", "pwritev2", "open", "mkdir", "mkdirat", "creat", "fallocate", "ftruncate",
               "link", "linkat")  # fmt: skip


REGISTERS = (
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi", "orig_rax",
    "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs",
)  # fmt: skip


class Registers(ctypes.Structure):
    """struct user_regs_struct of sys/user.h."""

    _fields_ = tuple((name, ctypes.c_ulonglong) for name in REGISTERS)


_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _registers(thread: int) -> Registers:
    found = Registers()
    _libc.ptrace(GETREGS, thread, None, ctypes.byref(found))
    return found


def _text(thread: int, address: int) -> str:
    """The C string at an address of a stopped thread."""
    try:
        with Path(f"/proc/{thread}/mem").open("rb", buffering=0) as memory:
            memory.seek(address)
            return os.fsdecode(memory.read(4096).split(b"\0")[0])
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return str(Path(path).readlink())
    except OSError:
        return ""


def _absolute(thread: int, name: str, dirfd: int | None = None) -> str:
    signed = None if dirfd is None else ctypes.c_int(dirfd & 0xFFFFFFFF).value
    base = f"/proc/{thread}/cwd" if signed in (None, -100) else f"/proc/{thread}/fd/{signed}"
    return os.path.normpath(os.path.join(_link(base), name))  # noqa: PTH118 of another process's folder


def change(thread: int, r: Registers) -> tuple[str, str]:
    """The name and the path of a call that changes files; ("", "") for any other."""
    number = r.orig_rax
    if number in BY_FD or number == COPY_RANGE:
        descriptor = r.rdx if number == COPY_RANGE else r.rdi
        return BY_FD.get(number, "copy_file_range"), _link(f"/proc/{thread}/fd/{descriptor}")
    if number in BY_PATH:
        return BY_PATH[number], _absolute(thread, _text(thread, r.rdi))
    if number in BY_DIRFD:
        # linkat's second pair of folder and name is what comes to be; of the others the first
        folder, name = (r.rdx, r.r10) if number == LINKAT else (r.rdi, r.rsi)
        return BY_DIRFD[number], _absolute(thread, _text(thread, name), folder)
    if number in (OPEN, OPENAT):
        name, flags = (r.rdi, r.rsi) if number == OPEN else (r.rsi, r.rdx)
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return "open", _absolute(thread, _text(thread, name), None if number == OPEN else r.rdi)
    return "", ""


class Tracer:
    """Follows one command; `steps` are its calls that changed the folder, as (name, path in the folder)."""

    def __init__(self, child: int, folder: str, number: int, fault: str) -> None:
        self.child, self.folder, self.number, self.fault = child, folder, number, fault
        self.steps: list[str] = []
        self.inside: dict[int, int] = {}
        """Threads within a call, and the error it is to end with; 0 for none, -1 to be killed at its end."""
        self.full = False

    def run(self) -> int:
        """Follow the command to its end; its wait status."""
        os.waitpid(self.child, 0)
        _libc.ptrace(SETOPTIONS, self.child, None, OPTIONS)
        _libc.ptrace(SYSCALL, self.child, None, None)
        while True:
            thread, status = os.waitpid(-1, 0x40000000)  # __WALL: threads as well
            if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                self.inside.pop(thread, None)
                if thread == self.child:
                    return status
                continue
            stop, event = os.WSTOPSIG(status), status >> 16
            passed = 0
            if stop == signal.SIGTRAP | 0x80:
                self._call(thread)
            elif not event and stop not in (signal.SIGSTOP, signal.SIGTRAP):
                passed = stop
            _libc.ptrace(SYSCALL, thread, None, passed)

    def _call(self, thread: int) -> None:
        if thread in self.inside:
            code = self.inside.pop(thread)
            if code < 0:
                self._kill()
            elif code:
                r = _registers(thread)
                r.rax = 2**64 - code
                _libc.ptrace(SETREGS, thread, None, ctypes.byref(r))
            return
        r = _registers(thread)
        name, path = change(thread, r)
        here = bool(name) and (path == self.folder or path.startswith(self.folder + os.sep))
        self.inside[thread] = self._met(thread, r, name, path) if here else 0

    def _met(self, thread: int, r: Registers, name: str, path: str) -> int:
        """Return the error that a call on the folder shall end with: 0 for none, -1 for a kill behind it."""
        self.steps.append(f"{name} {path.removeprefix(self.folder)}")
        now = len(self.steps) == self.number
        if self.fault == "kill" and now:
            self._kill()
        if self.fault == "torn" and now and name in WRITES:
            r.rdx //= 2
            _libc.ptrace(SETREGS, thread, None, ctypes.byref(r))
            return -1
        if self.fault == "torn" and now:
            return -1  # nothing to halve: the call is done, and then the power goes
        self.full = self.full or (self.fault == "ENOSPC" and now)
        if (self.full and name in NEEDS_SPACE) or (now and self.fault in ("EIO", "ENOSPC")):
            r.orig_rax = NONE
            _libc.ptrace(SETREGS, thread, None, ctypes.byref(r))
            return int(getattr(errno, self.fault))
        return 0

    def _kill(self) -> None:
        os.kill(self.child, signal.SIGKILL)


def main() -> NoReturn:
    """Follow the command that is named behind the four words of our own, and end as it did."""
    number, fault, folder, steps = int(sys.argv[1]), sys.argv[2], os.path.realpath(sys.argv[3]), Path(sys.argv[4])
    child = os.fork()
    if child == 0:
        _libc.ptrace(TRACEME, 0, None, None)
        os.kill(os.getpid(), signal.SIGSTOP)
        from gocell_cli.commands.app import main as gocell

        sys.argv = ["gocell", *sys.argv[5:]]
        gocell()
        raise AssertionError("gocell leaves by sys.exit")
    tracer = Tracer(child, folder, number, fault)
    status = tracer.run()
    if fault == "none":
        steps.write_text("\n".join(tracer.steps), "utf-8")
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        os.kill(os.getpid(), -code)
    os._exit(code)

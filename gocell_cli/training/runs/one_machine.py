"""Processes of one machine hand each other tensors in memory that all of them see, and wait for each other at pipes.

A step in the delta form asks the others twice a level, for some thousand numbers: 0.5 to 2 ms each through gloo's
sockets (measured), 40 ms of a step of 150; here 0.03 ms. A byte in a pipe says that a part is written. A process that
waits sleeps in the kernel, which hands the core to whoever works; whoever dies closes its pipes, and the others, who
would wait for ever, end with an error. The pipe's own lock also orders what was written before the byte.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jaxtyping import Shaped, UInt8

from gocell_cli.errors import Unfinished
from gocell_cli.training.extra import train_extra

with train_extra():
    import torch
    from torch import Tensor

SLOT_BYTES = 2 << 20
"""What one process can hand over at once; a level's sums of the bundled hierarchy are at most 0.5 MB."""
MEMORY = Path("/dev/shm")  # noqa: S108  a file system in memory; names of files there are random, and soon gone


@dataclass(frozen=True)
class Asking:
    """How processes agree before they share memory: what the first of them says, and whether any of them says yes."""

    rank: int
    world: int
    told: Callable[[Any], Any]
    any: Callable[[bool], bool]

    def all_made(self, make: Callable[[], Any]) -> Any:
        """Return what `make` gives, None where it failed in any process: all go the same way from here."""
        made = None
        with suppress(OSError):
            made = make()
        return None if self.any(made is None) else made


@dataclass
class OneMachine:
    """The processes of one machine; `slots` are two sets, [2, world, SLOT_BYTES], used in turn."""

    asking: Asking
    inward: list[int]
    outward: list[int]
    slots: UInt8[Tensor, "2 world bytes"]
    _turn: int = field(default=0, init=False)

    @classmethod
    def of(cls, asking: Asking) -> "OneMachine | None":
        """Connect all processes; None where they share no memory, or not enough of it."""
        pipes = _pipes(asking)
        slots = shared_table(asking, (2, asking.world, SLOT_BYTES), torch.uint8) if pipes else None
        return cls(asking, *pipes, slots) if pipes and slots is not None else None

    def gather(self, tensor: Shaped[Tensor, "..."]) -> Shaped[Tensor, "processes ..."]:
        """Return the tensors of all processes, of at most SLOT_BYTES each, in the order of their ranks."""
        flat = tensor.reshape(-1).view(torch.uint8)
        slots = self.slots[self._turn, :, : len(flat)]
        # who comes to write to these slots again has met all others in between, who had read them by then
        self._turn ^= 1
        slots[self.asking.rank] = flat
        self.meet()
        return slots.clone().view(tensor.dtype).view(self.asking.world, *tensor.shape)

    def meet(self) -> None:
        """Wait until all processes are here; what they wrote to shared memory before is there to read.

        Raises Unfinished where one of them ended.
        """
        try:
            for pipe in self.outward:
                os.write(pipe, b"!")
            heard = [os.read(pipe, 1) for pipe in self.inward]
        except BrokenPipeError:
            heard = [b""]
        if not all(heard):
            raise Unfinished(
                "another process of this run ended", hint="see what it said; gocell train --resume goes on"
            )


def shared_table(asking: Asking, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor | None:
    """Return memory that all processes share, zeros; None where one of them can't have it. All must ask."""
    size = torch.Size(shape).numel() * dtype.itemsize
    name = asking.told(_named(lambda: _file_of(size)) if asking.rank == 0 else None)

    def mapped() -> Tensor:
        if name is None:
            raise OSError
        number = os.open(name, os.O_RDWR)  # torch would make the file where there is none: on another machine
        os.close(number)
        return torch.from_file(name, shared=True, size=size, dtype=torch.uint8)

    found = asking.all_made(mapped)
    if asking.rank == 0 and name is not None:
        Path(name).unlink()  # the memory stays until the last process is gone, whatever ends it
    return None if found is None else found.view(dtype).view(shape)


def _named(make: Callable[[], str]) -> str | None:
    with suppress(OSError):
        return make()
    return None


def _file_of(size: int) -> str:
    """A new file of so many bytes in memory."""
    number, name = tempfile.mkstemp(prefix="gocell-", dir=MEMORY)
    try:
        # reserved, not only named: a container often has 64 MB, and to write beyond them kills without a word
        os.posix_fallocate(number, 0, size)
    except OSError:
        Path(name).unlink()
        raise
    finally:
        os.close(number)
    return name


def _pipes(asking: Asking) -> tuple[list[int], list[int]] | None:
    """A pipe from each process to each other: bytes of several in one would not say who is here."""
    name = asking.told(_named(lambda: tempfile.mkdtemp(prefix="gocell-", dir=MEMORY)) if asking.rank == 0 else None)
    if name is None:
        return None
    folder, others = Path(name), [r for r in range(asking.world) if r != asking.rank]

    def made() -> list[int]:
        return [_reader(folder / f"{other}-{asking.rank}") for other in others]

    def found() -> list[int]:
        return [os.open(folder / f"{asking.rank}-{other}", os.O_WRONLY | os.O_NONBLOCK) for other in others]

    inward = asking.all_made(made)
    outward = None if inward is None else asking.all_made(found)
    if asking.rank == 0:
        shutil.rmtree(folder)
    if inward is None or outward is None:
        return None
    for pipe in (*inward, *outward):
        os.set_blocking(pipe, True)  # from here on to read is to wait
    return inward, outward


def _reader(pipe: Path) -> int:
    os.mkfifo(pipe, 0o600)
    # does not wait for a writer; the writers, who come later, find a reader and need not wait either
    return os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

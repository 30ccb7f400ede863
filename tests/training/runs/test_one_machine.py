"""What processes of one machine hand each other, tried by threads; two real ones train in test_processes.py."""

import errno
import os
from typing import Any

import pytest
import torch

from gocell_cli.errors import Unfinished
from gocell_cli.training.runs import one_machine
from gocell_cli.training.runs.one_machine import SLOT_BYTES, Asking, OneMachine, shared_table
from tests.training.together import Member, together

pytestmark = pytest.mark.skipif(not one_machine.MEMORY.is_dir(), reason="this machine has no files in memory")


def asking(member: Member) -> Asking:
    said: dict[int, Any] = member.group.__dict__.setdefault("said", {})

    def told(outcome: Any) -> Any:
        said[member.rank] = outcome
        member.group.barrier.wait()
        found = said[0]
        member.group.barrier.wait()
        return found

    return Asking(member.rank, member.group.world, told, lambda flag: bool(member.gather(torch.tensor(flag)).any()))


def connected(member: Member) -> OneMachine:
    found = OneMachine.of(asking(member))
    assert found is not None
    return found


def left() -> set[str]:
    return {path.name for path in one_machine.MEMORY.glob("gocell-*")}


@pytest.mark.parametrize("world", [2, 3])
def test_each_gets_what_all_gave_round_after_round(world: int) -> None:
    before = left()

    def work(member: Member) -> bool:
        machine, right = connected(member), True
        for turn in range(200):
            kind = (torch.float64, torch.float32, torch.int64)[turn % 3]
            own = torch.full((turn % 7, 3), 10 * turn + member.rank, dtype=kind)
            wanted = torch.stack([torch.full_like(own, 10 * turn + rank) for rank in range(world)])
            found = machine.gather(own)
            right &= found.dtype == kind and torch.equal(found, wanted)
        number = machine.gather(torch.tensor(float(member.rank)))  # of no dimension
        return right and number.tolist() == list(range(world))

    assert all(together(world, work))
    assert left() == before


def test_a_table_is_the_same_memory_for_all() -> None:
    def work(member: Member) -> torch.Tensor:
        machine = connected(member)
        table = shared_table(machine.asking, (2, 5), torch.float64)
        assert table is not None
        assert not table.any()
        machine.meet()
        table[member.rank] = member.rank + 1
        machine.meet()
        return table

    for table in together(2, work):
        assert table.tolist() == [[1.0] * 5, [2.0] * 5]


def test_who_waits_for_a_process_that_ended_is_told() -> None:
    def work(member: Member) -> str:
        machine = connected(member)
        if member.rank == 1:  # as the kernel does when a process ends
            for pipe in (*machine.inward, *machine.outward):
                os.close(pipe)
            return ""
        while True:  # a byte or two may still fit into the pipe
            try:
                machine.meet()
            except Unfinished as error:
                return error.message

    assert "another process" in together(2, work)[0]


def test_without_enough_shared_memory_all_go_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_number: int, _start: int, size: int) -> None:
        assert size > SLOT_BYTES
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    before = left()
    assert together(2, lambda member: OneMachine.of(asking(member))) == [None, None]
    assert left() == before

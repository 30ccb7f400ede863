"""A training step on a GPU waits for nothing, mixes no devices and starts few kernels; tried without a GPU.

The trainer's own step runs on tensors of PyTorch's `meta` device: they have a shape, a dtype and a device, and no
values, so that whatever asks for one (`item`, `float`, `bool`, a boolean index, `nonzero`, a copy to the CPU) is an
error, and so is an operation on tensors of two devices.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from gocell_cli.storage.reader import Cache
from gocell_cli.training.runs import processes, readings
from gocell_cli.training.runs.config import RunConfig
from gocell_cli.training.runs.optimiser import JoinedAdamW
from gocell_cli.training.runs.readings import Readings
from gocell_cli.training.runs.run import begin_run
from gocell_cli.training.runs.store import RunStore
from gocell_cli.training.runs.trainer import Clock, Trainer

pytest.importorskip("triton", reason="the GPU's kernels need Triton (pip install 'gocell[triton]')")

from gocell_cli.training.network.delta.gpu import levels

TINY = RunConfig(epochs=1, batch_size=32, min_width=2, ratio=0.0, population_samples=50, form="delta")
A_LEVEL = 8
"""Launches of ours a level, up and down together: the issue's bound is 12, PyTorch's included."""
AT_ONCE = 4
"""For all levels at once: heads, gradients of edges and of genes; and one to spare."""


class NoWaitingCopies(TorchDispatchMode):
    """An error for a copy from the CPU for which the CPU would wait: one that is not asked to be `non_blocking`."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        if func is torch.ops.aten._to_copy.default and args[0].device.type == "cpu" and args[0].dim():
            there = torch.device(named.get("device") or "cpu").type
            assert there == "cpu" or named.get("non_blocking"), "a copy to the device that the CPU waits for"
        return func(*args, **named)


class Foreach(JoinedAdamW):
    """As the trainer's, in PyTorch's operations: fused, as the trainer has it, knows no meta device."""

    def __init__(self, trainer: Trainer) -> None:
        torch.optim.AdamW.__init__(self, trainer.model.parameters(), lr=1e-3, foreach=True)
        self.processes, self.decay = trainer.processes, trainer.optimiser.decay


@contextmanager
def without_values(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[list[str], set[str]]]:
    """The trainer's network, optimiser and readings on the meta device; yields names and precisions of the kernels."""
    names, precisions = list[str](), set[str]()

    def record(kernel: Any, programs: int, *arguments: Any, **constants: Any) -> None:
        assert {a.device.type for a in arguments if isinstance(a, Tensor)} == {"meta"}
        if programs:
            names.append(getattr(kernel, "__name__", None) or kernel.fn.__name__)
            precisions.add(constants.get("PRECISION", "none"))

    monkeypatch.setattr(levels, "launch", record)
    assert trainer.model.delta is not None
    trainer.model.delta = replace(trainer.model.delta, backend="gpu")
    device = trainer.processes.device = torch.device("meta")
    trainer.model.to(device)
    trainer.optimiser = Foreach(trainer)
    trainer.seen, trainer.readings = trainer.seen.to(device), Readings(device)
    yield names, precisions


@pytest.fixture
def trainer(small_cache: Path, tmp_path: Path) -> Trainer:
    return begin_run(lambda: RunStore.reserve(tmp_path / "run"), Cache(small_cache), TINY)


@pytest.mark.parametrize("norm_order", ["bn-tanh", "tanh-bn"])
@pytest.mark.parametrize("precision", ["ieee", "tf32", "bf16"])
def test_a_step_waits_for_nothing(
    small_cache: Path, tmp_path: Path, norm_order: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each precision, TF32 as `--precision tf32` sets it: for the step alone."""
    config = replace(TINY, norm_order=norm_order, term_dropout=0.2)
    trainer = begin_run(lambda: RunStore.reserve(tmp_path / "run"), Cache(small_cache), config)
    trainer.batches = trainer.epoch_batches()
    assert trainer.model.delta is not None
    count = len(trainer.model.delta.gpu_index.level_ptr) - 1
    with without_values(trainer, monkeypatch) as (started, precisions):
        if precision == "tf32":
            trainer.processes.precision = precision
        else:
            trainer.model.delta = replace(trainer.model.delta, precision=precision)
        for number in range(2):
            step = trainer._ready(number)
            started.clear()
            with NoWaitingCopies() if number else nullcontext():  # the hierarchy goes there once, before the first step
                trainer._train(step, Clock())
                trainer._obey()
            assert list(trainer.readings.read()) == []  # it is not their turn: nobody waited
            assert A_LEVEL * (count - 1) < len(started) <= A_LEVEL * count + AT_ONCE
        # the interpreter, which the kernels are imported into here, has no product of bf16
        assert precisions == {"rounded" if precision == "bf16" else precision, "none"}
        assert torch.get_float32_matmul_precision() == "highest"


def test_a_step_of_several_processes_waits_for_nothing(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies on the device is joined there, what the CPUs know among them: the others' samples, who is to stop."""
    joined: list[tuple[str, str, Any]] = []

    def all_gather(found: list[Tensor], own: Tensor, group: Any = None) -> None:
        joined.append(("gather", own.device.type, group))
        for one in found:
            one.copy_(own)

    def all_reduce(own: Tensor, _operation: Any, group: Any = None) -> None:
        joined.append(("reduce", own.device.type, group))
        own.mul_(2)

    monkeypatch.setattr(processes.dist, "all_gather", all_gather)
    monkeypatch.setattr(processes.dist, "all_reduce", all_reduce)
    trainer.batches = trainer.epoch_batches()
    trainer.processes.world, trainer.processes.hosts = 2, "hosts"
    trainer.model.group = trainer.processes
    with without_values(trainer, monkeypatch) as (started, _):
        trainer._train(trainer._ready(0), Clock())
        joined.clear()
        with NoWaitingCopies():
            trainer._train(trainer._ready(1), Clock())
            trainer._obey()
    assert started
    assert {(kind, group) for _, kind, group in joined} == {("cpu", "hosts"), ("meta", None)}
    # once before the way up, and once at the end of the step
    assert [how for how, kind, _ in joined if kind == "cpu"] == ["gather", "reduce"]


def test_what_would_wait_is_noticed(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other test means something: a value that is asked for, another device and a copy back are errors there."""
    with without_values(trainer, monkeypatch):
        there = trainer.model.bias.detach()
        waits: list[Callable[[], Any]] = [
            there.cpu, there.tolist, there.numpy, there[0].item, there.nonzero, lambda: float(there[0]),
            lambda: bool(there[0] > 0), lambda: there[there > 0], lambda: there + torch.zeros(len(there)),
            lambda: torch.zeros(3).to("meta"),
        ]  # fmt: skip
        for wait in waits:
            with NoWaitingCopies(), pytest.raises((RuntimeError, NotImplementedError, TypeError, AssertionError)):
                wait()


def test_numbers_are_read_when_their_turn_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, each once, on the CPU at once; on a GPU LAG steps later, all of them where a run is saved."""
    at_once = Readings(torch.device("cpu"))
    at_once.add(3, 32, torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64))
    (found,) = at_once.read()
    assert (found.step, found.samples, found.losses.tolist(), found.norm) == (3, 32, [1.0, 2.0], 0.5)
    monkeypatch.setattr(readings, "LAG", 2)
    later = Readings(torch.device("meta"))
    seen = []
    for step in range(5):
        later.add(step, 1, torch.full((2,), float(step), dtype=torch.float64))
        seen.append([one.step for one in later.read()])
    assert seen == [[], [], [0], [1], [2]]
    assert [one.step for one in later.read(all_of_them=True)] == [3, 4]
    assert not list(later.read(all_of_them=True))


def test_a_loss_that_is_not_finite_is_named_by_its_own_step(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """However late it is read; and nothing of it is saved."""
    from gocell_cli.errors import Diverged

    monkeypatch.setattr(readings, "LAG", 3)
    trainer.readings = Readings(torch.device("meta"))
    numbers = torch.ones(5, dtype=torch.float64)
    for step, first in enumerate([1.0, 1.0, np.inf, 1.0]):
        trainer.readings.add(step, 32, torch.cat([numbers.new_tensor([first]), numbers[1:]]))
        trainer.step = step + 1
    trainer._take(trainer.readings.read())
    with pytest.raises(Diverged, match="epoch 1, step 3: the loss is inf"):
        trainer.save_last()
    assert not (trainer.store.directory / "last.safetensors").exists()

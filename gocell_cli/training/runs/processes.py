"""The processes of a run: one, or as many as torchrun started; joined by torch.distributed.

Every process holds the whole network and takes its share of each batch. What is summed over them (BatchNorm's moments
on the way up, their gradients on the way down, the weights' gradients at the end) makes a step the same as one
process's on the same global batch, whatever the shares' sizes.
"""

import atexit
import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64, Shaped

from gocell_cli.errors import UsageError
from gocell_cli.training.data.order import share
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.tf32 import float32_products
from gocell_cli.training.runs.devices import TF32, no_cuda, no_tf32
from gocell_cli.training.runs.one_machine import SLOT_BYTES, Asking, OneMachine

with train_extra():
    import torch
    import torch.distributed as dist
    from torch import Tensor

MIXED = "bf16-mixed"
TORCHRUN = ("RANK", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun tells each process besides WORLD_SIZE, LOCAL_RANK and LOCAL_WORLD_SIZE."""
PATIENCE = timedelta(minutes=30)
"""The longest that a process waits for the others; the first may fit baselines meanwhile."""


class Processes:
    """Rank, world, device and precision; and the sums over all processes."""

    def __init__(self, device: str, precision: str) -> None:
        self.world, local = (int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
        self.rank = int(os.environ.get("RANK", "0")) if self.world > 1 else 0
        self.device, self.precision = _own_device(device, local), precision
        if self.world > 1:
            _join(self.device)
        # what the CPU knows is joined by the CPUs: through the GPUs' group it would wait for all that they have to do
        self.hosts = dist.new_group(backend="gloo") if self.world > 1 and self.device.type != "cpu" else None
        self.dtype = torch.float64 if precision == "64-true" else torch.float32
        self.machine: OneMachine | None = None
        if self.world == local > 1 and self.device.type == "cpu":
            self.machine = OneMachine.of(Asking(self.rank, self.world, self.told, self.any))

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def require_precision(self) -> None:
        """Raise UsageError where training is to be in a precision that the device has not."""
        if self.precision != TF32:
            return
        if self.device.type != "cuda":
            raise no_tf32("a CPU" if self.device.type == "cpu" else self.device.type)
        if torch.cuda.get_device_capability(self.device) < (8, 0):
            raise no_tf32(torch.cuda.get_device_name(self.device))

    @contextmanager
    def products(self) -> Iterator[None]:
        """A training step's products, up and down: in TF32 where that is the precision, else as torch is set."""
        if self.precision != TF32:
            yield
            return
        with float32_products("tf32"):
            yield

    def autocast(self) -> AbstractContextManager[object]:
        """A step's way up: products in bfloat16 where the precision is mixed, else all in the network's own dtype."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.precision == MIXED else nullcontext()

    def reduce(self, tensor: Tensor, kind: str) -> None:
        """Join a tensor over all processes, in place: its sum, min or max."""
        if self._small(tensor):
            every = self.gather(tensor)
            tensor.copy_(every.sum(0) if kind == "sum" else every.amin(0) if kind == "min" else every.amax(0))
        elif self.world > 1:
            dist.all_reduce(tensor, getattr(dist.ReduceOp, kind.upper()), group=self._joining(tensor))

    def gather(self, tensor: Shaped[Tensor, "..."]) -> Shaped[Tensor, "processes ..."]:
        """Return the tensors of all processes, of one shape and dtype, in the order of their ranks."""
        if self.machine is not None and self._small(tensor):
            return self.machine.gather(tensor)
        own = tensor.contiguous()
        found = own.new_empty(self.world, *own.shape)
        # the list of views, not all_gather_into_tensor: older releases of PyTorch have that under another name
        dist.all_gather(list(found), own, group=self._joining(own))
        return found

    def _joining(self, tensor: Tensor) -> Any:
        """The group that joins a tensor where it lies; None: all processes' own, which is the device's."""
        return self.hosts if tensor.device.type == "cpu" else None

    def _small(self, tensor: Tensor) -> bool:
        """Whether a tensor goes from hand to hand in shared memory."""
        return self.machine is not None and tensor.numel() * tensor.element_size() <= SLOT_BYTES

    def summed(self, values: Float64[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
        """Return numbers summed over all processes."""
        tensor = torch.from_numpy(values.copy())
        self.reduce(tensor, "sum")
        return tensor.numpy()

    def any(self, flag: bool) -> bool:
        """Whether any process says so; each must ask."""
        return self.any_of(flag)[0]

    def any_of(self, *flags: bool) -> list[bool]:
        """Of each flag whether any process says so; each must ask. CPUs tell each other: no device is waited for."""
        if self.world == 1:
            return list(flags)
        return [total > 0 for total in self.summed(np.array(flags, dtype=np.float64)).tolist()]

    def told(self, outcome: Any) -> Any:
        """Return what the first process passed, whatever the others did."""
        found = [outcome]
        if self.world > 1:
            dist.broadcast_object_list(found, group=self.hosts)
        return found[0]

    def share(self, rows: Int64[np.ndarray, " rows"]) -> Int64[np.ndarray, " some"]:
        """Return this process's part of a batch; parts differ by one sample at most."""
        return share(rows, rank=self.rank, world=self.world)

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Sum the gradients over all processes: the losses were weighted by the processes' shares already."""
        for parameter in parameters:
            if parameter.grad is not None:
                self.reduce(parameter.grad, "sum")

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.world > 1:
            dist.barrier(group=self.hosts)


def _own_device(device: str, local: int) -> torch.device:
    """Return this process's device; `local` processes of the run are on this machine, each with a GPU of its own."""
    found = torch.cuda.device_count() if device != "cpu" and torch.cuda.is_available() else 0
    if device == "cuda" and not found:
        raise no_cuda()
    if not found:
        return torch.device("cpu")
    if local > found:
        hint = f"torchrun --nproc-per-node {found} ..., or --device cpu"
        raise UsageError(f"{local} processes, and torch finds {found} GPUs here", hint=hint)
    own = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) if local > 1 else 0)
    torch.cuda.set_device(own)
    return own


def _join(device: torch.device) -> None:
    """Join the processes that torchrun started; raises UsageError where it did not start this one."""
    missing = [name for name in TORCHRUN if name not in os.environ]
    if missing:
        raise UsageError(
            f"WORLD_SIZE asks for several processes, and {missing[0]} is not set",
            hint="torchrun --nproc-per-node N --no-python gocell train ..., or unset WORLD_SIZE",
        )
    if device.type == "cpu":
        dist.init_process_group("gloo", timeout=PATIENCE)
        return
    dist.init_process_group("nccl", timeout=PATIENCE, device_id=device)
    # PyTorch warns of a group on GPUs that nobody took apart
    atexit.register(dist.destroy_process_group)

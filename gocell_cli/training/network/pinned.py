"""Arrays in page-locked memory: a copy of them to a GPU does not make the CPU wait for the device."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int32

from gocell_cli.csr import pointers
from gocell_cli.training.extra import train_extra

with train_extra():
    import torch
    from torch import Tensor

ALIGNED = 4
"""32-bit integers: Triton compiles a kernel anew for a pointer that is not a multiple of 16 bytes."""


def packed(
    arrays: Mapping[str, np.ndarray], room: Mapping[str, int] | None = None
) -> tuple[Int32[Tensor, " ints"], dict[str, slice]]:
    """All arrays behind each other as 32-bit integers, in memory that a copy to a GPU need not wait for.

    room: so many more for others, which are not written yet.
    """
    sizes = {name: len(array) for name, array in arrays.items()} | dict(room or {})
    starts = pointers(np.array([-(-size // ALIGNED) * ALIGNED for size in sizes.values()], dtype=np.int64))
    ints = torch.empty(int(starts[-1]), dtype=torch.int32, pin_memory=torch.cuda.is_available())
    parts = {name: slice(at, at + sizes[name]) for name, at in zip(sizes, starts.tolist(), strict=False)}
    flat = ints.numpy()
    for name, array in arrays.items():
        flat[parts[name]] = array
    return ints, parts


def there(tensor: Tensor, device: torch.device) -> Tensor:
    """Move a tensor of the CPU's to a device without waiting for it: by way of page-locked memory where that is one."""
    pinned = device.type == "cuda" and torch.cuda.is_available()
    return (tensor.pin_memory() if pinned else tensor).to(device, non_blocking=True)

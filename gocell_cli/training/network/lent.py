"""Memory of a large table of a step, lent again at the next: 600 MB of child weights' gradient with preset `ma2018`."""

import weakref

import numpy as np

from gocell_cli.training.extra import train_extra

with train_extra():
    import torch
    from torch import Tensor


class LentTable:
    """Memory for one large gradient, or table of a pass, lent again once no tensor over it is left.

    `zero_grad` drops a gradient and the next step asks for the like of it: 600 MB given back to the system and taken
    anew, page by page, cost more than the product that writes them gains. A gradient that is still held (kept by the
    caller, or added up over several steps) keeps its memory, and the next one is new.
    """

    def __init__(self) -> None:
        self._memory: np.ndarray | None = None
        self._holder: weakref.ref[np.ndarray] | None = None

    def like(self, table: Tensor) -> Tensor:
        """Return a tensor of the shape and dtype of `table`; what it holds is arbitrary."""
        if table.device.type != "cpu" or table.dtype not in (torch.float32, torch.float64):
            return torch.empty_like(table)  # other devices' allocators keep what they free by themselves
        if self._holder is not None and self._holder() is not None:
            return torch.empty_like(table)
        wanted = np.dtype(np.float32 if table.dtype == torch.float32 else np.float64)
        if self._memory is None or (self._memory.shape, self._memory.dtype) != (table.shape, wanted):
            self._memory = np.empty(tuple(table.shape), dtype=wanted)
        # an array object of its own, which the tensor's storage holds and lets go of last; the memory lives on here
        lent = self._memory[:]
        self._holder = weakref.ref(lent)
        return torch.from_numpy(lent)

    # A copied or pickled model starts with none: it holds a step's numbers, nothing of the model.
    def __deepcopy__(self, memo: object) -> "LentTable":
        return LentTable()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return LentTable, ()

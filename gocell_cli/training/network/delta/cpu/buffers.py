"""The tables of a pass in the delta form, lent to it and used again when the pass that held them is gone.

Fresh memory costs a page fault for each 4 kB at every step: 170 MB of tables at 2,048 samples, a fifth of a step.
"""

import weakref
from collections.abc import Mapping

from gocell_cli.training.extra import train_extra

with train_extra():
    import torch
    from torch import Tensor

SPARE = 1.2
"""How much larger than asked for a table is made: the next batch's may be a little longer."""


class RowBuffers:
    """Flat tables by name, of one borrower at a time; a second one at once gets tables of its own."""

    def __init__(self) -> None:
        self._tables: dict[str, Tensor] = {}
        self._holder: weakref.ref[object] | None = None

    def borrow(self, holder: object, sizes: Mapping[str, int], dtype: torch.dtype) -> dict[str, Tensor]:
        """Return tables of these numbers of entries on the CPU, held until `holder` is gone; their content is any."""
        if self._holder is not None and self._holder() is not None:
            return {name: torch.empty(size, dtype=dtype) for name, size in sizes.items()}
        self._holder = weakref.ref(holder)
        for name, size in sizes.items():
            kept = self._tables.get(name)
            if kept is None or len(kept) < size or len(kept) > 4 * SPARE * size or kept.dtype != dtype:
                self._tables[name] = torch.empty(int(SPARE * size), dtype=dtype)
        return {name: self._tables[name][:size] for name, size in sizes.items()}

    def __deepcopy__(self, memo: object) -> "RowBuffers":
        return RowBuffers()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return RowBuffers, ()

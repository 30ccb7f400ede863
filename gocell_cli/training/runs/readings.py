"""Numbers of a step that stay on the device until it has had time to compute them: reading one at once would wait."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from gocell_cli.training.extra import train_extra

with train_extra():
    import torch
    from torch import Tensor

LAG = 8
"""Steps on a GPU after which a step's numbers are read: done long since, or the CPU has run so far ahead that it must
wait. The same in every process, whatever its pace, so that all of them notice a loss that is not finite at one step."""


@dataclass(frozen=True)
class Reading:
    """What a step gave: its number from 0, the samples of all processes, its losses and its gradient's norm."""

    step: int
    samples: int
    losses: Float64[np.ndarray, " losses"]
    norm: float


class Readings:
    """The last steps' numbers."""

    def __init__(self, device: torch.device) -> None:
        # a CPU has computed them when they are asked for
        self.lag = 0 if device.type == "cpu" else LAG
        self._waiting: deque[tuple[int, int, Tensor, Any]] = deque()

    def add(self, step: int, samples: int, numbers: Float64[Tensor, " losses_and_norm"]) -> None:
        """Take a step's losses, and behind them its gradient's norm, as they lie on the device."""
        event = None
        if numbers.device.type == "cuda":
            # read from page-locked memory by an event of this very copy: .cpu() would wait for all that follows, too
            here = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=torch.cuda.is_available())
            numbers = here.copy_(numbers, non_blocking=True)
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record()
        self._waiting.append((step, samples, numbers, event))

    def read(self, *, all_of_them: bool = False) -> Iterator[Reading]:
        """Yield the steps whose turn has come, in order; or all of them, waiting for the device."""
        while len(self._waiting) > (0 if all_of_them else self.lag):
            step, samples, numbers, event = self._waiting.popleft()
            if event is not None:
                event.synchronize()
            values = numbers.numpy()
            yield Reading(step, samples, values[:-1], float(values[-1]))

"""What a run tells of itself while it trains: progress after a step, seconds by kind of work after an epoch."""

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """What a progress bar shows after a step."""

    epoch: int
    epochs: int
    step: int
    steps: int
    samples_per_second: float
    loss: float
    validation_pearson: float | None


@dataclass
class Clock:
    """Seconds spent in each kind of work during an epoch."""

    load: float = 0.0
    model: float = 0.0
    optimiser: float = 0.0
    metrics: float = 0.0
    _since: float = 0.0

    def start(self) -> None:
        """Begin to count."""
        self._since = time.perf_counter()

    def lap(self, kind: str) -> None:
        """Give the time since the last lap to one kind of work."""
        now = time.perf_counter()
        setattr(self, kind, getattr(self, kind) + now - self._since)
        self._since = now

    def seconds(self) -> dict[str, float]:
        """Seconds by kind."""
        return {kind: round(getattr(self, kind), 4) for kind in ("load", "model", "optimiser", "metrics")}

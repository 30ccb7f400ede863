"""The orders that terms may be ranked by, and what is left out of them: plain values, which a command checks first."""

import math
from dataclasses import dataclass

ORDERS = ("excess", "power", "difference", "rlipp")
LEAST_ACTIVATIONS = 3
"""Two are a gene and its deletion: that says something of a gene, and nothing of a term."""
ALIKE = "no two of the samples used differ in its genes"
FEW = "fewer distinct activations than the least"
WEAK = "power below the least"
REASONS = (ALIKE, FEW, WEAK)
"""Why a term is not ranked."""


@dataclass(frozen=True)
class Cutoffs:
    """Least power and least number of distinct activations of a term that is ranked.

    power None: what chance alone exceeds in one term of twenty, 1.645 / sqrt(samples - 1), samples those that judge.
    """

    power: float | None = None
    activations: int = LEAST_ACTIVATIONS

    def power_for(self, samples: int) -> float:
        """The least power over so many samples."""
        # under no association a rank correlation has variance 1 / (samples - 1), whatever the ties
        return self.power if self.power is not None else 1.645 / math.sqrt(samples - 1)

    def reason(self, activations: int, power: float, least: float) -> str | None:
        """Why a term is left out, None where it is not; power NaN: none."""
        if activations < 2:
            return ALIKE
        if activations < self.activations:
            return FEW
        return None if power >= least else WEAK

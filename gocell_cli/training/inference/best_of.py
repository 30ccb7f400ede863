"""The N genotypes of most that one looks for: kept while all others go by, in memory of N rows."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gocell_cli.training.inference.requests import EPSILON, TAU, require_ranking

LOWEST, HIGHEST = "lowest", "highest"
RANKINGS = (LOWEST, HIGHEST, EPSILON, TAU)
"""By the predicted phenotype from either end, or by the size of an interaction, whatever its sign."""


@dataclass(frozen=True)
class Ranking:
    """Which rows are kept: `most` of them, by one of RANKINGS of a phenotype `kind`."""

    most: int
    by: str
    kind: str

    def __post_init__(self) -> None:
        require_ranking(self.by, self.kind)

    @property
    def column(self) -> str:
        """The column that rows are ranked by."""
        return self.by if self.by in (EPSILON, TAU) else self.kind

    def kept(self, table: pa.Table) -> pa.Table:
        """Return the first rows, the first of equal ones first; a row without the number is never among them."""
        table = table.filter(pc.is_valid(table.column(self.column)))
        value = table.column(self.column).to_numpy().astype(np.float64)
        size = value if self.by == LOWEST else -value if self.by == HIGHEST else -np.abs(value)
        if len(size) > 8 * self.most:  # no full sort where few of many are kept; ties of the last stay in
            near = np.flatnonzero(size <= np.partition(size, self.most - 1)[self.most - 1])
        else:
            near = np.arange(len(size))
        return table.take(pa.array(near[np.argsort(size[near], kind="stable")][: self.most]))

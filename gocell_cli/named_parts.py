"""What a table says of a split, row by row: `sources/screens` reads it, `training/data` matches it to samples."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int8, Int32, Int64

ANY_ROW = -1
"""A row of the table that means all rows of its genotype."""


@dataclass(frozen=True)
class NamedParts:
    """Rows of a file: the part that each names (0 train, 1 validation, 2 test, -1 none), and whose that is.

    Row i is of the sample with the number `sample[i]`, or, where that is None, of the samples that delete just
    `genes[gene_ptr[i]:gene_ptr[i + 1]]` (ascending). Where the part is -1 and of several samples of a genotype one is
    meant, `source_row[i]` says which, by the row of its data set; ANY_ROW for all of them.
    """

    path: Path
    line: Int64[np.ndarray, " rows"]
    part: Int8[np.ndarray, " rows"]
    sample: Int64[np.ndarray, " rows"] | None
    gene_ptr: Int64[np.ndarray, " rows_plus_1"]
    genes: Int32[np.ndarray, " deletions"]
    source_row: Int64[np.ndarray, " rows"]

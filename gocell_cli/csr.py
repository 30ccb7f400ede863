"""Lists of unequal length in two flat arrays (compressed sparse rows): list i is `values[ptr[i]:ptr[i + 1]]`.

One leaf for the idioms that go wrong by one: where each list begins, and the places of many lists at once.
"""

import numpy as np
from jaxtyping import Int64, Integer


def pointers(counts: Integer[np.ndarray, " lists"]) -> Int64[np.ndarray, " lists_plus_1"]:
    """Return where each list begins, and the end of the last: 0 and the running sum of the lists' lengths.

    Always int64: the sums pass 2^31 long before the lengths do.
    """
    found = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=found[1:])
    return found


def ranges(
    starts: Integer[np.ndarray, " ranges"], counts: Integer[np.ndarray, " ranges"]
) -> tuple[Int64[np.ndarray, " values"], Int64[np.ndarray, " values"]]:
    """Return the numbers of many ranges one after another: (owner, value), value from starts[owner] on, ascending.

    `ranges([7, 0], [2, 3])` is `([0, 0, 1, 1, 1], [7, 8, 0, 1, 2])`. With starts `ptr[rows]` and counts
    `ptr[rows + 1] - ptr[rows]`, value is where the lists at `rows` stand. A range may be empty; no loop in Python.
    """
    owner = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    # the running number of a value, less that of its range's first, is its place in the range
    shift = starts.astype(np.int64) - pointers(counts)[:-1]
    return owner, np.arange(len(owner), dtype=np.int64) + shift[owner]

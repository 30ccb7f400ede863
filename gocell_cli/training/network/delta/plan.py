"""The plan of a batch in the delta form: which rows are distinct, and which row of a child each parent row reads.

A row of term t is a set of deleted genes that t contains (algebra 2 and 4): row 0 is the wild type, the others stand
for the samples that agree on them, `weight` says how many. A parent row reads a child's row only where the child
contains one of its genes.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int32, Int64

from gocell_cli.training.network.delta import plan_kernels as kernels
from gocell_cli.training.network.delta.index import DeltaIndex


@dataclass(frozen=True)
class DeltaPlan:
    """Rows of terms, what each reads and lacks, and the (term, sample) pairs that they stand for.

    Term t has rows term_start[t]:term_start[t + 1], the wild type first; row r stands for weight[r] samples. Row r
    reads row read_row[i] (counted from the child's wild type) over edge read_edge[i] of the index, i in
    read_ptr[r]:read_ptr[r + 1]; the wild type reads every child's. It has lost the term-gene rows
    lost[lost_ptr[r]:lost_ptr[r + 1]]. Pairs ascend by (term, sample): sample pair_sample touches term pair_term, its
    row is pair_row.
    """

    samples: int
    term_start: Int64[np.ndarray, " terms_plus_1"]
    weight: Float64[np.ndarray, " rows"]
    read_ptr: Int64[np.ndarray, " rows_plus_1"]
    read_edge: Int32[np.ndarray, " reads"]
    read_row: Int32[np.ndarray, " reads"]
    lost_ptr: Int64[np.ndarray, " rows_plus_1"]
    lost: Int64[np.ndarray, " lost"]
    pair_term: Int64[np.ndarray, " pairs"]
    pair_sample: Int64[np.ndarray, " pairs"]
    pair_row: Int64[np.ndarray, " pairs"]

    @cached_property
    def term(self) -> Int64[np.ndarray, " rows"]:
        """Whose row each row is."""
        return np.repeat(np.arange(len(self.term_start) - 1), np.diff(self.term_start))

    @cached_property
    def varies(self) -> Int64[np.ndarray, " terms"]:
        """1 where a term's rows differ between the samples, 0 where one row stands for all of them."""
        counted = np.add.reduceat((self.weight > 0).astype(np.int64), self.term_start[:-1])
        return (counted > 1).astype(np.int64)


def make_plan(
    index: DeltaIndex, sample: Int64[np.ndarray, " deletions"], gene: Int64[np.ndarray, " deletions"], samples: int
) -> DeltaPlan:
    """Plan a batch of deletions, sorted by (sample, gene), each once."""
    entry_ptr, entry_sample, entry_pair = kernels.entries_by_term(
        sample, gene, index.closure_ptr, index.closure, index.terms
    )
    pairs, term_start, count, first, size, lead = kernels.rows_by_term(
        entry_ptr, entry_sample, entry_pair, len(index.closure)
    )
    weight = count.astype(np.float64)
    weight[term_start[:-1]] = samples - np.bincount(pairs[0], minlength=index.terms)
    read_ptr, read_edge, read_row = kernels.reads_by_row(
        pairs, samples, term_start, lead, (index.parent_ptr, index.parent_edge, index.parent)
    )
    lost_ptr, lost = kernels.lost_genes(first, size, entry_pair, index.closure_row)
    return DeltaPlan(samples, term_start, weight, read_ptr, read_edge, read_row, lost_ptr, lost, *pairs)

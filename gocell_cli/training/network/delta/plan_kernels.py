"""Compiled loops that plan a batch: sorts by counting, one pass over the (term, sample) pairs each.

Plain loops because NumPy's sorts and gathers of 260,000 pairs took 97 ms a batch of 2048 triples, a third of a step.
"""

from typing import no_type_check

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.compiling import compiled, parallel

with train_extra():
    import numpy as np
    from numba import get_num_threads, prange


@compiled
@no_type_check
def entries_by_term(sample, gene, closure_ptr, closure, terms):
    """Sort what each deletion touches by (term, deletion): entry_ptr [terms + 1], its sample, its closure pair."""
    entry_ptr = np.zeros(terms + 1, np.int64)
    for g in gene:
        for pair in range(closure_ptr[g], closure_ptr[g + 1]):
            entry_ptr[closure[pair] + 1] += 1
    for term in range(terms):
        entry_ptr[term + 1] += entry_ptr[term]
    at = entry_ptr[:-1].copy()
    entry_sample = np.empty(entry_ptr[-1], np.int32)
    entry_pair = np.empty(entry_ptr[-1], np.int32)
    for i in range(len(gene)):
        for pair in range(closure_ptr[gene[i]], closure_ptr[gene[i] + 1]):
            where = at[closure[pair]]
            entry_sample[where] = sample[i]
            entry_pair[where] = pair
            at[closure[pair]] = where + 1
    return entry_ptr, entry_sample, entry_pair


@compiled
@no_type_check
def _hashed(entry_pair, start, stop):
    """64 bits of a set of genes (splitmix64's finish, summed)."""
    found = np.uint64(0)
    for i in range(start, stop):
        x = (np.uint64(entry_pair[i]) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        found += x ^ (x >> np.uint64(27))
    return found


@compiled
@no_type_check
def _same(entry_pair, start, other, size):
    """Whether two runs of entries are equal."""
    for i in range(size):
        if entry_pair[start + i] != entry_pair[other + i]:
            return False
    return True


@compiled
@no_type_check
def rows_by_term(entry_ptr, entry_sample, entry_pair, pairs_of_closure):
    """Join a (term, sample)'s entries into a pair, and pairs with equal genes into a row; the wild type's comes first.

    Sets of genes are compared, not only their hashes. Returns pair_term, pair_sample, pair_row; and of rows: term_start
    [terms + 1], how many pairs each stands for, its first entry and its entries, and the sample that leads it (-1: the
    wild type's).
    """
    terms, entries = len(entry_ptr) - 1, len(entry_sample)
    pair_term, pair_sample = np.empty(entries, np.int64), np.empty(entries, np.int64)
    pair_row = np.empty(entries, np.int64)
    term_start = np.zeros(terms + 1, np.int64)
    count, first = np.zeros(entries + terms, np.int64), np.zeros(entries + terms, np.int64)
    size, lead = np.zeros(entries + terms, np.int32), np.full(entries + terms, -1, np.int32)
    slots = 2 ** int(np.ceil(np.log2(2 * entries + 2)))
    alone, table = np.full(pairs_of_closure, -1, np.int32), np.full(slots, -1, np.int32)
    pair, row = 0, 0
    for term in range(terms):
        term_start[term] = row
        row += 1
        i, stop = entry_ptr[term], entry_ptr[term + 1]
        while i < stop:
            j = i + 1
            while j < stop and entry_sample[j] == entry_sample[i]:
                j += 1
            own, at = -1, 0
            if j == i + 1:
                own = alone[entry_pair[i]]
            else:
                at = np.int64(_hashed(entry_pair, i, j) & np.uint64(slots - 1))
                while table[at] >= 0:
                    other = table[at]
                    if size[other] == j - i and _same(entry_pair, i, first[other], j - i):
                        own = other
                        break
                    at = (at + 1) & (slots - 1)
            if own < 0:
                own, row = row, row + 1
                first[own], size[own], lead[own] = i, j - i, entry_sample[i]
                if j == i + 1:
                    alone[entry_pair[i]] = own
                else:
                    table[at] = own
            count[own] += 1
            pair_term[pair], pair_sample[pair], pair_row[pair] = term, entry_sample[i], own
            pair, i = pair + 1, j
    term_start[terms] = row
    pairs = (pair_term[:pair], pair_sample[:pair], pair_row[:pair])
    return pairs, term_start, count[:row], first[:row], size[:row], lead[:row]


@compiled
@no_type_check
def _by_sample(pair_sample, samples):
    """The pairs of each sample, as CSR."""
    ptr = np.zeros(samples + 1, np.int64)
    for s in pair_sample:
        ptr[s + 1] += 1
    for s in range(samples):
        ptr[s + 1] += ptr[s]
    at, found = ptr[:-1].copy(), np.empty(len(pair_sample), np.int32)
    for pair in range(len(pair_sample)):
        s = pair_sample[pair]
        found[at[s]] = pair
        at[s] += 1
    return ptr, found


@parallel
@no_type_check
def _visit(pairs, own, cuts, bounds, term_start, lead, parent_ptr, parent_edge, parents, reads):
    """Find each read once, by the sample that leads its row: the row, the edge, and the child's row.

    Samples cuts[i]:cuts[i + 1] are one task's, which writes from bounds[i] on; returns how many each has found.
    """
    pair_term, _, pair_row = pairs
    sample_ptr, of_sample = own
    reader, edge, child_row = reads
    counts = np.zeros(len(cuts) - 1, np.int64)
    for task in prange(len(cuts) - 1):
        mine, found = np.empty(len(term_start) - 1, np.int32), bounds[task]
        for s in range(cuts[task], cuts[task + 1]):
            first, last = sample_ptr[s], sample_ptr[s + 1]
            for at in range(first, last):
                mine[pair_term[of_sample[at]]] = pair_row[of_sample[at]]
            for at in range(first, last):
                child, row_of_child = pair_term[of_sample[at]], pair_row[of_sample[at]]
                for i in range(parent_ptr[child], parent_ptr[child + 1]):
                    row = mine[parents[i]]
                    if lead[row] == s:
                        reader[found], edge[found] = row, parent_edge[i]
                        child_row[found] = row_of_child - term_start[child]
                        found += 1
        counts[task] = found - bounds[task]
    return counts


@compiled
@no_type_check
def _sort_reads(reads, bounds, counts, term_start, parent, rows):
    """Sort reads by their row, after the wild type's of every child."""
    reader, edge, child_row = reads
    read_ptr = np.zeros(rows + 1, np.int64)
    for e in range(len(parent)):
        read_ptr[term_start[parent[e]] + 1] += 1
    for task in range(len(counts)):
        for i in range(bounds[task], bounds[task] + counts[task]):
            read_ptr[reader[i] + 1] += 1
    for row in range(rows):
        read_ptr[row + 1] += read_ptr[row]
    at = read_ptr[:-1].copy()
    read_edge, read_row = np.empty(read_ptr[-1], np.int32), np.empty(read_ptr[-1], np.int32)
    for e in range(len(parent)):
        row = term_start[parent[e]]
        read_edge[at[row]], read_row[at[row]] = e, 0
        at[row] += 1
    for task in range(len(counts)):
        for i in range(bounds[task], bounds[task] + counts[task]):
            where = at[reader[i]]
            read_edge[where], read_row[where] = edge[i], child_row[i]
            at[reader[i]] = where + 1
    return read_ptr, read_edge, read_row


def reads_by_row(
    pairs: tuple[np.ndarray, ...],
    samples: int,
    term_start: np.ndarray,
    lead: np.ndarray,
    links: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return read_ptr [rows + 1], and of each read the edge and the child's row, counted from its wild type's.

    `links`: the index's parent_ptr, parent_edge and parent.
    """
    parent_ptr, parent_edge, parent = links
    own = _by_sample(pairs[1], samples)
    most = np.concatenate([[0], np.cumsum(np.diff(parent_ptr)[pairs[0][own[1]]])])
    cuts = np.searchsorted(own[0], np.linspace(0, own[0][-1], get_num_threads() + 1))
    cuts[0], cuts[-1] = 0, samples
    bounds = most[own[0][cuts]]
    reads = tuple(np.empty(most[-1], np.int32) for _ in range(3))
    counts = _visit(pairs, own, cuts, bounds, term_start, lead, parent_ptr, parent_edge, parent[parent_edge], reads)
    found: tuple[np.ndarray, np.ndarray, np.ndarray] = _sort_reads(reads, bounds, counts, term_start, parent, len(lead))
    return found


@compiled
@no_type_check
def lost_genes(first, size, entry_pair, closure_row):
    """Return lost_ptr [rows + 1], and the term-gene rows that each row has lost."""
    rows = len(first)
    ptr, found = np.zeros(rows + 1, np.int64), np.empty(len(entry_pair), np.int64)
    at = 0
    for row in range(rows):
        for i in range(first[row], first[row] + size[row]):
            if closure_row[entry_pair[i]] >= 0:
                found[at] = closure_row[entry_pair[i]]
                at += 1
        ptr[row + 1] = at
    return ptr, found[:at]

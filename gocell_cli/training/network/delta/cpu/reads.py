"""Compiled: what a term's rows read, and the way back. `rows`: products [slots, width], reads and lost genes.

Row r reads the slots read_slot[i] of its run's products, i in read_ptr[r]:read_ptr[r + 1], and has lost the genes whose
first piece is lost_piece[i]; a term's gene pieces are `step` rows of the table apart, block after block. `at`: the
term, its first row of all, and the neurons [lo, hi) that d or g are.
"""

from typing import no_type_check

from gocell_cli.training.network.delta.compiling import compiled


@compiled
@no_type_check
def add_up(d, at, rows, genes, step, direction):
    """Set d to what each row reads, less the genes that it has lost."""
    products, read_ptr, read_slot, lost_ptr, lost_piece = rows
    term, row, lo, hi = at
    piece = genes.shape[1]
    for r in range(len(d)):
        own = d[r]
        own[:] = 0
        for i in range(read_ptr[row + r], read_ptr[row + r + 1]):
            read = products[read_slot[i], lo:hi]
            for k in range(len(own)):
                own[k] += read[k]
        for i in range(lost_ptr[row + r], lost_ptr[row + r + 1]):
            for b in range(lo // piece, hi // piece):
                part, gene = own[b * piece - lo : (b + 1) * piece - lo], genes[lost_piece[i] + b * step]
                for k in range(len(part)):
                    part[k] -= gene[k]
            if len(direction):
                own += direction[term, lo:hi]


@compiled
@no_type_check
def scatter(g, at, rows, slots, genes, step, direction):
    """Hand dz of each row to the products that it read and, negated, to the genes that it has lost.

    The term's products, slots[0]:slots[1], are set to what all of its rows add up to.
    """
    products, read_ptr, read_slot, lost_ptr, lost_piece = rows
    term, row, lo, hi = at
    piece = genes.shape[1]
    products[slots[0] : slots[1], lo:hi] = 0
    for r in range(len(g)):
        own = g[r]
        for i in range(read_ptr[row + r], read_ptr[row + r + 1]):
            read = products[read_slot[i], lo:hi]
            for k in range(len(own)):
                read[k] += own[k]
        for i in range(lost_ptr[row + r], lost_ptr[row + r + 1]):
            for b in range(lo // piece, hi // piece):
                part, gene = own[b * piece - lo : (b + 1) * piece - lo], genes[lost_piece[i] + b * step]
                for k in range(len(part)):
                    gene[k] -= part[k]
            if len(direction):
                slope = direction[term, lo:hi]
                slope += own

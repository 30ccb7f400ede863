"""The distinct variants of every term among some samples: which of the term's genes each sample deletes.

A term's activations are a function of these alone, so all that is said of a term is computed once a variant, and equal
samples are equal to the bit, whatever a network's rounding made of them.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32, Int64

from gocell_cli.csr import pointers, ranges
from gocell_cli.storage.schema import Hierarchy


@dataclass(frozen=True)
class TermVariants:
    """Of term t, `sample[ptr[t]:ptr[t + 1]]` are the samples that delete a gene of it, `variant` the variant of each.

    A term's variants are numbered from 1; 0 is the intact one, of all other samples.
    """

    samples: int
    ptr: Int64[np.ndarray, " terms_plus_1"]
    sample: Int64[np.ndarray, " touches"]
    variant: Int64[np.ndarray, " touches"]

    @classmethod
    def of(
        cls,
        hierarchy: Hierarchy,
        gene_ptr: Int64[np.ndarray, " samples_plus_1"],
        genes: Int32[np.ndarray, " deletions"],
    ) -> "TermVariants":
        """Find the variants of samples that delete `genes[gene_ptr[i]:gene_ptr[i + 1]]`, ascending."""
        samples, terms = len(gene_ptr) - 1, len(hierarchy.term_ids)
        ptr, term = hierarchy.closure
        deletion, place = ranges(ptr[genes], ptr[1:][genes] - ptr[genes])
        owner = np.repeat(np.arange(samples), np.diff(gene_ptr))[deletion]
        # a touch is a term and a sample; its genes are put together one by one, each time the pairs of what there was
        # and the next gene are numbered anew: the number of a touch says which genes they were
        touch, of_touch = np.unique(term[place].astype(np.int64) * samples + owner, return_inverse=True)
        order = np.argsort(of_touch, kind="stable")
        gene, counts = genes[deletion][order].astype(np.int64), np.bincount(of_touch, minlength=len(touch))
        start, found = pointers(counts)[:-1], touch // samples
        for number in range(int(counts.max(initial=0))):
            more = counts > number
            next_gene = np.zeros(len(touch), dtype=np.int64)
            next_gene[more] = gene[start[more] + number] + 1
            found = np.unique(found * (len(ptr) + 1) + next_gene, return_inverse=True)[1]
        of_term = pointers(np.bincount(touch // samples, minlength=terms))
        # numbers ascend with the term, so each term's are a range of their own
        first = np.zeros(terms, dtype=np.int64)
        first[touch // samples] = np.iinfo(np.int64).max
        np.minimum.at(first, touch // samples, found)
        return cls(samples, of_term, touch % samples, found - first[touch // samples] + 1)

    def of_term(self, term: int) -> Int64[np.ndarray, " samples"]:
        """Return the variant of each sample."""
        found = np.zeros(self.samples, dtype=np.int64)
        here = slice(self.ptr[term], self.ptr[term + 1])
        found[self.sample[here]] = self.variant[here]
        return found

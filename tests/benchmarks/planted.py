"""Planted phenotypes: real genotypes, and a value that acts through one term alone.

Genotypes: SAMPLES of the pairs of Collins 2007 (doi:10.1038/nature05649), drawn at random; without that file, of the
simulated panel. A term is drawn for each of five classes of size (the screen's genes that it contains: SIZES) and, in
each, for the lower and the upper half of the depths (longest path from the root) of that class's terms. Terms of one
class take turns in the mechanism:

    any       a strain that deletes any of the term's genes is sick
    rescue    a strain that deletes one of them is sick, one that deletes two is well: the second deletion rescues

Asked for by itself (`both=True`), of the classes of BOTH_SIZES:

    both      a strain that deletes two of the term's genes is sick, one that deletes one is well

of smaller terms hardly a strain of a screen of pairs lacks two genes.

The value is -1 for a sick strain and 0 else, plus normal noise that makes half of the variance (NOISE). No network can
correlate with it better than sqrt(1 - NOISE) = 0.71.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float64, Int64
from scipy.sparse import csr_matrix

from gocell_cli.storage.schema import Hierarchy, Samples

SAMPLES = 10_000
SIZES = (4, 8, 16, 32, 64, 128)
"""Bounds of the classes of size: a term of 4 to 7 of the screen's genes, of 8 to 15 ..."""
MECHANISMS = ("any", "rescue")
BOTH, BOTH_SIZES = "both", (64, 128, 256)
NOISE = 0.5
ALIKE = 0.8
"""Jaccard index of the screen's genes from which two terms are nearly the same."""


@dataclass(frozen=True)
class Planted:
    """A term, and how the phenotype acts through it; `genes` are the screen's genes in it."""

    term: int
    genes: int
    depth: int
    mechanism: str


def contained(hierarchy: Hierarchy, genes: Int64[np.ndarray, " screen"]) -> csr_matrix:
    """Which terms contain each of the screen's genes: 0 and 1, [screen, terms]."""
    ptr, terms = hierarchy.closure
    return csr_matrix((np.ones(len(terms)), terms, ptr), shape=(len(ptr) - 1, len(hierarchy.term_ids)))[genes]


def draw(hierarchy: Hierarchy, samples: Samples, seed: int, *, both: bool = False) -> list[Planted]:
    """Draw a term for each class of size and half of depth; with `both` they act where two of their genes are gone."""
    rng = np.random.default_rng((seed, 0))
    sizes = np.asarray(contained(hierarchy, np.unique(samples.genes)).sum(0)).ravel().astype(int)
    found = []
    for least, most in pairwise(BOTH_SIZES if both else SIZES):
        terms = np.flatnonzero((sizes >= least) & (sizes < most))
        order = terms[np.lexsort((rng.random(len(terms)), hierarchy.stratum[terms]))]
        half = len(order) // 2
        first = int(rng.integers(2))
        for number, part in enumerate((order[:half], order[half:])):
            term = int(rng.choice(part))
            mechanism = BOTH if both else MECHANISMS[(first + number) % 2]
            found.append(Planted(term, int(sizes[term]), int(hierarchy.stratum[term]), mechanism))
    return found


def phenotype(hierarchy: Hierarchy, samples: Samples, planted: Planted, seed: int) -> Float64[np.ndarray, " samples"]:
    """The value of each strain."""
    ptr, terms = hierarchy.closure
    inside = np.bincount(np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))[terms == planted.term], minlength=len(ptr))
    gone = np.add.reduceat(inside[samples.genes], samples.gene_ptr[:-1])
    sick = {"any": gone >= 1, "rescue": gone == 1, BOTH: gone >= 2}[planted.mechanism]
    noise = np.random.default_rng((seed, 1, planted.term)).normal(size=len(samples))
    found: np.ndarray = noise * np.sqrt(NOISE / (1 - NOISE)) * sick.std() - sick
    return found

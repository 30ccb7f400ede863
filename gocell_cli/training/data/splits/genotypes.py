"""Which samples are of one genotype, and numbers that are the genotype's own in every cache."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from jaxtyping import Int64, Integer, UInt64

MOST_CODE = np.iinfo(np.int64).max


def genotype_codes(
    gene_ptr: Int64[np.ndarray, " genotypes_plus_1"], genes: Integer[np.ndarray, " deletions"]
) -> Int64[np.ndarray, " genotypes"]:
    """Return a number for each genotype, equal where the genes are: genotype i is genes[gene_ptr[i]:gene_ptr[i + 1]].

    Genes ascend within a genotype. Numbers of two calls cannot be compared: join what is to be compared.
    """
    counts = np.diff(gene_ptr)
    base = int(genes.max(initial=-1)) + 2
    code, largest = np.zeros(len(counts), dtype=np.int64), 0
    for place in range(int(counts.max(initial=0))):
        if (largest + 1) * base > MOST_CODE:  # five genes of 6,604 do not fit an int64: numbered anew
            code = np.unique(code, return_inverse=True)[1].reshape(-1).astype(np.int64)
            largest = len(code)
        has = counts > place
        # the digits of a number in this base; 0 where the genotype has no gene any more
        code *= base
        code[has] += genes[gene_ptr[:-1][has] + place] + 1
        largest = (largest + 1) * base
    return code


def are_distinct(codes: Int64[np.ndarray, " genotypes"]) -> bool:
    """Whether no two genotypes are the same."""
    # caches are sorted by genotype, so that a look at neighbours usually does
    step = np.diff(codes)
    if (step > 0).all():
        return True
    if (step == 0).any():
        return False
    return len(np.unique(codes)) == len(codes)


def genotype_keys(
    gene_ptr: Int64[np.ndarray, " genotypes_plus_1"],
    genes: Integer[np.ndarray, " deletions"],
    names: Sequence[str],
    salt: str,
) -> UInt64[np.ndarray, " genotypes"]:
    """Return a number for each genotype, random, of its genes' names and the salt alone: the same in every cache.

    Two of 20 million genotypes share one with probability 1e-5.
    """
    own = np.array(
        [int.from_bytes(blake2b(f"{salt}\0{name}".encode(), digest_size=8).digest(), "little") for name in names],
        dtype=np.uint64,
    )
    # sums of lists as differences of a running sum, which wraps around at 2^64 and does no harm by it
    running = np.zeros(len(genes) + 1, dtype=np.uint64)
    if len(genes):
        np.cumsum(own[genes], out=running[1:])
    return mixed(running[gene_ptr[1:]] - running[gene_ptr[:-1]])


def mixed(keys: UInt64[np.ndarray, " n"]) -> UInt64[np.ndarray, " n"]:
    """Return numbers whose every bit depends on every bit of a key: splitmix64's end (10.1145/2660193.2660195)."""
    found = keys + np.uint64(0x9E3779B97F4A7C15)
    found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return found ^ (found >> np.uint64(31))

"""What the hierarchy says of genes, as numbers: which terms contain them, how alike two genes are, short vectors.

Every term that contains a gene counts by its information content, -log(share of the genes it contains) (Resnik 1995,
arXiv:cmp-lg/9511007): the root says nothing, a complex of four much.
"""

import numpy as np
from jaxtyping import Float64, Int64

from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.baselines.samples import Known, NotApplicable, require_room
from gocell_cli.training.extra import train_extra

with train_extra():
    from scipy.sparse import csr_matrix

SPARE, SWEEPS = 10, 12
"""Directions beside those wanted, and iterations, after which the wanted ones stand still."""


def memberships(hierarchy: Hierarchy) -> csr_matrix:
    """Return [genes, terms]: the information content of each term that contains the gene, rows of length 1 or 0."""
    genes, terms = len(hierarchy.gene_names), len(hierarchy.term_ids)
    closure = hierarchy.closure
    size = np.bincount(closure.term, minlength=terms)
    content = np.log(genes / np.maximum(size, 1))
    found = csr_matrix((content[closure.term], closure.term, closure.ptr), shape=(genes, terms))
    length = np.sqrt(np.asarray(found.multiply(found).sum(axis=1)).ravel())
    owner = np.repeat(np.arange(genes), np.diff(closure.ptr))
    found.data = found.data / np.where(length > 0, length, 1.0)[owner]
    return found


def memberships_of(known: Known) -> csr_matrix:
    """Return `memberships` of what is known, made once."""
    found: csr_matrix = known.once("memberships", lambda: memberships(known.hierarchy))
    return found


def alike(terms: csr_matrix, a: Int64[np.ndarray, " a"], b: Int64[np.ndarray, " b"]) -> Float64[np.ndarray, "a b"]:
    """Cosine of the weighted terms of genes `a` with those of genes `b`; raises NotApplicable where it has no room."""
    require_room(24.0 * len(a) * len(b), f"similarities of {len(a):,} x {len(b):,} genes")
    found: np.ndarray = (terms[a] @ terms[b].T).toarray()
    return found


def vectors(terms: csr_matrix, size: int) -> Float64[np.ndarray, "genes size"]:
    """Return the first principal coordinates of genes by their terms, `size` or fewer, each of mean square 1.

    A gene without terms has 0. Raises NotApplicable where terms tell no gene apart.
    """
    size = min(size, min(terms.shape) - 1)
    if size < 1 or not np.any(terms.data):
        raise NotApplicable("no term of the hierarchy tells genes apart")
    # subspace iteration (Halko, Martinsson and Tropp 2011, doi:10.1137/090771806): ARPACK draws vectors where
    # singular values are equal, from a state that the whole process shares, and two calls would differ
    draws = np.random.default_rng(0).normal(size=(terms.shape[1], min(size + SPARE, *terms.shape)))
    for _ in range(SWEEPS):
        draws = np.linalg.qr(terms.T @ (terms @ draws))[0]
    u, values, _ = np.linalg.svd(terms @ draws, full_matrices=False)
    u = u[:, :size][:, values[:size] > 1e-9 * values.max()]
    # a singular vector's sign is the library's whim: its largest entry is made positive
    sign = np.where(u[np.abs(u).argmax(axis=0), np.arange(u.shape[1])] < 0, -1.0, 1.0)
    found: np.ndarray = u * sign * np.sqrt(len(u))
    return found

"""What the hierarchy says of genes, as numbers: which terms contain them, how alike two genes are, short vectors.

Every term that contains a gene counts by its information content, -log(share of the genes it contains) (Resnik 1995,
arXiv:cmp-lg/9511007): the root says nothing, a complex of four much.
"""

import numpy as np
from jaxtyping import Float64, Int64

from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.evaluation.baselines.samples import Known, require_room
from gocell_cli.training.extra import train_extra

with train_extra():
    from scipy.linalg import eigh
    from scipy.sparse import csr_matrix


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


def vectors(terms: csr_matrix, genes: Int64[np.ndarray, " genes"], size: int) -> Float64[np.ndarray, "genes size"]:
    """Return the `size` principal coordinates of genes by their terms, each of mean square 1 or 0 throughout."""
    gram = alike(terms, genes, genes)
    size = min(size, len(genes))
    values, directions = eigh(gram, subset_by_index=(len(genes) - size, len(genes) - 1))
    # an eigenvector's sign is the library's whim: its largest entry is made positive
    sign = np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(size)])
    found: np.ndarray = directions * sign * np.sqrt(len(genes)) * (values > 1e-9 * max(values.max(), 1e-300))
    return found[:, ::-1]

"""Small screens whose answer is known: activations that are functions of a term's genes, and phenotypes of one term."""

import numpy as np
from scipy.sparse import csr_matrix

from gocell_cli.csr import pointers
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.evaluation.terms.power import Judged
from gocell_cli.training.evaluation.terms.variants import TermVariants

WIDTH = 8


def pairs(seed: int, samples: int, genes: int) -> tuple[np.ndarray, np.ndarray]:
    """Random double deletions, as gene_ptr and genes."""
    rng = np.random.default_rng(seed)
    drawn = np.sort(np.stack([rng.choice(genes, 2, replace=False) for _ in range(samples)]), axis=1)
    return pointers(np.full(samples, 2)), drawn.astype(np.int32).ravel()


def members(hierarchy: Hierarchy) -> np.ndarray:
    """Which genes each term contains: [terms, genes]."""
    ptr, term = hierarchy.closure
    found = np.zeros((len(hierarchy.term_ids), len(ptr) - 1), dtype=bool)
    found[term, np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))] = True
    return found


def deleted(gene_ptr: np.ndarray, genes: np.ndarray, total: int) -> np.ndarray:
    """Which genes each sample deletes: [samples, genes]."""
    found = np.zeros((len(gene_ptr) - 1, total), dtype=bool)
    found[np.repeat(np.arange(len(gene_ptr) - 1), np.diff(gene_ptr)), genes] = True
    return found


def activations(hierarchy: Hierarchy, gone: np.ndarray, seed: int) -> np.ndarray:
    """What a trained network's may be: of each term, whether any of its genes is gone, and any of each descendant's.

    WIDTH neurons a term, the rest of them random functions of its genes' deletions.
    """
    rng = np.random.default_rng((seed, 1))
    inside = members(hierarchy)
    below = [
        [t, *(c for c in range(len(inside)) if c != t and (inside[c] <= inside[t]).all())] for t in range(len(inside))
    ]
    parts = []
    for term, own in enumerate(inside):
        x = np.tanh(gone @ (rng.normal(size=(gone.shape[1], WIDTH)) * own[:, None]) + rng.normal(size=WIDTH))
        for neuron, other in enumerate(below[term][:WIDTH]):
            x[:, neuron] = (gone & inside[other]).any(1)
        parts.append(x.T)
    return np.concatenate(parts).astype(np.float32)


def judged(
    hierarchy: Hierarchy, gene_ptr: np.ndarray, genes: np.ndarray, values: np.ndarray, fitted: int, seed: int = 0
) -> Judged:
    """The random network's activations of these samples."""
    gone = deleted(gene_ptr, genes, len(hierarchy.gene_names))
    neurons = [slice(WIDTH * t, WIDTH * (t + 1)) for t in range(len(hierarchy.term_ids))]
    variants = TermVariants.of(hierarchy, gene_ptr, genes)
    return Judged(activations(hierarchy, gone, seed), neurons, values, variants, csr_matrix(gone.astype(float)), fitted)

"""Numbers that describe a genotype to a general learner, the same whatever the order of its genes.

vectors     of its genes, principal coordinates of their terms: their sum, and the sum of products over pairs
likeness    of its genes by their terms: largest and mean cosine over pairs
others      what the additive baselines and the nearest profiles predict of it. Of a training sample by fits to the
            folds that do not hold it: from its own label a learner would learn to believe them too much
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from gocell_cli.training.baselines.additive import additive, roles
from gocell_cli.training.baselines.membership import memberships_of, vectors
from gocell_cli.training.baselines.neighbours import profile_neighbours
from gocell_cli.training.baselines.samples import (
    Fitted,
    Genotypes,
    Known,
    NotApplicable,
    Others,
    predicted,
    require_room,
)

LEAST_SAMPLES = 40
"""Of training, below which a general learner says nothing."""
FOLDS = 3
SIZE = 32
"""Principal coordinates of a gene."""
READ = {"additive": additive, "roles": roles, "profile_neighbours": profile_neighbours}


def require_samples(known: Known, what: str) -> None:
    """Raise NotApplicable where training samples are too few for `what`."""
    if len(known.train) < LEAST_SAMPLES:
        raise NotApplicable(f"{len(known.train)} training samples are too few for {what}")


def described(known: Known, genotypes: Genotypes) -> Float64[np.ndarray, "n numbers"]:
    """Return [sum of vectors | sum over pairs of products | number of genes]; raises NotApplicable without room."""
    v = known.once("gene vectors", lambda: vectors(memberships_of(known), SIZE))
    require_room(8.0 * len(genotypes) * (6 * v.shape[1] + 10), f"features of {len(genotypes):,} samples")
    x = genotypes.matrix()
    total = x @ v
    found: np.ndarray = np.column_stack([total, (total**2 - x @ v**2) / 2, genotypes.order])
    return found


def likeness(known: Known, genotypes: Genotypes) -> Float64[np.ndarray, "n 2"]:
    """Return the largest and the mean cosine of the terms of two deleted genes, 0 where there are no two."""
    terms = memberships_of(known)
    owner, low, high = genotypes.pairs
    keys, number = np.unique(low.astype(np.int64) * genotypes.total_genes + high, return_inverse=True)
    a, b = keys // genotypes.total_genes, keys % genotypes.total_genes
    cosine = np.asarray(terms[a].multiply(terms[b]).sum(axis=1)).ravel()[number]
    largest, total = np.zeros(len(genotypes)), np.zeros(len(genotypes))
    np.maximum.at(largest, owner, cosine)
    np.add.at(total, owner, cosine)
    return np.column_stack([largest, total / np.maximum(np.bincount(owner, minlength=len(genotypes)), 1)])


def other_fits(others: Others) -> dict[str, Fitted]:
    """Return those of READ that apply, by name."""
    found = {}
    for name in READ:
        try:
            found[name] = others(name)
        except NotApplicable:
            continue
    return found


def held_out(known: Known, names: Sequence[str]) -> Float64[np.ndarray, "train names"]:
    """Return what baselines predict of each training sample, fitted on the folds that do not hold it.

    Where one does not apply to a fold, the mean of the others.
    """
    fold = np.random.default_rng(known.seed).integers(0, FOLDS, len(known.train))
    found = np.full((len(known.train), len(names)), known.train.value.mean())
    for number in range(FOLDS):
        out = fold == number
        if out.any() and not out.all():
            fits = other_fits(_fitter(replace(known, train=known.train.take(~out), kept={})))
            for column, name in enumerate(names):
                if name in fits:
                    found[out, column] = predicted(fits[name], known.train.genotypes.take(out))
    return found


def _fitter(known: Known) -> Others:
    """What fits READ on other samples, each once."""
    done: dict[str, Fitted] = {}

    def others(name: str) -> Fitted:
        if name not in done:
            done[name] = READ[name](known, others)
        return done[name]

    return others


def beside(
    fits: dict[str, Fitted], genotypes: Genotypes, numbers: Sequence[np.ndarray]
) -> Float64[np.ndarray, "n all"]:
    """Return what `fits` predict of genotypes, and other numbers beside it."""
    return np.column_stack([*[predicted(fit, genotypes) for fit in fits.values()], *numbers])

"""Single effects: what a phenotype is by the genes deleted alone, before any pair of them says more.

    scale(y) ~ mu + sum over deleted genes of e_c + b' p          c: the gene, or the gene in its role
    e = own u + sqrt(1 - own^2) T z,   T: the terms that contain a gene, by size, rows of length 1; beside them the
                                       gene vectors that the user gave, where the validation samples want them
    minimise  loss + strength (|u|^2 + |z|^2)

Scales are `identity` and, of a fitness, `log`: effects multiply (squared errors); of classes `logit` (log loss). p is
published fitness of the strains that were crossed [query, array, their product], less its mean, 0 where it is not
known. With own = 1 terms say nothing, and a gene that training never deletes has the effect 0; with less it has that of
its terms. Scale, roles, own and strength are chosen on the validation samples.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from jaxtyping import Float64

from gocell_cli.training.baselines.additive import POSITIVE, logarithm, role_features
from gocell_cli.training.baselines.factorisation import terms_by_size
from gocell_cli.training.baselines.samples import Genotypes, Known, Labelled, OneFit, Settings, best_of
from gocell_cli.training.extra import train_extra

with train_extra():
    from scipy.optimize import minimize
    from scipy.sparse import block_diag, csr_matrix, diags, hstack
    from scipy.special import expit

IDENTITY, LOG, LOGIT = "identity", "log", "logit"
OWNS = (1.0, 0.7, 0.3)
"""Weights of a gene's own effect: first without its terms."""
STRENGTHS = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.03)
"""The largest first: each minimum is where the search for the next begins."""
STEPS, NEAR = 300, 1e-5
"""Of conjugate gradients at most, and the share of the first residual at which they stop."""
PUBLISHED = 10.0
"""Scale of published fitness beside indicators of genes: few numbers, each of all samples, hardly need a penalty."""
MOST_LOG = 20.0
"""Of a predicted logarithm: its exponential stays a number."""


@dataclass(frozen=True)
class Effects:
    """Fitted effects of columns: of genes, or of genes as query and then of genes as array where `by_role`.

    `published` are effects of published fitness, `means` its means; both are empty where none is known.
    """

    scale: str
    by_role: bool
    intercept: float
    effect: Float64[np.ndarray, " columns"]
    published: Float64[np.ndarray, " p"]
    means: Float64[np.ndarray, " p"]
    settings: Settings

    def predict(self, genotypes: Genotypes) -> Float64[np.ndarray, " n"]:
        found: np.ndarray = self.intercept + role_features(genotypes, by_role=self.by_role) @ self.effect
        if len(self.published):
            found = found + centred(parents(genotypes), self.means) @ self.published
        return unscaled(found, self.scale)


def parents(genotypes: Genotypes) -> Float64[np.ndarray, "n 3"]:
    """Published fitness of the query strain, of the array strain, and their product: what independence predicts."""
    both = genotypes.strain_fitness
    return np.column_stack([both, both[:, 0] * both[:, 1]])


def centred(values: Float64[np.ndarray, "n p"], means: Float64[np.ndarray, " p"]) -> Float64[np.ndarray, "n p"]:
    """Values less their training means; what is not known is the mean."""
    return np.where(np.isfinite(values), values - means, 0.0)


def scaled(values: Float64[np.ndarray, " n"], scale: str) -> Float64[np.ndarray, " n"]:
    """Phenotypes on a scale of squared errors."""
    found: np.ndarray = logarithm(values) if scale == LOG else values
    return found


def unscaled(values: Float64[np.ndarray, " n"], scale: str) -> Float64[np.ndarray, " n"]:
    """Phenotypes in their own unit."""
    if scale == LOG:
        values = np.exp(np.minimum(values, MOST_LOG))
    found: np.ndarray = expit(values) if scale == LOGIT else values
    return found


@dataclass(frozen=True)
class Choice:
    """What is chosen on the validation samples, but for the strength."""

    scale: str
    by_role: bool
    own: float
    published: bool
    vectors: bool = False


def fit_effects(known: Known, owns: Sequence[float] = OWNS) -> Effects:
    """Fit effects; settings are those of the least squared error on the validation samples.

    The weight of own effects is chosen last, for the scale, roles and published fitness that serve without terms or
    with many.
    """
    first = [best_on_way(fit_strengths(known, c, STRENGTHS), known.validation) for c in choices(known, owns[::2])]
    best = best_of(first, known.validation)
    here = choice_of(best)
    others = [replace(here, own=own, vectors=here.vectors and own < 1) for own in owns if own != here.own]
    ways = [best_on_way(fit_strengths(known, c, STRENGTHS), known.validation) for c in others]
    return best_of([best, *ways], known.validation)


def best_on_way(fits: Iterator[OneFit], validation: Labelled) -> OneFit:
    """Return which of some fits errs least on the validation samples, holding two at once; the first where are none."""
    best = next(fits)
    for fit in fits if len(validation) else ():
        best = best_of([best, fit], validation)
    return best


def choice_of(fit: Effects) -> Choice:
    """What was chosen for a fit."""
    vectors = bool(fit.settings.get("gene_vectors"))
    return Choice(fit.scale, fit.by_role, fit.settings["own"], bool(len(fit.published)), vectors)


def refitted_effects(fit: Effects, known: Known) -> Effects:
    """Fit again, to what is known now, with the settings of `fit`."""
    choice = choice_of(fit)
    choice = replace(choice, published=choice.published and _told(known.train))
    return next(fit_strengths(known, choice, (fit.settings["strength"],)))


def choices(known: Known, owns: Sequence[float]) -> Iterator[Choice]:
    """What there is to choose from."""
    told = (True, False) if _told(known.train) else (False,)
    given = (False, True) if known.vectors is not None else (False,)
    for scale, by_role, own, published, vectors in product(_scales(known), (False, True), owns, told, given):
        # of a gene's own effect alone neither terms nor vectors are a part
        if (known.roles or not by_role) and (own < 1 or not vectors):
            yield Choice(scale, by_role, own, published, vectors)


def _scales(known: Known) -> tuple[str, ...]:
    value = known.train.value
    if known.classes:
        # of one class alone every weight would be infinite
        return (IDENTITY, LOGIT) if len(np.unique(value)) > 1 else (IDENTITY,)
    fitness = (value > 0).mean() > POSITIVE and not np.isin(value, (0.0, 1.0)).all()
    return (IDENTITY, LOG) if fitness else (IDENTITY,)


def _told(train: Labelled) -> bool:
    return bool(np.isfinite(train.genotypes.strain_fitness).any())


def fit_strengths(known: Known, choice: Choice, strengths: Sequence[float]) -> Iterator[Effects]:
    """Yield the fit at each strength, descending."""
    train = known.train
    x, features, means = _features(known, choice)
    place = len(means)
    if choice.scale == LOGIT:
        found = _logistic(x, features, train.value, strengths)
    else:
        found = _squares(x, features, scaled(train.value, choice.scale), strengths)
    for (intercept, effect), strength in zip(found, strengths, strict=True):
        said = {"own": choice.own, "strength": strength, "roles": float(choice.by_role)}
        said |= {f"scale_{choice.scale}": 1.0, "published_fitness": float(choice.published)}
        said |= {"gene_vectors": float(choice.vectors)} if known.vectors is not None else {}
        width = len(effect) - place
        yield Effects(choice.scale, choice.by_role, intercept, effect[:width], effect[width:], means, said)


def _features(known: Known, choice: Choice) -> tuple[csr_matrix, csr_matrix, Float64[np.ndarray, " p"]]:
    """Samples by column [n, columns], columns by what is penalised [columns, k], and means of published fitness."""
    genotypes = known.train.genotypes
    x, own = role_features(genotypes, by_role=choice.by_role), choice.own * diags(np.ones(genotypes.total_genes))
    one = own
    if choice.own < 1:
        shared = terms_by_size(known)
        if choice.vectors:
            shared = hstack([shared, vector_features(known)])
        one = hstack([own, (1 - choice.own**2) ** 0.5 * shared])
    blocks = [one] * (1 + choice.by_role)
    means = np.zeros(0)
    if choice.published:
        values = parents(genotypes)
        there = np.isfinite(values)
        means = np.where(there, values, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
        x = hstack([x, csr_matrix(centred(values, means))], format="csr")
        blocks.append(PUBLISHED * diags(np.ones(len(means))))
    return x, block_diag(blocks, format="csr"), means


def vector_features(known: Known) -> csr_matrix:
    """The user's numbers of each gene, rows of length about 1, as its terms' are; no column where there are none."""
    values = known.vectors if known.vectors is not None else np.zeros((known.train.genotypes.total_genes, 0))
    found: csr_matrix = known.once("given vectors", lambda: csr_matrix(values / max(values.shape[1], 1) ** 0.5))
    return found


def _squares(
    x: csr_matrix, features: csr_matrix, y: Float64[np.ndarray, " n"], strengths: Sequence[float]
) -> Iterator[tuple[float, Float64[np.ndarray, " columns"]]]:
    """Ridge regression by conjugate gradients on the normal equations, whose Gram matrix of columns is made once."""
    n, mean = len(y), float(y.mean())
    m = np.asarray(x.mean(axis=0)).ravel()
    used = np.flatnonzero(np.bincount(x.indices, minlength=x.shape[1]))
    # nine tenths of all genes may be in no sample; their columns would be most of the work
    here, centre = features[used], m[used]
    back, gram = here.T.tocsr(), (x[:, used].T @ x[:, used]).tocsr()
    right = back @ (x[:, used].T @ (y - mean))
    found = np.zeros(features.shape[1])
    diagonal = back.power(2) @ gram.diagonal()

    def normal(b: Float64[np.ndarray, " k"], strength: float) -> Float64[np.ndarray, " k"]:
        effect = here @ b
        # x less its means, without making that dense
        done: np.ndarray = back @ (gram @ effect - n * centre * (centre @ effect)) + strength * b
        return done

    for strength in strengths:
        nearly = 1 / (diagonal + strength)
        found = conjugate(lambda b, s=strength: normal(b, s), right, found, nearly=nearly)  # type: ignore[misc]
        effect = features @ found
        yield mean - float(m @ effect), effect


def conjugate(
    product_of: Callable[[np.ndarray], np.ndarray],
    right: np.ndarray,
    start: np.ndarray,
    steps: int = STEPS,
    nearly: np.ndarray | float = 1.0,
) -> np.ndarray:
    """Solve product_of(found) = right by conjugate gradients (Hestenes and Stiefel 1952, doi:10.6028/jres.049.044).

    Arrays are of any shape; `product_of` is linear, symmetric and positive, and `nearly` times something its inverse.
    """
    found = start.copy()
    left = right - product_of(found)
    direction = nearly * left
    size, enough = float(np.vdot(left, direction)), NEAR**2 * float(np.vdot(right, nearly * right))
    for _ in range(steps):
        if size <= enough:
            break
        moved = product_of(direction)
        step = size / float(np.vdot(direction, moved))
        found += step * direction
        left -= step * moved
        turned = nearly * left
        before, size = size, float(np.vdot(left, turned))
        direction = turned + size / before * direction
    return found


def _logistic(
    x: csr_matrix, features: csr_matrix, y: Float64[np.ndarray, " n"], strengths: Sequence[float]
) -> Iterator[tuple[float, Float64[np.ndarray, " columns"]]]:
    """Penalised logistic regression, the intercept free; strengths are weights of half the squares."""
    back, back_x = features.T.tocsr(), x.T.tocsr()
    share = float(np.clip(y.mean(), 1e-6, 1 - 1e-6))
    found = np.append(np.zeros(features.shape[1]), np.log(share / (1 - share)))

    def loss(b: Float64[np.ndarray, " k_plus_1"], strength: float) -> tuple[float, Float64[np.ndarray, " k_plus_1"]]:
        logit = b[-1] + x @ (features @ b[:-1])
        error = expit(logit) - y
        value = float((np.logaddexp(0.0, logit) - y * logit).sum() + strength / 2 * b[:-1] @ b[:-1])
        return value, np.append(back @ (back_x @ error) + strength * b[:-1], error.sum())

    for strength in strengths:
        found = minimize(loss, found, args=(strength,), jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x
        yield float(found[-1]), features @ found[:-1]

"""What a network must beat: predictors without an ontology, fitted on the same split.

mean            the training mean
additive        intercept + one effect a gene: ridge regression, its strength chosen on the validation samples
multiplicative  the same on log(max(value, 0.01)), exponentiated: independent effects on fitness multiply
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int32, Int64

from gocell_cli.training.evaluation.ridge import Ridge, fit_ridge
from gocell_cli.training.extra import train_extra

with train_extra():
    from scipy.sparse import csr_matrix

STRENGTHS = (0.03, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Ridge strengths tried, weights of the squared effects."""
# A dead strain's fitness is 0 and noise goes below: neither has a logarithm.
LEAST_FITNESS = 0.01
POSITIVE = 0.98
"""Share of positive values from which a phenotype counts as a fitness: measured fitness goes a little below 0."""


@dataclass(frozen=True)
class Genotypes:
    """Samples as CSR: sample i deletes genes[gene_ptr[i]:gene_ptr[i + 1]] of `total_genes` and has value[i]."""

    gene_ptr: Int64[np.ndarray, " n_plus_1"]
    genes: Int32[np.ndarray, " deletions"]
    value: Float64[np.ndarray, " n"]
    total_genes: int

    def matrix(self) -> csr_matrix:
        """Return the indicator matrix [n, total_genes], float64."""
        ones = np.ones(len(self.genes))
        return csr_matrix((ones, self.genes, self.gene_ptr), shape=(len(self.value), self.total_genes))


def baselines(train: Genotypes, validation: Genotypes, test: Genotypes) -> dict[str, Float64[np.ndarray, " test"]]:
    """Return each baseline's predictions for `test`; samples without a label train nothing.

    A gene never deleted in training has effect 0. `multiplicative` is there only where nearly all training values are
    positive, as fitness is, and not all are 0 or 1.
    """
    values = train.value[np.isfinite(train.value)]
    found = {"mean": np.full(len(test.value), values.mean()), "additive": _additive(train, validation, test)}
    if (values > 0).mean() > POSITIVE and not np.isin(values, (0.0, 1.0)).all():
        logs = [Genotypes(g.gene_ptr, g.genes, _log(g.value), g.total_genes) for g in (train, validation, test)]
        found["multiplicative"] = np.exp(_additive(*logs))
    return found


def _log(values: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    found: np.ndarray = np.log(np.maximum(values, LEAST_FITNESS))
    return found


def _additive(train: Genotypes, validation: Genotypes, test: Genotypes) -> Float64[np.ndarray, " test"]:
    kept, judged = np.isfinite(train.value), np.isfinite(validation.value)
    x, y = train.matrix()[kept], train.value[kept]
    best, chosen = np.inf, Ridge(float(y.mean()), np.zeros(train.total_genes), np.zeros(train.total_genes))
    for strength in STRENGTHS:
        tried = fit_ridge(x, y, strength)
        errors = tried.predict(validation.matrix()) - validation.value
        # without a label to judge by, the first and weakest strength stays
        error = float(np.square(errors[judged]).mean()) if judged.any() else strength
        if error < best:
            best, chosen = error, tried
    return chosen.predict(test.matrix())

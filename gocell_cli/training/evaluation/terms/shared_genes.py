"""Samples that share a gene are alike: how much less their correlation with a prediction says than independent ones'.

Where genes have effects of their own, whatever the terms, two phenotypes covary by the genes that both strains lack:

    cov(y_i, y_j) = rho c_ij      c_ij: genes that samples i and j share;   var(y_i) = 1

so a correlation x.y (x of mean 0 and length 1) has the variance of independent samples times

    1 - rho kappa + rho |G' x|^2      G: samples by genes, 0 or 1;   kappa: |G' x|^2 of an x drawn at random

which is large where x goes with few genes of many samples each, as the queries of a screen (the design effect of
clusters, Moulton 1986, doi:10.1016/0304-4076(86)90021-7, where a sample is in several; the null hypothesis of mixed
models of association, Kang et al. 2008, doi:10.1534/genetics.107.080101). rho is that of the phenotypes at hand: the
slope of y_i y_j over c_ij, all pairs of samples (Haseman and Elston 1972, doi:10.1007/BF01066731).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from gocell_cli.training.extra import train_extra

with train_extra():
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class SharedGenes:
    """`deleted` is G, `rho` what two samples correlate by for each gene that both lack, 0 or more; `kappa`: above."""

    deleted: csr_matrix
    rho: float
    kappa: float

    @classmethod
    def of(cls, deleted: csr_matrix, y: Float64[np.ndarray, " samples"]) -> "SharedGenes":
        """Estimate rho of phenotypes of mean 0 and length 1, in float64; the samples are two or more."""
        n = len(y)
        lost, screened = np.asarray(deleted.sum(axis=1)).ravel(), np.asarray(deleted.sum(axis=0)).ravel()
        # sums over ordered pairs of different samples: of c, of c^2 (that of G'G is that of GG'), of y y and of c y y
        pairs, shared = n * (n - 1), screened @ screened - lost.sum()
        square = float(np.square((deleted.T @ deleted).data).sum()) - lost @ lost
        product, both = -1.0, float(np.square(deleted.T @ y).sum() - lost @ np.square(y))
        spread = square - shared**2 / pairs
        # y has length 1 and not variance 1
        slope = n * (both - shared * product / pairs) / spread if spread > 1e-9 * max(square, 1) else 0.0
        kappa = float((lost.sum() - screened @ screened / n) / (n - 1))
        return cls(deleted, min(max(slope, 0.0), 1 / kappa) if kappa > 0 else 0.0, kappa)

    def inflation(self, x: Float64[np.ndarray, " samples"]) -> float:
        """How many times the variance of x.y is that of independent samples, 1 or more; x of mean 0, of any length."""
        length = float(x @ x)
        if not length:
            return 1.0
        return max(1.0, 1 - self.rho * (self.kappa - float(np.square(self.deleted.T @ x).sum()) / length))

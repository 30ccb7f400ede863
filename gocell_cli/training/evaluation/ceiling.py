"""The ceiling: how well predictions without error would correlate with what was measured, told from the data itself.

repeated     genotypes measured several times (reciprocal crosses among them: `--duplicates keep` makes each row a
             sample). With r the correlation of two measurements, a perfect prediction of one reaches sqrt(r): the
             truth's share of the variance is r (Spearman 1904, doi:10.2307/1412159).
sd, p_value  every measurement's own error: its standard deviation, or |score| / z where z is the normal quantile of its
             two-sided P-value. The truth, whose variance is that of the measurements less that of their errors, is
             taken as the measurements drawn together to that variance; noise of these errors is added to it anew, and
             the ceiling is the mean correlation of both over DRAWS draws.

A correlation beyond the ceiling says that the errors are smaller than they claim (a published SD may be that of a
strain's colonies, not of their mean), that repeats differ in more than noise (in their alleles), or that training and
test part share errors.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from gocell_cli.training.extra import train_extra

with train_extra():
    from scipy.stats import norm

LEAST_PAIRS = 30
"""Repeated measurements, or samples with an error, from which on a ceiling is told."""
DRAWS = 20
LEAST_Z = 0.1
"""Below it, at P-values above 0.92, score and quantile are both near 0 and their quotient is anything."""


@dataclass(frozen=True)
class Ceiling:
    """The largest r to be expected, and how it was found; without one, why there is none."""

    r: float | None
    method: str

    def share_of(self, r: float | None) -> float | None:
        """Return a correlation as a share of the ceiling's; None where either is not there."""
        return None if r is None or not self.r else r / self.r


def ceiling(
    genotype: Int64[np.ndarray, " n"],
    value: Float64[np.ndarray, " n"],
    statistic: Float64[np.ndarray, " n"],
    kind: str,
) -> Ceiling:
    """Return the ceiling of measurements; `genotype` numbers them, the same number for the same deleted genes.

    `statistic` is each one's SD or P-value (NaN: none), as `kind` (sd, p_value or "") says. Repeated measurements come
    before errors that are only claimed.
    """
    kept = np.isfinite(value)
    genotype, value, statistic = genotype[kept], value[kept], statistic[kept]
    one, other = _repeated(genotype, value)
    if len(one) >= LEAST_PAIRS:
        # each pair both ways: which of two is the first is chance
        r = float(np.corrcoef(np.append(one, other), np.append(other, one))[0, 1])
        return Ceiling(
            max(r, 0.0) ** 0.5, f"repeated: {len(one):,} pairs of measurements of one genotype agree at r {r:.3f}"
        )
    if kind not in ("sd", "p_value"):
        return Ceiling(None, "none: no genotype is there twice, and measurements carry no SD or P-value")
    error = statistic if kind == "sd" else _error_of(value, statistic)
    told = np.isfinite(error) & (error >= 0)
    if told.sum() < LEAST_PAIRS or np.ptp(value[told]) == 0:
        return Ceiling(None, f"none: {int(told.sum())} measurements carry a usable {kind}")
    return _resampled(value[told], error[told], kind)


def _repeated(
    genotype: Int64[np.ndarray, " n"], value: Float64[np.ndarray, " n"]
) -> tuple[Float64[np.ndarray, " pairs"], Float64[np.ndarray, " pairs"]]:
    """The first two measurements of each genotype that has two."""
    order = np.argsort(genotype, kind="stable")
    sorted_genotype = genotype[order]
    first = np.flatnonzero(np.append(True, sorted_genotype[1:] != sorted_genotype[:-1])[: len(order)])
    first = first[first + 1 < len(order)]
    twice = first[sorted_genotype[first + 1] == sorted_genotype[first]]
    return value[order[twice]], value[order[twice + 1]]


def _error_of(value: Float64[np.ndarray, " n"], p: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """SD of each score from its two-sided P-value, NaN where that tells none."""
    z = norm.isf(np.clip(p, 1e-300, 1.0) / 2)
    found: np.ndarray = np.where(z >= LEAST_Z, np.abs(value) / np.maximum(z, LEAST_Z), np.nan)
    return found


def _resampled(value: Float64[np.ndarray, " n"], error: Float64[np.ndarray, " n"], kind: str) -> Ceiling:
    share = 1.0 - float(np.mean(error**2)) / float(value.var())
    if share <= 0:
        return Ceiling(0.0, f"{kind}: the errors are as large as what was measured")
    truth = value.mean() + (value - value.mean()) * share**0.5
    rng = np.random.default_rng(0)
    found = [np.corrcoef(truth, truth + rng.normal(size=len(truth)) * error)[0, 1] for _ in range(DRAWS)]
    return Ceiling(float(np.mean(found)), f"{kind}: noise of each measurement's own error, {len(value):,} of them")

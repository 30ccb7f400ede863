"""The ceiling: how well predictions without error would correlate with what was measured, told from the data itself.

A measurement is truth + error. Of the variance of measurements the truth has the share 1 - error^2 / variance, and
predictions that are the truth correlate with them at its square root (Spearman 1904, doi:10.2307/1412159). What differs
between methods is where the error comes from:

repeated     samples of one genotype whose genes have the same roles, query and array (`--duplicates keep` makes each
             row a sample): the variance within these. What they share, an array strain's position on its plates for
             one, counts as truth, as it does for a model that sees other samples of that strain.
reciprocal   samples of one genotype with the roles exchanged, A x B and B x A: their variance holds the strains' and
             their roles' own effects beside errors. It is no bound where these can be predicted, and is told so.
sd, p_value  each measurement's own error: its SD, or |score| / z where z is the normal quantile of its two-sided
             P-value. A published SD may be that of a strain's colonies, and the error of their mean smaller by the root
             of their number, which no table says: on Kuzmin et al. 2018's fitness 188 repeated crosses err by 0.034 and
             their SDs say 0.078, as those of five colonies would. Then the true ceiling lies higher.

A prediction that was fitted to other samples and correlates better than a ceiling contradicts what its method assumes
(`contradicted`): it is then no bound, and no share of it is told.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from gocell_cli.training.extra import train_extra

with train_extra():
    from scipy.stats import norm

LEAST_PAIRS = 30
"""Repeats beside each genotype's first measurement, or samples with an error, from which on a ceiling is told."""
LEAST_Z = 0.1
"""Below it, at P-values above 0.92, score and quantile are both near 0 and their quotient is anything."""
MARGIN = 2.0
"""Standard errors of r by which a prediction must lie above a ceiling to contradict it."""
ASSUMED = {
    "sd": "if each SD is the error of its measurement, not that of single colonies, whose mean errs less",
    "p_value": "if each P-value is of its score's difference from 0 by a normal error",
    "reciprocal": "if strains and roles have no effect of their own: a model that knows these may go beyond",
}


@dataclass(frozen=True)
class Ceiling:
    """The largest r to be expected, and how it was found; without one, why there is none."""

    r: float | None
    method: str

    def share_of(self, r: float | None) -> float | None:
        """Return a correlation as a share of the ceiling's; None where either is not there."""
        return None if r is None or not self.r else r / self.r

    def contradicted(self, reached: dict[str, float], n: int) -> "Ceiling":
        """Return this ceiling, or none where one of the r `reached` on n samples lies above it by more than chance."""
        if self.r is None:
            return self
        above = {name: r for name, r in reached.items() if r - MARGIN * (1 - r * r) / max(n, 1) ** 0.5 > self.r}
        if not above:
            return self
        best = max(above, key=above.__getitem__)
        return Ceiling(None, f"not a bound: {best} reaches r {above[best]:.4f}, beyond {self.r:.4f} ({self.method})")


def ceiling(
    genotype: Int64[np.ndarray, " n"],
    value: Float64[np.ndarray, " n"],
    statistic: Float64[np.ndarray, " n"],
    kind: str,
    roles: Int64[np.ndarray, " n"] | None = None,
) -> Ceiling:
    """Return the ceiling of measurements; `genotype` numbers them, the same number for the same deleted genes.

    `statistic` is each one's SD or P-value (NaN: none), as `kind` (sd, p_value or "") says; samples of one genotype
    with the same number in `roles` have the same query and array (None: nobody says). Repeated measurements come before
    errors that are only claimed, and these before reciprocal crosses.
    """
    kept = np.isfinite(value)
    genotype, value, statistic = genotype[kept], value[kept], statistic[kept]
    roles = np.zeros(len(value), dtype=np.int64) if roles is None else roles[kept]
    if not len(value) or np.ptp(value) == 0:
        return Ceiling(None, "none: all measurements are the same" if len(value) else "none: nothing was measured")
    same = _within(np.unique(np.stack([genotype, roles]), axis=1, return_inverse=True)[1].reshape(-1), value)
    if same.repeats >= LEAST_PAIRS:
        return _told(same.variance, value, f"repeated: {same.repeats:,} repeats of a cross differ by an error of", "")
    error = statistic if kind == "sd" else _error_of(value, statistic) if kind == "p_value" else statistic[:0]
    told: Bool[np.ndarray, " m"] = np.isfinite(error) & (error >= 0)
    if told.sum() >= LEAST_PAIRS and np.ptp(value[told]) > 0:
        said = f"{kind}: {int(told.sum()):,} measurements claim an error of"
        return _told(float(np.mean(error[told] ** 2)), value[told], said, ASSUMED[kind])
    exchanged = _within(np.unique(genotype, return_inverse=True)[1].reshape(-1), value)
    if exchanged.repeats >= LEAST_PAIRS:
        said = f"reciprocal: {exchanged.repeats:,} crosses with roles exchanged differ by"
        return _told(exchanged.variance, value, said, ASSUMED["reciprocal"])
    if kind in ("sd", "p_value"):
        return Ceiling(None, f"none: {int(told.sum())} measurements carry a usable {kind}")
    return Ceiling(None, "none: no genotype is there twice, and measurements carry no SD or P-value")


def _told(variance: float, value: Float64[np.ndarray, " n"], said: str, assumed: str) -> Ceiling:
    """The ceiling of measurements whose errors have a variance."""
    share = max(1.0 - variance / float(value.var()), 0.0)
    method = f"{said} {variance**0.5:.3g} beside a spread of {value.std():.3g}"
    return Ceiling(share**0.5, f"{method}; {assumed}" if assumed else method)


@dataclass(frozen=True)
class _Within:
    """The variance of measurements within groups, and how many there are beside the first of each group."""

    repeats: int
    variance: float


def _within(group: Int64[np.ndarray, " n"], value: Float64[np.ndarray, " n"]) -> _Within:
    count = np.bincount(group)
    mean = np.bincount(group, weights=value) / np.maximum(count, 1)
    repeats = int(np.maximum(count - 1, 0).sum())
    return _Within(repeats, float(np.sum((value - mean[group]) ** 2)) / max(repeats, 1))


def _error_of(value: Float64[np.ndarray, " n"], p: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """SD of each score from its two-sided P-value, NaN where that tells none."""
    z = norm.isf(np.clip(p, 1e-300, 1.0) / 2)
    found: np.ndarray = np.where(z >= LEAST_Z, np.abs(value) / np.maximum(z, LEAST_Z), np.nan)
    return found

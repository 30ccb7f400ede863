"""How much better one set of predictions is than another of the same samples, and how sure that is: paired bootstrap.

Samples are drawn with replacement, the same ones for both, and the difference of the metric is taken each time; the
interval is that from the 2.5th to the 97.5th percentile of these differences (Efron and Tibshirani 1993,
doi:10.1201/9780429246593, chapter 13). Twice, for two questions:

samples   as many samples as there are: would it hold for other samples of these queries?
groups    whole query groups, as many as there are: samples of one query share its strain, its plates and its errors,
          and are no independent draws (Field and Welsh 2007, doi:10.1111/j.1467-9868.2007.00593.x). Would it hold for
          other queries? With few groups it is too narrow (Cameron, Gelbach and Miller 2008,
          doi:10.1162/rest.90.3.414).

A resample is a weight for each sample, the number of times that it was drawn, and no array is drawn again: Pearson's r
and the RMSE are sums of moments, which clusters of samples add up beforehand; Spearman's r and AUROC are of ranks that
count weights. Beyond BLOCKS samples it is random blocks of them that are drawn, each with the same number of samples
but for one: their moments vary as those of samples do, and BLOCKS of them tell the variance to 1 %.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int64

from gocell_cli.training.extra import train_extra

with train_extra():
    from threadpoolctl import threadpool_limits

BY_RANK = ("spearman", "auroc")
SMALLER_IS_BETTER = ("rmse",)
RESAMPLES, LEVEL = 2000, 0.95
BLOCKS = 10_000
LEAST_RANKED, RANKED = 200, 200_000_000
"""Resamples of metrics by rank, at least, and samples x resamples from which on there are fewer than of the others."""
FEW_GROUPS = 20
"""Query groups below which an interval over them is rough."""
CHUNK = 2_000_000
"""Weights in memory at once."""
NO_GROUP = -1
ROUNDING = 1e-12
"""Of a variance, as a share of the mean square: what is below it is no spread but rounding."""


@dataclass(frozen=True)
class Pairing:
    """Samples that both predicted: the measured values, and each one's query group, NO_GROUP where there is none.

    In an order of their own, by genotype, so that draws are the same whatever files they stood in.
    """

    value: Float64[np.ndarray, " n"]
    first: Float64[np.ndarray, " n"]
    second: Float64[np.ndarray, " n"]
    group: Int64[np.ndarray, " n"]

    @cached_property
    def clusters(self) -> Int64[np.ndarray, " n"]:
        """A number for each query group; a sample without one is a cluster of its own."""
        alone = self.group == NO_GROUP
        own = np.where(alone, self.group.max(initial=0) + 1 + np.cumsum(alone), self.group)
        return np.unique(own, return_inverse=True)[1].reshape(-1).astype(np.int64)

    @property
    def groups(self) -> int:
        """How many query groups there are."""
        return len(np.unique(self.group[self.group != NO_GROUP]))


@dataclass(frozen=True)
class Draws:
    """A metric of both, its difference second - first, and that difference in each resample (NaN: not defined there).

    `groups` is None where there are no two query groups.
    """

    first: float
    second: float
    samples: Float64[np.ndarray, " resamples"]
    groups: Float64[np.ndarray, " resamples"] | None

    @property
    def difference(self) -> float:
        return self.second - self.first


def draw(
    pairing: Pairing, seed: int, resamples: int = RESAMPLES, only: Collection[str] | None = None
) -> dict[str, Draws]:
    """Return each metric's difference, or those of `only`, resampled over samples and over query groups."""
    n = len(pairing.value)
    first, second = measures(pairing.value, pairing.first), measures(pairing.value, pairing.second)
    asked = [name for name in first if only is None or name in only]
    both = {name: first[name] for name in asked}, {name: second[name] for name in asked}
    blocks = np.random.default_rng((seed, n)).permutation(n) % BLOCKS if n > BLOCKS else np.arange(n)
    # on one thread: sums of a product's parts would differ in their last bits with the number of threads
    with threadpool_limits(1):
        samples = _differences(both, blocks, seed, resamples)
        groups = _differences(both, pairing.clusters, seed + 1, resamples) if pairing.groups > 1 else {}
        whole = np.ones((1, 1)), np.zeros(n, dtype=np.int64)
        point = {name: (float(a(*whole)[0]), float(b(*whole)[0])) for name, (a, b) in _paired(both).items()}
    return {name: Draws(*ends, samples[name], groups.get(name)) for name, ends in point.items()}


def interval(differences: Float64[np.ndarray, " resamples"]) -> tuple[float, float] | None:
    """Return the percentile interval of resampled differences; None where no resample defines one."""
    kept = differences[np.isfinite(differences)]
    if not len(kept):
        return None
    low, high = np.quantile(kept, ((1 - LEVEL) / 2, (1 + LEVEL) / 2)).tolist()
    return low, high


Measure = Callable[[Float64[np.ndarray, "some clusters"], Int64[np.ndarray, " n"]], Float64[np.ndarray, " some"]]
"""A metric in some resamples, of clusters' weights and each sample's cluster; NaN where one defines none."""


def measures(value: Float64[np.ndarray, " n"], predicted: Float64[np.ndarray, " n"]) -> dict[str, Measure]:
    """Return the metrics of predictions that measured values allow: AUROC where they are 0 and 1."""
    place = places(predicted)
    value_place = places(value)
    found: dict[str, Measure] = {
        "pearson": lambda weights, clusters: pearson(value, predicted, weights, clusters),
        "spearman": lambda weights, clusters: np.array([spearman(value_place, place, w[clusters]) for w in weights]),
        "rmse": lambda weights, clusters: rmse(value, predicted, weights, clusters),
    }
    if np.isin(value, (0.0, 1.0)).all() and len(np.unique(value)) == 2:
        found["auroc"] = lambda weights, clusters: np.array([auroc(value, place, w[clusters]) for w in weights])
    return found


def _paired(both: tuple[dict[str, Measure], dict[str, Measure]]) -> dict[str, tuple[Measure, Measure]]:
    return {name: (both[0][name], both[1][name]) for name in both[0]}


def _differences(
    both: tuple[dict[str, Measure], dict[str, Measure]], clusters: Int64[np.ndarray, " n"], seed: int, resamples: int
) -> dict[str, Float64[np.ndarray, " resamples"]]:
    """Differences of each metric in resamples of clusters; there are fewer of those that take ranks."""
    ranked = min(resamples, max(LEAST_RANKED, RANKED // max(len(clusters), 1)))
    found: dict[str, list[np.ndarray]] = {name: [] for name in both[0]}
    done = 0
    for weights in drawn_weights(int(clusters.max(initial=-1)) + 1, seed, resamples):
        for name, (first, second) in _paired(both).items():
            some = weights[: max((ranked if name in BY_RANK else resamples) - done, 0)]
            if len(some):
                found[name].append(second(some, clusters) - first(some, clusters))
        done += len(weights)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def drawn_weights(clusters: int, seed: int, resamples: int) -> Iterator[Float64[np.ndarray, "some clusters"]]:
    """Yield, some resamples at a time, how often each cluster was drawn: as many draws as there are clusters."""
    rng = np.random.default_rng((seed, clusters))
    rows = max(1, CHUNK // max(clusters, 1))
    for start in range(0, resamples, rows):
        some = min(rows, resamples - start)
        drawn = rng.integers(clusters, size=(some, clusters)) + clusters * np.arange(some)[:, None]
        yield np.bincount(drawn.ravel(), minlength=some * clusters).reshape(some, clusters).astype(np.float64)


def pearson(
    value: Float64[np.ndarray, " n"],
    predicted: Float64[np.ndarray, " n"],
    weights: Float64[np.ndarray, "some clusters"],
    clusters: Int64[np.ndarray, " n"],
) -> Float64[np.ndarray, " some"]:
    """Return r in some resamples, by the moments of clusters; NaN where one of both is constant."""
    # less their means, or squares of values far from 0 would leave no digit to a small variance
    y, p = value - value.mean(), predicted - predicted.mean()
    n, sy, sp, syy, spp, syp = _sums((np.ones_like(y), y, p, y * y, p * p, y * p), weights, clusters)
    vy, vp = syy - sy * sy / n, spp - sp * sp / n
    spread = (vy > ROUNDING * syy) & (vp > ROUNDING * spp)
    bottom = np.sqrt(np.where(spread, vy * vp, 1.0))
    found: np.ndarray = np.where(spread, (syp - sy * sp / n) / bottom, np.nan)
    return found


def rmse(
    value: Float64[np.ndarray, " n"],
    predicted: Float64[np.ndarray, " n"],
    weights: Float64[np.ndarray, "some clusters"],
    clusters: Int64[np.ndarray, " n"],
) -> Float64[np.ndarray, " some"]:
    """Return the root mean squared error in some resamples."""
    n, squares = _sums((np.ones_like(value), (predicted - value) ** 2), weights, clusters)
    found: np.ndarray = np.sqrt(squares / n)
    return found


def _sums(
    columns: Sequence[Float64[np.ndarray, " n"]],
    weights: Float64[np.ndarray, "some clusters"],
    clusters: Int64[np.ndarray, " n"],
) -> Float64[np.ndarray, "columns some"]:
    """Sum each column over the samples of every resample, cluster by cluster: samples are gone through but once."""
    of_clusters = [np.bincount(clusters, weights=column, minlength=weights.shape[1]) for column in columns]
    found: np.ndarray = (weights @ np.stack(of_clusters, axis=1)).T
    return found


def spearman(
    value: Int64[np.ndarray, " n"], predicted: Int64[np.ndarray, " n"], weights: Float64[np.ndarray, " n"]
) -> float:
    """Return Spearman's r of samples that are there `weights` times each: Pearson's of their ranks, ties in the mean.

    Both are `places`.
    """
    total = weights.sum()
    y, p = (ranks - weights @ ranks / total for ranks in (_ranks(value, weights), _ranks(predicted, weights)))
    vy, vp = weights @ (y * y), weights @ (p * p)
    return float(weights @ (y * p) / np.sqrt(vy * vp)) if vy > 0 and vp > 0 else float("nan")


def auroc(
    value: Float64[np.ndarray, " n"], place: Int64[np.ndarray, " n"], weights: Float64[np.ndarray, " n"]
) -> float:
    """Return the area under the ROC curve of samples that are there `weights` times each; `value` is 0 or 1.

    The share of pairs of a 1 and a 0 of which the 1 is predicted higher, ties as half (Mann and Whitney 1947,
    doi:10.1214/aoms/1177730491); `place` as in `spearman`.
    """
    positive = weights * value
    ones = positive.sum()
    zeros = weights.sum() - ones
    if not ones or not zeros:
        return float("nan")
    # ranks count below a 1 the 0s, and the other 1s: of these half of all pairs, each with itself among them
    return float((positive @ _ranks(place, weights) - ones**2 / 2) / (ones * zeros))


def places(x: Float64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Return each number's place among the distinct ones, ascending."""
    return np.unique(x, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _ranks(place: Int64[np.ndarray, " n"], weights: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """How much weight lies below each place, and half of that at it."""
    at = np.bincount(place, weights=weights)
    found: np.ndarray = (np.cumsum(at) - at / 2)[place]
    return found

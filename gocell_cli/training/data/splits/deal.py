"""Things (genotypes, query groups, genes) dealt to parts or folds: functions of their sizes, the shares and the seed.

A query group of a screen may be larger than a whole part. Whoever deals by size has the same groups in the test part
whatever the seed, or one group alone there; so groups too large for a part train, and what is left is dealt at random,
several groups a part, near what the shares ask for.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64, Int64

from gocell_cli.training.data.order import shuffled

Shares = Sequence[float] | Float64[np.ndarray, " parts"]
FEW = (3, 2, 1)
"""Groups that a part should have at least: as many as there can be."""
SLACK = 1.25
"""A group may be so much larger than its place: of nine equal groups, each is a little more than a tenth."""
LEAST = 0.25
"""A part may be so much smaller than it could be, if it then has several groups."""
TRIES = 64
CLOSE, WIDER = 0.1, 0.0125
"""How far a part may be from its share at the first try, and how much more at each that follows."""
DEALT, FOLDS, FOLD_VALIDATION, ORDERED, REDRAWN = 1 << 40, 2 << 40, 3 << 40, 4 << 40, 5 << 40
"""Streams of random numbers for each purpose, above every epoch of a training, of which orders are drawn as well."""


def cut(order: Int64[np.ndarray, " n"], shares: Shares) -> Int64[np.ndarray, " n"]:
    """Give each of n things its part by number: the first share of `order` to part 0, and so on."""
    # the bounds between the parts: the last part takes what rounding leaves
    ends = np.round(np.cumsum(shares)[:-1] * len(order)).astype(np.int64)
    part = np.empty(len(order), dtype=np.int64)
    part[order] = np.searchsorted(ends, np.arange(len(order)), side="right")
    return part


def deal(
    sizes: Int64[np.ndarray, " groups"], shares: Shares, seed: int, stream: int = DEALT
) -> Int64[np.ndarray, " groups"]:
    """Give each group its part by number, the first of which takes the groups that are too large for the others.

    The others get about `shares` of all samples, or of what groups larger than that leave them.
    """
    part = np.zeros(len(sizes), dtype=np.int64)
    if len(sizes) < len(shares):
        return part
    free = _dealt_at_random(sizes, np.array(shares[1:]))
    part[free] = _first_near(sizes[free], _targets(sizes, free, np.array(shares[1:])), seed, stream)
    return part


def _targets(
    sizes: Int64[np.ndarray, " groups"], free: Bool[np.ndarray, " groups"], shares: Float64[np.ndarray, " others"]
) -> Float64[np.ndarray, " others"]:
    """Samples that each part but the first should get: its share, or of all that is left its share of the others'."""
    asked = shares * sizes.sum()
    found: np.ndarray = asked * min(1.0, sizes[free].sum() / max(asked.sum(), 1.0))
    return found


def _dealt_at_random(
    sizes: Int64[np.ndarray, " groups"], shares: Float64[np.ndarray, " others"]
) -> Bool[np.ndarray, " groups"]:
    """Which groups may be in any part; the others are too large to share one with FEW others, and are in the first."""
    most = float(_targets(sizes, _small_enough(sizes, shares, 1), shares).min(initial=np.inf))
    for few in FEW:
        free = _small_enough(sizes, shares, few)
        enough = free.sum() >= few * len(shares) + 1
        if enough and _targets(sizes, free, shares).min(initial=np.inf) >= LEAST * most:
            return free
    return np.ones(len(sizes), dtype=bool)  # so few groups that each is a part, or most of one


def _small_enough(
    sizes: Int64[np.ndarray, " groups"], shares: Float64[np.ndarray, " others"], few: int
) -> Bool[np.ndarray, " groups"]:
    free = np.ones(len(sizes), dtype=bool)
    while free.any():
        limit = SLACK * _targets(sizes, free, shares).min(initial=np.inf) / few
        small = free & (sizes <= limit)
        if small.sum() == free.sum():
            break
        free = small  # what is left for the parts is less now, and so is the limit
    return free


def _first_near(
    sizes: Int64[np.ndarray, " groups"], targets: Float64[np.ndarray, " others"], seed: int, stream: int
) -> Int64[np.ndarray, " groups"]:
    """Cut orders drawn one after the other until one comes near the targets: the first that does, or the nearest.

    Not the nearest of many: where few orders come very near, every seed would find the same.
    """
    ends = np.cumsum([sizes.sum() - targets.sum(), *targets])[:-1]
    best, nearest = np.zeros(len(sizes), dtype=np.int64), np.inf
    for number in range(TRIES):
        order = shuffled(len(sizes), seed=seed, epoch=stream + number)
        part = np.empty(len(sizes), dtype=np.int64)
        part[order] = _cut_by_size(sizes[order], ends)
        held = _held(part, sizes, len(targets) + 1)[1:]
        miss = float((np.abs(held - targets) / np.maximum(targets, 1)).max(initial=0.0))
        if miss < nearest:
            best, nearest = part, miss
        if miss <= CLOSE + WIDER * number:
            return part
    return best


def _cut_by_size(sizes: Int64[np.ndarray, " n"], ends: Float64[np.ndarray, " bounds"]) -> Int64[np.ndarray, " n"]:
    """Part of each group in its order, cut where the running size is nearest each bound; no part is left empty."""
    running = np.concatenate([[0], np.cumsum(sizes)])
    # the running size halfway to the next group decides on which side of a bound that group lies
    places = np.searchsorted((running[1:] + running[:-1]) / 2, ends)
    parts = len(ends) + 1
    for bound in range(len(places)):  # forwards: at least one group for each part before it
        places[bound] = max(places[bound], bound + 1, places[bound - 1] + 1 if bound else 0)
    for bound in reversed(range(len(places))):  # backwards: and one for each after it
        most = len(sizes) - (parts - 1 - bound)
        places[bound] = max(min(places[bound], most, places[bound + 1] - 1 if bound + 1 < len(places) else most), 0)
    part: Int64[np.ndarray, " n"] = np.searchsorted(places, np.arange(len(sizes)), side="right")
    return part


def largest_first(sizes: Int64[np.ndarray, " groups"], shares: Shares, seed: int) -> Int64[np.ndarray, " groups"]:
    """Rule 1, by which old runs were split: largest groups first, each to the part that lacks most."""
    order = np.random.default_rng(seed).permutation(len(sizes))
    # stable: groups of one size stay in the seed's order
    order = order[np.argsort(-sizes[order], kind="stable")]
    lacking = np.array(shares) * sizes.sum()
    part = np.zeros(len(sizes), dtype=np.int64)
    for group in order.tolist():
        part[group] = int(lacking.argmax())
        lacking[part[group]] -= sizes[group]
    return part


def deal_folds(sizes: Int64[np.ndarray, " groups"], folds: int, seed: int) -> Int64[np.ndarray, " groups"]:
    """Give each group its fold: large groups one by one to the emptiest fold, the many small ones cut to fill them up.

    Of orders of the large ones, the first drawn that is about as even as taking the largest first.
    """
    order = shuffled(len(sizes), seed=seed, epoch=FOLDS + folds)
    is_large = _large(sizes, folds)
    large, small = order[is_large[order]], order[~is_large[order]]
    fold, even = np.zeros(len(sizes), dtype=np.int64), _filled(sizes[large], folds).max()
    for number in range(TRIES):
        drawn = large[shuffled(len(large), seed=seed, epoch=FOLDS + (1 << 20) * (number + 1) + folds)]
        if _filled(sizes[drawn], folds, sort=False).max() <= even * (1 + CLOSE):
            large = drawn
            break
    else:
        large = large[np.argsort(-sizes[large], kind="stable")]
    fold[large] = _to_emptiest(sizes[large], folds)
    filled = _held(fold[large], sizes[large], folds)
    ends = np.cumsum(_lacking(filled, float(sizes[small].sum())))[:-1]
    # the middle of a group decides in which fold's stretch it lies
    fold[small] = np.searchsorted(ends, np.cumsum(sizes[small]) - sizes[small] / 2, side="right")
    # a fold's number says nothing of its groups' sizes
    return shuffled(folds, seed=seed, epoch=FOLDS - 1)[fold]


def _large(sizes: Int64[np.ndarray, " groups"], folds: int) -> Bool[np.ndarray, " groups"]:
    """Groups of more than half of what the others bring to a fold that they fill: a cut would go past a whole fold."""
    large = np.zeros(len(sizes), dtype=bool)
    while True:
        rest = float(sizes[~large].sum())
        open_folds = (_lacking(_filled(sizes[large], folds), rest) > 0).sum()
        found = sizes > rest / (2 * max(int(open_folds), 1))
        if (found == large).all():
            return large
        large |= found


def _filled(sizes: Int64[np.ndarray, " groups"], folds: int, *, sort: bool = True) -> Float64[np.ndarray, " folds"]:
    """Samples of each fold once the groups, the largest first, have gone to the emptiest."""
    placed = -np.sort(-sizes) if sort else sizes
    return _held(_to_emptiest(placed, folds), placed, folds)


def _held(
    fold: Int64[np.ndarray, " groups"], sizes: Int64[np.ndarray, " groups"], folds: int
) -> Float64[np.ndarray, " folds"]:
    # of nothing at all bincount makes whole numbers, weights or not
    return np.bincount(fold, weights=sizes, minlength=folds).astype(np.float64)


def _to_emptiest(sizes: Int64[np.ndarray, " groups"], folds: int) -> Int64[np.ndarray, " groups"]:
    """Fold of each group, one after the other; a loop over at most twice as many groups as folds."""
    filled, fold = np.zeros(folds), np.zeros(len(sizes), dtype=np.int64)
    for group, size in enumerate(sizes.tolist()):
        fold[group] = int(filled.argmin())
        filled[fold[group]] += size
    return fold


def _lacking(filled: Float64[np.ndarray, " folds"], total: float) -> Float64[np.ndarray, " folds"]:
    """What each fold gets of `total`, so that those that get any end at one height."""
    heights = np.sort(filled)
    for count in range(len(filled), 0, -1):
        height = (total + heights[:count].sum()) / count
        if height >= heights[count - 1]:
            break
    found: np.ndarray = np.maximum(height - filled, 0.0)
    return found

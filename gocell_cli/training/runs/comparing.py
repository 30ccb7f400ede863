"""Runs compared: whose predictions of the samples that both tested are better, by how much, and how sure that is.

A contender is what is compared: a run's network, one of its baselines, or either over all runs of a series. Two
contenders are paired run by run: the same split (by its fingerprint) and, as far as there are such, the same seed. Of
a pair the samples count that both have in their test part, joined by genotype and value, not by number: a cache that
was built again numbers them anew.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float64, Int64

from gocell_cli.errors import UsageError
from gocell_cli.run_record import NETWORK, RunRecord
from gocell_cli.training.evaluation.paired import (
    FEW_GROUPS,
    NO_GROUP,
    SMALLER_IS_BETTER,
    Draws,
    Pairing,
    draw,
    interval,
)
from gocell_cli.training.runs.config import run_config
from gocell_cli.training.runs.predictions import Predictions

LEAST_SAMPLES = 10
"""Shared samples below which nothing is compared."""


@dataclass(frozen=True)
class Member:
    """A finished run: its folder, its seed, the fingerprint of its split, its phenotype, what it predicts.

    control: of its hierarchy, "" where that is the cache's own.
    """

    directory: Path
    seed: int
    split: str
    phenotype: str
    predictions: Predictions
    control: str = ""

    @classmethod
    def of(cls, directory: Path, record: RunRecord, predictions: Predictions) -> "Member":
        """Take them from a run's settings and record; a split of before there were fingerprints has its counts."""
        split = record.split
        known = split.fingerprint or f"{split.kind} {split.seed} {split.train} {split.validation} {split.test}"
        config = run_config(directory)
        return cls(directory, config.seed, known, record.kind, predictions, config.control)


@dataclass(frozen=True)
class Contender:
    """What is compared: a column of the predictions of some runs."""

    name: str
    members: tuple[Member, ...]
    column: str = NETWORK


def contenders_of(name: str, members: Sequence[Member]) -> list[Contender]:
    """Return a run's, or a series', network, each of its baselines, and the network on each control it has."""
    controls = sorted({member.control for member in members} - {""})
    whole = [member for member in members if not member.control]
    if controls and whole:
        on_control = [Contender(f"{c} control", tuple(m for m in members if m.control == c)) for c in controls]
        return [*contenders_of(name, whole), *on_control]
    columns = dict.fromkeys(column for member in members for column in member.predictions.predicted)
    ordered = [NETWORK, *(column for column in columns if column != NETWORK)]
    having = {c: tuple(m for m in members if c in m.predictions.predicted) for c in ordered}
    return [Contender(name if column == NETWORK else column, having[column], column) for column in ordered]


@dataclass(frozen=True)
class Measured:
    """A metric of two contenders, the mean over their pairs of runs, and the difference second - first.

    samples, groups: the interval of the mean difference, each split's test part resampled for itself; None where there
    is none. each: the difference of every pair.
    """

    first: float | None
    second: float | None
    difference: float | None
    samples: tuple[float, float] | None
    groups: tuple[float, float] | None
    each: tuple[float | None, ...]

    @property
    def sd(self) -> float | None:
        """Standard deviation of the difference over pairs of runs; None of fewer than two."""
        known = [x for x in self.each if x is not None]
        return float(np.std(known, ddof=1)) if len(known) > 1 else None


@dataclass(frozen=True)
class Comparison:
    """Two contenders, metric by metric.

    shared: samples that both predicted, over all pairs of runs; only_first, only_second: what one alone has in its test
    part. unpaired: runs of either that no run of the other fits. groups: the fewest query groups of a pair.
    """

    first: str
    second: str
    pairs: tuple[tuple[str, str], ...]
    shared: int
    only_first: int
    only_second: int
    unpaired: int
    groups: int
    metrics: dict[str, Measured]

    def says(self, metric: str) -> str:
        """Return in words what follows from a metric's difference and its intervals."""
        found = self.metrics[metric]
        if found.difference is None or found.samples is None:
            return f"{self.second} and {self.first}: {metric} is not defined for both"
        size = f"{abs(found.difference):.4f}"
        if found.difference == 0 and found.samples == (0.0, 0.0):
            return f"{self.second} and {self.first} have the same {metric}"
        if _holds_0(found.samples):
            over = f"over samples the interval holds 0 ({_ends(found.samples)})"
            return f"{self.second} and {self.first} are not told apart by {metric}: {found.difference:+.4f}, {over}"
        better = (found.difference > 0) != (metric in SMALLER_IS_BETTER)
        text = f"{self.second} is {'better' if better else 'worse'} than {self.first} by {size} in {metric}"
        text += f" ({_ends(found.samples)} over samples)"
        return text + self._of_groups(found) + self._of_runs(found, better)

    def _of_groups(self, found: Measured) -> str:
        if found.groups is None:
            return ""
        rough = f"; of {self.groups} groups it is rough" if self.groups < FEW_GROUPS else ""
        if _holds_0(found.groups):
            return f"; over query groups the interval holds 0 ({_ends(found.groups)}): not told apart{rough}"
        return f", over query groups as well ({_ends(found.groups)}{rough})"

    def _of_runs(self, found: Measured, better: bool) -> str:
        known = [x for x in found.each if x is not None]
        if len(known) < 2 or found.difference is None:
            return ""
        alike = sum(x * found.difference > 0 for x in known)
        return f"; {'better' if better else 'worse'} in {alike} of {len(known)} pairs of runs, sd {found.sd:.4f}"


def compare(first: Contender, second: Contender, seed: int, resamples: int) -> Comparison:
    """Compare two contenders; raises UsageError where they share no split, no phenotype or next to no sample."""
    pairs = paired(first.members, second.members)
    if not pairs:
        raise UsageError(
            f"{second.name}: no run of it has the split of a run of {first.name}",
            hint="train both with the same --split and --split-seed, or one with --split OTHER_RUN",
        )
    drawn = [_drawn(first, second, pair, seed, resamples) for pair in pairs]
    shared = sum(len(pairing.value) for pairing, _ in drawn)
    sides = list(zip(*pairs, strict=True))
    tested_first, tested_second = (sum(len(member.predictions) for member in side) for side in sides)
    names = [name for name in drawn[0][1] if all(name in draws for _, draws in drawn)]
    return Comparison(
        first.name,
        second.name,
        tuple((str(one.directory), str(other.directory)) for one, other in pairs),
        shared,
        tested_first - shared,
        tested_second - shared,
        sum(len(c.members) - len({m.directory for m in side}) for c, side in zip((first, second), sides, strict=True)),
        min(pairing.groups for pairing, _ in drawn),
        {name: _joined([draws[name] for _, draws in drawn]) for name in names},
    )


def _drawn(
    first: Contender, second: Contender, pair: tuple[Member, Member], seed: int, resamples: int
) -> tuple[Pairing, dict[str, Draws]]:
    """The samples that two runs share, and the metrics' differences on them."""
    one, other = pair
    a, b = one.predictions, other.predictions
    here, there = join(a, b)
    if one.phenotype != other.phenotype or len(here) < LEAST_SAMPLES:
        raise _unlike(one, other, len(here))
    predicted = a.predicted[first.column][here], b.predicted[second.column][there]
    pairing = Pairing(a.value[here], *predicted, _groups(a.group, here))
    # by split: runs of one split are resampled alike, and what differs between them is not the samples
    return pairing, draw(pairing, _seed_of(one.split, seed), resamples)


def _unlike(one: Member, other: Member, shared: int) -> UsageError:
    if one.phenotype != other.phenotype:
        why = f"one is of {one.phenotype}, the other of {other.phenotype}"
    else:
        why = f"{shared} samples are in the test part of both, by genotype and value, and {LEAST_SAMPLES} are needed"
    hint = f"train one on the other's split: gocell train CACHE --split {one.directory}"
    return UsageError(f"{other.directory} cannot be compared with {one.directory}", why=why, hint=hint)


def paired(first: Sequence[Member], second: Sequence[Member]) -> list[tuple[Member, Member]]:
    """Return which run of the second each of the first is compared with: of its split, and of its seed where one is.

    A single run is compared with a single run whatever their splits are: by what is in both test parts. On the side
    without controls a run is taken again for every control drawn of it.
    """
    if any(m.control for m in second) != any(m.control for m in first):
        turned = any(m.control for m in first)
        plain, drawn = (second, first) if turned else (first, second)
        of = {(m.split, m.seed): m for m in plain}
        both = [(of[m.split, m.seed], m) for m in drawn if (m.split, m.seed) in of]
        if both or len(first) > 1 or len(second) > 1:
            return [(control, own) for own, control in both] if turned else both
    if len(first) == len(second) == 1:
        return [(first[0], second[0])]
    left = defaultdict(list)
    for member in sorted(second, key=lambda m: (m.seed, str(m.directory))):
        left[member.split].append(member)
    found: list[tuple[Member, Member]] = []
    waiting: list[Member] = []
    for member in sorted(first, key=lambda m: (m.seed, str(m.directory))):
        twin = next((other for other in left[member.split] if other.seed == member.seed), None)
        if twin is None:
            waiting.append(member)
        else:
            left[member.split].remove(twin)
            found.append((member, twin))
    found += [(member, left[member.split].pop(0)) for member in waiting if left[member.split]]
    return sorted(found, key=lambda pair: (pair[0].seed, str(pair[0].directory)))


def join(a: Predictions, b: Predictions) -> tuple[Int64[np.ndarray, " shared"], Int64[np.ndarray, " shared"]]:
    """Return where the samples that both have are in each, in an order of genotype and value alone."""
    n = len(a)
    genes = pc.dictionary_encode(pa.concat_arrays([a.genes, b.genes]))
    rank = np.empty(len(genes.dictionary), dtype=np.int64)
    rank[pc.sort_indices(genes.dictionary).to_numpy()] = np.arange(len(rank))
    genotype = rank[genes.indices.to_numpy(zero_copy_only=False)] if len(rank) else np.zeros(0, dtype=np.int64)
    value = np.unique(np.concatenate([a.value, b.value]), return_inverse=True)[1].reshape(-1).astype(np.int64)
    sample = genotype * (int(value.max(initial=0)) + 1) + value
    # of several samples with one genotype and value the first is paired with the first
    sample = np.unique(sample, return_inverse=True)[1].reshape(-1).astype(np.int64)
    again = np.concatenate([_times_before(sample[:n]), _times_before(sample[n:])])
    key = sample * (int(again.max(initial=0)) + 1) + again
    _, here, there = np.intersect1d(key[:n], key[n:], assume_unique=True, return_indices=True)
    return here, there


def _times_before(keys: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """How often each key stood before."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    begins = np.append(True, ordered[1:] != ordered[:-1])[: len(keys)]
    start = np.maximum.accumulate(np.where(begins, np.arange(len(keys)), 0))
    found = np.empty(len(keys), dtype=np.int64)
    found[order] = np.arange(len(keys)) - start
    return found


def _groups(coded: pa.DictionaryArray, rows: Int64[np.ndarray, " rows"]) -> Int64[np.ndarray, " rows"]:
    """Numbers of query groups that ascend with their names."""
    rank = np.empty(len(coded.dictionary) + 1, dtype=np.int64)
    rank[pc.sort_indices(coded.dictionary).to_numpy()] = np.arange(len(coded.dictionary))
    # the last entry answers for what is null
    rank[-1] = NO_GROUP
    found: np.ndarray = rank[coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)[rows]]
    return found


def _seed_of(split: str, seed: int) -> int:
    """A seed for the resamples of a split's test part."""
    return int.from_bytes(split.encode()[-8:], "little") // 2 ^ seed


def _joined(draws: Sequence[Draws]) -> Measured:
    """The mean over pairs of runs of a metric, its difference and its resampled differences."""
    each = tuple(_known(d.difference) for d in draws)
    samples = _mean([d.samples for d in draws])
    groups = _mean([d.groups for d in draws if d.groups is not None])
    first, second, difference = (
        _known(float(np.mean(values)))
        for values in zip(*[(d.first, d.second, d.difference) for d in draws], strict=True)
    )
    return Measured(
        first,
        second,
        difference,
        interval(samples) if samples is not None else None,
        interval(groups) if groups is not None and all(d.groups is not None for d in draws) else None,
        each,
    )


def _mean(draws: Sequence[Float64[np.ndarray, " resamples"]]) -> Float64[np.ndarray, " resamples"] | None:
    """The mean of resampled differences, resample by resample, as many as all of them have."""
    if not draws:
        return None
    least = min(len(d) for d in draws)
    found: np.ndarray = np.mean([d[:least] for d in draws], axis=0)
    return found


def _known(x: float) -> float | None:
    return x if np.isfinite(x) else None


def _holds_0(ends: tuple[float, float]) -> bool:
    return ends[0] <= 0 <= ends[1]


def _ends(ends: tuple[float, float]) -> str:
    return f"{ends[0]:+.4f} to {ends[1]:+.4f}"

"""Which samples train, which validate and which test: a pure function of the samples and the choice.

random    every genotype for itself
query     all samples of a query group (see the cache's provenance) in one part: no query strain is in two
gene      genes are divided first; a sample whose genes lie in different parts is dropped, and counted
any-gene  genes are divided as in `gene`; a sample with a test gene is tested, one with a validation gene validates, one
          whose genes all train trains; one with a test and a validation gene is dropped, and counted
file      as a file names them (`named.py`)

In each of them a genotype's samples, of which a cache of `--duplicates keep` has several, are in one part.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Int8, Int64

from gocell_cli.errors import UsageError
from gocell_cli.storage.schema import NONE_INDEX, Samples
from gocell_cli.training.data.order import shuffled
from gocell_cli.training.data.splits.deal import (
    FOLD_VALIDATION,
    FOLDS,
    REDRAWN,
    cut,
    deal,
    deal_folds,
    largest_first,
)
from gocell_cli.training.data.splits.genotypes import are_distinct, genotype_codes, genotype_keys, mixed
from gocell_cli.training.data.splits.kinds import ANY_GENE, GENE, PARTS, SplitChoice

TRAIN, VALIDATION, TEST = range(3)
DROPPED, UNUSED = -1, -2
"""In no part: because of the split, or because `subset` leaves it out of training."""


@dataclass(frozen=True)
class FileMatch:
    """How a split's file fits a cache: genotypes of it that no sample has, samples that it does not name.

    validation_drawn: it names none for validation, and they were drawn from those that it names for training.
    """

    path: str
    not_in_cache: int
    not_named: int
    validation_drawn: bool


@dataclass(frozen=True)
class Split:
    """Each sample's part, by number: 0 to 2 as in PARTS, DROPPED or UNUSED."""

    choice: SplitChoice
    part: Int8[np.ndarray, " samples"]
    match: FileMatch | None = None

    def rows(self, part: str) -> Int64[np.ndarray, " rows"]:
        """The rows of `train`, `validation` or `test`, ascending."""
        found: np.ndarray = getattr(self, part)
        return found

    @cached_property
    def train(self) -> Int64[np.ndarray, " train"]:
        """Rows that train."""
        return self._of(TRAIN)

    @cached_property
    def validation(self) -> Int64[np.ndarray, " validation"]:
        """Rows that validate."""
        return self._of(VALIDATION)

    @cached_property
    def test(self) -> Int64[np.ndarray, " test"]:
        """Rows that test."""
        return self._of(TEST)

    def _of(self, part: int) -> Int64[np.ndarray, " rows"]:
        return np.flatnonzero(self.part == part).astype(np.int64)

    def require_parts(self) -> None:
        """Raise UsageError where a part is empty."""
        if not all(len(self.rows(part)) for part in PARTS):
            sizes = ", ".join(f"{name} {len(self.rows(name)):,}" for name in PARTS)
            kind, count = self.choice.kind, len(self.part)
            raise UsageError(f"a {kind} split of {count:,} samples leaves a part empty: {sizes}", hint=HINTS[kind])


class OnePart(Split):
    """Samples that train, validate and test at once, to see whether a network can learn them: no test of anything."""

    @cached_property
    def validation(self) -> Int64[np.ndarray, " validation"]:
        """The rows that train."""
        return self.train

    @cached_property
    def test(self) -> Int64[np.ndarray, " test"]:
        """The rows that train."""
        return self.train


HINTS = {
    "query": "reciprocal crosses join query groups into one; --split random, or build with --order trigenic",
    GENE: f"--split {ANY_GENE}, or random",
    ANY_GENE: "--split random",
    "random": "more samples, or --set fractions=[0.6,0.2,0.2]",
    "file": "name samples of this cache for train, validation and test in it",
}


def make_split(samples: Samples, choice: SplitChoice, names: Sequence[str]) -> Split:
    """Divide samples; `names` are the hierarchy's genes.

    Raises UsageError where the samples have no query groups, there are fewer things than folds, a part is empty, or the
    training part has no `subset` of that size.
    """
    things = _things(samples, choice, len(names))
    split = Split(choice, _on_one_side(samples, things.parts(things.divided(choice)), choice.rule))
    return with_subset(split, samples, names)


def with_subset(split: Split, samples: Samples, names: Sequence[str]) -> Split:
    """Return the split with `choice.subset` of its training samples that have a label, the others UNUSED.

    Drawn by the genes' names and the seed: of one seed the smaller subset lies within the larger one, and is the same
    genotypes in another cache. Raises UsageError where there are not so many, or a part is empty.
    """
    split.require_parts()
    if not split.choice.subset:
        return split
    labelled = split.train[np.isfinite(samples.value[split.train])]
    if len(labelled) < split.choice.subset:
        message = f"--subset {split.choice.subset}: {len(labelled):,} training samples have a label"
        raise UsageError(message, hint=f"--subset {len(labelled)}, or less")
    keys = genotype_keys(samples.gene_ptr, samples.genes, names, f"subset {split.choice.seed}")[labelled]
    # stable: rows of one genotype in the order of their source
    chosen = labelled[np.argsort(keys, kind="stable")[: split.choice.subset]]
    part = split.part.copy()
    part[split.train] = UNUSED
    part[chosen] = TRAIN
    return replace(split, part=part)


def fingerprint(split: Split, samples: Samples, names: Sequence[str]) -> str:
    """Return the sha256 of which genotypes are in which part, by their genes' names: the same in every cache.

    Neither the order of samples nor how often a genotype was measured changes it.
    """
    used = split.part >= 0
    keys = genotype_keys(samples.gene_ptr, samples.genes, names, "genotype")[used]
    # one number of both; `mixed`, for keys of two parts are to have nothing in common
    sides = np.sort(mixed(keys + split.part[used].astype(np.uint64)))
    # each once; np.unique would make a table of hashes of them first, ten times as slow
    once = np.ones(len(sides), dtype=bool)
    once[1:] = sides[1:] != sides[:-1]
    return hashlib.sha256(sides[once].astype("<u8").tobytes()).hexdigest()


@dataclass(frozen=True)
class _Things:
    """What is divided, genotypes, groups or genes: how many samples each has, and which of them each sample has.

    A sample's are thing[ptr[i]:ptr[i + 1]]; one without any is in no part, nor is one with some in different parts, of
    which with `any_decides` training does not count. `even`: they count alike, so that their number decides and not
    their samples'.
    """

    sizes: Int64[np.ndarray, " things"]
    ptr: Int64[np.ndarray, " samples_plus_1"] | None
    thing: Int64[np.ndarray, " of_samples"]
    even: bool
    called: str
    any_decides: bool = False

    def folds(self, choice: SplitChoice) -> Int64[np.ndarray, " things"]:
        """The fold of each thing."""
        if len(self.sizes) < choice.folds:
            raise UsageError(f"{len(self.sizes):,} {self.called} make no {choice.folds} folds", hint="fewer --folds")
        if self.even:
            order = shuffled(len(self.sizes), seed=choice.seed, epoch=FOLDS + choice.folds)
            return cut(order, [1 / choice.folds] * choice.folds)
        return deal_folds(self.sizes, choice.folds, choice.seed)

    def divided(self, choice: SplitChoice) -> Int64[np.ndarray, " things"]:
        """The part of each thing."""
        part = self._first_division(choice)
        if choice.validation_seed >= 0:
            self._divide(part, np.flatnonzero(part != TEST), choice, choice.validation_seed, REDRAWN)
        return part

    def _first_division(self, choice: SplitChoice) -> Int64[np.ndarray, " things"]:
        if choice.folds:
            return self._beside_fold(choice)
        if self.even:
            return cut(np.random.default_rng(choice.seed).permutation(len(self.sizes)), choice.fractions)
        if choice.rule == 1:
            return largest_first(self.sizes, choice.fractions, choice.seed)
        return deal(self.sizes, choice.fractions, choice.seed)

    def _beside_fold(self, choice: SplitChoice) -> Int64[np.ndarray, " things"]:
        """The fold is tested; the others are divided as the first two fractions are to each other."""
        part = np.full(len(self.sizes), TEST)
        stream = FOLD_VALIDATION + ((choice.folds << 16) + choice.fold << 6)
        self._divide(part, np.flatnonzero(self.folds(choice) != choice.fold), choice, choice.seed, stream)
        return part

    def _divide(
        self,
        part: Int64[np.ndarray, " things"],
        rest: Int64[np.ndarray, " rest"],
        choice: SplitChoice,
        seed: int,
        stream: int,
    ) -> None:
        """Let the rest train and validate, as the first two fractions are to each other; written into `part`."""
        shares = np.array(choice.fractions[:2]) / (sum(choice.fractions[:2]) or 1.0)
        if self.even:
            part[rest] = cut(shuffled(len(rest), seed=seed, epoch=stream), shares)
        else:
            part[rest] = deal(self.sizes[rest], shares, seed, stream)

    def parts(self, part: Int64[np.ndarray, " things"]) -> Int64[np.ndarray, " samples"]:
        """The part of each sample."""
        own: np.ndarray = part[self.thing]
        if self.ptr is None:
            return own
        return held_out(self.ptr, own) if self.any_decides else common(self.ptr, own)


def common(
    ptr: Int64[np.ndarray, " lists_plus_1"], values: Int64[np.ndarray, " values"]
) -> Int64[np.ndarray, " lists"]:
    """Return the one value of each list, which is 0 or more; DROPPED for a list of several values, or of none."""
    low, high = (_reduced(of, ptr, values, empty=DROPPED) for of in (np.minimum, np.maximum))
    found: np.ndarray = np.where(low == high, low, DROPPED)
    return found


def held_out(
    ptr: Int64[np.ndarray, " lists_plus_1"], parts: Int64[np.ndarray, " parts"]
) -> Int64[np.ndarray, " lists"]:
    """Return the one part other than TRAIN of each list, TRAIN where there is no other; DROPPED of both, or of none."""
    found: np.ndarray = OF_PARTS[_reduced(np.bitwise_or, ptr, 1 << parts, empty=0)]
    return found


OF_PARTS = np.array([DROPPED, TRAIN, VALIDATION, VALIDATION, TEST, TEST, DROPPED, DROPPED])
"""By a number with bit 1 << part set for each part that is in a list."""


def _reduced(
    function: np.ufunc, ptr: Int64[np.ndarray, " lists_plus_1"], values: Int64[np.ndarray, " values"], *, empty: int
) -> Int64[np.ndarray, " lists"]:
    counts = np.diff(ptr)
    found = np.full(len(counts), empty, dtype=np.int64)
    filled = np.flatnonzero(counts > 0)
    if len(filled):
        # starts of lists that are not empty, so that each ends where the next begins
        found[filled] = function.reduceat(values, ptr[:-1][filled])
    return found


def _things(samples: Samples, choice: SplitChoice, genes: int) -> _Things:
    if choice.kind in (GENE, ANY_GENE):
        used = np.zeros(genes, dtype=bool)
        used[samples.genes] = True
        # a gene that no sample deletes is in no part and takes no share from those that count
        number = np.cumsum(used) - 1
        sizes = np.bincount(number[samples.genes], minlength=int(used.sum()))
        own = number[samples.genes]
        return _Things(sizes, samples.gene_ptr, own, True, "genes", any_decides=choice.kind == ANY_GENE)
    if choice.kind == "query":
        group = samples.query_group
        if (group == NONE_INDEX).any():
            hint = "--split random, or --split gene"
            raise UsageError("samples without a query group can't be split by it", hint=hint)
        if choice.rule == 1:
            return _Things(np.bincount(group), None, group.astype(np.int64), False, "query groups")
        # groups that other samples of the screen had, and none of these has, are none
        sizes = np.bincount(group)
        number = np.cumsum(sizes > 0) - 1
        return _Things(sizes[sizes > 0], None, number[group], False, "query groups")
    codes = genotype_codes(samples.gene_ptr, samples.genes) if choice.rule > 1 else np.arange(len(samples))
    if are_distinct(codes):
        return _Things(np.ones(len(samples), dtype=np.int64), None, np.arange(len(samples)), True, "samples")
    _, first, number = np.unique(codes, return_index=True, return_inverse=True)
    # counted as they come, so that where all are distinct every sample has the part that it has by rule 1
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    thing = rank[number.reshape(-1)]
    return _Things(np.bincount(thing), None, thing, True, "genotypes")


def _on_one_side(samples: Samples, part: Int64[np.ndarray, " samples"], rule: int) -> Int8[np.ndarray, " samples"]:
    """Drop genotypes that are in several parts: measured in query groups that a foreign cache does not join."""
    codes = genotype_codes(samples.gene_ptr, samples.genes) if rule > 1 else np.zeros(0, dtype=np.int64)
    if len(codes) and not are_distinct(codes):
        order = np.argsort(codes, kind="stable")
        starts = np.flatnonzero(np.diff(codes[order], prepend=codes[order[0]] - 1))
        ptr = np.append(starts, len(codes))
        part = part.copy()
        part[order] = np.repeat(common(ptr, part[order]), np.diff(ptr))
    return part.astype(np.int8)

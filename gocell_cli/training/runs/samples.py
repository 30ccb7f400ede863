"""What a run learns from: the samples of its cache, divided, their labels checked and scaled; no torch is needed yet.

A split that leaves a part empty, a phenotype that cannot be learnt: all that is wrong with them is found here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int8, Int64

from gocell_cli.csr import ranges
from gocell_cli.errors import UsageError
from gocell_cli.named_parts import NamedParts
from gocell_cli.named_vectors import NamedVectors
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.schema import Samples
from gocell_cli.training.data.gene_vectors import GeneVectors, read_gene_vectors
from gocell_cli.training.data.labels import LabelScale, check_differ, check_labels, label_scale
from gocell_cli.training.data.order import drawn
from gocell_cli.training.data.splits.kinds import FILE, SplitChoice
from gocell_cli.training.data.splits.named import named_split
from gocell_cli.training.data.splits.split import DROPPED, TRAIN, OnePart, Split, make_split
from gocell_cli.training.runs.config import RunConfig


@dataclass(frozen=True)
class RunSamples:
    """The labels of all samples (NaN: none), the split, and the rows of its training part that have a label.

    `kind` is the phenotype; with `scale.logits` the loss is of labels 0 and 1. Where one network is trained on several,
    these are of the first, and `others` of those after it, of the same split.
    """

    values: Float64[np.ndarray, " samples"]
    split: Split
    kind: str
    train_rows: Int64[np.ndarray, " train"]
    scale: LabelScale
    vectors: GeneVectors | None = None
    others: tuple["RunSamples", ...] = ()

    @property
    def each(self) -> tuple["RunSamples", ...]:
        """Those of every phenotype, this one first."""
        return (self, *self.others)

    @cached_property
    def rows(self) -> Int64[np.ndarray, " train"]:
        """The rows that train the network: of the training part, those that have a phenotype of the run."""
        if not self.others:
            return self.train_rows
        labelled = np.any([np.isfinite(one.values) for one in self.each], axis=0)
        found: Int64[np.ndarray, " train"] = self.split.train[labelled[self.split.train]]
        return found

    def shares(self) -> tuple[float, ...]:
        """Return of each phenotype the share of the training rows that have it."""
        return tuple(len(one.train_rows) / len(self.rows) for one in self.each)

    @classmethod
    def of(
        cls,
        cache: Cache,
        config: RunConfig,
        *,
        named: NamedParts | None = None,
        kept: Int8[np.ndarray, " samples"] | None = None,
        vectors: Sequence[NamedVectors] | GeneVectors | None = None,
    ) -> "RunSamples":
        """Read a cache's columns, once; `named` is what the file of `config.split` says, `kept` the parts a run keeps.

        `vectors` are what the files of `config.gene_vectors` say, or what a run keeps of them. Raises UsageError for a
        split or a loss that these samples do not allow, InvalidInput for labels beyond numbers and for a file that does
        not fit.
        """
        several = opened(cache, config)
        config.weights_of(len(several))
        first = several[0]
        samples = first.columns() if len(several) == 1 else _with_any(several)
        split = _split(samples, config.split_choice(), cache.hierarchy.gene_names, named, kept)
        if config.overfit:
            split = _one_part(split, samples, config)
        each = [cls._one(one, split, config.loss) for one in several]
        found = replace(each[0], others=tuple(each[1:]))
        if vectors is None or isinstance(vectors, GeneVectors):
            return replace(found, vectors=vectors)
        trained = deleted_genes(samples, found.rows, len(cache.hierarchy.gene_names))
        also, control = [one.kind for one in each[1:]], bool(config.control)
        read = read_gene_vectors(vectors, cache.hierarchy, trained, found.kind, control=control, also=also)
        return replace(found, vectors=read)

    @classmethod
    def _one(cls, cache: Cache, split: Split, loss: str) -> "RunSamples":
        """The labels of one phenotype, by which the cache is opened; raises as `of` does."""
        values, kind = cache.columns().value, cache.phenotype["kind"]
        check_labels(values, kind)
        train_rows = split.train[np.isfinite(values[split.train])]
        if len(train_rows) < 2:
            of = f" for {kind}" if len(cache.manifest.phenotypes) > 1 else ""
            message = f"{len(train_rows)} training samples have a label{of}"
            raise UsageError(message, hint="choose another phenotype")
        logits = loss == "bce" or (loss == "auto" and kind == "viability")
        return cls(values, split, kind, train_rows, label_scale(values[train_rows], logits=logits))

    def check_differ(self) -> None:
        """Raise InvalidInput where nothing but rounding tells a phenotype's training labels apart."""
        for one in self.each:
            check_differ(one.values[one.train_rows], one.kind)

    @property
    def nan_labels(self) -> int:
        """Samples without a label."""
        return int(np.isnan(self.values).sum())


def opened(cache: Cache, config: RunConfig) -> tuple[Cache, ...]:
    """Return a cache opened by each phenotype that the settings ask for, columns read once.

    Raises UsageError for one that it has not.
    """
    kinds = config.phenotypes([phenotype["kind"] for phenotype in cache.manifest.phenotypes])
    if len(kinds) > 1:
        cache.columns()
    elif not config.phenotype:
        return (cache,)
    return tuple(cache.of_phenotype(kind) for kind in kinds)


def as_asked(cache: Cache, config: RunConfig) -> Cache:
    """Return a cache opened by the phenotype that the settings ask for; itself where they ask for several."""
    return cache if len(found := opened(cache, config)) > 1 else found[0]


def _with_any(several: Sequence[Cache]) -> Samples:
    """The samples, of which those without any of the phenotypes have no label."""
    labelled = np.any([np.isfinite(cache.columns().value) for cache in several], axis=0)
    return replace(several[0].columns(), value=np.where(labelled, 0.0, np.nan))


def deleted_genes(samples: Samples, rows: Int64[np.ndarray, " rows"], genes: int) -> Bool[np.ndarray, " genes"]:
    """Return which genes some of the samples delete."""
    _, place = ranges(samples.gene_ptr[rows], np.diff(samples.gene_ptr)[rows])
    found = np.zeros(genes, dtype=bool)
    found[samples.genes[place]] = True
    return found


def _one_part(split: Split, samples: Samples, config: RunConfig) -> OnePart:
    """Return the samples of `overfit`, drawn from the training ones that have a label; all of those that a run kept.

    Raises UsageError where there are fewer.
    """
    labelled = split.train[np.isfinite(samples.value[split.train])]
    if config.overfit > len(labelled):
        raise UsageError(
            f"overfit is {config.overfit:,}, and {len(labelled):,} samples train", hint=f"--overfit {len(labelled)}"
        )
    rows = drawn(labelled, config.overfit, seed=config.seed)
    part = np.full(len(samples), DROPPED, dtype=np.int8)
    part[rows] = TRAIN
    return OnePart(split.choice, part)


def _split(
    samples: Samples,
    choice: SplitChoice,
    names: Sequence[str],
    named: NamedParts | None,
    kept: Int8[np.ndarray, " samples"] | None,
) -> Split:
    if kept is not None:
        return Split(choice, kept)
    if choice.kind != FILE:
        return make_split(samples, choice, names)
    if named is None:
        raise UsageError("the file of this split was not read", hint="gocell train --split FILE reads it")
    return named_split(samples, choice, named, names)

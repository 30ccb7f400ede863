"""What a run learns from: the samples of its cache, divided, their labels checked and scaled; no torch is needed yet.

A split that leaves a part empty, a phenotype that cannot be learnt: all that is wrong with them is found here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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

    `kind` is the phenotype; with `scale.logits` the loss is of labels 0 and 1.
    """

    values: Float64[np.ndarray, " samples"]
    split: Split
    kind: str
    train_rows: Int64[np.ndarray, " train"]
    scale: LabelScale
    vectors: GeneVectors | None = None

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
        cache = cache.of_phenotype(config.phenotype)
        samples = cache.columns()
        values = samples.value
        split = _split(samples, config.split_choice(), cache.hierarchy.gene_names, named, kept)
        if config.overfit:
            split = _one_part(split, samples, config)
        kind = cache.phenotype["kind"]
        check_labels(values, kind)
        train_rows = split.train[np.isfinite(values[split.train])]
        if len(train_rows) < 2:
            raise UsageError(f"{len(train_rows)} training samples have a label", hint="choose another phenotype")
        logits = config.loss == "bce" or (config.loss == "auto" and kind == "viability")
        if vectors is not None and not isinstance(vectors, GeneVectors):
            trained = deleted_genes(samples, train_rows, len(cache.hierarchy.gene_names))
            control = bool(config.control)
            vectors = read_gene_vectors(vectors, cache.hierarchy, trained, kind, control=control)
        return cls(values, split, kind, train_rows, label_scale(values[train_rows], logits=logits), vectors)

    def check_differ(self) -> None:
        """Raise InvalidInput where nothing but rounding tells the training labels apart."""
        check_differ(self.values[self.train_rows], self.kind)

    @property
    def nan_labels(self) -> int:
        """Samples without a label."""
        return int(np.isnan(self.values).sum())


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

"""What a run learns from: the samples of its cache, divided, their labels checked and scaled; no torch is needed yet.

A split that leaves a part empty, a phenotype that cannot be learnt: all that is wrong with them is found here.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from gocell_cli.errors import UsageError
from gocell_cli.storage.reader import Cache
from gocell_cli.training.data.labels import LabelScale, check_differ, check_labels, label_scale
from gocell_cli.training.data.splits.split import Split, make_split
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

    @classmethod
    def of(cls, cache: Cache, config: RunConfig) -> "RunSamples":
        """Read a cache's columns, once.

        Raises UsageError for a split or a loss that these samples do not allow, InvalidInput for labels beyond numbers.
        """
        samples = cache.columns()
        values = samples.value
        split = make_split(samples, config.split_choice(), cache.hierarchy.gene_names)
        kind = cache.manifest.phenotype["kind"]
        check_labels(values, kind)
        train_rows = split.train[np.isfinite(values[split.train])]
        if len(train_rows) < 2:
            raise UsageError(f"{len(train_rows)} training samples have a label", hint="choose another phenotype")
        logits = config.loss == "bce" or (config.loss == "auto" and kind == "viability")
        return cls(values, split, kind, train_rows, label_scale(values[train_rows], logits=logits))

    def check_differ(self) -> None:
        """Raise InvalidInput where nothing but rounding tells the training labels apart."""
        check_differ(self.values[self.train_rows], self.kind)

    @property
    def nan_labels(self) -> int:
        """Samples without a label."""
        return int(np.isnan(self.values).sum())

"""What torchcell's data module asks of a dataset: which samples are of each data set, gene, count and phenotype.

The names are torchcell's (`Neo4jCellDataset`); numbers are places in the dataset, ascending. Every perturbation of a
cache is a deleted gene, so that two of its indices are one here.
"""

from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np
from jaxtyping import Int64

from gocell_cli.errors import ExtraMissing
from gocell_cli.storage.reader import Cache

Places = dict[str, list[int]]


@dataclass(frozen=True)
class PhenotypeInfo:
    """The phenotype of a cache, and what its statistic is, "" where it has none."""

    label_name: str
    label_statistic_name: str


class SampleIndex:
    """Indices of some samples of a cache, made when they are first asked for."""

    def __init__(self, cache: Cache, rows: Int64[np.ndarray, " chosen"]) -> None:
        self._cache = cache
        self._samples = cache.rows(rows)
        self._counts = np.diff(self._samples.gene_ptr)

    @cached_property
    def gene_set(self) -> set[str]:
        """All genes of the cache, annotated or not."""
        return set(self._cache.hierarchy.gene_names)

    @cached_property
    def phenotype_info(self) -> list[PhenotypeInfo]:
        """The one phenotype of a cache."""
        told = self._cache.phenotype
        return [PhenotypeInfo(told["kind"], told["statistic"])]

    @cached_property
    def phenotype_label_index(self) -> Places:
        """Samples with a value, by the phenotype's name."""
        return {self.phenotype_info[0].label_name: np.flatnonzero(np.isfinite(self._samples.value)).tolist()}

    @cached_property
    def dataset_name_index(self) -> Places:
        """Samples by the name of their data set."""
        names = self._cache.manifest.datasets
        return {name: np.flatnonzero(self._samples.dataset == i).tolist() for i, name in enumerate(names)}

    @cached_property
    def perturbation_count_index(self) -> dict[int, list[int]]:
        """Samples by how many genes they delete."""
        return {int(n): np.flatnonzero(self._counts == n).tolist() for n in np.unique(self._counts)}

    @cached_property
    def is_any_perturbed_gene_index(self) -> Places:
        """Samples by each gene that they delete."""
        owner = np.repeat(np.arange(len(self._counts)), self._counts)
        order = np.argsort(self._samples.genes, kind="stable")
        genes, starts = np.unique(self._samples.genes[order], return_index=True)
        parts = np.split(owner[order], starts[1:])
        names = self._cache.hierarchy.gene_names
        return {names[gene]: part.tolist() for gene, part in zip(genes.tolist(), parts, strict=True)}

    @property
    def is_any_deletion_gene_index(self) -> Places:
        """The same: every perturbation here is a deletion."""
        return self.is_any_perturbed_gene_index

    @cached_property
    def label_df(self) -> Any:
        """The labels as a pandas.DataFrame: `index`, and a column of the phenotype's name.

        Raises ExtraMissing where pandas is not installed, which nothing else here needs.
        """
        try:
            pandas = import_module("pandas")
        except ModuleNotFoundError as error:
            raise ExtraMissing("label_df is a pandas.DataFrame", hint="pip install pandas") from error
        name = self.phenotype_info[0].label_name
        return pandas.DataFrame({"index": np.arange(len(self._counts)), name: self._samples.value})

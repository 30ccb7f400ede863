"""Published fitness of the strains that were crossed, as a feature, of how many samples, and of single mutants by gene.

Which phenotypes are told it, `training/data/own_label.py` decides.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Shaped

from gocell_cli.gene_names import HO
from gocell_cli.storage.schema import Hierarchy, Provenance, Samples
from gocell_cli.training.data.own_label import fitness_withheld

SUPPRESSOR = "suppressor"


class OfferedFitness(NamedTuple):
    """How many of `samples` have a published fitness of their query and of their array strain.

    `reason` says why they are not offered it as a feature; "" where they are, or where nothing was published.
    """

    samples: int
    query: int
    array: int
    reason: str = ""

    @property
    def line(self) -> str:
        """What is to be said of it, "" where there is nothing to say."""
        if not self.query and not self.array:
            return ""
        having = f"of the query strain in {self.query:,} and of the array strain in {self.array:,}"
        told = f"not used as a feature: {self.reason}" if self.reason else "used as a feature"
        return f"published single- or double-mutant fitness {having} of {self.samples:,} samples is {told}"


def offered_fitness(samples: Samples, provenance: Provenance, phenotype: str) -> OfferedFitness:
    """Return of how many samples the fitness of a strain was published, and whether it is offered as a feature."""
    query, array = (int(n) for n in np.isfinite(published_fitness(samples, provenance)).sum(axis=0))
    return OfferedFitness(len(samples), query, array, fitness_withheld(phenotype))


def published_fitness(samples: Samples, provenance: Provenance) -> Float64[np.ndarray, "n 2"]:
    """Return the fitness of each sample's query and array strain, 1 as the wild type's; NaN where none was published.

    The mean over those of its source rows whose strain has one.
    """
    # one entry more: of -1, no strain
    of_strain = np.append(_of_strains(provenance), np.nan)
    owner = np.repeat(np.arange(len(samples)), np.diff(samples.source_ptr))
    sides = [_means(of_strain[strain], owner, len(samples)) for strain in (samples.query_strain, samples.array_strain)]
    return np.stack(sides, axis=1)


def known_singles(provenance: Provenance, hierarchy: Hierarchy) -> Float64[np.ndarray, " genes"]:
    """Return the published fitness of each gene's single mutants, the mean over its strains; NaN where none was.

    Strains of one gene, array or query (there crossed into ho, whose deletion counts for nothing). A suppressor's is
    not the gene's: its second mutation makes up for the first (doi:10.1126/science.aag0839).
    """
    gene = np.array([_only_gene(strain, hierarchy) for strain, _ in provenance.strains], dtype=np.int32)
    single = (gene >= 0) & (np.array(provenance.kinds, dtype=object) != SUPPRESSOR)
    return _means(_of_strains(provenance)[single], gene[single], len(hierarchy.gene_names))


def _of_strains(provenance: Provenance) -> Float64[np.ndarray, " strains"]:
    values = provenance.fitness or (None,) * len(provenance.strains)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _only_gene(strain: str, hierarchy: Hierarchy) -> int:
    """The gene of a strain id `ORF_dma12` or `ORF+YDL227C_tm12`; -1 where it is of several genes, or of none here."""
    names = set(strain.partition("_")[0].split("+")) - {HO}
    found = hierarchy.lookup.find(names.pop()).genes if len(names) == 1 else ()
    return found[0] if len(found) == 1 else -1


def _means(
    values: Float64[np.ndarray, " items"], owner: Shaped[np.ndarray, " items"], owners: int
) -> Float64[np.ndarray, " owners"]:
    """The mean of each owner's values that are known, NaN where none is."""
    known: Bool[np.ndarray, " items"] = np.isfinite(values)
    count = np.bincount(owner[known], minlength=owners)
    return np.bincount(owner[known], weights=values[known], minlength=owners) / np.where(count > 0, count, np.nan)

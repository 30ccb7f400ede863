"""Published fitness of the strains that were crossed, as a feature, of how many samples, and of single mutants by gene.

Which phenotypes are told it, `training/data/own_label.py` decides.
"""

import numpy as np
from jaxtyping import Bool, Float64, Int64

from gocell_cli.gene_names import HO
from gocell_cli.run_record import StrainFitnessRecord
from gocell_cli.storage.schema import NONE_INDEX, Hierarchy, Provenance, Samples
from gocell_cli.training.data.own_label import fitness_withheld

SUPPRESSOR = "suppressor"


def offered_fitness(
    samples: Samples, provenance: Provenance, hierarchy: Hierarchy, phenotype: str
) -> StrainFitnessRecord | None:
    """Return of how many samples a strain's fitness was published, and why it is no feature; None where of none."""
    known = np.isfinite(published_fitness(samples, provenance, hierarchy))
    if not known.any():
        return None
    borrowed = int((known & ~np.isfinite(_by_sample(samples, _of_strains(provenance)))).sum())
    query, array = (int(n) for n in known.sum(axis=0))
    return StrainFitnessRecord(len(samples), query, array, borrowed, fitness_withheld(phenotype))


def published_fitness(samples: Samples, provenance: Provenance, hierarchy: Hierarchy) -> Float64[np.ndarray, "n 2"]:
    """Return the fitness of each sample's query and array strain, 1 as the wild type's; NaN where none was published.

    The mean over those of its source rows whose strain has one. A strain of one gene that has none has that of the
    gene's other strains of its kind: of Kuzmin 2018's query strains the table has no single mutant's fitness, and of
    the same genes' array strains it has.
    """
    own = _of_strains(provenance)
    gene, kind = _only_genes(provenance, hierarchy), _kinds(provenance)
    of_kind = gene.astype(np.int64) * len(np.unique(kind)) + kind
    single = (gene != NONE_INDEX) & _no_suppressor(provenance)
    others = np.full(len(own), np.nan)
    _, place = np.unique(of_kind[single], return_inverse=True)
    others[single] = _means(own[single], place, int(place.max(initial=-1)) + 1)[place]
    return _by_sample(samples, np.where(np.isfinite(own), own, others))


def known_singles(provenance: Provenance, hierarchy: Hierarchy) -> Float64[np.ndarray, " genes"]:
    """Return the published fitness of each gene's single mutants, the mean over its strains; NaN where none was.

    Strains of one gene, array or query (there crossed into ho, whose deletion counts for nothing). A suppressor's is
    not the gene's: its second mutation makes up for the first (doi:10.1126/science.aag0839).
    """
    gene = _only_genes(provenance, hierarchy)
    single = (gene != NONE_INDEX) & _no_suppressor(provenance)
    return _means(_of_strains(provenance)[single], gene[single], len(hierarchy.gene_names))


def _of_strains(provenance: Provenance) -> Float64[np.ndarray, " strains"]:
    values = provenance.fitness or (None,) * len(provenance.strains)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _no_suppressor(provenance: Provenance) -> Bool[np.ndarray, " strains"]:
    return np.array([kind != SUPPRESSOR for kind in provenance.kinds], dtype=bool)


def _kinds(provenance: Provenance) -> Int64[np.ndarray, " strains"]:
    names = {kind: number for number, kind in enumerate(sorted(set(provenance.kinds)))}
    return np.array([names[kind] for kind in provenance.kinds], dtype=np.int64)


def _only_genes(provenance: Provenance, hierarchy: Hierarchy) -> Int64[np.ndarray, " strains"]:
    """The gene of each strain `ORF_dma12` or `ORF+YDL227C_tm12`; -1 where it is of several genes, or of none here."""
    return np.array([_only_gene(strain, hierarchy) for strain, _ in provenance.strains], dtype=np.int64)


def _only_gene(strain: str, hierarchy: Hierarchy) -> int:
    names = set(strain.partition("_")[0].split("+")) - {HO}
    found = hierarchy.lookup.find(names.pop()).genes if len(names) == 1 else ()
    return found[0] if len(found) == 1 else NONE_INDEX


def _by_sample(samples: Samples, of_strain: Float64[np.ndarray, " strains"]) -> Float64[np.ndarray, "n 2"]:
    # one entry more: of -1, no strain
    of_strain = np.append(of_strain, np.nan)
    owner = np.repeat(np.arange(len(samples)), np.diff(samples.source_ptr))
    sides = [_means(of_strain[strain], owner, len(samples)) for strain in (samples.query_strain, samples.array_strain)]
    return np.stack(sides, axis=1)


def _means(
    values: Float64[np.ndarray, " items"], owner: Int64[np.ndarray, " items"], owners: int
) -> Float64[np.ndarray, " owners"]:
    """The mean of each owner's values that are known, NaN where none is."""
    known = np.isfinite(values)
    count = np.bincount(owner[known], minlength=owners)
    return np.bincount(owner[known], weights=values[known], minlength=owners) / np.where(count > 0, count, np.nan)

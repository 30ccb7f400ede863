"""Essentiality, the bundled default: single-gene deletions of SGD's ORFs (R64-2-1), viability 0 or 1.

Dubious ORFs are left out first, 66 of the 1,186 on the bundled list of essential genes among them: SGD takes them for
no genes, so their deletion says nothing of a gene product. Then 0 for the genes on the list, 1 for others.
"""

from pathlib import Path

import numpy as np

from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import Dataset, Measurements, Phenotype
from gocell_cli.gene_names import AMBIGUOUS, UNKNOWN, NameCounts
from gocell_cli.named_vectors import NamedVectors
from gocell_cli.sources.screens.sga import first_reason

NAME, ESSENTIAL = "essentiality", "essential genes"
PHENOTYPE = Phenotype("viability")
COLUMN = "essential"
"""What the column is called where it is a number of a gene, not the phenotype."""


def read(genes: GeneTable, orfs: GeneTable, essential: tuple[str, ...], sources: dict[str, str]) -> Dataset:
    """Return one measurement for each ORF that is not dubious; `row` is its 1-based place in the table `orfs`.

    `genes` are those of the cache, whatever they are called there. An ORF, and a name on the list of essential genes,
    is the gene that has that name; ORFs that are none, or may be several, are dropped and counted.
    """
    # startswith: SGD joins qualifiers by `|` (`Verified|silenced_gene`).
    dubious = np.array([q.startswith("Dubious") for q in orfs.qualifier])
    here, listed = genes.lookup.look_up(orfs.systematic), orfs.lookup.look_up(essential)
    lethal = np.zeros(len(orfs), dtype=bool)
    lethal[listed.gene[listed.gene >= 0]] = True
    reasons = {"dubious_orf": dubious, "unknown_gene": here.gene == UNKNOWN, "ambiguous_gene": here.gene == AMBIGUOUS}
    usable, dropped = first_reason(reasons)
    kept = np.flatnonzero(usable)
    # -1: a list of genes names no strains and no queries.
    none = np.full(len(kept), -1, dtype=np.int32)
    return Dataset(
        name=NAME,
        phenotype=PHENOTYPE,
        measurements=Measurements(
            genes=here.gene[kept][:, None],
            value=np.where(lethal[kept], 0.0, 1.0),
            statistic=np.full(len(kept), np.nan),
            row=kept.astype(np.int64) + 1,
            query_strain=none,
            array_strain=none,
            query=none,
        ),
        strains=(),
        queries=(),
        rows_read=len(orfs),
        dropped={reason: n for reason, n in dropped.items() if n},
        sources=sources,
        options={},
        names=(
            genes.lookup.counts(NAME, here, np.arange(len(orfs), dtype=np.int32)[:, None]),
            _count_essential(genes, essential),
        ),
    )


def _count_essential(genes: GeneTable, essential: tuple[str, ...]) -> NameCounts:
    found = genes.lookup.look_up(essential)
    return genes.lookup.counts(ESSENTIAL, found, np.arange(len(essential), dtype=np.int32)[:, None])


def essential_vectors(orfs: GeneTable, essential: tuple[str, ...]) -> NamedVectors:
    """Return 1 for each essential ORF and 0 for the others; dubious ones are left out, as in the data set."""
    listed = orfs.lookup.look_up(essential)
    lethal = np.zeros(len(orfs), dtype=np.float64)
    lethal[listed.gene[listed.gene >= 0]] = 1.0
    kept = np.flatnonzero([not q.startswith("Dubious") for q in orfs.qualifier])
    names = tuple(orfs.systematic[i] for i in kept.tolist())
    return NamedVectors(Path(NAME), "", kept + 1, names, (COLUMN,), lethal[kept][:, None])

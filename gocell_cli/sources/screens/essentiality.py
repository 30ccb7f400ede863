"""Essentiality, the bundled default: single-gene deletions of SGD's ORFs (R64-2-1), viability 0 or 1.

Dubious ORFs are left out first, 66 of the 1,186 on the bundled list of essential genes among them: SGD takes them for
no genes, so their deletion says nothing of a gene product. Then 0 for the genes on the list, 1 for others.
"""

import numpy as np

from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import Dataset, Measurements, Phenotype

PHENOTYPE = Phenotype("viability")


def read(genes: GeneTable, essential: tuple[str, ...], sources: dict[str, str]) -> Dataset:
    """Return one measurement for each ORF that is not dubious; `row` is its 1-based place in the gene table."""
    # startswith: SGD joins qualifiers by `|` (`Verified|silenced_gene`).
    dubious = np.array([q.startswith("Dubious") for q in genes.qualifier])
    listed = np.isin(np.array(genes.systematic), np.array(essential))
    kept = np.flatnonzero(~dubious)
    # -1: a list of genes names no strains and no queries.
    none = np.full(len(kept), -1, dtype=np.int32)
    return Dataset(
        name="essentiality",
        phenotype=PHENOTYPE,
        measurements=Measurements(
            genes=kept.astype(np.int32)[:, None],
            value=np.where(listed[kept], 0.0, 1.0),
            statistic=np.full(len(kept), np.nan),
            row=kept.astype(np.int64) + 1,
            query_strain=none,
            array_strain=none,
            query=none,
        ),
        strains=(),
        queries=(),
        rows_read=len(genes),
        dropped={"dubious_orf": int(dubious.sum())},
        sources=sources,
        options={},
    )

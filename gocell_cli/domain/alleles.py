"""Kinds of alleles: whether a strain's genes are deleted, temperature-sensitive or knocked down (DAmP).

The kind stands in the strain id, by the collections of Costanzo et al. 2016 (doi:10.1126/science.aaf1420): `damp`;
`tsa` and `tsq`, temperature-sensitive; `dma`, KanMX deletions; `sn`, NatMX deletions. Query strains of Kuzmin et al.
(`tm`, doi:10.1126/science.aao1729) name the kind in the allele: `ski3Δ+ski8Δ` are deletions, `cdc24-11` is not.
"""

import re
from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from gocell_cli.domain.genotype import Dataset

DELETION, TEMPERATURE_SENSITIVE, DAMP, UNKNOWN = "deletion", "ts", "damp", "unknown"
KINDS = (DELETION, TEMPERATURE_SENSITIVE, DAMP, UNKNOWN)
TAGS = (("damp", DAMP), ("tsa", TEMPERATURE_SENSITIVE), ("tsq", TEMPERATURE_SENSITIVE), ("dma", DELETION))
"""Looked for in this order; `sn` comes last, and only where the tag is nothing else."""
SN_TAG = re.compile(r"sn\d+")
# the Greek letter (U+0394) and the increment sign (U+2206) look alike: either is taken
DELETED_ALLELE = re.compile(r".*(Δ|delta|∆)", re.IGNORECASE)
POINT_ALLELE = re.compile(r".+-[0-9]+[a-z]*", re.IGNORECASE)
ALL, DELETION_ONLY = "all", "deletion-only"
ALLELES = (ALL, DELETION_ONLY)


def strain_kind(strain: str, allele: str) -> str:
    """Return the kind of a strain's alleles, one of KINDS; of several, the one that is no deletion."""
    # a strain id is the gene, then the collection's tag, as in GENE_tsq508
    tag = strain.rpartition("_")[2].lower()
    for text, kind in TAGS:
        if text in tag:
            return kind
    if SN_TAG.fullmatch(tag):
        return DELETION
    kinds = {_allele_kind(part.strip()) for part in allele.split("+")}
    # a strain deletes its genes only if each of its alleles does
    # of several kinds the first in KINDS: what comes first out of a set differs from process to process
    return min(kinds - {DELETION} or kinds, key=KINDS.index)


def _allele_kind(allele: str) -> str:
    if DELETED_ALLELE.fullmatch(allele):
        return DELETION
    if "damp" in allele.lower():
        return DAMP
    return TEMPERATURE_SENSITIVE if POINT_ALLELE.fullmatch(allele) else UNKNOWN


def keep_deletions(dataset: Dataset) -> Dataset:
    """Drop, and count, the rows with a strain that is not known to hold deletions only."""
    deletion = np.array(
        [strain_kind(*strain) == DELETION for strain in dataset.strains] + [True]
    )  # the last: no strain
    rows = dataset.measurements
    gone: Bool[np.ndarray, " rows"] = ~(deletion[rows.query_strain] & deletion[rows.array_strain])
    kept = dataset.without(gone, "not_a_deletion")
    return replace(kept, options={**dataset.options, "alleles": DELETION_ONLY})

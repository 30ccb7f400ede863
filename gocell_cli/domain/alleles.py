"""Kinds of alleles: whether a strain's genes are deleted, temperature-sensitive, knocked down (DAmP) or suppressed.

The kind stands in the strain id, by the collections of Costanzo et al. 2016 (doi:10.1126/science.aaf1420): `damp`;
`tsa` and `tsq`, temperature-sensitive; `dma`, KanMX deletions; `sn`, NatMX deletions. Query strains of Kuzmin et al.
(`tm`, doi:10.1126/science.aao1729) name the kind in the allele: `ski3Δ+ski8Δ` are deletions, `cdc24-11` is not.

A suppressor strain (`tps1-supp1`) carries a second, spontaneous mutation that makes up for what the first one does
(van Leeuwen et al. 2016, doi:10.1126/science.aag0839), whatever its id says: its fitness is not the deletion's.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt64

from gocell_cli.domain.genotype import BLOCK, Dataset, Genotypes
from gocell_cli.gene_names import HO

COLLECTION = re.compile(r"_[a-z]+\d+$", re.IGNORECASE)
"""The end of an SGA strain's id: `_dma298` and `_sn2975` may be of one gene and one allele."""

DELETION, SUPPRESSOR, TEMPERATURE_SENSITIVE, DAMP, UNKNOWN = "deletion", "suppressor", "ts", "damp", "unknown"
KINDS = (DELETION, SUPPRESSOR, TEMPERATURE_SENSITIVE, DAMP, UNKNOWN)
TAG = re.compile(r"(damp|tsa|tsq|dma|sn)\d+", re.IGNORECASE)
TAGS = {"damp": DAMP, "tsa": TEMPERATURE_SENSITIVE, "tsq": TEMPERATURE_SENSITIVE, "dma": DELETION, "sn": DELETION}
# the Greek letter (U+0394) and the increment sign (U+2206) look alike: either is taken
DELETED_ALLELE = re.compile(r".*(Δ|delta|∆)", re.IGNORECASE)
POINT_ALLELE = re.compile(r".+-[0-9]+[a-z]*", re.IGNORECASE)
# set off from what is before it: `supp` is also the beginning of words
SUPPRESSED = re.compile(r"(?:^|[-_ ])supp(?:ressor|ressed)?(?![a-z]{2})", re.IGNORECASE)
LOWERED = re.compile(r"(?<![a-z])damp(?![a-z])|decreased[ _-]abundance", re.IGNORECASE)
SENSITIVE = re.compile(r"(?:^|[^a-z])ts\d*$|temperature[ _-]?sensitive", re.IGNORECASE)
# What says in words or by its marker that a gene is deleted; each is taken off either end of an allele's text. Not
# `delta` before a name: of the 12 in Collins et al. 2007 11 name the ORF that overlaps the gene, not the gene.
MARKS = r"deletion|deleted|del|null|ko|knock-?out|(?:kan|nat|hph)(?:mx\d*|r)"
BEFORE = re.compile(rf"^(?:[Δ∆]|(?:{MARKS})(?=[\s:_(-]|$))", re.IGNORECASE)
# Δ0 is how designer deletions are written (Brachmann et al. 1998); other numbers may be truncations
AFTER = re.compile(rf"(?:[Δ∆]0?|delta0?|(?:^|(?<=[\s:_)(-]))(?:{MARKS}))$", re.IGNORECASE)
AROUND = " \t:_()-"
SEPARATORS = (r"[+;|]", ",")
"""Between the alleles of one cell; the comma last, for it stands in names, as in `ade5,7Δ+tps1Δ`."""
LONGEST = 200
"""Characters of an allele's text that are looked at: no allele is longer, a damaged cell may be."""
ALL, DELETION_ONLY = "all", "deletion-only"
ALLELES = (ALL, DELETION_ONLY)


def strain_kind(strain: str, allele: str) -> str:
    """Return the kind of an SGA strain's alleles, one of KINDS; of several, the one that is no deletion."""
    # first: suppressed strains stand in the collections of deletions and of ts alleles, under their ids
    if SUPPRESSED.search(allele) or SUPPRESSED.search(strain):
        return SUPPRESSOR
    # a strain id is the gene, then the collection's tag, as in GENE_tsq508
    tag = TAG.fullmatch(strain.rpartition("_")[2])
    if tag is not None:
        return TAGS[tag[1].lower()]
    return of_several([_sga_allele_kind(part.strip()) for part in allele.split("+")])


def of_several(kinds: list[str]) -> str:
    """Return the kind of a strain of several alleles: the one that is no deletion."""
    # a strain deletes its genes only if each of its alleles does
    # of several kinds the first in KINDS: what comes first out of a set differs from process to process
    return min(set(kinds) - {DELETION} or kinds, key=KINDS.index)


def _sga_allele_kind(allele: str) -> str:
    if DELETED_ALLELE.fullmatch(allele):
        return DELETION
    if "damp" in allele.lower():
        return DAMP
    return TEMPERATURE_SENSITIVE if POINT_ALLELE.fullmatch(allele) else UNKNOWN


def allele_kind(text: str, own: Callable[[str], bool]) -> str:
    """Return the kind of the alleles that a cell of a lab's table names; `own` says which names are its row's genes'.

    A deletion says so (`DELETION`, `null`, `tps1Δ`, `Δtps1`, `tps1::kanMX4`) or is the gene's bare name: of
    Costanzo's strains 7,881 are called by their gene alone, and all 7,881 are deletions. The deletion of another gene
    (`yjl169wΔ` of YJL168C) and an empty cell are unknown: neither says what it does to this one.
    """
    return _cell_kind(text[:LONGEST], own, SEPARATORS)


def _cell_kind(text: str, own: Callable[[str], bool], separators: tuple[str, ...]) -> str:
    text = text.strip()
    # the whole first: a gene's name may hold what parts are separated by, and what kinds are known by (`let-7`)
    whole = DELETION if own(text) else _text_kind(text, own)
    if whole != UNKNOWN or not separators:
        return whole
    parts = [part for part in re.split(separators[0], text) if part.strip()]
    return of_several([_cell_kind(part, own, separators[1:]) for part in parts]) if parts else UNKNOWN


def _text_kind(text: str, own: Callable[[str], bool]) -> str:
    tag = TAG.fullmatch(text.rpartition("_")[2]) if "_" in text else None
    named = without_marks(text)
    if not text.strip(AROUND):  # `-` stands for nothing
        kind = UNKNOWN
    elif SUPPRESSED.search(text):
        kind = SUPPRESSOR
    elif tag is not None:
        kind = TAGS[tag[1].lower()]
    elif LOWERED.search(text):
        kind = DAMP
    elif not named or own(named):
        kind = DELETION
    # of `delta ho-1` nothing is known: what is left of it is another gene's name, not an allele
    elif named == text and (SENSITIVE.search(text) or POINT_ALLELE.fullmatch(text)):
        kind = TEMPERATURE_SENSITIVE
    else:
        kind = UNKNOWN
    return kind


def without_marks(text: str) -> str:
    """Take all that says `deleted` off both ends; what is left of `tps1::kanMX4` is `tps1`."""
    rest, before = text, ""
    while rest != before:
        before = rest
        rest = AFTER.sub("", BEFORE.sub("", rest)).strip(AROUND)
    return rest


def kinds_of(dataset: Dataset) -> tuple[str, ...]:
    """Return the kind of each strain of a data set: as its reader found, else by the grammar of SGA screens."""
    return dataset.kinds or tuple(strain_kind(*strain) for strain in dataset.strains)


def keep_deletions(dataset: Dataset) -> Dataset:
    """Drop, and count, the rows with a strain that is not known to hold deletions only.

    Rows with an allele of which nothing is known are counted apart: a spelling that is not understood looks like that.
    """
    # the last entry answers for -1: no strain
    kinds = np.array([KINDS.index(kind) for kind in kinds_of(dataset)] + [KINDS.index(DELETION)])
    for reason, chosen in (
        ("not_a_deletion", (kinds != KINDS.index(DELETION)) & (kinds != KINDS.index(UNKNOWN))),
        ("unknown_allele", kinds == KINDS.index(UNKNOWN)),
    ):
        rows = dataset.measurements
        gone: Bool[np.ndarray, " rows"] = chosen[rows.query_strain] | chosen[rows.array_strain]
        dataset = dataset.without(gone, reason)
    return replace(dataset, options={**dataset.options, "alleles": DELETION_ONLY})


class MergedAlleles(NamedTuple):
    """Genotypes whose rows, merged into one sample, are of different alleles; and how many rows these are."""

    genotypes: int
    rows: int


def merged_alleles(dataset: Dataset, genotypes: Genotypes) -> MergedAlleles:
    """Count what was merged though its alleles differ: a genotype is genes, so a deletion and a ts allele are one."""
    if not dataset.strains or genotypes.rule == "keep":
        return MergedAlleles(0, 0)
    # the last entry answers for -1: no strain
    held = np.array([*map(_alleles_held, dataset.strains), 0], dtype=np.uint64)
    rows, count = dataset.measurements, genotypes.count
    mixed = np.zeros(len(genotypes), dtype=bool)
    number = np.repeat(np.arange(len(genotypes), dtype=np.int32), count)
    for start in range(0, len(genotypes.order) - 1, BLOCK):
        # one row more than a block, so that the pair across its end is compared, too
        order, of = genotypes.order[start : start + BLOCK + 1], number[start : start + BLOCK + 1]
        # a sum knows no sides: query and array of a cross may change places
        alleles: UInt64[np.ndarray, " rows"] = held[rows.query_strain[order]] + held[rows.array_strain[order]]
        mixed[of[1:][(of[1:] == of[:-1]) & (alleles[1:] != alleles[:-1])]] = True
    return MergedAlleles(int(mixed.sum()), int(count[mixed].sum()))


def _alleles_held(strain: tuple[str, str]) -> int:
    """A number for the alleles of a strain, the same whatever the collection: the sum of its (gene, allele)s'."""
    genes, alleles = COLLECTION.sub("", strain[0]).split("+"), strain[1].split("+")
    pairs = zip(genes, alleles, strict=True) if len(genes) == len(alleles) else [(strain[0], strain[1])]
    held = 0
    for gene, allele in pairs:
        if gene != HO:
            text = f"{gene}\t{AFTER.sub('', allele.strip()).casefold()}"
            held += int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")
    return held % 2**64

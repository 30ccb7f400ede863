"""Names of genes as laboratories write strains: `smi1Δ`, `vth1-Δ`, `dcp1-delta`, `cdc28-4`, `HIS3::KanMX`.

A cell is a gene's name as it stands, where any gene answers to it; only else is looked for the gene that it is an
allele of. What the allele is, `domain.alleles` says of the same cell: `cdc28-4` is no deletion. And what Excel made of
names that look like days: `OCT1` typed into a sheet becomes `01-Oct`, in German `01-Okt` (Ziemann, Eren and El-Osta
2016, doi:10.1186/s13059-016-1044-7).
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

from gocell_cli.domain.alleles import COLLECTION, DELETION, allele_kind, without_marks
from gocell_cli.gene_names import UNKNOWN, GeneNames, LookUp

NO_NAME = -1
WILD_TYPE = frozenset(("wt", "wild type", "wild-type", "wildtype"))
BLANKS = frozenset(("-", "--", "\u2013", "\u2014", "none", *WILD_TYPE))
"""What stands for no gene, where no gene is called so."""
TRUNCATED = re.compile(r"-?[Δ∆]\d+$")
ALLELE = re.compile(r"-(?:[a-z]{0,4}\d+[a-z]?|ts|td|damp|supp\w*)$", re.IGNORECASE)
"""What a point mutation, a conditional or a lowered allele is called by: `cdc28-4`, `cdc28-as1`, `tps1-DAmP`."""
MONTHS = (
    ("jan",), ("feb",), ("mar", "mär", "mrz", "mars"), ("apr", "avr", "abr"), ("may", "mai", "maj", "mag"),
    ("jun", "giu"), ("jul", "lug"), ("aug", "ago"), ("sep", "set"), ("oct", "okt", "ott"), ("nov",),
    ("dec", "dez", "dic"),
)  # fmt: skip
"""By their first letters, January first, in the languages of the spreadsheets at hand."""
SYMBOLS = ("JAN", "FEB", "MAR MARCH", "APR", "MAY", "JUN", "JUL", "AUG", "SEP SEPT", "OCT", "NOV", "DEC")
"""What symbols of genes begin with that spreadsheets take for such a month."""
DAY_MONTH = re.compile(r"(\d{1,2})[-. /]{1,2}([a-zäéû]{3,4})\.?(?:[-. /]\d{2,4})?", re.IGNORECASE)
MONTH_DAY = re.compile(r"([a-zäéû]{3,4})\.?[- /](\d{1,2})", re.IGNORECASE)
ISO = re.compile(r"\d{4}-(\d{2})-(\d{2})(?:[ T]00:00:00.*)?")
NUMBERS = re.compile(r"(\d{1,2})([./])(\d{1,2})[./]\d{2,4}")


class LabNames(NamedTuple):
    """The cells that name an allele of a gene, each with the gene's name in it; those of them that delete nothing."""

    genes: dict[str, str]
    no_deletions: tuple[str, ...] = ()


def gene_in(text: str, lookup: GeneNames) -> str:
    """Return the part of a cell that is a gene's name once what says `deleted` or which allele is off; "" for none."""
    return next((name for name in _candidates(text) if name != text and lookup.find(name).genes), "")


def _candidates(text: str) -> Iterator[str]:
    whole = COLLECTION.sub("", text.strip())
    # what stands before `::` is the locus, what stands behind it the marker put there
    for part in dict.fromkeys((whole, whole.partition("::")[0])):
        bare = without_marks(part)
        yield bare
        yield TRUNCATED.sub("", bare)
        yield ALLELE.sub("", bare)


def in_lab_notation(
    names: Int32[np.ndarray, "rows names_max"], found: LookUp, lookup: GeneNames, *, blanks: bool = True
) -> tuple[Int32[np.ndarray, "rows names_max"], LookUp, LabNames]:
    """Find the genes of the names that none answers to as they stand.

    `names` index `found.names`, which stay as they are written. blanks: names that stand for no gene become NO_NAME.
    """
    unknown = np.flatnonzero(found.gene == UNKNOWN).tolist()
    blank = [i for i in unknown if blanks and found.names[i].casefold() in BLANKS]
    plain = {i: name for i in unknown if i not in {*blank} and (name := gene_in(found.names[i], lookup))}
    if blank:
        kept = np.arange(len(found.names) + 1, dtype=np.int32)
        # the last entry answers for NO_NAME
        kept[[*blank, -1]] = NO_NAME
        names = kept[names]
    if not plain:
        return names, found, LabNames({})
    second, at = lookup.look_up(tuple(plain.values())), [*plain]
    gene, way = found.gene.copy(), found.way.copy()
    gene[at], way[at] = second.gene, second.way
    several = {found.names[i]: second.candidates[name] for i, name in plain.items() if name in second.candidates}
    told = {found.names[i]: _called(g, lookup) for i, g in zip(at, second.gene.tolist(), strict=True) if g >= 0}
    others = tuple(found.names[i] for i, name in plain.items() if _kind(found.names[i], name, lookup) != DELETION)
    found = found._replace(gene=gene, way=way, candidates={**found.candidates, **several})
    return names, found, LabNames(told, others)


def _called(gene: int, lookup: GeneNames) -> str:
    return lookup.standard[gene] or lookup.systematic[gene]


def _kind(text: str, gene: str, lookup: GeneNames) -> str:
    own = lookup.find(gene).genes
    return allele_kind(text, lambda name: not set(lookup.find(name).genes).isdisjoint(own))


def made_a_date(text: str) -> tuple[str, ...]:
    """Return the names that a spreadsheet may have made this date of, `OCT1` of `01-Okt`; () where it is no date."""
    text = text.strip()
    if match := DAY_MONTH.fullmatch(text):
        days = [(_month(match[2]), int(match[1]))]
    elif match := MONTH_DAY.fullmatch(text):
        days = [(_month(match[1]), int(match[2]))]
    elif match := ISO.fullmatch(text):
        days = [(int(match[1]), int(match[2]))]
    elif match := NUMBERS.fullmatch(text):
        one, other = int(match[1]), int(match[3])
        days = [(other, one)] if match[2] == "." else [(one, other), (other, one)]
    else:
        days = []
    return tuple(
        f"{symbol}{day}" for month, day in days if 1 <= month <= len(SYMBOLS) for symbol in SYMBOLS[month - 1].split()
    )


def _month(word: str) -> int:
    """Return the number of a month by its name's first letters, 0 where it is none."""
    return next((i for i, names in enumerate(MONTHS, 1) if word.casefold().startswith(names)), 0)

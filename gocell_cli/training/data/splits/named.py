"""A split that a file gives: its rows name genotypes, or samples by number, and are matched to the samples of a cache.

A genotype is its genes, so that a split outlives its cache: built again, in another order, of another data set.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int8, Int64

from gocell_cli.csr import pointers
from gocell_cli.errors import InvalidInput
from gocell_cli.named_parts import ANY_ROW, NamedParts
from gocell_cli.storage.schema import Samples
from gocell_cli.training.data.splits.genotypes import genotype_codes, genotype_keys
from gocell_cli.training.data.splits.kinds import PARTS, SplitChoice
from gocell_cli.training.data.splits.split import DROPPED, TRAIN, VALIDATION, FileMatch, Split, with_subset


def named_split(samples: Samples, choice: SplitChoice, named: NamedParts, names: Sequence[str]) -> Split:
    """Return the split that a file gives; `names` are the hierarchy's genes.

    Samples that the file does not name are in no part. Where it names none for validation, they are drawn from those
    for training in the ratio of the first two fractions. Raises InvalidInput, with the line, for a genotype in two
    parts and a sample that is not there, and where no row is of a sample; UsageError as `with_subset` does.
    """
    if named.sample is not None:
        _require_numbers(named, len(samples))
        own = genotype_codes(samples.gene_ptr, samples.genes)
        _require_one_part(own[named.sample], named, samples, names)
        part, found = np.full(len(samples), DROPPED, dtype=np.int8), np.zeros(len(samples), dtype=bool)
        part[named.sample], found[named.sample] = named.part, True
        missing = 0
    else:
        part, found, missing = _by_genotype(samples, named, names)
    if not found.any():
        raise _nothing(named, names)
    drawn = bool((part == TRAIN).any()) and not (part == VALIDATION).any()
    if drawn:
        part = _with_validation(part, samples, choice, names)
    match = FileMatch(str(named.path), missing, int((~found).sum()), drawn)
    return with_subset(Split(choice, part, match), samples, names)


def _by_genotype(
    samples: Samples, named: NamedParts, names: Sequence[str]
) -> tuple[Int8[np.ndarray, " samples"], Bool[np.ndarray, " samples"], int]:
    """Each sample's part, whether the file names it, and how many genotypes of the file no sample has."""
    ptr = pointers(np.concatenate([np.diff(samples.gene_ptr), np.diff(named.gene_ptr)]))
    codes = genotype_codes(ptr, np.concatenate([samples.genes, named.genes]))
    own, theirs = codes[: len(samples)], codes[len(samples) :]
    _require_one_part(theirs, named, samples, names)
    order = np.argsort(theirs, kind="stable")
    starts = np.flatnonzero(np.diff(theirs[order], prepend=theirs[order[0]] - 1))
    known = theirs[order[starts]]
    # a part rather than none: of a genotype's samples only some may be left out
    part_of = np.maximum.reduceat(named.part[order], starts)
    at = np.minimum(np.searchsorted(known, own), len(known) - 1)
    found = known[at] == own
    part = np.where(found, part_of[at], DROPPED).astype(np.int8)
    some = np.zeros(len(known), dtype=bool)
    some[at[found]] = True
    left_out = (named.source_row != ANY_ROW) & (named.part == DROPPED)
    if left_out.any():
        row = samples.source_row[samples.source_ptr[:-1]]
        # genotype and row of its data set, as complex numbers: pairs that NumPy sorts and looks up
        gone = np.searchsorted(known, theirs[left_out]) + 1j * named.source_row[left_out]
        part[found & np.isin(at + 1j * row, gone)] = DROPPED
    return part, found, int((~some).sum())


def _require_numbers(named: NamedParts, count: int) -> None:
    sample = named.sample if named.sample is not None else np.zeros(0, dtype=np.int64)
    outside = np.flatnonzero((sample < 0) | (sample >= count))
    if len(outside):
        row = outside[0]
        reason = f"there is no sample {sample[row]}: the cache holds samples 0 to {count - 1}"
        raise InvalidInput.at(named.path, int(named.line[row]), reason, hint="name genotypes, which no order changes")


def _require_one_part(
    codes: Int64[np.ndarray, " rows"], named: NamedParts, samples: Samples, names: Sequence[str]
) -> None:
    """Raise InvalidInput where rows of one genotype name different parts, with the lines of two of them."""
    used = np.flatnonzero(named.part >= 0)
    order = used[np.argsort(codes[used], kind="stable")]
    apart = (codes[order[1:]] == codes[order[:-1]]) & (named.part[order[1:]] != named.part[order[:-1]])
    if not apart.any():
        return
    row = int(order[1:][apart].min())
    before = next(int(r) for r in order if codes[r] == codes[row] and named.part[r] != named.part[row])
    here, there = (PARTS[named.part[r]] for r in (row, before))
    reason = f"{_label(named, row, samples, names)} is in {here} here and in {there} in line {named.line[before]}"
    hint = "a genotype on two sides is no test of what was learnt: keep one of them"
    raise InvalidInput.at(named.path, int(named.line[row]), reason, hint=hint)


def _label(named: NamedParts, row: int, samples: Samples | None, names: Sequence[str]) -> str:
    if named.sample is not None and samples is not None:
        at = int(named.sample[row])
        genes = samples.genes[samples.gene_ptr[at] : samples.gene_ptr[at + 1]]
    else:
        genes = named.genes[named.gene_ptr[row] : named.gene_ptr[row + 1]]
    return "+".join(names[g] for g in genes.tolist()) or "wild type"


def _nothing(named: NamedParts, names: Sequence[str]) -> InvalidInput:
    return InvalidInput(
        f"{named.path}: none of its {len(named.part):,} rows is of a sample of this cache",
        why=f"the first is {_label(named, 0, None, names)}" if len(named.part) and named.sample is None else "",
        hint="gocell inspect samples shows the genotypes of the cache",
    )


def _with_validation(
    part: Int8[np.ndarray, " samples"], samples: Samples, choice: SplitChoice, names: Sequence[str]
) -> Int8[np.ndarray, " samples"]:
    """Draw genotypes of the training part for validation, by their names and the seed alone."""
    train = np.flatnonzero(part == TRAIN)
    seed = choice.seed if choice.validation_seed < 0 else choice.validation_seed
    keys = genotype_keys(samples.gene_ptr, samples.genes, names, f"validation {seed}")[train]
    ordered = np.unique(keys)
    share = choice.fractions[1] / (sum(choice.fractions[:2]) or 1.0)
    drawn = round(share * len(ordered))
    part = part.copy()
    if drawn:
        part[train[keys <= ordered[drawn - 1]]] = VALIDATION
    return part

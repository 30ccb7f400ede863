"""The options of a split, the file that may give it, and what is said of it: its parts, what they have in common."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gocell_cli.commands.shell.terminal import note
from gocell_cli.errors import SourceMissing
from gocell_cli.run_record import SplitRecord
from gocell_cli.training.data.splits.kinds import PARTS, SPLITS, in_words, names_a_file, split_path

if TYPE_CHECKING:
    from gocell_cli.named_parts import NamedParts
    from gocell_cli.storage.reader import Cache
    from gocell_cli.training.runs.config import RunConfig

SplitOption = Annotated[
    str | None,
    typer.Option(
        "--split",
        metavar="KIND|FILE|RUN",
        help=f"{in_words()} (default: {SPLITS[0]}); a table (TSV, CSV, Parquet) of genes and part; or a run, "
        "for its split.",
    ),
]
SplitColumn = Annotated[
    str | None, typer.Option(help="The column of the parts in --split FILE; default: part, split, set ..")
]
SplitSeed = Annotated[int | None, typer.Option(min=0, help="Of the split alone; default: --seed.")]
Folds = Annotated[int | None, typer.Option(min=2, help="Divide into K folds, of which --fold is the test part.")]
Fold = Annotated[
    int | None,
    typer.Option(min=0, help="The fold that is tested, from 0; without it train takes each in turn, inspect split 0."),
]
Subset = Annotated[
    int | None, typer.Option(min=1, help="Train on so many samples; a smaller subset lies within a larger one.")
]

FEW_GROUPS = 3
"""Fewer query groups in a part, and its figures are those of one or two query strains."""
UNEVEN = 0.5
"""A part that holds less than this, or more than its inverse, of what it was to hold is told."""


@dataclass(frozen=True)
class SplitForm:
    """How samples are divided."""

    split: SplitOption = None
    split_column: SplitColumn = None
    split_seed: SplitSeed = None
    folds: Folds = None
    fold: Fold = None
    subset: Subset = None

    def given(self) -> dict[str, Any]:
        """Return the settings that are given."""
        found = {**asdict(self), "split": split_of(self.split)}
        return {name: value for name, value in found.items() if value is not None}


def split_of(said: str | None) -> str | None:
    """Return what --split says, a file or a run of that name by its whole path: a run's settings outlive the folder."""
    if said is None or said in SPLITS or not (names_a_file(said) or Path(said).exists()):
        return said
    return os.path.abspath(said)  # noqa: PTH100 resolve() would follow links


def require_split_file(split: str) -> None:
    """Raise SourceMissing where a split is to be read from a file that is not there; before NumPy is loaded."""
    if names_a_file(split) and not os.access(path := split_path(split), os.R_OK):
        why = "Permission denied" if path.exists() else "no such file"
        hint = f"--split {in_words()}, the path of a file, or of a run that keeps its split"
        raise SourceMissing(f"{path}: cannot be read", why=why, hint=hint)


def read_split_file(cache: "Cache", config: "RunConfig") -> "NamedParts | None":
    """Return what the file of a split says of a cache's genes, None where the split is of another kind."""
    if not names_a_file(config.split):
        return None
    from gocell_cli.sources.screens import split_table
    from gocell_cli.sources.text_file import sha256_of

    path = split_path(config.split)
    require_split_file(config.split)
    sources = cache.manifest.config["sources"].values()
    own = any(sha256_of(path) in source for source in sources)  # of several files it is their sums with + between
    tested = split_table.Tested(config.fold, config.folds)
    return split_table.read(path, cache.hierarchy.lookup, config.split_column or None, own=own, tested=tested)


def tell_split(split: SplitRecord) -> None:
    """Say on stderr what a run is trained and tested on, and what is wrong with that."""
    note("; ".join(split_lines(split)), "train")
    warn_of_split(split)


def warn_of_split(split: SplitRecord) -> None:
    """Say on stderr what is wrong with a split."""
    for warning in _warnings(split):
        note(warning, "warning")


def split_lines(split: SplitRecord) -> list[str]:
    """Return what is said of a split: its sizes, and what its test part has in common with training."""
    return [*_sizes(split), *_leaks(split)]


def _sizes(split: SplitRecord) -> list[str]:
    """The size of each part, and of what is in none."""
    sizes = ", ".join(f"{part} {getattr(split, part):,}" for part in PARTS)
    fold = f", fold {split.fold} of {split.folds}" if split.folds else ""
    told = [f"split {split.kind} (seed {split.seed}{fold}): {sizes}"]
    if split.unused:
        told.append(f"{split.unused:,} training samples not used (--subset)")
    if split.file is not None and split.dropped:
        told.append(f"{split.dropped:,} in no part, {split.file.not_named:,} of them not named in {split.file.path}")
    elif split.dropped:
        told.append(f"{split.dropped:,} across parts dropped")
    return told


def _leaks(split: SplitRecord) -> list[str]:
    """What the test part has in common with training; what a split promises is said though it is 0."""
    told = []
    if split.test_groups_in_train is not None:
        told.append(f"{split.test_groups_in_train:.0%} of test samples have their query in train")
    if split.test_with_known_pair is not None:
        told.append(f"{split.test_with_known_pair / split.test:.0%} share a pair of genes with train")
    if split.test_with_known_genotype:
        told.append(f"{split.test_with_known_genotype:,} are of a genotype in train")
    if split.test_with_new_gene:
        told.append(f"{split.test_with_new_gene:,} test samples delete a gene never deleted in training")
    return told


def _warnings(split: SplitRecord) -> list[str]:
    if split.file is not None:
        return _misfits(split)
    if split.groups is None or split.fractions is None:
        return []
    found = []
    others = {part: split.groups[part] for part in PARTS[1:]}
    if min(others.values()) < FEW_GROUPS:
        counts = " and ".join(f"{n} in {part}" for part, n in others.items())
        found.append(f"few query groups: {counts}; a figure of them is of these query strains alone")
    total = split.train + split.unused + split.validation + split.test
    asked = dict(zip(PARTS, _asked(split), strict=True))
    uneven = [p for p in PARTS[1:] if not UNEVEN <= getattr(split, p) / max(total * asked[p], 1) <= 1 / UNEVEN]
    if uneven:
        held = " and ".join(f"{p} {getattr(split, p) / total:.1%} where {asked[p]:.0%} was asked" for p in uneven)
        found.append(f"query groups are of very different sizes: {held}; those too large for a part train")
    return found


def _misfits(split: SplitRecord) -> list[str]:
    """What of a file is not in the cache, and what it left open."""
    file, found = split.file, []
    if file is not None and file.not_in_cache:
        found.append(f"{file.path}: {file.not_in_cache:,} of its genotypes are no samples of this cache")
    if file is not None and file.validation_drawn:
        found.append(f"{file.path} names no validation samples: {split.validation:,} were drawn from its training ones")
    return found


def _asked(split: SplitRecord) -> tuple[float, float, float]:
    """The share of each part: of folds, validation is drawn from what is not tested."""
    train, validation, test = split.fractions or (0.0, 0.0, 0.0)
    if not split.folds:
        return train, validation, test
    rest = (1 - 1 / split.folds) / ((train + validation) or 1)
    return train * rest, validation * rest, 1 / split.folds

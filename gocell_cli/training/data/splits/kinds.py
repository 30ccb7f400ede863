"""The words of splits, checked before NumPy is loaded: kinds, parts, and what decides a split besides its samples."""

from dataclasses import dataclass
from pathlib import Path

from gocell_cli.errors import UsageError

GENE, ANY_GENE = "gene", "any-gene"
"""All genes of a sample decide, or any of them: of pairs, the classes C3, and C2 and C3 together, of Park and Marcotte
2012 (10.1038/nmeth.2259), which the field has no words for."""
SPLITS = ("random", "query", GENE, ANY_GENE)
PARTS = ("train", "validation", "test")
FILE = "file"
"""The kind of a split that a file gives."""
RULES = (1, 2)
"""1: the largest query groups always train, and rows of one genotype may part (runs of before rules were recorded)."""
MOST_FOLDS = 1 << 16


@dataclass(frozen=True)
class SplitChoice:
    """All that decides a split but the samples.

    fractions: train, validation and test. With `folds` the test part is fold `fold`, counted from 0, and validation is
    drawn from the rest in the ratio of the first two fractions; in a file of the folds' numbers it is the next fold.
    subset: training samples that are used (0: all). validation_seed: -1, or validation is drawn anew by it from all
    that is not tested, by the same kind: several of them see other validation parts beside one test part. A validation
    part that a file names stays.
    """

    kind: str
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    seed: int = 0
    folds: int = 0
    fold: int = 0
    subset: int = 0
    rule: int = RULES[-1]
    validation_seed: int = -1

    def __post_init__(self) -> None:
        if self.kind not in (*SPLITS, FILE):
            raise UsageError(f"no split {self.kind!r}", hint=f"--split {'|'.join(SPLITS)}, or a file")
        # 0.7 + 0.2 + 0.1 is 0.9999999999999999 in floating point
        if min(self.fractions) < 0 or abs(sum(self.fractions) - 1) > 1e-9:
            raise UsageError(f"the fractions {self.fractions} do not add up to 1", hint="--set fractions=[0.8,0.1,0.1]")
        if self.folds == 1 or not 0 <= self.folds <= MOST_FOLDS:
            raise UsageError(f"folds is {self.folds}", hint=f"from 2 to {MOST_FOLDS}, or 0 for none")
        # how many folds a file has only the file says
        if not 0 <= self.fold < max(self.folds, 1) and not (self.kind == FILE and self.folds == 0 <= self.fold):
            hint = f"--fold counts from 0 to {self.folds - 1}" if self.folds else "--folds K --fold I, I from 0"
            raise UsageError(f"fold is {self.fold}, and there are {self.folds or 'no'} folds", hint=hint)
        if self.rule not in RULES:
            raise UsageError(f"split_rule is {self.rule}", hint=f"one of: {', '.join(map(str, RULES))}")


def in_words() -> str:
    """Return the kinds as a sentence has them."""
    return f"{', '.join(SPLITS[:-1])} or {SPLITS[-1]}"


def names_a_file(split: str) -> bool:
    """Whether what --split says is a path: a word alone is a kind, well spelled or not."""
    return split not in SPLITS and any(sign in split for sign in ("/", "\\", "."))


def split_path(split: str) -> Path:
    """Return the file of a split that is a path: a run's folder stands for the split that the run keeps."""
    path = Path(split)
    return path / KEPT if path.is_dir() else path


KEPT = "split.parquet"
"""The file by which a run keeps its split."""


def require_part(part: str) -> None:
    """Raise UsageError where a split has no such part."""
    if part not in PARTS:
        raise UsageError(f"no part {part!r}", hint=f"--part {'|'.join(PARTS)}")

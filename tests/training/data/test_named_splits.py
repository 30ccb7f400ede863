"""Splits that a file gives: matched by genotype in any order, kept by a run and read back, one side a genotype."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gocell_cli.commands.shell.tables import write_table
from gocell_cli.errors import DamagedCache, InvalidInput, UsageError
from gocell_cli.gene_names import GeneNames
from gocell_cli.sources.screens import split_table
from gocell_cli.storage.schema import Samples
from gocell_cli.training.data.splits.kept import as_table, read_split, trained_singles, write_split
from gocell_cli.training.data.splits.kinds import FILE, PARTS, SPLITS, SplitChoice
from gocell_cli.training.data.splits.named import named_split
from gocell_cli.training.data.splits.split import Split, fingerprint, make_split
from gocell_cli.whole_file import write_whole
from tests.training.data.test_splits import FRACTIONS, NAMES, genotype, made_up, reordered, samples_of

LOOKUP = GeneNames(NAMES, [f"abc{i}" for i in range(len(NAMES))], [()] * len(NAMES))
READ_BACK = SplitChoice(FILE, FRACTIONS)


def read(path: Path, samples: Samples, names: list[str] = NAMES, **changes: object) -> Split:
    """The split that a file gives samples whose genes are called so."""
    lookup = GeneNames(names, [""] * len(names), [()] * len(names)) if names is not NAMES else LOOKUP
    named = split_table.read(path, lookup, None, own=False)
    return named_split(samples, replace(READ_BACK, **changes), named, names)  # type: ignore[arg-type]


def by_genotype(samples: Samples, split: Split, names: list[str]) -> dict[tuple[str, ...], set[int]]:
    found: dict[tuple[str, ...], set[int]] = {}
    for row in range(len(samples)):
        key = tuple(sorted(names[g] for g in genotype(samples, row)))
        found.setdefault(key, set()).add(int(split.part[row]))
    return found


@settings(max_examples=40)
@given(seed=st.integers(0, 1000), kind=st.sampled_from(SPLITS))
def test_a_kept_split_survives_another_order_other_genes_and_merged_rows(
    tmp_path_factory: pytest.TempPathFactory, seed: int, kind: str
) -> None:
    rng, samples = np.random.default_rng(seed), made_up(seed)
    split = make_split(samples, SplitChoice(kind, FRACTIONS, seed), NAMES)
    path = tmp_path_factory.mktemp("kept") / "split.parquet"
    write_split(path, samples, split, NAMES)
    wanted = by_genotype(samples, split, NAMES)
    # another cache: genes numbered otherwise and more of them, rows of a genotype merged, half of them, another order
    place = rng.permutation(40)[: len(NAMES)]
    names = [f"other{i}" for i in range(40)]
    for gene, at in enumerate(place):
        names[at] = NAMES[gene]
    genotypes = {genotype(samples, r) for r in range(len(samples))}
    moved = [tuple(sorted(int(place[g]) for g in deleted)) for deleted in genotypes]
    there = samples_of([moved[i] for i in rng.permutation(len(moved))], [-1] * len(moved))
    found = by_genotype(there, read(path, there, names), names)
    assert found == wanted
    again = read(path, samples)
    assert np.array_equal(again.part, split.part)
    assert fingerprint(again, samples, NAMES) == fingerprint(split, samples, NAMES)
    assert again.match is not None
    assert (again.match.not_in_cache, again.match.not_named, again.match.validation_drawn) == (0, 0, False)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), subset=st.integers(1, 100))
def test_a_kept_subset_is_read_back_to_the_row(
    tmp_path_factory: pytest.TempPathFactory, seed: int, subset: int
) -> None:
    """Of a genotype with several samples only some may be used: then the row of the data set tells them apart."""
    samples = made_up(seed)
    split = make_split(samples, SplitChoice("random", FRACTIONS, seed, subset=subset), NAMES)
    path = tmp_path_factory.mktemp("kept") / "split.parquet"
    write_split(path, samples, split, NAMES)
    order = np.random.default_rng(seed).permutation(len(samples))
    moved = reordered(samples, order)
    for there, wanted in ((samples, split.part), (moved, split.part[order])):
        assert np.array_equal(np.maximum(read(path, there).part, -1), np.maximum(wanted, -1))


@pytest.mark.parametrize("name", ["split.tsv", "split.csv", "split.parquet", "split.xlsx"])
def test_a_split_is_written_in_every_form_whatever_genes_are_called(tmp_path: Path, name: str) -> None:
    odd = ["=1+1", "ADE5,7", 'a"b', "tab\there", "two words", *(f"g{i}" for i in range(5, 12))]
    for names in (odd, NAMES):
        samples = made_up(5)
        split = make_split(samples, SplitChoice("query", FRACTIONS, 0, subset=30), names)
        write_table(as_table(samples, split, names), tmp_path / name)
        assert np.array_equal(np.maximum(read(tmp_path / name, samples, names).part, -1), np.maximum(split.part, -1))
    if name == "split.tsv":
        assert (tmp_path / name).read_text("utf-8").splitlines()[0] == "gene_1\tgene_2\tgene_3\tpart\tsource_row"
        assert '"' not in (tmp_path / name).read_text("utf-8")


def test_single_mutants_that_train_are_counted(tmp_path: Path) -> None:
    samples = made_up(4)
    split = make_split(samples, SplitChoice("random", FRACTIONS, 0), NAMES)
    write_split(tmp_path / "split.parquet", samples, split, NAMES)
    single = np.diff(samples.gene_ptr) == 1
    assert trained_singles(tmp_path / "split.parquet") == np.count_nonzero(single[split.train]) > 0
    assert trained_singles(tmp_path / "none.parquet") is None


def test_what_a_run_keeps_is_read_as_it_was_written_or_refused(tmp_path: Path) -> None:
    samples = made_up(3)
    split = make_split(samples, SplitChoice("gene", FRACTIONS, 0, subset=5), NAMES)
    path = tmp_path / "split.parquet"
    write_split(path, samples, split, NAMES)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert {-2, -1, 0, 1, 2} == set(split.part.tolist())
    assert np.array_equal(read_split(path, sha256, len(samples)), split.part)
    with pytest.raises(DamagedCache, match="has 200 rows, and the cache 199 samples"):
        read_split(path, sha256, 199)
    with pytest.raises(DamagedCache, match="sha256 is not the one recorded"):
        read_split(path, "0" * 64, len(samples))
    path.unlink()
    with pytest.raises(DamagedCache, match="cannot be read"):
        read_split(path, sha256, len(samples))


FOUR = samples_of([(0,), (0, 1), (2,), (1, 3)], [-1] * 4)
NAMED = {
    "cells of any names": "genes\tpart\nY000\ttrain\nabc1 Y000\tTraining\nY002\tdev\nY003+Y001\tholdout\n",
    "a column a gene": "gene_1,gene_2,Set\nY000,,fit\nabc0,abc1,train\nY002,,val\nY001,Y003,hold-out\n",
    "keys": "key;split\nY000;trn\nY000+Y001;trn\nY002;Valid\nY001+Y003;TEST\n",
    "numbers of samples, in any order": "sample,part\n3,test\n1,train\n0,train\n2,validation\n",
    "numbers of samples, and their screens": "sample,query,part\n3,x,test\n1,y,train\n0,,train\n2,,validation\n",
    "crosses": "Array,Query,part\n,Y000,train\nY001,Y000,train\n-,Y002,val\nY001,Y003,test\n",
    "the only column": "genes,score,mine\nY000,1.5,train\nY000 Y001,2,train\nY002,,val\nY001 Y003,3,held_out\n",
    "twice, in one part": "genes,part\nY000,train\nY000,train\nY001 Y000,train\nY002,dev\nY001 Y003,test\n",
}


@pytest.mark.parametrize("text", NAMED.values(), ids=NAMED.keys())
def test_rows_name_samples_as_people_write_them(tmp_path: Path, text: str) -> None:
    write_whole(tmp_path / "split.txt", text)
    assert read(tmp_path / "split.txt", FOUR).part.tolist() == [0, 0, 1, 2]


def test_what_is_not_named_is_counted_and_what_is_not_there_too(tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    write_whole(path, "genes,part\nY000,train\nY002,dev\nY001 Y003,test\nY005,test\nY006,unused\nY005,test\n")
    split = read(path, FOUR)
    assert split.part.tolist() == [0, -1, 1, 2]
    assert split.match is not None
    assert (split.match.not_in_cache, split.match.not_named) == (2, 1)
    many = samples_of([(i,) for i in range(12)], [-1] * 12)
    write_whole(path, "genes,part\n" + "".join(f"Y{i:03d},{'test' if i < 2 else 'train'}\n" for i in range(12)))
    drawn = read(path, many)
    assert drawn.match is not None
    assert drawn.match.validation_drawn
    assert [len(drawn.rows(part)) for part in PARTS] == [8, 2, 2]
    assert drawn.test.tolist() == [0, 1]
    order = np.arange(11, -1, -1)
    assert np.array_equal(read(path, reordered(many, order)).part, drawn.part[order])
    write_whole(path, "genes,part\nY000,train\nY002,dev\n")
    with pytest.raises(
        UsageError, match="a file split of 4 samples leaves a part empty: train 1, validation 1, test 0"
    ):
        read(path, FOUR)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("genes,part\nY000,train\nNONE,test\n", r":3: no gene 'NONE'"),
        ("genes,part\nY000,trian\n", r":2: column 'part': 'trian' is no part"),
        ("genes,part\nY001 Y000,train\nY002,dev\nY000 Y001,test\n", r":4: Y000\+Y001 is in test here and in train in"),
        ("genes,part\nY007,train\nY008,test\n", r"none of its 2 rows is of .*\n  why: the first is Y007"),
        ("genes,growth\nY000,0.5\n", r":1: no column is called 'part', or can be, the column of the parts"),
        ("name,part\nY000,train\n", r":1: no column says which samples are meant; its columns are name, part"),
        ("genes,a,b\nY000,train,test\n", r":1: a and b may both be the column of the parts"),
        ("sample,part\n0,train\n4,test\n", r":3: there is no sample 4: the cache holds samples 0 to 3"),
        ("genes,part\nY000\n", r":2: 1 columns where the header has 2"),
        ("genes,part,source_row\nY000,train,x\n", r":2: column 'source_row': 'x' is no whole number"),
    ],
)  # fmt: skip
def test_what_a_file_may_not_say_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    write_whole(tmp_path / "split.csv", text)
    with pytest.raises(InvalidInput, match=said):
        read(tmp_path / "split.csv", FOUR)


def test_samples_of_one_genotype_named_by_number_are_on_one_side(tmp_path: Path) -> None:
    write_whole(tmp_path / "split.csv", "row,part\n0,train\n1,dev\n2,test\n3,test\n")
    twice = samples_of([(0,), (1,), (0,), (2,)], [-1] * 4)
    with pytest.raises(InvalidInput, match=r":4: Y000 is in test here and in train in line 2"):
        read(tmp_path / "split.csv", twice)


def test_rows_of_unknown_genes_are_left_out_of_the_table_that_a_cache_was_built_from(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    write_whole(path, "genes,growth,split\nY000,1,train\nNONE,2,test\nY002,3,val\nY001 Y003,4,test\n")
    named = split_table.read(path, LOOKUP, None, own=True)
    assert named_split(FOUR, READ_BACK, named, NAMES).part.tolist() == [0, -1, 1, 2]


@pytest.mark.parametrize("fold", range(3))
def test_of_a_column_of_folds_one_is_tested_and_the_next_validates(tmp_path: Path, fold: int) -> None:
    write_whole(tmp_path / "folds.csv", "genes,fold\nY000,0\nY001 Y003,1\nY002,2\nY003,\n")
    samples = samples_of([(0,), (1, 3), (2,), (3,)], [-1] * 4)
    named = split_table.read(tmp_path / "folds.csv", LOOKUP, None, own=False, tested=split_table.Tested(fold))
    part = named_split(samples, SplitChoice(FILE, FRACTIONS, fold=fold), named, NAMES).part
    wanted = [{0: 2, 1: 1, 2: 0}[(number - fold) % 3] for number in range(3)]
    assert part.tolist() == [*wanted, -1]


@pytest.mark.parametrize(
    ("text", "column", "tested", "said"),
    [
        ("genes,fold\nY000,1\nY001,2\nY002,3\n", None, (0, 0), "its folds are 1, 2, 3 .. 3"),
        ("genes,fold\nY000,0\nY001,1\nY002,2\n", None, (3, 0), "has 3 folds"),
        ("genes,fold\nY000,0\nY001,1\nY002,2\n", None, (0, 4), "has 3 folds"),
        ("genes,part\nY000,train\nY001,test\n", None, (1, 0), "holds no numbers of folds"),
        ("genes,part,fold\nY000,train,0\nY001,1,1\nY002,2,2\n", None, (0, 0), "'1' is no part"),
    ],
)
def test_folds_that_a_column_does_not_hold_are_told(
    tmp_path: Path, text: str, column: str | None, tested: tuple[int, int], said: str
) -> None:
    write_whole(tmp_path / "folds.csv", text)
    with pytest.raises((InvalidInput, UsageError), match=said):
        split_table.read(tmp_path / "folds.csv", LOOKUP, column, own=False, tested=split_table.Tested(*tested))


def test_the_parts_are_those_of_training() -> None:
    """Spelled out in `sources`, which knows nothing of training."""
    assert [split_table.SPELLINGS[part] for part in PARTS] == [0, 1, 2]
    assert [split_table.TRAIN, split_table.VALIDATION, split_table.TEST, split_table.NO_PART] == [0, 1, 2, -1]

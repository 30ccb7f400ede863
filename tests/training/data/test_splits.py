"""Splits: what they promise over random samples, by slow oracles; reproducible; honest about what leaks."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gocell_cli.errors import UsageError
from gocell_cli.storage.schema import Samples
from gocell_cli.training.data.splits.deal import deal, deal_folds
from gocell_cli.training.data.splits.genotypes import are_distinct, genotype_codes
from gocell_cli.training.data.splits.kinds import ANY_GENE, GENE, PARTS, SPLITS, SplitChoice
from gocell_cli.training.data.splits.overlap import overlap, split_report
from gocell_cli.training.data.splits.split import Split, fingerprint, make_split

FRACTIONS = (0.6, 0.2, 0.2)
GENES = 12
NAMES = [f"Y{i:03d}" for i in range(GENES)]
Genotype = tuple[int, ...]


def samples_of(genotypes: list[Genotype], groups: list[int]) -> Samples:
    n = len(genotypes)
    return Samples(
        gene_ptr=np.concatenate([[0], np.cumsum([len(g) for g in genotypes])]).astype(np.int64),
        genes=np.array([g for genotype in genotypes for g in genotype], dtype=np.int32),
        value=np.zeros(n), statistic=np.full(n, np.nan), dataset=np.zeros(n, np.int16),
        query_group=np.array(groups, dtype=np.int32), source_ptr=np.arange(n + 1, dtype=np.int64),
        source_row=np.arange(n, dtype=np.int64), query_strain=np.full(n, -1, np.int32),
        array_strain=np.full(n, -1, np.int32),
    )  # fmt: skip


def made_up(seed: int, n: int = 200, groups: int = 30) -> Samples:
    """Genotypes of 1 to 3 genes, drawn with repeats: under `--duplicates keep` a genotype has several samples."""
    rng = np.random.default_rng(seed)
    genotypes = [tuple(sorted(rng.choice(GENES, int(rng.integers(1, 4)), replace=False).tolist())) for _ in range(n)]
    of_group = {genotype: int(rng.integers(0, groups)) for genotype in genotypes}
    return samples_of(genotypes, [of_group[genotype] for genotype in genotypes])


def genotype(samples: Samples, row: int) -> Genotype:
    return tuple(samples.genes[samples.gene_ptr[row] : samples.gene_ptr[row + 1]].tolist())


def reordered(samples: Samples, order: np.ndarray) -> Samples:
    moved = samples_of([genotype(samples, r) for r in order], samples.query_group[order].tolist())
    return replace(moved, value=samples.value[order], source_row=samples.source_row[order])


def sides(split: Split, of_row: list[set[object]]) -> list[set[object]]:
    """What each part has of a thing: genotypes, groups or genes."""
    return [set().union(*(of_row[r] for r in split.rows(part))) for part in PARTS]


def in_common(found: list[set[object]]) -> set[object]:
    return set().union(*(a & b for a, b in combinations(found, 2)))


BY_GENE = (GENE, ANY_GENE)
"""Kinds that leave samples of genes that part in no part."""
choices = st.builds(
    SplitChoice,
    st.sampled_from(SPLITS),
    st.just(FRACTIONS),
    seed=st.integers(0, 2**63 - 1),
    folds=st.sampled_from([0, 2, 3, 5]),
)


@settings(max_examples=100)
@given(seed=st.integers(0, 1000), choice=choices, data=st.data())
def test_nothing_that_a_split_keeps_apart_is_on_two_sides(seed: int, choice: SplitChoice, data: st.DataObject) -> None:
    samples = made_up(seed)
    choice = replace(choice, fold=data.draw(st.integers(0, max(choice.folds - 1, 0))))
    split = make_split(samples, choice, NAMES)
    rows = range(len(samples))
    assert not in_common(sides(split, [{genotype(samples, r)} for r in rows]))
    if choice.kind == "query":
        assert not in_common(sides(split, [{int(samples.query_group[r])} for r in rows]))
    if choice.kind == GENE:
        assert not in_common(sides(split, [set(genotype(samples, r)) for r in rows]))
    if choice.kind == ANY_GENE:
        trained = sides(split, [set(genotype(samples, r)) for r in rows])[0]
        assert all(set(genotype(samples, r)) - trained for part in PARTS[1:] for r in split.rows(part))
    together = np.concatenate([split.rows(part) for part in PARTS])
    assert len(set(together.tolist())) == len(together) == int((split.part >= 0).sum())
    if choice.kind not in BY_GENE:
        assert len(together) == len(samples)
    assert np.array_equal(make_split(samples, choice, NAMES).part, split.part)


@settings(max_examples=40)
@given(seed=st.integers(0, 1000), kind=st.sampled_from(SPLITS), folds=st.integers(2, 6))
def test_folds_partition(seed: int, kind: str, folds: int) -> None:
    """Each thing that is divided is tested in one fold: genotypes and groups with all samples, genes with singles."""
    samples = with_singles(made_up(seed, n=400))
    tested = np.zeros((folds, len(samples)), dtype=bool)
    for number in range(folds):
        tested[number, make_split(samples, SplitChoice(kind, FRACTIONS, seed, folds, number), NAMES).test] = True
    assert tested.any(axis=1).all()
    own = tested if kind not in BY_GENE else tested[:, -GENES:]
    assert (own.sum(axis=0) == 1).all()
    if kind not in BY_GENE:
        return
    fold = own.argmax(axis=0)
    assert np.bincount(fold).max() - np.bincount(fold).min() <= 1
    for row in range(len(samples)):
        of_genes = {int(fold[g]) for g in genotype(samples, row)}
        found = set(np.flatnonzero(tested[:, row]).tolist())
        assert found == (of_genes if len(of_genes) == 1 else set()) if kind == GENE else found <= of_genes


@settings(max_examples=40)
@given(seed=st.integers(0, 1000), kind=st.sampled_from(SPLITS), folds=st.sampled_from([0, 3]))
def test_other_validation_parts_beside_one_test_part(seed: int, kind: str, folds: int) -> None:
    """What is tested never trains or validates; what a kind keeps apart stays so, and seeds draw different parts."""
    samples = with_singles(made_up(seed, n=400))
    choice = SplitChoice(kind, (0.6, 0.2, 0.2), seed, folds)
    plain = make_split(samples, choice, NAMES)
    parts = [make_split(samples, replace(choice, validation_seed=number), NAMES) for number in range(4)]
    for split in parts:
        if kind == ANY_GENE:  # a sample with a gene for validation and one for the test is in neither
            assert not {*plain.test.tolist()} & {*split.train.tolist(), *split.validation.tolist()}
        else:
            assert np.array_equal(split.test, plain.test)
        if kind == "query":
            group = [set(samples.query_group[split.rows(part)].tolist()) for part in PARTS]
            assert not group[0] & group[1]
        if kind == GENE:
            found = [{g for r in split.rows(part) for g in genotype(samples, r)} for part in PARTS]
            assert not found[0] & found[1]
    assert len({split.validation.tobytes() for split in parts}) > 1


def with_singles(samples: Samples) -> Samples:
    """The samples, and a deletion of each gene alone, last: its part is the gene's."""
    genotypes = [*(genotype(samples, r) for r in range(len(samples))), *((g,) for g in range(GENES))]
    of_group = dict(zip(genotypes, [*samples.query_group.tolist(), *range(30, 30 + GENES)], strict=True))
    return samples_of(genotypes, [of_group[deleted] for deleted in genotypes])


@settings(max_examples=60)
@given(
    seed=st.integers(0, 1000),
    fractions=st.sampled_from([FRACTIONS, (0.4, 0.3, 0.3), (0.75, 0.1, 0.15)]),
    folds=st.sampled_from([0, 3, 5]),
)
def test_a_sample_is_where_its_genes_that_do_not_train_are(
    seed: int, fractions: tuple[float, float, float], folds: int
) -> None:
    """By the slow rule: `any-gene` for a part of several kinds of genes, `gene` for one kind; both deal genes alike."""
    samples = with_singles(made_up(seed))
    every, some = (
        make_split(samples, SplitChoice(kind, fractions, seed, folds, folds // 2), NAMES) for kind in BY_GENE
    )
    part = every.part[-GENES:].tolist()
    assert part == some.part[-GENES:].tolist()
    for row in range(len(samples)):
        own = {part[g] for g in genotype(samples, row)}
        others = own - {0}
        assert every.part[row] == (own.pop() if len(own) == 1 else -1)
        assert some.part[row] == (-1 if others == {1, 2} else max(others, default=0))
    assert np.array_equal(every.train, some.train)
    for name in PARTS[1:]:
        assert set(every.rows(name)) <= set(some.rows(name))


def test_who_deletes_nothing_has_no_gene_to_be_divided_by() -> None:
    samples = samples_of([(), *((g,) for g in range(GENES)), ()], [0] * (GENES + 2))
    for kind in BY_GENE:
        part = make_split(samples, SplitChoice(kind, FRACTIONS), NAMES).part
        assert part[[0, -1]].tolist() == [-1, -1]
        assert (part[1:-1] >= 0).all()


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 50), min_size=3, max_size=60),
    largest=st.integers(1, 5000),
    seed=st.integers(0, 2**63 - 1),
    folds=st.integers(2, 5),
)
def test_groups_of_any_sizes_fill_every_part_and_fold(sizes: list[int], largest: int, seed: int, folds: int) -> None:
    held = np.array([*sizes, largest])
    part = deal(held, (0.8, 0.1, 0.1), seed)
    assert set(part.tolist()) == {0, 1, 2}
    if len(held) >= folds:
        filled = np.bincount(deal_folds(held, folds, seed), weights=held, minlength=folds)
        assert filled.min() > 0
        # no fold is larger than a fair share and the largest group together
        assert filled.max() <= held.sum() / folds + held.max()


@settings(max_examples=30)
@given(sizes=st.lists(st.integers(20, 60), min_size=150, max_size=250), seed=st.integers(0, 1000))
def test_parts_are_near_their_fractions_where_groups_allow_it(sizes: list[int], seed: int) -> None:
    held = np.array(sizes)
    filled = np.bincount(deal(held, (0.8, 0.1, 0.1), seed), weights=held)
    assert np.abs(filled / held.sum() - [0.8, 0.1, 0.1]).max() <= 0.02
    folds = np.bincount(deal_folds(held, 5, seed), weights=held)
    assert folds.max() - folds.min() <= 2 * max(sizes)


KUZMIN = [12799, 1130, 73, 67, 65, 63, 61, 46, *[1] * 267]
"""Query groups of the real slice of Kuzmin 2018."""


def test_no_group_decides_a_part_by_its_size_and_seeds_differ() -> None:
    """Largest first gave every seed the same test part, and a validation part of one group, on these sizes."""
    dealt = [deal(np.array(KUZMIN), (0.8, 0.1, 0.1), seed) for seed in range(5)]
    for part in dealt:
        assert part[0] == part[1] == 0  # larger than a part, or than what the first leaves of one
        for number in (1, 2):
            held = np.array(KUZMIN)[part == number]
            assert len(held) > 50
            assert 280 <= held.sum() <= 360  # of 642 that are left
    for number in (1, 2):
        assert len({tuple(np.flatnonzero(part == number)) for part in dealt}) == 5
        assert len({frozenset(np.flatnonzero(part[2:8] == number)) for part in dealt}) > 2
    even = [deal(np.full(9, 1000), (0.8, 0.1, 0.1), seed) for seed in range(12)]
    assert all(np.bincount(part).tolist() == [7, 1, 1] for part in even)
    assert len({int(np.flatnonzero(part == 2)[0]) for part in even}) > 3


OLD = {
    ("random", 0): [1, 2, 0, 1, 0, 0, 1, 0, 2, 0, 2, 0],
    ("random", 1): [0, 1, 1, 2, 0, 0, 2, 0, 0, 1, 2, 0],
    ("random", 7): [0, 0, 1, 0, 0, 2, 0, 1, 1, 2, 0, 2],
    ("query", 0): [0, 2, 1, 0, 0, 1, 1, 2, 0, 1, 0, 0],
    ("query", 1): [0, 1, 2, 0, 0, 1, 1, 1, 0, 2, 0, 0],
    ("query", 7): [0, 2, 1, 0, 0, 1, 1, 2, 0, 1, 0, 0],
    ("gene", 0): [1, -1, 1, 1, 0, -1, 0, -1, 0, 1, 2, 0],
    ("gene", 1): [0, 1, 2, 0, 0, -1, 0, -1, 1, -1, 2, 0],
    ("gene", 7): [0, -1, 0, 0, 0, -1, 1, 1, 2, 0, 0, 2],
}


def test_rule_1_divides_as_it_always_did() -> None:
    """Frozen from the code of before rules were recorded: runs of then are opened with their very split."""
    genotypes = [(0,), (1, 2), (3,), (0,), (4,), (5, 6), (7,), (2, 8), (9,), (0, 3), (10,), (11,)]
    samples = samples_of(genotypes, [0, 1, 2, 0, 0, 3, 3, 1, 0, 2, 0, 0])
    found = {}
    for kind in ("random", "query", "gene"):
        for seed in (0, 1, 7):
            choice = SplitChoice(kind, (0.5, 0.25, 0.25), seed, rule=1)
            found[kind, seed] = make_split(samples, choice, NAMES).part.tolist()
    assert found == OLD


def test_random_splits_are_the_same_by_both_rules_where_genotypes_are_distinct() -> None:
    genotypes = list(combinations(range(GENES), 2))
    samples = samples_of(genotypes, [0] * len(genotypes))
    for kind in ("random", *BY_GENE):
        old, new = (make_split(samples, SplitChoice(kind, FRACTIONS, 3, rule=rule), NAMES) for rule in (1, 2))
        assert np.array_equal(old.part, new.part)


@settings(max_examples=40)
@given(seed=st.integers(0, 1000), kind=st.sampled_from(SPLITS), more=st.integers(1, 20))
def test_subsets_nest_and_change_nothing_else(seed: int, kind: str, more: int) -> None:
    samples = made_up(seed)
    value = samples.value.copy()
    value[::7] = np.nan
    samples = replace(samples, value=value)
    whole = make_split(samples, SplitChoice(kind, FRACTIONS, seed), NAMES)
    labelled = whole.train[np.isfinite(value[whole.train])]
    more = min(more, len(labelled))
    small, large = (
        make_split(samples, SplitChoice(kind, FRACTIONS, seed, subset=n), NAMES) for n in (max(more // 2, 1), more)
    )
    assert (len(small.train), len(large.train)) == (max(more // 2, 1), more)
    assert set(small.train) <= set(large.train) <= set(labelled)
    for split in (small, large):
        assert np.array_equal(split.validation, whole.validation)
        assert np.array_equal(split.test, whole.test)
    with pytest.raises(UsageError, match="training samples have a label"):
        make_split(samples, SplitChoice(kind, FRACTIONS, seed, subset=len(labelled) + 1), NAMES)


@settings(max_examples=30)
@given(seed=st.integers(0, 1000))
def test_a_subset_and_a_fingerprint_are_of_genotypes_and_not_of_the_order_of_samples(seed: int) -> None:
    samples = made_up(seed)
    order = np.random.default_rng(seed).permutation(len(samples))
    moved = reordered(samples, order)
    choice = SplitChoice("query", FRACTIONS, seed)
    split, other = make_split(samples, choice, NAMES), make_split(moved, choice, NAMES)
    assert np.array_equal(split.part[order], other.part)  # groups are dealt, whatever the order of samples
    assert fingerprint(split, samples, NAMES) == fingerprint(other, moved, NAMES)
    few = replace(choice, subset=20)
    chosen = [sorted(genotype(s, r) for r in make_split(s, few, NAMES).train) for s in (samples, moved)]
    assert chosen[0] == chosen[1]
    part = split.part.copy()
    part[split.test[0]] = 0
    assert fingerprint(Split(choice, part), samples, NAMES) != fingerprint(split, samples, NAMES)
    once = np.unique(genotype_codes(samples.gene_ptr, samples.genes), return_index=True)[1]
    assert fingerprint(Split(choice, split.part[once]), reordered(samples, once), NAMES) == fingerprint(
        split, samples, NAMES
    )


@settings(max_examples=60)
@given(seed=st.integers(0, 1000), choice=choices, groups=st.booleans())
def test_what_leaks_is_counted(seed: int, choice: SplitChoice, groups: bool) -> None:
    samples = made_up(seed, n=60 if choice.kind not in BY_GENE else 200)
    if not groups and choice.kind != "query":
        samples = replace(samples, query_group=np.full(len(samples), -1, np.int32))
    split = make_split(samples, choice, NAMES)
    train = [genotype(samples, r) for r in split.train]
    genes = {g for deleted in train for g in deleted}
    pairs = {pair for deleted in train for pair in combinations(deleted, 2)}
    known = {int(samples.query_group[r]) for r in split.train}
    test = [(genotype(samples, r), int(samples.query_group[r])) for r in split.test]
    found = overlap(samples, split, GENES)
    assert found.new_gene == sum(bool(set(deleted) - genes) for deleted, _ in test)
    assert found.genotype == sum(deleted in set(train) for deleted, _ in test) == 0
    sharing = sum(bool(set(combinations(deleted, 2)) & pairs) for deleted, _ in test)
    assert found.pair == (sharing if any(len(deleted) > 2 for deleted, _ in test) else None)
    assert found.group == (sum(g in known for _, g in test) if (samples.query_group >= 0).all() else None)


def test_what_leaks_is_counted_where_a_split_of_before_leaks() -> None:
    samples = samples_of([(0,), (0, 1), (2,), (1, 3), (0,)] * 4, [0, 0, 1, 1, -1] * 4)
    split = make_split(samples, SplitChoice("random", FRACTIONS, 3, rule=1), NAMES)
    train = {genotype(samples, r) for r in split.train}
    found = split_report(samples, split, NAMES)
    assert found["test_with_known_genotype"] == sum(genotype(samples, r) in train for r in split.test) > 0
    groups = {int(samples.query_group[r]) for r in split.train} - {-1}
    shared = np.mean([int(samples.query_group[r]) in groups for r in split.test])
    assert found["test_groups_in_train"] == pytest.approx(shared)
    assert (found["rule"], found["folds"], found["groups"]) == (1, None, None)


def test_a_genotype_of_two_query_groups_is_dropped_where_they_part() -> None:
    """A foreign cache need not join the groups that measured one genotype, as ours do."""
    genotypes = [(g, g + 100) for g in range(60)] + [(0, 999)] * 20
    samples = samples_of(genotypes, list(range(20)) * 3 + list(range(20)))
    split = make_split(samples, SplitChoice("query", FRACTIONS, 1), [str(i) for i in range(1000)])
    assert (split.part[60:] == -1).all()
    assert split_report(samples, split, [str(i) for i in range(1000)])["dropped"] >= 20
    assert sum(split_report(samples, split, [str(i) for i in range(1000)])["groups"].values()) == 20


@settings(max_examples=60)
@given(
    st.lists(st.sets(st.integers(0, 2**20), max_size=9).map(lambda s: tuple(sorted(s))), min_size=1, max_size=30),
    st.lists(st.integers(0, 29), max_size=10),
)
def test_codes_are_equal_where_genotypes_are(genotypes: list[Genotype], again: list[int]) -> None:
    genotypes = genotypes + [genotypes[i % len(genotypes)] for i in again]
    samples = samples_of(genotypes, [0] * len(genotypes))
    codes = genotype_codes(samples.gene_ptr, samples.genes).tolist()
    for i, j in combinations(range(len(genotypes)), 2):
        assert (codes[i] == codes[j]) == (genotypes[i] == genotypes[j])
    assert are_distinct(np.array(codes)) == (len(set(genotypes)) == len(genotypes))


def test_impossible_splits_are_errors() -> None:
    one_group = samples_of([(0,), (1,), (2,), (3,)] * 5, [0] * 20)
    with pytest.raises(UsageError, match="leaves a part empty: train 20, validation 0, test 0"):
        make_split(one_group, SplitChoice("query", FRACTIONS), NAMES)
    with pytest.raises(UsageError, match="1 query groups make no 2 folds"):
        make_split(one_group, SplitChoice("query", folds=2), NAMES)
    no_group = samples_of([(0,), (1,)] * 5, [-1] * 10)
    with pytest.raises(UsageError, match="without a query group"):
        make_split(no_group, SplitChoice("query", FRACTIONS), NAMES)
    one_gene = samples_of([(0,)] * 10, [-1] * 10)
    for kind in BY_GENE:
        with pytest.raises(UsageError, match=f"a {kind} split of 10 samples leaves a part empty"):
            make_split(one_gene, SplitChoice(kind, FRACTIONS), NAMES)
    with pytest.raises(UsageError, match="1 genotypes make no 3 folds"):
        make_split(one_gene, SplitChoice("random", folds=3), NAMES)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kind": "time"}, "no split 'time'"),
        ({"fractions": (0.5, 0.1, 0.1)}, "add up to 1"),
        ({"folds": 1}, "folds is 1"),
        ({"folds": -2}, "folds is -2"),
        ({"fold": 1}, "fold is 1, and there are no folds"),
        ({"folds": 5, "fold": 5}, "fold is 5, and there are 5 folds"),
        ({"kind": "file", "fold": -1}, "fold is -1"),
        ({"rule": 3}, "split_rule is 3"),
    ],
)
def test_choices_that_mean_nothing_are_errors(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        SplitChoice(**{"kind": "random", **wrong})  # type: ignore[arg-type]

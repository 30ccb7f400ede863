"""Merging rows of one genotype, against a dictionary filled row by row."""

import math
from collections import defaultdict
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gocell_cli.domain.genotype import NO_GENE, Dataset, Measurements, Phenotype, merge_duplicates
from gocell_cli.errors import UsageError

GROUPS = ("A", "B", "C", "D")
ROWS = st.lists(
    st.tuples(
        st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True),
        st.integers(-50, 50),
        st.one_of(st.none(), st.integers(0, 9)),
        st.integers(-1, len(GROUPS) - 1),
    ),
    min_size=1,
    max_size=12,
)
Row = tuple[list[int], int, int | None, int]


def _dataset(rows: list[Row], statistic: str) -> Dataset:
    padded = [[NO_GENE] * (3 - len(genes)) + sorted(genes) for genes, *_ in rows]
    none = np.full(len(rows), -1, dtype=np.int32)
    measurements = Measurements(
        genes=np.array(padded, dtype=np.int32),
        value=np.array([value / 8 for _, value, _, _ in rows]),
        statistic=np.array([math.nan if s is None else s / 8 for _, _, s, _ in rows]),
        row=np.arange(2, len(rows) + 2),
        query_strain=none,
        array_strain=none,
        query=np.array([group for *_, group in rows], dtype=np.int32),
    )
    return Dataset("rows", Phenotype("fitness", statistic), measurements, (), GROUPS, len(rows), {}, {}, {})


@given(ROWS, st.sampled_from(["sd", "p_value"]))
def test_merging_agrees_with_a_dictionary(rows: list[Row], statistic: str) -> None:
    merged: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for i, (genes, *_) in enumerate(rows):
        merged[tuple(sorted(genes))].append(i)
    found = merge_duplicates(_dataset(rows, statistic))
    ends = [*found.start[1:].tolist(), len(rows)]
    seen = {}
    for i in range(len(found)):
        genes = tuple(g for g in found.genes[i].tolist() if g != NO_GENE)
        members = found.order[found.start[i] : ends[i]].tolist()
        seen[genes] = members
        assert found.value[i] == pytest.approx(np.mean([rows[m][1] / 8 for m in members]))
        _check_statistic(float(found.statistic[i]), [rows[m][2] for m in members], statistic)
    assert {genes: sorted(members) for genes, members in seen.items()} == merged
    assert len(found) == len(merged)


def _check_statistic(found: float, members: list[int | None], statistic: str) -> None:
    if None in members or (statistic == "p_value" and len(members) > 1):
        assert math.isnan(found)
    elif len(members) == 1:
        assert found == members[0] / 8
    else:
        assert found == pytest.approx(math.sqrt(np.mean([(m / 8) ** 2 for m in members])))


def _weighted(members: list[tuple[float, float]]) -> tuple[float, float, int]:
    """Value, SD and rows left out of some (value, SD), as the text books have it: sums of 1 / s^2 in fractions."""
    weighed = [(Fraction(x), 1 / Fraction(s) ** 2) for x, s in members if s > 0]
    if len(members) == 1 or not weighed:
        values, sds = zip(*members, strict=True)
        plain = members[0][1] if len(members) == 1 else math.sqrt(np.mean(np.square(sds)))
        return float(np.mean(values)), float(plain), 0
    total = sum(w for _, w in weighed)
    return float(sum(x * w for x, w in weighed) / total), 1 / math.sqrt(total), len(members) - len(weighed)


@given(ROWS)
def test_inverse_variance_is_that_of_the_text_books(rows: list[Row]) -> None:
    assume(any(s for _, _, s, _ in rows))
    found = merge_duplicates(_dataset(rows, "sd"), "inverse-variance")
    left_out = by_mean = 0
    for i, genes in enumerate(found.genes.tolist()):
        members = [
            (value / 8, math.nan if s is None else s / 8)
            for own, value, s, _ in rows
            if sorted(own) == [g for g in genes if g != NO_GENE]
        ]
        value, sd, without = _weighted(members)
        assert found.value[i] == pytest.approx(value, abs=1e-12)
        assert found.statistic[i] == pytest.approx(sd, nan_ok=True)
        left_out += without
        by_mean += len(members) > 1 and not any(s > 0 for _, s in members)
    assert found.weights == (left_out, by_mean)


def test_inverse_variance_of_tiny_deviations_is_a_number() -> None:
    rows = _dataset([([1], 8, 1, -1), ([1], 16, 1, -1)], "sd")
    tiny = replace(rows, measurements=replace(rows.measurements, statistic=np.array([1e-200, 2e-200])))
    found = merge_duplicates(tiny, "inverse-variance")
    assert found.value.tolist() == pytest.approx([1.2])  # (1 / 1 + 2 / 4) / (1 / 1 + 1 / 4)
    assert found.statistic.tolist() == pytest.approx([1e-200 / math.sqrt(1.25)])


@pytest.mark.parametrize(
    ("statistic", "sd", "why"),
    [
        ("p_value", 1, "rows, fitness: it has P-values"),
        ("", 1, "rows, fitness: it has none"),
        ("sd", 0, "rows, fitness: none of its rows has one above 0"),
        ("sd", None, "rows, fitness: none of its rows has one above 0"),
    ],
)
def test_inverse_variance_without_deviations_is_refused(statistic: str, sd: int | None, why: str) -> None:
    with pytest.raises(UsageError) as error:
        merge_duplicates(_dataset([([1], 0, sd, -1)], statistic), "inverse-variance")
    assert error.value.why == why
    assert "--duplicates mean" in error.value.hint


@given(ROWS)
def test_query_groups_of_merged_rows_become_one_component(rows: list[Row]) -> None:
    rows = [(genes, value, s, max(group, 0)) for genes, value, s, group in rows]
    found = merge_duplicates(_dataset(rows, "sd"))
    ends = [*found.start[1:].tolist(), len(rows)]
    for i, group in enumerate(found.query_group.tolist()):
        members = {GROUPS[rows[m][3]] for m in found.order[found.start[i] : ends[i]].tolist()}
        assert members <= set(found.group_names[group].split(";"))
    assert sorted(g for name in found.group_names for g in name.split(";")) == sorted(GROUPS)


def test_rows_without_a_query_keep_none() -> None:
    assert merge_duplicates(_dataset([([1], 0, None, -1)], "sd")).query_group.tolist() == [-1]

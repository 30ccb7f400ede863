"""Several data sets as one cache's samples: indices, provenance, and rules for duplicates."""

from dataclasses import replace

import numpy as np
import pytest

from gocell_cli.building.contents import make_samples
from gocell_cli.domain.alleles import keep_deletions
from gocell_cli.domain.genotype import (
    Dataset,
    Label,
    Measurements,
    Phenotype,
    keep_significant,
    labelled_rows,
    merge_duplicates,
)
from gocell_cli.domain.joined_datasets import join_datasets
from gocell_cli.errors import UsageError


def dataset(name: str, rows: list[tuple[list[int], float, float, int]], strains: list[tuple[str, str]]) -> Dataset:
    """Rows of (genes, value, P-value, index of query strain); queries are the strains' genes."""
    width = max(len(genes) for genes, *_ in rows)
    strain = np.array([row[3] for row in rows], dtype=np.int32)
    return Dataset(
        name=name,
        phenotype=Phenotype("epsilon", "p_value"),
        measurements=Measurements(
            genes=np.array([[-1] * (width - len(g)) + g for g, *_ in rows], dtype=np.int32),
            value=np.array([row[1] for row in rows]),
            statistic=np.array([row[2] for row in rows]),
            row=np.arange(2, len(rows) + 2),
            query_strain=strain,
            array_strain=np.full(len(rows), -1, dtype=np.int32),
            query=strain,
        ),
        strains=tuple(strains),
        queries=tuple(strain.partition("_")[0] for strain, _ in strains),
        rows_read=len(rows) + 1,
        dropped={"no_phenotype": 1},
        sources={"raw": name * 3},
        options={"order": "all"},
    )


FIRST = dataset("first", [([1, 2], 0.1, 0.01, 0), ([1, 3], 0.2, 0.5, 1)], [("B_tsq1", "b-1"), ("C_dma2", "cΔ")])
SECOND = dataset("second", [([1, 2], 0.3, np.nan, 0), ([1, 2, 4], 0.4, 0.02, 1)], [("A_sn1", "aΔ"), ("B_tsq1", "b-1")])


@pytest.mark.parametrize(
    ("rule", "values", "members"),
    [
        ("mean", [0.2, 0.2, 0.4], [0, 0, 1]),
        ("first", [0.1, 0.2, 0.4], [0, 0, 1]),
        ("keep", [0.1, 0.3, 0.2, 0.4], [0, 1, 0, 1]),
    ],
)
def test_duplicates_across_data_sets_follow_the_rule(rule: str, values: list[float], members: list[int]) -> None:
    joined = join_datasets([FIRST, SECOND])
    samples = make_samples(joined, merge_duplicates(joined, rule))
    np.testing.assert_allclose(samples.value, values)
    assert samples.dataset.tolist() == members
    assert len(samples.source_row) == 4  # every row stays in the provenance, whatever the rule


def test_rows_strains_and_queries_of_a_joined_row_are_its_own() -> None:
    joined = join_datasets([FIRST, SECOND])
    rows = joined.measurements
    own = [(d, i) for d in (FIRST, SECOND) for i in range(2)]
    for at, (source, i) in enumerate(own):
        assert joined.strains[rows.query_strain[at]] == source.strains[source.measurements.query_strain[i]]
        assert joined.queries[rows.query[at]] == source.queries[source.measurements.query[i]]
        file = [f for f in joined.files if f.first_row <= rows.row[at]][-1]
        assert rows.row[at] - file.first_row + 1 == source.measurements.row[i]
        assert joined.members[file.dataset] == source.name
    assert joined.rows_read == 6
    assert dict(joined.dropped) == {"first: no_phenotype": 1, "second: no_phenotype": 1}
    assert joined.sources == {"first: raw": "firstfirstfirst", "second: raw": "secondsecondsecond"}


def test_one_data_set_is_left_as_it_is() -> None:
    assert join_datasets([FIRST]) is FIRST


def test_deletion_only_and_max_p_drop_and_count() -> None:
    joined = join_datasets([FIRST, SECOND])
    deletions = keep_deletions(joined)
    assert deletions.measurements.value.tolist() == [0.2, 0.3]
    assert deletions.dropped["not_a_deletion"] == 2
    significant = keep_significant(joined, 0.05)
    assert significant.measurements.value.tolist() == [0.1, 0.4]
    assert significant.dropped["no_p_value"] == 1
    assert significant.dropped["p_above_max"] == 1


def test_a_p_value_and_a_standard_deviation_do_not_make_one_statistic() -> None:
    of_sd = replace(SECOND, phenotype=Phenotype("fitness", "sd"))
    with pytest.raises(UsageError, match="their statistics are p_value and sd"):
        join_datasets([replace(FIRST, phenotype=Phenotype("fitness", "p_value")), of_sd])
    # a data set without a statistic takes nothing from the other's
    assert join_datasets([replace(FIRST, phenotype=Phenotype("fitness")), of_sd]).phenotype.statistic == "sd"


def test_published_fitness_of_a_strain_of_several_data_sets_is_of_all() -> None:
    first = replace(FIRST, fitness=((0.5,), ()))
    assert join_datasets([first, replace(SECOND, fitness=((1.0,), (0.4, 0.5)))]).fitness == ((1.0,), (0.4, 0.5), ())
    assert join_datasets([first, SECOND]).fitness == ((), (0.5,), ())
    assert join_datasets([FIRST, SECOND]).fitness == ()


def test_max_p_holds_each_of_several_phenotypes_to_its_own_p_value() -> None:
    """A row keeps what is significant of it, and what has no P-value; without either it goes, and is counted."""
    nan = float("nan")
    rows = replace(FIRST.measurements, value=np.array([0.1, 0.2]), statistic=np.array([0.01, 0.5]))
    others = (Label(np.array([1.0, nan]), np.array([0.3, nan])),)
    both = replace(FIRST, measurements=replace(rows, others=others), others=(Phenotype("fitness", "sd"),))
    found = keep_significant(both, 0.05)
    assert found.measurements.value.tolist() == [0.1]
    assert found.measurements.others[0].value.tolist() == [1.0]
    assert found.dropped["p_above_max"] == 1
    assert labelled_rows(found) == {FIRST.phenotype.kind: 1, "fitness": 1}
    above = keep_significant(both, 0.001)
    assert np.isnan(above.measurements.value).tolist() == [True]
    assert above.measurements.others[0].value.tolist() == [1.0]
    assert above.options["max_p"] == "0.001"

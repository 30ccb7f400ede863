"""Hypothesis strategies and small builders for the storage tests."""

import numpy as np
from hypothesis import strategies as st

from gocell_cli.storage.schema import NONE_INDEX, Hierarchy, Labels, Sample, Samples

INT32, INT64 = 2**31 - 1, 2**63 - 1
index_or_none = st.none() | st.integers(0, INT32)
sources = st.lists(st.tuples(st.integers(0, INT64), index_or_none, index_or_none), max_size=3)
# Plain dictionaries, not `Sample`: the type checks that pytest turns on use `random`, which strategies may not.
sample_values = st.fixed_dictionaries(
    {
        "genes": st.sets(st.integers(0, INT32), max_size=5).map(lambda genes: tuple(sorted(genes))),
        "value": st.floats(allow_nan=False, allow_infinity=False),
        "statistic": st.none() | st.floats(0, 1),
        "dataset": st.integers(0, 2**15 - 1),
        "query_group": index_or_none,
        "sources": sources.map(tuple),
    }
)
label = st.none() | st.floats(allow_nan=False, allow_infinity=False)


def _with_others(others: int) -> st.SearchStrategy[list[dict]]:
    """Samples of so many phenotypes after the first: all of a shard have as many."""
    labels = st.lists(st.tuples(label, st.none() | st.floats(0, 1)), min_size=others, max_size=others).map(tuple)
    drawn = st.tuples(sample_values, labels).map(lambda both: {**both[0], "others": both[1]})
    return st.lists(drawn, max_size=8)


sample_lists = st.integers(0, 2).flatmap(_with_others)
Drawn = list[dict]


def as_samples(drawn: Drawn) -> list[Sample]:
    return [Sample(**values) for values in drawn]


def pointers(lengths: list[int]) -> np.ndarray:
    return np.array([sum(lengths[:i]) for i in range(len(lengths) + 1)], dtype=np.int64)


def as_columns(samples: list[Sample]) -> Samples:
    """The plain way from sample values to columns."""
    rows = [source for s in samples for source in s.sources]

    def array(values: list, dtype: type) -> np.ndarray:
        return np.array([NONE_INDEX if v is None else v for v in values], dtype=dtype)

    def labels(number: int, part: int) -> np.ndarray:
        found = [s.others[number][part] for s in samples]
        return np.array([np.nan if v is None else v for v in found], dtype=np.float64)

    others = range(len(samples[0].others) if samples else 0)
    return Samples(
        gene_ptr=pointers([len(s.genes) for s in samples]),
        genes=array([g for s in samples for g in s.genes], np.int32),
        value=array([s.value for s in samples], np.float64),
        statistic=np.array([np.nan if s.statistic is None else s.statistic for s in samples], dtype=np.float64),
        dataset=array([s.dataset for s in samples], np.int16),
        query_group=array([s.query_group for s in samples], np.int32),
        source_ptr=pointers([len(s.sources) for s in samples]),
        source_row=array([r[0] for r in rows], np.int64),
        query_strain=array([r[1] for r in rows], np.int32),
        array_strain=array([r[2] for r in rows], np.int32),
        others=tuple(Labels(labels(i, 0), labels(i, 1)) for i in others),
    )


def assert_equal(found: Samples, expected: Samples) -> None:
    columns = found.columns()
    wanted = expected.columns()
    if len(expected):  # none says of no phenotype after the first
        assert list(columns) == list(wanted)
    for name, column in wanted.items() if len(expected) else ():
        assert columns[name].dtype == column.dtype, name
        np.testing.assert_array_equal(columns[name], column, err_msg=name)


def bare_hierarchy(terms: int, genes: int, rows: set[tuple[int, int]], level: list[int]) -> Hierarchy:
    """A hierarchy without edges: what mutant_state needs, the rest zero."""
    ordered = sorted(rows)
    of_gene = [[i for i, (_, g) in enumerate(ordered) if g == gene] for gene in range(genes)]
    zero = np.zeros(terms, dtype=np.int32)
    return Hierarchy(
        term_ids=tuple(f"GO:{t:07d}" for t in range(terms)),
        term_names=("",) * terms,
        term_namespaces=("",) * terms,
        go_level=zero,
        go_depth=zero,
        stratum=zero,
        height=zero,
        level=np.array(level, dtype=np.int32),
        direct_genes=zero,
        contained_genes=zero,
        gene_names=tuple(f"Y{g:03d}W" for g in range(genes)),
        gene_standard=("",) * genes,
        gene_aliases=((),) * genes,
        edge_child=np.zeros(0, dtype=np.int32),
        edge_parent=np.zeros(0, dtype=np.int32),
        row_term=np.array([t for t, _ in ordered], dtype=np.int32),
        row_gene=np.array([g for _, g in ordered], dtype=np.int32),
        gene_ptr=pointers([len(r) for r in of_gene]),
        gene_rows=np.array([i for r in of_gene for i in r], dtype=np.int32),
        level_by="stratum",
        level_direction="root_down",
    )

"""State tables: equal to the cache's own, and lent without ever being pulled away from who holds them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gocell_cli.storage.reader import Cache
from gocell_cli.training.pyg.state_tables import KEPT_SIZES, KEPT_TABLES, StateTables, wild_type_table
from tests.training.conftest import ThreeGenesCache


def fill(tables: StateTables, cache: Cache, rows: list[int]) -> torch.Tensor:
    return tables.fill(cache.rows(rows))


def test_toy_table_by_hand(toy_cache: Path) -> None:
    """Rows (term, gene) of the filtered toy: (1, a) (2, b) (3, c) (3, d) (3, e), strata 2, 2, 3, 3, 3."""
    cache = Cache(toy_cache)
    table = fill(StateTables(cache, wild_type_table(cache.hierarchy)), cache, [1, 0])
    assert table.dtype == torch.float32
    assert table[:5].tolist() == [[1, 0, 2, 1], [2, 1, 2, 1], [3, 2, 3, 0], [3, 3, 3, 0], [3, 4, 3, 0]]
    assert table[5:, 3].tolist() == [0, 0, 1, 1, 1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.lists(st.lists(st.integers(0, 5886), min_size=1, max_size=4), min_size=1, max_size=6))
def test_any_sequence_of_batches_equals_the_caches_tables(
    three_genes_cache: ThreeGenesCache, batches: list[list[int]]
) -> None:
    cache = three_genes_cache
    table = StateTables(cache, wild_type_table(cache.hierarchy))
    state = StateTables(cache, np.ones((cache.hierarchy.rows, 1), dtype=np.uint8))
    for rows in batches:
        expected = cache.mutant_state(rows)
        assert np.array_equal(fill(table, cache, rows).numpy(), expected.reshape(-1, 4))
        assert np.array_equal(fill(state, cache, rows).numpy().reshape(len(rows), -1), cache.state(rows))


@pytest.fixture
def toy(toy_cache: Path) -> tuple[Cache, StateTables]:
    cache = Cache(toy_cache)
    return cache, StateTables(cache, wild_type_table(cache.hierarchy))


def test_memory_is_used_again_once_nobody_holds_it(toy: tuple[Cache, StateTables]) -> None:
    cache, tables = toy
    places = set()
    for i in range(8):
        table = fill(tables, cache, [i % 2, 1])
        places.add(table.data_ptr())
        del table
    assert len(places) == 1


@pytest.mark.parametrize("hold", [lambda t: t, lambda t: t[3:4], lambda t: t.detach(), lambda t: t.numpy(), torch.t])
def test_what_is_held_stays_as_it_was(toy: tuple[Cache, StateTables], hold) -> None:
    cache, tables = toy
    held = hold(fill(tables, cache, [0, 1]))
    before = held.tolist()
    for rows in ([1, 1], [0, 0], [1, 0]):
        fill(tables, cache, rows)
    assert held.tolist() == before


def test_no_more_tables_are_kept_than_said(toy: tuple[Cache, StateTables]) -> None:
    cache, tables = toy
    held = [fill(tables, cache, [0] * size) for size in (1, 2, 3, 4) for _ in range(KEPT_TABLES + 3)]
    assert len({t.data_ptr() for t in held}) == len(held)
    assert len(tables._tables) == KEPT_SIZES
    assert all(len(kept) == KEPT_TABLES for kept in tables._tables.values())


@pytest.mark.parametrize(
    "write",
    [
        lambda t: t.mul_(2),
        lambda t: t[:, 3].neg_().add_(1),
        lambda t: t[:, 2].sub_(1),
        lambda t: t[:, 3].fill_(1),
        lambda t: t.zero_(),
    ],
)
def test_a_table_written_to_is_not_used_again(toy: tuple[Cache, StateTables], write) -> None:
    cache, tables = toy
    table = fill(tables, cache, [0, 1])
    write(table)
    del table
    expected = cache.mutant_state([1, 0]).reshape(-1, 4)
    assert np.array_equal(fill(tables, cache, [1, 0]).numpy(), expected)

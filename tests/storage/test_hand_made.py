"""The reader against a cache that our writer has never seen."""

from pathlib import Path

import pytest

from gocell_cli.errors import DamagedCache
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.schema import Provenance, Sample
from tests.storage import hand_made

EXPECTED = (
    Sample((0,), 0.5, 0.125, 0, 0, ((2, 0, None),)),
    Sample((), 1.0, None, 0, None, ()),
    Sample((0, 1), -0.25, None, 0, 0, ((3, 0, None), (7, 0, None))),
)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(hand_made.write_cache(tmp_path / "by-hand"))


def test_its_samples(cache: Cache) -> None:
    assert len(cache) == len(EXPECTED)
    assert tuple(cache.sample(i) for i in range(len(cache))) == EXPECTED


def test_its_hierarchy_and_provenance(cache: Cache) -> None:
    assert cache.hierarchy.term_ids == ("GO:0000001", "GO:0000002", "GO:ROOT")
    assert cache.hierarchy.gene_aliases == (("FUN24", "TSV115"), ())
    assert cache.hierarchy.gene_ptr.tolist() == [0, 1, 2]
    assert cache.hierarchy.level.tolist() == [1, 2, 0]
    assert cache.provenance == Provenance((("YAL001C_tm1", "tfc3"),), ("unknown",), ("YAL001C",))


def test_its_mutant_state(cache: Cache) -> None:
    assert cache.mutant_state([2, 1, 0]).tolist() == [
        [[1, 0, 2, 0], [1, 1, 2, 0]],
        [[1, 0, 2, 1], [1, 1, 2, 1]],
        [[1, 0, 2, 0], [1, 1, 2, 1]],
    ]


def test_its_shards_are_checked_against_their_logical_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hand_made, "logical_sha256", lambda _: "0" * 64)
    lying = Cache(hand_made.write_cache(tmp_path / "lying"))
    with pytest.raises(DamagedCache, match=r"shard 0 .* does not hold the recorded values"):
        lying.columns()


def test_levels_that_do_not_hold_are_refused_on_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flat = {**hand_made.TERMS, "level": (hand_made.I32, [1, 1, 0])}
    monkeypatch.setitem(hand_made.TABLES, "hierarchy/terms", flat)
    with pytest.raises(DamagedCache) as error:
        Cache(hand_made.write_cache(tmp_path / "flat"))
    assert error.value.why == "1 same-level edges by stratum (child -> parent): GO:0000002 -> GO:0000001"

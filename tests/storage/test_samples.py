"""Samples <-> bytes: the LMDB record byte by byte, the logical hash, and cutting and joining columns."""

import hashlib
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gocell_cli.errors import DamagedCache
from gocell_cli.storage.samples import concat_samples, logical_sha256, one_sample, take_samples
from gocell_cli.storage.schema import Sample
from gocell_cli.storage.shards import decode_records, encode_records
from tests.storage.strategies import Drawn, as_columns, as_samples, assert_equal, sample_lists

SAMPLE = Sample(genes=(3, 258), value=0.5, statistic=0.25, dataset=1, query_group=7, sources=((2, 4, 5), (9, 6, None)))
RECORD = bytes.fromhex(
    "0200 0200 0100 0000 07000000"  # 2 genes, 2 source rows, data set 1, zero, query group 7
    "000000000000e03f 000000000000d03f"  # value 0.5, statistic 0.25
    "03000000 02010000"  # genes 3 and 258
    "0200000000000000 04000000 05000000"  # source row 2, strains 4 and 5
    "0900000000000000 06000000 ffffffff"  # source row 9, strain 6 and none
)
WITHOUT = Sample(genes=(), value=-1.0, statistic=None, dataset=0, query_group=None, sources=())
LOGICAL_SHA256 = "8ca9aadd9c54da069ad2d513eb6cbab5862b4f4947d45778f8c5f955467bfc76"


def test_one_record_byte_by_byte() -> None:
    assert encode_records(as_columns([SAMPLE])) == [RECORD]
    assert one_sample(decode_records([RECORD]), 0) == SAMPLE


def test_the_logical_hash_is_that_of_the_spelled_out_bytes() -> None:
    columns = (
        ("gene_ptr", "<i8", 3, struct.pack("<3q", 0, 2, 2)),
        ("genes", "<i4", 2, struct.pack("<2i", 3, 258)),
        ("value", "<f8", 2, struct.pack("<2d", 0.5, -1.0)),
        ("statistic", "<f8", 2, struct.pack("<d", 0.25) + bytes.fromhex("000000000000f87f")),
        ("dataset", "<i2", 2, struct.pack("<2h", 1, 0)),
        ("query_group", "<i4", 2, struct.pack("<2i", 7, -1)),
        ("source_ptr", "<i8", 3, struct.pack("<3q", 0, 2, 2)),
        ("source_row", "<i8", 2, struct.pack("<2q", 2, 9)),
        ("query_strain", "<i4", 2, struct.pack("<2i", 4, 6)),
        ("array_strain", "<i4", 2, struct.pack("<2i", 5, -1)),
    )
    data = b"".join(f"{name}:{dtype}:{length};".encode() + values for name, dtype, length, values in columns)
    assert logical_sha256(as_columns([SAMPLE, WITHOUT])) == hashlib.sha256(data).hexdigest()


def test_the_logical_hash_is_frozen() -> None:
    assert logical_sha256(as_columns([SAMPLE, WITHOUT])) == LOGICAL_SHA256


def test_the_logical_hash_does_not_know_kinds_of_nan_or_zero() -> None:
    samples = as_columns([WITHOUT])
    odd_nan = np.array([0xFFF8000000000001], dtype=np.uint64).view(np.float64)
    plus, minus = (replace(samples, value=np.array([zero])) for zero in (0.0, -0.0))
    assert logical_sha256(replace(samples, statistic=odd_nan)) == logical_sha256(samples)
    assert logical_sha256(plus) == logical_sha256(minus)


@pytest.mark.parametrize(
    "other",
    [
        replace(SAMPLE, genes=(3, 259)),
        replace(SAMPLE, genes=(3,)),
        replace(SAMPLE, value=0.5000000001),
        replace(SAMPLE, statistic=None),
        replace(SAMPLE, dataset=2),
        replace(SAMPLE, query_group=None),
        replace(SAMPLE, sources=SAMPLE.sources[:1]),
        replace(SAMPLE, sources=((2, 4, 5), (9, None, 6))),
    ],
)
def test_every_part_of_a_sample_is_in_the_logical_hash(other: Sample) -> None:
    assert logical_sha256(as_columns([other])) != logical_sha256(as_columns([SAMPLE]))


@given(sample_lists)
def test_decode_is_the_inverse_of_encode(drawn: Drawn) -> None:
    samples = as_columns(as_samples(drawn))
    assert_equal(decode_records(encode_records(samples)), samples)


@given(sample_lists)
def test_one_sample_is_the_value_that_was_put_in(drawn: Drawn) -> None:
    samples = as_columns(as_samples(drawn))
    assert [one_sample(samples, i) for i in range(len(samples))] == as_samples(drawn)


@given(sample_lists, st.data())
def test_concat_is_the_inverse_of_slice(drawn: Drawn, data: st.DataObject) -> None:
    samples = as_columns(as_samples(drawn))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(drawn)), max_size=3)))
    bounds = zip([0, *cuts], [*cuts, len(drawn)], strict=True)
    parts = [take_samples(samples, np.arange(start, stop)) for start, stop in bounds]
    assert_equal(concat_samples(parts), samples)


@given(sample_lists.filter(bool), st.data())
def test_take_holds_its_samples_in_order(drawn: Drawn, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(drawn) - 1), max_size=6))
    taken = take_samples(as_columns(as_samples(drawn)), np.array(rows, dtype=np.int64))
    assert_equal(taken, as_columns(as_samples([drawn[row] for row in rows])))


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"", "too short"),
        (RECORD[:27], "too short"),
        (RECORD[:-1], "length"),
        (RECORD + b"\0", "length"),
        (b"\x03" + RECORD[1:], "length"),
    ],
)
def test_a_record_of_the_wrong_length_is_damage(record: bytes, reason: str) -> None:
    with pytest.raises(DamagedCache, match=reason):
        decode_records([RECORD, record])


def test_more_genes_than_a_record_can_count_are_refused() -> None:
    many = replace(WITHOUT, genes=tuple(range(2**16)))
    with pytest.raises(ValueError, match="65536 genes"):
        encode_records(as_columns([many]))

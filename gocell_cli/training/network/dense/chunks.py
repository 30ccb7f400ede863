"""A group of terms cut into chunks whose rows fit the cores' cache: every operation of a chunk then stays there.

At batch 2048 a stratum's rows are tens of MB, and each of some thirty passes over them would go to memory; cut into
chunks of a few terms they run in cache. At batch 32 a chunk is a whole stratum.
"""

from dataclasses import dataclass, replace

from gocell_cli.training.network.layout import Bucket, Stack

CHUNK_BYTES = 12 << 20
"""Bytes of a chunk's inputs and tables on a CPU. Of 2, 4, 8, 12 and 16 MB measured, 8 and more win: two level 2 caches
hold 4, but twice the launches cost more."""
TABLES = 3
"""Tables of a chunk's neurons in use at once: inner, outer, grad."""


@dataclass(frozen=True)
class Block:
    """Terms of a chunk of one shape: rows and sources relative to the chunk, `weight` in the stacked weights."""

    terms: int
    out: int
    inp: int
    rows: slice
    sources: slice
    weight: slice


@dataclass(frozen=True)
class Run:
    """Neighbouring terms of a chunk of one width, whatever their inputs: their heads are one matmul."""

    terms: int
    out: int
    rows: slice
    heads: slice


@dataclass(frozen=True)
class Chunk:
    """Terms [first, stop) of the running order, of one group (numbered as it runs), and their part of each table.

    `blocks` leaves out terms without children: their z is the genes' part alone.
    """

    group: int
    first: int
    stop: int
    rows: slice
    sources: slice
    blocks: tuple[Block, ...]
    runs: tuple[Run, ...]


def _split(bucket: Bucket, most: int) -> list[Bucket]:
    """Cut a bucket into parts of at most `most` terms."""
    return [
        replace(
            bucket,
            first=bucket.first + start,
            terms=min(most, bucket.terms - start),
            neuron=bucket.neuron + start * bucket.out,
            weight=bucket.weight + start * bucket.out * bucket.inp,
            source=bucket.source + start * bucket.inp,
        )
        for start in range(0, bucket.terms, most)
    ]


def _runs(parts: list[Bucket]) -> tuple[Run, ...]:
    joined: list[Bucket] = []
    for part in parts:
        if joined and joined[-1].out == part.out:
            joined[-1] = replace(joined[-1], terms=joined[-1].terms + part.terms)
        else:
            joined.append(part)
    base, first = parts[0].neuron, parts[0].first
    return tuple(
        Run(
            p.terms,
            p.out,
            slice(p.neuron - base, p.neuron - base + p.terms * p.out),
            slice(p.first - first, p.first - first + p.terms),
        )
        for p in joined
    )


def _chunk(parts: list[Bucket]) -> Chunk:
    first, last = parts[0], parts[-1]
    rows = slice(first.neuron, last.neuron + last.terms * last.out)
    sources = slice(first.source, last.source + last.terms * last.inp)
    blocks = tuple(
        Block(
            p.terms,
            p.out,
            p.inp,
            slice(p.neuron - rows.start, p.neuron - rows.start + p.terms * p.out),
            slice(p.source - sources.start, p.source - sources.start + p.terms * p.inp),
            slice(p.weight, p.weight + p.terms * p.out * p.inp),
        )
        for p in parts
        if p.inp
    )
    return Chunk(first.group, first.first, last.first + last.terms, rows, sources, blocks, _runs(parts))


def chunks(stack: Stack, row_bytes: int, chunk_bytes: int | None) -> tuple[Chunk, ...]:
    """Cut the stack for rows of `row_bytes`; `chunk_bytes` None: a chunk is a whole group (GPU)."""
    limit = chunk_bytes // row_bytes if chunk_bytes is not None else 2**62
    made: list[Chunk] = []
    open_parts: list[Bucket] = []
    used = 0
    for bucket in stack.buckets:
        for part in _split(bucket, max(1, limit // (TABLES * bucket.out + bucket.inp))):
            size = part.terms * (TABLES * part.out + part.inp)
            if open_parts and (part.group != open_parts[0].group or used + size > limit):
                made.append(_chunk(open_parts))
                open_parts, used = [], 0
            open_parts.append(part)
            used += size
    return (*made, _chunk(open_parts)) if open_parts else tuple(made)

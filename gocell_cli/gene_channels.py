"""What of a gene may change besides its presence: channels (mutation, amplification, dosage), their states and names.

A channel has a state in the wild type, its base, and other states. An input of a hierarchy with channels is one of the
others of one gene, a (gene, channel, state) triple that a sample has or has not: so all that handles sets of deleted
genes handles sets of changed inputs, and a plain deletion is the channel `deletion`, base 1, state 0.

    TP53:mutation          of a channel with one state beside its base
    YAL001C:dosage=0.5     of one with several
"""

import math
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from gocell_cli.errors import UsageError

NAME = re.compile(r"[A-Za-z][\w-]*")
CHANNEL = re.compile(r"(?P<name>[^=:]+)(=(?P<base>[^:]+):(?P<states>.+))?")
MOST_STATES = 64
"""States of a channel: each is an input of every gene."""
HINT = "--channel mutation, or --channel dosage=1:0,0.5,2 (the wild type's state, then the others)"


class Channel(NamedTuple):
    """One channel: `base` is the wild type's state, `states` the others, ascending and distinct."""

    name: str
    base: float
    states: tuple[float, ...]

    def input_name(self, gene: str, state: float) -> str:
        """Return what the input of a gene in a state is called; "" of a gene without a name."""
        told = f"={state:g}" if len(self.states) > 1 else ""
        return f"{gene}:{self.name}{told}" if gene else ""

    @property
    def text(self) -> str:
        """The channel as --channel has it, in full."""
        return f"{self.name}={self.base:g}:{','.join(f'{state:g}' for state in self.states)}"


def parse_channel(text: str) -> Channel:
    """Return the channel that a text describes: `mutation` is short for `mutation=0:1`, `deletion` for `deletion=1:0`.

    Raises UsageError for what is none.
    """
    found = CHANNEL.fullmatch(text.strip())
    if found is None or not NAME.fullmatch(found["name"]):
        raise UsageError(f"--channel {text}: no channel", why="a name, or NAME=BASE:STATE,STATE", hint=HINT)
    if found["base"] is None:
        lost = found["name"] == "deletion"
        return Channel(found["name"], float(lost), (float(not lost),))
    base, *states = (_number(text, part) for part in (found["base"], *found["states"].split(",")))
    if len({base, *states}) <= len(states):
        raise UsageError(f"--channel {text}: a state twice, or the wild type's among the others", hint=HINT)
    if len(states) > MOST_STATES:
        raise UsageError(f"--channel {text}: {len(states)} states, more than {MOST_STATES}", hint=HINT)
    return Channel(found["name"], base, tuple(sorted(states)))


def parse_channels(texts: list[str]) -> tuple[Channel, ...]:
    """Return the channels of several texts, by name; raises UsageError for what is none and for a name given twice."""
    channels = sorted(map(parse_channel, texts))
    for one, other in pairwise(channels):
        if one.name == other.name:
            raise UsageError(f"--channel {one.name} is given twice", hint="name all its states at once")
    return tuple(channels)


def _number(text: str, part: str) -> float:
    try:
        value = float(part)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"--channel {text}: {part.strip()!r} is no state, which is a number", hint=HINT)
    return value


@dataclass(frozen=True)
class Inputs:
    """What each index of a hierarchy's genes stands for, where the hierarchy has channels.

    `gene` is the gene's systematic name, `base` and `state` the channel's in the wild type and in a sample that has the
    input.
    """

    gene: tuple[str, ...]
    channel: tuple[str, ...]
    base: Float64[np.ndarray, " inputs"]
    state: Float64[np.ndarray, " inputs"]

    @property
    def per_gene(self) -> int:
        """How many inputs each gene has: all have as many."""
        return len(self.gene) // max(len(set(self.gene)), 1)

    @property
    def shared(self) -> bool:
        """Whether several states share a channel, and so its column: each is a multiple of it."""
        return len(set(zip(self.gene, self.channel, strict=True))) < len(self.gene)

    @property
    def column(self) -> Int64[np.ndarray, " inputs"]:
        """The first input of the same gene and channel: the one whose column in the network all of them read."""
        first: dict[tuple[str, str], int] = {}
        pairs = zip(self.gene, self.channel, strict=True)
        return np.array([first.setdefault(pair, i) for i, pair in enumerate(pairs)], dtype=np.int64)

    @property
    def step(self) -> Float64[np.ndarray, " inputs"]:
        """State less base: what of its column an input adds to a term that holds the gene."""
        step: Float64[np.ndarray, " inputs"] = self.state - self.base
        return step

    def faults(self) -> list[str]:
        """Return what is wrong with them, one sentence a finding."""
        faults = []
        if not (np.isfinite(self.base).all() and np.isfinite(self.state).all()):
            faults.append("a state of an input is not finite")
        if (self.base == self.state).any():
            faults.append("an input has the wild type's state")
        bases: dict[str, float] = {}
        if any(bases.setdefault(c, b) != b for c, b in zip(self.channel, self.base.tolist(), strict=True)):
            faults.append("a channel has two states in the wild type")
        if len(set(zip(self.gene, self.channel, self.state.tolist(), strict=True))) < len(self.gene):
            faults.append("an input stands there twice")
        counts = np.unique(np.array(self.gene), return_counts=True)[1] if self.gene else np.zeros(0, dtype=np.int64)
        if len(set(counts.tolist())) > 1:
            faults.append("genes have different numbers of inputs")
        return faults

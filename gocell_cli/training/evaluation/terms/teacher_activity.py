"""What the teacher of simulated data does in each term: made again from the cache, and held to its values."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int32, Int64

from gocell_cli.controls import Wiring
from gocell_cli.errors import TooLarge, UsageError
from gocell_cli.free_memory import require_memory
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.teacher import WIDTH, output_of, signal_of, term_states

STATE_BYTES = 100
"""A touched pair of a genotype and a term, in all: its row and neurons, and what they are summed in."""
CLOSE = 1e-4
"""Of the correlation of the teacher's signal with the values: both are rounded to six digits, and tanh is not."""


@dataclass(frozen=True)
class TeacherActivity:
    """Of term t, `at[t]` are the samples that touch it, ascending, and `state[t]` the teacher's neurons there."""

    samples: int
    at: list[Int64[np.ndarray, " _"]]
    state: list[Float64[np.ndarray, "_ width"]]

    def of_term(self, term: int) -> Float64[np.ndarray, "samples width"]:
        """Return the neurons of one term for each sample, counted from the wild type."""
        found = np.zeros((self.samples, WIDTH))
        found[self.at[term]] = self.state[term]
        return found


def teacher_activity(cache: Cache, rows: Int64[np.ndarray, " rows"]) -> TeacherActivity | str | None:
    """Return the teacher's activity for some samples; None where the data are not simulated.

    A sentence says why it cannot be made: a cache of a control does not keep the hierarchy that its teacher has.
    """
    manifest = cache.manifest
    if "simulated" not in manifest.counts:
        return None
    if "control" in manifest.config:
        return "the teacher is wired as GO is, of which this cache keeps a control"
    samples, options = cache.columns(), manifest.config["dataset_options"]
    try:
        seed, deletions = int(options["seed"]), int(options["deletions"])
        epistasis, wanted = float(options["epistasis"]), int(options["samples"])
    except (LookupError, TypeError, ValueError):
        return "the cache does not say how it was simulated"
    # scales are of the whole population: with a part of it they would be another teacher's
    if seed < 0 or wanted != len(samples) or bool((np.diff(samples.gene_ptr) != deletions).any()):
        return "the cache does not hold all samples of its simulation"
    try:
        return _made(cache.hierarchy, samples.genes.reshape(wanted, deletions), seed, rows, _Told(
            samples.value, epistasis, float(manifest.counts["simulated"].get("ceiling", np.nan))
        ))  # fmt: skip
    except (TooLarge, UsageError) as error:
        return error.message


@dataclass(frozen=True)
class _Told:
    """What the cache says of the teacher's signal: the values that have noise, and their correlation with it."""

    values: Float64[np.ndarray, " n"]
    epistasis: float
    ceiling: float


def _made(
    hierarchy: Hierarchy,
    genotypes: Int32[np.ndarray, "n deletions"],
    seed: int,
    rows: Int64[np.ndarray, " rows"],
    told: _Told,
) -> TeacherActivity | str:
    terms = len(hierarchy.term_ids)
    touched = int(np.diff(hierarchy.closure.ptr)[genotypes].sum())
    require_memory(STATE_BYTES * touched, f"the teacher of {len(genotypes):,} simulated samples")
    place = np.full(len(genotypes), -1)
    place[rows] = np.arange(len(rows))
    at = [np.zeros(0, dtype=np.int64)] * terms
    state = [np.zeros((0, WIDTH))] * terms
    wiring = Wiring(*(getattr(hierarchy, name) for name in Wiring._fields))
    for found in term_states(wiring, terms, genotypes, seed):
        here = place[found.rows]
        at[found.term], state[found.term] = here[here >= 0], found.state[here >= 0]
    output = output_of(found, terms, len(genotypes), seed)
    # the streams of another NumPy, or options that somebody changed: no other teacher may pass for this one
    signal = signal_of(output, genotypes, told.epistasis).values
    if not abs(np.corrcoef(signal, told.values)[0, 1] - told.ceiling) <= CLOSE:
        return "the teacher made again here is not the one that made these values"
    return TeacherActivity(len(rows), at, state)

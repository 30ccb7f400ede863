"""What a baseline sees: genotypes, the labels of the training and of the validation part, and the hierarchy.

What is to be predicted is a `Genotypes`, which has no labels: none can influence a prediction.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

from gocell_cli.csr import pointers, ranges
from gocell_cli.free_memory import BILLION, free_memory
from gocell_cli.storage.schema import NONE_INDEX, Hierarchy, Provenance, Samples
from gocell_cli.training.data.own_label import fitness_withheld
from gocell_cli.training.data.strain_fitness import published_fitness
from gocell_cli.training.extra import train_extra

with train_extra():
    from scipy.sparse import csr_matrix

Settings = dict[str, float]
"""What was chosen on the validation part, by name."""


CHUNK = 1 << 18
"""Samples that are predicted at once."""


MOST_PAIRS = 1000
"""Pairs of deleted genes that a training sample may have in the mean, of 45 genes: a cell line changes hundreds."""


class NotApplicable(Exception):
    """A baseline says nothing of these samples; the text says why."""


@dataclass(frozen=True)
class Genotypes:
    """Samples as CSR: sample i deletes genes[gene_ptr[i]:gene_ptr[i + 1]] of `total_genes`, ascending.

    `query` is the query group of each (-1: none); `array` the share of a sample's source rows in which this gene was
    the array strain's, one number a deletion, NaN where no row says. `strain_fitness` is what was published of the
    strains that were crossed: fitness of the query strain (one gene deleted, or two) and of the array strain, the mean
    over a sample's source rows; NaN where nothing is known.
    """

    gene_ptr: Int64[np.ndarray, " n_plus_1"]
    genes: Int32[np.ndarray, " deletions"]
    total_genes: int
    query: Int32[np.ndarray, " n"]
    array: Float64[np.ndarray, " deletions"]
    strain_fitness: Float64[np.ndarray, "n 2"]

    def __len__(self) -> int:
        return len(self.gene_ptr) - 1

    @property
    def order(self) -> Int64[np.ndarray, " n"]:
        """How many genes each sample deletes."""
        return np.diff(self.gene_ptr)

    @property
    def owner(self) -> Int64[np.ndarray, " deletions"]:
        """The sample of each deletion."""
        return np.repeat(np.arange(len(self)), self.order)

    @property
    def roles(self) -> Int64[np.ndarray, " n"]:
        """A number for which genes of each sample were the array's, the same for the same places among its genes.

        -1 where no row says.
        """
        owner, place = self.owner, np.arange(len(self.genes)) - self.gene_ptr[self.owner]
        array = np.where(self.array > 0.5, 2.0 ** np.minimum(place, 50), 0.0)
        told = np.bincount(owner, weights=np.isfinite(self.array), minlength=len(self)) > 0
        return np.where(told, np.bincount(owner, weights=array, minlength=len(self)), -1).astype(np.int64)

    def matrix(self) -> csr_matrix:
        """Return the indicator matrix [n, total_genes], float64."""
        return csr_matrix((np.ones(len(self.genes)), self.genes, self.gene_ptr), shape=(len(self), self.total_genes))

    def take(self, rows: Int64[np.ndarray, " rows"] | Bool[np.ndarray, " n"]) -> "Genotypes":
        """Return some of the samples, in the order asked for."""
        rows = np.arange(len(self))[rows]
        counts = self.order[rows]
        _, place = ranges(self.gene_ptr[rows], counts)
        return Genotypes(
            pointers(counts), self.genes[place], self.total_genes,
            self.query[rows], self.array[place], self.strain_fitness[rows],
        )  # fmt: skip

    def joined(self, other: "Genotypes") -> "Genotypes":
        """Return these samples, and behind them those of another set of the same hierarchy."""
        return Genotypes(
            np.append(self.gene_ptr, self.gene_ptr[-1] + other.gene_ptr[1:]),
            np.concatenate([self.genes, other.genes]), self.total_genes,
            np.concatenate([self.query, other.query]), np.concatenate([self.array, other.array]),
            np.concatenate([self.strain_fitness, other.strain_fitness]),
        )  # fmt: skip

    @cached_property
    def pairs(self) -> tuple[Int64[np.ndarray, " pairs"], Int32[np.ndarray, " pairs"], Int32[np.ndarray, " pairs"]]:
        """Every pair of genes that a sample deletes: (sample, gene, gene), the first gene the lower one."""
        owner, place = self.owner, np.arange(len(self.genes))
        # deletion j pairs with those after it in its sample
        later = self.gene_ptr[owner + 1] - place - 1
        first, second = ranges(place + 1, later)
        return owner[first], self.genes[first], self.genes[second]


def unmeasured(
    gene_ptr: Int64[np.ndarray, " n_plus_1"], genes: Int32[np.ndarray, " deletions"], total_genes: int
) -> Genotypes:
    """Return genotypes of which nothing is known but their genes: no query, no array, no strain."""
    n = len(gene_ptr) - 1
    nothing = np.full(len(genes), np.nan)
    return Genotypes(gene_ptr, genes, total_genes, np.full(n, -1, dtype=np.int32), nothing, unknown_fitness(n))


def unknown_fitness(samples: int) -> Float64[np.ndarray, "n 2"]:
    """Return the `strain_fitness` of samples of whose strains nothing was published: all NaN."""
    return np.full((samples, 2), np.nan)


@dataclass(frozen=True)
class Labelled:
    """Samples with a label each, all of them numbers."""

    genotypes: Genotypes
    value: Float64[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.value)

    def take(self, rows: Int64[np.ndarray, " rows"] | Bool[np.ndarray, " n"]) -> "Labelled":
        """Return some of the samples."""
        return Labelled(self.genotypes.take(rows), self.value[rows])

    def joined(self, other: "Labelled") -> "Labelled":
        """Return these samples, and behind them those of another part."""
        return Labelled(self.genotypes.joined(other.genotypes), np.concatenate([self.value, other.value]))


@runtime_checkable
class Fitted(Protocol):
    """A fitted baseline."""

    @property
    def settings(self) -> Settings:
        """What was chosen."""

    def predict(self, genotypes: Genotypes) -> Float64[np.ndarray, " n"]:
        """Return the phenotypes of genotypes, in their own unit."""


OneFit = TypeVar("OneFit", bound=Fitted)
Others = Callable[[str], Fitted]
"""Returns another baseline fitted on the same samples; raises NotApplicable where there is none."""


@dataclass(frozen=True)
class Known:
    """The training samples that have a label, and the validation samples that have one: settings are chosen on these.

    `classes`: labels are 0 and 1. `vectors` are numbers of each gene, standardised, where the user gave some.
    `encoded` [genes, terms], for a run's voices alone, is what the trained network makes of each gene's deletion in
    each term. `only` are genes, where of no others anything will be asked: settings are chosen for less than a fit of
    all. `kept` holds what several baselines read, made once.
    """

    train: Labelled
    validation: Labelled
    hierarchy: Hierarchy
    classes: bool = False
    seed: int = 0
    vectors: Float64[np.ndarray, "genes k"] | None = None
    encoded: csr_matrix | None = None
    only: Int64[np.ndarray, " asked"] | None = None
    kept: dict[str, Any] = field(default_factory=dict)

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what `make` makes, made once."""
        if name not in self.kept:
            self.kept[name] = make()
        return self.kept[name]

    @property
    def asked(self) -> Int64[np.ndarray, " asked"]:
        """Genes that may be asked for, ascending."""
        return np.arange(self.train.genotypes.total_genes) if self.only is None else self.only

    def for_its_samples(self) -> "Known":
        """Return what is known, to choose settings by: no gene is asked for but those of these samples.

        Without validation samples nothing is chosen, and a first fit is the last: of that every gene may be asked for.
        """
        if not len(self.validation):
            return self
        genes = np.union1d(self.train.genotypes.genes, self.validation.genotypes.genes).astype(np.int64)
        return replace(self, only=genes, kept=dict(self.kept))

    @property
    def roles(self) -> bool:
        """Whether training samples say which of their genes were the query's and which the array's."""
        return bool(np.isfinite(self.train.genotypes.array).any())


def labelled(genotypes: Genotypes, value: Float64[np.ndarray, " n"]) -> Labelled:
    """Return the samples that have a label."""
    kept = np.isfinite(value)
    return Labelled(genotypes.take(kept), value[kept])


def genotypes_of(samples: Samples, provenance: Provenance, hierarchy: Hierarchy, phenotype: str) -> Genotypes:
    """Read some samples of a cache, with the roles of their genes where their strains tell.

    Published fitness of their strains comes along where a model of the phenotype may be told it.
    """
    genes = len(hierarchy.gene_names)
    array = _array_share(samples, provenance, hierarchy)
    known = (
        unknown_fitness(len(samples))
        if fitness_withheld(phenotype)
        else published_fitness(samples, provenance, hierarchy)
    )
    return Genotypes(samples.gene_ptr, samples.genes, genes, samples.query_group, array, known)


def _array_share(samples: Samples, provenance: Provenance, hierarchy: Hierarchy) -> Float64[np.ndarray, " deletions"]:
    """An array strain's id begins with its gene: `YBR086C_dma5238`; a table's own is the gene alone."""
    total = len(hierarchy.gene_names)
    number = {name: gene for gene, name in enumerate(hierarchy.gene_names)}
    # one entry more: of -1, no strain
    names = [name.partition("_")[0] for name, _ in provenance.strains] + [""]
    gene_of = np.array([number.get(name, NONE_INDEX) for name in names], dtype=np.int64)
    array = gene_of[samples.array_strain]
    source_owner = np.repeat(np.arange(len(samples)), np.diff(samples.source_ptr))
    owner = np.repeat(np.arange(len(samples)), np.diff(samples.gene_ptr))
    # (sample, gene) as one number, ascending, for samples are in order and their genes ascend
    deletions = owner * total + samples.genes
    told = array != NONE_INDEX
    sources, times = np.unique(source_owner[told] * total + array[told], return_counts=True)
    place = np.searchsorted(deletions, sources)
    here = place < len(deletions)
    here[here] &= deletions[place[here]] == sources[here]
    share = np.zeros(len(deletions))
    share[place[here]] = times[here]
    # of a sample none of whose rows names one of its genes nothing is said
    rows = np.bincount(owner, weights=share, minlength=len(samples))
    share /= np.where(rows > 0, rows, np.nan)[owner]
    return share


def require_room(needed: float, what: str) -> None:
    """Raise NotApplicable where `what` needs more bytes than are free."""
    free = free_memory()
    if free is not None and needed > free:
        why = f"{free / BILLION:,.1f} GB are free"
        raise NotApplicable(f"{what} would take {needed / BILLION:,.1f} GB of memory, {why}")


def best_of(tries: Sequence[OneFit], validation: Labelled) -> OneFit:
    """Return which of several fits errs least, by squares, on the validation samples; the first of equals.

    Where there is no such sample, the first.
    """
    if not len(validation):
        return tries[0]
    errors = [float(np.square(predicted(fit, validation.genotypes) - validation.value).mean()) for fit in tries]
    return tries[int(np.argmin(errors))]


def predicted(fit: Fitted, genotypes: Genotypes) -> Float64[np.ndarray, " n"]:
    """Return what a baseline predicts, CHUNK samples at a time: what it makes on its way is never that of all."""
    if len(genotypes) <= CHUNK:
        return fit.predict(genotypes)
    found = np.empty(len(genotypes))
    for start in range(0, len(genotypes), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(genotypes)))
        found[rows] = fit.predict(genotypes.take(rows))
    return found


def require_few_pairs(known: Known) -> None:
    """Raise NotApplicable where samples delete so many genes that what is of their pairs is beyond counting."""
    order = known.train.genotypes.order.astype(np.int64)
    pairs = float((order * (order - 1) / 2).mean()) if len(order) else 0.0
    if pairs > MOST_PAIRS:
        raise NotApplicable(f"it is of pairs of genes, and a sample changes {pairs:,.0f} of them in the mean")

"""Columns of predictions of many genotypes: the phenotype, epsilon and tau, heads and states of terms; mean and SD.

Genotypes come by their order, all of as many genes, and what several of them share (single mutants, the pairs of
triples) is predicted once. Each number is that of predicting the genotype alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64, Int64

from gocell_cli.errors import Diverged
from gocell_cli.training.data.batch import Deletions
from gocell_cli.training.extra import train_extra
from gocell_cli.training.inference.explain import activations, neurons_of
from gocell_cli.training.inference.known_parts import KnownParts, of_order
from gocell_cli.training.inference.predict import FITNESS, Genotype, Predictor, epsilon, tau
from gocell_cli.training.inference.requests import EPSILON, INTERACTIONS, TAU, terms_named
from gocell_cli.training.inference.together import Ensemble

with train_extra():
    import torch

SD = "_sd"
UNTRAINED = "untrained_genes"
MOST_STATES = 1 << 25
"""Numbers that the dense pass over all neurons, of which the chosen terms' are read, holds at once: 128 MB."""


def interactions_of(
    predictor: Predictor,
    genotypes: Int64[np.ndarray, "n order"],
    value: Float64[np.ndarray, " n"],
    known: KnownParts | None = None,
) -> dict[str, Float64[np.ndarray, " n"]]:
    """Return epsilon of pairs or tau of triples, whose fitness is `value`; {} where there is neither.

    Genes of a genotype ascend. The formulas are `predict.epsilon` and `predict.tau`. `known` has the fitness of what
    the genotypes have in common; None: it is predicted here.
    """
    order = genotypes.shape[1]
    if predictor.kind != FITNESS or order not in INTERACTIONS:
        return {}
    fitness: dict[Genotype, Float64[np.ndarray, " n"]] = {tuple(range(order)): value}
    if known is not None:
        fitness |= known.fitness(genotypes)
    else:
        for size in range(1, order):
            fitness |= _parts(predictor, genotypes, size)
    return {EPSILON: epsilon(fitness, 0, 1)} if order == 2 else {TAU: tau(fitness, 0, 1, 2)}


def _parts(
    predictor: Predictor, genotypes: Int64[np.ndarray, "n order"], size: int
) -> dict[Genotype, Float64[np.ndarray, " n"]]:
    """Return the fitness of the parts of so many genes, by their places in a genotype; each distinct one once."""
    places = list(combinations(range(genotypes.shape[1]), size))
    parts = np.concatenate([genotypes[:, at] for at in places])
    # one number for a part: np.unique of rows is ten times slower than of numbers
    code = parts @ len(predictor.trained) ** np.arange(size, dtype=np.int64)
    _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    value = of_order(predictor, parts[first])[inverse].reshape(len(places), -1)
    return dict(zip(places, value, strict=True))


@dataclass(frozen=True)
class Answers:
    """What one run says, or the runs of a series together, in columns of float32.

    `terms` are those whose head, and of a single run whose neurons, are told: of the network, whatever voice answers.
    """

    predictors: tuple[Predictor, ...]
    terms: tuple[int, ...] = ()

    @classmethod
    def of(cls, predictors: Sequence[Predictor], terms: Sequence[str] = ()) -> "Answers":
        """Raises UsageError for a term that the hierarchy has not, and for runs that are no ensemble."""
        if len(predictors) > 1:
            Ensemble(tuple(predictors))
        return cls(tuple(predictors), terms_named(predictors[0].hierarchy.term_ids, terms))

    @property
    def first(self) -> Predictor:
        """The first run, for what is the same of all."""
        return self.predictors[0]

    @cached_property
    def trained(self) -> Bool[np.ndarray, " genes"]:
        """Genes that a training sample of every run deletes."""
        found: Bool[np.ndarray, " genes"] = np.logical_and.reduce([one.trained for one in self.predictors])
        return found

    @cached_property
    def _neurons(self) -> list[slice]:
        return neurons_of(self.first.model, self.first.hierarchy)

    def fields(self, orders: Sequence[int]) -> list[pa.Field]:
        """Return the columns that genotypes of these orders have together."""
        kind = self.first.kind
        names = [kind, *(INTERACTIONS[k] for k in sorted(set(orders)) if k in INTERACTIONS and kind == FITNESS)]
        fields = [pa.field(name + end, pa.float32()) for name in names for end in self._ends]
        fields.append(pa.field(UNTRAINED, pa.int8()))
        for term in self.terms:
            fields += [pa.field(self._head(term) + end, pa.float32()) for end in self._ends]
            if len(self.predictors) == 1:
                fields.append(pa.field(self._state(term), pa.list_(pa.float32())))
        return fields

    @property
    def _ends(self) -> tuple[str, ...]:
        return ("",) if len(self.predictors) == 1 else ("", SD)

    def _head(self, term: int) -> str:
        return f"{self.first.hierarchy.term_ids[term]} head"

    def _state(self, term: int) -> str:
        return f"{self.first.hierarchy.term_ids[term]} state"

    def columns(self, genotypes: Int64[np.ndarray, "n order"], known: Sequence[KnownParts] = ()) -> dict[str, pa.Array]:
        """Predict genotypes of one order, their genes ascending; `known` has their parts, by every run.

        Raises Diverged where a number is beyond what float32 holds.
        """
        each: list[dict[str, Float64[np.ndarray, " n"]]] = []
        of_runs: Sequence[KnownParts | None] = known or [None] * len(self.predictors)
        for predictor, parts in zip(self.predictors, of_runs, strict=True):
            value = of_order(predictor, genotypes)
            each.append({predictor.kind: value, **interactions_of(predictor, genotypes, value, parts)})
        found: dict[str, pa.Array] = {}
        for name in each[0]:
            found |= self._over(name, np.array([of_run[name] for of_run in each]))
        found[UNTRAINED] = pa.array((~self.trained[genotypes]).sum(axis=1).astype(np.int8))
        return found | self.of_terms(genotypes)

    def _over(self, name: str, values: Float64[np.ndarray, "runs n"]) -> dict[str, pa.Array]:
        """Return mean and standard deviation (n - 1) over the runs; of one run its own numbers."""
        sd = {name + SD: values.std(axis=0, ddof=1)} if len(values) > 1 else {}
        return {column: _float32(x) for column, x in {name: values.mean(axis=0), **sd}.items()}

    def of_terms(self, genotypes: Int64[np.ndarray, "n order"]) -> dict[str, pa.Array]:
        """Return the columns of the chosen terms, by the dense pass; {} without any."""
        if not self.terms:
            return {}
        heads: list[list[np.ndarray]] = [[] for _ in self.predictors]
        states: list[np.ndarray] = []
        rows = max(1, MOST_STATES // self.first.model.stack.neurons)
        for number, predictor in enumerate(self.predictors):
            for at in range(0, len(genotypes), rows):
                head, state = self._pass(predictor, genotypes[at : at + rows])
                heads[number].append(head)
                states.append(state)
        every = np.array([np.concatenate(of_run) for of_run in heads])
        found: dict[str, pa.Array] = {}
        begin = 0
        for column, term in enumerate(self.terms):
            found |= self._over(self._head(term), every[:, :, column])
            if len(self.predictors) == 1:
                width = self._neurons[term].stop - self._neurons[term].start
                own = np.concatenate(states)[:, begin : begin + width].astype(np.float32)
                offsets = np.arange(len(own) + 1, dtype=np.int32) * width
                found[self._state(term)] = pa.ListArray.from_arrays(pa.array(offsets), pa.array(own.ravel()))
                begin += width
        return found

    def _pass(
        self, predictor: Predictor, genotypes: Int64[np.ndarray, "n order"]
    ) -> tuple[Float64[np.ndarray, "n terms"], Float64[np.ndarray, "n neurons"]]:
        """Return heads and neurons of the chosen terms by the dense pass."""
        device = predictor.model.bias.device
        ptr = np.arange(len(genotypes) + 1, dtype=np.int64) * genotypes.shape[1]
        flat = np.ascontiguousarray(genotypes).ravel()
        batch = Deletions.of(torch.from_numpy(ptr).to(device), torch.from_numpy(flat).to(device), len(self.trained))
        heads, h = activations(predictor.model, batch)
        heads = predictor.own(heads)
        neurons = np.concatenate([np.arange(self._neurons[t].start, self._neurons[t].stop) for t in self.terms])
        own = h[torch.from_numpy(neurons).to(device)].t().double().cpu().numpy()
        return heads[:, list(self.terms)].double().cpu().numpy(), own


def _float32(values: Float64[np.ndarray, " n"]) -> pa.Array:
    # `not <=`: of NaN no comparison holds
    if len(values) and not np.abs(values).max() <= np.finfo(np.float32).max:
        raise Diverged("predictions are beyond what float32 holds", hint="train on a phenotype in another unit")
    return pa.array(values.astype(np.float32))


def by_order(
    ptr: Int64[np.ndarray, " n_plus_1"], genes: Int64[np.ndarray, " deletions"]
) -> Iterator[tuple[Int64[np.ndarray, " some"], Int64[np.ndarray, "some order"]]]:
    """Yield the genotypes of each order there is: which they are, and their genes as rows."""
    orders = np.diff(ptr)
    for order in np.unique(orders).tolist():
        rows = np.flatnonzero(orders == order)
        yield rows, genes[ptr[rows, None] + np.arange(order)]

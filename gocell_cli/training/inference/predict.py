"""Predictions of a trained network: of a cache's rows, of any genotype, and the interactions that SGA screens report.

epsilon_ij = f_ij - f_i f_j                                            (Mani et al. 2008, 10.1073/pnas.0712255105)
tau_ijk = f_ijk - f_ij f_k - epsilon_ik f_j - epsilon_jk f_i           (Kuzmin et al. 2018, 10.1126/science.aao1729)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from gocell_cli.csr import pointers
from gocell_cli.errors import Diverged
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.data.ahead import ahead, threads_beside
from gocell_cli.training.data.batch import CacheRows, Deletions, SampleBatch
from gocell_cli.training.data.labels import LabelScale
from gocell_cli.training.data.order import cut
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.dcell import Batch, DCell
from gocell_cli.training.network.delta.heads import VariantHeads
from gocell_cli.training.network.own_model import Network, OwnModel
from gocell_cli.training.network.population import set_population
from gocell_cli.training.voices.names import DCELL

with train_extra():
    import torch
    from torch import Tensor

EVALUATION_BATCH = 2048
FITNESS = "fitness"
"""The only phenotype whose products mean something: epsilon and tau are of fitness."""

WILD_TYPE = "wild type"
"""What the part without any deletion is called."""

Genotype = tuple[int, ...]
F = TypeVar("F", float, np.ndarray)
"""A fitness, or those of many genotypes at once."""


def statistics(model: Network) -> dict[str, Tensor]:
    """Return copies of BatchNorm's statistics: all of the model's state that is no parameter."""
    parameters = dict(model.named_parameters())
    return {name: tensor.clone() for name, tensor in model.state_dict().items() if name not in parameters}


def put_statistics(model: Network, saved: dict[str, Tensor]) -> None:
    """Put statistics back."""
    for name, tensor in saved.items():
        model.get_buffer(name).copy_(tensor)


def use_population(model: Network, rows: CacheRows, train: Int64[np.ndarray, " train"]) -> None:
    """Normalise by the statistics of the training rows from now on."""
    if isinstance(model, OwnModel):
        model.use_population(lambda: rows.batches(train, EVALUATION_BATCH))
    else:
        set_population(model, lambda: rows.batches(train, EVALUATION_BATCH))


def head_of(heads: Tensor | VariantHeads, term: int) -> Tensor:
    """Return one term's heads, sample by sample."""
    return heads.of_term(term) if isinstance(heads, VariantHeads) else heads[:, term]


@torch.no_grad()
def root_heads(
    model: Network,
    rows: CacheRows,
    order: Int64[np.ndarray, " rows"],
    also: Callable[[SampleBatch, Tensor | VariantHeads], None] = lambda _batch, _heads: None,
) -> Float64[np.ndarray, " rows *phenotypes"]:
    """Return the root's heads for each row of `order`, in evaluation mode; the model's mode is left as it was.

    `also` gets each batch, on the CPU, with its heads. Other threads make the batches ready; nothing is read back from
    a GPU before the last of them.
    """
    was_training, found, parts = model.training, list[Tensor](), cut(order, EVALUATION_BATCH)
    model.eval()

    def make(number: int) -> tuple[SampleBatch, Batch]:
        batch = rows.__getitems__(parts[number])
        return batch, model.ready(batch)

    try:
        with ahead(make, range(len(parts)), threads_beside(next(model.parameters()).device)) as batches:
            for batch, ready in batches:
                heads = model.heads(ready)
                found.append(head_of(heads, model.root).double())
                also(batch, heads)
    finally:
        model.train(was_training)
    several = () if isinstance(model, OwnModel) else model.head_bias.shape[:-1]
    return torch.cat(found).cpu().numpy() if found else np.zeros((0, *several))


def deletions_of(genotypes: Sequence[Genotype], genes: int, device: torch.device) -> Deletions:
    """Return genotypes as a batch; () is the wild type."""
    ptr = torch.from_numpy(pointers(np.array([len(g) for g in genotypes], dtype=np.int64))).to(device)
    flat = torch.tensor([gene for genotype in genotypes for gene in genotype], dtype=torch.int64, device=device)
    return Deletions.of(ptr, flat, genes)


def epsilon(fitness: Mapping[Genotype, F], i: int, j: int) -> F:
    """Digenic interaction, in units of fitness (wild type 1)."""
    found: F = fitness[_key(i, j)] - fitness[(i,)] * fitness[(j,)]
    return found


def tau(fitness: Mapping[Genotype, F], i: int, j: int, k: int) -> F:
    """Trigenic interaction: what is left of the triple mutant after its digenic parts."""
    found: F = (
        fitness[_key(i, j, k)]
        - fitness[_key(i, j)] * fitness[(k,)]
        - epsilon(fitness, i, k) * fitness[(j,)]
        - epsilon(fitness, j, k) * fitness[(i,)]
    )
    return found


def _key(*genes: int) -> Genotype:
    return tuple(sorted(genes))


@dataclass(frozen=True)
class Prediction:
    """One genotype's phenotype; of fitness also that of all its parts, epsilon of each pair and tau of a triple.

    Genes are systematic names; parts, pairs and the triple are named by theirs, joined by +. `novel` are the genes that
    no training sample deletes: DCell knows nothing of them.
    """

    genes: tuple[str, ...]
    kind: str
    value: float
    novel: tuple[str, ...]
    parts: dict[str, float]
    epsilon: dict[str, float]
    tau: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """Its phenotype is `value`; interactions only where there are any."""
        found = {"genes": list(self.genes), "value": self.value, "never_deleted_in_training": list(self.novel)}
        interactions = {"parts": self.parts, "epsilon": self.epsilon, "tau": self.tau}
        return {**found, **{name: value for name, value in interactions.items() if value}}


def relative_epsilon(prediction: Prediction) -> dict[str, float]:
    """Return epsilon of each pair in units of the model's own wild type w: f_ij / w - f_i f_j / w^2; {} unless w > 0.

    Mani et al. 2008 (doi:10.1073/pnas.0712255105) have fitness relative to the wild type, which a network that never
    saw one does not predict as 1.
    """
    parts, singles = prediction.parts, prediction.genes
    wild = parts.get(WILD_TYPE, 0.0)
    labels = {f"{i}+{j}": (i, j) for i, j in combinations(singles, 2)}
    pairs = {label: labels[label] for label in prediction.epsilon if label in labels} if wild > 0 else {}
    return {label: parts[label] / wild - parts[i] * parts[j] / wild**2 for label, (i, j) in pairs.items()}


@runtime_checkable
class Answering(Protocol):
    """The voices of a run; a protocol, for SciPy comes with them, and a network alone needs none."""

    def answer(
        self,
        voice: str,
        ptr: Int64[np.ndarray, " n_plus_1"],
        genes: Int64[np.ndarray, " deletions"],
        network: Float64[np.ndarray, " n"],
    ) -> Float64[np.ndarray, " n"]:
        """Return what one voice predicts of genotypes as CSR, of which the network predicts `network`."""

    def identity(self) -> bytes:
        """Return what is the same for voices that predict the same."""


@dataclass(frozen=True)
class Predictor:
    """A trained network, in evaluation mode, and what its heads mean; no cache and no sample.

    `kind` is the phenotype it was trained on, `trained` says of each gene whether a training sample deletes it.
    `voices` are the run's others, None where it has its network alone, and `voice` is the one that answers.
    number: which of several phenotypes of the network it is; None of one.
    """

    model: DCell
    hierarchy: Hierarchy
    scale: LabelScale
    kind: str
    trained: Bool[np.ndarray, " genes"]
    voices: Answering | None = None
    voice: str = DCELL
    number: int | None = None

    def genotype(self, names: str) -> Genotype:
        """Return the genes of names of any kind (`names_in`); raises UsageError for one that is not one gene's."""
        lookup = self.hierarchy.lookup
        return lookup.genotype(lookup.names_in(names))

    def phenotypes(self, genotypes: Sequence[Genotype]) -> Float64[np.ndarray, " n"]:
        """Return the phenotype of each genotype on its original scale; raises Diverged where one is not finite."""
        ptr = pointers(np.array([len(g) for g in genotypes], dtype=np.int64))
        return self.values(ptr, np.array([gene for genotype in genotypes for gene in genotype], dtype=np.int64))

    @torch.no_grad()
    def values(
        self, ptr: Int64[np.ndarray, " n_plus_1"], genes: Int64[np.ndarray, " deletions"]
    ) -> Float64[np.ndarray, " n"]:
        """Return the phenotype of genotypes as CSR: the i-th deletes genes[ptr[i]:ptr[i + 1]], ascending."""
        device = self.model.bias.device
        batch = Deletions.of(torch.from_numpy(ptr).to(device), torch.from_numpy(genes).to(device), len(self.trained))
        heads = head_of(self.heads(batch), self.model.root)
        found = self.scale.backward(heads.double().cpu().numpy())
        if self.voices is not None:
            found = self.voices.answer(self.voice, ptr, genes, found)
        if not np.isfinite(found).all():
            raise Diverged("this network's predictions are not finite", hint="train it again, with a smaller --lr")
        return found

    def heads(self, batch: Batch) -> Tensor | VariantHeads:
        """Return the heads of all terms, of its phenotype alone."""
        heads = self.model.heads(batch)
        if self.number is None:
            return heads
        return heads.of_phenotype(self.number) if isinstance(heads, VariantHeads) else self.own(heads)

    def own(self, heads: Float[Tensor, "samples terms *phenotypes"]) -> Float[Tensor, "samples terms"]:
        """Return the heads of its phenotype alone."""
        return heads if self.number is None else heads[..., self.number]

    def predictions(self, genotypes: Sequence[Genotype]) -> list[Prediction]:
        """Predict genotypes, and the interactions of those that have any."""
        values = self.phenotypes(genotypes).tolist()
        return [self._prediction(genotype, value) for genotype, value in zip(genotypes, values, strict=True)]

    def _prediction(self, genotype: Genotype, value: float) -> Prediction:
        names = self.hierarchy.gene_names
        parts: dict[str, dict[str, float]] = {"parts": {}, "epsilon": {}, "tau": {}}
        if self.kind == FITNESS and 2 <= len(genotype) <= 3:
            parts = self.interactions(genotype)
        novel = tuple(names[g] for g in genotype if not self.trained[g])
        return Prediction(tuple(names[g] for g in genotype), self.kind, value, novel, **parts)

    def interactions(self, genotype: Genotype) -> dict[str, dict[str, float]]:
        """Return fitness of the genotype and all its `parts`, `epsilon` of each pair, and `tau` of a triple."""
        # from size 0, the wild type: what the parts are compared with
        parts = [part for size in range(len(genotype) + 1) for part in combinations(genotype, size)]
        values = dict(zip(parts, self.phenotypes(parts).tolist(), strict=True))
        names = self.hierarchy.gene_names
        label = {part: "+".join(names[g] for g in part) or WILD_TYPE for part in parts}
        triples = [genotype] if len(genotype) == 3 else []
        return {
            "parts": {label[part]: value for part, value in values.items()},
            "epsilon": {label[(i, j)]: epsilon(values, i, j) for i, j in combinations(genotype, 2)},
            "tau": {label[triple]: tau(values, *triple) for triple in triples},
        }

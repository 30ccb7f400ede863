"""What a run asks of a network that is not DCell: subclass `OwnModel` and write `forward`; all else has a default.

    class Additive(OwnModel):
        def __init__(self, hierarchy, config):
            super().__init__(hierarchy, config)
            self.effect = nn.Parameter(torch.zeros(len(hierarchy.gene_names)))

        def forward(self, batch):                                      # Deletions -> [samples, heads]
            return (self.genes_present(batch) - 1) @ self.effect[:, None]

`TermByTerm` is DCell as the paper writes it, in plain PyTorch: a subclass changes a term's block, or tells it more of
each gene than whether it is there. It is slow: a product a term and batch.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from jaxtyping import Float

from gocell_cli.errors import UsageError
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.data.batch import Deletions, SampleBatch
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.dcell import DCell
from gocell_cli.training.network.layout import term_widths
from gocell_cli.training.network.process_group import ProcessGroup

if TYPE_CHECKING:
    from gocell_cli.training.network.config import DCellConfig

with train_extra():
    import torch
    from torch import Tensor, nn


class OwnModel(nn.Module):
    """A network of one's own: `forward(batch)` gives heads [samples, heads], of which column `root` is the prediction.

    The loss takes the other columns as auxiliary heads, each at weight alpha. `group` are all processes that train it,
    None where there is one; what is summed over samples within the network (BatchNorm) is of a process's share alone.
    """

    root = 0

    def __init__(self, hierarchy: Hierarchy, config: "DCellConfig") -> None:
        super().__init__()
        self.hierarchy, self.config = hierarchy, config
        self.group: ProcessGroup | None = None

    @abstractmethod
    def forward(self, batch: Deletions) -> Float[Tensor, "samples heads"]:
        """Return the heads of a batch, which lies on the network's device."""

    def heads(self, batch: Any) -> Float[Tensor, "samples heads"]:
        """Return `forward` of a batch, read from a cache or ready; raises UsageError for heads of another shape."""
        own = self.ready(batch)
        found: Tensor = self(own)
        if found.ndim != 2 or len(found) != own.samples:
            raise UsageError(f"forward gave {tuple(found.shape)}, not [{own.samples} samples, heads]")
        return found

    def ready(self, batch: Any, target: Tensor | None = None, *, copied: bool = False) -> Deletions:
        """Return a batch on the network's device; any thread may ask, ahead of the step."""
        del target, copied
        if isinstance(batch, SampleBatch):
            batch = Deletions.from_batch(batch, len(self.hierarchy.gene_names))
        on_device: Deletions = batch.to(next(self.parameters()).device)
        return on_device

    def genes_present(self, batch: Deletions) -> Float[Tensor, "samples genes"]:
        """Return x: 0 where a sample deletes a gene, else 1."""
        weights = next(self.parameters())
        found = weights.new_ones(batch.samples, len(self.hierarchy.gene_names))
        found[batch.sample, batch.gene] = 0
        return found

    def drop_terms(self, *, seed: int, epoch: int, step: int) -> None:
        """Hear which step comes next, for what is drawn by it alone: a run that goes on draws the same."""

    def use_population(self, batches: Callable[[], Iterable[SampleBatch]]) -> None:
        """Take statistics of the training samples, before it is measured; by default the running ones stay."""

    def l2_weights(self) -> tuple[Tensor, ...]:
        """Return the tensors that l2 counts: all of two dimensions or more."""
        return tuple(p for p in self.parameters() if p.ndim > 1)

    def layout(self) -> str:
        """Return a fingerprint of names and shapes: a checkpoint of another network is refused."""
        told = [f"{name} {tuple(tensor.shape)}" for name, tensor in self.state_dict().items()]
        return hashlib.sha256("\n".join([type(self).__qualname__, *told]).encode()).hexdigest()[:16]

    def parameter_count(self) -> int:
        """Trained numbers."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


class TermBlock(nn.Module):
    """A term of Ma et al. 2018 (doi:10.1038/nmeth.4627): BatchNorm(tanh(Linear(inputs))), and its head."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.linear, self.norm, self.head = nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.Linear(width, 1)

    def forward(self, inputs: Float[Tensor, "samples inputs"]) -> tuple[Tensor, Tensor]:
        """Return the term's output [samples, width] and its head [samples, 1]."""
        found = self.norm(torch.tanh(self.linear(inputs)))
        return found, self.head(found)


class TermByTerm(OwnModel):
    """DCell in plain PyTorch, a block a term: override `block`, or `gene_inputs` with `numbers` of them a gene.

    Heads are in the hierarchy's order of terms.
    """

    numbers = 1

    def __init__(self, hierarchy: Hierarchy, config: "DCellConfig") -> None:
        super().__init__(hierarchy, config)
        widths = term_widths(hierarchy, config.width_by, config.min_width, config.ratio)
        terms = len(hierarchy.term_ids)
        self.below = _lists(terms, hierarchy.edge_parent, hierarchy.edge_child)
        self.genes = _lists(terms, hierarchy.row_term, hierarchy.row_gene)
        # a child's height is below its parent's
        self.order = np.argsort(hierarchy.height, kind="stable").tolist()
        self.root = int(self.order[-1])
        inputs = [sum(int(widths[c]) for c in below) for below in self.below]
        self.blocks = nn.ModuleList(
            self.block(term, inputs[term] + self.numbers * len(self.genes[term]), int(widths[term]))
            for term in range(terms)
        )

    def block(self, term: int, inputs: int, width: int) -> nn.Module:
        """Return a term's block: of `inputs` numbers it makes (output [samples, width], head [samples, 1])."""
        del term
        return TermBlock(inputs, width)

    def gene_inputs(self, batch: Deletions) -> Float[Tensor, "samples genes numbers"]:
        """Return `numbers` numbers of each sample's genes: by default whether each is there."""
        return self.genes_present(batch)[:, :, None]

    def forward(self, batch: Deletions) -> Float[Tensor, "samples heads"]:
        """Run all terms, children first."""
        genes, outputs, heads = self.gene_inputs(batch), dict[int, Tensor](), dict[int, Tensor]()
        for term in self.order:
            own = genes[:, self.genes[term]].flatten(1)
            inputs = torch.cat([*(outputs[c] for c in self.below[term]), own], dim=1)
            outputs[term], heads[term] = self.blocks[term](inputs)
        return torch.cat([heads[term] for term in range(len(heads))], dim=1)


Network: TypeAlias = DCell | OwnModel
"""What a run trains."""
MakeModel: TypeAlias = Callable[[Hierarchy, "DCellConfig"], OwnModel]
"""A subclass of OwnModel, or what returns one: called once the run's seed is set, so that first weights are its."""


def _lists(terms: int, of: np.ndarray, what: np.ndarray) -> list[list[int]]:
    """Return what belongs to each term, ascending."""
    found: list[list[int]] = [[] for _ in range(terms)]
    for place in np.lexsort((what, of)).tolist():
        found[int(of[place])].append(int(what[place]))
    return found

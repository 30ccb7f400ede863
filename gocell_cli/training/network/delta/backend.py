"""The door to the backends (cpu/, tensors/): what a pass is given, the gradients that it gives, and what it can do."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.whole import Whole
from gocell_cli.training.network.products import Products
from gocell_cli.training.network.statistics import RunningStatistics

with train_extra():
    import torch
    from torch import Tensor
    from torch.nn.functional import embedding_bag


@dataclass(frozen=True)
class DeltaNetwork:
    """Detached parameters as flat tables of neurons, statistics (written in training) and settings.

    head: [neurons], or of several phenotypes [phenotypes, neurons]; so are heads of variants, and their gradients.
    weights: the stacked child weights; genes: the table [pieces, piece], those of block b of neurons from
    gene_start[b] to gene_start[b + 1]; counted_mean: in evaluation, the running mean counted from the wild type's
    activation (`wild_type.py`); from_wild_type: gene columns count x_g - 1 and are in no wild type's z; precision: of
    products on a GPU, `ieee`, `tf32` or `bf16`; all sums and statistics are of the parameters' dtype.
    """

    piece: int
    weights: Float[Tensor, " child_weights"]
    bias: Float[Tensor, " neurons"]
    genes: Float[Tensor, "pieces piece"]
    gene_start: Int[Tensor, " blocks_plus_1"]
    direction: Float[Tensor, " neurons"] | None
    gamma: Float[Tensor, " neurons"]
    beta: Float[Tensor, " neurons"]
    head: Float[Tensor, "*heads neurons"]
    statistics: RunningStatistics
    counted_mean: Float[Tensor, " neurons"] | None
    tanh_first: bool
    eps: float
    training: bool
    gradients: bool = True
    from_wild_type: bool = False
    precision: str = "ieee"
    products: Products | None = None

    @property
    def heads(self) -> int:
        """Heads of a term: one a phenotype."""
        return self.head.numel() // len(self.gamma)

    def by_head(self, table: Float[Tensor, "*heads columns"]) -> tuple[Float[Tensor, " columns"], ...]:
        """Return a table of heads, its weights or those of variants, head by head."""
        return table.view(self.heads, -1).unbind(0)

    def new_heads(self, variants: int) -> Float[Tensor, "*heads variants"]:
        """Return a table for the heads of so many variants; its content is any."""
        return self.head.new_empty(*self.head.shape[:-1], variants)

    @cached_property
    def wild(self) -> Float[Tensor, " neurons"]:
        """Bias plus all genes of each neuron; the compiled loops sum it themselves, task by task."""
        if self.from_wild_type:
            return self.bias
        return self.bias + sum_rows(self.genes, self.gene_start[:-1]).view(-1)


def sum_rows(table: Float[Tensor, "rows piece"], starts: Int[Tensor, " bags"]) -> Float[Tensor, "bags piece"]:
    """Sum the rows of a table over the bags that begin at `starts`."""
    if not len(table):
        return table.new_zeros(len(starts), table.shape[1])
    return embedding_bag(torch.arange(len(table), device=table.device), table, starts, mode="sum")


@dataclass(frozen=True)
class Gradients:
    """What a pass down the levels gives, in the shapes of DeltaNetwork; `wild` is dz of wild types."""

    weights: Tensor
    wild: Tensor
    genes: Tensor
    direction: Tensor | None
    gamma: Tensor
    beta: Tensor
    head: Tensor
    products: Products | None = None


@runtime_checkable
class DeltaPass(Protocol):
    """One batch on its way up and down the levels; `mean` is counted from a0, the wild type's.

    Mean and variance are those of `whole`, the samples of all processes; heads and gradients of this one's own.
    """

    whole: Whole
    a0: Float[Tensor, " neurons"]
    mean: Float[Tensor, " neurons"]
    var: Float[Tensor, " neurons"]

    def up(self) -> Float[Tensor, "*heads variants"]:
        """Children first; returns each variant's heads without their biases, and moves the running statistics."""
        ...

    def down(self, dy: Float[Tensor, "*heads variants"]) -> Gradients:
        """Parents first."""
        ...

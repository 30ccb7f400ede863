"""A model run in its delta form: the same parameters and state, on the distinct rows of a batch's plan."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from gocell_cli.training.deletions import Deletions
from gocell_cli.training.delta_index import DeltaIndex, make_delta_index
from gocell_cli.training.delta_levels import DeltaLevels, DeltaRun
from gocell_cli.training.delta_network import DeltaNetwork, Gradients, PlanTensors
from gocell_cli.training.delta_plan import DeltaPlan, make_plan
from gocell_cli.training.extra import train_extra
from gocell_cli.training.row_heads import RowHeads
from gocell_cli.training.stack import Stack
from gocell_cli.training.stack_index import StackIndex

with train_extra():
    import torch
    from torch import Tensor, nn
    from torch.nn.functional import embedding_bag


class Stacked(nn.Module):
    """A model whose parameters and statistics lie as `stack.py` says, normalised as the settings say: DCell."""

    stack: Stack
    index: StackIndex
    child_weight: nn.Parameter
    gene_weight: nn.Parameter
    bias: nn.Parameter
    norm_weight: nn.Parameter
    norm_bias: nn.Parameter
    head_weight: nn.Parameter
    head_bias: nn.Parameter
    gene_direction: nn.Parameter | None
    running_mean: Tensor
    running_var: Tensor
    tanh_first: bool
    eps: float
    momentum: float


@dataclass(frozen=True)
class DeltaForm:
    """The index arrays of a hierarchy; `heads` gives those of a batch's distinct rows."""

    index: DeltaIndex

    @classmethod
    def of(cls, model: Stacked) -> "DeltaForm":
        """Make the arrays; a fraction of a second on the bundled hierarchy."""
        arrays = model.index
        closure = [arrays[name].cpu().numpy() for name in ("closure_ptr", "closure")]
        counts = np.diff(arrays["gene_ptr"].cpu().numpy())
        row_gene = np.empty(len(model.stack.row_position), dtype=np.int32)
        row_gene[arrays["gene_rows"].cpu().numpy()] = np.repeat(np.arange(len(counts)), counts)
        return cls(make_delta_index(model.stack, closure[0], closure[1], row_gene))

    def plan(self, batch: Deletions) -> DeltaPlan:
        """Plan a batch; on the CPU."""
        return make_plan(self.index, batch.sample.cpu().numpy(), batch.gene.cpu().numpy(), batch.samples)

    def heads(self, model: Stacked, plan: DeltaPlan) -> RowHeads:
        """Return the heads of all rows, with gradients to the model's parameters."""
        chunk = torch.from_numpy(plan.chunk).to(model.bias.device)
        run = DeltaRun(_network(model, chunk, training=model.training), plan, self._tensors(model, plan))
        values: Tensor = DeltaLevels.apply(  # type: ignore[no-untyped-call]
            run, lambda found: _unpack(model, found, chunk), model.child_weight, model.gene_weight, model.bias,
            model.norm_weight, model.norm_bias, model.head_weight, model.gene_direction,
        )  # fmt: skip
        bias = model.head_bias.index_select(0, run.at.term)
        return RowHeads(values + bias, plan, model.index["term_position"].cpu().numpy())

    @torch.no_grad()
    def statistics(
        self, model: Stacked, plan: DeltaPlan
    ) -> tuple[Float[Tensor, " neurons"], Float[Tensor, " neurons"], Bool[Tensor, " terms"]]:
        """Return mean and biased variance of every neuron over a plan's samples, and which terms' rows differ."""
        chunk = torch.from_numpy(plan.chunk).to(model.bias.device)
        net = replace(_network(model, chunk, training=True), momentum=0.0)
        run = DeltaRun(net, plan, self._tensors(model, plan))
        run.up()
        return run.mean + run.a0, run.var, run.at.varies > 0

    def _tensors(self, model: Stacked, plan: DeltaPlan) -> PlanTensors:
        device, dtype, index = model.bias.device, model.bias.dtype, self.index

        def there(array: np.ndarray) -> Tensor:
            return torch.from_numpy(array).to(device)

        counted = np.add.reduceat((plan.weight > 0).astype(np.int64), plan.term_start[:-1])
        piece, genes = index.row_piece[plan.entry_gene], index.term_genes[plan.term[plan.entry_row]]
        pieces = [piece[r.entries, None] + genes[r.entries, None] * np.arange(r.width) for r in plan.runs]
        return PlanTensors(
            input=there(plan.input), slot=there(plan.slot), slot_reader=there(plan.slot_reader),
            slot_bag=there(plan.slot_bag), user=there(plan.user), user_bag=there(plan.user_bag),
            bag=there(np.searchsorted(plan.reader, np.arange(len(plan.term)))), term=there(plan.term),
            start=there(plan.term_start[:-1]), weight=there(plan.weight).to(dtype),
            varies=there(counted > 1).to(dtype), entry_row=there(plan.entry_row), pieces=tuple(map(there, pieces)),
        )  # fmt: skip


def _network(model: Stacked, chunk: Tensor, *, training: bool) -> DeltaNetwork:
    piece = model.stack.piece
    table, direction = model.gene_weight.detach(), model.gene_direction
    child = model.child_weight.detach().view(-1, piece)
    return DeltaNetwork(
        piece=piece,
        weights=child.index_select(0, chunk),
        wild=model.bias.detach() + sum_rows(table, model.index["block_start"][:-1]).view(-1),
        genes=table,
        direction=None if direction is None else direction.detach(),
        gamma=model.norm_weight.detach(),
        beta=model.norm_bias.detach(),
        head=model.head_weight.detach(),
        running_mean=model.running_mean,
        running_var=model.running_var,
        tanh_first=model.tanh_first,
        eps=model.eps,
        momentum=model.momentum,
        training=training,
    )


def _unpack(model: Stacked, found: Gradients, chunk: Tensor) -> tuple[Tensor | None, ...]:
    """One gradient for each parameter that `heads` named, in that order."""
    piece = model.stack.piece
    child = torch.zeros_like(model.child_weight)
    child.view(-1, piece).index_copy_(0, chunk, found.weights)
    genes = found.genes.add_(found.wild.view(-1, piece).index_select(0, model.index["block_of_piece"]))
    return child, genes, found.wild, found.gamma, found.beta, found.head, found.direction


def sum_rows(table: Tensor, starts: Tensor) -> Tensor:
    """Sum the rows of a table over the bags that begin at `starts`."""
    if not len(table):
        return table.new_zeros(len(starts), table.shape[1])
    return embedding_bag(torch.arange(len(table), device=table.device), table, starts, mode="sum")

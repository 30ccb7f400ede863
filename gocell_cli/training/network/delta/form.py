"""A model run in its delta form: the same parameters and state, on the distinct variants of a batch's plan."""

from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib.util import find_spec
from typing import Any
from warnings import warn

import numpy as np
from jaxtyping import Bool, Float

from gocell_cli.training.data.batch import Deletions
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.backend import DeltaNetwork, DeltaPass, Gradients
from gocell_cli.training.network.delta.cpu.layout import Buffers, Network
from gocell_cli.training.network.delta.cpu.levels import CpuPass
from gocell_cli.training.network.delta.gpu.layout import WIDE, GpuIndex, lay_out, make_gpu_index
from gocell_cli.training.network.delta.heads import VariantHeads, spread
from gocell_cli.training.network.delta.plan import DeltaIndex, DeltaPlan, make_delta_index, make_plan
from gocell_cli.training.network.delta.ready import ReadyBatch, VariantTargets, on_device, shown
from gocell_cli.training.network.delta.tensors.levels import TensorPass
from gocell_cli.training.network.delta.whole import Whole
from gocell_cli.training.network.products import Products
from gocell_cli.training.network.statistics import Stacked, check_samples
from gocell_cli.training.network.wild_type import counted_mean

with train_extra():
    import torch
    from torch import Tensor


@cache
def has_triton() -> bool:
    """Whether the GPU's kernels can be compiled; says once where they can't."""
    if find_spec("triton") is None:
        warn(
            "Triton is not installed: the delta form runs in PyTorch's operations, slower (pip install triton)",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    return True


def _precision(table: Tensor) -> str:
    """What torch is set to: autocast's bf16, TF32 where matrix products may take it, else the dtype's own."""
    kind = table.device.type
    # some devices have no autocast, and torch raises where it is asked about theirs
    cast = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    if cast and torch.get_autocast_dtype(kind) is torch.bfloat16:
        return "bf16"
    fast = table.dtype is torch.float32 and torch.get_float32_matmul_precision() != "highest"
    return "tf32" if fast else "ieee"


@dataclass(frozen=True)
class DeltaForm:
    """The index arrays of a hierarchy; `heads` gives those of a batch's distinct variants.

    backend: `cpu`, `gpu` or `tensors`, whichever device the network is on; None takes the device's own. wide: see
    gpu/layout.py. precision: of products on a GPU, see backend.py; None takes what torch is set to. one_head: of each
    term; the GPU's kernels know no more.
    """

    index: DeltaIndex
    network: Network
    piece: int
    backend: str | None = None
    wide: int = WIDE
    precision: str | None = None
    one_head: bool = True
    buffers: Buffers = field(default_factory=Buffers, compare=False, repr=False)
    devices: dict[torch.device, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, model: Stacked) -> "DeltaForm":
        """Make the arrays; a fraction of a second on the bundled hierarchy."""
        arrays = model.index
        closure = [arrays[name].cpu().numpy() for name in ("closure_ptr", "closure")]
        counts = np.diff(arrays["gene_ptr"].cpu().numpy())
        pair_gene = np.empty(len(model.stack.row_position), dtype=np.int32)
        # gene_rows lists term-gene rows gene by gene; turned round, it gives each row's gene
        pair_gene[arrays["gene_rows"].cpu().numpy()] = np.repeat(np.arange(len(counts)), counts)
        index = make_delta_index(model.stack, closure[0], closure[1], pair_gene)
        network = Network.of(index, model.stack, from_wild_type=model.from_wild_type)
        # the compiled loops and the GPU's kernels know no products
        backend = "tensors" if model.product_out is not None else None
        return cls(index, network, model.stack.piece, backend, one_head=model.head_weight.ndim == 1)

    @cached_property
    def gpu_index(self) -> GpuIndex:
        """The GPU's arrays of the hierarchy, on the CPU."""
        return make_gpu_index(self.index, self.piece)

    def plan(self, batch: Deletions) -> DeltaPlan:
        """Plan a batch; on the CPU."""
        return make_plan(self.index, batch.sample.cpu().numpy(), batch.gene.cpu().numpy(), batch.samples)

    def ready(
        self,
        model: Stacked,
        batch: Deletions,
        target: Float[np.ndarray, " samples *phenotypes"] | None = None,
        *,
        copied: bool = False,
    ) -> ReadyBatch:
        """Plan a batch, and have the plan, and the targets where given, on the model's device; in any thread.

        copied: on a stream of this thread's own, for which the step must wait.
        """
        device, plan = model.bias.device, self.plan(batch)
        laid = None
        if self._backend(device) == "gpu":
            laid = lay_out(self.index, self.gpu_index, plan, shown(plan, self.index.terms - 1), self.wide)
        targets = None
        if target is not None:
            targets = VariantTargets.of(plan, target.astype(np.float64), device, model.bias.dtype)
        return on_device(plan, device, laid, targets, copied)

    def heads(self, model: Stacked, batch: ReadyBatch) -> VariantHeads:
        """Return the heads of all variants, with gradients to the model's parameters."""
        batch.arrived()
        child, columns, products = model.child_columns(), self._columns(model, batch), model.products()
        net = self._network(model, child, columns, products, training=model.training)
        levels = self._pass(model, net, batch)
        if model.training:
            check_samples(levels.whole.samples)
        values: Tensor = _DeltaLevels.apply(  # type: ignore[no-untyped-call]
            levels, lambda found: self._unpack(model, found), child, columns, model.bias,
            model.norm_weight, model.norm_bias, model.head_weight, model.gene_direction, *(products or ()),
        )  # fmt: skip
        return VariantHeads(
            spread(values, model.head_bias, batch), batch, model.index["term_position"], int(model.stack.order[-1])
        )

    @torch.no_grad()
    def statistics(
        self, model: Stacked, batch: ReadyBatch
    ) -> tuple[Float[Tensor, " neurons"], Float[Tensor, " neurons"], Bool[Tensor, " terms"]]:
        """Return every neuron's mean and biased variance over a batch's samples (of all processes); what terms vary.

        The mean is counted from the wild type's activation; the model's own statistics stay as they are.
        """
        net = self._network(model, model.child_weight, self._columns(model, batch), model.products(), training=True)
        # a pass in training mode computes them; momentum 0 keeps it from moving the model's own
        still = replace(net, statistics=replace(net.statistics, momentum=0.0))
        levels = self._pass(model, still, batch)
        levels.up()
        return levels.mean, levels.var, torch.from_numpy(levels.whole.varies > 0).to(levels.var.device)

    def _columns(self, model: Stacked, batch: ReadyBatch) -> Float[Tensor, "pieces piece"]:
        """The genes' columns: of pairs that count from the wild type, those that a variant has lost are read alone."""
        return model.gene_columns(batch.plan.lost_pairs if model.from_wild_type else None)

    def _pass(self, model: Stacked, net: DeltaNetwork, batch: ReadyBatch) -> DeltaPass:
        """The pass of the network's device; evaluation normalises by statistics that all processes have."""
        group = model.group if net.training else None
        whole = Whole.of(self.index, batch.plan, group, net.gamma.device, model.varying())
        if batch.laid is not None and batch.ints is not None:
            from gocell_cli.training.network.delta.gpu.levels import DeviceIndex, GpuPass

            device = net.gamma.device
            if device not in self.devices:
                self.devices[device] = DeviceIndex.of(self.gpu_index, device)
            return GpuPass(net, self.devices[device], batch.laid, batch.ints, whole)
        if self._compiled(net.gamma):
            return CpuPass(net, self.network, self.index, batch.plan, whole, self.buffers)
        return TensorPass(net, self.index, batch.plan, whole)

    def _backend(self, device: torch.device) -> str:
        if self.backend is not None or device.type == "cpu":
            return self.backend or "cpu"
        return "gpu" if device.type == "cuda" and self.one_head and has_triton() else "tensors"

    def uses_tensors(self, device: torch.device) -> bool:
        """Whether there is nothing better for a device than PyTorch's operations."""
        return self._backend(device) == "tensors"

    def _compiled(self, tensor: Tensor) -> bool:
        return self._backend(tensor.device) == "cpu"

    def _network(
        self,
        model: Stacked,
        child: Float[Tensor, " child_weights"],
        columns: Float[Tensor, "pieces piece"],
        products: Products | None,
        *,
        training: bool,
    ) -> DeltaNetwork:
        piece = model.stack.piece
        table, direction = columns.detach(), model.gene_direction
        return DeltaNetwork(
            piece=piece,
            weights=child.detach(),
            bias=model.bias.detach(),
            genes=table,
            gene_start=model.index["block_start"],
            direction=None if direction is None else direction.detach(),
            gamma=model.norm_weight.detach(),
            beta=model.norm_bias.detach(),
            head=model.head_weight.detach(),
            statistics=model.statistics,
            counted_mean=None if training else counted_mean(model),
            tanh_first=model.tanh_first,
            eps=model.eps,
            training=training,
            gradients=torch.is_grad_enabled(),
            from_wild_type=model.from_wild_type,
            precision=self.precision or _precision(table),
            products=None if products is None else products.detached(),
        )

    def _unpack(self, model: Stacked, found: Gradients) -> tuple[Tensor | None, ...]:
        """One gradient for each parameter that `heads` named, in that order."""
        piece = model.stack.piece
        wild, genes = found.wild.view(-1, piece), found.genes
        if not (self._compiled(genes) or model.from_wild_type):  # the compiled loops have handed it on already
            genes.add_(wild.index_select(0, model.index["block_of_piece"]))
        own = (found.weights, genes, found.wild, found.gamma, found.beta, found.head, found.direction)
        return (*own, *(found.products or ()))


class _DeltaLevels(torch.autograd.Function):
    """All levels as one node: parameters in, heads of all variants out (without their biases)."""

    @staticmethod
    def forward(ctx: Any, levels: DeltaPass, unpack: Any, *parameters: Tensor | None) -> Tensor:
        """Run all levels; `unpack` turns Gradients into a gradient for each parameter."""
        # the pass holds them, detached; here they tell autograd what the heads depend on
        del parameters
        ctx.levels, ctx.unpack = levels, unpack
        return levels.up()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Run all levels from the root to the leaves."""
        return (None, None, *ctx.unpack(ctx.levels.down(grads[0].contiguous())))

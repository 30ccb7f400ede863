"""DCell, level by level: one matmul for all terms of a shape in a level, and a backward pass written by hand.

For term t with children C(t), direct genes G(t), width d_t, and x[b, g] = 0 where sample b deletes gene g, else 1
(Ma et al. 2018, doi:10.1038/nmeth.4627):

    z_t = W_t [h_c for c in C(t); x_g for g in G(t)] + b_t
    h_t = BatchNorm(tanh(z_t))  (norm order `tanh-bn`, the paper's)  or  tanh(BatchNorm(z_t))  (`bn-tanh`, torchcell's)
    y_t = u_t . h_t + v_t                                            heads [B, T]; the root's is the prediction

Of several phenotypes a term has a head for each, u_tp and v_tp, on the same h_t: heads [B, T, P].

With `gene_weights` of `deviation` or `direction`, x_g - 1 stands in place of x_g, and a_t times the number of t's
deleted genes is added: a column is then no part of the wild type's z, and has a gradient only where its gene is lost.
Vectors of genes, u_g, given or learnt, add A_t times the sum of u_g over t's deleted direct genes
(`vector_columns.py`). With `products` U_t ((P_t d_t) * (Q_t d_t)) is added, d_t the children's deviations from the wild
type's outputs (`products.py`).

`term_reference` is that formula of one term in plain torch: read it first. The dense form (`dense/levels.py`) and the
delta form (`delta/`) compute the same for all terms of a level at once; the tests hold both to it.

Activations are tables [neurons, samples], in the order of `layout.py`; the genes' part is in `dense/genes.py`. In
training, a term whose rows are all equal (no gene that it contains differs between the samples) has variance 0, and
1/sqrt(eps) would amplify rounding 316 times a level: its deviation from the mean is taken as exactly 0, so h is beta
(or tanh(beta)) and dz is 0. Every parameter's gradient stays exact: dz of such a term sums to 0 over the samples, and
all that lies below it is constant too.
"""

import math
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int64

from gocell_cli.errors import UsageError
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.data.batch import Deletions, SampleBatch
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.config import DCellConfig
from gocell_cli.training.network.delta.form import DeltaForm
from gocell_cli.training.network.delta.heads import VariantHeads
from gocell_cli.training.network.delta.ready import ReadyBatch
from gocell_cli.training.network.dense.genes import DeletedGenes, GeneInput, GeneValues, GeneWeights
from gocell_cli.training.network.dense.levels import EvaluationPass, Levels, Network, TrainingPass, UpAndDown
from gocell_cli.training.network.dense.memory import Workspaces
from gocell_cli.training.network.dense.products import ProductPass
from gocell_cli.training.network.eagerly import eagerly
from gocell_cli.training.network.layout import StackIndex, make_stack, term_widths
from gocell_cli.training.network.process_group import ProcessGroup
from gocell_cli.training.network.products import Products, draw_inner
from gocell_cli.training.network.state_columns import StateColumns
from gocell_cli.training.network.statistics import Stacked, check_samples
from gocell_cli.training.network.term_dropout import DroppedTerms, TermDropout, Varying
from gocell_cli.training.network.vector_columns import VectorColumns
from gocell_cli.training.network.wild_type import counted_mean

with train_extra():
    import torch
    from torch import Tensor, nn

Batch: TypeAlias = SampleBatch | Deletions | ReadyBatch | Tensor
"""Deletions, as a cache's rows, as CSR columns, or made ready before; or values of all genes, [samples, genes]."""


DELTA_PAYS = {"cpu": 64, "cuda": 2}
"""Samples from which the delta form is the faster one: on a CPU measured, at widths 6 and 20 alike.

On CUDA PREDICTED, not measured: some 200 launches a step against the dense form's 1,100, at any batch (docs/gpu.md;
`make gpu` prints what to put here).
"""
TENSORS_PAY = 2048
"""The same without kernels of ours, in PyTorch's operations: PREDICTED for every such device, measured on none."""


def term_reference(
    inputs: Float[Tensor, "samples inputs"],
    term: Mapping[str, Tensor],
    norm_order: str,
    *,
    training: bool,
    eps: float = 1e-5,
) -> tuple[Float[Tensor, "samples width"], Float[Tensor, " samples"]]:
    """Return h and y of one term, as the paper writes them: the reference that both forms of the network equal.

    `inputs` are the outputs of its children, by ascending id, then x of its direct genes; `term` its tensors under the
    names of `term_weights.py`. In training BatchNorm takes mean and biased variance of these samples, else the running
    statistics. No fast path uses it: it is for readers and for the tests.
    """
    z = inputs @ term["linear.weight"].t() + term["linear.bias"]
    a = torch.tanh(z) if norm_order == "tanh-bn" else z
    mean = a.mean(0) if training else term["norm.running_mean"]
    var = a.var(0, correction=0) if training else term["norm.running_var"]
    h = term["norm.weight"] * (a - mean) / torch.sqrt(var + eps) + term["norm.bias"]
    h = h if norm_order == "tanh-bn" else torch.tanh(h)
    return h, h @ term["head.weight"][0] + term["head.bias"][0]


class DCell(Stacked):
    """The network of one hierarchy. Parameters are stacked tables (`layout.py`); `term_weights.py` converts them.

    `group`, where set, are all processes that train it, each on its share of a batch: BatchNorm sees the whole one.
    """

    def __init__(
        self,
        hierarchy: Hierarchy,
        config: DCellConfig | None = None,
        gene_vectors: Float[Tensor, "genes columns"] | None = None,
    ) -> None:
        super().__init__()
        self.config = config = config or DCellConfig()
        self.tanh_first, self.eps, self.momentum = config.norm_order == "tanh-bn", config.eps, config.momentum
        inputs = hierarchy.inputs
        ties = inputs is not None and inputs.shared
        # states of one column would each be in the wild type's z, were they not counted from it
        self.from_wild_type = config.from_wild_type or ties
        top = (config.top_width, config.top_strata)
        width = term_widths(hierarchy, config.width_by, config.min_width, config.ratio, *top)
        # a block divides the least width, which most terms have, so that those need no padding
        piece = max(d for d in range(1, 21) if config.min_width % d == 0)
        self.stack = stack = make_stack(hierarchy, width, piece)
        self.index = StackIndex(hierarchy, stack)
        # children run first, so the term above all others runs last
        self.root = int(stack.order[-1])
        self.states = StateColumns(hierarchy, stack, config) if ties else None
        self.child_weight = nn.Parameter(torch.empty(stack.child_weights))
        # without own columns they are zeros that no optimiser sees, so that all that reads them stays as it is
        own = config.gene_weights != "direction"
        self.gene_weight = nn.Parameter(torch.empty(int(stack.block_start[-1]), piece), requires_grad=own)
        self.bias = nn.Parameter(torch.empty(stack.neurons))
        self.norm_weight = nn.Parameter(torch.ones(stack.neurons))
        self.norm_bias = nn.Parameter(torch.zeros(stack.neurons))
        # of one phenotype flat, as checkpoints of before there were several have them
        several = (config.phenotypes,) if config.phenotypes > 1 else ()
        self.head_weight = nn.Parameter(torch.empty(*several, stack.neurons))
        self.head_bias = nn.Parameter(torch.empty(*several, len(stack.order)))
        shared = config.gene_weights != "own" and self.states is None
        # 0: a network with directions starts out equal to one without
        self.gene_direction = nn.Parameter(torch.zeros(stack.neurons)) if shared else None
        self.vectors = self._vectors(gene_vectors)
        rank, reads = config.products, len(stack.source) * piece
        self.product_in = nn.Parameter(torch.empty(2 * rank * reads)) if rank else None
        # 0, as of directions
        self.product_out = nn.Parameter(torch.zeros(stack.neurons, rank)) if rank else None
        for name in ("running_mean", "running_mean_rest"):
            self.register_buffer(name, torch.zeros(stack.neurons))
        self.register_buffer("running_var", torch.ones(stack.neurons))
        self.dropout = TermDropout.of(stack, self.index, config.term_dropout) if config.term_dropout else None
        self.dropped: DroppedTerms | None = None
        self.workspaces = Workspaces()
        self.group: ProcessGroup | None = None
        self.delta = DeltaForm.of(self) if config.form != "dense" else None
        self.reset_parameters()

    def _vectors(self, gene_vectors: Float[Tensor, "genes columns"] | None) -> VectorColumns | None:
        """What vectors of genes give; raises UsageError where all genes' would be in the wild type's z."""
        learnt = self.config.learnt_vectors
        if gene_vectors is None and not learnt:
            return None
        if self.states is not None:
            why = "a vector says what a gene's loss does, not by how much a state differs from it"
            raise UsageError("vectors of genes, of a cache whose channels have several states", why=why)
        if not self.from_wild_type:
            hint = "gene_weights=deviation, or direction: no columns of their own"
            raise UsageError("vectors of genes need columns that count from the wild type", hint=hint)
        return VectorColumns(self.stack, self.index, gene_vectors, learnt)

    def drop_terms(self, *, seed: int, epoch: int, step: int) -> None:
        """Draw the terms that the next training step leaves out: before each, where `term_dropout` is set."""
        self.dropped = None if self.dropout is None else self.dropout.drawn(seed=seed, epoch=epoch, step=step)

    def child_columns(self) -> Float[Tensor, " child_weights"]:
        """The child weights as a pass reads them: in training without the terms that the step leaves out.

        Raises UsageError where nobody has drawn these.
        """
        if self.dropout is None or not self.training:
            return self.child_weight
        if self.dropped is None:
            raise UsageError(
                "term_dropout is set, and no terms were drawn for this step",
                hint="model.drop_terms(seed=0, epoch=epoch, step=step) before each training step",
            )
        return self.dropped.weights(self.child_weight)

    def products(self) -> Products | None:
        """The weights of products, as a pass reads them: in training without the terms that the step leaves out."""
        if self.product_in is None or self.product_out is None:
            return None
        if self.dropped is None or not self.training:
            return Products(self.product_in, self.product_out)
        return Products(self.dropped.weights(self.product_in, 2 * self.config.products), self.product_out)

    def varying(self) -> Varying | None:
        """Which terms vary between samples that differ in some genes, where terms are left out."""
        return self.dropped.varying if self.dropped is not None and self.training else None

    def gene_columns(self, read: Int64[np.ndarray, " read"] | None = None) -> Float[Tensor, "pieces piece"]:
        """The genes' columns as a pass reads them: each pair's own, and what its gene's vector gives.

        read: the pairs that it reads, where it does not read all.
        """
        if self.states is not None:
            columns: Tensor = self.states(self.gene_weight)
            return columns
        return self.gene_weight if self.vectors is None else self.vectors(self.gene_weight, read)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw all weights and biases from U(-init_range, init_range), padding 0; norms start at 1 and 0.

        Columns that count from the wild type start at 0, directions and learnt vectors always.
        """
        reach, real, piece = self.config.init_range, self.index["real"], self.stack.piece
        for parameter in (self.child_weight, self.gene_weight, self.bias, self.head_weight, self.head_bias):
            parameter.uniform_(-reach, reach)
        self.bias.mul_(real)
        self.head_weight.mul_(real)
        if self.config.from_wild_type:
            self.gene_weight.zero_()
        self.gene_weight.mul_(real.view(-1, piece)[self.index["block_of_piece"]])
        # which inputs are neurons; the appended piece is the block of zeros behind the last neuron
        reads = torch.cat([real, real.new_zeros(piece)]).view(-1, piece)[self.index["source"]].view(-1)
        for b in self.stack.buckets:
            weight = self.child_weight[b.weight :][: b.terms * b.out * b.inp].view(b.terms, b.out, b.inp)
            weight.mul_(real[b.neuron :][: b.terms * b.out].view(b.terms, b.out, 1))
            weight.mul_(reads[b.source :][: b.terms * b.inp].view(b.terms, 1, b.inp))
        if self.product_in is not None and self.product_out is not None:
            draw_inner(self.product_in, self.stack, reads)
            self.product_out.zero_()
        if self.vectors is not None:
            self.vectors.draw(real)
        if self.states is not None and self.states.direction is not None:
            self.states.direction.zero_()

    @eagerly
    def forward(self, batch: Batch) -> Float[Tensor, "samples terms *phenotypes"]:
        """Return the heads of all terms, in the hierarchy's order; column `root` is the prediction, of each phenotype.

        A batch is deletions, or gene values [samples, genes] in the model's dtype (1: wild type). Raises UsageError
        for values of another shape, and for a training batch of one sample, whose variance is not defined.
        """
        if torch.cuda.is_available() and torch.cuda.is_current_stream_capturing():
            raise UsageError(
                "a CUDA graph can't hold this pass: each batch touches another number of gene weights",
                hint="run it eagerly; a step has under a thousand launches",
            )
        if self._rows_suffice(batch):
            return self.variant_heads(batch).dense()
        child, products = self.child_columns(), self.products()
        one = self.dense_pass(batch, child.detach())
        heads: Tensor = Levels.apply(  # type: ignore[no-untyped-call]
            one, child, self.gene_columns(), self.bias, self.norm_weight,
            self.norm_bias, self.head_weight, self.head_bias, self.gene_direction,
            *(products or ()),
        )  # fmt: skip
        return self._by_sample(heads)

    def _by_sample(self, heads: Float[Tensor, "rows samples"]) -> Float[Tensor, "samples terms *phenotypes"]:
        """Heads as the dense form gives them, in the hierarchy's order of terms."""
        own = heads.view(*self.head_bias.shape, -1).index_select(-2, self.index["term_position"])
        return own.permute(*range(own.ndim - 1, -1, -1))

    def _rows_suffice(self, batch: Batch) -> bool:
        """Whether a batch runs in the delta form: deletions, and enough of them.

        Of processes that train together one may have more samples than another, but both must ask the others for the
        same sums: there the number of samples decides nothing.
        """
        if self.delta is None or isinstance(batch, Tensor):
            return False
        if isinstance(batch, ReadyBatch):
            return True
        samples, device = batch.samples if isinstance(batch, Deletions) else len(batch), self.bias.device.type
        if self.config.form == "delta":
            return True
        if self.product_in is not None:
            return True  # its dense form is for reading values, and slow
        if device == "cpu" and torch.is_autocast_enabled("cpu"):
            return False  # the compiled loops know no bf16
        kernels = DELTA_PAYS["cpu" if device == "cpu" else "cuda"]
        pays = TENSORS_PAY if self.delta.uses_tensors(self.bias.device) else kernels
        return samples >= pays or (self.training and self.group is not None)

    @eagerly
    def heads(self, batch: Batch) -> Tensor | VariantHeads:
        """Return what `forward` does, left as heads of distinct variants in the delta form; DCellLoss takes both."""
        return self.variant_heads(batch) if self._rows_suffice(batch) else self(batch)

    def ready(
        self, batch: Batch, target: Float[Tensor, " samples *phenotypes"] | None = None, *, copied: bool = False
    ) -> Batch:
        """Return a batch on the model's device, with its plan, and its targets, where it will run in the delta form.

        Any thread may do this ahead of the step, which then waits for no plan and no device; `heads` and the loss take
        what it gives. copied: on another CUDA stream than the step's, which is made to wait for it.
        """
        if isinstance(batch, Tensor | ReadyBatch):
            return batch
        own = self._deletions(batch)
        if self.delta is None or not self._rows_suffice(own):
            # a batch that runs dense: few numbers, and read by the stream that copies them
            return own if copied else own.to(self.bias.device)
        values = None if target is None else target.detach().cpu().double().numpy()
        return self.delta.ready(self, own, values, copied=copied)

    def _deletions(self, batch: SampleBatch | Deletions) -> Deletions:
        return batch if isinstance(batch, Deletions) else Deletions.from_batch(batch, self.index.genes)

    def variant_heads(self, batch: Batch) -> VariantHeads:
        """Return the heads of a batch's distinct variants; raises UsageError where the model or the batch has none."""
        if self.delta is None or isinstance(batch, Tensor):
            raise UsageError("distinct variants are the delta form's, of deletions", hint="DCellConfig(form='delta')")
        if not isinstance(batch, ReadyBatch):
            batch = self.delta.ready(self, self._deletions(batch))
        return self.delta.heads(self, batch)

    @torch.no_grad()
    def levels(
        self, batch: Batch
    ) -> tuple[Float[Tensor, "samples terms *phenotypes"], Float[Tensor, "neurons samples"]]:
        """Return the heads, and a copy of every neuron's h, in the order of `layout.py`; without gradients."""
        one = self.dense_pass(batch)
        return self._by_sample(one.up()), one.outputs()

    def dense_pass(self, batch: Batch, child: Float[Tensor, " child_weights"] | None = None) -> UpAndDown:
        """A batch's way through all terms, in the model's mode; child: its child weights, where they are made."""
        genes, network = self.gene_input(batch), self.network(child)
        if (products := self.products()) is not None:
            check_samples(float(genes.samples) if self.training else math.inf)
            return ProductPass(network, products, genes, None if self.training else counted_mean(self))
        if not self.training:
            return EvaluationPass(network, genes, counted_mean(self))
        one = TrainingPass(network, genes)
        check_samples(one.n)
        return one

    def network(self, child: Float[Tensor, " child_weights"] | None = None) -> Network:
        """The parameters and settings that a run over the levels reads; child: the child weights as it reads them."""
        child = self.child_columns().detach() if child is None else child
        return Network(
            self.stack, self.index, self.workspaces, child, self.norm_weight.detach(),
            self.norm_bias.detach(), self.head_weight.detach(), self.head_bias.detach(),
            self.statistics, self.tanh_first, self.eps, self.group, self.varying(),
        )  # fmt: skip

    def gene_input(self, batch: Batch) -> GeneInput:
        """Return the genes' part of a batch, in its form."""
        direction = None if self.gene_direction is None else self.gene_direction.detach()
        weights = GeneWeights(
            self.gene_columns().detach(), direction, self.bias.detach(), self.index, self.stack, self.from_wild_type
        )
        if isinstance(batch, Tensor):
            wanted = (len(batch), self.index.genes)
            if batch.shape != wanted or batch.dtype != self.bias.dtype or batch.requires_grad:
                kind = f"{tuple(batch.shape)} {batch.dtype}"
                raise UsageError(f"gene values are {kind}, not {wanted} {self.bias.dtype} without gradient")
            return GeneValues(weights, batch)
        if isinstance(batch, ReadyBatch):
            raise UsageError("a batch made ready has no values for the dense form", hint="pass the batch itself")
        return DeletedGenes(weights, self._deletions(batch).to(self.bias.device))

    def l2_weights(self) -> tuple[Tensor, ...]:
        """Return the tensors that l2 counts."""
        return (self.child_weight, self.gene_weight, self.head_weight, *(self.products() or ()))

    def parameter_count(self) -> int:
        """Trained numbers, padding not counted."""
        stack = self.stack
        own = np.ones(len(stack.row_position), dtype=bool) if self.states is None else self.states.owns
        genes = int((stack.width[stack.order][stack.row_position])[own].sum()) if self.gene_weight.requires_grad else 0
        shared = 0 if self.config.gene_weights == "own" else int(stack.width.sum())
        if self.vectors is not None:
            learnt = 0 if self.vectors.learnt is None else self.vectors.learnt.numel()
            genes += int(stack.width.sum()) * self.vectors.weight.shape[1] + learnt
        inputs = int(stack.inputs.sum())
        genes += self.config.products * (2 * inputs + int(stack.width.sum()))
        # 3 a neuron: bias, gamma and beta; and the heads' weights
        heads = self.config.phenotypes * (int(stack.width.sum()) + len(stack.order))
        return stack.multiply_adds + genes + 3 * int(stack.width.sum()) + heads + shared

    def flops(self) -> int:
        """Floating point operations of one sample's training step in matmuls: 2 forward, 4 backward a multiply-add.

        The genes' constant is the wild type's, once a step; a deletion's columns are additions, under 1 % of this.
        """
        return 6 * (self.stack.multiply_adds + int(self.stack.width.sum()))

    def step_bytes(self, samples: int) -> int:
        """Bytes that a training step must move, were every operation between two levels fused into one.

        A neuron writes inner and outer, reads both again and its gradient, and writes that; an input is read twice
        and its gradient added. A parameter is read twice, its gradient written, and AdamW reads four and writes three.
        """
        itemsize = self.bias.element_size()
        inputs = len(self.stack.source) * self.stack.piece
        table = samples * (6 * self.stack.neurons + 4 * inputs)
        return itemsize * (table + 10 * sum(p.numel() for p in self.parameters()))

"""The wild type's activations, level by level in float64: what BatchNorm's means are counted from in evaluation.

In every form a sample is computed as its difference from the wild type, so that of a deviation of 1e-6 all of float32's
digits are left; the mean that is taken from it must be counted from the same activation, a_0, as exactly:

    z_0 = W h_0 + b + sum_g w_g      a_0 = tanh(z_0) or z_0      mean - a_0 in float64, then rounded once

The statistics themselves stay absolute (`statistics.py`), as BatchNorm's are: the activation of the wild type moves
as the weights train. Level by level because a level's h_0 is normalised by the counted mean of its own.
"""

from collections.abc import Callable
from typing import TypeAlias
from weakref import WeakKeyDictionary

from jaxtyping import Float, Float64

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.layout import Bucket
from gocell_cli.training.network.statistics import MEAN, REST, Stacked

with train_extra():
    import torch
    from torch import Tensor
    from torch.nn.functional import embedding_bag

Counted: TypeAlias = Callable[[slice, Float64[Tensor, " some"]], Float64[Tensor, " some"]]
"""The mean of some neurons counted from their wild type's activations, which it is given."""
State: TypeAlias = tuple[tuple[int, int, str], ...] | None

_COUNTED: WeakKeyDictionary[Stacked, tuple[State, Tensor]] = WeakKeyDictionary()
"""The last counted mean of each model, with the state it was of; beside the model, for it is no part of a copy."""


def counted_mean(model: Stacked) -> Float[Tensor, " neurons"]:
    """Return the running mean minus the wild type's activation, in the model's dtype; on its device.

    The difference is taken in float64, so what float32 holds of it is 24 bits of the difference, not of the mean.
    It is taken once for all batches between two changes of the model: all weights in float64 cost as much as two
    batches of 2,048 in the delta form.
    """
    state = _state_of(model)
    known = _COUNTED.get(model)
    if known is not None and state is not None and known[0] == state:
        return known[1]
    mean = model.running_mean64()
    counted = (mean - _activations(model, lambda neurons, a0: mean[neurons] - a0)).to(model.bias.dtype)
    _COUNTED[model] = (state, counted)
    return counted


def _state_of(model: Stacked) -> State:
    """Which numbers the model holds now: each tensor's place, and how often it was written to.

    None where torch does not count that: tensors made under `torch.inference_mode`.
    """
    tensors = [*model.parameters(), *(model.get_buffer(name) for name in (MEAN, REST, "running_var"))]
    if any(t.is_inference() for t in tensors):
        return None
    return tuple((t.data_ptr(), t._version, str(t.dtype)) for t in tensors)


def absolute_mean(model: Stacked, counted: Float[Tensor, " neurons"]) -> Float64[Tensor, " neurons"]:
    """Return the mean of which `counted_mean` gives back this difference; the model's variances are those in use."""
    own = counted.double()
    return own + _activations(model, lambda neurons, _: own[neurons])


@torch.no_grad()
def _activations(model: Stacked, counted: Counted) -> Float64[Tensor, " neurons"]:
    """A_0 of all neurons. Weights become float64 a bucket at a time: all at once would treble the model's memory."""
    a0 = torch.zeros_like(model.bias, dtype=torch.float64)
    h0 = a0.new_zeros(len(a0) + model.stack.piece)  # the last block is the zeros that padding reads
    # buckets stand in running order: what one reads, those before it have written
    for bucket in model.stack.buckets:
        neurons = slice(bucket.neuron, bucket.neuron + bucket.terms * bucket.out)
        z = _linear(model, bucket, neurons, h0)
        a = a0[neurons] = torch.tanh(z) if model.tanh_first else z
        # a term that no sample touched has variance inf: its scale is 0 and it gives beta
        scale = model.norm_weight[neurons].double() * torch.rsqrt(model.running_var[neurons].double() + model.eps)
        # `counted` is mean - a_0: taking it off leaves (a_0 - mean) * scale + beta
        h = model.norm_bias[neurons].double() - counted(neurons, a) * scale
        h0[neurons] = h if model.tanh_first else torch.tanh(h)
    return a0


def _linear(
    model: Stacked, bucket: Bucket, neurons: slice, h0: Float64[Tensor, " neurons_and_zeros"]
) -> Float64[Tensor, " some"]:
    """Z of a bucket's neurons: bias, the weights of all genes (nothing is deleted), and the children's part.

    Columns that count from the wild type add nothing to it.
    """
    piece, shape = model.stack.piece, (bucket.terms, bucket.out, bucket.inp)
    z = model.bias[neurons].to(torch.float64, copy=True)  # of a float64 model double() is the bias itself
    starts = model.stack.block_start[neurons.start // piece : neurons.stop // piece + 1]
    table = model.gene_weight[int(starts[0]) : int(starts[-1])].double()
    if len(table) and not model.from_wild_type:
        bags = model.index["block_start"][neurons.start // piece : neurons.stop // piece] - int(starts[0])
        every = torch.arange(len(table), device=table.device)
        z += embedding_bag(every, table, bags, mode="sum").view(-1)
    if bucket.inp:
        weight = model.child_weight[bucket.weight :][: bucket.terms * bucket.out * bucket.inp].view(shape)
        blocks = model.index["source"][bucket.source // piece :][: bucket.terms * bucket.inp // piece]
        inputs = h0.view(-1, piece).index_select(0, blocks).view(bucket.terms, bucket.inp, 1)
        z += torch.bmm(weight.double(), inputs).view(-1)
    return z

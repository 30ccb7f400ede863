"""BatchNorm's running statistics, and the module whose parameters and statistics lie as `layout.py` says.

The mean of a neuron is kept in two numbers, `running_mean` (what torch's BatchNorm keeps) and `running_mean_rest` (what
that dtype lost of it; 0 in float64). A rarely touched term's activations deviate from the wild type's by 1e-6 and less,
and 1/sqrt(eps) multiplies what is left of that deviation by 316 at each level. float32 holds an activation near 1 to
6e-8, so a mean in one float32 number left only rounding: the same checkpoint predicted r 0.826 in float32 and 0.836 in
float64. Two float32 numbers hold a mean to 4e-15.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int64

from gocell_cli.errors import UsageError
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.layout import Stack, StackIndex
from gocell_cli.training.network.process_group import ProcessGroup
from gocell_cli.training.network.products import Products
from gocell_cli.training.network.term_dropout import Varying

with train_extra():
    import torch
    from torch import Tensor, nn
    from torch.autograd.graph import increment_version

MEAN, REST = "running_mean", "running_mean_rest"


@dataclass(frozen=True)
class RunningStatistics:
    """A module's statistics, shared with it: what is set here is set there."""

    mean: Float[Tensor, " neurons"]
    rest: Float[Tensor, " neurons"]
    var: Float[Tensor, " neurons"]
    momentum: float

    @property
    def mean64(self) -> Float64[Tensor, " neurons"]:
        """The mean as it was set, but for one part in 2^48."""
        return self.mean.double() + self.rest.double()

    def set_mean(self, mean: Float64[Tensor, " neurons"]) -> None:
        """Store a mean in both parts."""
        self.mean.copy_(mean)
        self.rest.copy_(mean - self.mean.double())

    def move(self, mean: Float64[Tensor, " neurons"], var: Float[Tensor, " neurons"], samples: float) -> None:
        """Take in a batch's mean and biased variance, as torch's BatchNorm does: the variance times n / (n - 1)."""
        unbiased = samples / max(samples - 1, 1)
        if self.var.device.type != "cpu":
            self.set_mean(torch.lerp(self.mean64, mean, self.momentum))
            self.var.lerp_(var * unbiased, self.momentum)
            return
        # NumPy, on one thread: to wait for PyTorch's pool at each of these operations takes longer than all of them
        high, rest, own = self.mean.numpy(), self.rest.numpy(), self.var.numpy()
        with np.errstate(all="ignore"):  # what diverges is told by its loss, once, and not by a line from here as well
            whole = high.astype(np.float64) + rest
            whole += self.momentum * (mean.numpy() - whole)
            high[:] = whole
            rest[:] = whole - high
            own += self.momentum * (unbiased * var.numpy() - own)
        increment_version((self.mean, self.rest, self.var))  # what was counted from them holds no more


class Stacked(nn.Module):
    """A network in stacked tables, normalised as its settings say; DCell is the one there is."""

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
    product_in: nn.Parameter | None
    product_out: nn.Parameter | None
    running_mean: Tensor
    running_mean_rest: Tensor
    running_var: Tensor
    tanh_first: bool
    from_wild_type: bool
    eps: float
    momentum: float
    group: ProcessGroup | None

    def child_columns(self) -> Float[Tensor, " child_weights"]:
        """The child weights as a pass reads them."""
        raise NotImplementedError

    def products(self) -> Products | None:
        """The weights of products of children's deviations, as a pass reads them, where there are any."""
        raise NotImplementedError

    def varying(self) -> Varying | None:
        """Which terms vary between samples that differ in some genes, where it is not all that contain one of them."""
        raise NotImplementedError

    def gene_columns(self, read: Int64[np.ndarray, " read"] | None = None) -> Float[Tensor, "pieces piece"]:
        """The genes' columns as a pass reads them; read: the pairs that it reads, where it does not read all."""
        raise NotImplementedError

    @property
    def statistics(self) -> RunningStatistics:
        """The running statistics; setting them sets this module's."""
        return RunningStatistics(self.running_mean, self.running_mean_rest, self.running_var, self.momentum)

    def running_mean64(self) -> Float64[Tensor, " neurons"]:
        """The running mean in float64, from both of its parts."""
        return self.statistics.mean64

    def set_running_mean(self, mean: Float64[Tensor, " neurons"]) -> None:
        """Set the running mean, in both of its parts."""
        self.statistics.set_mean(mean)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Move or cast everything; a mean that is cast keeps in its rest what the new dtype can't hold."""
        mean, dtype = self.running_mean64(), self.running_mean.dtype
        found = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.running_mean.dtype != dtype and self.running_mean.device.type != "meta":
            self.set_running_mean(mean.to(self.running_mean.device))
        return found

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        """Load; a mean of another dtype is divided anew, and one of before there was a rest has none."""
        mean = state_dict.get(prefix + MEAN)
        if mean is not None:
            whole = mean.double() + state_dict.get(prefix + REST, torch.zeros_like(mean)).double()
            # state_dict is load_state_dict's own copy
            state_dict[prefix + MEAN] = high = whole.to(self.running_mean.dtype)
            state_dict[prefix + REST] = (whole - high.double()).to(high.dtype)
        super()._load_from_state_dict(state_dict, prefix, *others)


def check_samples(samples: float) -> None:
    """Raise UsageError for a training batch whose variance is not defined; its samples are those of all processes."""
    if samples < 2:
        hint = "drop the last batch, or join it to another"
        raise UsageError("BatchNorm needs at least two samples to train on", hint=hint)

"""The loss of Ma et al. 2018: the root's error, the other terms' errors at weight alpha, and L2 on the weights."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from jaxtyping import Float

from gocell_cli.errors import UsageError
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.heads import VariantHeads
from gocell_cli.training.network.delta.ready import VariantTargets

with train_extra():
    from torch import Tensor
    from torch.nn.functional import binary_cross_entropy_with_logits

Target: TypeAlias = Float[Tensor, " samples"] | VariantTargets
"""Each sample's target; or, made ready with a batch of the delta form, each variant's."""
LOSSES = ("mse", "bce")
AUXILIARY = ("sum", "mean")


@dataclass(frozen=True)
class LossParts:
    """The loss and what it is made of, each a scalar: total = root + alpha * auxiliary + l2 * weights."""

    total: Float[Tensor, ""]
    root: Float[Tensor, ""]
    auxiliary: Float[Tensor, ""]
    weights: Float[Tensor, ""]

    def shared(self, share: float, world: int, l2: float) -> "LossParts":
        """Return one process's part of the loss over all `world`: its share of the samples, 1 / world of L2.

        The parts of all processes add up to the loss of the whole batch.
        """
        samples = (self.total - l2 * self.weights) * share
        return LossParts(
            samples + l2 * self.weights / world, self.root * share, self.auxiliary * share, self.weights / world
        )


@dataclass(frozen=True)
class DCellLoss:
    """loss = L(y_root, y) + alpha * SUM_{t != root} L(y_t, y) + l2 * ||W||^2 (doi:10.1038/nmeth.4627, equation 2).

    kind: `mse`, or `bce` on logits for a phenotype of 0 and 1. auxiliary: the paper's `sum` over terms, or their
    `mean`. l2 is the paper's lambda; do not use it together with an optimiser's decoupled weight decay.
    """

    root: int
    kind: str = "mse"
    alpha: float = 0.3
    auxiliary: str = "sum"
    l2: float = 0.0

    def __post_init__(self) -> None:
        for name, allowed in {"kind": LOSSES, "auxiliary": AUXILIARY}.items():
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name} is {getattr(self, name)!r}", hint=f"one of: {', '.join(allowed)}")
        if self.alpha < 0 or self.l2 < 0:
            raise UsageError(f"alpha {self.alpha} and l2 {self.l2} must not be negative")

    def __call__(
        self,
        heads: Float[Tensor, "samples terms"] | VariantHeads,
        target: Target,
        weights: Iterable[Tensor] = (),
    ) -> LossParts:
        """Return the loss of a batch; `weights` are the tensors that l2 counts.

        Heads of distinct variants (the delta form's) give the same loss in closed form.
        Raises UsageError where heads are not [samples, terms] or the target is not [samples]: nothing is broadcast.
        """
        if len(heads.shape) != 2 or target.shape != heads.shape[:1] or not len(target):
            raise UsageError(
                f"heads are {tuple(heads.shape)} and the target {tuple(target.shape)}, "
                "not [samples, terms] and [samples]"
            )
        terms = self.term_losses(heads, target)
        root, others = terms[self.root], terms.sum() - terms[self.root]
        if self.auxiliary == "mean":
            others = others / max(heads.shape[1] - 1, 1)
        squares = sum((w.square().sum() for w in weights), start=root.new_zeros(())) if self.l2 else root.new_zeros(())
        return LossParts(root + self.alpha * others + self.l2 * squares, root, others, squares)

    def term_losses(
        self, heads: Float[Tensor, "samples terms"] | VariantHeads, target: Target
    ) -> Float[Tensor, " terms"]:
        """Each term's own loss, the mean over the samples."""
        if isinstance(heads, VariantHeads):
            return heads.term_losses(target, self.kind)
        if not isinstance(target, Tensor):
            raise UsageError("targets summed by variant are the delta form's", hint="pass the samples' targets")
        wanted = target.to(heads.dtype)[:, None].expand_as(heads)
        if self.kind == "bce":
            return binary_cross_entropy_with_logits(heads, wanted, reduction="none").mean(0)
        return (heads - wanted).square().mean(0)

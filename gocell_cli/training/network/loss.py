"""The loss of Ma et al. 2018: the root's error, the other terms' errors at weight alpha, and L2 on the weights."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from jaxtyping import Float

from gocell_cli.errors import UsageError
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.heads import VariantHeads
from gocell_cli.training.network.delta.ready import VariantTargets

with train_extra():
    import torch
    from torch import Tensor
    from torch.nn.functional import binary_cross_entropy_with_logits

Target: TypeAlias = Float[Tensor, " samples *phenotypes"] | VariantTargets
"""Each sample's target (of several phenotypes NaN where it lacks one); or, made ready with a batch of the delta form,
each variant's."""
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
        root, others = self.parts(self.term_losses(heads, target))
        squares = self.squares(weights, root)
        return LossParts(root + self.alpha * others + self.l2 * squares, root, others, squares)

    def parts(self, terms: Float[Tensor, " terms"]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Return the root's loss, and the other terms': their sum, or mean."""
        root, others = terms[self.root], terms.sum() - terms[self.root]
        return root, others / max(len(terms) - 1, 1) if self.auxiliary == "mean" else others

    def squares(self, weights: Iterable[Tensor], like: Tensor) -> Float[Tensor, ""]:
        """Return the sum of the weights' squares; 0 where it does not count."""
        none = like.new_zeros(())
        return sum((w.square().sum() for w in weights), start=none) if self.l2 else none

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


@dataclass(frozen=True)
class PhenotypesLoss:
    """loss = SUM_p w_p / f_p * (root_p + alpha * auxiliary_p) + l2 * ||W||^2 of several phenotypes p, a head each.

    `losses` are those of the phenotypes, each with its kind, and `scales` their w_p / f_p. A phenotype's part is
    DCellLoss's of the samples that have it, divided by all samples of the batch: f_p, its share of the training
    samples, makes that the mean over those that have it, whatever a batch has of them. So the loss is a mean over
    samples still, and is shared out by samples (docs/algebra.md, "Several phenotypes").
    """

    losses: tuple[DCellLoss, ...]
    scales: tuple[float, ...]

    @property
    def alpha(self) -> float:
        """Weight of the other terms' losses, the same of each phenotype."""
        return self.losses[0].alpha

    @property
    def l2(self) -> float:
        """Weight of the weights' squares."""
        return self.losses[0].l2

    def __call__(
        self,
        heads: Float[Tensor, "samples terms phenotypes"] | VariantHeads,
        target: Target,
        weights: Iterable[Tensor] = (),
    ) -> LossParts:
        """Return the loss of a batch; raises UsageError where heads and targets are not of these phenotypes."""
        wanted = (*heads.shape[:1], len(self.losses))
        if (
            not len(target)
            or len(heads.shape) != 3
            or heads.shape[2] != len(self.losses)
            or tuple(target.shape) != wanted
        ):
            raise UsageError(
                f"heads are {tuple(heads.shape)} and the target {tuple(target.shape)}, "
                f"not [samples, terms, {len(self.losses)}] and [samples, {len(self.losses)}]"
            )
        if isinstance(heads, VariantHeads) and isinstance(target, Tensor):
            plan, values = heads.plan, heads.values
            target = VariantTargets.of(plan, target.detach().double().cpu().numpy(), values.device, values.dtype)
        parts = [loss.parts(self._terms(heads, target, p)) for p, loss in enumerate(self.losses)]
        root, auxiliary = (self._joined([part[i] for part in parts]) for i in range(2))
        squares = self.losses[0].squares(weights, root)
        return LossParts(root + self.alpha * auxiliary + self.l2 * squares, root, auxiliary, squares)

    def _joined(self, parts: Sequence[Float[Tensor, ""]]) -> Float[Tensor, ""]:
        found = torch.stack([scale * part for scale, part in zip(self.scales, parts, strict=True)])
        return found.sum()

    def _terms(self, heads: Tensor | VariantHeads, target: Target, number: int) -> Float[Tensor, " terms"]:
        """Each term's loss of one phenotype, summed over the samples that have it, by all samples."""
        loss = self.losses[number]
        if isinstance(heads, VariantHeads) and isinstance(target, VariantTargets):
            return loss.term_losses(heads.of_phenotype(number), target.of_phenotype(number))
        if not isinstance(target, Tensor) or not isinstance(heads, Tensor):
            raise UsageError("targets summed by variant are the delta form's", hint="pass the samples' targets")
        known = torch.isfinite(target[:, number])
        kept = known.nonzero()[:, 0]
        if not len(kept):
            return heads.new_zeros(heads.shape[1]) * heads[0, :, number]
        found = loss.term_losses(heads[..., number].index_select(0, kept), target[kept, number])
        return found * (len(kept) / len(heads))

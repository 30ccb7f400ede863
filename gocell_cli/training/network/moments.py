"""Means and sums of squared deviations of parts, joined: batches one after another, or the processes' shares of one."""

from jaxtyping import Float

from gocell_cli.training.extra import train_extra

with train_extra():
    from torch import Tensor

Moments = tuple[Float[Tensor, " rows"], Float[Tensor, " rows"]]
"""A mean of each row, and the sum of squared deviations from it."""


def joined(
    counts: Float[Tensor, " parts"], means: Float[Tensor, "parts rows"], squares: Float[Tensor, "parts rows"]
) -> Moments:
    """Join parts of `counts` samples each, of which one at least has any; a part without a sample holds zeros.

    Each part's squares are of deviations from its own mean, as Chan et al. 1983 (doi:10.1080/00031305.1983.10483115)
    join two: joined sums of raw squares would cancel to rounding.
    """
    weight = counts[:, None]
    mean = (weight * means).sum(0) / counts.sum()
    return mean, (squares + weight * (means - mean).square()).sum(0)

"""The loss by hand, and every shape that must not be broadcast."""

import inspect

import pytest
import torch

from gocell_cli.errors import UsageError
from gocell_cli.training.network.loss import DCellLoss

HEADS = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 1.0]])
TARGET = torch.tensor([1.0, 2.0])


def test_the_papers_sum_by_hand() -> None:
    # per term: ((0)^2 + (-2)^2) / 2 = 2; (1 + 4) / 2 = 2.5; (4 + 1) / 2 = 2.5
    parts = DCellLoss(root=0)(HEADS, TARGET)
    assert parts.root == 2.0
    assert parts.auxiliary == 5.0
    assert parts.total == pytest.approx(2.0 + 0.3 * 5.0)


def test_the_mean_over_terms_and_l2() -> None:
    parts = DCellLoss(root=2, auxiliary="mean", l2=0.5)(HEADS, TARGET, [torch.tensor([1.0, 2.0]), torch.tensor([3.0])])
    assert parts.auxiliary == pytest.approx(2.25)
    assert parts.weights == 14.0
    assert parts.total == pytest.approx(2.5 + 0.3 * 2.25 + 0.5 * 14)


def test_bce_on_logits_is_torchs_own() -> None:
    target = torch.tensor([1.0, 0.0])
    parts = DCellLoss(root=0, kind="bce")(HEADS, target)
    assert parts.root == pytest.approx(float(torch.nn.BCEWithLogitsLoss()(HEADS[:, 0], target)))


@pytest.mark.parametrize(
    ("heads", "target"),
    [
        (HEADS, TARGET[:, None]),
        (HEADS[:, 0], TARGET),
        (HEADS, torch.ones(3)),
        (HEADS, torch.ones(1)),
        (HEADS[:0], TARGET[:0]),
    ],
)
def test_nothing_is_broadcast(heads: torch.Tensor, target: torch.Tensor) -> None:
    """jaxtyping refuses it under pytest; `python -O` of a user's machine has no such check, so the loss has its own."""
    unchecked = inspect.unwrap(DCellLoss.__call__)
    with pytest.raises(UsageError, match="heads are"):
        unchecked(DCellLoss(root=0), heads, target)


def test_unknown_choices_are_errors() -> None:
    with pytest.raises(UsageError, match="kind is 'mae'"):
        DCellLoss(root=0, kind="mae")
    with pytest.raises(UsageError, match="must not be negative"):
        DCellLoss(root=0, alpha=-1.0)

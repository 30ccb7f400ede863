"""epsilon where a network's wild type is not 1: told, and said against the model's own."""

import pytest

from gocell_cli.commands.model.predict import _print
from gocell_cli.training.inference.predict import Prediction, relative_epsilon


def prediction(wild: float) -> Prediction:
    """Two genes without interaction: each takes a half of what is there."""
    parts = {"wild type": wild, "A": wild / 2, "B": wild / 2, "A+B": wild / 4}
    plain = parts["A+B"] - parts["A"] * parts["B"]
    return Prediction(("A", "B"), "fitness", parts["A+B"], (), parts, {"A+B": plain}, {})


@pytest.mark.parametrize("wild", [1.0, 0.83, 1.4])
def test_no_interaction_is_none_against_the_models_own_wild_type(wild: float) -> None:
    assert relative_epsilon(prediction(wild)) == {"A+B": pytest.approx(0.0, abs=1e-12)}


@pytest.mark.parametrize(("wild", "warned"), [(1.0, False), (1.04, False), (0.83, True), (0.0, True)])
def test_a_wild_type_off_1_is_told(wild: float, warned: bool, capsys: pytest.CaptureFixture[str]) -> None:
    _print(prediction(wild))
    told = capsys.readouterr().err
    assert (f"warning: the wild type is predicted {wild:.2f}, not 1" in told) == warned
    assert ("against the model's own wild type: A+B" in told) == (warned and wild > 0)

"""What a run's results say in words of single effects, and of too few samples."""

from gocell_cli.run_record import beside_singles


def test_worse_than_single_effects_is_said() -> None:
    singles = {"additive": {"pearson": 0.85}, "multiplicative": {"pearson": 0.9}, "mlp": {"pearson": 0.99}}
    said = beside_singles("DCell", {"pearson": 0.71}, singles, 40)
    assert said == (
        "DCell predicts worse than adding up single effects (r 0.71 against 0.90, 40 samples): do not read its terms"
    )
    few = beside_singles("DCell", {"pearson": 0.71}, singles, 29)
    assert few == said.replace("40", "29") + "; 29 samples are too few for a claim"
    assert beside_singles("blend", {"pearson": 0.71}, singles, 40).endswith("single effects are the better prediction")


def test_what_is_not_worse_is_not_said() -> None:
    assert beside_singles("DCell", {"pearson": 0.9}, {"additive": {"pearson": 0.9}}, 40) == ""
    assert beside_singles("DCell", {"pearson": None}, {"additive": {"pearson": 0.9}}, 40) == ""
    assert beside_singles("DCell", {"pearson": 0.9}, {"additive": {"pearson": None}}, 40) == ""
    assert beside_singles("DCell", {"pearson": 0.9}, {}, 29) == "29 samples are too few for a claim"

"""Figures are written whole, for long and for empty histories."""

from pathlib import Path

import numpy as np
import pytest

from gocell_cli.figures import run_figures as figures
from gocell_cli.figures.term_figures import term_bars

HISTORY = [{"train_loss_root": 1 / e, "validation_loss_root": 1.2 / e, "learning_rate": 1e-3 / e} for e in range(1, 9)]


def is_png(path: Path) -> bool:
    content = path.read_bytes()
    return content[:8] == b"\x89PNG\r\n\x1a\n" and len(content) > 5000 and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("n", [0, 1, 300, 5000])
def test_predictions(tmp_path: Path, n: int) -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=n)
    predicted = true + rng.normal(size=n)
    for number, draw in enumerate((lambda p: figures.predicted_against_true(predicted, true, 0.7 if n > 1 else None, p),
                                   lambda p: figures.distributions(predicted, true, p))):  # fmt: skip
        folder = tmp_path / str(number)
        folder.mkdir()
        assert is_png(draw(folder / "figure.png"))


@pytest.mark.parametrize("epochs", [0, 1, 8])
def test_histories(tmp_path: Path, epochs: int) -> None:
    for number, draw in enumerate((figures.loss_curves, figures.learning_rate)):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert is_png(draw(HISTORY[:epochs], folder / "figure.png"))


def test_bars(tmp_path: Path) -> None:
    assert is_png(figures.error_per_split({"train": 0.1, "validation": 0.2, "test": 0.25}, tmp_path / "a.png"))
    entries = [{"term": f"GO:{i:07d}", "name": "a long name of a term " * 3, "rlipp": 2 - i / 20} for i in range(40)]
    (tmp_path / "b").mkdir()
    assert is_png(
        term_bars([*entries, {"term": "x", "name": "none", "rlipp": None}], "rlipp", "RLIPP", tmp_path / "b" / "b.png")
    )
    (tmp_path / "c").mkdir()
    assert is_png(term_bars([], "rlipp", "RLIPP", tmp_path / "c" / "c.png"))

"""Figures are written whole, for long and for empty histories."""

import html
import io
import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from gocell_cli.figures import run_figures as figures
from gocell_cli.figures.canvas import draw_svg
from gocell_cli.figures.term_figures import term_bars

HISTORY = [{"train_loss_root": 1 / e, "validation_loss_root": 1.2 / e, "learning_rate": 1e-3 / e} for e in range(1, 9)]


def texts(figure: Figure) -> str:
    """All that a figure says, drawn as SVG and read."""
    out = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "none"}):
        draw_svg(figure, out)
    return " ".join(re.findall(r">([^<>]+)</(?:text|tspan)>", html.unescape(out.getvalue().decode())))


@pytest.mark.parametrize("n", [0, 1, 300, 5000])
@pytest.mark.parametrize("who", [("DCell",), ("blend", "DCell")])
def test_predictions(n: int, who: tuple[str, ...]) -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=n)
    predicted = {name: true + rng.normal(size=n) for name in who}
    said = texts(figures.predicted_against_true(predicted, true, {"DCell": 0.7 if n > 1 else None}, "fitness"))
    assert said.count("measured fitness (wild type 1)") == len(who)
    assert said.count("predicted fitness (wild type 1)") == len(who)
    assert f"DCell: {'r = 0.700' if n > 1 else 'r not defined'}, n = {n:,}" in said
    assert "growth rate [1/h]" in texts(figures.distributions(predicted, true, "growth rate [1/h]"))


@pytest.mark.parametrize("epochs", [0, 1, 8])
def test_histories(epochs: int) -> None:
    assert "validation" in texts(figures.loss_curves(HISTORY[:epochs])) or not epochs
    assert "learning rate" in texts(figures.learning_rate(HISTORY[:epochs]))


def test_every_figure_of_a_run_is_three_whole_files(tmp_path: Path) -> None:
    lines = [{"train": {"loss_root": 1.0}, "validation": {}, "learning_rate": 0.1}]
    true = np.arange(5.0)
    errors = {"train": 0.1, "validation": 0.2, "test": 0.25}
    figures.draw_run(lines, errors, {"DCell": true + 1}, true, {"DCell": 1.0}, "fitness", tmp_path)
    found = sorted(path.name for path in tmp_path.iterdir())
    names = ("distributions", "error_per_split", "learning_rate", "loss", "predicted_against_true")
    assert found == [f"{name}.{suffix}" for name in names for suffix in ("pdf", "png", "svg")]
    begins = {".pdf": b"%PDF", ".png": b"\x89PNG", ".svg": b"<?xml"}
    assert all(path.read_bytes().startswith(begins[path.suffix]) for path in tmp_path.iterdir())


def test_terms_are_named_whole() -> None:
    name = "RNA polymerase II transcription factor activity, sequence-specific DNA binding, of a very long name " * 2
    entries = [{"term": f"GO:{i:07d}", "name": name, "about": f"level {i}", "rlipp": 2 - i / 20} for i in range(40)]
    figure = term_bars([{**entries[0], "rlipp": None}, *entries[1:]], "rlipp", "Deletion of X\nof 40", "RLIPP")
    said = texts(figure)
    assert "Deletion of X" in said
    assert "GO:0000000" not in said  # it has no value
    assert said.count("GO:") == 20
    labels = [label.get_text().splitlines() for label in figure.axes[0].get_yticklabels()]
    assert " ".join(labels[0][:-1]) == name.strip()
    assert labels[0][-1] == "GO:0000001, level 1"
    heights = np.diff([bar.get_y() for bar in figure.axes[0].patches])
    assert (heights >= len(labels[0])).all()  # a name's lines have room
    assert "no term has a value" in texts(term_bars([], "rlipp", "none", "RLIPP"))

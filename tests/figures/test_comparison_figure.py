"""The figure of a comparison: an interval where there is one, whole files in each format, the same each time."""

from pathlib import Path

import pytest

from gocell_cli.figures.canvas import save
from gocell_cli.figures.comparison_figure import Bar, comparison_figure

BARS = (
    Bar("additive, of a long name that would leave no room for data", -0.1, (-0.12, -0.08), (-0.2, 0.01), (-0.1, -0.2)),
    Bar("$b$", 0.02, (0.01, 0.03), None),
)


def test_intervals_stand_where_they_are() -> None:
    (axes,) = comparison_figure(BARS, "pearson", "DCell").axes
    segments = [s.tolist() for c in axes.collections for s in c.get_segments()]
    ends = [(low[0], high[0]) for low, high in segments]
    assert ends == [(-0.12, -0.08), (0.01, 0.03), (-0.2, 0.01)]
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"{BARS[0].name[:37]}...", r"\$b\$"]
    top, bottom = axes.get_ylim()
    assert top > bottom, "the first stands on top"


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
@pytest.mark.parametrize("bars", [BARS, ()])
def test_files_are_whole_and_repeatable(bars: tuple[Bar, ...], suffix: str, tmp_path: Path) -> None:
    made = [save(comparison_figure(bars, "rmse", "DCell"), tmp_path / f"{name}{suffix}").read_bytes() for name in "ab"]
    assert made[0] == made[1]
    assert made[0].startswith({".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF"}[suffix])

"""What the figures of a cache draw, against plain loops over its samples."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gocell_cli.figures.cache_figures import funnel, rows_touched, sample_figures
from gocell_cli.figures.canvas import save
from gocell_cli.storage.schema import Labels, Sample, Samples
from tests.storage.strategies import as_columns, bare_hierarchy

ROWS = {(0, 0), (1, 0), (1, 1), (2, 1), (2, 2), (0, 2), (1, 2)}
HIERARCHY = bare_hierarchy(3, 5, ROWS, [0, 1, 2])


def _samples(genotypes: list[set[int]], values: list[float]) -> Samples:
    pairs = zip(genotypes, values, strict=True)
    return as_columns([Sample(tuple(sorted(genes)), value, None, 0, None, ()) for genes, value in pairs])


@given(st.lists(st.sets(st.integers(0, 4))))
def test_rows_touched_are_the_rows_of_the_deleted_genes(genotypes: list[set[int]]) -> None:
    found = rows_touched(_samples(genotypes, [0.0] * len(genotypes)), HIERARCHY)
    assert found.tolist() == [sum(gene in genes for _, gene in ROWS) for genes in genotypes]


@pytest.mark.parametrize("values", [[], [1.0], [np.nan], [0.0, 1.0] * 20, np.linspace(-2, 2, 500).tolist()], ids=len)
def test_any_cache_has_its_figure(values: list[float], tmp_path: Path) -> None:
    genotypes = [{i % 5, i * i % 5} for i in range(len(values))]
    figure = sample_figures(_samples(genotypes, values), HIERARCHY, "fitness")
    assert save(figure, tmp_path / "figure.png").stat().st_size > 5000
    known = int(np.isfinite(values).sum())
    left, middle, right = figure.axes
    assert left.get_title().startswith(f"Phenotype fitness: {known} samples")
    for axes in (middle, right):
        assert sum(bar.get_height() for bar in axes.patches) == len(values)
    assert sum(bar.get_height() for bar in left.patches) == known


def test_each_of_several_phenotypes_has_a_panel(tmp_path: Path) -> None:
    samples = _samples([{0}, {1}, {2}], [0.1, 0.2, 0.3])
    other = Labels(np.array([1.0, np.nan, 3.0]), np.full(3, np.nan))
    both = sample_figures(replace(samples, others=(other,)), HIERARCHY, "fitness", "tau")
    assert save(both, tmp_path / "figure.png").stat().st_size > 5000
    titles = [axes.get_title() for axes in both.axes]
    assert titles[:2] == ["Phenotype fitness: 3 samples", "Phenotype tau: 2 samples, 1 without"]
    assert len(titles) == 4


@pytest.mark.parametrize(
    "values", [[0.1, 0.1 + 1e-17, 0.1 + 2e-17], [1.0, 2.0, 3.0, 1e300], [-1.7e308, 1.0, 1.7e308], [1e-320, 2e-320, 0.0]]
)
def test_any_numbers_have_their_figure(values: list[float], tmp_path: Path) -> None:
    values = [np.nextafter(0.1, 1), 0.1, np.nextafter(0.1, 0)] if values[0] == 0.1 else values
    figure = sample_figures(_samples([{0}] * len(values), values), HIERARCHY, "fitness")
    assert save(figure, tmp_path / "figure.svg").stat().st_size > 5000
    assert sum(bar.get_height() for bar in figure.axes[0].patches) == len(values)


NAMES = (
    "$x^2$ and $",
    r"\$\frac{1}{0}$",
    "[/b]",
    "<script>alert(1)</script>",
    "\x1b]0;title\x07",
    "\u202eab",
    "x" * 4000,
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_any_name_is_drawn_as_it_is(name: str, suffix: str, tmp_path: Path) -> None:
    figure = sample_figures(_samples([{0}, {1}, {2}], [0.1, 0.2, 0.3]), HIERARCHY, name)
    content = save(figure, tmp_path / f"figure{suffix}").read_bytes()
    assert save(funnel({name: 3, "b": 2}, "Terms"), tmp_path / f"funnel{suffix}").is_file()
    assert not any(mark in content for mark in (b"<script", b"\x1b]0", "\u202e".encode()))
    assert len(figure.axes[0].get_xlabel()) < 200


HOSTILE = "text.usetex: True\nsavefig.dpi: 7\nfont.size: 40\n"


def test_a_matplotlibrc_of_the_working_directory_is_not_heard(tmp_path: Path) -> None:
    """Whoever stands in a stranger's folder runs none of its TeX, and gets the same figure."""
    module = "from pathlib import Path; from gocell_cli.figures.canvas import begin, save; "
    draw = module + "save(begin('a', 'b', 'c')[0], Path('f.png'))"
    found = []
    for name, rc in (("plain", None), ("hostile", HOSTILE)):
        (tmp_path / name).mkdir()
        if rc is not None:
            (tmp_path / name / "matplotlibrc").write_text(rc)
        subprocess.run([sys.executable, "-c", draw], cwd=tmp_path / name, check=True, timeout=300)
        found.append((tmp_path / name / "f.png").read_bytes())
    assert found[0] == found[1]


def test_the_funnel_shows_every_step_and_its_share(tmp_path: Path) -> None:
    figure = funnel({"ontology": 200, "big enough": 50, "not redundant": 40}, "Terms")
    assert [text.get_text().strip() for text in figure.axes[0].texts] == ["200", "50 (25.0%)", "40 (80.0%)"]
    assert save(figure, tmp_path / "figure.svg").is_file()

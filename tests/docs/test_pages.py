"""The docs are true: the tutorial runs, code blocks run, every command and option stands there, the site builds."""

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer

from gocell_cli import errors
from gocell_cli.commands.shell.settings import leaves
from gocell_cli.commands.tree import mounted
from tests.attempts import whole_only
from tests.browser import needs_browser, opened
from tests.commands import runners
from tests.commands.conftest import Built
from tests.docs.console_blocks import Step, differs, run, steps

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
TREE: Any = typer.main.get_command(mounted())


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does: any warning fails."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", str(out / "doctrees"), str(DOCS)]
    process = subprocess.run([*command, str(out / "html")], capture_output=True, text=True, timeout=300, check=False)
    assert process.returncode == 0, process.stderr
    return out / "html"


@whole_only  # it trains for a minute; the demo's first commands are run by a test of their own
def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    found = steps((DOCS / "tutorial.md").read_text("utf-8"))
    assert len(found) > 8
    for step in found:
        printed = run(step, tmp_path)
        wrong = differs(step.expected, printed)
        assert not wrong, f"$ {step.command}\nexpected: {wrong}\nprinted:\n{printed}"


def test_the_demos_first_commands_do_what_they_say(tmp_path: Path) -> None:
    shown = steps((DOCS / "demo.md").read_text("utf-8"))
    assert len(shown) > 3
    for step in shown[:4]:  # the last trains for a minute
        printed = run(step, tmp_path)
        wrong = differs(step.expected, printed)
        assert not wrong, f"$ {step.command}\nexpected: {wrong}\nprinted:\n{printed}"


def test_the_readmes_picture_is_what_the_command_draws(tmp_path: Path) -> None:
    pinned = re.search(r"^matplotlib==(.*)$", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE)
    if pinned is None or version("matplotlib") != pinned[1]:
        pytest.skip("another matplotlib than the pinned one draws other bytes")
    run(Step("gocell plot levels --out levels.svg", ()), tmp_path)
    assert (tmp_path / "levels.svg").read_bytes() == (DOCS / "levels.svg").read_bytes()


@pytest.mark.parametrize(
    ("expected", "printed", "wrong"),
    [
        (("a", "..."), "a\nb\nc\n", ""),
        (("a", "c"), "a\nb\nc\n", "c"),
        (("a  1", "...", "c ... e"), "a 1\n\nb\nc d e\n", ""),
        (("a", "...", "a"), "a\nb\n", "a"),
        (("a",), "a\nb\n", "not said to be printed: b"),
    ],
)
def test_the_comparison_can_fail(expected: tuple[str, ...], printed: str, wrong: str) -> None:
    assert differs(expected, printed) == wrong
    assert steps("```console\n$ one\nits line\n$ two\n```\n") == [Step("one", ("its line",)), Step("two", ())]


def test_the_code_of_own_trainers_runs(essentiality: Built, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "gocell_data").symlink_to(essentiality.root)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    blocks = PYTHON_BLOCK.findall((DOCS / "howto" / "own-trainer.md").read_text("utf-8"))
    assert len(blocks) == 5
    for block in blocks:
        exec(compile(block, "own-trainer.md", "exec"), names)
    assert len(names["batch"]) == len(names["cache"]) % 512  # the last of an epoch is what is left
    assert names["model"].bias.grad.abs().sum() > 0


def test_the_loop_of_ones_own_predicts_what_train_does(
    essentiality: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ("--epochs", 2, "--set", "min_width=2", "--set", "wide=none", "--set", "neighbours=none")
    command = ("train", essentiality.cache, "--out", tmp_path / "run", "--baselines", "none", *settings)
    trained = runners.run(*command, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    (tmp_path / "gocell_data").symlink_to(essentiality.root)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in PYTHON_BLOCK.findall((DOCS / "howto" / "own-model.md").read_text("utf-8")):
        exec(compile(block, "own-model.md", "exec"), names)
    table = pq.read_table(tmp_path / "run" / "test.parquet").to_pydict()
    assert table["sample"] == names["samples"].split.test.tolist()
    assert np.std(names["predicted"]) > 1e-4
    assert np.allclose(names["predicted"], table["DCell"], rtol=0, atol=1e-5)


def test_the_code_for_torchcells_users_runs(essentiality: Built) -> None:
    names: dict[str, Any] = {"directory": essentiality.cache}
    for block in PYTHON_BLOCK.findall((DOCS / "howto" / "torchcell.md").read_text("utf-8")):
        exec(compile(block, "torchcell.md", "exec"), names)
    term = names["dataset"][0]["gene_ontology"]
    assert set(names["follow_batch"]) == {"perturbation_indices", "go_gene_strata_state"}
    assert term.go_gene_strata_state.shape[1] == 4
    assert names["sample"]["gene_ontology"].mutant_state.shape[1] == 4


def test_the_code_for_networkx_runs(essentiality: Built) -> None:
    (block,) = PYTHON_BLOCK.findall((DOCS / "howto" / "own-data.md").read_text("utf-8"))
    names: dict[str, Any] = {"directory": essentiality.cache}
    exec(compile(block, "own-data.md", "exec"), names)
    used = names["used"]
    assert {"evidence": "IDA", "qualifier": "", "date": 20030718} in used.nodes["GO:0000932"]["genes"]["YOL149W"]
    assert (len(used), used.number_of_edges()) == (3793, 7064)


def _parameters() -> list[tuple[str, Any]]:
    return [(" ".join(words), param) for words, leaf in leaves(TREE) for param in leaf.params]


@pytest.mark.parametrize(("command", "param"), _parameters(), ids=lambda x: x if isinstance(x, str) else x.name)
def test_every_option_has_help(command: str, param: Any) -> None:
    assert param.help, f"gocell {command} {param.name}"


def test_every_command_and_option_stands_in_the_reference(site: Path) -> None:
    page = (site / "_generated" / "commands.html").read_text("utf-8")
    told = (DOCS / "commands.md").read_text("utf-8")
    sections = dict(zip(*_sections(page), strict=True))
    for words, leaf in leaves(TREE):
        section = sections["-".join(("gocell", *words))]
        for param in leaf.params:
            if getattr(param, "hidden", False):  # a spelling of before, which nobody is to learn
                continue
            for name in param.opts if param.param_type_name == "option" else [param.name.upper()]:
                assert f">{name}<" in section, f"gocell {' '.join(words)} {name}"
        assert words[0] in told


def _sections(page: str) -> tuple[list[str], list[str]]:
    """The ids and texts of a page's sections."""
    parts = re.split(r'<section id="(gocell-[a-z-]+)">', page)
    return parts[1::2], parts[2::2]


def test_every_file_that_the_house_names_is_there() -> None:
    names = re.findall(r"`([a-z_]+/[a-z_/]*(?:\.py|\.md|/))`", (DOCS / "house.md").read_text("utf-8"))
    assert len(names) > 40
    assert not [name for name in names if not any((base / name).exists() for base in (ROOT, ROOT / "gocell_cli"))]


def test_every_exit_code_is_explained(site: Path) -> None:
    page = (site / "_generated" / "exit-codes.html").read_text("utf-8")
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.GocellError)]
    for code in {c.exit_code for c in classes} | {0, 130, 143}:
        assert f"<td><p>{code}</p></td>" in page


@needs_browser
@pytest.mark.parametrize("page", ["index.html", "why-levels.html", "tutorial.html", "_generated/commands.html"])
def test_pages_in_a_browser(site: Path, page: str) -> None:
    with opened(site / page) as seen:
        assert not seen.broken_images()
        assert not seen.errors
        assert not [url for url in seen.requests if not url.startswith(("file:", "data:"))]
        assert seen.overflow() <= 0

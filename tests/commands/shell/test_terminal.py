"""Names of the user's are printed as they are: no markup is read from them, no terminal obeys them, nothing raises."""

import io
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rich.text import Text

from gocell_cli.building.build import BuildMode, build
from gocell_cli.building.plan import BuildPlan
from gocell_cli.commands.shell.terminal import line, make_table, note, report_error, show, show_json, styled
from gocell_cli.errors import InvalidInput
from gocell_cli.user_text import UNSAFE, one_line, printable
from tests import toy
from tests.commands.runners import document, failure, invoke, run_real

NASTY = ("rate [/h]", "growth rate [1/h]", "[bold]x[/bold]", "[min]", "\\[x", "a\\", ":smile:", "\x1b[31mred", "$a$ $b")
SHOWING = (
    ("inspect", "cache"),
    ("inspect", "sample", "1"),
    ("inspect", "level", "3"),
    ("inspect", "gene", "YAL003W"),
    ("inspect", "samples"),
    ("cache", "info"),
)


def printed(print_it: Callable[[], None]) -> str:
    """What a call prints, on either stream."""
    stream = io.StringIO()
    with redirect_stdout(stream), redirect_stderr(stream):
        print_it()
    return stream.getvalue()


def squeezed(text: str) -> str:
    """Text without white space, where a table may have broken it."""
    return "".join(text.split())


def with_examples(test: Callable[..., None]) -> Callable[..., None]:
    for text in NASTY:
        test = example(text)(test)
    return test


@with_examples
@given(st.text())
def test_any_text_is_printed_literally(text: str) -> None:
    expanded = Text(printable(text))
    expanded.expand_tabs(8)  # rich counts cells, of which a CJK letter takes two; str.expandtabs counts letters
    literal = expanded.plain
    assert literal in printed(lambda: show(text))
    assert squeezed(literal) in squeezed(printed(lambda: note(text, text)))
    assert squeezed(literal) in squeezed(printed(lambda: show(line(styled("bold red", text), text))))
    said = printed(lambda: report_error(text, "why", text))
    assert squeezed(said).count(squeezed(literal)) >= 2
    table = squeezed(printed(lambda: show(make_table(text, [text, "n"], [[text, "1"]]))))
    in_cells = squeezed(one_line(text))  # a line break would be a row that nobody wrote
    assert not in_cells or table.count(in_cells) >= 1
    assert "\x1b" not in said + table


@given(st.text(st.characters()))
@example("\x9b31m \udcff \U0001f600")
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_json_holds_the_text_itself_and_no_control_character(encoding: str, text: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    before, sys.stdout = sys.stdout, stream
    try:
        show_json({"name": text})
    finally:
        sys.stdout = before
    stream.flush()
    written = stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert json.loads(written) == {"name": text}
    assert not [c for c in written if UNSAFE.match(c)]


def renamed(plan: BuildPlan, text: str) -> BuildPlan:
    """The toy plan with one name in every place where a user's file may put one."""
    terms, genes = len(plan.hierarchy.term_names), len(plan.hierarchy.gene_names)
    names = replace(plan.hierarchy, term_names=(text,) * terms, gene_standard=(text,) * genes)
    strains = tuple((text, *rest) for _, *rest in plan.provenance.strains)
    groups = (text,) * len(plan.provenance.query_groups)
    counts = {
        **plan.counts,
        "dropped": {text: plan.counts["rows_read"] - plan.counts["samples"]},
        "terms_after": {text: 4},
    }
    return replace(
        plan,
        hierarchy=names,
        provenance=replace(plan.provenance, strains=strains, query_groups=groups),
        phenotypes=(replace(plan.phenotype, kind=text),),
        counts=counts,
    )


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8))  # short: long ones are folded within a column
@example("rate [/h]")
@example("0\n1")
@example("\x1b[31m[x]\\")
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_cache_whose_names_are_any_text(toy_plan: BuildPlan, text: str) -> None:
    with TemporaryDirectory() as folder:
        cache = build(renamed(toy_plan, text), Path(folder) / "cache", BuildMode()).directory
        for words in SHOWING:
            result = invoke(*words, "--cache", cache) if words[0] == "inspect" else invoke(*words, cache)
            assert result.exit_code == 0, (words, result.exception)
            shown = squeezed(result.stdout)  # a line break in a table's cell would be a row that nobody wrote
            assert squeezed(printable(text)) in shown or squeezed(one_line(text)) in shown, words
            assert "\x1b" not in result.output
        assert document("inspect", "sample", 1, "--cache", cache)["phenotype"] == text


@pytest.mark.parametrize("text", ["$a$ [/h] $\\frac$", "生 \x1b[31m\0"])
def test_figures_and_the_report_take_any_name(tmp_path: Path, toy_plan: BuildPlan, text: str) -> None:
    cache = build(renamed(toy_plan, text), tmp_path / "cache", BuildMode()).directory
    for words in (
        ("plot", "cache", "--cache", cache, "--out", tmp_path / "a.svg"),
        ("report", cache, "--out", tmp_path / "a.html"),
    ):
        result = invoke(*words)
        assert result.exit_code == 0, result.exception
    page = (tmp_path / "a.html").read_text("utf-8")
    assert printable(text) in page
    assert "\x1b" not in page


@pytest.mark.parametrize("name", ["growth rate [1/h]", "../../evil", "x" * 300])
def test_a_phenotype_of_any_name_lies_where_caches_lie(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text(f'genes,"{name}"\nTFC3,0.5\nVPS8,0.25\n', "utf-8")
    root = tmp_path / "deep" / "root"
    toy_files = ("--obo", toy.write_obo(tmp_path), "--gaf", toy.write_gaf(tmp_path))
    words = ("build-cache", "--dataset", "table", "--raw", "mine.csv", "--root", root, *toy_files)
    built = document(*words)
    assert Path(built["cache"]).parent == root / "caches"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deep", "mine.csv", "toy.gaf", "toy.obo"]
    assert [(e["state"], e["phenotype"]) for e in document("cache", "ls", "--root", root)["caches"]] == [
        ("finished", name)
    ]
    assert squeezed(name) in squeezed(invoke("inspect", "cache", "--root", root).stdout)
    assert document(*words)["status"] == "up to date"
    assert document("cache", "rebuild", "--root", root)["cache"] == built["cache"]


def test_a_path_in_an_error_is_printed_as_it_is(tmp_path: Path) -> None:
    name = "no [/such] \x1b[31mfile.obo"
    error = failure("verify-levels", "--obo", tmp_path / name)
    assert isinstance(error, InvalidInput) or name in error.message
    result = run_real("verify-levels", "--obo", tmp_path / name, cwd=tmp_path)
    assert "no [/such] \\x1b[31mfile.obo" in result.stderr, result.stderr
    assert "\x1b" not in result.stderr


def test_a_stream_that_lacks_letters_is_no_traceback(tmp_path: Path) -> None:
    result = run_real("cache", "info", tmp_path / "größe", cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert result.returncode == 6
    assert "gr\\xf6\\xdfe: no such cache" in result.stderr

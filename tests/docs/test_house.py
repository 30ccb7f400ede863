"""docs/house.md is true: its first six lines name what really runs, and no page or comment cites a file that is not."""

import re
import sys
from pathlib import Path

import pytest
import torch

from gocell_cli.building.build import BuildMode, build
from gocell_cli.building.plan import BuildOptions, plan_build
from gocell_cli.domain.genes import GeneTable
from gocell_cli.sources.screens import kuzmin
from gocell_cli.storage.reader import Cache
from gocell_cli.training.data.batch import CacheRows
from gocell_cli.training.network.dcell import DCell, DCellConfig
from gocell_cli.training.runs.store import RunStore
from tests import toy
from tests.docs.test_pages import DOCS, ROOT
from tests.docs.transcripts import files

PLACE = re.compile(r"`([a-z_/0-9]+\.py):(\w+)`")
FILE = re.compile(r"(?<![\w/.])((?:\w+/)*\w+\.py)\b")
NOT_OURS = {"torchcell/graph/graph.py", "setup.py"}
UNSHIPPED = re.compile(r"\balgebra \d|the model's design|of the design\b|design page|reference/\w+\.md", re.IGNORECASE)
LINES = [line for line in (DOCS / "house.md").read_text("utf-8").splitlines() if re.match(r"\d\. ", line)]


def a_small_job(folder: Path, table: Path, genes: GeneTable) -> None:
    """From a TSV to a checkpoint, on the toy ontology."""
    dataset = kuzmin.read(kuzmin.STUDIES["kuzmin2018"], [table], genes, phenotype="fitness", order="all")
    plan = plan_build(toy.ontology(folder), toy.annotations(folder), genes, dataset, BuildOptions(toy.RULES), {})
    cache = Cache(build(plan, folder / "cache", BuildMode()).directory)
    cache.mutant_state([0])
    for form in ("dense", "delta"):
        model = DCell(cache.hierarchy, DCellConfig(form=form, min_width=2))
        model.heads(CacheRows(cache).__getitems__([0, 1]))
    RunStore(folder / "run").save("last", {"bias": torch.zeros(1)}, {})


def test_the_six_places_are_where_it_happens(tmp_path: Path, toy_table: Path, toy_genes: GeneTable) -> None:
    places = {(path, name) for line in LINES for path, name in PLACE.findall(line)}
    assert [line[0] for line in LINES] == list("123456")
    assert all(PLACE.search(line) for line in LINES)
    called = set()

    def watch(frame: object, event: str, _: object) -> None:
        if event == "call":
            called.add((frame.f_code.co_filename, frame.f_code.co_name))  # type: ignore[attr-defined]

    sys.setprofile(watch)
    try:
        a_small_job(tmp_path, toy_table, toy_genes)
    finally:
        sys.setprofile(None)
    assert not [place for place in places if (str(ROOT / place[0]), place[1]) not in called]


def _cited(text: str) -> set[str]:
    return set(FILE.findall(text)) - NOT_OURS


def _prose() -> list[Path]:
    pages = [ROOT / "README.md", ROOT / "schemas" / "README.md", *DOCS.rglob("*.md")]
    return [*(p for p in pages if "_build" not in p.parts and "_generated" not in p.parts), *_modules()]


def _modules() -> list[Path]:
    return [*(ROOT / "gocell_cli").rglob("*.py"), *(ROOT / "tools").rglob("*.py")]


def test_every_file_that_is_cited_is_there() -> None:
    there = [
        f"/{path.relative_to(ROOT).as_posix()}"
        for d in ("gocell_cli", "tests", "docs", "tools")
        for path in (ROOT / d).rglob("*.py")
    ]
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in _prose()
        for name in _cited(path.read_text("utf-8")) - files(path.read_text("utf-8")).keys()  # a page's own
        if not any(file.endswith(f"/{name}") for file in there)
    }
    assert not missing


def test_no_page_that_is_not_shipped_is_cited() -> None:
    found = [f"{p.relative_to(ROOT)}: {m[0]}" for p in _prose() for m in UNSHIPPED.finditer(p.read_text("utf-8"))]
    assert not found


@pytest.mark.parametrize("text", ["see `gone.py`", "training/delta_levels.py holds it"])
def test_a_citation_of_nothing_is_seen(text: str) -> None:
    assert _cited(text)


def test_every_room_stands_in_the_house() -> None:
    page = (DOCS / "house.md").read_text("utf-8")
    modules = {
        path.relative_to(ROOT / "gocell_cli")
        for path in (ROOT / "gocell_cli").rglob("*.py")
        if path.name != "__init__.py"
    }
    assert all(f"`{path.parts[0]}/" in page or f"`gocell_cli/{path}`" in page for path in modules)

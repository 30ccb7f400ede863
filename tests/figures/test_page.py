"""The report's page: what a name smuggles in stays text; a real browser shows every part of it."""

from pathlib import Path

from gocell_cli.figures.canvas import begin
from gocell_cli.figures.page import Page, PageTable, Picture, Section, render
from tests.browser import needs_browser, opened

EVIL = "<script>document.title = 'taken'</script><img src=x onerror=alert(1)>\""


def _page() -> Page:
    figure, axes = begin("a figure", "x", "y")
    axes.plot([0, 1], [0, 1])
    table = PageTable(EVIL, ("name", "n"), ((EVIL, "1"), ("second", "2,000")), right=(1,))
    section = Section(EVIL, EVIL, (table,), (Picture.of_figure(EVIL, figure),))
    return Page(EVIL, EVIL, ((EVIL, EVIL),), (section, Section("empty")))


def test_nothing_a_name_holds_becomes_markup() -> None:
    html = render(_page())
    assert "<script" not in html
    assert "onerror=alert(1)>" not in html
    assert html.count("<img") == 1


@needs_browser
def test_a_browser_shows_it_as_text(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(render(_page()), "utf-8")
    with opened(path) as seen:
        assert seen.page.title() == EVIL
        assert seen.page.inner_text("h1") == EVIL
        assert seen.page.inner_text("td.right >> nth=1") == "2,000"
        assert not seen.broken_images()
        assert not seen.errors

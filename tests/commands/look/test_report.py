"""`gocell report` of a real cache and a real run, looked at in a real browser."""

import json
from pathlib import Path

import pytest

from gocell_cli.errors import DamagedCache
from gocell_cli.figures.run_page import CAPTIONS, run_page
from tests.browser import needs_browser, opened
from tests.commands.conftest import Built
from tests.commands.runners import document, failure


@needs_browser
@pytest.mark.parametrize("width", [1200, 420])
def test_a_caches_report_in_a_browser(essentiality: Built, tmp_path: Path, width: int) -> None:
    out = tmp_path / "report.html"
    made = document("report", "--out", out, "--root", essentiality.root)
    assert made["sections"] == ["Samples", "From raw GO to the hierarchy", "Levels", "Provenance"]
    with opened(out, width=width) as seen:
        text = seen.page.inner_text("body")
        assert seen.page.inner_text("h1") == essentiality.cache.name
        for shown in ("5,887", "dropped: dubious_orf", "717", "4,481", "3,793", "45,212", "DOES NOT HOLD", "885"):
            assert shown in text
        assert essentiality.summary["fingerprint"] in text
        assert seen.page.locator("figure img").count() == 4
        assert not seen.broken_images()
        assert seen.overflow() <= 0
        assert not seen.errors
        assert [url for url in seen.requests if not url.startswith("data:")] == [out.resolve().as_uri()]


@needs_browser
def test_a_runs_report_in_a_browser(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.html"
    assert document("report", trained, "--out", out)["kind"] == "run"
    record = json.loads((trained / "run.json").read_text())
    with opened(out) as seen:
        text = seen.page.inner_text("body")
        assert f"{record['results']['test']['metrics']['auroc']:.4f}" in text
        assert f"{record['parameters']:,}" in text
        assert "min_width" not in text  # folded away, until it is clicked
        seen.page.get_by_text("Every setting of the run").click()
        assert "min_width" in seen.page.inner_text("body")
        assert str(tmp_path.parent.parent) not in seen.page.content()  # a page is sent around, folders are private
        assert "5,887" in text  # its cache's report follows
        # evaluate and explain, of other tests, may have drawn theirs into the run beside training's five
        drawn = CAPTIONS.keys() & {path.stem for path in (trained / "figures").glob("*.png")}
        assert len(drawn) >= 5
        assert seen.page.locator("figure img").count() == len(drawn) + 4
        assert not seen.broken_images()
        assert not seen.errors


def test_a_run_without_its_cache_or_its_end_still_has_a_report(trained: Path, tmp_path: Path) -> None:
    record = json.loads((trained / "run.json").read_text())
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "config.toml").write_text((trained / "config.toml").read_text())
    del record["results"]
    (unfinished / "run.json").write_text(json.dumps({**record, "cache": str(tmp_path / "gone")}))
    sections = {section.title: section.text for section in run_page(unfinished).sections}
    assert "--resume" in sections["Results"]
    assert "not here any more" in sections["Cache"]
    (unfinished / "run.json").write_text("{")
    with pytest.raises(DamagedCache, match="cannot be read"):
        run_page(unfinished)


def test_what_cannot_be_reported_is_refused(tmp_path: Path) -> None:
    assert "not .html" in failure("report", "--out", tmp_path / "report.pdf").message
    missing = failure("report", tmp_path / "none", "--out", tmp_path / "report.html")
    assert (missing.exit_code, "no such cache or run" in missing.message) == (6, True)
    assert list(tmp_path.iterdir()) == []

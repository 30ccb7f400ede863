"""A real headless browser for pages that people look at; tests skip where the machine has none."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)
BROWSER = os.environ.get("GOCELL_TEST_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium here: apt-get install chromium")


@dataclass
class Seen:
    """What the browser reported while a page was open."""

    page: Page
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def broken_images(self) -> list[str]:
        """The captions of images that have no pixels."""
        found: list[str] = self.page.evaluate(
            "() => Array.from(document.images).filter(i => !i.complete || !i.naturalWidth).map(i => i.alt)"
        )
        return found

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        found: int = self.page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
        return found


@contextmanager
def opened(path: Path, *, width: int = 1200) -> Iterator[Seen]:
    """Open a file in a window of that width and wait until it is loaded."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=list(FLAGS))
        page = browser.new_page(viewport={"width": width, "height": 900})
        seen = Seen(page)
        page.on("request", lambda request: seen.requests.append(request.url))
        page.on("pageerror", lambda error: seen.errors.append(str(error)))
        page.on("console", lambda message: seen.errors.append(message.text) if message.type == "error" else None)
        page.goto(path.resolve().as_uri())
        yield seen
        browser.close()

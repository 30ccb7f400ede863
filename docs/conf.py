"""Sphinx: Markdown pages, and the reference that generate.py writes from the code before they are read."""

import sys
from importlib.metadata import version as installed
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).resolve().parent))

project = "gocell"
author = "The gocell authors"
copyright = "the gocell authors, MIT licence"  # noqa: A001 Sphinx's name
release = installed("gocell")
extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
smartquotes = False
html_theme = "furo"
html_title = f"gocell {release}"
html_static_path: list[str] = []
nitpicky = True


def setup(app: Sphinx) -> None:
    """Write the generated pages and figures before Sphinx looks for sources."""
    import generate

    app.connect("config-inited", lambda *_: generate.write(Path(__file__).resolve().parent / "_generated"))

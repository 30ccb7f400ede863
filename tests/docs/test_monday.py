"""The three people's pages are transcripts, from the first file to the end: they run, and print what they say."""

from pathlib import Path

import pytest

from tests.attempts import ATTACKS
from tests.docs.transcripts import files, hold

PAGES = Path(__file__).resolve().parents[2] / "docs" / "monday"


@pytest.mark.parametrize(("who", "before"), [("geneticist", "gocell train"), ("student", "EPOCHS"), ("engineer", "")])
def test_each_reaches_the_end(who: str, before: str, tmp_path: Path) -> None:
    """In the suite up to what takes a minute by itself; in `make attacks` to the last line."""
    assert hold(PAGES / f"{who}.md", tmp_path, "" if ATTACKS else before) > 5
    for page in tmp_path.glob("*.html"):  # it is sent around
        assert str(tmp_path) not in page.read_text("utf-8")


def test_a_block_that_begins_with_a_files_name_is_that_file() -> None:
    page = (
        "```python\n# a.py: it does\nprint(1)\n```\n\n```bash\n#!/bin/bash\n# b.sh: too\n```\n\n```python\nx = 1\n```\n"
    )
    assert files(page) == {"a.py": "# a.py: it does\nprint(1)\n", "b.sh": "#!/bin/bash\n# b.sh: too\n"}

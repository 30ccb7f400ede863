"""sources.lock.json: what it keeps, and that processes which write it at once lose nothing."""

import json
import subprocess
import sys
from pathlib import Path

from gocell_cli.sources.download.lock import LOCK_FILE, FormerEntry, new_entry, read_entries, record
from tests.sources.conftest import files_under

WRITER = """
import sys
from pathlib import Path
from gocell_cli.sources.download.lock import new_entry, record
for i in range(40):
    record(Path(sys.argv[1]), f"go/{sys.argv[2]}-{i}", new_entry(None, "0" * 64, i, None))
"""


def test_no_lock_file_means_no_entries(tmp_path: Path) -> None:
    assert read_entries(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


def test_what_is_recorded_is_read_back_and_replaced_entries_are_kept_in_order(tmp_path: Path) -> None:
    first, second, third = (new_entry(f"http://x.invalid/{n}", str(n) * 64, n, f"v{n}") for n in (1, 2, 3))
    for entry in (first, second, second, third):
        record(tmp_path / "root", "go/x", entry)
    (kept,) = read_entries(tmp_path / "root").values()
    assert (kept.url, kept.sha256, kept.bytes, kept.version) == (third.url, third.sha256, 3, "v3")
    assert kept.history == tuple(FormerEntry(e.url, e.sha256, e.bytes, e.date, e.version) for e in (first, second))
    document = json.loads((tmp_path / "root" / LOCK_FILE).read_text("utf-8"))
    assert document["format"] == 1
    assert files_under(tmp_path) == [f"root/{LOCK_FILE}"]


def test_processes_that_record_at_once_lose_nothing(tmp_path: Path) -> None:
    words = [[sys.executable, "-c", WRITER, str(tmp_path), str(n)] for n in range(3)]
    processes = [subprocess.Popen(w) for w in words]
    assert [p.wait(timeout=120) for p in processes] == [0, 0, 0]
    assert sorted(read_entries(tmp_path)) == sorted(f"go/{n}-{i}" for n in range(3) for i in range(40))

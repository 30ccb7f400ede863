"""A folder as a user may have one: a cache, a run, a table, and much that a command is given by mistake."""

import zipfile
from pathlib import Path

from tests.commands.runners import run

FILES = {
    "mine.csv": "genes,fitness\nYAL001C,0.5\nYAL002W,0.7\nYAL001C YAL002W,0.3\n",
    "more.csv": "genes,fitness\nYAL003W,0.5\n",
    "strange.csv": "genes,fitness\nFOO1,0.5\nBAR2,0.7\n",
    "words.csv": "genes,fitness\nYAL001C,sick\nYAL002W,healthy\n",
    "onecolumn.csv": "genes\nYAL001C\n",
    "twice.csv": "genes,fitness,fitness\nYAL001C,0.5,0.7\n",
    "text.txt": "Dear all,\nplease find attached.\n",
    "empty.csv": "",
    "tree.txt": "ROOT\tA\tdefault\nROOT\tB\tdefault\nA\tYAL001C\tgene\nB\tYAL002W\tgene\n",
    "cycle.txt": "A\tB\tdefault\nB\tA\tdefault\nA\tYAL001C\tgene\n",
    "strange.toml": "presett = 'ma2018'\n",
}


def make(folder: Path, cache: Path) -> Path:
    """Fill a folder: CACHE and RUN are real, RUN of one epoch on CACHE."""
    for name, text in FILES.items():
        (folder / name).write_text(text, "utf-8")
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with zipfile.ZipFile(folder / "packed.zip", "w") as archive:
        for name in ("one.obo", "two.obo"):
            archive.writestr(name, "format-version: 1.2\n")
    (folder / "folder").mkdir()
    (folder / "folder" / "thesis.txt").write_text("years of work\n", "utf-8")
    (folder / "CACHE").symlink_to(cache)
    words = ("--epochs", 1, "--set", "min_width=2", "--set", "ratio=0.0", "--set", "form=dense", "-q")
    done = run("train", "CACHE", "--out", "RUN", *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder

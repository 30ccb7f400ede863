"""Folders that may not be written and files that may not be read: one error, before anything is computed."""

import ctypes
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.commands.conftest import Built
from tests.commands.runners import GOCELL, environment

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
"""Linux' prctl.h and capability.h: without these two, root may read and write what its files' modes say."""


def as_a_user() -> None:
    """Give up, in a child that is to become another program, root's right to any file."""
    if os.geteuid() == 0:
        for right in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, right, 0, 0, 0)


def as_user(*words: object, cwd: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [GOCELL, *map(str, words)], cwd=cwd, env=environment(**variables), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=300, check=False, preexec_fn=as_a_user,
    )  # fmt: skip


@pytest.fixture
def read_only(tmp_path: Path) -> Path:
    """A folder that may not be written."""
    folder = tmp_path / "ro"
    folder.mkdir()
    folder.chmod(0o555)
    return folder


WRITERS = [
    "export CACHE --out ro/x.tsv", "report RUN --out ro/x.html", "report CACHE_DIR --out ro/x.html",
    "plot cache CACHE --out ro/x.png", "plot levels --out ro/x.svg", "evaluate RUN --out ro/x.tsv",
    "compare RUN --out ro/x.tsv", "compare RUN --figure ro/x.svg", "inspect terms CACHE --out ro/x.csv",
    "inspect split CACHE --out ro/x.csv", "gene-vectors CACHE_DIR --out ro/x.tsv",
    "predict RUN --all-pairs --out ro/x.parquet", "train CACHE_DIR --out ro/x", "train CACHE_DIR --root ro",
    "build-cache --root ro", "build-cache --out ro/x",
]  # fmt: skip


@pytest.mark.parametrize("words", WRITERS)
def test_a_place_that_may_not_be_written_is_refused(
    words: str, essentiality: Built, trained: Path, read_only: Path, tmp_path: Path
) -> None:
    named = {"CACHE": ("--cache", essentiality.cache), "CACHE_DIR": (essentiality.cache,), "RUN": (trained,)}
    given = [one for word in words.split() for one in named.get(word, (word,))]
    found = as_user(*given, cwd=tmp_path, GOCELL_TRACEBACK="1")
    assert (found.returncode, found.stdout) == (2, ""), found.stderr
    assert "cannot be written\n" in found.stderr
    assert "hint: choose another --out or --root" in found.stderr
    assert ", in require_" in found.stderr  # looked at beforehand: not where the file was to be written
    assert not list(read_only.iterdir())


READERS = [
    ("build-cache secret", 6, "secret: cannot be read"), ("verify-levels --obo secret", 6, "secret: cannot be read"),
    ("build-cache --config secret", 6, "secret: cannot be read"), ("train --config secret", 6, "cannot be read"),
    ("train --gene-vectors secret", 6, "cannot be read"), ("train --split ./secret", 6, "cannot be read"),
    ("inspect cache --cache closed", 6, "closed/manifest.json: cannot be read"), ("evaluate closed", 2, "closed/"),
    ("predict closed --genes x", 2, "closed/"), ("cache ls --root closed", 2, "closed/"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "code", "told"), READERS, ids=[words for words, *_ in READERS])
def test_what_may_not_be_read_is_told(words: str, code: int, told: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("genes,fitness\nYAL001C,1\n")
    (tmp_path / "secret").chmod(0)
    (tmp_path / "closed").mkdir(mode=0)
    found = as_user(*words.split(), cwd=tmp_path)
    assert (found.returncode, found.stdout) == (code, ""), found.stderr
    first, *others = found.stderr.splitlines()
    assert first.startswith("error: ")
    assert told in first
    assert "Permission denied" in found.stderr
    assert others[-1].startswith("hint: ")


def test_a_run_that_may_only_be_read_is_explained(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run, ignore=shutil.ignore_patterns("figures"))
    run.chmod(0o555)
    found = as_user("explain", run, "--json", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["terms"]
    assert f"warning: no figures: {run}/figures: cannot be written" in found.stderr

"""The data root: `--root`, else `GOCELL_ROOT`, else `./gocell_data`; and the latest cache it names."""

import os
from pathlib import Path

from gocell_cli.errors import SourceMissing

ROOT_VARIABLE = "GOCELL_ROOT"
DEFAULT_ROOT = "gocell_data"
BUILD_HINT = "gocell build-cache --dataset essentiality"


def data_root(root: Path | None) -> Path:
    """Return the data root in use."""
    return root if root is not None else Path(os.environ.get(ROOT_VARIABLE) or DEFAULT_ROOT)


def default_out(root: Path, dataset: str, phenotype: str, fingerprint: str) -> Path:
    """Return where a cache goes unless `--out` says otherwise."""
    return root / "caches" / f"{dataset}-{phenotype}-{fingerprint[:8]}"


def remember_latest(root: Path, cache: Path) -> None:
    """Write the cache's absolute path to `<root>/latest`, whole or not at all."""
    root.mkdir(parents=True, exist_ok=True)
    temporary = root / "latest.tmp"
    temporary.write_text(f"{cache.resolve()}\n", "utf-8")
    os.replace(temporary, root / "latest")


def find_cache(cache: Path | None, root: Path) -> Path:
    """Return the cache named, else the latest one; raises SourceMissing where there is none."""
    latest = root / "latest"
    if cache is None and not latest.is_file():
        raise SourceMissing(f"{latest}: no cache has been built under {root} yet", hint=BUILD_HINT)
    found = cache if cache is not None else Path(latest.read_text("utf-8").strip())
    if not found.is_dir():
        source = "" if cache is not None else f" (named by {latest})"
        raise SourceMissing(f"{found}: no such cache{source}", hint=BUILD_HINT)
    return found

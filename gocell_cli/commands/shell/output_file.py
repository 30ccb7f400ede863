"""The file that a command is to write: refused, before anything is read, where it cannot be written."""

from pathlib import Path
from typing import Annotated

import typer

from gocell_cli.errors import UsageError

Force = Annotated[bool, typer.Option("--overwrite", help="Replace the file where it is there.")]


def require_place(out: Path, suffixes: tuple[str, ...], *, overwrite: bool) -> None:
    """Raise UsageError for another suffix, a file that is there, or a folder that is not."""
    if out.suffix not in suffixes:
        said = f"neither {' nor '.join(suffixes)}" if len(suffixes) > 1 else f"not {suffixes[0]}"
        raise UsageError(f"{out}: {said}", hint=f"--out {out.with_suffix(suffixes[-1])}")
    if out.exists() and not overwrite:
        raise UsageError(f"{out}: is there already", hint="--overwrite")
    if not out.parent.is_dir():
        raise UsageError(f"{out.parent}: no such folder", hint=f"mkdir -p {out.parent}")

"""What `--part` leaves beside each part, its options and the rows that were not taken, and what a merge makes of it."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from gocell_cli.commands.build.own_table_file import rejected_file
from gocell_cli.commands.shell.build_file import build_file, build_file_of, write_build_file
from gocell_cli.commands.shell.terminal import note
from gocell_cli.whole_file import write_whole


def part_folder(out: Path, part: tuple[int, int]) -> Path:
    """Return where a part of the cache at `out` goes."""
    return out.with_name(f"{out.name}.part-{part[0]}-of-{part[1]}")


def command_of_part(parts: Sequence[Path]) -> str:
    """Return the command that builds a part as the given ones were, up to `--part`."""
    for part in parts:
        name, mark, _ = part.name.rpartition(".part-")
        if mark and build_file(part).is_file():
            words = ["--config", str(build_file(part)), "--out", str(part.with_name(name))]
            return f"gocell build-cache {shlex.join(words)}"
    return "gocell build-cache ..."


def without_companions(named: Sequence[Path]) -> list[Path]:
    """Return the parts among what a shell's NAME.part-* names: not the files that lie beside one of them."""
    beside = {file for part in named if part.name for file in (build_file(part), rejected_file(part))}
    return [part for part in named if part not in beside or part.is_dir()]


def take_companions(parts: Sequence[Path], out: Path, fingerprint: str) -> None:
    """Write the parts' options as the merged cache's, and the rows that they did not take; say where none are told."""
    options = next((found for part in parts if (found := build_file_of(part, fingerprint)) is not None), None)
    if options is None:
        note(f"no part has its options beside it (PART.toml): {build_file(out).name} is not written", "warning")
    else:
        write_build_file(out, options, fingerprint)
    rejected = next((file for part in parts if (file := rejected_file(part)).is_file()), None)
    if rejected is not None:  # every part read the whole table: those of one are those of all
        write_whole(rejected_file(out), rejected.read_bytes())

"""`--genes @FILE`: what stands in a file in place of on the command line, wherever genes are named."""

from collections.abc import Sequence
from pathlib import Path

from gocell_cli.errors import InvalidInput

SIGN = "@"


def gene_entries(entries: Sequence[str]) -> list[str]:
    """Return the entries of --genes, those of `@FILE` in its place: a line an entry, `#` begins a comment.

    The file may be packed. Raises SourceMissing and InvalidInput as `read_bytes` does, InvalidInput for a file that
    names no gene.
    """
    return [one for entry in entries for one in (_lines(entry) if entry.startswith(SIGN) else [entry])]


def list_file(path: Path | None) -> Path | None:
    """Return the file of a list of genes, named FILE or, as elsewhere, @FILE; one that is called so stays itself."""
    return path if path is None or path.exists() else Path(str(path).removeprefix(SIGN))


def _lines(entry: str) -> list[str]:
    from gocell_cli.sources.text_file import decode, lines_of, read_bytes

    path = Path(entry.removeprefix(SIGN))
    found = [text for _, line in lines_of(decode(read_bytes(path), path)) if (text := line.partition("#")[0].strip())]
    if not found:
        raise InvalidInput(f"{path}: no gene is named in it", hint="a gene, or a genotype with commas, a line")
    return found

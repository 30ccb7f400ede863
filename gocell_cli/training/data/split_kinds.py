"""The kinds of splits, which `splits.py` describes, and their parts: words that are checked before NumPy is loaded."""

from gocell_cli.errors import UsageError

SPLITS = ("random", "query", "gene")
PARTS = ("train", "validation", "test")


def require_part(part: str) -> None:
    """Raise UsageError where a split has no such part."""
    if part not in PARTS:
        raise UsageError(f"no part {part!r}", hint=f"--part {'|'.join(PARTS)}")

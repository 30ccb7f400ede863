"""What the shell offers after TAB where Typer cannot know it: terms and genes by name."""

from collections.abc import Iterable, Iterator
from pathlib import Path

MOST = 200
"""Offers beyond which a list would help nobody."""


def complete_term(incomplete: str) -> Iterator[tuple[str, str]]:
    """Yield the bundled terms whose id begins so, or whose name does; (id or name, the other)."""
    from gocell_cli.sources.go.bundle import load_term_names

    names = load_term_names()
    found = (*_beginning(incomplete, names), *_beginning(incomplete, ((name, term) for term, name in names)))
    yield from found[:MOST]


def complete_gene(incomplete: str) -> Iterator[tuple[str, str]]:
    """Yield the bundled genes whose systematic or standard name begins so; (that name, the other)."""
    from gocell_cli.sources.go.bundle import load_genes

    genes = load_genes()
    pairs = list(zip(genes.systematic, genes.standard, strict=True))
    yield from _beginning(incomplete, pairs)
    yield from _beginning(incomplete, ((standard, systematic) for systematic, standard in pairs if standard))


def _beginning(incomplete: str, pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the pairs whose first begins so, in the case that was typed: a shell drops what begins otherwise."""
    wanted, length = incomplete.lower(), len(incomplete)
    # The typed letters stand in for the name's own, whose case may differ.
    yield from ((incomplete + a[length:], b) for a, b in pairs if a.lower().startswith(wanted))


def complete_cache(incomplete: str) -> Iterator[tuple[str, str]]:
    """Yield the caches under the data root in use; (path, data set)."""
    from gocell_cli.commands.shell.places import data_root
    from gocell_cli.storage.elsewhere import built_elsewhere

    folder = data_root(None) / "caches"
    paths = [*(sorted(folder.iterdir()) if folder.is_dir() else []), *built_elsewhere(data_root(None))]
    yield from ((str(path), "cache") for path in paths if path.is_dir() and str(path).startswith(incomplete))


def complete_run(incomplete: str) -> Iterator[tuple[str, str]]:
    """Yield the runs under the data root in use; (path, what it is)."""
    from gocell_cli.commands.shell.places import data_root

    folder: Path = data_root(None) / "runs"
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    yield from ((str(path), "run") for path in paths if path.is_dir() and str(path).startswith(incomplete))


def complete_voice(incomplete: str) -> Iterator[str]:
    """Yield the voices that a run may be asked for."""
    from gocell_cli.training.voices.names import ASKED

    yield from (name for name in ASKED if name.startswith(incomplete))

"""Every format that a hierarchy is written in, by the name that `export --hierarchy` knows it by."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from gocell_cli.sources.go.obo import association_lines, obo_lines
from gocell_cli.sources.hierarchies.by_name import ByName
from gocell_cli.sources.hierarchies.cx2 import cx2_lines
from gocell_cli.sources.hierarchies.dcell_topology import topology_lines
from gocell_cli.sources.hierarchies.ddot import ddot_lines, drugcell_lines
from gocell_cli.sources.hierarchies.graphml import graphml_lines
from gocell_cli.storage.schema import Hierarchy

Lines = Callable[[ByName], Iterator[str]]


class FileFormat(NamedTuple):
    """The lines of a file, and those of files beside it by the words behind their stem."""

    lines: Lines
    beside: Mapping[str, Lines] = {}


FORMATS: Mapping[str, FileFormat] = {
    "ddot": FileFormat(ddot_lines),
    "drugcell": FileFormat(drugcell_lines),
    "dcell": FileFormat(topology_lines),
    "cx2": FileFormat(cx2_lines),
    "graphml": FileFormat(graphml_lines),
    "obo": FileFormat(obo_lines, {"associations": association_lines}),
}


def hierarchy_texts(hierarchy: Hierarchy, form: str) -> dict[str, str]:
    """Return the text of a hierarchy in a format, by "", and of the files beside it, by the words behind their stem.

    Raises InvalidInput where a name cannot stand in that format.
    """
    named = ByName(hierarchy)
    chosen = FORMATS[form]
    return {word: _text(lines(named)) for word, lines in {"": chosen.lines, **chosen.beside}.items()}


def _text(lines: Iterator[str]) -> str:
    return "".join(f"{line}\n" for line in lines)

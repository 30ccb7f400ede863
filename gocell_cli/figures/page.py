"""A report as one HTML page that needs nothing else: no script, no other file, no network."""

import base64
import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from gocell_cli.figures.canvas import draw_svg
from gocell_cli.typed_file import Malformed, read_small
from gocell_cli.user_text import printable

TEMPLATE = "page.html"
MOST_PNG = 1 << 25
"""Bytes of a figure; ours have a thousandth of it."""
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class PageTable:
    """A table as text; columns whose index is in `right` are right-aligned.

    folded: a long one, of which the page shows the title until it is clicked.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[int, ...] = ()
    folded: bool = False


@dataclass(frozen=True)
class Picture:
    """An image inside the page; the caption is also what a screen reader says."""

    caption: str
    data_uri: str
    wide: bool = False

    @classmethod
    def of_figure(cls, caption: str, figure: Figure) -> "Picture":
        """Embed a figure as SVG, as wide as the page."""
        content = io.BytesIO()
        draw_svg(figure, content)
        return cls(caption, _data_uri("image/svg+xml", content.getvalue()), wide=True)

    @classmethod
    def of_png(cls, caption: str, path: Path, *, wide: bool = False) -> "Picture":
        """Embed a PNG file, as wide as the page where told so; raises Malformed where it is none, OSError unread."""
        content = read_small(path, MOST_PNG)
        if not _is_png(content):
            raise Malformed("not a whole PNG file")
        return cls(caption, _data_uri("image/png", content), wide)


@dataclass(frozen=True)
class Section:
    """A heading, a paragraph, tables side by side, pictures."""

    title: str
    text: str = ""
    tables: tuple[PageTable, ...] = ()
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Page:
    """What a report shows: `made` says of what and by which version, `facts` are the numbers to see first."""

    title: str
    made: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]


def render(page: Page) -> str:
    """Return the page as HTML, everything escaped that a name could smuggle in."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, finalize=_printable
    )
    return environment.get_template(TEMPLATE).render(page=page)


def _printable(value: object) -> object:
    """Spell out control characters, which HTML may not hold; other values are rendered as they are."""
    # type(), not isinstance: Markup is a str whose text has been escaped already, and is left as it is.
    return printable(value) if type(value) is str else value


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _is_png(content: bytes) -> bool:
    """Whether every chunk is whole and the last is the end: w3.org/TR/png-3, sections 5.2 and 5.3."""
    at, kind = len(PNG), b""
    if not content.startswith(PNG):
        return False
    while at + 12 <= len(content):
        (length,), kind = struct.unpack_from(">I", content, at), content[at + 4 : at + 8]
        body = content[at + 4 : at + 8 + length]
        at += 12 + length
        if at > len(content) or struct.unpack_from(">I", content, at - 4)[0] != zlib.crc32(body):
            return False
    return kind == b"IEND" and at == len(content)

"""Text of the user's (phenotypes, genes, terms, paths) made fit for a terminal and for the name of a file."""

import re
import unicodedata
from collections.abc import Sequence

UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
"""C0 and C1 controls but for tab and line feed (ESC and U+009B begin the sequences that steer a terminal), line
separators, the marks that turn the direction of what stands beside them (Unicode Standard Annex 9), letters without
width that make two names look like one, and surrogates, by which Python spells a path's bytes that are no UTF-8 and
which no stream can write. U+200C and U+200D stay: some languages and emoji are written with them."""
MOST_NAMED = 3
"""Of the things that an error names before it counts the others."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula: owasp.org/www-community/attacks/CSV_Injection."""
NOT_IN_A_NAME = re.compile(r"[^\w.+-]+")
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that are devices on Windows, whatever their suffix: learn.microsoft.com/windows/win32/fileio/naming-a-file."""
MOST_BYTES = 100
"""Of a file's name at most 255 bytes are allowed; the rest is for a data set, a fingerprint and `.part-0-of-16`."""


def printable(text: str) -> str:
    r"""Return text whose control characters are spelled out (`\x1b`); all else, brackets too, stays as it is."""
    return UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def one_line(text: str) -> str:
    r"""Return text as `printable` does, tabs and line breaks spelled out as well (`\n`): one cell, one line."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def cell(text: str) -> str:
    """Return text for a cell of TSV or CSV that no spreadsheet computes: what would be a formula begins with `'`.

    `from_cell` takes it off again; what begins with one by itself gets one as well, so nothing is lost.
    """
    return f"'{text}" if text.startswith((*FORMULA, "'")) else text


def from_cell(text: str) -> str:
    """Return what `cell` was given."""
    return text[1:] if text[:1] == "'" and text[1:].startswith((*FORMULA, "'")) else text


def slug(name: str) -> str:
    """Return a name that any file system takes as one part of a path: letters, digits, `_ . + -`, never hidden.

    Names that differ may share a slug (`a b` and `a/b`): what must stay apart takes a fingerprint or a number besides.
    """
    # NFKC: file systems disagree on composed and decomposed letters, and would hold two names for one.
    joined = NOT_IN_A_NAME.sub("-", unicodedata.normalize("NFKC", name)).strip("-.")
    short = joined.encode()[:MOST_BYTES].decode(errors="ignore").rstrip("-.")  # cut between letters, not within one
    return f"{short}_" if RESERVED.fullmatch(short) else short or "unnamed"


def holds(strange: Sequence[str]) -> str:
    """Return what a folder holds that it should not: `it holds a, b, c and 4 more`."""
    more = f" and {len(strange) - MOST_NAMED:,} more" if len(strange) > MOST_NAMED else ""
    return f"it holds {', '.join(strange[:MOST_NAMED])}{more}"

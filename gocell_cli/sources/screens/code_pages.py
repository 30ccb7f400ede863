"""Which code page a table is written in that is not UTF-8: what spreadsheets write where nobody chooses.

A yeast laboratory's table holds one letter that tells: the Δ of its deletions, a byte that other pages show as another
letter. Where none is, Windows' Western European page is tried: `µ`, `°` and the letters of names.
"""

import re

from gocell_cli.errors import UsageError

GREEK = ("cp1253", "mac_roman", "mac_greek", "cp737", "cp869")
"""Code pages with a Δ or a ∆, as Windows, Macs and DOS have them; the first that finds most decides."""
WESTERN = "cp1252"
DELTA = re.compile(r"(?<=[a-z0-9-])[Δ∆]|[Δ∆](?=[a-z0-9])", re.IGNORECASE)
"""Where a deletion's mark stands: behind or before a name."""
SIGNS = "°±²³µ·\xd7÷\u2013\u2014\u2018\u2019“”•…€§©®™¼½¾ºª"
"""The fifth is the sign of a cross; then dashes and single quotes."""
NOT_WRITTEN = "ÿþÞðÐ"
"""Letters of that page that few languages have, and damage often: bytes 0xFF and 0xFE."""
NAMES = {
    "cp1253": "Greek (Windows-1253)",
    "cp1252": "Western European (Windows-1252)",
    "mac_roman": "Mac Roman",
    "mac_greek": "Mac Greek",
    "cp737": "Greek (DOS 737)",
    "cp869": "Greek (DOS 869)",
}


def code_page(data: bytes) -> str:
    """Return the code page of bytes that are no UTF-8, "" where none fits: then they are damaged."""
    found = {page: len(DELTA.findall(data.decode(page, "replace"))) for page in GREEK}
    best = max(found, key=lambda page: found[page])
    if found[best]:
        return best
    try:
        text = data.decode(WESTERN)
    except UnicodeDecodeError:
        return ""
    others = {letter for letter in text if letter > "\x7f"}
    return WESTERN if all(one in SIGNS or (one.isalpha() and one not in NOT_WRITTEN) for one in others) else ""


def require_code_page(name: str) -> None:
    """Raise UsageError for an encoding that Python has not, or that is no encoding of text."""
    try:
        "a".encode(name)
    except (LookupError, UnicodeError) as error:
        hint = "--encoding utf-8, cp1252 (Western Windows), cp1253 (Greek Windows), mac_roman"
        raise UsageError(f"--encoding {name}: no encoding of text", hint=hint) from error

"""JSON and TOML files of ours: opened through one door, and held to a type before anything in them is believed.

What is refused here, json and tomllib take or die of: NaN and Infinity (no JSON: RFC 8259, section 6), a key that
stands twice, lone surrogates, a byte order mark, UTF-16, nesting without end, numbers beyond a float, keys that
nothing knows, `true` for 1. Every fault is a `Malformed`, one line; the caller says of which file, and what to do.
"""

import json
import math
import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")
MOST_SHOWN = 80
"""Letters of a key of the file's that a message repeats."""
TOO_DEEP = "nested too deeply"
DOTTED = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){64}""")
"""A key of TOML's with 64 dots. tomllib keeps a tuple for each of its beginnings: 100,000 dots took 40 GB."""


class Malformed(ValueError):
    """What a file says cannot be taken; the text is one line: where in it, and why."""


def read_small(path: Path, most: int) -> bytes:
    """Return the bytes of a regular file of at most `most` bytes.

    Raises Malformed for a larger one, or what is no file (a FIFO would wait for ever, a device never end), OSError as
    `open` does.
    """
    # O_NONBLOCK: opening a FIFO that nobody writes to would wait; a regular file knows no difference
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)  # fdopen would take no folder
        raise Malformed("not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        if found.st_size > most:
            raise Malformed(f"{found.st_size:,} bytes, where {most:,} are the most that such a file can need")
        return file.read(most)


def parse_json(data: bytes, kind: type[T]) -> T:
    """Return a JSON document as `kind`: a dataclass of the standard library; `object` for anything at all.

    Strict: no value is converted, no key may lack a field. Raises Malformed.
    """
    from pydantic import ValidationError

    try:
        # once for what pydantic's parser lets pass: keys that stand twice, numbers that are none or too large
        json.loads(data.decode(), object_pairs_hook=_once, parse_constant=_refuse, parse_float=_finite)
        found: T = _adapter(kind).validate_json(data, strict=True, extra="forbid")  # lone surrogates end here
    except ValidationError as error:
        raise Malformed(_first(error)) from error
    except RecursionError as error:
        raise Malformed(TOO_DEEP) from error
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError and what the hooks raise are ValueErrors
        raise Malformed(str(error)) from error
    return found


def parse_toml(data: bytes) -> dict[str, Any]:
    """Return a TOML document's values as they are, a byte order mark left out; raises Malformed."""
    try:
        text = data.decode("utf-8-sig")
        if DOTTED.search(text):
            raise Malformed(TOO_DEEP)
        return tomllib.loads(text)
    except RecursionError as error:
        raise Malformed(TOO_DEEP) from error
    except ValueError as error:
        raise Malformed(str(error)) from error


def typed(value: object, kind: type[T]) -> T:
    """Return values that were parsed before as `kind`, arrays as tuples where it has tuples; raises Malformed."""
    from pydantic import ValidationError

    try:
        # by way of JSON, whose arrays may be tuples: pydantic's strict mode would take no list for one
        found: T = _adapter(kind).validate_json(json_text(value), strict=True, extra="forbid")
    except ValidationError as error:
        raise Malformed(_first(error)) from error
    except TypeError as error:  # a date of TOML's, for one
        raise Malformed(str(error)) from error
    return found


def json_text(value: object, **form: Any) -> str:
    """Return a value as JSON that `parse_json` takes; `form` is json.dumps' own (indent, sort_keys, separators).

    Raises Malformed for a number that is not finite, a lone surrogate, nesting without end.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, **form)
        text.encode()  # what cannot be written as UTF-8 is found here, before any file is begun
    except RecursionError as error:
        raise Malformed(TOO_DEEP) from error
    except ValueError as error:
        raise Malformed(_where_not_finite(value) or str(error)) from error
    return text


def toml_value(value: object) -> str:
    """Return text, number, flag or a list of them as TOML, which reads back as the same; raises Malformed."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # nan, inf, -inf: TOML spells them as Python does
    # strings are spelled as JSON has them, but TOML allows no DEL in one
    return json_text(value).replace("\x7f", "\\u007f")


_adapters: dict[object, Any] = {}
"""A kind's schema takes milliseconds to make; a cache's records are hundreds."""


def _adapter(kind: Any) -> Any:
    if kind not in _adapters:
        # imported where a file is opened: 0.1 s that `--help` need not take
        from pydantic import TypeAdapter

        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def _first(error: Any) -> str:
    """The first of pydantic's findings, and how many more there are."""
    found = error.errors(include_url=False, include_input=False)
    where = ".".join(str(part)[:MOST_SHOWN] for part in found[0]["loc"])
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return f"{where}: {found[0]['msg']}{more}" if where else f"{found[0]['msg']}{more}"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise Malformed(f"the key {twice[:MOST_SHOWN]!r} stands twice")
    return found


def _refuse(constant: str) -> NoReturn:
    raise Malformed(f"{constant} is no number of JSON's")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Malformed(f"{text[:MOST_SHOWN]} is larger than any number here")
    return number


def _where_not_finite(value: object, path: str = "") -> str:
    """Say which number of a document is not finite, "" where all are."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{path.lstrip('.') or 'the number'} is {value}"
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    return next((found for key, item in items if (found := _where_not_finite(item, f"{path}.{key}"))), "")

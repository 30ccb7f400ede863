"""The JSON Schemas of `schemas/`, which a wheel carries inside the package."""

import json
from functools import cache
from pathlib import Path
from typing import Any

NAMES = ("manifest", "hierarchy", "samples", "series", "run", "output")
PACKAGE = Path(__file__).resolve().parent.parent
IN_WHEEL, IN_CHECKOUT = PACKAGE / "schemas", PACKAGE.parent / "schemas"
BASE = "https://gocell.invalid/"
"""A place that nothing is fetched from: schemas refer to each other by their files' names within it."""
OUTPUT = "output"
"""What commands print with --json: `$defs/commands` has a schema a command."""


def load_schema(name: str) -> dict[str, Any]:
    """Return one of the JSON Schemas."""
    folder = IN_WHEEL if IN_WHEEL.is_dir() else IN_CHECKOUT
    schema: dict[str, Any] = json.loads((folder / f"{name}.schema.json").read_text("utf-8"))
    return schema


def schema_faults(name: str, document: object) -> list[str]:
    """Return what in a document breaks a schema, one sentence a fault."""
    return _faults({"$ref": f"{name}.schema.json"}, document)


def output_faults(words: list[str], document: object) -> list[str]:
    """Return what in a document is not as the schema of the command has it that printed it.

    words: of its command line, from the command on. Raises KeyError for a command that has no schema.
    """
    return _faults({"$ref": f"{OUTPUT}.schema.json#/$defs/commands/$defs/{command_of(words)}"}, document)


def command_of(words: list[str]) -> str:
    """Return the name of a command line's schema, `inspect-sample`; raises KeyError where it has none."""
    known = load_schema(OUTPUT)["$defs"]["commands"]["$defs"]
    found = [name for name in ("-".join(words[:2]), words[0]) if name in known]
    if not found:
        raise KeyError(f"no schema of gocell {' '.join(words[:2])}")
    return found[0]


@cache
def _bundled() -> dict[str, Any]:
    """All schemas, each under its file's name, for that is how one refers to another (JSON Schema 2020-12, 9.3.1)."""
    return {name: {"$id": f"{BASE}{name}.schema.json", **load_schema(name)} for name in NAMES}


def _faults(schema: dict[str, Any], document: object) -> list[str]:
    from jsonschema import Draft202012Validator

    whole = {"$id": f"{BASE}all", **schema, "$defs": _bundled()}
    found = [_nearest(error) for error in Draft202012Validator(whole).iter_errors(document)]
    return [f"{'/'.join(map(str, error.absolute_path)) or 'document'}: {error.message[:200]}" for error in found]


def _nearest(error: Any) -> Any:
    """Return the fault itself; where none of several shapes fits, the first of the shape with the fewest faults."""
    shapes: dict[Any, list[Any]] = {}
    for one in error.context or ():
        shapes.setdefault(one.schema_path[0], []).append(one)
    return _nearest(min(shapes.values(), key=len)[0]) if shapes else error

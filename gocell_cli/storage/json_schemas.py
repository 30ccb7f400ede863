"""The JSON Schemas of `schemas/`, which a wheel carries inside the package."""

import json
from pathlib import Path
from typing import Any

NAMES = ("manifest", "hierarchy", "samples", "series")
PACKAGE = Path(__file__).resolve().parent.parent
IN_WHEEL, IN_CHECKOUT = PACKAGE / "schemas", PACKAGE.parent / "schemas"


def load_schema(name: str) -> dict[str, Any]:
    """Return one of the format's JSON Schemas."""
    folder = IN_WHEEL if IN_WHEEL.is_dir() else IN_CHECKOUT
    schema: dict[str, Any] = json.loads((folder / f"{name}.schema.json").read_text("utf-8"))
    return schema


def schema_faults(name: str, document: object) -> list[str]:
    """Return what in a document breaks a schema, one sentence a fault."""
    from jsonschema import Draft202012Validator

    errors = Draft202012Validator(load_schema(name)).iter_errors(document)
    return [f"{'/'.join(map(str, e.absolute_path)) or 'document'}: {e.message[:200]}" for e in errors]

"""Writes `schemas/run.schema.json` from the types that run.json is read by: `python -m tools.record_schemas`.

A run's record is held to its dataclasses (`typed_file.py`), so they are where its schema comes from; a test holds the
file to them.
"""

import inspect
import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from gocell_cli import run_record
from gocell_cli.run_record import RunRecord

FILE = Path(__file__).resolve().parent.parent / "schemas" / "run.schema.json"
TITLE = "run.json of a run, as gocell train writes it; entries that are not there do not apply"
LEFT_OUT = ("title", "default")
"""Words of pydantic's that say nothing to a reader: a title that is the key again, a value that is never written."""


def run_schema() -> dict[str, Any]:
    """Return the JSON Schema of run.json: every object closed, described by its class' docstring."""
    found = _plain(TypeAdapter(RunRecord).json_schema())
    definitions = found.pop("$defs")
    for name, definition in definitions.items():
        definition["description"] = _told(getattr(run_record, name, None) or definition.get("description", ""))
    found["description"] = _told(RunRecord)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": TITLE}
    return {**head, **found, "$defs": definitions}


def text() -> str:
    """Return the file."""
    return json.dumps(run_schema(), indent=1, ensure_ascii=False) + "\n"


def _plain(schema: Any) -> Any:
    """Return a schema without what says nothing, its objects closed: typed_file refuses keys that nothing knows."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    # under `properties` and `$defs` the keys are names, and may be `title`
    found = {
        key: {name: _plain(one) for name, one in value.items()} if key in ("properties", "$defs") else _plain(value)
        for key, value in schema.items()
        if key not in LEFT_OUT
    }
    return {**found, "additionalProperties": False} if "properties" in found else found


def _told(kind: Any) -> str:
    """A class' docstring as one text."""
    text = inspect.getdoc(kind) if isinstance(kind, type) else kind
    return " ".join((text or "").split())


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")

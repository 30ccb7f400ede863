"""`schemas/output.schema.json`: a schema for every command, and a key that means the same in all of them."""

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from gocell_cli.commands.shell.settings import leaves
from gocell_cli.storage.json_schemas import NAMES, command_of, load_schema, output_faults
from tests.commands.runners import APP

PARTS = {name: part["$defs"] for name, part in load_schema("output")["$defs"].items()}
KEY, SHAPE = "#/$defs/keys/$defs/", "#/$defs/shapes/$defs/"


def _commands() -> list[list[str]]:
    """The words of every command that has --json."""
    import typer

    tree = typer.main.get_command(APP)
    return [list(words) for words, leaf in leaves(tree) if any("--json" in param.opts for param in leaf.params)]


def _refs(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from ([schema["$ref"]] if isinstance(schema.get("$ref"), str) else [])
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from _refs(inner)


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(load_schema(name))


def test_every_command_has_its_schema_and_no_other_is_there() -> None:
    commands = _commands()
    assert {command_of(words) for words in commands} == set(PARTS["commands"])
    assert len(commands) == len(PARTS["commands"])
    with pytest.raises(KeyError):
        command_of(["mcp", "serve"])


def test_documents_are_closed_objects() -> None:
    for name, shape in PARTS["shapes"].items():
        assert shape["type"] == "object", name
        assert shape["additionalProperties"] is False, name
        assert shape["description"].endswith("."), name
        assert set(shape.get("required", ())) <= set(shape["properties"]), name
    for name, command in PARTS["commands"].items():
        for one in command.get("anyOf", [command]):
            assert one["$ref"].removeprefix(SHAPE) in PARTS["shapes"], name


def test_a_key_has_one_meaning() -> None:
    """What it means is said once, in `keys`; where its type differs every shape says which it has, and no more."""
    narrowing = dict[str, list[bool]]()
    for name, shape in PARTS["shapes"].items():
        for key, site in shape["properties"].items():
            first, *own = site.get("allOf", (site,))
            assert first["$ref"] == KEY + key, (name, key)
            narrowed = own[0] if own else {word: value for word, value in first.items() if word != "$ref"}
            assert "description" not in str(narrowed), (name, key)
            assert not narrowed or _types(narrowed) <= _types(PARTS["keys"][key]), (name, key)
            narrowing.setdefault(key, []).append(bool(narrowed))
    assert set(narrowing) == set(PARTS["keys"])
    assert all(len(set(each)) == 1 for each in narrowing.values())
    described = [key["description"] for key in PARTS["keys"].values()]
    assert all(
        (text.endswith(".") and text[0].isupper()) or text.startswith(("sha256", "positive")) for text in described
    )


def test_nothing_is_defined_that_nothing_uses() -> None:
    used = {ref.removeprefix(SHAPE) for ref in _refs(load_schema("output")) if ref.startswith(SHAPE)}
    assert used == set(PARTS["shapes"])


def test_a_fault_is_named_where_it_is() -> None:
    entry = {"sample": 0, "genes": [], "standard_names": [], "value": "high"}
    [fault] = output_faults(["inspect", "samples"], {"cache": "c", "samples": [entry]})
    assert fault.startswith("samples/0/value: 'high' is not of type 'number'")


def _types(schema: dict[str, Any]) -> set[str]:
    """The types that a schema allows; integers are numbers."""
    if "$ref" in schema:
        return {"object"}
    if "anyOf" in schema:
        return set().union(*map(_types, schema["anyOf"]))
    kinds = schema.get("type", ["string", "number", "boolean", "null", "array", "object"])
    found = {kinds} if isinstance(kinds, str) else set(kinds)
    return found | {"integer"} if "number" in found else found

"""CX2, the JSON of NDEx, Cytoscape and cellmaps: a network whose nodes are terms, its edges from parent to child.

The format: cytoscape.org/cx/cx2/specification; hierarchies in it: cytoscape.org/cx/cx2/hcx-specification. A node's
values stand under the short names that `attributeDeclarations` give them ("a"), and one that is not there has the
declared default ("v").

A term's id is what its node represents, where all nodes say so and no two the same, else its name, else its node's
number. Genes stand in CD_MemberList, all that a term contains, separated by commas or by blanks, as cellmaps reads
them: those that no child contains are its direct ones (`_get_direct_genes` of cellmaps_vnn). A file of
gocell's own names the direct genes besides, for a gene may be annotated to a term and to one below it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gocell_cli.errors import InvalidInput
from gocell_cli.sources.hierarchies.by_name import ByName, require_names
from gocell_cli.sources.hierarchies.ready import ParsedHierarchy
from gocell_cli.typed_file import Malformed, json_text, parse_json

FORMAT = "CX2 network"
VERSION, HEAD = "CXVersion", 1000
NAME, REPRESENTS, NAMESPACE, IS_ROOT = "name", "represents", "namespace", "HCX::isRoot"
DIRECT, MEMBERS, SIZE = "gocell::directGenes", "CD_MemberList", "CD_MemberList_Size"
LISTS = (MEMBERS, "HCX::memberNames")
"""Attributes that name the genes a term contains, the first that is declared."""
MEMBER = re.compile(r"[^\s,]+")


def is_cx2(text: str) -> bool:
    """Whether a text begins as CX2 does: an array, and the version in its first object."""
    return text.lstrip()[:1] == "[" and VERSION in text[:HEAD]


@dataclass(frozen=True)
class _Attribute:
    """How an attribute of nodes is declared: the key of its values, and what a node without one has."""

    key: str
    default: object


def parse_cx2(path: Path, text: str) -> ParsedHierarchy:
    """Parse a network; raises InvalidInput for what is no CX2, edges to no node, nodes without lists of genes.

    JSON has no lines to name: an error names the node or the edge.
    """
    aspects = _aspects(path, text)
    declared = _declared(path, aspects)
    values = {_number(path, node, "id"): _mapping(path, node.get("v", {})) for node in aspects["nodes"]}
    if len(values) < len(aspects["nodes"]):
        raise InvalidInput.at(path, None, "two nodes have one id")
    told = {number: _Node(path, number, node, declared) for number, node in values.items()}
    parsed = ParsedHierarchy(path, FORMAT)
    ids = _ids(told)
    for number, term in ids.items():
        parsed.terms.setdefault(term, 0)
        parsed.names[term] = told[number].text(NAME)
        parsed.namespaces[term] = told[number].text(NAMESPACE)
    children: dict[int, list[int]] = {number: [] for number in ids}
    for edge in aspects.get("edges", []):
        parent, child = _number(path, edge, "s"), _number(path, edge, "t")
        if parent not in ids or child not in ids:
            raise InvalidInput.at(path, None, f"an edge leads from {parent} to {child}, of which one is no node")
        parsed.add_edge(ids[child], ids[parent], 0)
        children[parent].append(child)
    _refuse_upside_down(path, told, children, ids)
    _add_genes(parsed, told, children, ids, declared)
    return parsed


class _Node:
    """A term's values, by the full names of its attributes."""

    def __init__(self, path: Path, number: int, values: Mapping[str, Any], declared: Mapping[str, _Attribute]) -> None:
        self.path, self.number, self.values, self.declared = path, number, values, declared

    def value(self, name: str) -> object:
        """The value of an attribute; its declared default, or None, where the node has none."""
        attribute = self.declared.get(name, _Attribute(name, None))
        return self.values.get(attribute.key, attribute.default)

    def text(self, name: str) -> str:
        """The value as text, "" where there is none."""
        found = self.value(name)
        return "" if found is None else str(found).strip()

    def names(self, name: str) -> list[str]:
        """The value as names: a list's, or a text's, split at commas where it has any, else at blanks."""
        found = self.value(name)
        if found is None:
            return []
        if isinstance(found, list) and all(isinstance(item, str) for item in found):
            return found
        if not isinstance(found, str):
            raise InvalidInput.at(self.path, None, f"node {self.number}: {name} is neither text nor a list of texts")
        parts = found.split(",") if "," in found else found.split()
        return [part.strip() for part in parts if part.strip()]


def _aspects(path: Path, text: str) -> dict[str, list[Any]]:
    """Return the elements of each aspect, those of its fragments joined."""
    try:
        document = parse_json(text.encode(), object)
    except Malformed as error:
        reason = f"not a JSON document ({error})"
        raise InvalidInput.at(path, None, reason, hint="download the network again") from error
    if not isinstance(document, list) or not all(isinstance(item, dict) for item in document):
        raise InvalidInput.at(path, None, "not CX2, which is an array of objects")
    version = next((item[VERSION] for item in document if VERSION in item), None)
    if not str(version).startswith("2"):
        hint = "get it as CX2 from NDEx, or export it so from Cytoscape"
        raise InvalidInput.at(path, None, f"{VERSION} is {version}, and 2.0 is what is read", hint=hint)
    found: dict[str, list[Any]] = {}
    for item in document:
        for aspect, elements in item.items():
            if isinstance(elements, list):
                found.setdefault(aspect, []).extend(elements)
    if not found.get("nodes"):
        raise InvalidInput.at(path, None, "a network without nodes: not a hierarchy")
    for aspect in ("nodes", "edges", "attributeDeclarations"):
        for element in found.get(aspect, []):
            _mapping(path, element)
    return found


def _declared(path: Path, aspects: Mapping[str, list[Any]]) -> dict[str, _Attribute]:
    found = {}
    for declaration in aspects.get("attributeDeclarations", []):
        for name, how in _mapping(path, declaration.get("nodes", {})).items():
            found[name] = _Attribute(str(_mapping(path, how).get("a", name)), how.get("v"))
    return found


def _mapping(path: Path, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput.at(path, None, f"an object is expected where {json.dumps(value)[:60]} stands")
    return value


def _number(path: Path, element: Mapping[str, Any], key: str) -> int:
    found = element.get(key)
    if not isinstance(found, int) or isinstance(found, bool):
        raise InvalidInput.at(path, None, f"{key} is no whole number in {json.dumps(element)[:60]}")
    return found


def _ids(nodes: Mapping[int, _Node]) -> dict[int, str]:
    for name in (REPRESENTS, NAME):
        found = {number: node.text(name) for number, node in nodes.items()}
        if all(found.values()) and len(set(found.values())) == len(found):
            return found
    return {number: str(number) for number in nodes}


def _refuse_upside_down(
    path: Path, nodes: Mapping[int, _Node], children: Mapping[int, list[int]], ids: Mapping[int, str]
) -> None:
    """Raise InvalidInput where a node that is said to be a root is a child: then edges lead from child to parent."""
    below = {child for found in children.values() for child in found}
    for number in sorted(below):
        if nodes[number].text(IS_ROOT).lower() == "true":
            reason = f"{ids[number]} is a root ({IS_ROOT}), yet an edge leads to it: edges go from parent to child"
            raise InvalidInput.at(path, None, reason)


def _add_genes(
    parsed: ParsedHierarchy,
    nodes: Mapping[int, _Node],
    children: Mapping[int, list[int]],
    ids: Mapping[int, str],
    declared: Mapping[str, _Attribute],
) -> None:
    column = next((name for name in (DIRECT, *LISTS) if name in declared), None)
    if column is None:
        reason = f"no list of genes is declared for its nodes ({' or '.join(LISTS)})"
        raise InvalidInput.at(parsed.path, None, reason, hint="a hierarchy of cellmaps' or NeST's has one")
    listed = {number: node.names(column) for number, node in nodes.items()}
    for number, genes in listed.items():
        below = {gene for child in children[number] for gene in listed[child]} if column != DIRECT else set()
        for gene in genes:
            if gene not in below:
                parsed.add_gene(ids[number], gene, 0)


def cx2_lines(named: ByName) -> Iterator[str]:
    """Yield a CX2 document, a line an element; raises InvalidInput for a gene with blanks or commas in its name.

    A CD_MemberList would be split there. It points into no interactome, so it has no HCX::members.
    """
    require_names(named.used, MEMBER, "the gene", "CX2", "choose another --gene-id, or --hierarchy ddot")
    hierarchy = named.hierarchy
    below = set(hierarchy.edge_child.tolist())
    number = {term: i for i, term in enumerate(named.ids)}
    nodes = [
        {
            "id": i,
            "v": {
                "n": hierarchy.term_names[i] or term,
                "r": term,
                NAMESPACE: hierarchy.term_namespaces[i],
                "level": int(hierarchy.level[i]),
                IS_ROOT: i not in below,
                MEMBERS: " ".join(named.contained[i]),
                SIZE: len(named.contained[i]),
                DIRECT: named.direct[i],
            },
        }
        for i, term in enumerate(named.ids)
    ]
    edges = [
        {"id": i, "s": number[parent], "t": number[child], "v": {"i": "is_parent_of"}}
        for i, (parent, child) in enumerate(named.edges)
    ]
    aspects: dict[str, list[Any]] = {
        "attributeDeclarations": [_DECLARATIONS],
        "networkAttributes": [_NETWORK],
        "nodes": nodes,
        "edges": edges,
    }
    counts = [{"name": aspect, "elementCount": len(elements)} for aspect, elements in aspects.items()]
    yield f'[{{"{VERSION}": "2.0", "hasFragments": false}},'
    yield f'{{"metaData": {json_text(counts)}}},'
    for aspect, elements in aspects.items():
        yield f'{{"{aspect}": ['
        yield ",\n".join(map(json_text, elements))
        yield "]},"
    yield '{"status": [{"success": true, "error": ""}]}]'


_DECLARATIONS = {
    "networkAttributes": {"name": {"d": "string"}, "description": {"d": "string"}},
    "nodes": {
        NAME: {"d": "string", "a": "n"},
        REPRESENTS: {"d": "string", "a": "r"},
        NAMESPACE: {"d": "string"},
        "level": {"d": "integer"},
        IS_ROOT: {"d": "boolean"},
        MEMBERS: {"d": "string"},
        SIZE: {"d": "integer"},
        DIRECT: {"d": "list_of_string"},
    },
    "edges": {"interaction": {"d": "string", "a": "i"}},
}
_NETWORK = {
    "name": "hierarchy",
    "description": f"Written by gocell: a term contains the genes of {MEMBERS}, {DIRECT} are annotated to it itself",
}

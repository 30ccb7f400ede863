"""GraphML (graphml.graphdrawing.org), for networkx, igraph, Gephi and yEd: a node a term, edges from parent to child.

A list is text here, its items separated by `|`: GraphML knows numbers, flags and text alone.
"""

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from gocell_cli.sources.hierarchies.by_name import ByName, require_names

ITEM = re.compile(r"[^|]+")
NO_CONTROLS = re.compile(r"[^\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]*")
"""What XML 1.0 can hold (w3.org/TR/xml, 2.2)."""
KEYS = {
    "name": "string",
    "namespace": "string",
    "go_level": "int",
    "go_depth": "int",
    "stratum": "int",
    "height": "int",
    "level": "int",
    "direct_genes": "int",
    "contained_genes": "int",
    "gene_set": "string",
}


def graphml_lines(named: ByName) -> Iterator[str]:
    """Yield a GraphML document; `gene_set` are the genes annotated to a term itself.

    Raises InvalidInput for a name with a control character, and for a gene with a `|` in it.
    """
    hierarchy = named.hierarchy
    hint = "choose another --gene-id, or --hierarchy cx2"
    names = (*named.ids, *hierarchy.term_names, *hierarchy.term_namespaces, *named.used)
    require_names(names, NO_CONTROLS, "the name", "GraphML", hint)
    require_names(named.used, ITEM, "the gene", "GraphML", hint)
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
    for key, kind in KEYS.items():
        yield f'  <key id="{key}" for="node" attr.name="{key}" attr.type="{kind}"/>'
    yield '  <graph id="hierarchy" edgedefault="directed">'
    for i, term in enumerate(named.ids):
        values = {
            "name": hierarchy.term_names[i],
            "namespace": hierarchy.term_namespaces[i],
            **{key: str(getattr(hierarchy, key)[i]) for key, kind in KEYS.items() if kind == "int"},
            "gene_set": "|".join(named.direct[i]),
        }
        data = "".join(f'<data key="{key}">{escape(value)}</data>' for key, value in values.items())
        yield f"    <node id={quoteattr(term)}>{data}</node>"
    for parent, child in named.edges:
        yield f"    <edge source={quoteattr(parent)} target={quoteattr(child)}/>"
    yield "  </graph>"
    yield "</graphml>"

"""A cache's hierarchy as networkx sees it: for notebooks, never for a trainer, which does without networkx."""

from typing import TYPE_CHECKING

from gocell_cli.storage.schema import Hierarchy

if TYPE_CHECKING:
    import networkx as nx


def network_graph(hierarchy: Hierarchy, known: "nx.DiGraph[str] | None") -> "nx.DiGraph[str]":
    """Return the DAG over term ids, edges parent -> child; `known` is the ontology's graph, for what is not kept here.

    A node has the attributes of `Ontology.graph`, `level` and `depth` being GO's own, and besides them stratum, height
    and cache_level, the level by which a network runs. gene_set are the genes annotated to the term in this hierarchy;
    a gene that moved up from a term that was filtered has no annotations among `genes`.
    """
    import networkx as nx

    gene_sets: list[list[str]] = [[] for _ in hierarchy.term_ids]
    for term, gene in zip(hierarchy.row_term.tolist(), hierarchy.row_gene.tolist(), strict=True):
        gene_sets[term].append(hierarchy.gene_names[gene])
    graph: nx.DiGraph[str] = nx.DiGraph()
    for i, term_id in enumerate(hierarchy.term_ids):
        told = known.nodes[term_id] if known is not None and term_id in known else {}
        said = told.get("genes", {})
        graph.add_node(
            term_id,
            id=term_id,
            name=hierarchy.term_names[i],
            namespace=hierarchy.term_namespaces[i],
            level=int(hierarchy.go_level[i]),
            depth=int(hierarchy.go_depth[i]),
            is_obsolete=False,
            alt_ids=told.get("alt_ids", ()),
            gene_set=frozenset(gene_sets[i]),
            genes={gene: list(said.get(gene, ())) for gene in gene_sets[i]},
            stratum=int(hierarchy.stratum[i]),
            height=int(hierarchy.height[i]),
            cache_level=int(hierarchy.level[i]),
        )
    pairs = zip(hierarchy.edge_parent.tolist(), hierarchy.edge_child.tolist(), strict=True)
    graph.add_edges_from((hierarchy.term_ids[parent], hierarchy.term_ids[child]) for parent, child in pairs)
    return graph

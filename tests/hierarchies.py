"""Small hierarchies of given or random edges, for tests of storage and of the network."""

import numpy as np

from gocell_cli.csr import pointers
from gocell_cli.storage.schema import Hierarchy


def make_network(edges: list[tuple[int, int]], rows: list[tuple[int, int]], terms: int, genes: int) -> Hierarchy:
    """A Hierarchy of (child, parent) edges and (term, gene) rows; term 0 is the root, parents before children."""
    stratum, height = np.zeros(terms, np.int32), np.zeros(terms, np.int32)
    contains = [{gene for term, gene in rows if term == t} for t in range(terms)]
    for child, parent in sorted(edges):
        stratum[child] = max(stratum[child], stratum[parent] + 1)
    for child, parent in sorted(edges, reverse=True):
        height[parent] = max(height[parent], height[child] + 1)
        contains[parent] |= contains[child]
    edges, rows = sorted(set(edges)), sorted(set(rows))
    row_term, row_gene = (np.array([r[i] for r in rows], dtype=np.int32) for i in (0, 1))
    by_gene = np.lexsort((row_term, row_gene)).astype(np.int32)
    counts = np.bincount(row_gene, minlength=genes)
    names = tuple(f"GO:{t:07d}" for t in range(terms))
    return Hierarchy(
        term_ids=names, term_names=names, term_namespaces=names,
        go_level=stratum, go_depth=stratum, stratum=stratum, height=height, level=stratum,
        direct_genes=np.bincount(row_term, minlength=terms).astype(np.int32),
        contained_genes=np.array([len(c) for c in contains], dtype=np.int32),
        gene_names=tuple(f"Y{g:03d}" for g in range(genes)), gene_standard=("",) * genes, gene_aliases=((),) * genes,
        edge_child=np.array([c for c, _ in edges], dtype=np.int32),
        edge_parent=np.array([p for _, p in edges], dtype=np.int32),
        row_term=row_term, row_gene=row_gene,
        gene_ptr=pointers(counts), gene_rows=by_gene,
        level_by="stratum", level_direction="root_down",
    )  # fmt: skip


def random_network(seed: int, terms: int = 9, genes: int = 12) -> Hierarchy:
    """Every term has a parent and a direct gene; the last gene belongs to no term."""
    rng = np.random.default_rng(seed)
    edges = [
        (t, int(p)) for t in range(1, terms) for p in rng.choice(t, min(t, int(rng.integers(1, 4))), replace=False)
    ]
    rows = [(t, int(g)) for t in range(terms) for g in rng.choice(genes - 1, int(rng.integers(1, 6)), replace=False)]
    return make_network(edges, rows, terms, genes)

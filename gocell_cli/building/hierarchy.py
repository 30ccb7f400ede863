"""domain -> storage: the filtered term hierarchy and the gene table as the cache's Hierarchy arrays."""

import numpy as np

from gocell_cli.csr import pointers
from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.levels import check_levels
from gocell_cli.domain.term_hierarchy import TermHierarchy
from gocell_cli.errors import LevelsError
from gocell_cli.storage.schema import Hierarchy

MAX_NAMED = 5


def make_hierarchy(terms: TermHierarchy, genes: GeneTable, level_by: str) -> Hierarchy:
    """Return the arrays with `level_by` as the level in use.

    Raises LevelsError where that grouping does not hold on every edge.
    """
    require_levels(terms, level_by)
    grouping = terms.groupings[level_by]
    counts = np.bincount(terms.row_gene, minlength=len(genes))
    return Hierarchy(
        term_ids=terms.ids,
        term_names=terms.names,
        term_namespaces=terms.namespaces,
        go_level=terms.groupings["level"].level,
        go_depth=terms.groupings["depth"].level,
        stratum=terms.groupings["stratum"].level,
        height=terms.groupings["height"].level,
        level=grouping.level,
        direct_genes=terms.direct_genes,
        contained_genes=terms.contained_genes,
        gene_names=genes.systematic,
        gene_standard=genes.standard,
        gene_aliases=genes.aliases,
        edge_child=terms.edges.child,
        edge_parent=terms.edges.parent,
        row_term=terms.row_term,
        row_gene=terms.row_gene,
        gene_ptr=pointers(counts),
        gene_rows=np.argsort(terms.row_gene, kind="stable").astype(np.int32),
        level_by=level_by,
        level_direction=grouping.direction,
    )


def require_levels(terms: TermHierarchy, level_by: str) -> None:
    """Raise LevelsError, with counts and the first edges by name, where the grouping does not hold."""
    report = check_levels(terms.groupings[level_by], terms.edges)
    if report.ok:
        return
    edges = "\n".join(
        f"    {terms.ids[f.child]} (level {f.child_level}) -> {terms.ids[f.parent]} (level {f.parent_level}),"
        f" {f.kind.replace('_', ' ')}"
        for f in report.findings[:MAX_NAMED]
    )
    raise LevelsError(
        f"the hierarchy in use cannot be run level by level with --level-by {level_by}: {report.same_level}"
        f" same-level and {report.inverted} inverted edges, for example (child -> parent)\n{edges}",
        why="a bottom-up network needs every edge to lead to another, shallower level; nothing was written",
        hint="--level-by stratum holds by construction",
    )

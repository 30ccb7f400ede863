"""`gocell verify-levels`: may a model run this ontology level by level?"""

from collections import Counter
from typing import TYPE_CHECKING, Any

import typer

from gocell_cli.commands.build.hierarchy_choice import HierarchyChoice
from gocell_cli.commands.build.level_graph import LevelGraph, filtered_graph, whole_graph
from gocell_cli.commands.shell import options as opt
from gocell_cli.commands.shell.command_line import expand
from gocell_cli.commands.shell.options import LevelBy, Scope
from gocell_cli.commands.shell.terminal import line, make_table, show, show_result, styled

if TYPE_CHECKING:
    from gocell_cli.domain.levels import LevelReport
    from gocell_cli.domain.term_hierarchy import TermHierarchy

DEFAULT_FINDINGS = 20
LEVELS_DO_NOT_HOLD = 3


@expand
def verify_levels(
    choice: HierarchyChoice,
    by: opt.By = LevelBy.STRATUM,
    scope: opt.ScopeOption = Scope.ONTOLOGY,
    root: opt.Root = None,
    offline: opt.Offline = False,
    max_findings: opt.MaxFindings = None,
    json: opt.Json = False,
) -> None:
    """Verify that no edge of the ontology connects terms of the same or of inverted levels.

    Compares four groupings (stratum, GOATOOLS level and depth, height), then lists the offending edges of
    the chosen one. Exit code 0: it holds; 3: it does not; 4: invalid input, a cycle for example. A ready
    --hierarchy is verified as it is, without --scope.
    """
    from gocell_cli.domain.levels import check_levels

    choice.check()
    whole = scope is Scope.ONTOLOGY and choice.hierarchy is None
    files = choice.fetched(root, offline=offline, annotations=not whole)
    graph = whole_graph(files) if whole else filtered_graph(files)
    reports = {name: check_levels(grouping, graph.edges) for name, grouping in graph.groupings.items()}
    listed = DEFAULT_FINDINGS if max_findings is None and not json else max_findings
    document = _document(graph, reports, by, listed)
    show_result(document, lambda: _print(graph, reports[by], document), json=json)
    if not reports[by].ok:
        raise typer.Exit(LEVELS_DO_NOT_HOLD)


def _document(
    graph: LevelGraph, reports: "dict[str, LevelReport]", by: LevelBy, max_findings: int | None
) -> dict[str, Any]:
    groupings = [
        {"by": r.by, "groups": r.groups, "same_level": r.same_level, "inverted": r.inverted, "ok": r.ok}
        for r in reports.values()
    ]
    findings = [
        {
            "kind": f.kind,
            "child": graph.ids[f.child],
            "parent": graph.ids[f.parent],
            "relation": graph.relation[f.edge],
            "child_level": f.child_level,
            "parent_level": f.parent_level,
        }
        for f in reports[by].findings[:max_findings]
    ]
    return {
        "ontology": {
            "source": graph.ontology.source,
            "release": graph.ontology.release,
            "terms": len(graph.ids),
            "edges": dict(Counter(graph.relation)),
        },
        **({"hierarchy": _hierarchy_counts(graph.hierarchy, graph.width_by)} if graph.hierarchy is not None else {}),
        "by": by.value,
        "ok": reports[by].ok,
        "groupings": groupings,
        "findings": findings,
    }


def _hierarchy_counts(hierarchy: "TermHierarchy", width_by: str) -> dict[str, int]:
    """What a cache of the hierarchy would hold, its root counted; neurons by DCell's rule."""
    return {
        "terms": len(hierarchy),
        "edges": len(hierarchy.edges),
        "rows": len(hierarchy.row_term),
        "genes": len(set(hierarchy.row_gene.tolist())),
        "strata": len(set(hierarchy.groupings["stratum"].level.tolist())),
        "neurons": hierarchy.neurons(width_by),
    }


def _print(graph: LevelGraph, report: "LevelReport", document: dict[str, Any]) -> None:
    ontology = document["ontology"]
    edges = ", ".join(f"{n:,} {relation}" for relation, n in ontology["edges"].items())
    show(line(styled("bold", ontology["source"]), f", release {ontology['release']}"))
    show(f"{ontology['terms']:,} live terms, edges: {edges or 'none'}", "")
    if "hierarchy" in document:
        counts = ", ".join(f"{n:,} {what}" for what, n in document["hierarchy"].items())
        show(f"a cache's hierarchy, its root counted: {counts}", "")
    rows = [
        [
            f"{'>' if g['by'] == report.by else ' '} {g['by']}",
            f"{g['groups']}",
            f"{g['same_level']:,}",
            f"{g['inverted']:,}",
            "holds" if g["ok"] else "DOES NOT HOLD",
        ]
        for g in document["groupings"]
    ]
    columns = ["  grouping", "groups", "same-level edges", "inverted edges", "verdict"]
    show(make_table("May a model run this level by level?", columns, rows, right=(1, 2, 3)), "")
    _print_findings(graph, report, document["findings"])


def _print_findings(graph: LevelGraph, report: "LevelReport", findings: list[dict[str, Any]]) -> None:
    total = report.same_level + report.inverted
    if report.ok:
        show(f"by {report.by}: every edge leads to another, shallower group; {report.groups} groups can run in turn.")
        return
    name = dict(zip(graph.ids, graph.names, strict=True))
    rows = [
        [
            f["kind"].replace("_", " "),
            f"{f['child']} {name[f['child']]}",
            f"{f['child_level']}",
            f"{f['parent']} {name[f['parent']]}",
            f"{f['parent_level']}",
            f["relation"],
        ]
        for f in findings
    ]
    columns = ["fault", "child", "level", "parent", "level", "relation"]
    show(make_table(f"Offending edges by {report.by}", columns, rows, right=(2, 4)))
    if len(findings) < total:
        show(f"{len(findings):,} of {total:,} shown; --max-findings {total} shows all")

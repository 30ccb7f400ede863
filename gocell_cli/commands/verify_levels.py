"""`gocell verify-levels`: may a model run this ontology level by level?"""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape

from gocell_cli.commands import options as opt
from gocell_cli.commands.choices import LevelBy, Scope
from gocell_cli.commands.hierarchy_choice import HierarchyChoice
from gocell_cli.commands.option_group import expand
from gocell_cli.commands.terminal import make_table, note, show, show_json

if TYPE_CHECKING:
    from gocell_cli.domain.levels import Grouping, LevelReport
    from gocell_cli.domain.ontology import Edges, Ontology
    from gocell_cli.domain.term_hierarchy import TermHierarchy

DEFAULT_FINDINGS = 20
LEVELS_DO_NOT_HOLD = 3


@dataclass(frozen=True)
class _Graph:
    """What is verified: terms with names, edges with their relations, and the four groupings.

    `hierarchy` is the filtered one, None where the whole ontology is verified.
    """

    ontology: "Ontology"
    ids: tuple[str, ...]
    names: tuple[str, ...]
    edges: "Edges"
    relation: list[str]
    groupings: "dict[str, Grouping]"
    hierarchy: "TermHierarchy | None" = None
    width_by: str = "direct"


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
    graph = _whole(files) if whole else _filtered(files)
    reports = {name: check_levels(grouping, graph.edges) for name, grouping in graph.groupings.items()}
    if json:
        show_json(_document(graph, reports, by, max_findings))
    else:
        _print(graph, reports, by, DEFAULT_FINDINGS if max_findings is None else max_findings)
    if not reports[by].ok:
        raise typer.Exit(LEVELS_DO_NOT_HOLD)


def _whole(choice: HierarchyChoice) -> _Graph:
    from gocell_cli.domain.levels import ontology_groupings
    from gocell_cli.sources.releases import load_ontology

    unused = [*choice.given(), *(["--genes"] if choice.genes is not None else [])]
    if unused:
        note(f"{', '.join(unused)}: no effect without --scope hierarchy")
    chosen = opt.comma_list(choice.relations)
    relations = ("is_a",) if chosen is None else chosen
    ontology = load_ontology(choice.obo)
    return _Graph(
        ontology=ontology,
        ids=ontology.ids,
        names=ontology.names,
        edges=ontology.select(relations),
        relation=ontology.relation_of_edge(relations),
        groupings=ontology_groupings(ontology, relations),
    )


def _filtered(choice: HierarchyChoice) -> _Graph:
    from gocell_cli.building.plan import plan_hierarchy
    from gocell_cli.domain.term_hierarchy import below_super_root, edge_relations

    release = choice.load()
    rules = choice.rules(release.genes)
    ontology = release.ontology.within(rules.namespaces)
    hierarchy, _ = plan_hierarchy(ontology, release.annotations, release.genes, rules, until=choice.until)
    terms, edges, groupings = below_super_root(hierarchy)
    return _Graph(
        ontology=ontology,
        ids=tuple(ontology.ids[t] for t in terms),
        names=tuple(ontology.names[t] for t in terms),
        edges=edges,
        relation=edge_relations(ontology, terms, edges, rules.relations),
        groupings=groupings,
        hierarchy=hierarchy,
        width_by=rules.width_by,
    )


def _document(
    graph: _Graph, reports: "dict[str, LevelReport]", by: LevelBy, max_findings: int | None
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


def _print(graph: _Graph, reports: "dict[str, LevelReport]", by: LevelBy, max_findings: int) -> None:
    document = _document(graph, reports, by, max_findings)
    ontology = document["ontology"]
    edges = ", ".join(f"{n:,} {relation}" for relation, n in ontology["edges"].items())
    show(f"[bold]{escape(ontology['source'])}[/bold], release {escape(ontology['release'])}")
    show(f"{ontology['terms']:,} live terms, edges: {edges or 'none'}", "")
    if "hierarchy" in document:
        counts = ", ".join(f"{n:,} {what}" for what, n in document["hierarchy"].items())
        show(f"a cache's hierarchy, its root counted: {counts}", "")
    rows = [
        [
            f"{'>' if r.by == by else ' '} {r.by}",
            f"{r.groups}",
            f"{r.same_level:,}",
            f"{r.inverted:,}",
            "holds" if r.ok else "DOES NOT HOLD",
        ]
        for r in reports.values()
    ]
    columns = ["  grouping", "groups", "same-level edges", "inverted edges", "verdict"]
    show(make_table("May a model run this level by level?", columns, rows, right=(1, 2, 3)), "")
    _print_findings(graph, reports[by], document["findings"])


def _print_findings(graph: _Graph, report: "LevelReport", findings: list[dict[str, Any]]) -> None:
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

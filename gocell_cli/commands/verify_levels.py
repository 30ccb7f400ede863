"""`gocell verify-levels`: may a model run this ontology level by level?"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape

from gocell_cli.commands.choices import LevelBy, Preset, Scope
from gocell_cli.commands.go_release import go_files
from gocell_cli.commands.options import (
    By,
    Gaf,
    Json,
    MaxFindings,
    Obo,
    Offline,
    PresetOption,
    Relations,
    Release,
    Root,
    ScopeOption,
    relation_list,
)
from gocell_cli.commands.terminal import make_table, note, show, show_json

if TYPE_CHECKING:
    from gocell_cli.domain.levels import Grouping, LevelReport
    from gocell_cli.domain.ontology import Edges, Ontology

DEFAULT_FINDINGS = 20
LEVELS_DO_NOT_HOLD = 3


@dataclass(frozen=True)
class _Graph:
    """What is verified: terms with names, edges with their relations, and the four groupings."""

    ontology: "Ontology"
    ids: tuple[str, ...]
    names: tuple[str, ...]
    edges: "Edges"
    relation: list[str]
    groupings: "dict[str, Grouping]"


def verify_levels(
    obo: Obo = None,
    relations: Relations = None,
    by: By = LevelBy.STRATUM,
    scope: ScopeOption = Scope.ONTOLOGY,
    preset: PresetOption = Preset.TRUE_PATH,
    gaf: Gaf = None,
    release: Release = None,
    root: Root = None,
    offline: Offline = False,
    max_findings: MaxFindings = None,
    json: Json = False,
) -> None:
    """Verify that no edge of the ontology connects terms of the same or of inverted levels.

    Compares four groupings (stratum, GOATOOLS level and depth, height), then lists the offending edges of
    the chosen one. Exit code 0: it holds; 3: it does not; 4: invalid input, a cycle for example.
    """
    from gocell_cli.domain.levels import check_levels

    if scope is Scope.ONTOLOGY and (gaf is not None or preset is not Preset.TRUE_PATH):
        note("--gaf and --preset have no effect without --scope hierarchy")
    chosen = relation_list(relations)
    obo, gaf = go_files(obo, gaf, release, root, offline=offline, annotations=scope is Scope.HIERARCHY)
    graph = (
        _whole(obo, ("is_a",) if chosen is None else chosen)
        if scope is Scope.ONTOLOGY
        else _filtered(obo, gaf, preset, chosen)
    )
    reports = {name: check_levels(grouping, graph.edges) for name, grouping in graph.groupings.items()}
    if json:
        show_json(_document(graph, reports, by, max_findings))
    else:
        _print(graph, reports, by, DEFAULT_FINDINGS if max_findings is None else max_findings)
    if not reports[by].ok:
        raise typer.Exit(LEVELS_DO_NOT_HOLD)


def _whole(obo: Path | None, relations: tuple[str, ...]) -> _Graph:
    from gocell_cli.domain.levels import ontology_groupings
    from gocell_cli.sources.releases import load_ontology

    ontology = load_ontology(obo)
    return _Graph(
        ontology=ontology,
        ids=ontology.ids,
        names=ontology.names,
        edges=ontology.select(relations),
        relation=ontology.relation_of_edge(relations),
        groupings=ontology_groupings(ontology, relations),
    )


def _filtered(obo: Path | None, gaf: Path | None, preset: Preset, relations: tuple[str, ...] | None) -> _Graph:
    from gocell_cli.building.plan import plan_hierarchy
    from gocell_cli.domain.levels import ontology_groupings
    from gocell_cli.domain.term_filters import PRESETS
    from gocell_cli.domain.term_hierarchy import below_super_root, edge_relations
    from gocell_cli.sources.releases import load_release

    release = load_release(obo, gaf)
    rules = PRESETS[preset].changed(relations=relations)
    ontology_groupings(release.ontology, rules.relations)  # raises on a cycle, before anything is filtered
    hierarchy, _ = plan_hierarchy(release.ontology, release.annotations, release.genes, rules)
    terms, edges, groupings = below_super_root(hierarchy)
    return _Graph(
        ontology=release.ontology,
        ids=tuple(release.ontology.ids[t] for t in terms),
        names=tuple(release.ontology.names[t] for t in terms),
        edges=edges,
        relation=edge_relations(release.ontology, terms, edges, rules.relations),
        groupings=groupings,
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
        "by": by.value,
        "ok": reports[by].ok,
        "groupings": groupings,
        "findings": findings,
    }


def _print(graph: _Graph, reports: "dict[str, LevelReport]", by: LevelBy, max_findings: int) -> None:
    document = _document(graph, reports, by, max_findings)
    ontology = document["ontology"]
    edges = ", ".join(f"{n:,} {relation}" for relation, n in ontology["edges"].items())
    show(f"[bold]{escape(ontology['source'])}[/bold], release {escape(ontology['release'])}")
    show(f"{ontology['terms']:,} live terms, edges: {edges or 'none'}", "")
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

"""`gocell verify-levels`: may a model run this ontology level by level?"""

from typing import TYPE_CHECKING, Any

import typer

from gocell_cli.commands.build.hierarchy_choice import HierarchyChoice
from gocell_cli.commands.shell import options as opt
from gocell_cli.commands.shell.command_line import expand
from gocell_cli.commands.shell.options import LevelBy, Scope
from gocell_cli.commands.shell.terminal import line, make_table, show, show_result, styled
from gocell_cli.errors import LevelsError

if TYPE_CHECKING:
    from gocell_cli.domain.level_graph import LevelGraph

DEFAULT_FINDINGS = 20


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
    the chosen one. Stratum and height hold by construction on an acyclic graph; level and depth need not.
    Exit code 0: it holds; 3: it does not; 4: invalid input, a cycle for example. A ready --hierarchy is
    verified as it is, without --scope.
    """
    from gocell_cli.domain.level_graph import level_report

    choice.check()
    whole = scope is Scope.ONTOLOGY and choice.hierarchy is None
    files = choice.fetched(root, offline=offline, annotations=not whole)
    graph = files.whole_graph() if whole else files.filtered_graph()
    found = level_report(graph, by.value, DEFAULT_FINDINGS if max_findings is None and not json else max_findings)
    show_result(found, lambda: _print(graph, found), json=json)
    if not found["ok"]:
        raise typer.Exit(LevelsError.exit_code)


def _print(graph: "LevelGraph", found: dict[str, Any]) -> None:
    ontology = found["ontology"]
    edges = ", ".join(f"{n:,} {relation}" for relation, n in ontology["edges"].items())
    show(line(styled("bold", ontology["source"]), f", release {ontology['release']}"))
    lost = sum(ontology["dangling_edges"].values())
    roots = f"{ontology['roots']:,} root" + ("s" if ontology["roots"] != 1 else "")
    show(f"{ontology['terms']:,} live terms, edges: {edges or 'none'}; {roots}, {lost:,} dangling edges", "")
    if "hierarchy" in found:
        counts = ", ".join(f"{n:,} {what}" for what, n in found["hierarchy"].items())
        show(f"a cache's hierarchy, its root counted: {counts}", "")
    rows = [
        [
            f"{'>' if g['by'] == found['by'] else ' '} {g['by']}",
            f"{g['groups']}",
            f"{g['same_level']:,}",
            f"{g['inverted']:,}",
            "holds" if g["ok"] else "DOES NOT HOLD",
        ]
        for g in found["groupings"]
    ]
    columns = ["  grouping", "groups", "same-level edges", "inverted edges", "verdict"]
    show(make_table("May a model run this level by level?", columns, rows, right=(1, 2, 3)), "")
    _print_findings(graph, found)


def _print_findings(graph: "LevelGraph", found: dict[str, Any]) -> None:
    by, shown = found["by"], found["findings"]
    (chosen,) = (g for g in found["groupings"] if g["by"] == by)
    if found["ok"]:
        show(f"by {by}: every edge leads to another, shallower group; {chosen['groups']} groups can run in turn.")
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
        for f in shown
    ]
    columns = ["fault", "child", "level", "parent", "level", "relation"]
    show(make_table(f"Offending edges by {by}", columns, rows, right=(2, 4)))
    total = chosen["same_level"] + chosen["inverted"]
    if len(shown) < total:
        show(f"{len(shown):,} of {total:,} shown; --max-findings {total} shows all")

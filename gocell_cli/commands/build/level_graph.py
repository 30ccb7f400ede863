"""The graph that a command verifies or draws: the whole ontology, or the hierarchy that a cache would use."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gocell_cli.commands.build.hierarchy_choice import HierarchyChoice
from gocell_cli.commands.shell.options import comma_list
from gocell_cli.commands.shell.terminal import note

if TYPE_CHECKING:
    from gocell_cli.domain.levels import Grouping
    from gocell_cli.domain.ontology import Edges, Ontology
    from gocell_cli.domain.term_hierarchy import TermHierarchy


@dataclass(frozen=True)
class LevelGraph:
    """Terms with names, edges with their relations, and the four groupings.

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


def whole_graph(choice: HierarchyChoice) -> LevelGraph:
    """Read the whole ontology; says on stderr which options have no effect on it."""
    from gocell_cli.domain.levels import ontology_groupings
    from gocell_cli.sources.go.releases import load_ontology

    unused = [*choice.given(), *(["--genes"] if choice.genes is not None else [])]
    if unused:
        note(f"{', '.join(unused)}: no effect without --scope hierarchy")
    chosen = comma_list(choice.relations)
    relations = ("is_a",) if chosen is None else chosen
    ontology = load_ontology(choice.obo)
    return LevelGraph(
        ontology=ontology,
        ids=ontology.ids,
        names=ontology.names,
        edges=ontology.select(relations),
        relation=ontology.relation_of_edge(relations),
        groupings=ontology_groupings(ontology, relations),
    )


def filtered_graph(choice: HierarchyChoice) -> LevelGraph:
    """Read and filter what was chosen: the hierarchy, without the root that is put above the ontology's."""
    from gocell_cli.building.plan import plan_hierarchy
    from gocell_cli.domain.term_hierarchy import below_super_root, edge_relations

    release = choice.load()
    rules = choice.rules(release.genes)
    ontology = release.ontology.within(rules.namespaces)
    hierarchy, _ = plan_hierarchy(ontology, release.annotations, release.genes, rules, until=choice.until)
    terms, edges, groupings = below_super_root(hierarchy)
    return LevelGraph(
        ontology=ontology,
        ids=tuple(ontology.ids[t] for t in terms),
        names=tuple(ontology.names[t] for t in terms),
        edges=edges,
        relation=edge_relations(ontology, terms, edges, rules.relations),
        groupings=groupings,
        hierarchy=hierarchy,
        width_by=rules.width_by,
    )

"""`gocell inspect term`: a term of the ontology, its genes, and what the last cache did with it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gocell_cli.commands.build.hierarchy_choice import HierarchyChoice
from gocell_cli.commands.shell import options as opt
from gocell_cli.commands.shell.build_file import build_file, read_group
from gocell_cli.commands.shell.command_line import expand
from gocell_cli.commands.shell.completion import complete_term
from gocell_cli.commands.shell.places import data_root, find_cache
from gocell_cli.commands.shell.terminal import line, make_table, note, show, show_json, styled
from gocell_cli.errors import SourceMissing

if TYPE_CHECKING:
    from rich.text import Text

    from gocell_cli.domain.genes import GeneTable
    from gocell_cli.domain.ontology import Ontology
    from gocell_cli.domain.removals import Removal
    from gocell_cli.domain.term_facts import TermFacts
    from gocell_cli.storage.reader import Cache

SHOWN = 20
TermArgument = Annotated[
    str, typer.Argument(help="Id, such as GO:0000932 or 932, or name.", autocompletion=complete_term)
]


@dataclass(frozen=True)
class _Term:
    """All that is shown: facts of the ontology, and what became of the term."""

    ontology: "Ontology"
    genes: "GeneTable"
    facts: "TermFacts"
    removal: "Removal | None"
    cache: "Cache | None"


@expand
def inspect_term(
    term: TermArgument,
    choice: HierarchyChoice,
    cache: opt.CacheDir = None,
    root: opt.Root = None,
    offline: opt.Offline = False,
    json: opt.Json = False,
) -> None:
    """Show a term: names, levels, parents, children, genes, and whether a cache kept, merged or filtered it.

    Ontology, annotations and filters are those of the cache (its build file says which), unless options name others.
    """
    opened = _cache(cache, data_root(root))
    found = _find(term, _as_built(choice, opened), opened, root, offline)
    if json:
        show_json(_document(found))
    else:
        _print(_document(found))


def _cache(cache: Path | None, root: Path) -> "Cache | None":
    """Open the cache named, else the latest one; None where there is none yet."""
    from gocell_cli.storage.reader import Cache

    try:
        return Cache(find_cache(cache, root))
    except SourceMissing:
        if cache is not None:
            raise
        note(f"no cache has been built under {root} yet; what follows is what one would do")
        return None


def _as_built(choice: HierarchyChoice, cache: "Cache | None") -> HierarchyChoice:
    """Return the choice of the cache's build file where no option makes another."""
    if cache is None or choice != HierarchyChoice():
        return choice
    path = build_file(cache.directory)
    if path.is_file():
        return read_group(path, HierarchyChoice)
    note(f"{path}: no build file, so the default ontology and preset are used", "warning")
    return choice


def _find(term: str, choice: HierarchyChoice, cache: "Cache | None", root: Path | None, offline: bool) -> _Term:
    from gocell_cli.building.plan import plan_hierarchy
    from gocell_cli.domain.term_facts import describe_term, find_term, removal_of

    choice.check()
    release = choice.fetched(root, offline=offline).load()
    rules = choice.rules(release.genes)
    index = find_term(release.ontology, term)
    hierarchy, annotations = plan_hierarchy(
        release.ontology, release.annotations, release.genes, rules, until=choice.until
    )
    if cache is not None and set(hierarchy.ids) != set(cache.hierarchy.term_ids):
        note(f"{cache.directory} was built from another ontology or with other filters; what it did is left out")
        cache = None
    return _Term(
        release.ontology,
        release.genes,
        describe_term(release.ontology, annotations, rules, index),
        removal_of(release.ontology, hierarchy, rules, index),
        cache,
    )


def _document(found: _Term) -> dict[str, Any]:
    ontology, facts = found.ontology, found.facts

    def gene(index: int) -> dict[str, str]:
        return {"gene": found.genes.systematic[index], "standard": found.genes.standard[index]}

    def related(pairs: tuple[tuple[int, str], ...]) -> list[dict[str, str]]:
        return [{**_named(ontology, t), "relation": relation} for t, relation in pairs]

    return {
        "ontology": ontology.source,
        **_named(ontology, facts.term),
        "namespace": ontology.namespaces[facts.term],
        "alternative_ids": sorted(a for a, i in ontology.alt_ids.items() if i == ontology.ids[facts.term]),
        **facts.levels,
        "parents": related(facts.parents),
        "children": related(facts.children),
        "direct_genes": [gene(g) for g in facts.direct],
        "contained_genes": [gene(g) for g in facts.contained],
        "in_cache": _fate(found),
    }


def _named(ontology: "Ontology", term: int) -> dict[str, str]:
    from gocell_cli.domain.ontology import SUPER_ROOT_ID, SUPER_ROOT_NAME

    if term < 0:
        return {"term": SUPER_ROOT_ID, "name": SUPER_ROOT_NAME}
    return {"term": ontology.ids[term], "name": ontology.names[term]}


def _fate(found: _Term) -> dict[str, Any]:
    """What became of the term: kept, merged (another holds the same genes), or filtered; by which rule, into what."""
    from gocell_cli.domain.term_filters import NOT_REDUNDANT

    removal = found.removal
    cache = str(found.cache.directory) if found.cache is not None else None
    if removal is None:
        return {"cache": cache, "fate": "kept", "rule": None, "into": [], **_held(found)}
    fate = "merged" if removal.step == NOT_REDUNDANT else "filtered"
    into = [_named(found.ontology, t) for t in removal.into]
    return {"cache": cache, "fate": fate, "rule": removal.step, "into": into}


def _held(found: _Term) -> dict[str, int]:
    """How the cache holds the term, where there is one."""
    if found.cache is None:
        return {}
    hierarchy = found.cache.hierarchy
    index = hierarchy.term_ids.index(found.ontology.ids[found.facts.term])
    return {
        "level": int(hierarchy.level[index]),
        "direct_genes": int(hierarchy.direct_genes[index]),
        "contained_genes": int(hierarchy.contained_genes[index]),
    }


def _print(document: dict[str, Any]) -> None:
    show(line(styled("bold", document["term"]), f"  {document['name']}"))
    show(f"{document['namespace']}, {document['ontology']}")
    if document["alternative_ids"]:
        show(f"also {', '.join(document['alternative_ids'])}")
    show("  ".join(f"{by} {document[by]}" for by in ("level", "depth", "stratum", "height")), "")
    for relatives, one in (("parents", "parent"), ("children", "child")):
        columns = ["term", "name", "relation"]
        rows = [[t[c] for c in columns] for t in document[relatives][:SHOWN]]
        if rows:
            count = len(document[relatives])
            show(make_table(f"{count:,} {relatives if count > 1 else one}", columns, rows), "")
    for kind in ("direct", "contained"):
        genes = [g["standard"] or g["gene"] for g in document[f"{kind}_genes"]]
        more = f", ... ({len(genes) - SHOWN:,} more; --json has all)" if len(genes) > SHOWN else ""
        show(f"{len(genes):,} {kind} genes: {', '.join(genes[:SHOWN])}{more}" if genes else f"0 {kind} genes")
    show("", _fate_line(document["in_cache"], genes=bool(document["direct_genes"])))


def _fate_line(fate: dict[str, Any], *, genes: bool) -> "Text":
    where = fate["cache"] if fate["cache"] is not None else "a cache with these filters"
    into = ", ".join(f"{t['term']} ({t['name']})" for t in fate["into"])
    if fate["fate"] == "kept":
        held = (
            f", at level {fate['level']} with {fate['direct_genes']:,} direct and"
            f" {fate['contained_genes']:,} contained genes"
            if "level" in fate
            else ""
        )
        return line(styled("green", "kept"), f" in {where}{held}")
    if fate["fate"] == "merged":
        return line(styled("yellow", "merged"), f" in {where}: redundant, {into} holds the same genes")
    moved = f"; its genes moved to {into}" if into and genes else ""
    return line(styled("yellow", "filtered"), f" in {where}: it fails the rule '{fate['rule']}'{moved}")

"""Everything there is to say of one term: where GO has it, its genes, and what the filters, or a cache, did with it."""

from typing import Any

from gocell_cli.building.plan import plan_hierarchy
from gocell_cli.domain.annotations import AnnotationRows
from gocell_cli.domain.gene_annotations import gene_annotations
from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.ontology import SUPER_ROOT_ID, SUPER_ROOT_NAME, SUPER_ROOT_NAMESPACE, Ontology
from gocell_cli.domain.term_facts import TermFacts, describe_term, find_obsolete, find_term, removal_of
from gocell_cli.domain.term_filters import NOT_REDUNDANT, FilterRules, Removal
from gocell_cli.storage.reader import Cache


def term_report(
    ontology: Ontology,
    rows: AnnotationRows,
    genes: GeneTable,
    rules: FilterRules,
    term: str,
    *,
    until: int | None = None,
    cache: Cache | None = None,
) -> dict[str, Any]:
    """Return a term, named by id or name, as plain values that JSON can hold.

    `in_cache` is told of `cache` where that was built of the same terms, else of what a cache with these rules would
    hold; its `cache` is None then. Of an obsolete term nothing is known but that it is one, and what replaced it.
    Raises UsageError where no term is called so.
    """
    obsolete = find_obsolete(ontology, term)
    if obsolete is not None:
        return _obsolete_report(ontology, obsolete)
    index = find_term(ontology, term)
    hierarchy, annotations = plan_hierarchy(ontology, rows, genes, rules, until=until)
    if cache is not None and set(hierarchy.ids) != set(cache.hierarchy.term_ids):
        cache = None
    facts = describe_term(ontology, annotations, rules, index)
    said: dict[int, list[dict[str, Any]]] = {}
    if index >= 0:
        for row in gene_annotations(rows, ontology, genes, rules, until=until, term=index):
            said.setdefault(row.gene, []).append(row.told())
    return {
        **_described(ontology, index, facts),
        "direct_genes": [{**_gene(genes, g), "annotations": said.get(g, [])} for g in facts.direct],
        "contained_genes": [_gene(genes, g) for g in facts.contained],
        "in_cache": _fate(ontology, index, removal_of(ontology, hierarchy, rules, index), cache),
    }


def _described(ontology: Ontology, index: int, facts: TermFacts) -> dict[str, Any]:
    """What the ontology itself says of a term."""

    def related(pairs: tuple[tuple[int, str], ...]) -> list[dict[str, str]]:
        return [{**_named(ontology, t), "relation": relation} for t, relation in pairs]

    named = _named(ontology, index)
    return {
        "ontology": ontology.source,
        **named,
        "namespace": ontology.namespaces[index] if index >= 0 else SUPER_ROOT_NAMESPACE,
        "is_obsolete": False,
        "alternative_ids": sorted(a for a, i in ontology.alt_ids.items() if i == named["term"]),
        **facts.levels,
        "parents": related(facts.parents),
        "children": related(facts.children),
    }


def _gene(genes: GeneTable, index: int) -> dict[str, str]:
    return {"gene": genes.systematic[index], "standard": genes.standard[index]}


def _obsolete_report(ontology: Ontology, term: str) -> dict[str, Any]:
    """An obsolete term's id, and the terms that its `replaced_by` lines name, one that is not live without a name."""
    heirs = ((heir, ontology.find(heir)) for heir in ontology.replaced.get(term, ()))
    return {
        "ontology": ontology.source,
        "term": term,
        "is_obsolete": True,
        "replaced_by": [_named(ontology, i) if i is not None else {"term": t, "name": ""} for t, i in heirs],
    }


def _named(ontology: Ontology, term: int) -> dict[str, str]:
    if term < 0:  # the root above the ontology's own, which no index stands for
        return {"term": SUPER_ROOT_ID, "name": SUPER_ROOT_NAME}
    return {"term": ontology.ids[term], "name": ontology.names[term]}


def _fate(ontology: Ontology, term: int, removal: Removal | None, cache: Cache | None) -> dict[str, Any]:
    """What became of the term: kept, merged (another holds the same genes), or filtered; by which rule, into what."""
    place = str(cache.directory) if cache is not None else None
    if removal is None:
        held = _held(_named(ontology, term)["term"], cache)
        return {"cache": place, "fate": "kept", "rule": None, "into": [], **held}
    fate = "merged" if removal.step == NOT_REDUNDANT else "filtered"
    return {"cache": place, "fate": fate, "rule": removal.step, "into": [_named(ontology, t) for t in removal.into]}


def _held(term: str, cache: Cache | None) -> dict[str, int]:
    """How the cache holds the term, where there is one."""
    if cache is None:
        return {}
    hierarchy = cache.hierarchy
    index = hierarchy.term_ids.index(term)
    return {
        "level": int(hierarchy.level[index]),
        "direct_genes": int(hierarchy.direct_genes[index]),
        "contained_genes": int(hierarchy.contained_genes[index]),
    }

"""Which genes of a known table an annotated object is: through its id, its systematic name, its symbol, its synonyms.

Databases write more into an object's names than its own. UniProt's TAR1 (YLR154W-C) lists YLR154W-A, the gene on the
other strand, and SGD itself has it as an alias; its annotations are not that gene's. Yet one protein may be that of
several genes: histone H4 is HHF1 (YBR009C) and HHF2 (YNL030W), told once. So:

1. An id of the table decides alone; of several genes with that id (a protein's) all are meant.
2. Systematic names. Where an object lists those of several genes, its own are the one that is its symbol or id, by
   systematic or standard name, and each whose standard name stands among the names as well (HHF2 beside YNL030W); where
   none is so, the one listed first. `A/B` names all of its genes where one of them is the object's own.
3. The symbol, as an official name in any case.
4. For objects left over: symbol and synonyms as names of any kind, if of one gene only, and not of one that has an
   object of its own by 1 to 3: what is another gene's synonym is no name of this one.

Symbols are alike in all organisms (RAD51), so 3 and 4 are for the taxon that most objects found by 1 and 2 are of.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from gocell_cli.domain.genes import GeneTable
from gocell_cli.gene_names import ALIAS_WAYS, OFFICIAL, WAYS, Found
from gocell_cli.sources.go.gaf import DbObject


def link_objects(objects: Sequence[DbObject], table: GeneTable, taxon: str) -> list[Found]:
    """Return each object's genes in `table`, and how they were found; `taxon` is the one most rows are of."""
    links = [link if (link := _by_id(o, table)).genes else _by_systematic(o, table) for o in objects]
    taxa = Counter(o.taxon for o, link in zip(objects, links, strict=True) if link.genes)
    main = taxa.most_common(1)[0][0] if taxa else taxon
    links = [
        link if link.genes or o.taxon != main else _by_symbol(o, table) for o, link in zip(objects, links, strict=True)
    ]
    taken = {gene for link in links for gene in link.genes}
    return [
        link if link.genes or o.taxon != main else _by_any_name(o, table, taken)
        for o, link in zip(objects, links, strict=True)
    ]


def _by_id(found: DbObject, table: GeneTable) -> Found:
    for name in (f"{found.db}:{found.id}", found.id):
        link = table.lookup.find(name, ("id",))
        if link.genes:
            return link
    return Found()


def _by_systematic(found: DbObject, table: GeneTable) -> Found:
    names = dict.fromkeys((found.symbol, found.id, *found.synonyms))
    groups = [group for name in names if (group := _joined(name, table))]
    genes = dict.fromkeys(gene for group in groups for gene in group)
    if len(genes) > 1:
        own = _own(found, names, list(genes), table)
        genes = dict.fromkeys(gene for group in groups if own.intersection(group) for gene in group)
    return Found(tuple(sorted(genes)), WAYS[0]) if genes else Found()


def _joined(name: str, table: GeneTable) -> tuple[int, ...]:
    """Return the gene called so; of `A/B`, where none is, those called A and B."""
    parts = (name,) if name in table.index else name.split("/")
    return tuple(table.index[part] for part in parts if part in table.index)


def _own(found: DbObject, names: Iterable[str], genes: list[int], table: GeneTable) -> set[int]:
    """Of the genes whose systematic names an object lists, those that it is: rule 2."""
    called = {part for name in names for part in (name, *name.split("/"))}
    titles = {part for name in (found.symbol, found.id) for part in (name, *name.split("/"))}
    own = {
        gene
        for gene in genes
        if table.systematic[gene] in titles or (table.standard[gene] and table.standard[gene] in called)
    }
    return own or {genes[0]}


def _by_symbol(found: DbObject, table: GeneTable) -> Found:
    link = table.lookup.find(found.symbol, OFFICIAL)
    if link.genes:
        return link if len(link.genes) == 1 else Found()
    parts = [table.lookup.find(part, OFFICIAL) for part in found.symbol.split("/")]
    # all of them, or it is no list of genes: a slash may be part of a name, as in fly's l(1)G0020/a
    if len(parts) > 1 and all(len(part.genes) == 1 for part in parts):
        return Found(tuple(sorted({part.genes[0] for part in parts})), max((p.way for p in parts), key=WAYS.index))
    return Found()


def _by_any_name(found: DbObject, table: GeneTable, taken: set[int]) -> Found:
    for names, ways in (((found.symbol,), ALIAS_WAYS), (found.synonyms, OFFICIAL), (found.synonyms, ALIAS_WAYS)):
        links = [link for name in names if (link := table.lookup.find(name, ways)).genes]
        genes = {gene for link in links for gene in link.genes}
        if genes:
            return Found(tuple(genes), links[0].way) if len(genes) == 1 and not genes & taken else Found()
    return Found()

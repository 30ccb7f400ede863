"""The genes of a GAF: those of a known table that its objects are (`gene_linking`), or its own; and how to call them.

`--gene-id` only chooses what a gene is called: the genes of a known table, SGD's or `--gene-table`'s, stay that
table's, those without annotation among them, and have all their names.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from gocell_cli.domain.annotations import AnnotationRows, GeneNaming
from gocell_cli.domain.genes import Gene, GeneTable, KnownGenes, make_gene_table
from gocell_cli.errors import InvalidInput, UsageError
from gocell_cli.gene_names import ALIAS_WAYS, FEW, MANY, WAYS, Found, NameCounts
from gocell_cli.sources.go.gaf import DbObject, Gaf, own_taxon
from gocell_cli.sources.go.gene_linking import link_objects

AUTO, SYSTEMATIC, SYMBOL, ID, SYNONYM = GENE_IDS = ("auto", "systematic", "symbol", "id", "synonym")
ANNOTATIONS = "annotations"
OTHER_TAXON = "other_taxon"
DISTINCT_SYMBOLS = 0.95
"""Symbols name the genes by default where there are at least this many distinct ones for each DB object."""


def name_genes(gaf: Gaf, known: KnownGenes, gene_id: str, taxon: str | None) -> tuple[AnnotationRows, GeneTable]:
    """Return the rows, with the genes that each means by their names in the gene table, and that table.

    The genes are those of `known` where the user gave it or at least MANY of the DB objects are genes of it. With
    `auto` they keep the names they have there; other objects are then no genes, and rows may be of any taxon.
    Otherwise they are called by symbol, id or first synonym, and the objects of the GAF's biggest taxon, or of
    `taxon`, that the table does not have are genes as well. `naming` and `found` of the rows say how that went.

    Raises UsageError for a taxon that the GAF does not have, InvalidInput where the genes of `known` are asked for
    and too few objects are any of them.
    """
    chosen = _taxon(gaf, taxon)
    # `taxa` is sorted by rows, the most frequent first.
    biggest = chosen if chosen is not None else next(iter(gaf.taxa))
    if chosen is not None or gene_id not in (AUTO, SYSTEMATIC):
        gaf = _of_taxon(gaf, biggest)
    links = link_objects(gaf.objects, known.genes, biggest)
    linked = sum(bool(link.genes) for link in links)
    if known.given or gene_id == SYSTEMATIC:
        _require_linked(gaf, known, linked)
    are_known = known.given or gene_id == SYSTEMATIC or linked >= MANY * len(links)
    told = GeneNaming(SYSTEMATIC, chosen or "", gaf.taxa, len(links), linked, linked, 0, taxon is not None)
    if are_known and gene_id in (AUTO, SYSTEMATIC):
        genes = _with_names_of(known.genes, gaf.objects, links)
        return _named(gaf, [link.genes for link in links], links, genes, replace(told, table=known.source))
    if gene_id == AUTO:
        gaf = _of_taxon(gaf, biggest)
    if not are_known:
        links = [Found()] * len(gaf.objects)
    column = _default_column(gaf.objects) if gene_id == AUTO else gene_id
    table = known.genes if are_known else make_gene_table(())
    genes, place, shared = _call(table, gaf.objects, links, column)
    told = replace(
        told,
        gene_id=column,
        taxon=biggest,
        objects=len(gaf.objects),
        named=sum(bool(_names_of(o, column)) for o in gaf.objects),
        table=known.source if are_known else "",
        shared_names=len(shared),
        called_by_id=sum(shared.values()),
    )
    return _named(gaf, place, links, genes, told)


def _named(
    gaf: Gaf, place: Sequence[tuple[int, ...]], links: Sequence[Found], genes: GeneTable, told: GeneNaming
) -> tuple[AnnotationRows, GeneTable]:
    """Put the genes' names into the rows; `place` are the genes of each object in the table."""
    names = tuple(tuple(genes.systematic[g] for g in found) for found in place)
    annotated = len({gene for found in place for gene in found})
    told = replace(told, genes=annotated, unannotated=len(genes) - annotated)
    rows = replace(gaf.rows, names=names, naming=told, found=count_links(gaf, place, links))
    return rows, genes


def count_links(gaf: Gaf, place: Sequence[tuple[int, ...]], links: Sequence[Found]) -> NameCounts:
    """Count the rows of a GAF by the way in which their object's genes were found."""
    rows = np.bincount(gaf.rows.object_of_row, minlength=len(gaf.objects)).tolist()
    served: Counter[str] = Counter()
    for count, genes, link in zip(rows, place, links, strict=True):
        # an object that is a gene by itself is called as it is
        served[link.way or (WAYS[0] if genes else "")] += count
    unknown = [o.symbol or o.id for o, genes in zip(gaf.objects, place, strict=True) if not genes]
    return NameCounts(
        ANNOTATIONS,
        {way: served[way] for way in WAYS if served[way]},
        rows_unknown=served[""],
        unknown=tuple(dict.fromkeys(unknown)),
        names=len(gaf.objects),
    )


def _require_linked(gaf: Gaf, known: KnownGenes, linked: int) -> None:
    if linked >= FEW * len(gaf.objects):
        return
    few = "none" if not linked else f"only {linked:,}"
    raise InvalidInput(
        f"{gaf.rows.source}: {few} of its {len(gaf.objects):,} DB objects {'is' if linked < 2 else 'are'}"
        f" among the {len(known.genes):,} genes of {known.source}",
        why=f"their symbols look like {', '.join(o.symbol for o in gaf.objects[:3])}",
        hint="a gene table of the same organism"
        if known.given
        else "leave out --gene-id, or choose symbol, id or synonym",
    )


def _taxon(gaf: Gaf, taxon: str | None) -> str | None:
    if taxon is None:
        return None
    chosen = own_taxon(taxon)
    if chosen not in gaf.taxa:
        raise UsageError(
            f"--taxon {taxon}: {gaf.rows.source} has no such rows",
            why=f"rows of each taxon: {_counts(gaf.taxa)}",
            hint=f"--taxon {next(iter(gaf.taxa))}",
        )
    return chosen


def _counts(taxa: Mapping[str, int]) -> str:
    return ", ".join(f"{taxon} {rows:,}" for taxon, rows in list(taxa.items())[:5])


def _of_taxon(gaf: Gaf, taxon: str) -> Gaf:
    """Return the rows and objects of one taxon; the others are counted as dropped."""
    kept = gaf.taxon_of_row == list(gaf.taxa).index(taxon)
    if kept.all():
        return gaf
    rows = gaf.rows
    kept_object = np.zeros(len(gaf.objects), dtype=bool)
    kept_object[rows.object_of_row[kept]] = True
    # Old index of an object -> its index among the kept ones; of one that is not kept the entry is never read.
    position = (np.cumsum(kept_object) - 1).astype(np.int32)
    chosen = np.flatnonzero(kept).tolist()
    objects = np.flatnonzero(kept_object).tolist()
    return Gaf(
        rows=replace(
            rows,
            names=tuple(rows.names[o] for o in objects),
            object_of_row=position[rows.object_of_row[kept]],
            term=tuple(rows.term[i] for i in chosen),
            qualifier=tuple(rows.qualifier[i] for i in chosen),
            evidence=tuple(rows.evidence[i] for i in chosen),
            date=rows.date[kept],
            dropped={**rows.dropped, OTHER_TAXON: len(rows) - len(chosen)},
        ),
        objects=tuple(gaf.objects[o] for o in objects),
        taxa=gaf.taxa,
        taxon_of_row=gaf.taxon_of_row[kept],
    )


def _default_column(objects: Sequence[DbObject]) -> str:
    """Symbol, unless so many objects share one or lack one that the ids are the better names."""
    symbols = {o.symbol for o in objects if o.symbol}
    return SYMBOL if len(symbols) >= DISTINCT_SYMBOLS * len(objects) else ID


def _names_of(found: DbObject, column: str) -> str:
    """Return what the column calls an object; "" where it holds nothing."""
    if column == SYNONYM:
        return next((s for s in found.synonyms if s), "")
    return found.symbol if column == SYMBOL else found.id


def database_ids(db: str, identifier: str) -> tuple[str, ...]:
    """Return an id as people write it: with and without its database."""
    return (identifier, f"{db}:{identifier}") if db and identifier else tuple(filter(None, (identifier,)))


def _with_names_of(table: GeneTable, objects: Sequence[DbObject], links: Sequence[Found]) -> GeneTable:
    """Return the table with the ids of each gene's objects, and those of their names that no gene has yet."""
    held: list[list[DbObject]] = [[] for _ in range(len(table))]
    for found, link in zip(objects, links, strict=True):
        for gene in link.genes:
            held[gene].append(found)
    return make_gene_table([_known_gene(g, own, table) for g, own in zip(table.genes(), held, strict=True)])


def _known_gene(gene: Gene, objects: Iterable[DbObject], table: GeneTable) -> Gene:
    names = dict.fromkeys(name for o in objects for name in (o.symbol, *o.synonyms))
    # what another gene is called already, or this one, is no new name: `YLR154W-A` of TAR1's object
    new = tuple(name for name in names if name and not table.lookup.find(name).genes)
    # but a symbol of this one that is another's alias is a name of both, which neither source may decide: GOA calls
    # YLR154W-A ART2, SGD has ART2 among the aliases of ECM21
    both = dict.fromkeys(o.symbol for o in objects if _is_alias_of_others(o.symbol, gene, table))
    ids = dict.fromkeys((*gene.ids, *(i for o in objects for i in database_ids(o.db, o.id) if i != gene.systematic)))
    standard = gene.standard or next((o.symbol for o in objects if o.symbol in new), "")
    aliases = (*gene.aliases, *(n for n in new if n != standard), *both)
    return gene._replace(standard=standard, aliases=aliases, ids=tuple(ids))


def _is_alias_of_others(symbol: str, gene: Gene, table: GeneTable) -> bool:
    genes, way = table.lookup.find(symbol)
    return way in ALIAS_WAYS and table.index[gene.systematic] not in genes


def own_gene(found: DbObject) -> Gene:
    """Return a database's object as a gene called by its id."""
    aliases = dict.fromkeys(name for name in found.synonyms if name and name not in (found.symbol, found.id))
    return Gene(found.id, found.symbol, tuple(aliases), "", database_ids(found.db, found.id))


def _call(
    table: GeneTable, objects: Sequence[DbObject], links: Sequence[Found], column: str
) -> tuple[GeneTable, list[tuple[int, ...]], Counter[str]]:
    """Call the genes of a table, and the objects that are none of them, by a column.

    Returns the table they make, each object's genes in it, and how many genes each name stands for that is not one
    gene's: those are called by their ids, or as they were in the table.
    """
    others = [i for i, link in enumerate(links) if not link.genes]
    genes = [*_with_names_of(table, objects, links).genes(), *(own_gene(objects[i]) for i in others)]
    alone: list[list[DbObject]] = [[] for _ in range(len(table))]
    for found, link in zip(objects, links, strict=True):
        if len(link.genes) == 1:  # what two genes share, as a protein's id, is the name of neither
            alone[link.genes[0]].append(found)
    calls = [_calls(gene, own, column) for gene, own in zip(genes, alone, strict=False)]
    calls += [_own_calls(objects[i], column) for i in others]
    shared = Counter({name: n for name, n in Counter(call[0] for call in calls).items() if n > 1})
    names = _distinct(calls)
    made = make_gene_table([_renamed(gene, name) for gene, name in zip(genes, names, strict=True)])
    place = [made.index[name] for name in names]
    own = dict(zip(others, place[len(table) :], strict=True))
    found_of = [
        tuple(sorted(place[g] for g in link.genes)) if link.genes else (own[i],) for i, link in enumerate(links)
    ]
    return made, found_of, shared


def _calls(gene: Gene, objects: Sequence[DbObject], column: str) -> tuple[str, ...]:
    """What a known gene may be called, the best first."""
    names = [name for o in objects if (name := _names_of(o, column))]
    if column == SYMBOL:
        # of several symbols the one that the table has, too
        names = [gene.standard] if gene.standard in names or not names else names
    return tuple(filter(None, (*names[:1], gene.systematic)))


def _own_calls(found: DbObject, column: str) -> tuple[str, ...]:
    return tuple(filter(None, (_names_of(found, column), found.id, f"{found.db}:{found.id}")))


def _distinct(calls: Sequence[tuple[str, ...]]) -> list[str]:
    """Return a name of each, the first that no other has; of what several would be called each takes its next."""
    level = [0] * len(calls)
    while True:
        names = [call[i] for call, i in zip(calls, level, strict=True)]
        uses = Counter(names)
        again = [i for i, name in enumerate(names) if uses[name] > 1]
        if not again:
            return names
        more = [i for i in again if level[i] + 1 < len(calls[i])]
        if not more:
            raise InvalidInput(f"two genes are both called {names[again[0]]}", hint="--gene-id id")
        for i in more:
            level[i] += 1


def _renamed(gene: Gene, name: str) -> Gene:
    ids = dict.fromkeys((gene.systematic, *gene.ids))
    return gene._replace(
        systematic=name,
        aliases=tuple(a for a in gene.aliases if a not in (name, gene.standard)),
        # what a known gene was called finds it as its id does: no alias of another gene comes before it
        ids=tuple(i for i in ids if i != name),
    )

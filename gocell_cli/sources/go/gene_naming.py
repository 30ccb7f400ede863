"""Which column of a GAF names the genes: SGD's systematic names for yeast, else symbol, DB object id or synonym."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from gocell_cli.domain.annotations import AnnotationRows, GeneNaming
from gocell_cli.domain.genes import GeneTable, make_gene_table
from gocell_cli.errors import InvalidInput, UsageError
from gocell_cli.sources.go.gaf import DbObject, Gaf, own_taxon

AUTO, SYSTEMATIC, SYMBOL, ID, SYNONYM = GENE_IDS = ("auto", "systematic", "symbol", "id", "synonym")
OTHER_TAXON = "other_taxon"
DISTINCT_SYMBOLS = 0.95
"""Symbols name the genes by default where there are at least this many distinct ones for each DB object."""


def name_genes(gaf: Gaf, table: GeneTable, gene_id: str, taxon: str | None) -> tuple[AnnotationRows, GeneTable]:
    """Name the genes of a GAF; `naming` of the rows returned says how.

    With `auto`, systematic names of `table` (SGD's) are used where at least half of the DB objects have one;
    such rows may be of any taxon. Otherwise the genes are those of the GAF's biggest taxon, or of `taxon`,
    named by symbol, id or first synonym, and the gene table is made of them. Raises UsageError for a taxon
    that the GAF does not have, InvalidInput where `systematic` is asked for and no object has such a name.
    """
    chosen = _taxon(gaf, taxon)
    if chosen is not None:
        gaf = _of_taxon(gaf, chosen)
    systematic = sum(bool(_parts(names) & table.index.keys()) for names in gaf.rows.names)
    if gene_id == SYSTEMATIC or (gene_id == AUTO and 2 * systematic >= len(gaf.objects)):
        if not systematic:
            raise InvalidInput(
                f"{gaf.rows.source}: none of its {len(gaf.objects)} DB objects has a systematic name of SGD's",
                why=f"their symbols look like {', '.join(o.symbol for o in gaf.objects[:3])}",
                hint="leave out --gene-id, or choose symbol, id or synonym",
            )
        genes = len(set().union(*map(_parts, gaf.rows.names)) & table.index.keys())
        naming = _naming(SYSTEMATIC, chosen or "", gaf, systematic, (systematic, genes), given=taxon is not None)
        return replace(gaf.rows, naming=naming), table
    # `taxa` is sorted by rows, the most frequent first.
    biggest = chosen if chosen is not None else next(iter(gaf.taxa))
    gaf = _of_taxon(gaf, biggest)
    column = _default_column(gaf.objects) if gene_id == AUTO else gene_id
    names = tuple(_name(o, column) for o in gaf.objects)
    own = _gene_table(gaf.objects, names)
    named = (sum(map(bool, names)), len(own))
    naming = _naming(column, biggest, gaf, systematic, named, given=taxon is not None)
    return replace(gaf.rows, names=tuple((n,) if n else () for n in names), naming=naming), own


def _naming(
    gene_id: str, taxon: str, gaf: Gaf, systematic: int, named_and_genes: tuple[int, int], *, given: bool
) -> GeneNaming:
    named, genes = named_and_genes
    return GeneNaming(gene_id, taxon, gaf.taxa, len(gaf.objects), named, systematic, genes, given)


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


def _parts(names: tuple[str, ...]) -> set[str]:
    """Return the names, and those that `A/B` joins: 80 accessions of GOA's yeast file stand for several ORFs."""
    return {part for name in names for part in (name, *name.split("/"))}


def _default_column(objects: tuple[DbObject, ...]) -> str:
    """Symbol, unless so many objects share one or lack one that the ids are the better names."""
    symbols = {o.symbol for o in objects if o.symbol}
    return SYMBOL if len(symbols) >= DISTINCT_SYMBOLS * len(objects) else ID


def _name(found: DbObject, column: str) -> str:
    if column == SYNONYM:
        return next((s for s in found.synonyms if s), "")
    return found.symbol if column == SYMBOL else found.id


def _gene_table(objects: tuple[DbObject, ...], names: tuple[str, ...]) -> GeneTable:
    """One gene a name: standard name the (first) symbol, aliases all else its objects are called."""
    # Several objects of one name are one gene; a dict keeps its names in order, each once.
    called: dict[str, dict[str, None]] = {}
    standard: dict[str, str] = {}
    for found, name in zip(objects, names, strict=True):
        if name:
            standard.setdefault(name, found.symbol)
            called.setdefault(name, {}).update(dict.fromkeys((found.symbol, found.id, *found.synonyms)))
    return make_gene_table(
        [(n, standard[n], tuple(a for a in c if a and a not in (n, standard[n])), "") for n, c in called.items()]
    )

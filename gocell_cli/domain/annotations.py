"""Gene-term annotations: from the rows of a GAF to the (term, gene) pairs that survive the rules.

A qualifier with NOT negates a row. Annotations inferred from genetic interaction (evidence IGI, HGI) leak
the label of a genetic-interaction model. One (term, gene) pair can rest on several rows with different
codes: it is dropped only if ALL its rows are. Every dropped row is counted under one reason.

ND (no biological data available) says that a curator looked and found nothing: such a row annotates a gene to
the root of a namespace (geneontology.org/docs/guide-go-evidence-codes). Who leaves it out leaves the gene without
annotation, and it is counted.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int32

from gocell_cli.domain.genes import GeneList, GeneTable
from gocell_cli.domain.ontology import LEFT_OUT, MERGED, REPLACED, Ontology
from gocell_cli.domain.qualifiers import is_negated
from gocell_cli.gene_names import NameCounts

EVIDENCE_CODES = (
    *("EXP", "IDA", "IPI", "IMP", "IGI", "IEP"),  # experiment
    *("HTP", "HDA", "HMP", "HGI", "HEP"),  # high-throughput experiment
    *("IBA", "IBD", "IKR", "IMR", "IRD"),  # phylogeny; IMR was IKR's name until 2012
    *("ISS", "ISO", "ISA", "ISM", "IGC", "RCA"),  # computation
    *("TAS", "NAS", "IC", "ND", "NR", "IEA"),  # statements, curators, none, electronic; NR until 2007
)
"""GO's evidence codes (geneontology.org/docs/guide-go-evidence-codes), withdrawn ones of old files among them."""
NO_DATA = "ND"
EXPORT_ROWS, EXPORT_SHARE, EXPORT_DAYS = 100, 0.25, 7
"""Rows of a code are dated by the export where at least so many, and such a share of the code's, have one day of the
file's last week: GOA's yeast of 2016-10-03 has 11,146 of its 11,539 IEA rows of one day, and 5,180 IPI rows of another.
The days are a difference of YYYYMMDD, so that a week across months is no week: it errs towards warning."""


@dataclass(frozen=True)
class GeneNaming:
    """How the genes of a GAF, or of a ready hierarchy, were named.

    `gene_id` is the column that named them (systematic: as in the known gene table; symbol, id, synonym; file: a
    ready hierarchy's own names), `taxon` the only one whose rows are used ("" for all), `taxa` the rows of each,
    `objects` the DB objects of the rows in use, `named` those that the column names, `systematic` those that are
    genes of the known table, `genes` the distinct genes that they stand for.

    `table` says which known table the genes are of ("" where they are the file's own), `unannotated` how many of its
    genes the file does not name. `called_by_id` genes share `shared_names` names of the column, and are called by
    their ids.
    """

    gene_id: str
    taxon: str
    taxa: Mapping[str, int]
    objects: int
    named: int
    systematic: int
    genes: int
    taxon_given: bool = False
    table: str = ""
    unannotated: int = 0
    shared_names: int = 0
    called_by_id: int = 0

    @property
    def options(self) -> dict[str, str]:
        """What a cache's configuration records: nothing where the rows were used as they always were."""
        if self.gene_id == "systematic":
            return {"taxon": self.taxon} if self.taxon_given else {}
        return {"gene_id": self.gene_id, **({"taxon": self.taxon} if self.taxon else {})}


@dataclass(frozen=True)
class AnnotationRows:
    """The rows of a GAF as columns; `names[object_of_row[i]]` are the gene names row i may mean.

    `date` is YYYYMMDD as an integer, 0 where the file has none. `dropped` counts rows of the file that are
    not among these, by reason; `naming` says how the genes were named, None where nothing was to be chosen, `found`
    how those of the rows were found, None where they are named as the gene table has them.
    """

    source: str
    names: tuple[tuple[str, ...], ...]
    object_of_row: Int32[np.ndarray, " rows"]
    term: tuple[str, ...]
    qualifier: tuple[str, ...]
    evidence: tuple[str, ...]
    date: Int32[np.ndarray, " rows"]
    dropped: Mapping[str, int] = field(default_factory=dict)
    naming: GeneNaming | None = None
    found: NameCounts | None = None

    def __len__(self) -> int:
        return len(self.term)

    def tuples(self) -> Iterator[tuple[int, str, str, str, int]]:
        """Yield (object, term, qualifier, evidence, date) of each row."""
        objects, dates = self.object_of_row.tolist(), self.date.tolist()
        yield from zip(objects, self.term, self.qualifier, self.evidence, dates, strict=True)


@dataclass(frozen=True)
class LateRows:
    """Rows in use that are newer than the data set: by evidence code, and those that only their export dated.

    `exported` counts, by (code, day), rows of which a file has so many of one day that it is the day of the export:
    GOA writes it into electronic (IEA) and IntAct's (IPI) rows, whenever they were made.
    """

    learned: Mapping[str, int] = field(default_factory=dict)
    exported: Mapping[tuple[str, int], int] = field(default_factory=dict)


@dataclass(frozen=True)
class Annotations:
    """Distinct direct (term, gene) pairs by index, sorted; and what became of every row.

    `asserted` holds the pairs before the evidence and date rules: torchcell starts from those terms. `nd_only_genes`
    counts the genes that left-out ND rows name and no row in use does. `renamed` counts rows whose term was found by
    another's id: `merged` (an alternative id) or `replaced` (an obsolete one that one live term replaces);
    `lost_terms` are the ids that no live term goes by, with why and how many rows, most rows first;
    `rows_with_term` counts the rows of known genes whose term was found, before the evidence and date rules.
    """

    direct: frozenset[tuple[int, int]]
    asserted: frozenset[tuple[int, int]]
    rows_read: int
    dropped_rows: Mapping[str, int]
    newest_date: int
    late: LateRows = field(default_factory=LateRows)
    nd_only_genes: int = 0
    renamed: Mapping[str, int] = field(default_factory=dict)
    lost_terms: tuple[tuple[str, str, int], ...] = ()
    rows_with_term: int = 0


@dataclass
class _Tally:
    """What the rows add up to, one after the other."""

    dropped: Counter[str]
    asserted: set[tuple[int, int]] = field(default_factory=set)
    direct: set[tuple[int, int]] = field(default_factory=set)
    no_data: set[int] = field(default_factory=set)  # genes
    used: Counter[tuple[str, int]] = field(default_factory=Counter)  # rows in use by evidence and date
    renamed: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)  # by term id


def resolve_annotations(
    rows: AnnotationRows,
    ontology: Ontology,
    genes: GeneTable,
    *,
    exclude_evidence: Collection[str],
    include_evidence: Collection[str] = (),
    only: GeneList | None = None,
    until: int | None = None,
    published: int | None = None,
) -> Annotations:
    """Map rows to (term, gene) pairs and apply the NOT, evidence and date rules.

    `include_evidence`, where not empty, are the only codes used; `only` the only genes. `until` (YYYYMMDD)
    drops rows that are newer; `published` only counts them, in `late`.
    """
    place_of = {t: ontology.place(t) for t in set(rows.term)}
    known_of = [genes_named(names, genes) for names in rows.names]
    genes_of = _listed(known_of, genes, only)
    tally = _Tally(Counter(rows.dropped))  # counted on, so that every row of the file is used or has a reason
    unwanted = {*exclude_evidence, *(set(rows.evidence).difference(include_evidence) if include_evidence else ())}
    for object_, term_id, qualifier, evidence, date in rows.tuples():
        term, how = place_of[term_id]
        # a row has one reason, the first that holds in this order; NOT comes before all: the row says the opposite
        if is_negated(qualifier):
            tally.dropped["negated"] += 1
        elif not genes_of[object_]:
            tally.dropped["gene_not_listed" if known_of[object_] else "unknown_gene"] += 1
        elif term is None:
            tally.dropped[how] += 1
            tally.lost[term_id] += 1
        else:
            pairs = [(term, gene) for gene in genes_of[object_]]
            tally.asserted.update(pairs)  # before evidence and date: torchcell's preset takes its terms from these
            tally.renamed[how] += 1
            late = until is not None and date > until  # never of a row without a date, which has 0
            if not late and evidence not in unwanted:
                tally.direct.update(pairs)
                tally.used[evidence, date] += 1
                continue
            tally.dropped[f"evidence_{evidence}" if evidence in unwanted else f"newer_than_{until}"] += 1
            tally.no_data.update(genes_of[object_] if evidence == NO_DATA else ())
    return _annotations(tally, rows, {t: how for t, (_, how) in place_of.items()}, published)


def _annotations(tally: _Tally, rows: AnnotationRows, how: Mapping[str, str], published: int | None) -> Annotations:
    return Annotations(
        direct=frozenset(tally.direct),
        asserted=frozenset(tally.asserted),
        rows_read=len(rows) + sum(rows.dropped.values()),
        dropped_rows=dict(sorted(tally.dropped.items())),
        newest_date=int(rows.date.max(initial=0)),
        late=_late_rows(tally.used, rows, published),
        nd_only_genes=len(tally.no_data.difference(gene for _, gene in tally.direct)),
        renamed={name: tally.renamed[name] for name in (MERGED, REPLACED)},
        rows_with_term=tally.renamed.total(),
        # of equal counts the lower id first, so that what is told does not change from run to run
        lost_terms=tuple(
            (term, how[term], n)
            for term, n in sorted(tally.lost.items(), key=lambda lost: (-lost[1], lost[0]))
            if how[term] != LEFT_OUT
        ),
    )


def _late_rows(used: Mapping[tuple[str, int], int], rows: AnnotationRows, published: int | None) -> LateRows:
    if published is None:
        return LateRows()
    whole = Counter(rows.evidence)
    newest = int(rows.date.max(initial=0))
    learned: Counter[str] = Counter()
    exported = {}
    for (code, day), count in sorted(used.items()):
        if day <= published:
            continue
        # of the file's last days only: an old day with many rows is that of a big curation, and is when it was learned
        if newest - day <= EXPORT_DAYS and count >= EXPORT_ROWS and count >= EXPORT_SHARE * whole[code]:
            exported[code, day] = count
        else:
            learned[code] += count
    return LateRows(dict(learned.most_common()), exported)


def _listed(genes_of: list[tuple[int, ...]], genes: GeneTable, only: GeneList | None) -> list[tuple[int, ...]]:
    if only is None:
        return genes_of
    listed = {genes.index[name] for name in only.names}
    return [tuple(g for g in named if g in listed) for named in genes_of]


def genes_named(names: tuple[str, ...], genes: GeneTable) -> tuple[int, ...]:
    """Genes whose systematic name is among `names`; `A/B` stands for both A and B where no gene is called so."""
    parts = (part for name in names for part in ((name,) if name in genes.index else name.split("/")))
    return tuple(sorted({genes.index[part] for part in parts if part in genes.index}))

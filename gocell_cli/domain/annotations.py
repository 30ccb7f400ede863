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
from jaxtyping import Bool, Int32

from gocell_cli.domain.genes import GeneList, GeneTable
from gocell_cli.domain.ontology import Ontology
from gocell_cli.domain.qualifiers import is_negated

EVIDENCE_CODES = (
    *("EXP", "IDA", "IPI", "IMP", "IGI", "IEP"),  # experiment
    *("HTP", "HDA", "HMP", "HGI", "HEP"),  # high-throughput experiment
    *("IBA", "IBD", "IKR", "IMR", "IRD"),  # phylogeny; IMR was IKR's name until 2012
    *("ISS", "ISO", "ISA", "ISM", "IGC", "RCA"),  # computation
    *("TAS", "NAS", "IC", "ND", "NR", "IEA"),  # statements, curators, none, electronic; NR until 2007
)
"""GO's evidence codes (geneontology.org/docs/guide-go-evidence-codes), withdrawn ones of old files among them."""
NO_DATA = "ND"


@dataclass(frozen=True)
class GeneNaming:
    """How the genes of a GAF, or of a ready hierarchy, were named.

    `gene_id` is the column that named them (systematic, symbol, id, synonym; file: a ready hierarchy's own
    names), `taxon` the only one whose rows are used ("" for all), `taxa` the rows of each, `objects` the DB
    objects of the rows in use, `named` those that stand for a gene, `systematic` those with a systematic name
    of the gene table at hand, `genes` the distinct genes they stand for.
    """

    gene_id: str
    taxon: str
    taxa: Mapping[str, int]
    objects: int
    named: int
    systematic: int
    genes: int
    taxon_given: bool = False

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
    not among these, by reason; `naming` says how the genes were named, None where nothing was to be chosen.
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

    def __len__(self) -> int:
        return len(self.term)

    def tuples(self) -> Iterator[tuple[int, str, str, str, int]]:
        """Yield (object, term, qualifier, evidence, date) of each row."""
        objects, dates = self.object_of_row.tolist(), self.date.tolist()
        yield from zip(objects, self.term, self.qualifier, self.evidence, dates, strict=True)


@dataclass(frozen=True)
class Annotations:
    """Distinct direct (term, gene) pairs by index, sorted; and what became of every row.

    `asserted` holds the pairs before the evidence and date rules: torchcell starts from those terms. `nd_only_genes`
    counts the genes that left-out ND rows name and no row in use does.
    """

    direct: frozenset[tuple[int, int]]
    asserted: frozenset[tuple[int, int]]
    rows_read: int
    dropped_rows: Mapping[str, int]
    newest_date: int
    later_rows: int
    nd_only_genes: int = 0


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
    drops rows that are newer; `published` only counts them, in `later_rows`.
    """
    term_of = {t: ontology.find(t) for t in set(rows.term)}
    known_of = [_genes_named(names, genes) for names in rows.names]
    genes_of = _listed(known_of, genes, only)
    dropped: Counter[str] = Counter(rows.dropped)  # counted on, so that every row of the file is used or has a reason
    unwanted = {*exclude_evidence, *(set(rows.evidence).difference(include_evidence) if include_evidence else ())}
    asserted: set[tuple[int, int]] = set()
    direct: set[tuple[int, int]] = set()
    by_no_data: set[int] = set()
    for object_, term_id, qualifier, evidence, date in rows.tuples():
        # a row has one reason, the first that holds in this order; NOT comes before all: the row says the opposite
        if is_negated(qualifier):
            dropped["negated"] += 1
        elif not genes_of[object_]:
            dropped["gene_not_listed" if known_of[object_] else "unknown_gene"] += 1
        elif (term := term_of[term_id]) is None:
            dropped[_no_term(term_id, ontology)] += 1
        else:
            pairs = [(term, gene) for gene in genes_of[object_]]
            asserted.update(pairs)  # before evidence and date: torchcell's preset takes its terms from these
            late = until is not None and date > until  # never of a row without a date, which has 0
            if not late and evidence not in unwanted:
                direct.update(pairs)
                continue
            dropped[f"evidence_{evidence}" if evidence in unwanted else f"newer_than_{until}"] += 1
            by_no_data.update(genes_of[object_] if evidence == NO_DATA else ())
    return Annotations(
        direct=frozenset(direct),
        asserted=frozenset(asserted),
        rows_read=len(rows) + sum(rows.dropped.values()),
        dropped_rows=dict(sorted(dropped.items())),
        newest_date=int(rows.date.max(initial=0)),
        later_rows=int(_later(rows, published).sum()),
        nd_only_genes=len(by_no_data.difference(gene for _, gene in direct)),
    )


def _later(rows: AnnotationRows, published: int | None) -> Bool[np.ndarray, " rows"]:
    # where the data set has no date, one that no row passes: nothing is called late
    return rows.date > (published if published is not None else np.iinfo(np.int32).max)


def _no_term(term_id: str, ontology: Ontology) -> str:
    # a merged term's old id belongs to its primary term's namespace
    return "other_namespace" if ontology.alt_ids.get(term_id, term_id) in ontology.left_out else "unknown_term"


def _listed(genes_of: list[tuple[int, ...]], genes: GeneTable, only: GeneList | None) -> list[tuple[int, ...]]:
    if only is None:
        return genes_of
    listed = {genes.index[name] for name in only.names}
    return [tuple(g for g in named if g in listed) for named in genes_of]


def _genes_named(names: tuple[str, ...], genes: GeneTable) -> tuple[int, ...]:
    """Genes whose systematic name is among `names`; `A/B` stands for both A and B where no gene is called so."""
    parts = (part for name in names for part in ((name,) if name in genes.index else name.split("/")))
    return tuple(sorted({genes.index[part] for part in parts if part in genes.index}))

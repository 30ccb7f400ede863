"""Gene-term annotations: from the rows of a GAF to the (term, gene) pairs that survive the rules.

A qualifier with NOT negates a row. Annotations inferred from genetic interaction (evidence IGI, HGI) leak
the label of a genetic-interaction model. One (term, gene) pair can rest on several rows with different
codes: it is dropped only if ALL its rows are. Every dropped row is counted under one reason.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int32

from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.ontology import Ontology


@dataclass(frozen=True)
class AnnotationRows:
    """The rows of a GAF as columns; `names[object_of_row[i]]` are the gene names row i may mean.

    `date` is YYYYMMDD as an integer, 0 where the file has none.
    """

    source: str
    names: tuple[tuple[str, ...], ...]
    object_of_row: Int32[np.ndarray, " rows"]
    term: tuple[str, ...]
    qualifier: tuple[str, ...]
    evidence: tuple[str, ...]
    date: Int32[np.ndarray, " rows"]

    def __len__(self) -> int:
        return len(self.term)


@dataclass(frozen=True)
class Annotations:
    """Distinct direct (term, gene) pairs by index, sorted; and what became of every row.

    `asserted` holds the pairs before the evidence and date rules: torchcell starts from those terms.
    """

    direct: frozenset[tuple[int, int]]
    asserted: frozenset[tuple[int, int]]
    rows_read: int
    dropped_rows: Mapping[str, int]
    pairs_dropped: int
    newest_date: int
    later_rows: int


def resolve_annotations(
    rows: AnnotationRows,
    ontology: Ontology,
    genes: GeneTable,
    *,
    exclude_evidence: Collection[str],
    until: int | None = None,
    published: int | None = None,
) -> Annotations:
    """Map rows to (term, gene) pairs and apply the NOT, evidence and date rules.

    `until` (YYYYMMDD) drops rows that are newer; `published` only counts them, in `later_rows`.
    """
    term_of = {t: ontology.find(t) for t in set(rows.term)}
    genes_of = [_genes_named(names, genes) for names in rows.names]
    dropped: Counter[str] = Counter()
    asserted: set[tuple[int, int]] = set()
    direct: set[tuple[int, int]] = set()
    columns = zip(
        rows.object_of_row.tolist(), rows.term, rows.qualifier, rows.evidence, rows.date.tolist(), strict=True
    )
    for object_, term_id, qualifier, evidence, date in columns:
        term = term_of[term_id]
        if "NOT" in qualifier.split("|"):
            dropped["negated"] += 1
        elif not genes_of[object_]:
            dropped["unknown_gene"] += 1
        elif term is None:
            dropped["unknown_term"] += 1
        else:
            pairs = [(term, gene) for gene in genes_of[object_]]
            asserted.update(pairs)
            if evidence in exclude_evidence:
                dropped[f"evidence_{evidence}"] += 1
            elif until is not None and date > until:
                dropped[f"newer_than_{until}"] += 1
            else:
                direct.update(pairs)
    return Annotations(
        direct=frozenset(direct),
        asserted=frozenset(asserted),
        rows_read=len(rows),
        dropped_rows=dict(sorted(dropped.items())),
        pairs_dropped=len(asserted) - len(direct),
        newest_date=int(rows.date.max(initial=0)),
        later_rows=int(_later(rows, published).sum()),
    )


def _later(rows: AnnotationRows, published: int | None) -> Bool[np.ndarray, " rows"]:
    return rows.date > (published if published is not None else np.iinfo(np.int32).max)


def _genes_named(names: tuple[str, ...], genes: GeneTable) -> tuple[int, ...]:
    """Genes whose systematic name is among `names`; `A/B` stands for both A and B."""
    found = {genes.index[part] for name in names for part in name.split("/") if part in genes.index}
    return tuple(sorted(found))

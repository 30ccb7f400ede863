"""What the rows of an annotation file say of each gene of each term: evidence code, qualifier and date."""

from collections.abc import Iterator
from typing import NamedTuple

from gocell_cli.domain.annotations import AnnotationRows, genes_named
from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.ontology import Ontology
from gocell_cli.domain.qualifiers import is_negated
from gocell_cli.domain.term_filters import FilterRules


class GeneAnnotation(NamedTuple):
    """A row: indices of the term that its id stands for and of the gene; `date` is YYYYMMDD, None where it has none.

    `in_use` says whether the rules on NOT, evidence, date and listed genes leave it.
    """

    term: int
    gene: int
    evidence: str
    qualifier: str
    date: int | None
    in_use: bool

    def told(self) -> dict[str, str | int | bool | None]:
        """What it says of the gene, as values that JSON can hold."""
        return {key: value for key, value in self._asdict().items() if key not in ("term", "gene")}


def gene_annotations(
    rows: AnnotationRows,
    ontology: Ontology,
    genes: GeneTable,
    rules: FilterRules,
    *,
    until: int | None = None,
    term: int | None = None,
    gene: int | None = None,
) -> Iterator[GeneAnnotation]:
    """Yield the rows of a term, of a gene, or all, whose term is live and whose gene is known, in the file's order."""
    place = {term_id: ontology.place(term_id)[0] for term_id in set(rows.term)}
    genes_of = [genes_named(names, genes) for names in rows.names]
    listed = {genes.index[name] for name in rules.genes.names} if rules.genes is not None else None
    for object_, term_id, qualifier, evidence, date in rows.tuples():
        found = place[term_id]
        if found is None or (term is not None and found != term):
            continue
        used = (
            not is_negated(qualifier)
            and evidence not in rules.exclude_evidence
            and (not rules.include_evidence or evidence in rules.include_evidence)
            and (until is None or date <= until)
        )
        for named in genes_of[object_]:
            if gene is None or named == gene:
                in_use = used and (listed is None or named in listed)
                yield GeneAnnotation(found, named, evidence, qualifier, date or None, in_use)


def annotations_by_term(
    rows: AnnotationRows, ontology: Ontology, genes: GeneTable
) -> dict[str, dict[str, list[dict[str, str | int | None]]]]:
    """Return what is said of each gene of each term, for `Ontology.graph`; rows with NOT say the opposite."""
    found: dict[str, dict[str, list[dict[str, str | int | None]]]] = {}
    place = {term_id: ontology.place(term_id)[0] for term_id in set(rows.term)}
    genes_of = [genes_named(names, genes) for names in rows.names]
    for object_, term_id, qualifier, evidence, date in rows.tuples():
        term = place[term_id]
        if term is None or is_negated(qualifier):
            continue
        held = found.setdefault(ontology.ids[term], {})
        for gene in genes_of[object_]:
            told: dict[str, str | int | None] = {"evidence": evidence, "qualifier": qualifier, "date": date or None}
            held.setdefault(genes.systematic[gene], []).append(told)
    return found

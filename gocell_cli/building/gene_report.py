"""What annotations say of one gene: of which term, by what evidence, when, and whether the rules in use leave it."""

from typing import Any

from gocell_cli.domain.annotations import AnnotationRows
from gocell_cli.domain.gene_annotations import gene_annotations
from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.ontology import Ontology
from gocell_cli.domain.term_filters import FilterRules


def gene_report(
    ontology: Ontology,
    rows: AnnotationRows,
    genes: GeneTable,
    rules: FilterRules,
    gene: str,
    *,
    until: int | None = None,
) -> list[dict[str, Any]]:
    """Return the annotations of a gene, named systematically, by term, as plain values that JSON can hold."""
    index = genes.index.get(gene)
    if index is None:  # a gene that a list of --genes added
        return []
    found = gene_annotations(rows, ontology, genes, rules, until=until, gene=index)
    return [
        {"term": ontology.ids[row.term], "name": ontology.names[row.term], **row.told()}
        for row in sorted(found, key=lambda row: row.term)
    ]

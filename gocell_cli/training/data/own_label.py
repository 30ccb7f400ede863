"""What would tell a phenotype its own label, or a control what it is to do without: what a model may know, and why not.

The one place that decides.

A screen publishes the fitness of a combined mutant beside that of its two parents, measured apart: a model that
predicts the one may be told the others. Other phenotypes are made of these very numbers.
"""

from collections.abc import Sequence

FITNESS, VIABILITY = "fitness", "viability"
SCORE = "its scores are what is left of the combined mutant's fitness once that of its strains is taken off"
ITSELF = "it is the label itself"
WITHHELD = {"smf": ITSELF, "epsilon": SCORE, "tau": SCORE}
"""Why phenotypes that come with fitness of strains are not told it."""
ESSENTIAL, SINGLE_FITNESS = "essential", "single_fitness"
"""Columns of gene vectors that are measurements of deletions: whether a gene is essential, its single mutants' fitness.
"""
TERMS = "terms_"
"""Beginning of the columns that are made of the terms of the hierarchy (`gocell gene-vectors`)."""


def fitness_withheld(phenotype: str) -> str:
    """Return why a phenotype is not told the published fitness of its strains, "" where it is."""
    if phenotype.casefold() == FITNESS:
        return ""
    return WITHHELD.get(phenotype.casefold(), f"{phenotype} is not known to be the fitness of a combined mutant")


def column_withheld(column: str, phenotype: str) -> str:
    """Return why a column of gene vectors is not told to a model of a phenotype, "" where it is."""
    if column == ESSENTIAL and phenotype.casefold() == VIABILITY:
        return ITSELF
    return fitness_withheld(phenotype) if column == SINGLE_FITNESS else ""


def columns_withheld(columns: Sequence[str], phenotype: str, *, control: bool = False) -> dict[str, str]:
    """Return the columns that a model of a phenotype is not told, and why; `control`: of a control of the hierarchy."""
    found = {column: column_withheld(column, phenotype) for column in columns}
    if control:
        found |= {c: "a control is to do without the terms as they are" for c in columns if c.startswith(TERMS)}
    return {column: why for column, why in found.items() if why}

"""The obvious mutant_state: one row at a time, state 0 where the row's gene is among the deleted ones."""

from gocell_cli.storage.schema import Hierarchy


def mutant_state(hierarchy: Hierarchy, deleted: list[int]) -> list[list[int]]:
    table = []
    for term, gene in zip(hierarchy.row_term.tolist(), hierarchy.row_gene.tolist(), strict=True):
        state = 0 if gene in deleted else 1
        table.append([term, gene, int(hierarchy.level[term]), state])
    return sorted(table)

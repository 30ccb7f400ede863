"""The genes of a cache with channels: each (gene, channel, state) is a gene to all that comes after, an input.

Terms are chosen by genes (at least so many of them), and only then do inputs stand in the place of genes: the rule of a
hierarchy does not depend on how much was measured of each gene.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int32

from gocell_cli.domain.genes import Gene, GeneTable, make_gene_table
from gocell_cli.domain.term_hierarchy import TermHierarchy
from gocell_cli.gene_channels import Channel, Inputs


@dataclass(frozen=True)
class InputGenes:
    """The table of inputs, sorted by name as every gene table is; `of_gene` [genes, inputs a gene] are a gene's own."""

    table: GeneTable
    inputs: Inputs
    of_gene: Int32[np.ndarray, "genes per_gene"]

    def terms(self, hierarchy: TermHierarchy) -> TermHierarchy:
        """Return a hierarchy of genes as one of inputs: every row becomes one for each input of its gene.

        direct_genes and contained_genes count inputs.
        """
        each = self.of_gene.shape[1]
        term, own = np.repeat(hierarchy.row_term, each), self.of_gene[hierarchy.row_gene].reshape(-1)
        # sorted by (term, input), as the format has them
        order = np.lexsort((own, term))
        return replace(
            hierarchy,
            row_term=term[order],
            row_gene=own[order],
            direct_genes=hierarchy.direct_genes * np.int32(each),
            contained_genes=hierarchy.contained_genes * np.int32(each),
        )


def input_genes(genes: GeneTable, channels: tuple[Channel, ...]) -> InputGenes:
    """Return the inputs of all genes in all channels' states.

    An input answers to any name of its gene with the channel behind it; the one that is the loss of the gene (the first
    channel of base 1 that has a state 0) to the gene's names alone as well.
    """
    kinds = [(channel, state) for channel in channels for state in channel.states]
    loss = next((kind for kind in kinds if kind[0].base == 1 and kind[1] == 0), None)
    own = genes.genes()
    named = [(_input(gene, *kind, alone=kind == loss), g, kind) for g, gene in enumerate(own) for kind in kinds]
    order = sorted(range(len(named)), key=lambda i: named[i][0].systematic)
    place = np.empty(len(named), dtype=np.int32)
    place[order] = np.arange(len(named), dtype=np.int32)
    ordered = [named[i] for i in order]
    inputs = Inputs(
        gene=tuple(genes.systematic[g] for _, g, _ in ordered),
        channel=tuple(kind[0].name for _, _, kind in ordered),
        base=np.array([kind[0].base for _, _, kind in ordered], dtype=np.float64),
        state=np.array([kind[1] for _, _, kind in ordered], dtype=np.float64),
    )
    table = make_gene_table([entry for entry, _, _ in ordered])
    return InputGenes(table, inputs, place.reshape(len(genes), len(kinds)))


def _input(gene: Gene, channel: Channel, state: float, *, alone: bool) -> Gene:
    """A gene's input in one state, with all its names; alone: its gene's names without a channel behind them, too."""

    def called(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(channel.input_name(name, state) for name in names)

    plain = tuple(filter(None, (gene.systematic, gene.standard, *gene.aliases))) if alone else ()
    return Gene(
        channel.input_name(gene.systematic, state),
        channel.input_name(gene.standard, state),
        (*called(gene.aliases), *plain),
        gene.qualifier,
        (*called(gene.ids), *(gene.ids if alone else ())),
    )

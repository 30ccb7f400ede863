"""DCell as the paper draws it: a Linear, a BatchNorm and a head per term, run in a plain loop.

Shares nothing with gocell_cli.training.network.dcell but the hierarchy it is given. It is also the benchmarks' peer, so
it is honest: a term reads the slice of its own genes and the outputs of its own children, nothing more.
"""

import numpy as np
import torch
from torch import Tensor, nn

from gocell_cli.storage.schema import Hierarchy


class Subsystem(nn.Module):
    """One term: Linear over its children's outputs and its genes, BatchNorm, tanh, and a linear head."""

    def __init__(self, inputs: int, width: int, heads: int = 1) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, width)
        self.norm = nn.BatchNorm1d(width)
        self.head = nn.Linear(width, heads)


class OracleDCell(nn.Module):
    """The per-term network; `forward` takes x [B, genes] (1 present, 0 deleted) and returns heads [B, terms].

    Of several phenotypes a term has so many heads: [B, terms, phenotypes].
    """

    def __init__(
        self,
        hierarchy: Hierarchy,
        widths: list[int],
        norm_order: str = "tanh-bn",
        gene_weights: str = "own",
        vectors: Tensor | None = None,
        products: int = 0,
        phenotypes: int = 1,
    ) -> None:
        super().__init__()
        self.norm_order, self.phenotypes = norm_order, phenotypes
        terms = len(hierarchy.term_ids)
        self.child_terms: list[list[int]] = [[] for _ in range(terms)]
        self.genes: list[list[int]] = [[] for _ in range(terms)]
        for child, parent in zip(hierarchy.edge_child.tolist(), hierarchy.edge_parent.tolist(), strict=True):
            self.child_terms[parent].append(child)
        for term, gene in zip(hierarchy.row_term.tolist(), hierarchy.row_gene.tolist(), strict=True):
            self.genes[term].append(gene)
        self.gene_counts = [len(genes) for genes in self.genes]
        self.gene_index = torch.tensor([gene for genes in self.genes for gene in genes])
        self.order = sorted(range(terms), key=lambda t: -int(hierarchy.stratum[t]))
        self.root = int(np.flatnonzero(hierarchy.stratum == 0)[0])
        self.subsystems = nn.ModuleList(
            Subsystem(sum(widths[c] for c in self.child_terms[t]) + len(self.genes[t]), widths[t], phenotypes)
            for t in range(terms)
        )
        self.shared = gene_weights != "own"
        self.at_rest = 1.0 if gene_weights in ("deviation", "direction") else 0.0  # columns count from the wild type
        self.columns = 0.0 if gene_weights == "direction" else 1.0  # held at 0: an input that is 0 gives no gradient
        if self.shared:
            self.directions = nn.ParameterList(torch.zeros(width) for width in widths)
        self.scale: Tensor | None = None  # of each term's output, as its parents read it
        self.of_vectors, self.vectors = vectors is not None, vectors
        if vectors is not None:
            self.vector_weights = nn.ParameterList(torch.zeros(width, vectors.shape[1]) for width in widths)

        self.products = products
        if products:
            reads = [sum(widths[c] for c in children) for children in self.child_terms]
            self.products_in = nn.ParameterList(torch.zeros(2 * products, n) for n in reads)
            self.products_out = nn.ParameterList(torch.zeros(width, products) for width in widths)

    def deviating(self, t: int, z: Tensor, inputs: list[Tensor]) -> Tensor:
        """Z with the products of what the children differ by from the wild type, which is the last row."""
        d = torch.cat(inputs, 1)
        p, q = ((d - d[-1:]) @ self.products_in[t].t()).chunk(2, 1)
        return z + (p * q) @ self.products_out[t].t()

    def normed(self, block: Subsystem, a: Tensor) -> Tensor:
        """BatchNorm; with products the wild type, the last row, is normalised by the others' statistics."""
        if not self.products or not self.training:
            return block.norm(a)
        mean, var = a[:-1].mean(0), a[:-1].var(0, correction=0)
        block.norm(a[:-1])  # its running statistics
        return block.norm.weight * (a - mean) / torch.sqrt(var + block.norm.eps) + block.norm.bias

    def hidden(self, x: Tensor) -> list[Tensor]:
        """Activation [B, width] of every term."""
        if self.products:
            x = torch.cat([x, torch.ones_like(x[:1])])
        h: list[Tensor] = [x] * len(self.order)
        states = x.index_select(1, self.gene_index).split(self.gene_counts, 1)
        for t in self.order:
            block = self.subsystems[t]
            inputs = [h[c] if self.scale is None else h[c] * self.scale[c] for c in self.child_terms[t]]
            if self.genes[t]:
                inputs.append((states[t] - self.at_rest) * self.columns)
            z = block.linear(torch.cat(inputs, 1) if len(inputs) > 1 else inputs[0])
            if self.shared and self.genes[t]:
                z = z + (1 - states[t]).sum(1, keepdim=True) * self.directions[t]
            if self.vectors is not None and self.genes[t]:
                z = z + (1 - states[t]) @ self.vectors[self.genes[t]] @ self.vector_weights[t].t()
            if self.products and self.child_terms[t]:
                z = self.deviating(t, z, inputs[: len(self.child_terms[t])])
            h[t] = (
                self.normed(block, torch.tanh(z)) if self.norm_order == "tanh-bn" else torch.tanh(self.normed(block, z))
            )
        return [own[:-1] for own in h] if self.products else h

    def forward(self, x: Tensor) -> Tensor:
        heads = [block.head(h) for block, h in zip(self.subsystems, self.hidden(x), strict=True)]
        return torch.cat(heads, 1) if self.phenotypes == 1 else torch.stack(heads, 1)


def oracle_loss(heads: Tensor, target: Tensor, root: int, alpha: float) -> Tensor:
    """MSE of the root plus alpha times the sum of every other term's MSE (Ma et al. 2018)."""
    columns = heads.unbind(1)  # the gradient of a column taken by itself would be a table of all terms, for every term
    total = ((columns[root] - target) ** 2).mean()
    for term, head in enumerate(columns):
        if term != root:
            total = total + alpha * ((head - target) ** 2).mean()
    return total


def oracle_phenotypes_loss(
    heads: Tensor, target: Tensor, root: int, alpha: float, scales: list[float], kinds: list[str]
) -> Tensor:
    """The loss of heads [B, terms, P], sample by sample: a sample's of the phenotypes that it has (NaN: not)."""
    total = heads.new_zeros(())
    for sample, wanted in zip(heads, target, strict=True):
        for p, y in enumerate(wanted):
            if torch.isnan(y):
                continue
            for term, head in enumerate(sample[:, p]):
                one = (head - y) ** 2 if kinds[p] == "mse" else torch.nn.functional.softplus(head) - y * head
                total = total + scales[p] * (1 if term == root else alpha) * one
    return total / len(heads)


def gene_table(samples: list[tuple[int, ...]], genes: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """x [B, genes]: 0 where a sample deletes the gene, else 1."""
    x = torch.ones(len(samples), genes, dtype=dtype)
    for sample, deleted in enumerate(samples):
        x[sample, list(deleted)] = 0.0
    return x

"""DrugCell's genotype half in its form: a loop per term over dense layers, masked at every step.

Our own transcription of what github.com/idekerlab/DrugCell does (code/drugcell_NN.py and code/train_drugcell.py at
2e3efe1 and 0a3482e; MIT, copyright 2020 UC San Diego, Trey Ideker Lab); no text of it is copied. Kept of its form:

- a term's direct genes pass a layer of their own, DENSE over all genes: [its genes, all genes]; a float mask of the
  same shape zeroes all but one weight a row, once in the weights, then in the gradient of every step
- that layer's outputs and the children's outputs go through Linear, tanh, BatchNorm, a module each
- a term's head is a Linear to one number, its tanh, and a Linear of one number
- loss: the root's error plus `alpha` (there 0.2) times the sum of the others'

Left out: the drugs' half and what joins the two. What is not the oracle's mathematics: the gene layers (each gene of a
term has a weight and a bias before the term's own) and the tanh in the heads. With gene layers set to give x as it is,
its activations are the oracle's in norm order `tanh-bn`: `tests/training/network/test_peers.py`.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gocell_cli.storage.schema import Hierarchy


class DrugCellGenotype(nn.Module):
    """The network of one hierarchy; `forward` takes x [samples, genes] and returns heads [samples] by term."""

    def __init__(self, hierarchy: Hierarchy, widths: list[int]) -> None:
        super().__init__()
        terms = len(hierarchy.term_ids)
        self.child_terms: list[list[int]] = [[] for _ in range(terms)]
        self.genes: list[list[int]] = [[] for _ in range(terms)]
        for child, parent in zip(hierarchy.edge_child.tolist(), hierarchy.edge_parent.tolist(), strict=True):
            self.child_terms[parent].append(child)
        for term, gene in zip(hierarchy.row_term.tolist(), hierarchy.row_gene.tolist(), strict=True):
            self.genes[term].append(gene)
        # leaves first, as their layers are peeled off the graph
        self.order = sorted(range(terms), key=lambda t: int(hierarchy.height[t]))
        self.root = self.order[-1]
        self.masks: dict[str, Tensor] = {}
        every = len(hierarchy.gene_names)
        for t in range(terms):
            if self.genes[t]:
                self.add_module(f"{t}_genes", nn.Linear(every, len(self.genes[t])))
                mask = torch.zeros(len(self.genes[t]), every)
                mask[torch.arange(len(mask)), torch.tensor(self.genes[t])] = 1.0
                self.masks[f"{t}_genes.weight"] = mask
            inputs = sum(widths[c] for c in self.child_terms[t]) + len(self.genes[t])
            self.add_module(f"{t}_linear", nn.Linear(inputs, widths[t]))
            self.add_module(f"{t}_norm", nn.BatchNorm1d(widths[t]))
            self.add_module(f"{t}_head", nn.Linear(widths[t], 1))
            self.add_module(f"{t}_output", nn.Linear(1, 1))
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                parameter.mul_(self.masks[name] * 0.1 if name in self.masks else 0.1)

    def hidden(self, x: Float[Tensor, "samples genes"]) -> dict[int, Tensor]:
        """Activation [samples, width] of every term."""
        genes = {t: self._modules[f"{t}_genes"](x) for t in range(len(self.genes)) if self.genes[t]}
        h: dict[int, Tensor] = {}
        for t in self.order:
            inputs = [h[c] for c in self.child_terms[t]]
            if t in genes:
                inputs.append(genes[t])
            h[t] = self._modules[f"{t}_norm"](torch.tanh(self._modules[f"{t}_linear"](torch.cat(inputs, 1))))
        return h

    def forward(self, x: Float[Tensor, "samples genes"]) -> dict[int, Tensor]:
        return {
            t: self._modules[f"{t}_output"](torch.tanh(self._modules[f"{t}_head"](h))).squeeze(1)
            for t, h in self.hidden(x).items()
        }

    def mask_gradients(self) -> None:
        """Zero the gradient of every gene weight that is none: once after each backward pass, layer by layer."""
        for name, parameter in self.named_parameters():
            if name in self.masks:
                parameter.grad = parameter.grad * self.masks[name]


def drugcell_loss(heads: dict[int, Tensor], root: int, target: Tensor, alpha: float = 0.2) -> Tensor:
    """MSE of the root plus alpha times the sum of the others' MSEs."""
    error = nn.MSELoss()
    total = error(heads[root], target)
    for term, head in heads.items():
        if term != root:
            total = total + alpha * error(head, target)
    return total


def gene_layer_bytes(hierarchy: Hierarchy) -> int:
    """What the gene layers take in float32: weight, mask, gradient, the masked gradient, and AdamW's two moments."""
    return 6 * 4 * hierarchy.rows * len(hierarchy.gene_names)

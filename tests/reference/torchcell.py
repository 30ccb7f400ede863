"""torchcell's newest DCell, in its form: a loop over the terms of each stratum, gene states taken sample by sample.

Our own transcription of what github.com/Mjvolk3/torchcell does at commit 007c45e (torchcell/models/dcell.py and
torchcell/losses/dcell.py; MIT, by the classifier of its pyproject.toml); no text of it is copied. Kept of its form:

- a batch is a float table [samples, rows, 4] of (term, gene, stratum, state), the whole of it for every sample
- for each term the rows of each sample are gathered one sample after another, then stacked
- Linear, BatchNorm, tanh, and a Linear head, a module each, looked up by the term's name
- a term without genes reads one column of zeros
- loss: the root's error plus alpha times the MEAN of the others' errors; each head is compared with the root's first

Left out, in its favour: it counts the samples twice a term, as the largest entry of an index over all genes of all
samples; here the table's shape says it. The mathematics is the oracle's in norm order `bn-tanh`, and
`tests/training/network/test_peers.py` holds it to that.
"""

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from gocell_cli.storage.schema import Hierarchy


class TorchcellSubsystem(nn.Module):
    """One term: Linear, BatchNorm, tanh; weights and biases drawn from U(-0.001, 0.001)."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, width)
        self.norm = nn.BatchNorm1d(width)
        self.activation = nn.Tanh()
        nn.init.uniform_(self.linear.weight, -0.001, 0.001)
        nn.init.uniform_(self.linear.bias, -0.001, 0.001)

    def forward(self, inputs: Tensor) -> Tensor:
        h: Tensor = self.activation(self.norm(self.linear(inputs)))
        return h


class TorchcellDCell(nn.Module):
    """The network of one hierarchy; `widths` are the terms' neurons. Runs on any device.

    `forward` takes the batch's table and returns each term's head [samples], in the order in which they run.
    """

    def __init__(self, hierarchy: Hierarchy, widths: list[int]) -> None:
        super().__init__()
        terms = len(hierarchy.term_ids)
        self.child_terms: list[list[int]] = [[] for _ in range(terms)]
        for child, parent in zip(hierarchy.edge_child.tolist(), hierarchy.edge_parent.tolist(), strict=True):
            self.child_terms[parent].append(child)
        strata = hierarchy.stratum.tolist()
        self.strata = [[t for t in range(terms) if strata[t] == s] for s in range(max(strata), -1, -1)]
        self.root = self.strata[-1][0]
        # left on the CPU, as there: each term's rows travel to the device anew at every step
        self.rows = [torch.from_numpy(np.flatnonzero(hierarchy.row_term == t)) for t in range(terms)]
        self.subsystems, self.heads = nn.ModuleDict(), nn.ModuleDict()
        for t in range(terms):
            inputs = sum(widths[c] for c in self.child_terms[t]) + max(len(self.rows[t]), 1)
            self.subsystems[str(t)] = TorchcellSubsystem(inputs, widths[t])
            self.heads[str(t)] = nn.Linear(widths[t], 1)

    def forward(self, table: Float[Tensor, "samples rows 4"]) -> dict[int, Tensor]:
        h: dict[int, Tensor] = {}
        heads: dict[int, Tensor] = {}
        for stratum in self.strata:
            for t in stratum:
                inputs = [*(h[c] for c in self.child_terms[t]), self._gene_states(t, table)]
                h[t] = self.subsystems[str(t)](torch.cat(inputs, 1))
                heads[t] = self.heads[str(t)](h[t]).squeeze(-1)
        return heads

    def _gene_states(self, term: int, table: Float[Tensor, "samples rows 4"]) -> Tensor:
        """The states of one term's genes, [samples, genes]: a gather for each sample, and a stack of them all."""
        if not len(self.rows[term]):
            return table.new_zeros(len(table), 1)
        rows = self.rows[term].to(table.device)
        return torch.stack([table[i][rows][:, 3] for i in range(len(table))])


def torchcell_loss(heads: dict[int, Tensor], root: int, target: Tensor, alpha: float = 0.3) -> Tensor:
    """MSE of the root plus alpha times the mean of the others' MSEs.

    torch.equal tells the root's head from the others, term by term, as there: on a GPU it waits each time.
    """
    error = nn.MSELoss()
    others = [error(head, target) for head in heads.values() if not torch.equal(head, heads[root])]
    total: Tensor = error(heads[root], target)
    return total + alpha * torch.stack(others).mean() if others else total


def state_table(hierarchy: Hierarchy, genotypes: Int64[np.ndarray, "samples k"]) -> Float[Tensor, "samples rows 4"]:
    """The batch as torchcell's loader hands it over: every (term, gene) row of every sample, state 0 where deleted."""
    one = np.column_stack([hierarchy.row_term, hierarchy.row_gene, hierarchy.stratum[hierarchy.row_term]])
    table = np.empty((len(genotypes), len(one), 4), dtype=np.float32)
    table[:, :, :3] = one
    table[:, :, 3] = 1.0
    for sample, genes in enumerate(genotypes):
        table[sample, np.isin(hierarchy.row_gene, genes), 3] = 0.0
    return torch.from_numpy(table)

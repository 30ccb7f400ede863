"""Weights both ways: the stacked tables of a model <-> one state dict with a few tensors per term.

For a term `id` of width d with m inputs, its children's outputs (children by ascending id) and then its direct
genes (by systematic name):

    id.linear.weight [d, m]   id.linear.bias [d]   id.norm.weight, id.norm.bias, id.norm.running_mean,
    id.norm.running_var [d]   id.head.weight [p, d]   id.head.bias [p], of p phenotypes, mostly 1
    id.gene_direction [d] (gene_weights other than own; with deviation and direction, linear.weight's gene columns are
    for x_g - 1)
    id.product_in [2 r, children's outputs], P_t over Q_t, and id.product_out [d, r], U_t (a network of r products)
    id.vector_weight [d, k] (a network of k numbers a gene, which are `vectors.genes` and `vectors.learnt`, no term's)

That is what a plain loop of torch.nn.Linear, BatchNorm1d and Linear per term holds, so a model trained elsewhere
can be loaded, and any term of ours be looked at. A running mean leaves in float64, both of its parts (`statistics.py`).
"""

from collections.abc import Mapping

import numpy as np

from gocell_cli.errors import InvalidInput
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.dcell import DCell
from gocell_cli.training.network.layout import child_rows
from gocell_cli.training.network.statistics import MEAN, REST

with train_extra():
    import torch
    from torch import Tensor

BY_NEURON = {
    "linear.bias": "bias",
    "norm.weight": "norm_weight",
    "norm.bias": "norm_bias",
    "norm.running_mean": "running_mean",
    "norm.running_var": "running_var",
    "gene_direction": "gene_direction",
    "state_direction": "states.direction",
    "vector_weight": "vectors.weight",
    "product_out": "product_out",
}
HEAD, HEAD_BIAS = "head.weight", "head.bias"
"""A row a phenotype; of one phenotype the model's tables have no such dimension."""
OF_GENES = ("vectors.genes", "vectors.learnt")
"""What no term holds: it stays the model's."""
# Where a fresh model's padding is not 0: tables joined from terms then equal its own.
PADDING = {"norm_weight": 1.0, "running_var": 1.0}


class TermWeights:
    """Where each term's tensors lie in a model's tables."""

    def __init__(self, model: DCell, hierarchy: Hierarchy) -> None:
        self.model, self.hierarchy, self.stack = model, hierarchy, model.stack
        stack = self.stack
        self._position = np.argsort(stack.order)
        own = -(-stack.width // stack.piece) * stack.piece
        rows = child_rows(hierarchy, own, self._position, stack.buckets)
        self._inputs: list[list[np.ndarray]] = [[] for _ in stack.order]
        # by parent, each one's children ascending: the order of their columns in id.linear.weight
        for edge in np.lexsort((hierarchy.edge_child, hierarchy.edge_parent)).tolist():
            child, parent = int(hierarchy.edge_child[edge]), int(hierarchy.edge_parent[edge])
            self._inputs[parent].append(rows[edge] + np.arange(stack.width[child]))
        # stable: the genes of a term keep the hierarchy's order, by systematic name
        self._rows = np.split(np.argsort(hierarchy.row_term, kind="stable"), self._row_ends())
        self._bucket = np.repeat(np.arange(len(stack.buckets)), [b.terms for b in stack.buckets])

    @property
    def _product_rows(self) -> int:
        return 2 * self.model.config.products

    def _row_ends(self) -> np.ndarray:
        return np.cumsum(np.bincount(self.hierarchy.row_term, minlength=len(self.stack.order)))[:-1]

    def neurons(self, term: int) -> slice:
        """The rows of a term (index in the hierarchy) in every table by neuron."""
        first = int(self.stack.first_neuron[self._position[term]])
        return slice(first, first + int(self.stack.width[term]))

    def _child_block(self, table: Tensor, term: int, rows: int | None = None) -> tuple[Tensor, Tensor]:
        """Return the term's matrix [out, inp] within a flat table like child_weight, and its inputs' columns.

        rows: of a table like product_in, instead of the term's `out`.
        """
        position = int(self._position[term])
        b = self.stack.buckets[int(self._bucket[position])]
        place = b.weight + (position - b.first) * b.out * b.inp
        if rows is not None:
            place = rows * (b.source + (position - b.first) * b.inp)
        rows = b.out if rows is None else rows
        matrix = table[place : place + rows * b.inp].view(rows, b.inp)
        found = self._inputs[term]
        columns = np.concatenate(found) - b.source - (position - b.first) * b.inp if found else np.zeros(0, np.int64)
        return matrix, torch.from_numpy(columns).to(table.device)

    def _gene_block(self, table: Tensor, term: int) -> Tensor:
        """Return the term's gene weights as a view [blocks, genes, piece] of a table like gene_weight."""
        position, genes = int(self._position[term]), len(self._rows[term])
        blocks = int(self.stack.blocks[position])
        first = int(self.stack.block_start[int(self.stack.first_neuron[position]) // self.stack.piece])
        return table[first : first + blocks * genes].view(blocks, genes, self.stack.piece)

    def linear(self, child: Tensor, genes: Tensor, term: int) -> Tensor:
        """Return W_t [d, children's outputs + genes] out of tables like child_weight and gene_weight."""
        width = int(self.stack.width[term])
        matrix, columns = self._child_block(child, term)
        block = self._gene_block(genes, term)
        # [blocks, genes, piece] to [neurons, genes]; rows past the width are padding
        by_gene = block.permute(0, 2, 1).reshape(block.shape[0] * block.shape[2], block.shape[1])
        return torch.cat([matrix[:width][:, columns], by_gene[:width]], dim=1)

    def _put_linear(self, child: Tensor, genes: Tensor, term: int, weight: Tensor) -> None:
        width = int(self.stack.width[term])
        matrix, columns = self._child_block(child, term)
        matrix[:width, columns] = weight[:, : len(columns)].to(matrix)
        block = self._gene_block(genes, term)
        padded = block.new_zeros(block.shape[0] * block.shape[2], block.shape[1])
        padded[:width] = weight[:, len(columns) :].to(block)
        block.copy_(padded.view(block.shape[0], block.shape[2], block.shape[1]).permute(0, 2, 1))

    def split(self, tables: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return per-term tensors of tables named as the model's own (a state dict, or gradients by name)."""
        found: dict[str, Tensor] = {}
        # columns that are held at 0 have no gradient
        genes = tables["gene_weight"] if "gene_weight" in tables else torch.zeros_like(self.model.gene_weight)
        for term, name in enumerate(self.hierarchy.term_ids):
            found[f"{name}.linear.weight"] = self.linear(tables["child_weight"], genes, term)
            rows = self.neurons(term)
            if "product_in" in tables:
                matrix, columns = self._child_block(tables["product_in"], term, self._product_rows)
                found[f"{name}.product_in"] = matrix[:, columns]
            for part, table in BY_NEURON.items():
                if table in tables:
                    own = tables[table][rows].clone()
                    if table == MEAN:  # in float64: one float32 number can't hold what evaluation needs of it
                        own = own.double() + tables[REST][rows].double()
                    found[f"{name}.{part}"] = own
            if "head_weight" in tables:
                found[f"{name}.{HEAD}"] = tables["head_weight"][..., rows].reshape(-1, rows.stop - rows.start).clone()
            found[f"{name}.{HEAD_BIAS}"] = tables["head_bias"][..., int(self._position[term])].reshape(-1).clone()
        return found

    @torch.no_grad()
    def join(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return tables for `model.load_state_dict` out of per-term tensors.

        Raises InvalidInput naming the first tensor that is missing or has another shape, or that no term has.
        """
        like = self.model.state_dict()
        tables = {name: torch.full_like(t, PADDING.get(name, 0.0)) for name, t in like.items()}
        tables.update({name: t for name, t in like.items() if name in OF_GENES})
        self._check(state, self.split(like))
        for term, name in enumerate(self.hierarchy.term_ids):
            rows = self.neurons(term)
            weight = state[f"{name}.linear.weight"]
            self._put_linear(tables["child_weight"], tables["gene_weight"], term, weight)
            if "product_in" in tables:
                matrix, columns = self._child_block(tables["product_in"], term, self._product_rows)
                matrix[:, columns] = state[f"{name}.product_in"].to(matrix)
            for part, table in BY_NEURON.items():
                if table in tables:
                    own = state[f"{name}.{part}"].reshape(tables[table][rows].shape)
                    tables[table][rows] = own.to(tables[table])
                    if table == MEAN:
                        # what the table's dtype lost of a float64 mean; 0 for a mean that came in float32
                        tables[REST][rows] = (own.double() - tables[table][rows].double()).to(tables[REST])
            for part, table, place in (
                (HEAD, "head_weight", rows),
                (HEAD_BIAS, "head_bias", int(self._position[term])),
            ):
                own = tables[table][..., place]
                own.copy_(state[f"{name}.{part}"].reshape(own.shape))
        return tables

    def _check(self, state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
        hint = "per-term weights must come from the same hierarchy, widths and gene_weights"
        for name in wanted:
            if name not in state:
                raise InvalidInput(f"the weights hold no {name}", hint=hint)
            if state[name].shape != wanted[name].shape:
                shapes = f"{tuple(state[name].shape)}, not {tuple(wanted[name].shape)}"
                raise InvalidInput(f"{name} has shape {shapes}", hint=hint)
        unknown = sorted(set(state) - set(wanted))
        if unknown:
            raise InvalidInput(f"no term holds {unknown[0]} ({len(unknown)} such tensors)", hint=hint)

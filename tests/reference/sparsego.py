"""SparseGO's genotype half in its form: one sparse matrix product a layer, with virtual nodes between levels.

Our own transcription, from the description and from reading github.com/KatynaSada/SparseGO (code/network.py,
code/sparseLinearNew.py at 5b442dc, code/util.py at 981049b); that repository holds no licence file that we found (its
README is a template that names MIT and a LICENSE.txt that is not there), so no text of it is copied. Kept of its form:

- genes are level 0, a term's level is its height + 1; a layer leads from one level to the next
- an edge that skips levels goes over virtual nodes: copies of the parent, each a full [width, width] block of weights
- a layer is one `torch.sparse.mm` of a matrix [its neurons, the neurons before], a bias, tanh, and one BatchNorm of all
- at the end Linear, tanh, BatchNorm, Linear to one number, tanh, Linear of one number; the loss is that number's error

Left out: the drugs' half. Not the oracle's mathematics: virtual nodes transform what they carry, and no term has a
head. Where no edge skips a level and only the leaves have genes there is no virtual node, and the root's activations
are the oracle's in norm order `tanh-bn`: `tests/training/network/test_peers.py`.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from gocell_cli.storage.schema import Hierarchy

Pair = tuple[int, int]
"""(output, input): terms, or in the first layer a term and a gene."""


class SparseLinear(nn.Module):
    """y = x A^T + b, A stored as coordinates: of each pair all of the output's neurons read all of the input's."""

    def __init__(self, rows: Int64[np.ndarray, " n"], columns: Int64[np.ndarray, " n"], shape: tuple[int, int]) -> None:
        super().__init__()
        by_row = np.lexsort((columns, rows))
        self.register_buffer("indices", torch.from_numpy(np.stack([rows[by_row], columns[by_row]])))
        self.shape, bound = shape, shape[1] ** -0.5
        self.weights = nn.Parameter(torch.empty(len(rows)).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(shape[0]).uniform_(-bound, bound))

    def forward(self, x: Float[Tensor, "samples inputs"]) -> Float[Tensor, "samples outputs"]:
        # is_coalesced is true of sorted indices, and said in its favour: there each backward pass sorts them again
        matrix = torch.sparse_coo_tensor(
            self.indices, self.weights, self.shape, is_coalesced=True, check_invariants=False
        )
        y: Tensor = torch.sparse.mm(matrix, x.t()).t() + self.bias
        return y


class SparseGOGenotype(nn.Module):
    """The network of one hierarchy; `forward` takes x [samples, genes] and returns the prediction [samples]."""

    def __init__(self, hierarchy: Hierarchy, widths: list[int]) -> None:
        super().__init__()
        self.places: list[dict[int, slice]] = []
        self.layers, self.norms = nn.ModuleList(), nn.ModuleList()
        for rows, columns, shape, places in _matrices(hierarchy, widths):
            self.layers.append(SparseLinear(rows, columns, shape))
            self.norms.append(nn.BatchNorm1d(shape[0]))
            self.places.append(places)
        width = widths[next(iter(self.places[-1]))]
        self.final = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.BatchNorm1d(width))
        self.output = nn.Sequential(nn.Linear(width, 1), nn.Tanh(), nn.Linear(1, 1))

    def hidden(self, x: Float[Tensor, "samples genes"]) -> Float[Tensor, "samples width"]:
        """Activation of the root."""
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = norm(torch.tanh(layer(x)))
        return x

    def forward(self, x: Float[Tensor, "samples genes"]) -> Float[Tensor, " samples"]:
        prediction: Tensor = self.output(self.final(self.hidden(x))).squeeze(1)
        return prediction


def pairs_by_layer(hierarchy: Hierarchy) -> list[list[Pair]]:
    """The pairs of each layer, virtual nodes (t, t) among them; layer 0 reads genes."""
    level = (hierarchy.height + 1).tolist()
    found: list[set[Pair]] = [set() for _ in range(max(level))]
    rows = zip(hierarchy.row_term.tolist(), hierarchy.row_gene.tolist(), strict=True)
    edges = zip(hierarchy.edge_parent.tolist(), hierarchy.edge_child.tolist(), strict=True)
    for start, pairs in ((None, rows), (0, edges)):
        for term, below in pairs:
            first = 0 if start is None else level[below]
            found[first].add((term, below))
            for between in range(first + 1, level[term]):
                found[between].add((term, term))
    return [sorted(pairs) for pairs in found]


def _places(pairs: list[Pair], widths: list[int]) -> dict[int, slice]:
    """Where a layer's terms lie among its neurons."""
    places, start = {}, 0
    for term in sorted({term for term, _ in pairs}):
        places[term] = slice(start, start + widths[term])
        start += widths[term]
    return places


def _matrices(
    hierarchy: Hierarchy, widths: list[int]
) -> Iterator[tuple[np.ndarray, np.ndarray, tuple[int, int], dict[int, slice]]]:
    """Each layer's coordinates, shape, and where its terms lie."""
    genes = len(hierarchy.gene_names)
    before = {g: slice(g, g + 1) for g in range(genes)}
    for pairs in pairs_by_layer(hierarchy):
        places, rows, columns = _places(pairs, widths), [], []
        for term, below in pairs:
            own, read = (np.arange(s.start, s.stop) for s in (places[term], before[below]))
            rows.append(np.repeat(own, len(read)))
            columns.append(np.tile(read, len(own)))
        shape = tuple(max(s.stop for s in where.values()) for where in (places, before))
        yield np.concatenate(rows), np.concatenate(columns), (shape[0], shape[1]), places
        before = places


def dense_gradient_bytes(hierarchy: Hierarchy, widths: list[int]) -> int:
    """The largest dense gradient of a layer in float32: `torch.sparse.mm` makes all of it, then keeps the pairs'."""
    before, most = len(hierarchy.gene_names), 0
    for pairs in pairs_by_layer(hierarchy):
        neurons = sum(widths[term] for term in {term for term, _ in pairs})
        before, most = neurons, max(most, 4 * neurons * before)
    return most

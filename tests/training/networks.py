"""Random small hierarchies, and the comparison of the stacked network with the per-term oracle."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from gocell_cli.level_directions import LEAF_UP, ROOT_DOWN
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.data.batch import Deletions
from gocell_cli.training.network.dcell import DCell, DCellConfig
from gocell_cli.training.network.layout import term_widths
from gocell_cli.training.network.loss import DCellLoss
from gocell_cli.training.network.term_weights import TermWeights
from tests.hierarchies import make_network, random_network  # noqa: F401  the network's tests take them from here
from tests.reference.dcell import OracleDCell, oracle_loss

Genotypes = list[tuple[int, ...]]


LISTS = {
    "gene_direction": "directions", "state_direction": "directions", "vector_weight": "vector_weights",
    "product_in": "products_in", "product_out": "products_out",
}  # fmt: skip
# the loop has directions alone: those of states are held by tests/training/network/test_state_columns.py
LISTED = {listed: part for part, listed in LISTS.items() if part != "state_direction"}
"""Parts of a term that the oracle keeps in lists of their own, by term."""
LEVELS = ("stratum", "height", "another")
"""Levels that a network may run by; `another` is a hand's own: it holds on every edge, has gaps and starts at 5."""


def by_level(hierarchy: Hierarchy, level_by: str) -> Hierarchy:
    """The hierarchy with another of its levels in use."""
    if level_by == "another":
        return replace(hierarchy, level=3 * hierarchy.stratum + 5, level_by=level_by, level_direction=ROOT_DOWN)
    direction = ROOT_DOWN if level_by == "stratum" else LEAF_UP
    return replace(hierarchy, level=getattr(hierarchy, level_by), level_by=level_by, level_direction=direction)


def random_genotypes(seed: int, samples: int, genes: int, most: int = 4) -> Genotypes:
    """Distinct-ish sets of 0 to `most` genes, after one single deletion of every gene."""
    rng = np.random.default_rng(seed)
    singles: Genotypes = [(g,) for g in range(genes)]
    return singles + [
        tuple(sorted(rng.choice(genes, int(rng.integers(0, most + 1)), replace=False).tolist())) for _ in range(samples)
    ]


def deletions(genotypes: Genotypes, genes: int) -> Deletions:
    """The genotypes as the model reads them."""
    ptr = torch.tensor([0, *np.cumsum([len(g) for g in genotypes]).tolist()])
    return Deletions.of(ptr, torch.tensor([g for sample in genotypes for g in sample], dtype=torch.int64), genes)


@dataclass
class Pass:
    """What one step of either network gives, per term."""

    heads: Tensor
    loss: Tensor
    gradients: dict[str, Tensor]
    statistics: dict[str, Tensor]


def oracle_of(hierarchy: Hierarchy, config: DCellConfig, vectors: Tensor | None = None) -> OracleDCell:
    """The per-term network of a config."""
    top = (config.top_width, config.top_strata)
    widths = term_widths(hierarchy, config.width_by, config.min_width, config.ratio, *top).tolist()
    order, genes = config.norm_order, config.gene_weights
    return OracleDCell(hierarchy, widths, order, genes, vectors, config.products, config.phenotypes).double()


def pair(
    hierarchy: Hierarchy, config: DCellConfig, seed: int = 0, vectors: Tensor | None = None
) -> tuple[DCell, OracleDCell]:
    """A stacked network with random norms and directions too, and an oracle that got its weights term by term.

    vectors: of genes, those that the network learns behind those that it is given.
    """
    torch.manual_seed(seed)
    known = vectors.shape[1] - config.learnt_vectors if vectors is not None else 0
    model = DCell(hierarchy, config, vectors[:, :known].detach() if vectors is not None and known else None).double()
    with torch.no_grad():
        if model.vectors is not None:
            assert vectors is not None
            model.vectors.get_buffer("genes").copy_(vectors[:, :known])  # float32's rounding is not the oracle's
            if model.vectors.learnt is not None:
                model.vectors.learnt.copy_(vectors[:, known:])
            model.vectors.weight.copy_(torch.randn_like(model.vectors.weight) * 0.3 * model.index["real"][:, None])
        real = model.index["real"]
        if model.product_out is not None:
            model.product_out.copy_(torch.randn_like(model.product_out) * 0.3 * real[:, None])
        model.norm_weight.copy_((0.5 + torch.rand_like(model.norm_weight)).where(real, 1.0))
        model.norm_bias.copy_(torch.randn_like(model.norm_bias) * 0.3 * real)
        model.running_mean.copy_(torch.randn_like(model.norm_bias) * 0.1 * real)
        model.running_var.copy_((0.5 + torch.rand_like(model.norm_weight)).where(real, 1.0))
        if model.gene_direction is not None:
            model.gene_direction.copy_(torch.randn_like(model.norm_bias) * 0.3 * real)
        if config.gene_weights == "deviation":  # they start at 0, where too much would agree
            of_piece = real.view(-1, model.stack.piece)[model.index["block_of_piece"]]
            model.gene_weight.copy_(torch.randn_like(model.gene_weight) * 0.3 * of_piece)
    oracle = oracle_of(hierarchy, config, vectors)
    load_oracle(oracle, to_oracle(model, hierarchy))
    return model, oracle


def to_oracle(model: DCell, hierarchy: Hierarchy) -> dict[str, Tensor]:
    """Per-term weights under the oracle's names."""
    state = TermWeights(model, hierarchy).split(model.state_dict())
    number = {name: index for index, name in enumerate(hierarchy.term_ids)}
    named = {}
    for key, tensor in state.items():
        term, part = key.split(".", 1)
        named[f"{LISTS[part]}.{number[term]}" if part in LISTS else f"subsystems.{number[term]}.{part}"] = tensor
        if part == "norm.weight":
            named[f"subsystems.{number[term]}.norm.num_batches_tracked"] = torch.tensor(0)
    return named


def load_oracle(oracle: OracleDCell, state: dict[str, Tensor]) -> None:
    """Load weights, all of them, name by name: load_state_dict looks through all names for every module."""
    own = oracle.state_dict()
    assert own.keys() == state.keys()
    with torch.no_grad():
        for key, tensor in own.items():
            assert tensor.shape == state[key].shape, key
            tensor.copy_(state[key])


def run_fast(model: DCell, hierarchy: Hierarchy, batch: "Deletions | Tensor", y: Tensor) -> Pass:
    """One step of the stacked network, its gradients split by term."""
    weights = TermWeights(model, hierarchy)
    model.zero_grad()
    heads = model(batch)
    loss = DCellLoss(model.root, alpha=model.config.alpha)(heads, y).total
    loss.backward()
    grads = weights.split({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    return Pass(heads.detach(), loss.detach(), grads, statistics(weights.split(model.state_dict())))


def statistics(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if "running" in name}


def run_oracle(oracle: OracleDCell, hierarchy: Hierarchy, x: Tensor, y: Tensor, alpha: float) -> Pass:
    """One step of the oracle, under the same names."""
    oracle.zero_grad()
    heads = oracle(x)
    loss = oracle_loss(heads, y, oracle.root, alpha)
    loss.backward()

    def name(key: str) -> str:
        _, number, *part = key.split(".", 2)
        return f"{hierarchy.term_ids[int(number)]}.{part[0] if part else LISTED[key.split('.', maxsplit=1)[0]]}"

    grads = {name(key): torch.zeros_like(p) if p.grad is None else p.grad for key, p in oracle.named_parameters()}
    buffers = {name(k): b.clone() for k, b in oracle.named_buffers() if "running" in k}
    return Pass(heads.detach(), loss.detach(), grads, buffers)


def difference(fast: Pass, slow: Pass) -> dict[str, float]:
    """The largest difference of heads, loss, statistics and of each kind of gradient."""
    assert fast.gradients.keys() == slow.gradients.keys()
    assert fast.statistics.keys() == slow.statistics.keys()
    worst = {"heads": float((fast.heads - slow.heads).abs().max()), "loss": float((fast.loss - slow.loss).abs())}
    for found, wanted in ((fast.gradients, slow.gradients), (fast.statistics, slow.statistics)):
        for key in wanted:
            kind, away = key.split(".", 1)[1], (found[key] - wanted[key]).abs()
            # products of a term without children have weights of no number
            worst[kind] = max(worst.get(kind, 0.0), float(away.max()) if away.numel() else 0.0)
    return worst


def plain_pair(hierarchy: Hierarchy, config: DCellConfig) -> tuple[DCell, OracleDCell]:
    """A stacked network as it starts, and an oracle with its weights."""
    model, oracle = DCell(hierarchy, config).double(), oracle_of(hierarchy, config)
    load_oracle(oracle, to_oracle(model, hierarchy))
    return model, oracle


def covering_singles(hierarchy: Hierarchy) -> Genotypes:
    """Single deletions, greedily chosen, that touch every term."""
    contains = contained(hierarchy)
    missing, chosen = np.ones(len(contains), dtype=bool), []
    while missing.any():
        best = int(contains[missing].sum(0).argmax())
        chosen.append((best,))
        missing &= ~contains[:, best]
    return chosen


def contained(hierarchy: Hierarchy) -> np.ndarray:
    """Which genes each term contains, [terms, genes] bool."""
    contains = np.zeros((len(hierarchy.term_ids), len(hierarchy.gene_names)), dtype=bool)
    contains[hierarchy.row_term, hierarchy.row_gene] = True
    for edge in np.argsort(-hierarchy.stratum[hierarchy.edge_child], kind="stable"):
        contains[hierarchy.edge_parent[edge]] |= contains[hierarchy.edge_child[edge]]
    return contains

"""Other systems' forms, as the benchmarks run them: where they compute what the per-term oracle does, they equal it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gocell_cli.storage.reader import Cache
from gocell_cli.storage.schema import Hierarchy
from tests.reference.dcell import OracleDCell, gene_table
from tests.reference.torchcell import TorchcellDCell, state_table, torchcell_loss
from tests.training import networks as nets

PAIRS = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (1, 3), (0, 2), (4, 2)]


def widths_of(hierarchy: Hierarchy) -> list[int]:
    """Some widths, not all alike."""
    return [2 + t % 3 for t in range(len(hierarchy.term_ids))]


def oracle_of(hierarchy: Hierarchy, norm_order: str) -> OracleDCell:
    torch.manual_seed(0)
    oracle = OracleDCell(hierarchy, widths_of(hierarchy), norm_order).double()
    for block in oracle.subsystems:
        nn.init.uniform_(block.norm.weight, 0.5, 1.5)
        nn.init.normal_(block.norm.bias)
    return oracle


def pair_table(seed: int, samples: int, genes: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.array([rng.choice(genes, 2, replace=False) for _ in range(samples)])


def torchcell_of(oracle: OracleDCell, hierarchy: Hierarchy) -> TorchcellDCell:
    """torchcell's form with the oracle's weights; a term without genes reads a column of zeros besides."""
    model = TorchcellDCell(hierarchy, widths_of(hierarchy)).double()
    with torch.no_grad():
        for t, block in enumerate(oracle.subsystems):
            own, head = model.subsystems[str(t)], model.heads[str(t)]
            own.linear.weight[:, : block.linear.weight.shape[1]] = block.linear.weight
            own.linear.bias.copy_(block.linear.bias)
            own.norm.load_state_dict(block.norm.state_dict())
            head.load_state_dict(block.head.state_dict())
    return model


def worst(found: list[Tensor], wanted: list[Tensor]) -> float:
    return max(float((a - b).detach().abs().max()) for a, b in zip(found, wanted, strict=True))


def check_torchcell(hierarchy: Hierarchy, pairs: np.ndarray, *, training: bool) -> None:
    """Heads, loss, every gradient and the running statistics."""
    oracle = oracle_of(hierarchy, "bn-tanh").train(training)
    model = torchcell_of(oracle, hierarchy).train(training)
    y = torch.linspace(-1, 1, len(pairs), dtype=torch.float64)
    slow = oracle(gene_table([tuple(p) for p in pairs.tolist()], len(hierarchy.gene_names)))
    errors = (slow - y[:, None]).square().mean(0)
    others = errors.sum() - errors[oracle.root]
    wanted = errors[oracle.root] + 0.3 * others / max(len(errors) - 1, 1)
    heads = model(state_table(hierarchy, pairs).double())
    loss = torchcell_loss(heads, model.root, y)
    assert worst([heads[t] for t in sorted(heads)], list(slow.unbind(1))) < 1e-10
    assert abs(float(loss.detach() - wanted.detach())) < 1e-10
    wanted.backward()
    loss.backward()
    for t, block in enumerate(oracle.subsystems):
        own, inputs = model.subsystems[str(t)], block.linear.weight.shape[1]
        assert worst([own.linear.weight.grad[:, :inputs]], [block.linear.weight.grad]) < 1e-10
        ours = [own.linear.bias, own.norm.weight, own.norm.bias, *model.heads[str(t)].parameters()]
        theirs = [block.linear.bias, block.norm.weight, block.norm.bias, *block.head.parameters()]
        assert worst([p.grad for p in ours], [p.grad for p in theirs]) < 1e-10
        assert worst([own.norm.running_mean, own.norm.running_var], [*block.norm.buffers()][:2]) < 1e-10


@pytest.mark.parametrize("training", [True, False])
def test_torchcell_on_the_toy_is_the_oracle(toy_cache: Path, training: bool) -> None:
    check_torchcell(Cache(toy_cache).hierarchy, np.array(PAIRS), training=training)


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), terms=st.integers(2, 12), training=st.booleans())
def test_torchcell_is_the_oracle(seed: int, terms: int, training: bool) -> None:
    check_torchcell(nets.random_network(seed, terms=terms), pair_table(seed, 12, 11), training=training)

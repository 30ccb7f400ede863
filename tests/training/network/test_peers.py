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
from tests.hierarchies import make_network
from tests.reference.dcell import OracleDCell, gene_table
from tests.reference.drugcell import DrugCellGenotype, drugcell_loss
from tests.reference.sparsego import SparseGOGenotype, dense_gradient_bytes, pairs_by_layer
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


def drugcell_of(oracle: OracleDCell, hierarchy: Hierarchy) -> DrugCellGenotype:
    """DrugCell's form with the oracle's weights, and gene layers that give each term its genes as they are."""
    model = DrugCellGenotype(hierarchy, widths_of(hierarchy)).double()
    with torch.no_grad():
        for t, block in enumerate(oracle.subsystems):
            model.get_submodule(f"{t}_linear").load_state_dict(block.linear.state_dict())
            model.get_submodule(f"{t}_norm").load_state_dict(block.norm.state_dict())
        for name, mask in model.masks.items():
            model.get_parameter(name).copy_(mask)
            model.get_parameter(name.replace("weight", "bias")).zero_()
    return model


@pytest.mark.parametrize("seed", range(3))
def test_drugcell_has_the_oracles_activations_and_their_gradients(seed: int) -> None:
    """Its heads are its own: a tanh and a second layer. What they read is the oracle's, up to its gene layers."""
    hierarchy, pairs = nets.random_network(seed), pair_table(seed, 12, 11)
    x = gene_table([tuple(p) for p in pairs.tolist()], len(hierarchy.gene_names))
    oracle = oracle_of(hierarchy, "tanh-bn")
    model = drugcell_of(oracle, hierarchy)
    slow, fast = oracle.hidden(x), model.hidden(x)
    assert worst([fast[t] for t in sorted(fast)], slow) < 1e-10
    for found in (slow, list(fast.values())):
        torch.stack([h.pow(3).sum() for h in found]).sum().backward()
    for t, block in enumerate(oracle.subsystems):
        own = model.get_parameter(f"{t}_linear.weight")
        assert worst([own.grad], [block.linear.weight.grad]) < 1e-9


def test_drugcells_masks_keep_every_other_gene_out_of_a_step() -> None:
    hierarchy, pairs = nets.random_network(1), pair_table(1, 12, 11)
    model = DrugCellGenotype(hierarchy, widths_of(hierarchy))
    x = gene_table([tuple(p) for p in pairs.tolist()], len(hierarchy.gene_names), torch.float32)
    heads = model(x)
    errors = {t: float(head.detach().square().mean()) for t, head in heads.items()}
    loss = drugcell_loss(heads, model.root, torch.zeros(len(x)))
    wanted = errors[model.root] + 0.2 * sum(e for t, e in errors.items() if t != model.root)
    assert float(loss.detach()) == pytest.approx(wanted, rel=1e-6)
    loss.backward()
    model.mask_gradients()
    for name, mask in model.masks.items():
        parameter = model.get_parameter(name)
        assert not parameter.grad[mask == 0].any()
        assert not parameter[mask == 0].any()
    assert any(model.get_parameter(name).grad.any() for name in model.masks)


def tree() -> Hierarchy:
    """Three levels, no edge skips one, genes at the leaves alone: nothing for virtual nodes to carry."""
    edges = [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (6, 2), (5, 1)]
    return make_network(edges, [(t, g) for t in range(3, 7) for g in (t - 3, t + 1, 8)], 7, 9)


def test_sparsego_without_virtual_nodes_has_the_oracles_activations() -> None:
    hierarchy, pairs = tree(), pair_table(0, 12, 9)
    widths = widths_of(hierarchy)
    oracle, model = oracle_of(hierarchy, "tanh-bn"), SparseGOGenotype(hierarchy, widths).double()
    with torch.no_grad():
        for layer, norm, places in zip(model.layers, model.norms, model.places, strict=True):
            for t, place in places.items():
                block = oracle.subsystems[t]
                mine = (layer.indices[0] >= place.start) & (layer.indices[0] < place.stop)
                # sorted by output, then input, as the oracle's inputs stand: children, then genes, ascending
                layer.weights[mine] = block.linear.weight.reshape(-1)
                layer.bias[place] = block.linear.bias
                norm.weight[place], norm.bias[place] = block.norm.weight, block.norm.bias
    x = gene_table([tuple(p) for p in pairs.tolist()], 9)
    slow, fast = oracle.hidden(x)[0], model.hidden(x)
    assert worst([fast], [slow]) < 1e-10
    slow.pow(3).sum().backward()
    fast.pow(3).sum().backward()
    place = model.places[-1][0]
    root = model.layers[-1].weights.grad.view(place.stop, -1)
    assert worst([root], [oracle.subsystems[0].linear.weight.grad]) < 1e-10
    leaves = model.layers[0].weights.grad
    assert (
        worst([leaves], [torch.cat([oracle.subsystems[t].linear.weight.grad.reshape(-1) for t in range(3, 7)])]) < 1e-9
    )


def test_sparsegos_virtual_nodes_carry_what_skips_a_level() -> None:
    """Root 0 over 1 over 2; gene 0 is the root's own, gene 1 the leaf's, and the leaf is the root's child too."""
    hierarchy = make_network([(1, 0), (2, 1), (2, 0)], [(0, 0), (2, 1)], 3, 2)
    assert pairs_by_layer(hierarchy) == [[(0, 0), (2, 1)], [(0, 0), (0, 2), (1, 2)], [(0, 0), (0, 1)]]
    assert dense_gradient_bytes(hierarchy, [5, 3, 2]) == 4 * 8 * 7  # the second layer: 5 + 3 neurons over 5 + 2
    assert SparseGOGenotype(hierarchy, [5, 3, 2])(torch.ones(4, 2)).shape == (4,)

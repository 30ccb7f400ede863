"""Genes of several states: one column a channel, times state less base; both forms against the per-term loop."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gocell_cli.domain.genes import make_gene_table
from gocell_cli.domain.input_genes import input_genes
from gocell_cli.errors import UsageError
from gocell_cli.gene_channels import Inputs, parse_channels
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.network.config import DCellConfig
from gocell_cli.training.network.dcell import DCell
from gocell_cli.training.network.loss import DCellLoss
from gocell_cli.training.network.term_weights import TermWeights
from tests.reference.dcell import OracleDCell, oracle_loss
from tests.training import networks as nets

SMALL = DCellConfig(min_width=3, ratio=0.3, init_range=0.5)
CHANNELS = [
    ("deletion",),
    ("mutation", "amplification"),
    ("dosage=1:0,0.5,2",),
    ("dosage=1:0,0.3,2", "mutation", "copies=2:0,1,7.1"),
]
Sample = dict[tuple[int, str], float]
"""The states of a sample's changed genes, by (gene, channel)."""


def by_channel(hierarchy: Hierarchy, texts: tuple[str, ...]) -> tuple[Hierarchy, Hierarchy, Inputs]:
    """A hierarchy of genes as one of inputs; and, for the loop, as one with a gene for each (gene, channel)."""
    channels = parse_channels(list(texts))
    genes = make_gene_table([(name,) for name in hierarchy.gene_names])
    found = input_genes(genes, channels)

    def widened(of_gene: np.ndarray) -> Hierarchy:
        term = np.repeat(hierarchy.row_term, of_gene.shape[1])
        gene = of_gene[hierarchy.row_gene].reshape(-1)
        order = np.lexsort((gene, term))
        counts = np.bincount(gene, minlength=of_gene.size)
        return replace(
            hierarchy,
            row_term=term[order],
            row_gene=gene[order],
            gene_names=tuple(f"g{i:04d}" for i in range(of_gene.size)),
            direct_genes=hierarchy.direct_genes * of_gene.shape[1],
            contained_genes=hierarchy.contained_genes * of_gene.shape[1],
            gene_ptr=np.concatenate([[0], np.cumsum(counts)]),
            gene_rows=np.argsort(gene[order], kind="stable").astype(np.int32),
        )

    inputs = replace(widened(found.of_gene), gene_names=found.table.systematic, inputs=found.inputs)
    plain = np.arange(len(genes) * len(channels), dtype=np.int32).reshape(len(genes), len(channels))
    return inputs, widened(plain), found.inputs


def random_samples(seed: int, hierarchy: Hierarchy, texts: tuple[str, ...], count: int = 24) -> list[Sample]:
    """Each gene once in each of its states, then sets of several."""
    rng = np.random.default_rng(seed)
    channels, genes = parse_channels(list(texts)), len(hierarchy.gene_names)
    samples: list[Sample] = [{(g, c.name): s} for g in range(genes) for c in channels for s in c.states]
    for _ in range(count):
        pairs = [(int(rng.integers(genes)), channels[int(rng.integers(len(channels)))]) for _ in range(rng.integers(5))]
        samples.append({(g, c.name): float(rng.choice(c.states)) for g, c in pairs})
    return samples


def as_inputs(samples: list[Sample], hierarchy: Hierarchy, inputs: Inputs) -> nets.Genotypes:
    """The samples as the cache has them: the indices of their inputs."""
    index = {
        (gene, channel, state): i
        for i, (gene, channel, state) in enumerate(zip(inputs.gene, inputs.channel, inputs.state.tolist(), strict=True))
    }
    names = hierarchy.gene_names
    return [tuple(sorted(index[names[g], c, s] for (g, c), s in sample.items())) for sample in samples]


def as_states(samples: list[Sample], genes: int, texts: tuple[str, ...]) -> Tensor:
    """State less base of every (gene, channel), [samples, genes * channels]."""
    channels = parse_channels(list(texts))
    table = np.zeros((len(samples), genes, len(channels)))
    for i, sample in enumerate(samples):
        for (gene, name), state in sample.items():
            place = [c.name for c in channels].index(name)
            table[i, gene, place] = state - channels[place].base
    return torch.from_numpy(table.reshape(len(samples), -1))


class StateOracle(OracleDCell):
    """The loop, whose x is the state less the base: nothing of it counts deletions."""

    def hidden(self, x: Tensor) -> list[Tensor]:
        h: list[Tensor] = [x] * len(self.order)
        for t in self.order:
            block, z = self.subsystems[t], x
            states = x[:, self.genes[t]]
            z = block.linear(torch.cat([*(h[c] for c in self.child_terms[t]), states], 1))
            if self.shared and self.genes[t]:
                z = z - states.sum(1, keepdim=True) * self.directions[t]
            tanh_first = self.norm_order == "tanh-bn"
            h[t] = block.norm(torch.tanh(z)) if tanh_first else torch.tanh(block.norm(z))
        return h


def networks(
    inputs: Hierarchy, plain: Hierarchy, config: DCellConfig, seed: int
) -> tuple[DCell, StateOracle, dict[str, tuple[list[int], list[int]]]]:
    """A network, the loop with its weights, and per term which of its columns are which of the loop's."""
    torch.manual_seed(seed)
    model = DCell(inputs, config).double()
    with torch.no_grad():
        real = model.index["real"]
        model.norm_weight.copy_((0.5 + torch.rand_like(model.norm_weight)).where(real, 1.0))
        model.norm_bias.copy_(torch.randn_like(model.norm_bias) * 0.3 * real)
        model.running_mean.copy_(torch.randn_like(model.norm_bias) * 0.1 * real)
        model.running_var.copy_((0.5 + torch.rand_like(model.norm_weight)).where(real, 1.0))
        of_piece = real.view(-1, model.stack.piece)[model.index["block_of_piece"]]
        model.gene_weight.copy_(torch.randn_like(model.gene_weight) * 0.3 * of_piece)
        assert model.states is not None
        if model.states.direction is not None:
            model.states.direction.copy_(torch.randn_like(model.norm_bias) * 0.3 * real)
    widths = [int(w) for w in model.stack.width]
    oracle = StateOracle(plain, widths, config.norm_order, config.gene_weights).double()
    assert inputs.inputs is not None
    channels = sorted(set(inputs.inputs.channel))
    genes = sorted(set(inputs.inputs.gene))
    owns = inputs.inputs.column
    places: dict[str, tuple[list[int], list[int]]] = {}
    for t, name in enumerate(inputs.term_ids):
        children = sum(widths[c] for c in oracle.child_terms[t])
        rows = inputs.row_gene[inputs.row_term == t].tolist()
        kept = [i for i, g in enumerate(rows) if owns[g] == g]
        pair = [
            genes.index(inputs.inputs.gene[rows[i]]) * len(channels) + channels.index(inputs.inputs.channel[rows[i]])
            for i in kept
        ]
        ranks = [oracle.genes[t].index(p) for p in pair]
        places[name] = (
            [*range(children), *(children + i for i in kept)],
            [*range(children), *(children + r for r in ranks)],
        )
    state = nets.to_oracle(model, inputs)
    number = {f"subsystems.{t}.linear.weight": name for t, name in enumerate(inputs.term_ids)}
    for key, name in number.items():
        mine, theirs = places[name]
        moved = torch.empty(len(state[key]), len(theirs), dtype=state[key].dtype)
        moved[:, theirs] = state[key][:, mine]
        state[key] = moved
    nets.load_oracle(oracle, state)
    return model, oracle, places


def differences(
    hierarchy: Hierarchy, texts: tuple[str, ...], config: DCellConfig, seed: int, *, training: bool
) -> dict[str, float]:
    inputs, plain, table = by_channel(hierarchy, texts)
    samples = random_samples(seed, hierarchy, texts)
    model, oracle, places = networks(inputs, plain, config, seed)
    y = torch.from_numpy(np.random.default_rng(seed).normal(size=len(samples)))
    model.train(training)
    oracle.train(training)
    batch = nets.deletions(as_inputs(samples, hierarchy, table), len(inputs.gene_names))
    heads = model(batch)
    loss = DCellLoss(model.root, alpha=config.alpha)(heads, y).total
    loss.backward()
    slow = oracle(as_states(samples, len(hierarchy.gene_names), texts))
    slow_loss = oracle_loss(slow, y, oracle.root, config.alpha)
    slow_loss.backward()
    found = {"heads": float((heads - slow).detach().abs().max()), "loss": float((loss - slow_loss).detach().abs())}
    grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    mine_all = TermWeights(model, inputs).split(grads)
    for t, name in enumerate(inputs.term_ids):
        mine, theirs = places[name]
        own = oracle.subsystems[t].linear.weight.grad
        assert own is not None
        whole = mine_all[f"{name}.linear.weight"]
        found[f"{name}.weight"] = float((whole[:, mine] - own[:, theirs]).abs().max()) if mine else 0.0
        others = [i for i in range(whole.shape[1]) if i not in mine]
        found[f"{name}.others"] = float(whole[:, others].abs().max()) if others else 0.0
        if oracle.shared and oracle.genes[t]:
            direction = oracle.directions[t].grad
            assert direction is not None
            found[f"{name}.direction"] = float((mine_all[f"{name}.state_direction"] - direction).abs().max())
    return found


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    texts=st.sampled_from(CHANNELS[2:]),
    norm_order=st.sampled_from(["tanh-bn", "bn-tanh"]),
    gene_weights=st.sampled_from(["own", "shared", "deviation"]),
    form=st.sampled_from(["dense", "delta"]),
    training=st.booleans(),
)
def test_states_equal_the_loop(
    seed: int, texts: tuple[str, ...], norm_order: str, gene_weights: str, form: str, training: bool
) -> None:
    """Outputs, loss and every gradient: a column is its channel's, whatever number of states reads it."""
    config = replace(SMALL, norm_order=norm_order, gene_weights=gene_weights, form=form)
    hierarchy = nets.random_network(seed, terms=7)
    worst = differences(hierarchy, texts, config, seed, training=training)
    assert max(worst.values()) < 1e-10, worst


def test_half_a_dose_is_half_of_a_deletion() -> None:
    """Before the first norm: what of z a state takes is (1 - s) times what the deletion takes."""
    inputs, _, table = by_channel(nets.random_network(3), ("dosage=1:0,0.5,2",))
    model = DCell(inputs, SMALL).double()
    columns = TermWeights(model, inputs).split({**model.state_dict(), "gene_weight": model.gene_columns().detach()})
    for t, name in enumerate(inputs.term_ids):
        rows = inputs.row_gene[inputs.row_term == t]
        weight = columns[f"{name}.linear.weight"]
        weight = weight[:, weight.shape[1] - len(rows) :]
        for i, gene in enumerate(rows.tolist()):
            lost = [j for j, g in enumerate(rows.tolist()) if table.gene[g] == table.gene[gene] and table.state[g] == 0]
            torch.testing.assert_close(weight[:, i], weight[:, lost[0]] * (1 - table.state[gene]), rtol=0, atol=1e-7)


@pytest.mark.parametrize("texts", CHANNELS[:2])
def test_channels_of_one_state_are_plain_inputs(texts: tuple[str, ...]) -> None:
    inputs, _, _ = by_channel(nets.random_network(1), texts)
    assert DCell(inputs, SMALL).states is None


def test_widths_go_by_genes() -> None:
    hierarchy = nets.random_network(2)
    config = DCellConfig(min_width=1, ratio=1.0)
    inputs, _, _ = by_channel(hierarchy, ("dosage=1:0,0.5,2", "mutation"))
    assert DCell(inputs, config).stack.width.tolist() == DCell(hierarchy, config).stack.width.tolist()


def test_vectors_are_refused() -> None:
    inputs, _, _ = by_channel(nets.random_network(1), ("dosage=1:0,0.5",))
    with pytest.raises(UsageError, match="several states"):
        DCell(inputs, DCellConfig(gene_weights="deviation", learnt_vectors=2))


def test_weights_by_term_keep_the_directions() -> None:
    """A checkpoint is weights by term: what is not among them is lost."""
    inputs, plain, _ = by_channel(nets.random_network(4), ("dosage=1:0,0.5",))
    model, _, _ = networks(inputs, plain, replace(SMALL, gene_weights="deviation"), 4)
    weights = TermWeights(model, inputs)
    again = weights.join(weights.split(model.state_dict()))
    for name, table in model.state_dict().items():
        torch.testing.assert_close(again[name], table, rtol=0, atol=1e-12)

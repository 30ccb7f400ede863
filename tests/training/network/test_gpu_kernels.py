"""The GPU's kernels in Triton's interpreter: the per-term oracle, the dense form and exact zeros, without a GPU."""

import math
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.network.dcell import DCell, DCellConfig
from gocell_cli.training.network.loss import DCellLoss
from tests.attempts import attempts, whole_only
from tests.reference.dcell import gene_table
from tests.training import networks as nets
from tests.training.network.test_together import assert_equal, whole_step
from tests.training.together import together

pytest.importorskip("triton", reason="the GPU's kernels need Triton (pip install 'gocell[triton]')")

GENES = 12
from gocell_cli.training.network.delta.gpu import levels  # noqa: E402  it imports Triton

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered in exp:RuntimeWarning")  # tanh far out is 1
NEVER = 2**60
"""More multiply-adds than any term has: none is wide."""
genotypes = st.lists(st.sets(st.integers(0, GENES - 1), max_size=5).map(sorted).map(tuple), min_size=2, max_size=40)


def on_gpu(model: DCell, wide: int = NEVER, precision: str | None = None) -> DCell:
    assert model.delta is not None
    model.delta = replace(model.delta, backend="gpu", wide=wide, precision=precision)
    return model


@settings(max_examples=attempts(4, 100))
@given(
    seed=st.integers(0, 10_000),
    terms=st.integers(1, 12),
    batch=genotypes,
    config=st.builds(
        DCellConfig,
        min_width=st.sampled_from([2, 7, 20]),
        ratio=st.sampled_from([0.3, 3.0]),
        width_by=st.sampled_from(["direct", "contained"]),
        norm_order=st.sampled_from(["tanh-bn", "bn-tanh"]),
        gene_weights=st.sampled_from(["own", "shared"]),
        init_range=st.just(0.5),
        form=st.just("delta"),
        # two samples may differ by next to nothing: 1 / sqrt(1e-5) would amplify rounding 316 times a level
        eps=st.just(0.01),
    ),
    level_by=st.sampled_from(nets.LEVELS),
    training=st.booleans(),
    wide=st.sampled_from([0, NEVER]),
)
def test_any_batch_gives_what_the_dense_form_gives(
    seed: int, terms: int, batch: nets.Genotypes, config: DCellConfig, level_by: str, training: bool, wide: int
) -> None:
    """Every term a tile's or a matrix library's; terms touched by all samples or by none."""
    hierarchy = nets.by_level(nets.random_network(seed, terms=terms), level_by)
    dense, _ = nets.pair(hierarchy, replace(config, form="dense"), seed)
    delta = on_gpu(DCell(hierarchy, config).double(), wide)
    delta.load_state_dict(dense.state_dict())
    y = torch.from_numpy(np.random.default_rng(seed).normal(size=len(batch)))
    found, wanted = (
        nets.run_fast(model.train(training), hierarchy, nets.deletions(batch, GENES), y) for model in (delta, dense)
    )
    worst = nets.difference(found, wanted)
    assert max(worst.values()) < 1e-10, worst


@pytest.mark.parametrize("norm_order", ["tanh-bn", "bn-tanh"])
@pytest.mark.parametrize("wide", [0, NEVER])
def test_the_per_term_oracle(norm_order: str, wide: int) -> None:
    hierarchy = nets.random_network(4)
    config = DCellConfig(min_width=20, init_range=0.5, form="delta", norm_order=norm_order)
    model, oracle = nets.pair(hierarchy, config, 4)
    batch = nets.random_genotypes(4, 30, GENES)
    y = torch.from_numpy(np.random.default_rng(4).normal(size=len(batch)))
    found = nets.run_fast(on_gpu(model, wide), hierarchy, nets.deletions(batch, GENES), y)
    wanted = nets.run_oracle(oracle, hierarchy, gene_table(batch, GENES), y, config.alpha)
    worst = nets.difference(found, wanted)
    assert max(worst.values()) < 1e-10, worst


def gradients(model: DCell, batch: nets.Genotypes, y: torch.Tensor) -> dict[str, torch.Tensor]:
    """Heads and gradients of a step, through the loss's closed form."""
    model.zero_grad()
    heads = model.variant_heads(nets.deletions(batch, model.index.genes))
    DCellLoss(model.root)(heads, y.to(model.bias.dtype)).total.backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return {**found, "heads": heads.dense().detach()}


@pytest.mark.parametrize(("precision", "bound"), [("ieee", 1e-5), ("bf16", 0.05)])
def test_float32_and_bf16_against_float64(precision: str, bound: float) -> None:
    """Of bf16 the products alone: 8 bits, so 0.4 % a product."""
    hierarchy = nets.random_network(8)
    batch = nets.random_genotypes(8, 40, GENES)
    y = torch.linspace(-1, 1, len(batch), dtype=torch.float64)
    model, _ = nets.pair(hierarchy, DCellConfig(min_width=20, init_range=0.3, form="delta"), 8)
    wanted = gradients(model, batch, y)
    for wide in (0, NEVER):
        found = gradients(on_gpu(model.float(), wide, precision), batch, y)
        largest = max(float(exact.abs().max()) for exact in wanted.values())
        for name, exact in wanted.items():
            assert (found[name].double() - exact).abs().max() <= bound * largest, (name, wide)


@pytest.mark.parametrize(("precision", "switch"), [("tf32", "high"), ("ieee", "highest"), ("bf16", "medium")])
def test_wide_terms_products_are_of_the_kernels_precision(
    precision: str, switch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever torch is set to, which is as it was afterwards; of bf16's there is nothing to set."""
    asked, multiply = [], torch.mm

    def recorded(*arguments: Any, **named: Any) -> torch.Tensor:
        asked.append(torch.get_float32_matmul_precision())
        return multiply(*arguments, **named)

    monkeypatch.setattr(torch, "mm", recorded)
    torch.set_float32_matmul_precision("medium")
    try:
        model = DCell(nets.random_network(8, terms=3), DCellConfig(min_width=4, init_range=0.3, form="delta"))
        gradients(on_gpu(model, 0, precision), [(0,), (1, 2), (3,), ()], torch.linspace(-1, 1, 4))
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert asked
    assert set(asked) == {switch}


@pytest.mark.parametrize("norm_order", ["tanh-bn", "bn-tanh"])
def test_what_is_zero_is_exactly_zero_and_a_step_gives_the_same_bits_again(norm_order: str) -> None:
    """In float32, of terms that no sample touches: W, b and gamma; columns of untouched children with tanh last."""
    hierarchy = nets.random_network(5, terms=30, genes=60)
    torch.manual_seed(5)
    model = on_gpu(DCell(hierarchy, DCellConfig(min_width=20, init_range=0.5, norm_order=norm_order, form="delta")))
    # genes of few terms; not all genes of this hierarchy are annotated to any
    few = np.argsort([len(model.index.untouched(torch.tensor([g])).logical_not().nonzero()) or 99 for g in range(60)])
    a, b = sorted(map(int, few[:2]))
    batch: nets.Genotypes = [(a,), (a, b), (b,), ()]
    y = torch.linspace(-1, 1, 4)
    first, second = (gradients(model, batch, y) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    untouched = model.index.untouched(torch.tensor([a, b]))
    neurons = untouched[model.index["term_of_neuron"]]
    assert 0 < int(untouched.sum()) < 30
    for name in ("bias", "norm_weight"):
        assert not first[name][neurons].any()
        if norm_order == "tanh-bn" or name == "norm_weight":
            assert first[name][~neurons].any()
    for bucket in model.stack.buckets:
        shape = (bucket.terms, bucket.out, bucket.inp)
        own = first["child_weight"][bucket.weight :][: math.prod(shape)].view(shape)
        assert not own[untouched[bucket.first : bucket.first + bucket.terms]].any()
        if norm_order == "bn-tanh" and bucket.inp:
            piece = model.stack.piece
            blocks = model.index["source"][bucket.source // piece :][: bucket.terms * bucket.inp // piece]
            term = torch.cat([model.index["term_of_neuron"][::piece], torch.tensor([model.root])])
            idle = untouched[term[blocks]].view(bucket.terms, -1).repeat_interleave(piece, 1)
            assert not own.transpose(1, 2)[idle].any()


@pytest.mark.parametrize("norm_order", ["tanh-bn", "bn-tanh"])
def test_a_step_of_several_processes_is_the_whole_batchs(norm_order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second has no sample. The interpreter runs one kernel at a time in a process, so the members take turns."""
    turn, launch = threading.Lock(), levels.launch

    def in_turn(*arguments: Any, **constants: Any) -> None:
        with turn:
            launch(*arguments, **constants)

    monkeypatch.setattr(levels, "launch", in_turn)
    hierarchy = nets.random_network(6)
    config = DCellConfig(min_width=4, init_range=0.5, norm_order=norm_order, form="delta", gene_weights="shared")
    batch = nets.random_genotypes(6, 10, GENES)
    shares = [np.arange(9), np.arange(0), np.arange(9, len(batch))]
    alone, *models = (on_gpu(nets.pair(hierarchy, config, 6)[0]) for _ in range(4))
    wanted = whole_step(alone, batch, np.arange(len(batch)), None, GENES)
    for own in together(3, lambda m: whole_step(models[m.rank], batch, shares[m.rank], m, GENES)):
        assert_equal(own, wanted)


def above(hierarchy: Hierarchy, gene: int) -> tuple[Hierarchy, int]:
    """The part of a hierarchy that contains a gene, with all genes annotated to it; and that gene's number there."""
    closure = hierarchy.closure
    own = closure.term[closure.ptr[gene] : closure.ptr[gene + 1]]
    order = own[np.argsort(hierarchy.stratum[own], kind="stable")].tolist()
    place = {term: i for i, term in enumerate(order)}
    kept = [(t, g) for t, g in zip(hierarchy.row_term.tolist(), hierarchy.row_gene.tolist(), strict=True) if t in place]
    number = {g: i for i, g in enumerate(sorted({g for _, g in kept}))}
    every = zip(hierarchy.edge_child.tolist(), hierarchy.edge_parent.tolist(), strict=True)
    edges = [(place[c], place[p]) for c, p in every if c in place and p in place]
    rows = [(place[t], number[g]) for t, g in kept]
    return nets.make_network(edges, rows, len(order), len(number)), number[gene]


def test_all_levels_above_a_gene_of_the_bundled_hierarchy(bundled_hierarchy: Hierarchy) -> None:
    """The deepest that there is, of the fewest terms, in float64: the CPU's loops, which stand against the oracle.

    Of five samples a rarely touched neuron's deviation is multiplied by 316 at each level: two forms that do not count
    from the wild type alike would differ in what rounding leaves of it.
    """
    deepest = int(bundled_hierarchy.stratum.max())
    annotated = bundled_hierarchy.row_gene[bundled_hierarchy.stratum[bundled_hierarchy.row_term] == deepest]
    gene = min(np.unique(annotated).tolist(), key=lambda g: int(np.diff(bundled_hierarchy.closure.ptr)[g]))
    hierarchy, own = above(bundled_hierarchy, gene)
    assert len(np.unique(hierarchy.stratum)) == deepest + 1
    genes = len(hierarchy.gene_names)
    batch: nets.Genotypes = [(), (own,), tuple(sorted({own, genes // 2})), (genes // 3,), (genes // 3, genes - 1)]
    torch.manual_seed(1)
    model = DCell(hierarchy, DCellConfig(init_range=0.1, form="delta")).double()
    y = torch.linspace(-1, 1, len(batch), dtype=torch.float64)
    wanted = gradients(model, batch, y)
    found = gradients(on_gpu(model), batch, y)
    for name, exact in wanted.items():
        assert (found[name] - exact).abs().max() <= 1e-9 * exact.abs().max(), name


@whole_only
@pytest.mark.timeout(3600)  # the interpreter takes a millisecond and more for each operation of each of 7,000 tiles
@pytest.mark.parametrize("norm_order", ["tanh-bn", "bn-tanh"])
def test_the_bundled_hierarchy(bundled_hierarchy: Hierarchy, norm_order: str) -> None:
    """All of its levels in float64, as the CPU's loops compute them."""
    torch.manual_seed(0)
    model = DCell(bundled_hierarchy, DCellConfig(norm_order=norm_order, form="delta", init_range=0.1)).double()
    genes = np.random.default_rng(0).choice(np.unique(bundled_hierarchy.row_gene), (12, 3), replace=False)
    batch = [tuple(sorted(map(int, g))) for g in genes]
    y = torch.linspace(-1, 1, 12, dtype=torch.float64)
    wanted = gradients(model, batch, y)
    found = gradients(on_gpu(model), batch, y)
    for name, exact in wanted.items():
        assert (found[name] - exact).abs().max() <= 1e-9 * exact.abs().max(), name

"""The delta form is the dense network: heads, loss, every gradient, statistics; and its zeros are exact."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gocell_cli.errors import UsageError
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.network.config import CHOICES
from gocell_cli.training.network.dcell import DCell, DCellConfig
from gocell_cli.training.network.delta.compiler import kinds
from gocell_cli.training.network.delta.compiler.kinds import REGISTER, WIDE_REGISTER
from gocell_cli.training.network.delta.cpu import kernels
from gocell_cli.training.network.delta.form import DeltaForm
from gocell_cli.training.network.loss import DCellLoss
from gocell_cli.training.network.population import set_population
from tests.attempts import attempts, whole_only
from tests.training import networks as nets

SMALL = DCellConfig(min_width=4, init_range=0.5, ratio=0.3, form="delta")
GENES = 12
genotypes = st.lists(st.sets(st.integers(0, GENES - 1), max_size=5).map(sorted).map(tuple), min_size=2, max_size=24)


def step(
    model: DCell, batch: nets.Genotypes, y: torch.Tensor, kind: str, *, rows: bool
) -> tuple[dict[str, torch.Tensor], float]:
    """Heads, gradients and statistics of one step, and its loss; through the loss's closed form with `rows`."""
    model.zero_grad()
    deletions = nets.deletions(batch, GENES)
    heads = model.heads(deletions) if rows else model(deletions)
    loss = DCellLoss(model.root, kind)(heads, y).total
    loss.backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    found["heads"] = (heads.dense() if rows else heads).detach()
    found.update({name: model.get_buffer(name).clone() for name in ("running_mean", "running_var")})
    return found, float(loss.detach())


def compare(
    config: DCellConfig,
    seed: int,
    batch: nets.Genotypes,
    *,
    training: bool,
    kind: str = "mse",
    level_by: str = "stratum",
) -> None:
    hierarchy = nets.by_level(nets.random_network(seed), level_by)
    dense, _ = nets.pair(hierarchy, replace(config, form="dense"), seed)
    delta = DCell(hierarchy, config).double()
    delta.load_state_dict(dense.state_dict(), strict=True)
    y = torch.rand(len(batch), dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    target = (y > 0.5).double() if kind == "bce" else y
    start = {name: value.clone() for name, value in dense.state_dict().items()}
    wanted, loss = step(dense.train(training), batch, target, kind, rows=False)
    assert delta.delta is not None
    for rows, backend in ((False, "cpu"), (True, "cpu"), (True, "tensors")):
        delta.delta = replace(delta.delta, backend=backend)
        delta.load_state_dict(start)
        found, own = step(delta.train(training), batch, target, kind, rows=rows)
        assert own == pytest.approx(loss, abs=1e-10)
        assert found.keys() == wanted.keys()
        for name in wanted:
            assert torch.allclose(found[name], wanted[name], rtol=0, atol=1e-10), (name, backend)


@settings(max_examples=attempts(8, 200))
@given(
    genotypes,
    st.integers(0, 50),
    st.sampled_from(["tanh-bn", "bn-tanh"]),
    st.sampled_from(CHOICES["gene_weights"]),
    st.booleans(),
)
def test_any_batch_gives_what_the_dense_form_gives(
    batch: nets.Genotypes, seed: int, norm_order: str, gene_weights: str, training: bool
) -> None:
    """Duplicates, wild types, up to five deletions, terms touched by all samples or by none."""
    compare(replace(SMALL, norm_order=norm_order, gene_weights=gene_weights), seed, batch, training=training)


@pytest.mark.parametrize("level_by", ["stratum", "height"])
@pytest.mark.parametrize(("width_by", "ratio"), [("contained", 1.7), ("direct", 3.0)])
@pytest.mark.parametrize("kind", ["mse", "bce"])
def test_widths_groupings_and_losses(level_by: str, width_by: str, ratio: float, kind: str) -> None:
    config = replace(SMALL, width_by=width_by, ratio=ratio)
    compare(config, 3, nets.random_genotypes(3, 20, GENES), training=True, kind=kind, level_by=level_by)


@pytest.fixture(params=[REGISTER, WIDE_REGISTER])
def registers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Loops as they are compiled where registers are so wide; a machine whose are not makes several of one."""
    bytes_each: int = request.param
    monkeypatch.setattr(kinds, "register_bytes", lambda: bytes_each)
    monkeypatch.setattr(kernels, "WIDE", bytes_each == WIDE_REGISTER)
    for loops in (kernels.up, kernels.down):
        monkeypatch.setattr(loops, "machines", {})
    return bytes_each


@pytest.mark.parametrize("piece", [2, 7, 20])
def test_registers_of_either_width(piece: int, registers: int) -> None:
    """Tiles of three rows and of six, of weights of three and of five; of 31 variants and more some rows are left."""
    config = replace(SMALL, min_width=piece, width_by="contained", ratio=3.0)
    compare(config, 4, nets.random_genotypes(4, 70, GENES, most=GENES), training=True)


def test_wide_terms_of_more_variants_than_are_taken_at_once(registers: int) -> None:
    """Chunks, panels, groups and parts of the compiled loops, the last of each not full; nor are all blocks."""
    config = replace(SMALL, min_width=2, width_by="contained", ratio=3.0)
    model = DCell(nets.random_network(4), config)
    batch = nets.random_genotypes(4, 1400, GENES, most=GENES)
    assert model.delta is not None
    plan, blocks = model.delta.plan(nets.deletions(batch, GENES)), model.delta.network.terms.blocks
    variants = np.diff(plan.variant_ptr)[:-1]
    assert ((variants > kernels.CHUNK) & (blocks[:-1] > kernels.PANEL)).any()
    assert (variants % kernels.CHUNK % kernels.TILE > 0).any()
    assert blocks[-1] > kernels.GROUP
    compare(config, 4, batch, training=True)


@given(genotypes, st.randoms())
@settings(max_examples=attempts(8, 60))
def test_the_order_of_samples_does_not_matter(batch: nets.Genotypes, random: np.random.Generator) -> None:
    model = nets.pair(nets.random_network(7), SMALL, 7)[0].eval()
    order = list(range(len(batch)))
    random.shuffle(order)
    heads = model(nets.deletions(batch, GENES))
    shuffled = model(nets.deletions([batch[i] for i in order], GENES))
    assert torch.allclose(shuffled, heads[order], rtol=0, atol=1e-12)


def test_samples_that_agree_share_their_rows() -> None:
    model, _ = nets.pair(nets.random_network(2), SMALL, 2)
    form = DeltaForm.of(model)
    once = form.plan(nets.deletions([(0, 1), (2,), ()], GENES))
    often = form.plan(nets.deletions([(0, 1), (2,), ()] * 50, GENES))
    assert len(often.term) == len(once.term)
    assert (often.weight == 50 * once.weight).all()


@pytest.mark.parametrize(
    ("norm_order", "backend"),
    [
        ("tanh-bn", "cpu"),
        ("bn-tanh", "tensors"),
        pytest.param("bn-tanh", "cpu", marks=whole_only),
        pytest.param("tanh-bn", "tensors", marks=whole_only),
    ],
)
def test_gradients_that_should_be_zero_are_exactly_zero_in_float32(
    bundled_hierarchy: Hierarchy, norm_order: str, backend: str
) -> None:
    """Of terms that no sample touches: weights, bias, gamma. With bn-tanh also columns of untouched children."""
    torch.manual_seed(0)
    model = DCell(bundled_hierarchy, DCellConfig(init_range=0.1, norm_order=norm_order, form="delta"))
    assert model.delta is not None
    model.delta = replace(model.delta, backend=backend)
    genes = np.unique(bundled_hierarchy.row_gene)[:40]
    batch = nets.deletions([(int(g), int(h)) for g, h in zip(genes[::2], genes[1::2], strict=True)], 6604)
    loss = DCellLoss(model.root)(model.heads(batch), torch.linspace(-1, 1, 20))
    loss.total.backward()
    untouched = model.index.untouched(torch.from_numpy(genes.astype(np.int64)))
    assert 1000 < int(untouched.sum()) < 3700
    neurons = untouched[model.index["term_of_neuron"]]
    for parameter in (model.bias, model.norm_weight):
        assert parameter.grad is not None
        assert not parameter.grad[neurons].any()
        if norm_order == "tanh-bn" or parameter is model.norm_weight:
            assert parameter.grad[~neurons].any()
    assert model.child_weight.grad is not None
    for b in model.stack.buckets:
        if not b.inp:
            continue
        gradient = model.child_weight.grad[b.weight :][: b.terms * b.out * b.inp].view(b.terms, b.out, b.inp)
        assert not gradient[untouched[b.first : b.first + b.terms]].any()
        if norm_order == "bn-tanh":
            piece = model.stack.piece
            blocks = model.index["source"][b.source // piece :][: b.terms * b.inp // piece]
            term = torch.cat([model.index["term_of_neuron"][::piece], torch.tensor([model.root])])
            idle = untouched[term[blocks]].view(b.terms, -1).repeat_interleave(piece, 1)
            assert not gradient.transpose(1, 2)[idle].any()


@pytest.mark.parametrize("backend", ["cpu", pytest.param("tensors", marks=whole_only)])
def test_the_bundled_hierarchy_in_float64(bundled_hierarchy: Hierarchy, backend: str) -> None:
    """All 3,793 terms, every one touched, at the initialisation that keeps rounding small."""
    torch.manual_seed(1)
    dense = DCell(bundled_hierarchy, DCellConfig(norm_order="tanh-bn")).double()
    delta = DCell(bundled_hierarchy, DCellConfig(norm_order="tanh-bn", form="delta")).double()
    delta.load_state_dict(dense.state_dict())
    assert delta.delta is not None
    delta.delta = replace(delta.delta, backend=backend)
    batch = nets.deletions(nets.covering_singles(bundled_hierarchy), 6604)
    y = torch.linspace(-1, 1, batch.samples, dtype=torch.float64)
    for model in (dense, delta):
        DCellLoss(model.root)(model.heads(batch), y).total.backward()
    for (name, one), (_, other) in zip(dense.named_parameters(), delta.named_parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.allclose(one.grad, other.grad, rtol=0, atol=1e-10), name
    assert torch.allclose(dense.running_var, delta.running_var, rtol=0, atol=1e-10)


def test_population_statistics_come_out_the_same() -> None:
    hierarchy = nets.random_network(4)
    dense, _ = nets.pair(hierarchy, replace(SMALL, form="dense"))
    delta, _ = nets.pair(hierarchy, SMALL)
    parts = [nets.deletions([(0,)], GENES), nets.deletions([(1,), (0, 1), ()], GENES)]
    for model in (dense, delta):
        set_population(model, lambda: parts)
    for name in ("running_mean", "running_var"):
        assert torch.allclose(dense.get_buffer(name), delta.get_buffer(name), rtol=0, atol=1e-10)


def test_what_the_form_has_not_is_an_error() -> None:
    model, _ = nets.pair(nets.random_network(4), SMALL)
    with pytest.raises(UsageError, match="at least two samples"):
        model.train().heads(nets.deletions([(0,)], GENES))
    values = torch.ones(3, GENES, dtype=torch.float64)
    assert model.eval()(values).shape == (3, 9), "values of all genes run dense"
    with pytest.raises(UsageError, match="distinct variants are the delta form's"):
        model.variant_heads(values)


@pytest.mark.parametrize("form", ["dense", "delta"])
def test_evaluation_sees_what_an_optimiser_has_changed(form: str) -> None:
    """The mean counted from the wild type is kept between batches, and is another after a step."""
    hierarchy, batch = nets.random_network(4), nets.deletions([(0,), (1, 2)], GENES)
    model = DCell(hierarchy, replace(SMALL, form=form)).double()
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
    before = model.eval()(batch).detach()
    model.train()(batch).square().sum().backward()
    optimiser.step()
    fresh = DCell(hierarchy, replace(SMALL, form=form)).double().eval()
    fresh.load_state_dict(model.state_dict())
    after = model.eval()(batch)
    assert torch.equal(after, fresh(batch))
    assert not torch.allclose(after, before)
    assert torch.equal(model(batch), after)

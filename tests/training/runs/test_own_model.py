"""Networks and losses of one's own in a run, and gradients of several batches in one step."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gocell_cli.errors import UsageError
from gocell_cli.figures.run_page import run_page
from gocell_cli.storage.reader import Cache
from gocell_cli.training.network.config import DCellConfig
from gocell_cli.training.network.dcell import DCell
from gocell_cli.training.network.own_model import OwnModel, TermByTerm
from gocell_cli.training.network.term_weights import TermWeights
from gocell_cli.training.runs.config import RunConfig
from gocell_cli.training.runs.evaluating import evaluate_run, finish_run
from gocell_cli.training.runs.run import load_best, open_predictor, own_run, reopen, resume_run
from gocell_cli.training.runs.store import RunStore
from gocell_cli.training.runs.trainer import Stopped, Trainer
from tests.commands.fork_server import PROJECT, environment
from tests.training import networks as nets
from tests.training.runs.test_trainer import TINY, begun, history

PLAIN = replace(
    TINY, precision="64-true", wide="none", neighbours="none", baselines="none", scheduler="plateau", l2=1e-3
)
MANY = {"batch_size": 12, "accumulate": 3}


class TwoLayers(OwnModel):
    """Additive effects through a hidden layer; the second head is auxiliary."""

    def __init__(self, hierarchy: Any, config: DCellConfig) -> None:
        super().__init__(hierarchy, config)
        self.first, self.second = nn.Linear(len(hierarchy.gene_names), 7), nn.Linear(7, 2)

    def forward(self, batch: Any) -> Tensor:
        found: Tensor = self.second(torch.tanh(self.first(self.genes_present(batch))))
        return found


def huber(heads: Tensor, target: Tensor) -> Tensor:
    return torch.nn.functional.huber_loss(heads[:, 0], target.to(heads))


def trained(out: Path, cache: Path, config: RunConfig, **own: Any) -> Trainer:
    trainer = own_run(Cache(cache), config, out, **own)
    trainer.fit(lambda _: None)
    trainer.store.release()
    return trainer


def test_several_batches_are_one_large_one_where_nothing_is_normalised(small_cache: Path, tmp_path: Path) -> None:
    """Uneven last ones, clipping, l2 and the auxiliary head too."""
    apart = trained(tmp_path / "apart", small_cache, replace(PLAIN, **MANY), model=TwoLayers)
    whole = trained(tmp_path / "whole", small_cache, replace(PLAIN, batch_size=36), model=TwoLayers)
    assert len(apart.epoch_batches().parts) > 2 * len(whole.epoch_batches().parts)
    for one, other in zip(apart.model.parameters(), whole.model.parameters(), strict=True):
        assert one.detach().numpy() == pytest.approx(other.detach().numpy(), rel=1e-9, abs=1e-12)
    for first, second in zip(history(tmp_path / "apart"), history(tmp_path / "whole"), strict=True):
        assert first["train"] == pytest.approx(second["train"], rel=1e-9)
        assert first["validation"] == pytest.approx(second["validation"], rel=1e-9)
    single = trained(tmp_path / "single", small_cache, replace(PLAIN, batch_size=12), model=TwoLayers)
    assert not torch.allclose(next(single.model.parameters()), next(whole.model.parameters()), rtol=1e-4)


@pytest.mark.parametrize("changes", [{"form": "delta"}, {"form": "dense"}, {"products": 2, "learnt_vectors": 2}])
def test_dcells_step_is_by_the_sum_of_its_batches_gradients(
    small_cache: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Each normalised by itself: gradients of the batches taken one by one, weighted by samples, add up to it."""
    config = replace(PLAIN, gene_weights="deviation", clip=0.0, **MANY, **changes)
    trainer, taken = begun(tmp_path / "run", small_cache, config), list[list[Tensor]]()

    def step(clip: float) -> Tensor:
        taken.append([p.grad.clone() for p in trainer.optimiser.weights if p.grad is not None])
        raise Stopped

    trainer.optimiser.joined_step = step  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        trainer.fit(lambda _: None)
    other = begun(tmp_path / "other", small_cache, config)
    other.batches, total = other.epoch_batches(), None
    for number in range(3):
        ready = other._ready(number)
        other.model.zero_grad()
        losses = other.measuring.losses(other.model.train().heads(ready.batch), ready.target)
        losses.total.backward()
        found = [p.grad.clone() / 3 for p in other.optimiser.weights if p.grad is not None]
        total = found if total is None else [a + b for a, b in zip(total, found, strict=True)]
    assert total is not None
    for one, wanted in zip(taken[0], total, strict=True):
        assert one.numpy() == pytest.approx(wanted.numpy(), rel=1e-6, abs=1e-7)


def test_a_run_of_several_batches_a_step_goes_on_to_the_same_bits(small_cache: Path, tmp_path: Path) -> None:
    config = replace(PLAIN, gene_weights="deviation", term_dropout=0.2, **MANY)
    begun(tmp_path / "whole", small_cache, config).fit(lambda _: None)
    trainer = begun(tmp_path / "stopped", small_cache, config)
    trainer.stop_at = lambda: trainer.step >= 4
    with pytest.raises(Stopped):
        trainer.fit(lambda _: None)
    assert trainer.step == 6  # with no gradient in hand that `last` lacks
    trainer.store.release()
    resume_run(tmp_path / "stopped").fit(lambda _: None)
    for name in ("last", "best"):
        one, other = RunStore(tmp_path / "whole").load(name)[0], RunStore(tmp_path / "stopped").load(name)[0]
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_network_and_a_loss_of_ones_own_go_on_and_are_reported(small_cache: Path, tmp_path: Path) -> None:
    own: dict[str, Any] = {"model": TwoLayers, "loss": huber}
    whole, stopped, config = tmp_path / "whole", tmp_path / "stopped", replace(PLAIN, min_width=0)
    finish_run(trained(whole, small_cache, config, **own))
    trainer = own_run(Cache(small_cache), config, stopped, **own)
    trainer.stop_at = lambda: trainer.epoch == 1 and trainer.step == 2
    with pytest.raises(Stopped):
        trainer.fit(lambda _: None)
    trainer.store.release()
    trained(stopped, small_cache, config, **own)
    one, other = RunStore(whole).load("best")[0], RunStore(stopped).load("best")[0]
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert history(whole) == history(stopped)
    record = RunStore(whole).record()
    assert record.own == {"model": "TwoLayers", "loss": "huber"}
    opened = reopen(RunStore(whole), **own)
    load_best(opened)
    assert record.results is not None
    assert evaluate_run(opened, "test").metrics == record.results["test"].metrics
    assert opened.history == []
    assert run_page(whole).sections
    for wrong in ({}, {"model": TwoLayers}, {"model": TermByTerm, "loss": huber}):
        with pytest.raises(UsageError, match="it was trained with model TwoLayers, loss huber"):
            own_run(Cache(small_cache), config, whole, **wrong)
    with pytest.raises(UsageError, match="model TwoLayers"):
        open_predictor(whole)


def test_a_loss_of_ones_own_trains_dcell_in_both_forms_alike(small_cache: Path, tmp_path: Path) -> None:
    config = replace(PLAIN, gene_weights="deviation")
    found = [
        trained(tmp_path / form, small_cache, replace(config, form=form), loss=huber) for form in ("delta", "dense")
    ]
    for one, other in zip(found[0].model.parameters(), found[1].model.parameters(), strict=True):
        assert one.detach().numpy() == pytest.approx(other.detach().numpy(), rel=1e-6, abs=1e-9)
    assert history(tmp_path / "delta")[0]["train"]["loss_auxiliary"] == 0  # type: ignore[index]
    assert open_predictor(tmp_path / "delta").hierarchy.term_ids == found[0].hierarchy.term_ids


@pytest.mark.parametrize("training", [True, False])
def test_term_by_term_is_dcell(training: bool) -> None:
    hierarchy = nets.random_network(3)
    config = DCellConfig(min_width=2, init_range=0.5)
    model, slow = DCell(hierarchy, config).double(), TermByTerm(hierarchy, config).double()
    number = {name: term for term, name in enumerate(hierarchy.term_ids)}
    state = TermWeights(model, hierarchy).split(model.state_dict())
    named = {f"blocks.{number[key.split('.', 1)[0]]}.{key.split('.', 1)[1]}": tensor for key, tensor in state.items()}
    slow.load_state_dict(named, strict=False)
    batch = nets.deletions(nets.random_genotypes(1, 20, 12), 12)
    wanted = model.train(training)(batch)
    assert slow.train(training)(batch).detach().numpy() == pytest.approx(wanted.detach().numpy(), abs=1e-10)
    assert (slow.root, slow.parameter_count()) == (model.root, model.parameter_count())


class Dosage(TermByTerm):
    """Two numbers a gene: whether it is there, and a number of its own; and a wider, deeper block."""

    numbers = 2

    def gene_inputs(self, batch: Any) -> Tensor:
        there = self.genes_present(batch)
        return torch.stack([there, there * torch.arange(there.shape[1]).to(there)], dim=2)

    def block(self, term: int, inputs: int, width: int) -> nn.Module:  # noqa: ARG002
        return Residual(inputs, width)


class Residual(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(inputs, width), nn.Linear(width, width), nn.Linear(width, 1)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        found = torch.tanh(self.first(inputs))
        found = found + torch.tanh(self.second(found))
        return found, self.head(found)


def test_a_terms_block_and_numbers_of_a_gene_by_subclass(small_cache: Path, tmp_path: Path) -> None:
    trainer = trained(tmp_path / "run", small_cache, replace(PLAIN, epochs=6), model=Dosage)
    # of standardised labels: predicting their mean has a loss of 1
    assert min(line["validation"]["loss_root"] for line in trainer.history) < 0.5
    assert trainer.hierarchy.term_ids[trainer.model.root] == "GO:ROOT"


SCRIPT = """
import sys
from pathlib import Path
from gocell_cli.storage.reader import Cache
from gocell_cli.training.runs.evaluating import finish_run
from gocell_cli.training.runs.run import own_run
from tests.training.runs.test_own_model import MANY, PLAIN, TwoLayers
from dataclasses import replace

trainer = own_run(Cache(Path(sys.argv[1])), replace(PLAIN, device="cpu", **MANY), Path(sys.argv[2]), model=TwoLayers)
trainer.fit(lambda progress: None)
finish_run(trainer)
"""


def test_two_processes_of_torchrun_are_one(small_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SCRIPT, "utf-8")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launch, str(tmp_path / "mine.py"), str(small_cache), str(tmp_path / "two")],
        capture_output=True, text=True, check=False, timeout=600,
        env={**environment(), "PYTHONPATH": str(PROJECT)}, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    one = trained(tmp_path / "one", small_cache, replace(PLAIN, **MANY), model=TwoLayers)
    two = RunStore(tmp_path / "two").load("last")[0]
    for name, tensor in one.model.state_dict().items():
        assert two[name].numpy() == pytest.approx(tensor.numpy(), rel=1e-9, abs=1e-12)

"""Two gloo processes: a step's gradients are one process's, and so is a run started by torchrun as a user would."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

from gocell_cli.training.network.dcell import DCell, DCellConfig
from gocell_cli.training.network.loss import DCellLoss
from gocell_cli.training.network.population import set_population
from gocell_cli.training.runs.one_machine import MEMORY
from gocell_cli.training.runs.processes import Processes
from tests.commands.fork_server import completed, environment
from tests.training import networks as nets

GOCELL = str(Path(sys.executable).parent / "gocell")
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
SETTINGS = {
    "precision": "64-true", "min_width": 2, "ratio": 0.0, "gene_weights": "deviation", "own_decay": 0.5, "epochs": 2,
    "term_dropout": 0.2, "learnt_vectors": 2,
    "batch_size": 33, "lr": 0.001, "l2": 1e-5, "population_samples": 99, "init_range": 0.5,
}  # fmt: skip


def train(launcher: list[str], cache: Path, out: Path, more: dict[str, int]) -> subprocess.CompletedProcess[str]:
    words = [f"--set={name}={value}" for name, value in {**SETTINGS, **more}.items()]
    command = [*launcher, GOCELL, "train", str(cache), "--device", "cpu", "--out", str(out), "--json", *words]
    done = (
        subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        if launcher
        else completed(command, Path.cwd(), environment())
    )
    assert done.returncode == 0, done.stderr
    return done


def numbers(values: dict[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in values.items() if value is not None}


GENOTYPES: nets.Genotypes = [(0, 1), (1,), (0, 1, 2), (), (1, 4), (0,), (0, 3)]
WEIGHTED = 0.01


SMALL = DCellConfig(min_width=4, init_range=0.5)
MORE = {
    "plain": SMALL,
    "products": replace(SMALL, products=3, gene_weights="deviation"),
    "term_dropout": replace(SMALL, term_dropout=0.3),
    "top_width": replace(SMALL, top_width=11, top_strata=2),
    "all three": replace(SMALL, products=2, term_dropout=0.3, top_width=11, top_strata=2),
}  # fmt: skip
CASES = {
    f"{form}, {norm_order}, {name}": replace(config, form=form, norm_order=norm_order)
    for form in ("dense", "delta") for norm_order in ("tanh-bn", "bn-tanh") for name, config in MORE.items()
    if form == "delta" or not config.products  # the dense form refuses those in several processes
}  # fmt: skip


def small_model(config: DCellConfig) -> DCell:
    return nets.pair(nets.random_network(4), config)[0]


def one_step(model: DCell, rank: int, world: int) -> dict[str, torch.Tensor]:
    """Gradients and statistics of a process's own share of the batch: 4 samples and 3 of two processes."""
    y = torch.linspace(-1, 1, len(GENOTYPES), dtype=torch.float64)
    own = np.array_split(np.arange(len(GENOTYPES)), world)[rank]
    model.drop_terms(seed=1, epoch=0, step=3)
    heads = model.train()(nets.deletions([GENOTYPES[i] for i in own], 12))
    loss = DCellLoss(model.root, l2=WEIGHTED)(heads, y[torch.from_numpy(own)], [model.child_weight])
    loss.shared(len(own) / len(GENOTYPES), world, WEIGHTED).total.backward()
    found = {f"train.{name}": model.get_buffer(name).clone() for name in ("running_mean", "running_var")}
    set_population(model, lambda: [nets.deletions([GENOTYPES[i] for i in own], 12)])
    found.update({name: model.get_buffer(name).clone() for name in ("running_mean", "running_var")})
    return found


def gradients(model: DCell) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def process(rank: int, folder: str) -> None:
    """As torchrun starts it: the trainer's own processes, joined by gloo."""
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", LOCAL_WORLD_SIZE="2")
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=(Path(folder) / "port").read_text("ascii"))
    processes = Processes("cpu", "64-true")
    assert processes.machine is not None or not MEMORY.is_dir()
    for name, config in CASES.items():
        model = small_model(config)
        model.group = processes
        found = one_step(model, rank, 2)
        processes.sum_gradients(model.parameters())
        torch.save(found | gradients(model), f"{folder}/{name}-{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def shares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes found in each case; they are started once, for each has to import torch anew."""
    folder = tmp_path_factory.mktemp("shares")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        (folder / "port").write_text(str(free.getsockname()[1]), "ascii")
    torch.multiprocessing.spawn(process, (str(folder),), nprocs=2)
    return folder


@pytest.mark.parametrize("case", CASES)
def test_gradients_and_statistics_of_uneven_shares_are_those_of_the_whole_batch(case: str, shares: Path) -> None:
    """Gene 5 and others are never deleted, gene 2 in one share only, gene 1 in all samples of neither."""
    model = small_model(CASES[case])
    wanted = one_step(model, 0, 1) | gradients(model)
    for rank in range(2):
        found = torch.load(shares / f"{case}-{rank}.pt")
        assert found.keys() == wanted.keys()
        for name in wanted:
            assert torch.allclose(found[name], wanted[name], rtol=0, atol=1e-10), (rank, name)


def assert_close(found: dict[str, float], wanted: dict[str, float]) -> None:
    """To 1e-6; but ranks jump where two nearly equal predictions change places."""
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        ranked = name.endswith(("spearman", "auroc", "average_precision"))
        assert found[name] == pytest.approx(value, rel=0.02 if ranked else 1e-6), name


@pytest.mark.parametrize("more", [{}, {"products": 2, "top_width": 5}], ids=["", "products"])
def test_two_processes_train_as_one(more: dict[str, int], small_cache: Path, tmp_path: Path) -> None:
    """33 samples a step are 17 and 16; the last of 134 are 2: one each.

    Float64 rounds 1e-16 and AdamW, which divides each gradient by its own size, amplifies it step by step: to 1e-9 at
    this learning rate, to 1e-2 at ten times it. Hence 1e-6; the step itself is held to 1e-10 above.
    """
    found = {}
    for name, launcher in (("one", []), ("two", TORCHRUN)):
        done = train(launcher, small_cache, tmp_path / name, more)
        found[name] = json.loads(done.stdout)  # one document: the other process is silent
    histories = [
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text("utf-8").splitlines()]
        for name in ("one", "two")
    ]
    assert len(histories[0]) == len(histories[1]) == SETTINGS["epochs"]
    for mine, theirs in zip(*histories, strict=True):
        for part in ("train", "validation"):
            assert numbers(theirs[part]) == pytest.approx(numbers(mine[part]), rel=1e-6), part
        assert theirs["learning_rate"] == mine["learning_rate"]
    assert histories[0][1]["train"]["loss"] < 0.999 * histories[0][0]["train"]["loss"]  # there was something to learn
    assert_close(*(numbers(found[name]["metrics"]) for name in ("two", "one")))

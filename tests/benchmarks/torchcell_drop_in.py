"""torchcell's own classes on our layout: its network, loss, data module and Lightning trainer, unchanged.

    pip download torchcell==1.8.4 --no-deps --only-binary=:all: --python-version 3.13
    unzip torchcell-1.8.4-py3-none-any.whl -d FOLDER
    pip install lightning hydra-core python-dotenv seaborn umap-learn  # what those files import
    python -m tests.benchmarks.torchcell_drop_in FOLDER CACHE [SAMPLES [STEPS]]

FOLDER is the unpacked wheel, outside the repository; only these of its files run: models/dcell.py, losses/dcell.py,
datamodules/cell.py, trainers/int_dcell.py, and what they import of theirs. CACHE is any cache, SAMPLES a batch's size.

1. Its data module splits a `CellDataset(cache, layout="torchcell")` and batches it; all else that it may ask is asked.
2. Its network with random weights, in float64: the largest difference of any head to ours, which has its weights
   (`TermWeights.join`), dense and delta, training and evaluating; of the loss as a part of it; of any weight's gradient
   as a part of that tensor's largest. In training BatchNorm divides what no sample of a batch reaches by sqrt(eps)
   alone: rounding grows by 316 a level there, so heads agree to some 1e-10, and gradients are compared of the terms
   that a deletion reaches, without the biases before BatchNorm, whose gradient is 0.
3. Full training steps (forward, loss, backward, AdamW, float32), theirs and ours in turn on the same batches, which
   are made outside the clock; ours makes its plan within it. Seconds are the wall's and the processor's; the ratio is
   of the processor's, which other work on the machine changes least: so one thread.
4. Its Lightning task trains and validates on its loaders.

Its gene states are float32 whatever its weights (`.float()`), so in float64 a hook casts what its terms read: exact,
for states are 0 and 1. Prints one JSON object.
"""

import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gocell_cli.storage.reader import Cache
from gocell_cli.training.data.batch import Deletions
from gocell_cli.training.network.config import DCellConfig
from gocell_cli.training.network.dcell import DCell
from gocell_cli.training.network.delta.ready import ReadyBatch
from gocell_cli.training.network.loss import DCellLoss, Target
from gocell_cli.training.network.term_weights import TermWeights
from gocell_cli.training.pyg.cell_dataset import CellDataset

PACKAGES = ("torchcell", *(f"torchcell.{room}" for room in ("models", "losses", "trainers", "viz", "datamodules")))
SPLIT_BY = ["phenotype_label_index", "perturbation_count_index"]
FOLLOW = ["perturbation_indices", "go_gene_strata_state"]
CONFIG = DCellConfig(norm_order="bn-tanh")
"""torchcell's: widths of at least 20 and 0.3 of a term's own genes, tanh after BatchNorm, alpha 0.3."""
ASKED = (
    "gene_set", "phenotype_label_index", "perturbation_count_index", "dataset_name_index",
    "is_any_perturbed_gene_index", "is_any_deletion_gene_index", "label_df", "phenotype_info", "transform",
)  # fmt: skip
"""What torchcell's data modules and scripts read of a dataset, besides its samples and cell_graph."""


def torchcell(folder: Path) -> Callable[[str], ModuleType]:
    """Return how to import a file of the unpacked wheel: without its packages' `__init__`, which import all of it."""
    if not (folder / "torchcell" / "models" / "dcell.py").is_file():
        raise SystemExit(
            f"{folder}: no torchcell/models/dcell.py; unpack torchcell's wheel there (see this file's head)"
        )
    for name in PACKAGES:
        package = ModuleType(name)
        package.__path__ = [str(folder.joinpath(*name.split(".")))]
        sys.modules[name] = package
    return lambda name: import_module(f"torchcell.{name}")


def their_weights(model: Any, names: tuple[str, ...], pick: Callable[[Tensor], Tensor | None]) -> dict[str, Tensor]:
    """A network's weights, or of its parameters what `pick` gives, term by term as `TermWeights` names them.

    A term without genes reads a column of zeros there, the last; ours has none.
    """
    found: dict[str, Tensor] = {}
    for term, name in enumerate(names):
        block, head = model.subsystems[str(term)], model.linear_heads[str(term)]
        inputs = block.linear.weight.shape[1] - (model.term_num_genes[term] == 0)
        parts = {"linear": block.linear, "norm": block.batch_norm, "head": head}
        for part, module in parts.items():
            for key in ("weight", "bias"):
                tensor = pick(getattr(module, key))
                assert tensor is not None, (name, part, key)
                found[f"{name}.{part}.{key}"] = tensor.detach()
        found[f"{name}.linear.weight"] = found[f"{name}.linear.weight"][:, :inputs]
        found[f"{name}.norm.running_mean"] = block.batch_norm.running_mean
        found[f"{name}.norm.running_var"] = block.batch_norm.running_var
    return found


def draw(model: nn.Module) -> None:
    """Weights of a trained network's size, for those that it starts from are within 0.001."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
        elif isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)


def deletions(batch: Any, genes: int) -> Deletions:
    """What ours reads of a batch of theirs: the deleted genes alone."""
    gene = batch["gene"]
    return Deletions.of(gene.perturbation_indices_ptr, gene.perturbation_indices, genes)


def ours_of(cache: Cache, weights: dict[str, Tensor], form: str) -> DCell:
    """Our network in float64, with the weights of theirs."""
    model = DCell(cache.hierarchy, replace(CONFIG, form=form)).double()
    model.load_state_dict(TermWeights(model, cache.hierarchy).join(weights))
    return model


def reached(cache: Cache, batch: Any) -> set[str]:
    """The terms that a deletion of a batch reaches: those that contain the gene."""
    h, deleted = cache.hierarchy, batch["gene"].perturbation_indices.numpy()
    gene = np.repeat(np.arange(len(h.gene_names)), np.diff(h.closure.ptr))
    return {h.term_ids[term] for term in np.unique(h.closure.term[np.isin(gene, deleted)])}


def worst(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> float:
    """Largest difference of any two tensors of a name, as a part of the tensor's largest entry."""
    largest = {name: float(tensor.abs().max()) for name, tensor in wanted.items()}
    return max(float((found[name] - wanted[name]).abs().max()) / (size or 1.0) for name, size in largest.items())


def differences(theirs: Any, loss: nn.Module, cache: Cache, batch: Any, *, training: bool) -> dict[str, float]:
    """Largest differences of ours to theirs, for one batch: heads, loss and gradients, by form."""
    names, y = cache.hierarchy.term_ids, batch["gene"].phenotype_values.double()
    weights = {k: t.clone() for k, t in their_weights(theirs, names, lambda p: p).items()}
    theirs.train(training).zero_grad()
    root, told = theirs(None, batch)
    total, _ = loss(root, told, y)
    total.backward()
    heads = torch.stack([told["linear_outputs"][f"GO:{term}"] for term in range(len(names))], 1).detach()
    gradients = {k: t for k, t in their_weights(theirs, names, lambda p: p.grad).items() if "running" not in k}
    if training:
        kept = reached(cache, batch)
        gradients = {k: t for k, t in gradients.items() if k.split(".")[0] in kept and not k.endswith("linear.bias")}
    out: dict[str, float] = {}
    for form in ("dense", "delta"):
        model = ours_of(cache, weights, form).train(training)
        own = model(deletions(batch, len(cache.hierarchy.gene_names)))
        parts = DCellLoss(model.root)(own, y)
        parts.total.backward()
        found = TermWeights(model, cache.hierarchy).split(
            {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        )
        when = f"{form}_{'training' if training else 'evaluation'}"
        out[f"{when}_heads"] = float((own.detach() - heads).abs().max())
        out[f"{when}_loss"] = abs(float(parts.total.detach() - total.detach())) / abs(float(total.detach()))
        out[f"{when}_gradients"] = worst(found, gradients)
    return out


def seconds(steps: dict[str, Callable[[Any], None]], batches: list[Any]) -> dict[str, list[tuple[float, float]]]:
    """Wall and processor seconds of each kind of step on each batch but the first, which warms up; in turn."""
    found = {name: list[tuple[float, float]]() for name in steps}
    for batch in batches:
        for name, step in steps.items():
            wall, own = time.perf_counter(), time.process_time()
            step(batch)
            found[name].append((time.perf_counter() - wall, time.process_time() - own))
    return {name: taken[1:] for name, taken in found.items()}


def their_step(model: Any, loss: nn.Module) -> Callable[[Any], None]:
    """A training step as its trainer makes it."""
    optimiser = torch.optim.AdamW(model.parameters())

    def step(batch: Any) -> None:
        root, told = model(None, batch)
        total, _ = loss(root, told, batch["gene"].phenotype_values)
        total.backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def our_step(cache: Cache, form: str) -> Callable[[Any], None]:
    """Ours on the same batch, its plan within the clock."""
    model = DCell(cache.hierarchy, replace(CONFIG, form=form))
    loss, optimiser = DCellLoss(model.root), torch.optim.AdamW(model.parameters(), fused=True)
    genes = len(cache.hierarchy.gene_names)

    def step(batch: Any) -> None:
        y: Tensor = batch["gene"].phenotype_values
        made = model.ready(deletions(batch, genes), y)
        target: Target = made.targets if isinstance(made, ReadyBatch) and made.targets is not None else y
        loss(model.heads(made), target).total.backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def asked(dataset: CellDataset) -> list[str]:
    """Ask for all that theirs is asked for; return the names that were answered."""
    for name in ASKED:
        getattr(dataset, name)
    dataset.close_lmdb()
    assert len(dataset[-3:]) == len(dataset.index_select([0, 1, -1])) == 3
    last, same = dataset[-1]["gene"].perturbation_indices, dataset[len(dataset) - 1]["gene"].perturbation_indices
    assert last.tolist() == same.tolist()
    return [*ASKED, "close_lmdb", "index_select", "slices", "negative indices"]


def trained(their: Callable[[str], ModuleType], model: Any, loss: nn.Module, data: Any, steps: int) -> dict[str, float]:
    """What its Lightning task logs of one epoch of so many steps, and of as many validation batches."""
    lightning = import_module("lightning")
    task = their("trainers.int_dcell").RegressionTask(
        model, data.dataset.cell_graph, {"type": "AdamW", "lr": 1e-3}, {"type": "ReduceLROnPlateau"},
        batch_size=data.batch_size, loss_func=loss, device="cpu",
    )  # fmt: skip
    trainer = lightning.Trainer(
        max_epochs=1, limit_train_batches=steps, limit_val_batches=steps, accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(task, data)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def main(folder: Path, directory: Path, samples: int = 32, steps: int = 4) -> None:
    """Run all four parts, and print what they gave."""
    torch.set_num_threads(1)
    their, cache = torchcell(folder), Cache(directory)
    dataset = CellDataset(cache, layout="torchcell")
    model_of, loss = their("models.dcell").DCell, their("losses.dcell").DCellLoss(aux_reduction="sum")
    with tempfile.TemporaryDirectory() as split, redirect_stdout(io.StringIO()):  # its classes print what they do
        data = their("datamodules.cell").CellDataModule(
            dataset, split, batch_size=samples, split_indices=SPLIT_BY, follow_batch=FOLLOW, num_workers=0,
            persistent_workers=False,
        )  # fmt: skip
        data.setup()
        torch.manual_seed(0)  # the loader's order
        model = model_of(dataset.cell_graph)
        batches = [batch for batch, _ in zip(data.train_dataloader(), range(steps + 1), strict=False)]
        kinds = {"torchcell": their_step(model, loss)} | {form: our_step(cache, form) for form in ("dense", "delta")}
        taken = seconds(kinds, batches)
        logged = trained(their, model, loss, data, steps)
        exact = model_of(dataset.cell_graph).double()
        draw(exact)
        for block in exact.subsystems.values():
            block.register_forward_pre_hook(lambda _, read: (read[0].double(),))
        found = [differences(exact, loss, cache, batches[0], training=training) for training in (True, False)]
    cpu = {name: statistics.median(own for _, own in one) for name, one in taken.items()}
    print(json.dumps({
        "cache": directory.name, "terms": len(cache.hierarchy.term_ids), "batch": samples,
        "split": [len(data.index.train), len(data.index.val), len(data.index.test)],
        "asked": asked(dataset),
        "lines_of_cell_graph": len(str(dataset.cell_graph).splitlines()),
        "differences": found[0] | found[1],
        "wall_and_cpu_seconds": taken,
        "times_faster": {form: cpu["torchcell"] / cpu[form] for form in ("dense", "delta")},
        "logged": logged, "threads": torch.get_num_threads(),
    }, indent=1))  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))

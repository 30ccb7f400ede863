"""The loop: cache in, checkpoints and measurements out. Devices and precision are `processes.py`'s business.

Order of rows, split and first weights are functions of the seed alone, so a run that was stopped anywhere goes on to
the same numbers: `last` holds weights, optimiser, scheduler, and the step within the epoch.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from gocell_cli.errors import DamagedCache, Diverged, UsageError
from gocell_cli.run_record import ExtensionRecord
from gocell_cli.storage.reader import Cache
from gocell_cli.training.data.ahead import ahead, threads_beside
from gocell_cli.training.data.batch import CacheRows
from gocell_cli.training.data.order import RowBatches, cut, drawn
from gocell_cli.training.extra import train_extra
from gocell_cli.training.inference.predict import head_of, put_statistics, statistics, use_population
from gocell_cli.training.network.dcell import Batch, DCell
from gocell_cli.training.network.delta.compiler.cache import work_seconds
from gocell_cli.training.network.loss import DCellLoss, PhenotypesLoss, Target
from gocell_cli.training.network.own_model import MakeModel, Network
from gocell_cli.training.runs.config import DEFAULTS, RunConfig
from gocell_cli.training.runs.going_on import cosine_rate, deciding_loss
from gocell_cli.training.runs.kept import network_hierarchy
from gocell_cli.training.runs.measuring import LOSSES, Measuring, MeasuringSeveral, OwnLoss, mean_pearson
from gocell_cli.training.runs.optimiser import OwnDecay, make_optimiser
from gocell_cli.training.runs.processes import Processes
from gocell_cli.training.runs.readings import Reading, Readings
from gocell_cli.training.runs.samples import RunSamples, deleted_genes, opened
from gocell_cli.training.runs.states import SCHEDULED, LastState, read_state, require_settings, shaping
from gocell_cli.training.runs.store import RunStore
from gocell_cli.training.runs.weights import TRAINED_GENES, Layout, layout_of, load_weights

with train_extra():
    import torch
    from torch import Tensor

SAFE_RATE, SAFE_CLIP, SAFE_RANGE = 3e-3, 1.0, 0.001
LARGE = {"alpha": 10.0, "l2": 1.0, "weight_decay": 1.0, "own_decay": 100.0}
"""Beyond these a setting is named where training diverged: 30 times the default, or a step that takes all weights."""
CONSTANT = 0.01
"""Share of the labels' standard deviation below which predictions are said to be constant."""
TRAINED_COPIES = 4
"""A weight in training: itself, its gradient, and AdamW's two moments."""


class Stopped(Exception):
    """Training was asked to stop; `last` is saved."""


@dataclass(frozen=True)
class Progress:
    """What a progress bar shows after a step; the loss is of the steps that the device has reported, or None."""

    epoch: int
    epochs: int
    step: int
    steps: int
    samples_per_second: float
    loss: float | None
    validation_pearson: float | None


@dataclass
class Clock:
    """Seconds spent in each kind of work during an epoch; compiling its loops is none of them."""

    load: float = 0.0
    model: float = 0.0
    optimiser: float = 0.0
    metrics: float = 0.0
    _since: float = 0.0

    def start(self) -> None:
        """Begin to count."""
        self._since = work_seconds()

    def lap(self, kind: str) -> None:
        """Give the time since the last lap to one kind of work."""
        now = work_seconds()
        setattr(self, kind, getattr(self, kind) + now - self._since)
        self._since = now

    def seconds(self) -> dict[str, float]:
        """Seconds by kind."""
        return {kind: round(getattr(self, kind), 4) for kind in ("load", "model", "optimiser", "metrics")}


@dataclass(frozen=True)
class ReadyStep:
    """A step's batch, this process's part of it, ready on the device; `samples` are those of all processes."""

    number: int
    places: slice
    samples: int
    batch: Batch
    target: Target


class Trainer:
    """One run: `fit` trains it, from the start or from `last`. The cache's columns are read once, here."""

    def __init__(
        self,
        cache: Cache,
        config: RunConfig,
        store: RunStore,
        processes: Processes,
        layout: Layout | None = None,
        samples: RunSamples | None = None,
        *,
        model: MakeModel | None = None,
        loss: OwnLoss | None = None,
    ) -> None:
        self.samples = samples = samples or RunSamples.of(cache, config)
        self.caches = opened(cache, config)
        self.config = config = config.for_samples(len(samples.rows))
        self.store, self.processes = store, processes
        self.rows, self.hierarchy = CacheRows(self.caches[0]), network_hierarchy(cache.hierarchy, config)
        self.values, self.split, self.kind = samples.values, samples.split, samples.kind
        self.train_rows, self.nan_labels, self.scale = samples.rows, samples.nan_labels, samples.scale
        self.number: int | None = None
        if samples.others and (model is not None or loss is not None):
            hint = f"one of them: phenotype={samples.kind!r}"
            raise UsageError("a model or a loss of one's own is trained on one phenotype", hint=hint)
        # right before the network is made, whose first weights are then the seed's alone
        torch.manual_seed(config.seed)
        self.layout = layout or Layout.of_cache(cache)
        self.model: Network = self._network(model).to(processes.device, processes.dtype)
        self.model.group = processes if processes.world > 1 else None
        self.measuring = self._measuring(0, loss)
        self.several = self._several() if samples.others else None
        decays = isinstance(self.model, DCell) and config.own_decay
        decay = OwnDecay(self.dcell.gene_weight, config.own_decay) if decays else None
        self.optimiser = make_optimiser(processes, self.model.parameters(), config.lr, config.weight_decay, decay)
        self.scheduler = self._scheduler()
        self.history: list[dict[str, Any]] = []
        self.epoch, self.best, self.waited = 0, float("inf"), 0
        self._begin_epoch()
        self.stop_at: Callable[[], bool] = lambda: False
        self.save_at: Callable[[], bool] = lambda: False
        self.on_epoch: Callable[[dict[str, Any]], None] = lambda _: None

    @property
    def dcell(self) -> DCell:
        """The network where it is ours; raises UsageError for one of somebody's own, which has no such terms."""
        if not isinstance(self.model, DCell):
            raise UsageError(f"{type(self.model).__qualname__} is no DCell, which alone has what is asked for")
        return self.model

    def _measuring(self, number: int, loss: OwnLoss | None = None) -> Measuring:
        """Return what measures one phenotype of the network, the only one where there are no others."""
        config, own = self.config, self.samples.each[number]
        kind = "bce" if own.scale.logits else "mse"
        by_term = DCellLoss(self.model.root, kind, config.alpha, config.auxiliary, config.l2)
        place = number if self.samples.others else None
        rows = CacheRows(self.caches[number])
        return Measuring(self.model, rows, by_term, own.scale, self.processes, loss, place)

    def _several(self) -> MeasuringSeveral:
        """Return what measures all phenotypes, and the loss of all (docs/algebra.md, "Several phenotypes")."""
        each = tuple(self._measuring(number) for number in range(len(self.samples.each)))
        weights = self.config.weights_of(len(each))
        scales = tuple(w / share for w, share in zip(weights, self.samples.shares(), strict=True))
        return MeasuringSeveral(each, PhenotypesLoss(tuple(one.loss for one in each), scales), weights)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The phenotypes that the network predicts."""
        return tuple(one.kind for one in self.samples.each)

    def of_phenotype(self, kind: str) -> "Trainer":
        """Return this run as one of its phenotypes sees it, to be measured: labels, scale, metrics; the same network.

        Itself where it has one alone.
        """
        if not self.samples.others:
            return self
        number, one = self.kinds.index(kind), copy(self)
        own = self.samples.each[number]
        one.number, one.kind, one.values, one.scale = number, own.kind, own.values, own.scale
        one.train_rows, one.nan_labels = own.train_rows, own.nan_labels
        one.measuring = self._measuring(number)
        one.rows = one.measuring.rows
        one.history = [as_line_of(line, kind) for line in self.history]
        return one

    def _network(self, make: MakeModel | None) -> Network:
        """Make the network: the run's own by its settings, or what a caller makes of hierarchy and settings."""
        if make is not None:
            return make(self.hierarchy, self.config.network(self.layout.width_by))
        copies = TRAINED_COPIES if self.processes.device.type == "cpu" else 1
        vectors = self.samples.vectors.values if self.samples.vectors is not None else None
        return self.layout.network(self.hierarchy, self.config, copies, vectors, len(self.samples.each))

    @cached_property
    def trained_genes(self) -> Bool[np.ndarray, " genes"]:
        """Which genes a training sample of the network deletes, whichever phenotypes it has."""
        return deleted_genes(self.rows.cache.columns(), self.samples.rows, len(self.hierarchy.gene_names))

    def _begin_epoch(self) -> None:
        """Nothing summed yet, no prediction made: of the epoch's order, in its own positions, on the device."""
        self.step, self.sums, self.summed, self.norms = 0, np.zeros(len(LOSSES)), 0, (0.0, 0.0)
        shape = (len(self.train_rows), *([len(self.samples.each)] if self.samples.others else []))
        self.seen = torch.zeros(shape, dtype=torch.float64, device=self.processes.device)
        self.readings = Readings(self.processes.device)

    def _scheduler(self) -> Any:
        schedulers, config = torch.optim.lr_scheduler, self.config
        if config.scheduler == "plateau":
            return schedulers.ReduceLROnPlateau(self.optimiser, factor=0.5, patience=3, min_lr=config.min_lr)
        if config.scheduler == "cosine":
            return schedulers.CosineAnnealingLR(self.optimiser, config.epochs, eta_min=config.min_lr)
        return schedulers.ConstantLR(self.optimiser, factor=1.0)

    def fit(self, report: Callable[[Progress], None]) -> None:
        """Train to the last epoch, or until patience ends; checkpoints `last` each epoch and `best` as it falls.

        Raises Stopped, after saving `last`, where `stop_at` says so; Diverged, and saves nothing more, where a loss,
        gradient or prediction is not finite.
        """
        patience = self.config.patience
        # asked before an epoch, too: a run may have been killed between its last one and its results
        while self.epoch < self.config.epochs and not (patience and self.waited >= patience):
            clock = Clock()
            self._epoch(report, clock)
            self._validate(clock)
        self._finish()

    def _epoch(self, report: Callable[[Progress], None], clock: Clock) -> None:
        processes, config = self.processes, self.config
        self.batches = batches = self.epoch_batches()
        begun, first, sizes = work_seconds(), self.step, list(map(len, batches.parts))
        self.model.train()
        clock.start()
        with ahead(self._ready, range(first, len(sizes)), threads_beside(processes.device)) as steps:
            for step in steps:
                clock.lap("load")
                self._train(step, clock)
                self.step = step.number + 1
                self._take(self.readings.read())
                rate = sum(sizes[first : self.step]) / (work_seconds() - begun)
                pearson = self.history[-1]["validation"]["pearson"] if self.history else None
                mean = float(self.sums[0] / self.summed) if self.summed else None
                report(Progress(self.epoch, config.epochs, self.step, len(sizes), rate, mean, pearson))
                if self._of_step(step.number).stop == self.step:  # no gradient is held that a checkpoint lacks
                    self._obey()
                clock.lap("metrics")
        self._take(self.readings.read(all_of_them=True))

    def epoch_batches(self) -> RowBatches:
        """Return the epoch's batches, those before the next step left out."""
        config, processes = self.config, self.processes
        return RowBatches(
            self.train_rows, config.batch_size, config.seed, self.epoch, self.step, processes.rank, processes.world
        )

    def _ready(self, number: int) -> ReadyStep:
        """Make a step's batch ready, in a thread that need not be the one that trains."""
        places, samples = self.batches.own(number), len(self.batches.parts[number])
        batch = self.rows.__getitems__(self.batches.order[places])
        ready, target = (self.several or self.measuring).ready(batch)
        # a share of a batch is a range of the epoch's order
        first = int(places[0]) if len(places) else 0
        return ReadyStep(number, slice(first, first + len(places)), samples, ready, target)

    def _take(self, readings: Iterable[Reading]) -> None:
        """Add up what steps gave; raises Diverged, as all processes do, where one's numbers are not finite."""
        for reading in readings:
            if not np.isfinite(reading.losses).all():
                raise self._diverged(reading.step + 1, f"the loss is {reading.losses[0]:g}")
            if not np.isfinite(reading.norm):
                raise self._diverged(reading.step + 1, f"the gradient's norm is {reading.norm:g}")
            # weighted by samples: an epoch's last batch may be of another size
            self.sums += reading.samples * reading.losses
            self.summed += reading.samples
            self.norms = self.norms[0] + reading.norm, max(self.norms[1], reading.norm)

    def _obey(self) -> None:
        """Save, or save and stop, where any process was asked to."""
        save, stop = self.processes.any_of(self.save_at(), self.stop_at())
        if save or stop:
            self.save_last()
        if stop:
            raise Stopped

    def _train(self, step: ReadyStep, clock: Clock) -> None:
        """One step on this process's rows; nothing of it waits for the device."""
        processes, share = self.processes, (step.places.stop - step.places.start) / step.samples
        together = self._of_step(step.number)
        whole = sum(map(len, self.batches.parts[together]))
        self.model.drop_terms(seed=self.config.seed, epoch=self.epoch, step=together.start // self.config.accumulate)
        with processes.products():
            with processes.autocast():
                heads = self.model.heads(step.batch)
            parts = (self.several or self.measuring).losses(heads, step.target)
            losses = parts.shared(share, processes.world, self.config.l2)
            found = torch.stack([getattr(losses, name).detach().double() for name in LOSSES.values()])
            processes.reduce(found, "sum")
            if step.number == together.start:
                self.optimiser.zero_grad()
            # exactly 1 where a batch is a step
            (losses.total * (step.samples / whole)).backward()  # type: ignore[no-untyped-call]
        clock.lap("model")
        norm = torch.zeros((), dtype=torch.float64, device=found.device)
        if step.number == together.stop - 1:
            norm = self.optimiser.joined_step(self.config.clip).double()
        clock.lap("optimiser")
        self.seen[step.places] = head_of(heads, self.model.root).detach().double()
        self.readings.add(step.number, step.samples, torch.cat([found, norm[None]]))

    def _of_step(self, number: int) -> slice:
        """Return the batches of an epoch whose gradients make one step with that of a batch, by number."""
        many = self.config.accumulate
        first = number - number % many
        return slice(first, min(first + many, len(self.batches.parts)))

    def _diverged(self, step: int, what: str) -> Diverged:
        """Where it happened, what is kept, and the settings that made it likely."""
        config, rate = self.config, self.optimiser.param_groups[0]["lr"]
        best = self.store.directory / "best.safetensors"
        kept = f"the best weights so far are kept in {best}" if best.is_file() else "no epoch was finished before"
        hints = [f"--lr {min(config.lr / 10, SAFE_RATE):g}"]
        hints += [f"--set init_range={SAFE_RANGE}"] if config.init_range > 100 * SAFE_RANGE else []
        hints += [f"--set clip={SAFE_CLIP}"] if config.clip == 0 else []
        large = {name: getattr(config, name) for name, most in LARGE.items() if getattr(config, name) > most}
        hints = [f"--set {name}={DEFAULTS[name]}" for name in large] + hints
        named = "".join(f", {name} {value:g}" for name, value in large.items())
        return Diverged(
            f"training diverged in epoch {self.epoch + 1}, step {step}: {what}",
            why=f"lr is {rate:g}, init_range {config.init_range:g}, clip {config.clip:g} (0: off){named}; {kept}",
            hint=f"train anew, in another --out, with {' or '.join(hints)}",
        )

    def _validate(self, clock: Clock) -> None:
        """Measure the epoch, step the scheduler, save."""
        config, learning_rate = self.config, self.optimiser.param_groups[0]["lr"]
        # training goes on with the running ones; the population's are for measuring and for `best`
        running = statistics(self.model)
        if config.bn_eval == "population":
            self._use_population(drawn(self.train_rows, config.population_samples, seed=config.seed))
        train, validation, own = self._measured()
        clock.lap("metrics")
        line = {"epoch": self.epoch, "learning_rate": learning_rate, "train": train, "validation": validation, **own}
        loss = deciding_loss(train, validation)
        self.history.append({**line, "seconds": clock.seconds()})
        self.epoch += 1
        self._begin_epoch()
        self.scheduler.step(*([loss] if config.scheduler == "plateau" else []))
        self.waited = 0 if loss < self.best else self.waited + 1
        if loss < self.best:
            self.best = loss
            self._save_best({"epoch": self.epoch - 1, "statistics": config.bn_eval})
        put_statistics(self.model, running)
        self.save_last()
        self.store.write_metrics(self.history)
        self.on_epoch(self.history[-1])

    def _measured(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Return the metrics of the epoch's training and of the validation part; raises Diverged where one is none.

        Of several phenotypes those of all together, and under `phenotypes` each one's.
        """
        try:
            train, seen = self._train_metrics()
            predicted, found = self._validation()
        except Diverged as error:
            raise self._diverged(self.step, error.message) from error
        for own, y, metrics in zip(self.samples.each, predicted, found, strict=True):
            metrics["sd_ratio"] = sd_ratio(y, own.values[self.split.validation])
            broken = [name for name, value in metrics.items() if value is not None and not np.isfinite(value)]
            if broken:
                raise self._diverged(self.step, f"{broken[0]} of the validation part is {metrics[broken[0]]}")
        if self.several is None:
            return {**train, **seen[0]}, found[0], {}
        parts = ({"train": a, "validation": b} for a, b in zip(seen, found, strict=True))
        train = {**train, "pearson": mean_pearson(seen)}
        return train, self.several.together(found), {"phenotypes": dict(zip(self.kinds, parts, strict=True))}

    def _validation(self) -> tuple[list[Float64[np.ndarray, " n"]], list[dict[str, Any]]]:
        """Return predictions and metrics of the validation part, of each phenotype."""
        rows = self.split.validation
        if self.several is not None:
            return self.several.measure(rows)
        predicted, metrics = self.measuring.measure(rows)
        return [predicted], [metrics]

    def _use_population(self, rows: Int64[np.ndarray, " rows"]) -> None:
        use_population(self.model, self.rows, self.processes.share(rows))

    def _train_metrics(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The epoch's losses as they were in training, and each phenotype's metrics: a sample by the weights it met.

        Gradient norms are those before clipping, the mean and the largest over the epoch's steps.
        """
        losses = self.measuring.weighted(dict(zip(LOSSES, (self.sums / len(self.train_rows)).tolist(), strict=True)))
        steps = math.ceil(self.step / self.config.accumulate)
        losses["gradient_norm"], losses["gradient_norm_largest"] = self.norms[0] / steps, self.norms[1]
        seen, metrics = self.processes.summed(self.seen.cpu().numpy()), list[dict[str, Any]]()
        each = self.several.each if self.several is not None else (self.measuring,)
        for own, one, heads in zip(self.samples.each, each, seen.reshape(len(seen), -1).T, strict=True):
            predicted, true = own.scale.backward(heads), own.values[self.batches.order]
            metrics.append({**one.metrics(predicted, true), "sd_ratio": sd_ratio(predicted, true)})
        return losses, metrics

    def constant_root(self) -> dict[str, float]:
        """Return, by part, how far predictions of the best epoch spread where that is next to nothing (`CONSTANT`).

        The numbers are standard deviations as shares of the labels'; of training as it was in the epoch.
        """
        best = min(self.history, key=lambda line: deciding_loss(line["train"], line["validation"]), default=None)
        if best is not None and self.number is None and self.several is not None:
            best = as_line_of(best, self.kind)  # the first's
        found = {part: best[part].get("sd_ratio") for part in ("train", "validation")} if best else {}
        return {part: ratio for part, ratio in found.items() if ratio is not None and ratio < CONSTANT}

    def _finish(self) -> None:
        """Give the best weights the statistics of the whole training split, and save them again."""
        if self.store.writable:
            self._record_constant()
        self.processes.barrier()  # one process wrote it
        tensors, state = self.store.load("best")
        load_weights(self.model, tensors, state)
        if self.config.bn_eval == "population":
            self._use_population(self.train_rows)
            self._save_best({**state, "statistics": "population of the training split"})
            self.processes.barrier()

    def _record_constant(self) -> None:
        """Record where predictions of a phenotype are next to constant."""
        for kind in self.kinds:
            constant = self.of_phenotype(kind).constant_root()
            if constant:
                record = self.store.record()
                self.store.write_record(record.with_phenotype(kind, constant_root=constant))

    def _save_best(self, state: dict[str, Any]) -> None:
        """Save the weights as they predict, and which genes they know."""
        genes = {TRAINED_GENES: torch.from_numpy(self.trained_genes)}
        meaning: dict[str, Any] = {
            "label": asdict(self.scale),
            "phenotype": self.kind,
            "settings": shaping(self.config),
        }
        if self.samples.others:
            meaning["others"] = [{"label": asdict(one.scale), "phenotype": one.kind} for one in self.samples.others]
        self.store.save("best", {**self._weights(), **genes}, {**state, "layout": layout_of(self.model), **meaning})

    def _weights(self) -> dict[str, Tensor]:
        return dict(self.model.state_dict())

    def save_last(self) -> None:
        """Save everything that `resume` needs; first it is asked for what the device has not reported yet."""
        self._take(self.readings.read(all_of_them=True))
        # safetensors holds a flat dictionary: the state of each parameter becomes dotted names
        optimiser = {
            f"optimiser.{index}.{name}": tensor
            for index, state in self.optimiser.state_dict()["state"].items()
            for name, tensor in state.items()
        }
        state = {
            # JSON has no infinity: None stands for a best loss that is not there yet
            "epoch": self.epoch, "step": self.step, "best": self.best if np.isfinite(self.best) else None,
            "waited": self.waited, "sums": self.sums.tolist(), "norms": self.norms, "history": self.history,
            "scheduler": self._schedule(), "learning_rate": self.optimiser.param_groups[0]["lr"],
            "layout": layout_of(self.model), "settings": shaping(self.config),
        }  # fmt: skip
        seen = {"seen": torch.from_numpy(self.processes.summed(self.seen.cpu().numpy()))}
        self.store.save("last", {**self._weights(), **optimiser, **seen}, state)

    def _schedule(self) -> dict[str, Any]:
        """Where the scheduler stands; plateau's best loss only once there is one, for JSON has no infinity."""
        values = {name: value for name, value in self.scheduler.state_dict().items() if name in SCHEDULED}
        return {name: x for name, x in values.items() if not isinstance(x, float) or math.isfinite(x)}

    def resume(self) -> None:
        """Go on from `last`; raises SourceMissing where there is none, DamagedCache where it is not this run's."""
        tensors, found = self.store.load("last")
        with self.store.naming("last"):
            state = read_state(found, LastState)
            require_settings(state.settings, self.config)
            load_weights(self.model, tensors, found)
            self._take_optimiser(tensors)
            self._take_place(state)
            seen = tensors.get("seen")
            if seen is None or seen.shape != self.seen.shape or not bool(torch.isfinite(seen).all()):
                raise _damaged("its predictions are not those of this epoch")
        if self.processes.first:  # the epoch's predictions are summed over processes
            self.seen = seen.double().to(self.processes.device)

    def extend(self, before: RunConfig) -> ExtensionRecord:
        """Go on from `last` beyond the end that the settings had `before`, and save it so; returns what is recorded.

        A cosine schedule is drawn over all epochs: the rate goes on where a run of now so many is at this epoch.
        """
        config, differs = self.config, ""
        if config.scheduler == "cosine" and config.epochs != before.epochs:
            rate = cosine_rate(config, self.epoch)
            differs = (
                f"the cosine schedule was one of {before.epochs} epochs until epoch {self.epoch}, and is one of "
                f"{config.epochs} from there: the rate goes on at {rate:.3g}"
            )
            self.optimiser.param_groups[0]["lr"] = rate
        self.save_last()
        return ExtensionRecord(self.epoch, config.epochs, config.patience, differs)

    def _take_optimiser(self, tensors: Mapping[str, Tensor]) -> None:
        """Take AdamW's moments; raises DamagedCache where they are not those of this network's parameters."""
        parameters, moments = list(self.model.parameters()), dict[int, dict[str, Tensor]]()
        for key, tensor in tensors.items():
            if key.startswith("optimiser."):
                _, index, name = key.split(".", 2)
                # parameters that never had a gradient have no moments
                if not index.isdecimal() or int(index) >= len(parameters):
                    raise _damaged(f"{key} is of no parameter")
                moments.setdefault(int(index), {})[name] = tensor
        for number, state in moments.items():
            shape = parameters[number].shape
            shapes = {name: tensor.shape for name, tensor in state.items()}
            if shapes != {"step": (), "exp_avg": shape, "exp_avg_sq": shape}:
                raise _damaged(f"the optimiser's moments of parameter {number} are not AdamW's")
            if not all(bool(torch.isfinite(tensor).all()) for tensor in state.values()):
                raise _damaged(f"the optimiser's moments of parameter {number} are not finite")
        saved = self.optimiser.state_dict()
        saved["state"].update(moments)
        self.optimiser.load_state_dict(saved)

    def _take_place(self, state: LastState) -> None:
        """Take epoch, step and schedule; raises DamagedCache where there is no such place in this run."""
        if len(state.sums) != len(LOSSES):
            raise _damaged(f"it sums {len(state.sums)} losses, not {len(LOSSES)}")
        fresh = self.scheduler.state_dict()
        schedule = {name: state.scheduler[name] for name in SCHEDULED if name in state.scheduler}
        if "last_epoch" not in schedule or any(_shape(schedule[name]) != _shape(fresh.get(name)) for name in schedule):
            raise _damaged(f"its schedule is not that of scheduler = {self.config.scheduler}")
        self.scheduler.load_state_dict({**fresh, **schedule})
        # a run stopped after an epoch's last step steps its scheduler first, of which torch would warn
        self.optimiser._opt_called = True  # type: ignore[attr-defined]
        self.optimiser.param_groups[0]["lr"] = state.learning_rate
        self.epoch, self.step, self.waited = state.epoch, state.step, state.waited
        self.best = state.best if state.best is not None else float("inf")
        self.norms = state.norms
        self.sums, self.history = np.array(state.sums), [line.as_json() for line in state.history]
        # sums of `step` batches, the last of which may be shorter
        parts = cut(np.arange(len(self.train_rows)), self.config.batch_size, world=self.processes.world)
        self.summed = sum(map(len, parts[: self.step]))


def as_line_of(line: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return an epoch's line as one of several phenotypes sees it: its metrics, the losses of all together."""
    own = line["phenotypes"][kind]
    parts = {part: {**own[part], **_losses(line[part])} for part in ("train", "validation")}
    return {**{name: value for name, value in line.items() if name != "phenotypes"}, **parts}


def _losses(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if name != "pearson"}


def sd_ratio(predicted: Float64[np.ndarray, " n"], true: Float64[np.ndarray, " n"]) -> float | None:
    """Return the standard deviation of predictions as a share of the labels'; None where these have none.

    Samples without a label (NaN) are left out of both.
    """
    labelled = np.isfinite(true)
    spread = float(true[labelled].std()) if labelled.any() else 0.0
    return float(predicted[labelled].std()) / spread if spread > 0 else None


def _damaged(reason: str) -> DamagedCache:
    return DamagedCache(f"a damaged checkpoint: {reason}", hint="train again")


def _shape(value: Any) -> Any:
    """A number, or so many numbers: what a part of a schedule is, whatever it says."""
    return [_shape(x) for x in value] if isinstance(value, list) else isinstance(value, int | float)

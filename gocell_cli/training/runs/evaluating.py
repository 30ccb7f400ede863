"""What a run is worth: its network, its other voices and the baselines beside them, on each part of its split.

None of it is loaded before a run is to be measured: SciPy, torchmetrics and the baselines take as long as torch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float64, Int64

from gocell_cli.run_record import NETWORK, AddsRecord, ResultRecord, VoiceRecord
from gocell_cli.storage.schema import NONE_INDEX
from gocell_cli.training.baselines.fitting import Baselines, Fits, Fitting
from gocell_cli.training.baselines.samples import Genotypes, Known, genotypes_of, labelled
from gocell_cli.training.data.splits.genotypes import genotype_codes
from gocell_cli.training.data.splits.kinds import PARTS, require_part
from gocell_cli.training.data.splits.overlap import unseen_genes
from gocell_cli.training.data.strain_fitness import known_singles
from gocell_cli.training.evaluation.ceiling import Ceiling, ceiling
from gocell_cli.training.evaluation.slices import by_order, by_unseen, tail_metrics
from gocell_cli.training.evaluation.tails import tails_of
from gocell_cli.training.inference.encoding import encoded_genes
from gocell_cli.training.runs.config import RunConfig
from gocell_cli.training.runs.predictions import write_predictions
from gocell_cli.training.runs.run import load_best
from gocell_cli.training.runs.trackers import write_events
from gocell_cli.training.runs.trainer import Trainer
from gocell_cli.training.runs.voices import asked_voices, kept_voices, settle_voices, voice_records, what_dcell_adds
from gocell_cli.training.voices.names import ENCODER
from gocell_cli.training.voices.voices import Voices
from gocell_cli.typed_file import typed


@dataclass(frozen=True)
class Evaluation:
    """Metrics of one part of a split: the network's, the other voices', the baselines', and the ceiling of noise.

    `fitting` says of each baseline what it cost and which settings it took, or why there is none; `said` and `others`
    are predictions of voices and baselines, and `rows` the samples of the cache. Voices are those of the test part
    alone: they are fitted to the others. `further` are the same of the phenotypes after the first.
    """

    split: str
    n: int
    metrics: dict[str, Any]
    baselines: dict[str, dict[str, Any]]
    fitting: dict[str, Fitting]
    ceiling: Ceiling
    predicted: Float64[np.ndarray, " n"]
    true: Float64[np.ndarray, " n"]
    rows: Int64[np.ndarray, " n"]
    others: dict[str, Float64[np.ndarray, " n"]]
    said: dict[str, Float64[np.ndarray, " n"]] = field(default_factory=dict)
    voices: dict[str, dict[str, Any]] = field(default_factory=dict)
    dcell_adds: AddsRecord | None = None
    phenotype: str = ""
    further: tuple["Evaluation", ...] = ()

    @property
    def each(self) -> tuple["Evaluation", ...]:
        """Those of every phenotype that the network predicts, this one first."""
        return (self, *self.further)

    def as_json(self) -> dict[str, Any]:
        """Everything but the arrays; of several phenotypes the first's, and under `by_phenotype` those of each."""
        if not self.further:
            return self.own_json()
        return {
            "phenotype": self.phenotype,
            **self.own_json(),
            "by_phenotype": {one.phenotype: one.own_json() for one in self.each},
        }

    def own_json(self) -> dict[str, Any]:
        """Everything of this phenotype but the arrays."""
        heard = {"voices": self.voices, "dcell_adds": self.dcell_adds and asdict(self.dcell_adds)}
        return {
            "split": self.split,
            "n": self.n,
            "metrics": self.metrics,
            "baselines": self.baselines,
            "fitting": {name: asdict(fitting) for name, fitting in self.fitting.items()},
            "ceiling": self.ceiling.r,
            "ceiling_method": self.ceiling.method,
            "of_ceiling": self.ceiling.share_of(self.metrics["pearson"]),
            **(heard if self.voices else {}),
        }


def finish_run(trainer: Trainer) -> dict[str, Evaluation]:
    """Fit the other voices, evaluate all on every part; write what is found into the run's directory."""
    load_best(trainer)
    store = trainer.store
    each = [_finish_one(trainer.of_phenotype(kind)) for kind in trainer.kinds]
    if store.writable:
        with store.writes(store.directory / "tensorboard"):
            write_events(store, trainer.history)
        found = replace(store.record(), epochs=len(trainer.history))
        for kind, (_, entries) in zip(trainer.kinds, each, strict=True):
            found = found.with_phenotype(kind, **entries)
        store.write_record(found)
    (first, _), *others = each
    return {part: replace(e, further=tuple(other[part] for other, _ in others)) for part, e in first.items()}


def _finish_one(trainer: Trainer) -> tuple[dict[str, Evaluation], dict[str, Any]]:
    """Finish one phenotype; returns its evaluations, and what is to be recorded of it."""
    store, measured, number = trainer.store, _measured(trainer, PARTS), trainer.number or 0
    # of several processes only the first one's results are read
    fits = Fits(known_of(trainer)) if trainer.processes.first else None
    voices, records = _settle(trainer, fits, measured["validation"][0]) if fits is not None else (None, None)
    evaluations = _evaluations(trainer, measured, fits, _usual(trainer.config), voices)
    if not store.writable:
        return evaluations, {}
    results = {part: typed(e.own_json(), ResultRecord) for part, e in evaluations.items()}
    with store.writes(store.directory):
        kept = write_predictions(store.directory, sample_table(trainer, evaluations["test"]), number)
    return evaluations, {"results": results, "predictions": kept, "voices": records}


def _settle(
    trainer: Trainer, fits: Fits, network: Float64[np.ndarray, " validation"]
) -> tuple[Voices | None, dict[str, VoiceRecord] | None]:
    """Fit and keep the voices that the settings ask for; a control's see its hierarchy, as its network does."""
    names = asked_voices(trainer.config)
    if not names:
        return None, None
    if trainer.config.control:
        fits = Fits(replace(fits.known, hierarchy=trainer.hierarchy, kept={}))
    if ENCODER in names:
        fits = Fits(replace(fits.known, encoded=encoded_genes(trainer.dcell, trainer.hierarchy, trainer.number)))
    true = trainer.values[trainer.split.validation]
    cache = trainer.rows.cache
    singles = known_singles(cache.provenance, cache.hierarchy)
    known_network, number = network[np.isfinite(true)], trainer.number or 0
    voices, found = settle_voices(trainer.store, fits, names, known_network, singles, number)
    known = fits.known.validation.value
    metrics = {
        name: trainer.measuring.metrics(one.validation, known)
        for name, one in found.items()
        if one.validation is not None and len(known)
    }
    return voices, voice_records(voices, found, metrics)


def evaluate_run(trainer: Trainer, part: str, wanted: str | None = None, phenotype: str = "") -> Evaluation:
    """Predict a part of the split, beside the baselines that are `wanted` (default: those of the run's settings).

    phenotype: which of several; "": all of them, the others beside the first.
    """
    require_part(part)
    kinds = (trainer.store.record().of_phenotype(phenotype).kind,) if phenotype else trainer.kinds
    first, *others = (_evaluate_one(trainer.of_phenotype(kind), part, wanted) for kind in kinds)
    return replace(first, further=tuple(others))


def _evaluate_one(trainer: Trainer, part: str, wanted: str | None) -> Evaluation:
    voices = kept_voices(trainer.store, trainer.store.record().of_phenotype(trainer.kind), trainer.number or 0)
    asked, measured = wanted or _usual(trainer.config), _measured(trainer, (part,))
    fits = Fits(known_of(trainer)) if trainer.processes.first else None
    return _evaluations(trainer, measured, fits, asked, voices)[part]


Measurements = dict[str, tuple[Float64[np.ndarray, " n"], dict[str, Any]]]
"""The network's predictions and metrics by part."""


def _measured(trainer: Trainer, parts: Sequence[str]) -> Measurements:
    return {part: trainer.measuring.measure(trainer.split.rows(part)) for part in parts}


def _evaluations(
    trainer: Trainer, measured: Measurements, fits: Fits | None, asked: str, voices: Voices | None
) -> dict[str, Evaluation]:
    """Evaluate parts of the split; each baseline is fitted once."""
    fitted = Baselines(fits, asked, trainer.config.epochs) if fits is not None else None
    noise = _ceiling(trainer)
    found = {part: _evaluation(trainer, part, one, fitted, voices, noise) for part, one in measured.items()}
    noise = _contradicted(noise, found)
    return {part: replace(evaluation, ceiling=noise) for part, evaluation in found.items()}


def _evaluation(
    trainer: Trainer,
    part: str,
    measured: tuple[Float64[np.ndarray, " n"], dict[str, Any]],
    fitted: Baselines | None,
    voices: Voices | None,
    noise: Ceiling,
) -> Evaluation:
    """One part: what the network predicts, `measured`, beside baselines and, of the test part, the other voices."""
    (predicted, metrics), rows = measured, trainer.split.rows(part)
    true, genotypes, sliced = trainer.values[rows], _genotypes(trainer, rows), _slices(trainer, rows)

    def of(predictions: dict[str, Float64[np.ndarray, " n"]]) -> dict[str, dict[str, Any]]:
        return {name: {**trainer.measuring.metrics(x, true), **sliced(x)} for name, x in predictions.items()}

    others = fitted.predict(genotypes) if fitted is not None else {}
    said = voices.say(genotypes, predicted) if voices is not None and part == "test" else {}
    metric = "auroc" if trainer.scale.logits else "pearson"
    return Evaluation(
        part,
        len(rows),
        {**metrics, **sliced(predicted)},
        of(others),
        fitted.fittings if fitted is not None else {},
        noise,
        predicted,
        true,
        rows,
        others,
        said,
        of(said),
        what_dcell_adds(said, true, genotypes.query, metric, trainer.config.seed) if said else None,
        trainer.kind,
    )


def _usual(config: RunConfig) -> str:
    """The baselines of a run's settings; of a control none are the default, for they are those of any other run.

    Nor are there any of a run that is judged on what it trains on.
    """
    return "none" if (config.control or config.overfit) and config.baselines == "default" else config.baselines


def _slices(trainer: Trainer, rows: Int64[np.ndarray, " n"]) -> Callable[[Float64[np.ndarray, " n"]], dict[str, Any]]:
    """Return what measures predictions of `rows` by order, by unseen genes, and in the tails of the score."""
    samples, true = trainer.rows.cache.rows(rows), trainer.values[rows]
    tails = tails_of(trainer.config.tails, trainer.kind)
    is_p = trainer.rows.cache.phenotype["statistic"] == "p_value"
    p_value = samples.statistic if is_p else np.full(len(rows), np.nan)
    order, unseen = np.diff(samples.gene_ptr), unseen_genes(samples, trainer.trained_genes)

    def measure(predicted: Float64[np.ndarray, " n"]) -> dict[str, Any]:
        ordered = by_order(predicted, true, order, trainer.measuring.metrics)
        of_unseen = by_unseen(predicted, true, unseen, trainer.measuring.metrics)
        return {**ordered, **of_unseen, **tail_metrics(predicted, true, p_value, tails)}

    return measure


def sample_table(trainer: Trainer, evaluation: Evaluation) -> pa.Table:
    """Return a row a sample: number in the cache, genes, order, part, query group, value, and every prediction.

    A query group is its name, the genes of its queries; null where there is none, as is the value of a sample without a
    label. untrained_genes: how many of its genes no training sample deletes. Predictions are columns `DCell` and the
    baselines' names.
    """
    samples, names = trainer.rows.cache.rows(evaluation.rows), trainer.hierarchy.gene_names
    bounds = zip(samples.gene_ptr[:-1].tolist(), samples.gene_ptr[1:].tolist(), strict=True)
    value, groups = evaluation.true, pa.array(trainer.rows.cache.provenance.query_groups, pa.string())
    number = pa.array(samples.query_group, mask=samples.query_group == NONE_INDEX)
    return pa.table(
        {
            "sample": evaluation.rows,
            "genes": [" ".join(names[g] for g in samples.genes[start:stop].tolist()) for start, stop in bounds],
            "order": np.diff(samples.gene_ptr),
            "untrained_genes": unseen_genes(samples, trainer.trained_genes),
            "part": [evaluation.split] * evaluation.n,
            "query_group": pa.DictionaryArray.from_arrays(number, groups),
            "value": pa.array(value, mask=np.isnan(value)),
            NETWORK: evaluation.predicted,
            **evaluation.said,
            **evaluation.others,
        }
    )


def _ceiling(trainer: Trainer) -> Ceiling:
    """Of all samples of the cache; a simulated one records its own."""
    manifest, samples = trainer.rows.cache.manifest, trainer.rows.cache.columns()
    if "simulated" in manifest.counts:
        return Ceiling(manifest.counts["simulated"]["ceiling"], "simulated: the noise that was added is known")
    cache = trainer.rows.cache
    genotypes = genotypes_of(samples, cache.provenance, cache.hierarchy, cache.phenotype["kind"])
    codes = genotype_codes(samples.gene_ptr, samples.genes)
    return ceiling(codes, trainer.values, samples.statistic, cache.phenotype["statistic"], genotypes.roles)


def _contradicted(noise: Ceiling, found: Mapping[str, Evaluation]) -> Ceiling:
    """The ceiling, or none where the network or a baseline goes beyond it on the test part: training fits noise."""
    if "test" not in found:
        return noise
    test = found["test"]
    reached = {NETWORK: test.metrics, **test.voices, **test.baselines}
    known = {name: metrics["pearson"] for name, metrics in reached.items() if metrics["pearson"] is not None}
    return noise.contradicted(known, test.metrics["n"])


def known_of(trainer: Trainer) -> Known:
    """What a baseline may see of a run: the labels of its training and validation parts, and GO, never a control."""
    train, validation = (
        labelled(_genotypes(trainer, rows), trainer.values[rows])
        for rows in (trainer.train_rows, trainer.split.validation)
    )
    vectors = trainer.samples.vectors
    return Known(
        train, validation, trainer.rows.cache.hierarchy, trainer.scale.logits, trainer.config.seed,
        vectors.values if vectors is not None else None,
    )  # fmt: skip


def _genotypes(trainer: Trainer, rows: Int64[np.ndarray, " rows"]) -> Genotypes:
    cache = trainer.rows.cache
    return genotypes_of(cache.rows(rows), cache.provenance, cache.hierarchy, cache.phenotype["kind"])

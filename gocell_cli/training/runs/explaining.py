"""What a run says of terms: their scores over samples that it did not learn from, and what a deletion does to them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from gocell_cli.errors import SourceMissing, UsageError
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.evaluation.terms.agreement import Agreement, agreement
from gocell_cli.training.evaluation.terms.orders import ORDERS, Cutoffs
from gocell_cli.training.evaluation.terms.power import Judged
from gocell_cli.training.evaluation.terms.ranking import Screen, TermScore, score_terms
from gocell_cli.training.evaluation.terms.recovery import Asked, Recovery, Student, recovery
from gocell_cli.training.evaluation.terms.teacher_activity import teacher_activity
from gocell_cli.training.evaluation.terms.variants import TermVariants
from gocell_cli.training.extra import train_extra
from gocell_cli.training.inference.explain import TermEffect, activations, effects, neurons_of
from gocell_cli.training.inference.requests import no_gene
from gocell_cli.training.network.dcell import DCell
from gocell_cli.training.runs.interactions import TermInteractions, term_interactions
from gocell_cli.training.runs.run import load_best, open_predictor, predictor_of, reopen
from gocell_cli.training.runs.store import RunStore
from gocell_cli.training.runs.trainer import Trainer

with train_extra():
    import torch
    from scipy.sparse import csr_matrix

BATCH = 512
TOP = 20
"""Pairs of terms that interact, where nobody says how many."""
NO_CACHE = "they are counted over the training pairs of the run's cache, which is not there"
DRAW = 0
"""Seed of the samples that are drawn: the same at each call, and in all runs of one split."""


@dataclass(frozen=True)
class ScoreRequest:
    """How terms are scored: over at most so many samples of either part, with these cut-offs, in this order."""

    samples: int = 1000
    order: str = ORDERS[0]
    cutoffs: Cutoffs = field(default_factory=Cutoffs)


@dataclass(frozen=True)
class TermRanking:
    """Every term's scores, those ranked first, and how many samples they were fitted and judged on.

    recovery: how much of the teacher's activity they recover; None of real data, or where nobody asked.
    """

    scores: list[TermScore]
    fitted: int
    judged: int
    least_power: float
    recovery: Recovery | None


@dataclass(frozen=True)
class Explanation:
    """The terms' ranking (None: the run's cache is gone), and what a deletion does, if asked.

    interactions: which terms interact by the run's wide part, or in words why nothing says so.
    """

    hierarchy: Hierarchy
    ranking: TermRanking | None
    effects: list[TermEffect] | None
    interactions: TermInteractions | str


def explain_run(
    directory: Path,
    cache: Path | Cache | None,
    names: str | None,
    request: ScoreRequest | None = None,
    top: int = TOP,
    phenotype: str = "",
) -> Explanation:
    """Score a run's terms, and find the first `top` pairs of them that interact; with `names` the genes' effects, too.

    phenotype: whose heads and labels count, of a network of several; "" is the first's.
    Where the run's cache is gone the effects come alone; raises SourceMissing where none were asked for, and UsageError
    where `names` are of no gene, or the parts are too small.
    """
    try:
        trainer = _opened(directory, cache, phenotype)
    except SourceMissing:
        if names is None or cache is not None:
            raise
        trainer = None
    predictor = predictor_of(trainer) if trainer is not None else open_predictor(directory, phenotype=phenotype)
    genotype = predictor.genotype(names) if names is not None else None
    if genotype == ():
        raise no_gene()
    ranking = rank_terms(trainer, request or ScoreRequest(), taught=True) if trainer is not None else None
    found = effects(predictor, genotype) if genotype is not None else None
    return Explanation(predictor.hierarchy, ranking, found, term_interactions(trainer, top) if trainer else NO_CACHE)


def _opened(directory: Path, cache: Path | Cache | None, phenotype: str) -> Trainer:
    """Open a run, its best weights in the network, as one of its phenotypes sees it."""
    store = RunStore(directory)
    trainer = reopen(store, cache)
    load_best(trainer)
    return trainer.of_phenotype(store.record().of_phenotype(phenotype).kind)


def rank_terms(trainer: Trainer, request: ScoreRequest, *, taught: bool = False) -> TermRanking:
    """Score all terms: regressions on their activations are fitted on the validation part and judged on the test part.

    Each is drawn at random where it has more samples than asked for. Activations of all are held at once:
    neurons x samples numbers. taught: of simulated data, hold them to the teacher's as well.
    """
    parts = [drawn_rows(trainer, part, request.samples) for part in (trainer.split.validation, trainer.split.test)]
    judged = read_samples(trainer, parts)
    screen = Screen.of(trainer.hierarchy, trainer.rows.cache.columns().genes)
    scores = score_terms(judged, trainer.hierarchy, screen, request.cutoffs, request.order)
    least = request.cutoffs.power_for(len(judged.judged))
    recovered = _recovery(trainer, parts, judged) if taught else None
    return TermRanking(scores, judged.fitted, len(judged.judged), least, recovered)


def _recovery(trainer: Trainer, parts: Sequence[Int64[np.ndarray, " _"]], judged: Judged) -> Recovery | None:
    """Hold the activations to those of the cache's teacher, and an untrained network's as well."""
    cache, rows = trainer.rows.cache, np.concatenate(parts)
    teacher = teacher_activity(cache, rows)
    if teacher is None or isinstance(teacher, str):
        return None if teacher is None else Recovery(reason=teacher)
    variants = judged.variants
    if trainer.hierarchy is not cache.hierarchy:  # a control's: the teacher's terms have other genes
        samples = cache.rows(rows)
        variants = TermVariants.of(cache.hierarchy, samples.gene_ptr, samples.genes)
    asked = Asked(cache.hierarchy, variants, judged.deleted, judged.fitted, teacher)
    trained = Student(judged.h, judged.neurons, judged.variants)
    return recovery(asked, trained, replace(trained, h=activations_of(untrained(trainer), trainer, rows)))


def untrained(trainer: Trainer) -> DCell:
    """Return a network as the trainer's that has learnt nothing, its first weights those of the next seed."""
    torch.manual_seed(trainer.config.seed + 1)
    model = trainer.layout.network(trainer.hierarchy, trainer.config, phenotypes=len(trainer.kinds))
    return model.to(trainer.processes.device, trainer.processes.dtype).eval()


def drawn_rows(trainer: Trainer, part: Int64[np.ndarray, " part"], most: int) -> Int64[np.ndarray, " drawn"]:
    """Draw at most so many samples of a part that have a label; ascending."""
    labelled: Int64[np.ndarray, " labelled"] = part[np.isfinite(trainer.values[part])]
    if len(labelled) <= most:
        return labelled
    drawn: Int64[np.ndarray, " drawn"] = np.random.default_rng(DRAW).choice(labelled, most, replace=False)
    return np.sort(drawn)


def read_samples(trainer: Trainer, parts: Sequence[Int64[np.ndarray, " _"]]) -> Judged:
    """Return the activations, phenotypes and variants of samples to fit on, and of samples to judge on."""
    rows, hierarchy = np.concatenate(parts), trainer.hierarchy
    samples = trainer.rows.cache.rows(rows)
    variants = TermVariants.of(hierarchy, samples.gene_ptr, samples.genes)
    shape = (len(rows), len(hierarchy.gene_names))
    deleted = csr_matrix((np.ones(len(samples.genes)), samples.genes, samples.gene_ptr), shape)
    return Judged(
        h=activations_of(trainer.dcell, trainer, rows),
        neurons=neurons_of(trainer.dcell, hierarchy),
        values=trainer.values[rows],
        variants=variants,
        deleted=deleted,
        fitted=len(parts[0]),
    )


def activations_of(
    model: DCell, trainer: Trainer, rows: Int64[np.ndarray, " rows"]
) -> Float32[np.ndarray, "neurons rows"]:
    """Return every neuron's activation for each sample, of a network like the trainer's."""
    found = np.empty((model.stack.neurons, len(rows)), dtype=np.float32)
    start = 0
    for batch in trainer.rows.batches(rows, BATCH, model.bias.device):
        h = activations(model, batch)[1]
        found[:, start : start + h.shape[1]] = h.float().cpu().numpy()
        start += h.shape[1]
    return found


@dataclass(frozen=True)
class Comparison:
    """Rankings of several runs beside each other: the hierarchy is the first's, and so are the numbers of samples."""

    hierarchy: Hierarchy
    agreement: Agreement
    fitted: int
    judged: int
    least_power: float


def compare_runs(
    runs: Sequence[Path],
    controls: Sequence[Path],
    cache: Path | None,
    request: ScoreRequest,
    top: int,
    phenotype: str = "",
) -> Comparison:
    """Rank the terms of each run, one run in memory at a time; raises UsageError where they have other terms."""
    found: list[TermRanking] = []
    hierarchy: Hierarchy | None = None
    for directory in (*runs, *controls):
        trainer = _opened(directory, cache, phenotype)
        hierarchy = hierarchy or trainer.hierarchy
        if trainer.hierarchy.term_ids != hierarchy.term_ids:
            raise UsageError(f"{directory}: its network has other terms than that of {runs[0]}")
        found.append(rank_terms(trainer, request))
    if hierarchy is None:
        raise UsageError("no run to explain")
    own, others = ([one.scores for one in part] for part in (found[: len(runs)], found[len(runs) :]))
    one = found[0]
    return Comparison(hierarchy, agreement(own, others, request.order, top), one.fitted, one.judged, one.least_power)

"""Which terms of a run interact: its wide part, opened again, asked over the training pairs of its cache."""

from dataclasses import dataclass

from gocell_cli.errors import DamagedCache
from gocell_cli.run_record import RunRecord
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.baselines.samples import NotApplicable
from gocell_cli.training.runs.evaluating import known_of
from gocell_cli.training.runs.store import RunStore
from gocell_cli.training.runs.trainer import Trainer
from gocell_cli.training.runs.voices import VOICES, kept_voices
from gocell_cli.training.voices.between import (
    LEAST_PAIRS,
    ScreenedTerms,
    TermPairs,
    Terms,
    Tested,
    interacting_terms,
    told_apart,
)
from gocell_cli.training.voices.names import WIDE
from gocell_cli.training.voices.wide import Wide


@dataclass(frozen=True)
class TermInteractions:
    """The first pairs of terms that stand clear and differ, how the screened genes of each lie; all terms of such.

    tested: what was found of how many pairs of terms. nested: those passed over on the way, whose terms hold those of a
    pair before them (`told_apart`). training_pairs: of genes, each as often as a training sample deletes it.
    """

    pairs: TermPairs
    relations: list[str]
    terms: Terms
    tested: Tested
    nested: int
    training_pairs: int
    least_pairs: int = LEAST_PAIRS


def term_interactions(trainer: Trainer, most: int) -> TermInteractions | str:
    """Return the first `most` pairs of terms that interact by the run's wide part; or, in words, why there are none.

    Raises DamagedCache where the run's voices cannot be read. Of a run on a control the wide part lies over that.
    """
    record, hierarchy = trainer.store.record().of_phenotype(trainer.kind), trainer.hierarchy
    fit = _wide_part(trainer.store, record, hierarchy, trainer.number or 0)
    if isinstance(fit, str):
        return fit
    train = known_of(trainer).train
    try:
        tested = interacting_terms(fit, hierarchy, train)
    except NotApplicable as reason:
        return str(reason)
    clear, screened = tested.clear, ScreenedTerms.of(hierarchy, train.genotypes)
    places, nested = told_apart(clear, screened, most)
    first = clear.take(places)
    relations = [screened.relation(s, t) for s, t in zip(first.first.tolist(), first.second.tolist(), strict=True)]
    return TermInteractions(first, relations, Terms.of(clear), tested, nested, len(train.genotypes.pairs[0]))


def _wide_part(store: RunStore, record: RunRecord, hierarchy: Hierarchy, number: int) -> Wide | str:
    """Open the run's wide part of a phenotype, or say why there is none."""
    voices = kept_voices(store, record, number)
    if voices is None:
        return "the run has no voice beside its network"
    if WIDE not in voices.parts:
        told = (record.voices or {}).get(WIDE)
        return f"the run has no wide part{f': {told.reason}' if told is not None and told.reason else ''}"
    fit = voices.parts[WIDE]
    with store.naming(VOICES):
        if not isinstance(fit, Wide) or (fit.machine and len(fit.term_vector) != len(hierarchy.term_ids)):
            raise DamagedCache("damaged voices: its wide part is not over the run's terms", hint="train again")
    return fit

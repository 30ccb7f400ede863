"""Whether a run's weights are a beginning for another one: known from their settings, before torch is loaded."""

from pathlib import Path

from gocell_cli.errors import SourceMissing, UsageError
from gocell_cli.run_record import RunRecord
from gocell_cli.training.runs.config import RunConfig, run_config
from gocell_cli.training.runs.store import RunStore

TABLE = "warm_start.tsv"
"""In a run's directory: what became of each term of the run that it began with."""
MEANING = ("norm_order", "gene_weights", "products", "learnt_vectors")
"""Settings that say what a term's numbers mean: with another one they are no beginning."""


def require_source(run: Path, config: RunConfig) -> RunRecord:
    """Return the record of a run whose weights are asked for; raises what is wrong with it, before torch is loaded.

    UsageError for settings with which its numbers would mean something else, and for a control on either side, whose
    terms are not those that they are called.
    """
    store = RunStore(run)
    record, there = store.record(), run_config(run)
    if record.hierarchy is None or record.layout is None:
        raise SourceMissing(f"{run}: this run keeps no copy of its hierarchy", hint="train it again")
    for name in MEANING:
        ours, theirs = getattr(config, name), getattr(there, name)
        if ours != theirs:
            raise UsageError(
                f"{run}: its {name} is {theirs!r}, and this run's {ours!r}: its weights mean something else",
                hint=f"--set {name}={theirs}; or train without --from",
            )
    if config.control or there.control:
        raise UsageError(
            f"{run if there.control else 'this run'}: a control's terms are not those that they are called",
            hint="train without --from, or without control",
        )
    store.require_checkpoint("best")
    return record

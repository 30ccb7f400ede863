"""What the mean of a series' runs reaches on the test part that they share: of runs that differ in their seed alone."""

from pathlib import Path

import numpy as np

from gocell_cli.run_record import BLEND, NETWORK, read_record
from gocell_cli.series_record import SeriesRecord
from gocell_cli.training.evaluation.paired import measures
from gocell_cli.training.runs.predictions import Predictions, recorded_predictions


def mean_of_runs(directory: Path, record: SeriesRecord, metric: str, phenotype: str = "") -> dict[str, float] | str:
    """Return `metric` of the runs' mean prediction by predictor (network, blend); a text that says why there is none.

    phenotype: which of several; "": the first.
    Raises DamagedCache where a run's predictions are not as they were recorded.
    """
    done = [directory / member.run for member in record.members if member.results is not None and not member.control]
    if len(done) < 2:
        return "fewer than two runs are finished"
    records = [read_record(run).of_phenotype(phenotype) for run in done]
    if len({one.split.fingerprint for one in records}) > 1 or records[0].split.fingerprint is None:
        return "each run has a split of its own; --split-seed 0 gives all of them one"
    kept = [recorded_predictions(run, one) for run, one in zip(done, records, strict=True)]
    tables = [one for one in kept if one is not None]
    if len(tables) < len(done):
        return "a run of before runs kept their predictions is among them"
    shared = [name for name in (NETWORK, BLEND) if all(name in one.predicted for one in tables)]
    found = {name: _reached(tables, name, metric) for name in shared}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _reached(tables: list[Predictions], column: str, metric: str) -> float:
    value, mean = tables[0].value, np.mean([one.predicted[column] for one in tables], axis=0)
    measure = measures(value, mean).get(metric)
    if measure is None:
        return float("nan")
    return float(measure(np.ones((1, 1)), np.zeros(len(value), dtype=np.int64))[0])

"""Rows by their P-value: `--max-p`."""

from dataclasses import replace

import numpy as np

from gocell_cli.domain.genotype import Dataset


def keep_significant(dataset: Dataset, max_p: float) -> Dataset:
    """Drop, and count, rows without a P-value and rows whose P-value is above `max_p`."""
    p = dataset.measurements.statistic
    without = dataset.without(np.isnan(p), "no_p_value")
    kept = without.without(without.measurements.statistic > max_p, "p_above_max")
    return replace(kept, options={**dataset.options, "max_p": repr(max_p)})

"""Rows by their P-value: `--max-p`."""

import numpy as np

from gocell_cli.domain.genotype import Dataset


def keep_significant(dataset: Dataset, max_p: float) -> Dataset:
    """Drop, and count, rows without a P-value and rows whose P-value is above `max_p`."""
    p = dataset.measurements.statistic
    without = dataset.without(np.isnan(p), "no_p_value")
    return without.without(without.measurements.statistic > max_p, "p_above_max")
